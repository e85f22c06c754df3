//! What docs/OPERATIONS.md and docs/FAULTS.md tell of the database: backup, restore, moving, another primary.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use parallax_core::report::{Document, Origin};
use parallax_tests::analysis::Order;
use parallax_tests::cluster::{Cluster, Door, copy, postgres, run, url};
use parallax_tests::programs::{Programs, Running, wait_for};
use parallax_tests::replay::{Collector, feed, feed_of, free_port};

const ACT: &str = "reject_content_server_talks-v4";

fn lab() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_parallax-lab"))
}

fn programs() -> Programs {
    Programs::in_folder(lab().parent().expect("a program lies in a folder")).expect("programs")
}

/// A folder that the database's user can pass.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new()
        .prefix("parallax-")
        .tempdir()
        .expect("a folder");
    parallax_tests::enclosure::open_to_all(folder.path()).expect("its rights");
    folder
}

/// What every vantage of the lab saw of a forged reset and of one that it caused.
fn captures(out: &Path) -> PathBuf {
    let output = Command::new(lab())
        .args(["record", "--only", ACT, "--out"])
        .arg(out)
        .output()
        .expect("starting the lab");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    out.join(ACT)
}

/// A collector with these further arguments; it and its address.
fn collector(arguments: &[&str], folder: &Path) -> (Running, String) {
    let [grpc, http] = [free_port().unwrap(), free_port().unwrap()];
    let mut command = Command::new(programs().collector());
    command
        .args([
            "serve",
            "--grpc",
            &grpc.to_string(),
            "--http",
            &http.to_string(),
        ])
        .args(["--path", &parallax_tests::lab::path().join(",")])
        .args(arguments);
    let mut running = Running::start("collector", command, folder).expect("a collector");
    let ready = wait_for(Duration::from_mins(1), || {
        running.check()?;
        Ok(running
            .said()
            .contains("parallax-collector ready")
            .then_some(()))
    });
    assert!(ready.expect("it runs").is_some(), "{}", running.said());
    (running, format!("http://{http}"))
}

fn get(url: &str) -> Option<String> {
    let mut answer = ureq::get(url).call().ok()?;
    answer.body_mut().read_to_string().ok()
}

fn document(url: &str) -> Option<Document> {
    serde_json::from_str(&get(&format!("{url}/v1/resets?limit=1000"))?).ok()
}

/// Waits until the same verdicts are told.
fn tells(url: &str, expected: &Document) {
    let mut last = None;
    let same = wait_for(Duration::from_secs(30), || {
        last = document(url).map(|document| document.resets);
        Ok((last.as_ref() == Some(&expected.resets)).then_some(()))
    });
    assert!(
        same.unwrap().is_some(),
        "{last:#?} instead of {:#?}",
        expected.resets
    );
}

#[test]
fn a_backup_restored_elsewhere_and_a_data_directory_that_moved_tell_the_same_verdicts() {
    let work = folder();
    let captures = captures(work.path());
    let first = Collector::start(&programs(), Order::Told).expect("a collector");
    feed(&programs(), &captures, &first.url).expect("feeding");
    let expected = first.settled().expect("verdicts");
    assert!(
        expected
            .resets
            .iter()
            .any(|reset| reset.origin == Origin::Middlebox)
    );
    // While it runs, by its socket.
    let dump = work.path().join("parallax.dump").display().to_string();
    let socket = first.data().join("socket").display().to_string();
    run(postgres("pg_dump")
        .unwrap()
        .args([
            "--format=custom",
            "--host",
            &socket,
            "--username=parallax",
            "--file",
            &dump,
        ])
        .arg("parallax"))
    .expect("a backup");
    let cluster = Cluster::start().expect("a server");
    cluster.create("restored").unwrap();
    run(postgres("pg_restore").unwrap().args([
        "--exit-on-error",
        "--no-owner",
        "--dbname",
        &cluster.url("restored"),
        &dump,
    ]))
    .expect("a restore");
    let (restored, url) = collector(&["--database-url", &cluster.url("restored")], work.path());
    tells(&url, &expected);
    // It goes on: what is fed again is known, what is new is taken in.
    feed(&programs(), &captures, &url).expect("feeding");
    tells_at_least(&url, &expected);
    restored.stop().expect("it stops");
    // The same of a server: dumped, and restored beside.
    let dump = work.path().join("server.dump").display().to_string();
    run(postgres("pg_dump").unwrap().args([
        "--format=custom",
        "--file",
        &dump,
        &cluster.url("restored"),
    ]))
    .unwrap();
    // The directory, of a collector that is stopped.
    let data = first.data();
    let place = first.stop().expect("it stops");
    let moved = work.path().join("moved");
    copy(&data, &moved).expect("a copy");
    drop(place);
    let (moved, url) = collector(&["--data-dir", &moved.display().to_string()], work.path());
    tells(&url, &expected);
    moved.stop().expect("it stops");
}

/// Every verdict that was told is told still.
fn tells_at_least(url: &str, expected: &Document) {
    let now = document(url).expect("an answer");
    for reset in &expected.resets {
        let found = now.resets.iter().find(|known| known.id == reset.id);
        let found = found.unwrap_or_else(|| panic!("{} is gone", reset.id));
        assert_eq!(
            (found.origin, &found.between),
            (reset.origin, &reset.between)
        );
    }
}

#[test]
fn when_the_primary_goes_and_a_standby_answers_in_its_place_nothing_acknowledged_is_lost() {
    let work = folder();
    let captures = captures(work.path());
    let primary = Cluster::start().expect("a server");
    primary.create("parallax").unwrap();
    let standby = primary.standby().expect("a standby");
    let door = Door::open(primary.address()).unwrap();
    let (mut running, at) = collector(
        &["--database-url", &url(door.address, "parallax")],
        work.path(),
    );
    // One side of the firewall before, the other after.
    let before = ["client", "gw-in", "gw-out", "fw-in"];
    feed_of(&programs(), &captures, &at, |name| before.contains(&name)).expect("feeding");
    // Connections that are cut off are made again.
    primary
        .sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'parallax-collector'")
        .unwrap();
    primary.crash().expect("a crash");
    door.lead(None);
    let away = wait_for(Duration::from_secs(30), || {
        Ok(get(&format!("{at}/healthz")).is_none().then_some(()))
    });
    assert!(away.unwrap().is_some(), "it says that all is well");
    running.check().expect("it goes on without a database");
    standby.promote().expect("another primary");
    door.lead(Some(standby.address()));
    let back = wait_for(Duration::from_secs(30), || {
        Ok(get(&format!("{at}/healthz")))
    });
    assert!(back.unwrap().is_some(), "{}", running.said());
    feed_of(&programs(), &captures, &at, |name| !before.contains(&name)).expect("feeding");
    let right = wait_for(Duration::from_secs(30), || {
        let document = document(&at);
        let resets = document.iter().flat_map(|document| &document.resets);
        let place = Some(["fw-out", "fw-in"].map(|name| Some(name.to_owned())));
        let forged =
            resets.filter(|reset| reset.origin == Origin::Middlebox && reset.between == place);
        Ok((forged.count() == 1).then_some(()))
    });
    assert!(right.unwrap().is_some(), "{:#?}", document(&at));
    running.stop().expect("it stops");
}
