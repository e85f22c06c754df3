//! The numbers of a live agent, asked over HTTP.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use crate::ingest::{Plan, TestCollector};
use crate::program::{AGENT, in_own_network, loopback_up, wait_until};

/// Ends with the test, however that ends: a live agent would hold the test's own output open.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ask(method: &str, url: &str) -> (u16, String) {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent: ureq::Agent = config.build().into();
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(url)
        .body(());
    let mut answer = agent.run(request.unwrap()).unwrap();
    let body = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), body)
}

/// A number as the page says it.
fn number(url: &str, name: &str) -> u64 {
    let (status, page) = ask("GET", url);
    assert_eq!(status, 200, "{page}");
    let start = format!("{name}{{vantage=\"<b>\\\"lo\\\"\"}} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no {name}: {page}"))
        .parse()
        .unwrap()
}

#[test]
fn a_live_agents_numbers_are_served_and_its_name_stays_text() {
    in_own_network("scrape::scraped");
}

#[test]
#[ignore = "runs in a network namespace of its own"]
fn scraped() {
    loopback_up();
    let folder = tempfile::tempdir().unwrap();
    let collector = TestCollector::new(Plan::default());
    let running = collector.listen(None);
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port();
    let agent = Command::new(AGENT)
        .args(["run", "--vantage=<b>\"lo\"", "--interface=lo"])
        .args(["--witness=off", "--metrics=127.0.0.1:0"])
        .args(["--filter", &format!("port {port}")])
        .args(["--collector", &running.url(), "--state-dir"])
        .arg(folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut agent = Agent(agent);
    let mut stderr = BufReader::new(agent.0.stderr.take().unwrap());
    let mut said = String::new();
    stderr.read_line(&mut said).unwrap();
    let url = said.trim_end().strip_prefix("metrics at ").unwrap();
    wait_until(|| number(url, "parallax_agent_connected") == 1);

    TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    // SYN and RST, each going out and coming in.
    wait_until(|| number(url, "parallax_agent_digests_committed_total") >= 2);
    let numbered = number(url, "parallax_agent_digests_numbered_total");
    assert_eq!(numbered, collector.shelf().stored.len() as u64);
    wait_until(|| number(url, "parallax_agent_packets_total") >= 2);
    assert!(number(url, "parallax_agent_octets_observed_total") >= 2 * 54);
    assert!(number(url, "parallax_agent_octets_sent_total") > 100);
    assert!(number(url, "parallax_agent_spool_limit_octets") > 1 << 20);
    for quiet in [
        "packets_dropped_total",
        "digests_lost_total",
        "recall_answers_total",
    ] {
        assert_eq!(number(url, &format!("parallax_agent_{quiet}")), 0);
    }

    drop(running);
    wait_until(|| number(url, "parallax_agent_connected") == 0);
    let (before, kept) = ("parallax_agent_spool_octets", "parallax_agent_digests_kept");
    let octets = number(url, before);
    TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    wait_until(|| number(url, kept) >= 2 && number(url, before) > octets);

    assert_eq!(ask("GET", &url.replace("/metrics", "/other")).0, 404);
    assert_eq!(ask("DELETE", url).0, 405);
    let address = url.strip_prefix("http://").unwrap();
    refused(address.strip_suffix("/metrics").unwrap());
}

/// The objects of a log in which every line is one, with what each must have.
fn objects(log: &str) -> Vec<serde_json::Value> {
    let object = |line: &str| {
        let object: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for part in ["timestamp", "level", "target"] {
            assert!(object[part].is_string(), "{line}");
        }
        assert!(object["fields"]["message"].is_string(), "{line}");
        object
    };
    log.lines().map(object).collect()
}

#[test]
fn each_line_of_a_live_runs_log_is_a_json_object() {
    in_own_network("scrape::logged");
}

#[test]
#[ignore = "runs in a network namespace of its own"]
fn logged() {
    loopback_up();
    let collector = TestCollector::new(Plan::default());
    let running = collector.listen(None);
    let agent = Command::new(AGENT)
        .args([
            "run",
            "--vantage=lo \"x\"",
            "--interface=lo",
            "--witness=off",
        ])
        .args(["--metrics=127.0.0.1:0", "--log-format=json", "--verbose"])
        .args(["--collector", &running.url()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut agent = Agent(agent);
    wait_until(|| !collector.shelf().beats.is_empty());
    let pid = nix::unistd::Pid::from_raw(agent.0.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let mut log = String::new();
    let mut stderr = agent.0.stderr.take().unwrap();
    stderr.read_to_string(&mut log).unwrap();
    assert_eq!(agent.0.wait().unwrap().code(), Some(0), "{log}");
    let said = objects(&log);
    for words in [
        "metrics at http://",
        "capturing on lo",
        "connected to",
        "captured ",
    ] {
        let heard = said.iter().any(|object| {
            let message = object["fields"]["message"].as_str();
            message.is_some_and(|message| message.starts_with(words))
        });
        assert!(heard, "{words}: {log}");
    }
    // The last words, too.
    let output = Command::new(AGENT)
        .args([
            "run",
            "--vantage=x",
            "--interface=none",
            "--log-format=json",
        ])
        .output()
        .unwrap();
    let said = objects(&String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said.last().unwrap()["level"], "ERROR");
}

/// An agent whose address is taken ends before it captures anything.
fn refused(address: &str) {
    let agent = Command::new(AGENT)
        .args(["run", "--vantage=other", "--interface=lo", "--metrics"])
        .arg(address)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut agent = Agent(agent);
    let mut said = String::new();
    let mut stderr = agent.0.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(agent.0.wait().unwrap().code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("is in use; stop what listens there"),
        "{said}"
    );
}
