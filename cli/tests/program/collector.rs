//! The commands that ask a collector, against sockets that answer badly or not at all. Answers of a
//! real collector are tested where there is one.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::parallax;

/// Answers each connection with the next of these, gives what was asked.
fn serve(answers: Vec<String>) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        let answer = |answer: String| serve_one(&listener.accept().unwrap().0, &answer);
        answers.into_iter().map(answer).collect()
    });
    (url, served)
}

fn serve_one(mut stream: &TcpStream, answer: &str) -> String {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let request: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    stream.write_all(answer.as_bytes()).unwrap();
    request[0].clone()
}

fn answer(status: &str, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn document(resets: &str) -> String {
    let body = format!("{{\"schema\":1,\"vantages\":[],\"path\":[],\"resets\":[{resets}]}}");
    answer("200 OK", "application/json", &body)
}

fn reset(id: &str) -> String {
    format!(
        "{{\"id\":\"{id}\",\"time\":\"2026-01-02T03:04:05.123456789Z\",\"src\":\"198.51.100.2\",\
         \"sport\":80,\"dst\":\"192.0.2.7\",\"dport\":4000,\"seq\":1,\"ack\":null,\"flags\":\"R\",\
         \"count\":1,\"origin\":\"middlebox\",\"emitter\":null,\"between\":[\"b\",\"a\\u001b[2J\"],\
         \"at\":null,\"lost_between\":null,\"seen_at\":[],\"absent_at\":[],\"cause\":\"injected\",\
         \"root\":null,\"confidence\":0.9,\"effective\":null,\"trigger\":null,\"decide\":null,\
         \"evidence\":[],\"path\":[]}}"
    )
}

const A: &str = "019b7cc1-2f00-7000-8000-00000000aaaa";
const B: &str = "019b7cc1-2f00-7000-8000-00000000bbbb";

#[test]
fn an_unreachable_collector_is_one_line() {
    // Bound and dropped: nobody listens there now.
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{free}");
    for command in [
        &["resets"][..],
        &["vantages"],
        &["watch"],
        &["explain", A],
        &["explain", "aaaa"],
    ] {
        let mut arguments = command.to_vec();
        arguments.extend(["--collector", &url]);
        let run = parallax(&arguments);
        let line = run.error(1);
        assert!(
            line.contains(&url) && line.contains("connection refused"),
            "{line}"
        );
        assert!(line.contains("parallax-collector serve"), "{line}");
    }
}

#[test]
fn a_live_screen_without_a_terminal_is_refused() {
    let run = parallax(&["top", "--collector", "http://127.0.0.1:9"]);
    let line = run.error(1);
    assert!(
        line.contains("needs a terminal") && line.contains("parallax watch"),
        "{line}"
    );
}

#[test]
fn bad_answers_are_one_line_each() {
    for (bad, expected) in [
        (
            answer("200 OK", "text/html", "<html>hello</html>"),
            "not Parallax's JSON",
        ),
        (
            answer("200 OK", "application/json", "{\"schema\":1}"),
            "not Parallax's JSON",
        ),
        (
            answer("200 OK", "application/json", "{\"schema\":2}"),
            "schema 2",
        ),
        (
            answer(
                "400 Bad Request",
                "application/json",
                "{\"error\":\"no vantage\\n\\\"x\\\"\"}",
            ),
            "no vantage",
        ),
        (answer("404 Not Found", "text/html", "<html/>"), "Not Found"),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), "cannot reach"),
        (String::new(), "cannot reach"),
    ] {
        let (url, served) = serve(vec![bad.clone()]);
        let run = parallax(&["resets", "--collector", &url]);
        let line = run.error(1);
        assert!(
            line.contains(expected) && line.contains(&url),
            "{bad}: {line}"
        );
        served.join().unwrap();
    }
}

#[test]
fn filters_become_the_query() {
    let (url, served) = serve(vec![document("")]);
    let run = parallax(&[
        "resets",
        "--since",
        "2026-01-02T03:04:05+01:00",
        "--until",
        "2026-01-03T00:00:00Z",
        "--address",
        "2001:db8::1",
        "--port",
        "80",
        "--vantage",
        "a b&c",
        "--origin",
        "middlebox",
        "--cause",
        "closed_port",
        "--between",
        "fw-out,fw-in",
        "--limit",
        "7",
        "--collector",
        &url,
    ]);
    assert_eq!(run.stdout, "No resets.\n", "{}", run.stderr);
    let asked = served.join().unwrap().remove(0);
    let query = asked
        .strip_prefix("GET /v1/resets?")
        .unwrap()
        .strip_suffix(" HTTP/1.1")
        .unwrap();
    let plain = query.replace("%3A", ":").replace("%2C", ",");
    assert_eq!(
        plain,
        "since=2026-01-02T02:04:05Z&until=2026-01-03T00:00:00Z&address=2001:db8::1&port=80\
         &vantage=a%20b%26c&origin=middlebox&cause=closed_port&between=fw-out,fw-in&limit=7"
    );
}

#[test]
fn the_end_of_an_id_is_looked_up() {
    let two = document(&format!("{},{}", reset(A), reset(B)));
    let explanation = format!(
        "{{\"schema\":1,\"reset\":{},\"sentence\":\"So it was.\",\"ladder\":{{\"columns\":[],\"rows\":[]}}}}",
        reset(B)
    );
    let told = answer("200 OK", "application/json", &explanation);
    let (url, served) = serve(vec![two.clone(), told]);
    let run = parallax(&["explain", "bbbb", "--exit-code", "--collector", &url]);
    assert_eq!((run.code, run.stderr.as_str()), (10, ""));
    assert!(run.stdout.contains("So it was."));
    assert!(served.join().unwrap()[1].starts_with(&format!("GET /v1/resets/{B} ")));

    let (url, _served) = serve(vec![two]);
    let run = parallax(&["explain", "019b", "--collector", &url]);
    assert!(run.error(1).contains("2 resets"));
}

#[test]
fn watch_prints_verdicts_and_comes_back_after_a_break() {
    let stream = |events: &str| {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{events}"
        )
    };
    let events = format!(": hi\n\ndata: {}\n\ndata: nonsense\n\n", reset(A));
    // The third answer ends the program.
    let end = answer("404 Not Found", "application/json", "{\"error\":\"gone\"}");
    let answers = vec![
        stream(&events),
        stream(&format!("data:{}\n\n", reset(B))),
        end,
    ];
    let (url, served) = serve(answers);
    let run = parallax(&["watch", "--collector", &url]);
    served.join().unwrap();
    assert_eq!(run.code, 1);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.stdout);
    assert!(
        lines[0].contains("middlebox between b and a\\u{1b}[2J") && lines[1].ends_with("0000bbbb")
    );
    assert!(
        run.stderr.contains("skipped an event") && run.stderr.contains("again"),
        "{}",
        run.stderr
    );
}

fn policy(segments: &str, vantages: &str) -> String {
    let body = format!("{{\"schema\":1,\"segments\":{segments},\"vantages\":{vantages}}}");
    answer("200 OK", "application/json", &body)
}

#[test]
fn a_policy_is_shown_and_ordered() {
    let (url, served) = serve(vec![
        policy("null", "{}"),
        policy("\"context\"", "{\"fw-in\":\"sampled:1/64\"}"),
    ]);
    let shown = parallax(&["policy", "--collector", &url]);
    assert_eq!(
        (shown.code, shown.stdout.as_str()),
        (0, "all vantages: what each agent was started with\n")
    );
    let ordered = parallax(&[
        "policy",
        "sampled:1/64",
        "--vantage",
        "fw-in",
        "--collector",
        &url,
    ]);
    assert_eq!(
        (ordered.code, ordered.stdout.as_str()),
        (0, "fw-in: sampled:1/64\nall others: context\n")
    );
    let asked = served.join().unwrap();
    assert_eq!(
        asked,
        ["GET /v1/policy HTTP/1.1", "PUT /v1/policy HTTP/1.1"]
    );
}

#[test]
fn a_policy_that_is_none_is_refused_before_anybody_is_asked() {
    for arguments in [
        &["policy", "some"][..],
        &["policy", "sampled:1/0"],
        &["policy", "--vantage", "fw-in"],
    ] {
        let run = parallax(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
        assert!(run.stderr.contains("error: "), "{}", run.stderr);
    }
}

#[test]
fn an_export_is_written_as_it_came_or_says_where_it_could_not() {
    let octets = "\u{1}\u{1b}[31m<b>\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reset.pcapng");
    let file = file.to_str().unwrap();
    let body = || answer("200 OK", "application/octet-stream", octets);
    let (url, served) = serve(vec![body(), body(), body()]);
    let run = parallax(&["export", A, "-o", file, "--collector", &url]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(std::fs::read(file).unwrap(), octets.as_bytes());
    let run = parallax(&[
        "export",
        A,
        "--format",
        "html",
        "-o",
        "-",
        "--collector",
        &url,
    ]);
    assert_eq!(run.stdout, octets);
    let run = parallax(&["export", A, "-o", "/nowhere/reset", "--collector", &url]);
    let line = run.error(1);
    assert!(
        line.contains("/nowhere/reset") && line.contains("-o"),
        "{line}"
    );
    let asked = served.join().unwrap();
    assert!(
        asked[0].contains(&format!("/v1/resets/{A}/export?format=pcapng")),
        "{asked:?}"
    );
    assert!(asked[1].contains("format=html"), "{asked:?}");
}
