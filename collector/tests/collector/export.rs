//! Files to hand over: tshark reads the packets without complaint, the report needs nothing else.

use std::process::Command;

use parallax_core::report::{Document, Explanation};

use crate::agent::{Agent, hello};
use crate::digests::{ACK, EPOCH, refused, segment, tuple};
use crate::server::{Collector, database};

/// A collector with one refused connection, seen at two vantages; the second's name is markup.
async fn with_reset() -> (Collector, String) {
    let collector = Collector::with_path(database().await, &["client", "<server>"]).await;
    for (run, vantage) in [(1, "client"), (2, "<server>")] {
        let (mut agent, _) = Agent::connect(&collector, hello(vantage, run))
            .await
            .unwrap();
        let mut digests = refused(40000, i64::from(run));
        let mut data = segment(tuple(40000), 5, ACK, 1001, 1);
        data.payload_len = 1_200;
        data.options.mss = Some(1460);
        digests.push(data);
        agent.send(0, &digests).await;
        agent
            .beat(EPOCH - 1_000_000_000, EPOCH + 1_000_000_000, 3)
            .await;
        agent.committed(3).await;
    }
    for _ in 0..400 {
        let (_, body) = collector.get("/v1/resets").await;
        let found: Document = serde_json::from_str(&body).unwrap();
        if let Some(reset) = found.resets.iter().find(|reset| reset.seen_at.len() == 2) {
            return (collector, reset.id.to_string());
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the reset was not judged");
}

/// The octets of an answer.
async fn file(collector: &Collector, path: &str) -> Vec<u8> {
    let url = format!("{}{path}", collector.url());
    tokio::task::spawn_blocking(move || {
        ureq::get(&url)
            .call()
            .unwrap()
            .body_mut()
            .read_to_vec()
            .unwrap()
    })
    .await
    .unwrap()
}

/// What tshark says of a file; it must have nothing to complain of.
fn tshark(file: &std::path::Path, arguments: &[&str]) -> String {
    let output = Command::new("tshark")
        .arg("-r")
        .arg(file)
        .args(arguments)
        .output()
        .expect("the package tshark is needed (tests/packages)");
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    let complaints: Vec<&str> = complaints
        .lines()
        .filter(|line| !line.contains("Running as user"))
        .collect();
    assert!(
        output.status.success() && complaints.is_empty(),
        "{complaints:?}"
    );
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn wireshark_reads_one_interface_per_vantage_with_the_verdict_as_comment() {
    let (collector, id) = with_reset().await;
    let octets = file(&collector, &format!("/v1/resets/{id}/export?format=pcapng")).await;
    let (_, body) = collector.get(&format!("/v1/resets/{id}")).await;
    let explanation: Explanation = serde_json::from_str(&body).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reset.pcapng");
    std::fs::write(&path, octets).unwrap();
    let fields = [
        "-T",
        "fields",
        "-e",
        "frame.interface_name",
        "-e",
        "tcp.flags.reset",
        "-e",
        "frame.len",
        "-e",
        "frame.cap_len",
        "-e",
        "frame.comment",
    ];
    let packets = tshark(&path, &fields);
    let rows: Vec<Vec<&str>> = packets
        .lines()
        .filter(|line| line.contains('\t'))
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(rows.len(), 6, "{packets}");
    for vantage in ["client", "<server>"] {
        let here: Vec<&Vec<&str>> = rows.iter().filter(|row| row[0] == vantage).collect();
        assert_eq!(here.len(), 3, "{packets}");
        let reset = here
            .iter()
            .find(|row| row[1] == "1" || row[1] == "True")
            .unwrap();
        assert!(reset[4].starts_with(&explanation.sentence), "{packets}");
        let data = here.iter().find(|row| row[2] == "1244").unwrap();
        assert_eq!(
            (data[3], data[4]),
            ("44", ""),
            "the length is true, the payload absent"
        );
    }
    let odd = tshark(
        &path,
        &[
            "-Y",
            "_ws.malformed || ip.checksum.status == 0 || _ws.expert.severity == error",
            "-o",
            "ip.check_checksum:TRUE",
        ],
    );
    assert_eq!(odd, "");
    let summary = Command::new("capinfos")
        .arg(&path)
        .output()
        .expect("capinfos comes with tshark");
    let summary = String::from_utf8_lossy(&summary.stdout).into_owned();
    assert!(
        summary.contains("Number of interfaces in file: 2"),
        "{summary}"
    );
    assert!(summary.contains(&explanation.sentence), "{summary}");
    collector.stop().await;
}

#[tokio::test]
async fn a_report_needs_nothing_else_and_names_stay_text() {
    let (collector, id) = with_reset().await;
    let octets = file(&collector, &format!("/v1/resets/{id}/export?format=html")).await;
    let html = String::from_utf8(octets).unwrap();
    assert!(
        html.contains("class=\"ladder\"") && html.contains("&#60;server&#62;"),
        "{html}"
    );
    for outside in ["<server>", "src=", "<link", "<script", "@import", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
    let chinese = file(
        &collector,
        &format!("/v1/resets/{id}/export?format=html&lang=zh"),
    )
    .await;
    assert!(String::from_utf8(chinese).unwrap().contains("证据"));
    let json = file(&collector, &format!("/v1/resets/{id}/export?format=json")).await;
    let told: Explanation = serde_json::from_slice(&json).unwrap();
    assert_eq!(told.reset.id.to_string(), id);
    let (status, body) = collector
        .get(&format!("/v1/resets/{id}/export?format=doc"))
        .await;
    assert!(
        status == 400 && body.contains("pcapng, html or json"),
        "{body}"
    );
    collector.stop().await;
}
