//! `parallax doctor` and `--check-config` before real faults, in network namespaces of their own.

use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use parallax_tests::analysis::Order;
use parallax_tests::programs::Programs;
use parallax_tests::replay::Collector;
use serde_json::Value;

fn programs() -> Programs {
    let lab = Path::new(env!("CARGO_BIN_EXE_parallax-lab"));
    Programs::in_folder(lab.parent().expect("a program lies in a folder")).expect("programs")
}

/// What the doctor says in a new namespace after some preparation (shell), and its exit status.
fn doctor(prepare: &str, arguments: &str) -> (Vec<Value>, Option<i32>) {
    let programs = programs();
    let script = format!(
        "{prepare}\nexec $CAPPED {} doctor --format json {arguments}",
        programs.cli().display()
    );
    let folder = programs.cli().parent().expect("a folder").to_owned();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--net",
            "--",
            "sh",
            "-ec",
            &script,
        ])
        .env(
            "PATH",
            format!("{}:{path}:/usr/sbin:/sbin", folder.display()),
        )
        .output()
        .expect("starting unshare");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        panic!(
            "{error}: {} {stderr}",
            String::from_utf8_lossy(&output.stdout)
        )
    });
    let checks = said["checks"].as_array().expect("checks").clone();
    (checks, output.status.code())
}

/// The state of a check and what it says.
fn state<'a>(checks: &'a [Value], what: &str) -> (&'a str, String) {
    let check = checks.iter().find(|check| {
        let named = check["what"].as_str().unwrap_or_default();
        named.starts_with(what)
    });
    let check = check.unwrap_or_else(|| panic!("no check of {what}: {checks:?}"));
    let mend = check["mend"].as_str().unwrap_or_default();
    let found = check["found"].as_str().unwrap_or_default();
    (
        check["state"].as_str().expect("a state"),
        format!("{found} / {mend}"),
    )
}

const PAIR: &str =
    "ip link add one type veth peer name two; ip link set one up; ip link set two up";

#[test]
fn interfaces_that_are_missing_down_or_without_carrier_are_told_with_what_to_do() {
    let (checks, code) = doctor(PAIR, "--interface one");
    assert_eq!(state(&checks, "interface one").0, "fine");
    assert_eq!(state(&checks, "right to capture").0, "fine");
    assert_eq!(state(&checks, "offload of one").0, "fine");
    assert_eq!(code, Some(0), "{checks:?}");
    let (checks, code) = doctor(PAIR, "--interface three");
    let (told, words) = state(&checks, "interface three");
    assert_eq!(told, "wrong");
    assert!(words.contains("one") && words.contains("two"), "{words}");
    assert_eq!(code, Some(1));
    let (checks, code) = doctor(
        "ip link add one type veth peer name two; ip link set two up",
        "--interface one",
    );
    let (told, words) = state(&checks, "interface one");
    assert_eq!(told, "wrong");
    assert!(words.contains("ip link set one up"), "{words}");
    assert_eq!(code, Some(1));
    let half = "ip link add one type veth peer name two; ip link set one up";
    let (checks, code) = doctor(half, "--interface one");
    assert_eq!(state(&checks, "interface one").0, "warning");
    assert_eq!(code, Some(0));
}

#[test]
fn without_the_right_to_capture_it_says_which_is_missing() {
    let drop = format!("{PAIR}; CAPPED='setpriv --bounding-set=-net_raw --inh-caps=-net_raw'");
    let (checks, code) = doctor(&drop, "--interface one");
    let (told, words) = state(&checks, "right to capture");
    assert_eq!(told, "wrong");
    assert!(
        words.contains("CAP_NET_RAW") && words.contains("setcap"),
        "{words}"
    );
    assert_eq!(code, Some(1));
}

#[test]
fn the_clock_is_as_the_kernel_says() {
    let (checks, _) = doctor("", "");
    let (told, words) = state(&checks, "clock");
    // The kernel's word can be read only by the same call; what it means is tested beside it.
    assert_eq!(
        told == "fine",
        words.starts_with("synchronised, off by"),
        "{words}"
    );
    assert_ne!(told, "wrong", "an unkept clock hinders no verdict: {words}");
}

#[test]
fn collectors_and_databases_that_do_not_answer_are_told_apart_from_those_that_do() {
    let collector = Collector::start(&programs(), Order::Inferred).expect("a collector");
    let here = |arguments: &[&str]| {
        let output = Command::new(programs().cli())
            .args(["doctor", "--format", "json"])
            .args(arguments)
            .output()
            .expect("starting the doctor");
        let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (
            said["checks"].as_array().expect("checks").clone(),
            output.status.code(),
        )
    };
    let (checks, code) = here(&["--collector", &collector.url]);
    assert_eq!(state(&checks, "collector").0, "fine");
    assert_eq!(code, Some(0), "{checks:?}");
    collector.stop().expect("a stop");
    let (checks, code) = here(&["--collector", "http://127.0.0.1:9"]);
    let (told, words) = state(&checks, "collector");
    assert_eq!((told, code), ("wrong", Some(1)));
    assert!(
        words.contains("refused") && words.contains("parallax-collector serve"),
        "{words}"
    );
    let (checks, _) = here(&["--database-url", "postgres://parallax@127.0.0.1:9/parallax"]);
    assert_eq!(state(&checks, "database").0, "wrong");
    // Something else listens there.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address");
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let _ = stream.read(&mut [0; 8]);
        let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n");
    });
    let (checks, _) = here(&[
        "--database-url",
        &format!("postgres://parallax@{address}/parallax"),
    ]);
    let (told, words) = state(&checks, "database");
    assert_eq!(told, "wrong");
    assert!(words.contains("no PostgreSQL"), "{words}");
    other.join().expect("the other listener");
}

#[test]
fn a_full_disk_a_forbidden_folder_and_a_wrong_file_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("agent.toml");
    std::fs::write(&file, "vantage = 'a'\n\ninterfaces = ['eth0']\n").expect("a file");
    let (checks, code) = doctor("", &format!("--agent-config {}", file.display()));
    let (told, words) = state(&checks, "configuration");
    assert_eq!((told, code), ("wrong", Some(1)));
    assert!(words.contains("line 3"), "{words}");
    let key = folder.path().join("key.pem");
    std::fs::write(&key, "-----BEGIN PRIVATE KEY-----\n").expect("a file");
    let (checks, code) = doctor("", &format!("--key {0} --certificate {0}", key.display()));
    assert_eq!(state(&checks, "key").0, "warning");
    assert_eq!(state(&checks, "certificate").0, "wrong");
    assert_eq!(code, Some(1));
    let (checks, _) = doctor("", "--state-dir /dev/null/parallax");
    assert_eq!(state(&checks, "state directory").0, "wrong");
    let tmpfs = doctor_on_a_small_disk();
    assert_eq!(state(&tmpfs, "room for state directory").0, "wrong");
}

#[test]
fn a_certificates_days_are_told_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let pki = folder.path().join("pki");
    let made = Command::new(programs().cli())
        .args(["pki", "init"])
        .arg(&pki)
        .status();
    assert!(made.expect("starting parallax").success());
    let (checks, code) = doctor(
        "",
        &format!("--certificate {}", pki.join("collector.pem").display()),
    );
    let (told, words) = state(&checks, "certificate");
    assert_eq!((told, code), ("fine", Some(0)), "{words}");
    assert!(words.starts_with("good until 20"), "{words}");
    // An agent's that nobody renewed, in its state directory.
    let authority =
        parallax_identity::Authority::read(&pki.join("ca.pem"), &pki.join("ca.key")).unwrap();
    let request = parallax_identity::Request::new().unwrap();
    let signed = authority.sign(request.der(), &["fw-in".to_owned()], 1_700_000_000, 3600);
    let identity = folder.path().join("identity");
    std::fs::create_dir(&identity).unwrap();
    std::fs::write(
        identity.join("agent.pem"),
        request.pem_with(&[signed.unwrap()]),
    )
    .unwrap();
    let (checks, code) = doctor("", &format!("--state-dir {}", folder.path().display()));
    let (told, words) = state(&checks, "certificate");
    assert_eq!((told, code), ("wrong", Some(1)));
    assert!(
        words.contains("it expired at 2023-11-14T23:13:20Z; for fw-in")
            && words.contains("parallax token create --vantage fw-in"),
        "{words}"
    );
}

/// With a state directory on a file system of one MiB.
fn doctor_on_a_small_disk() -> Vec<Value> {
    let script = format!(
        "mount -t tmpfs -o size=1m none /mnt; exec {} doctor --format json --state-dir /mnt",
        programs().cli().display()
    );
    let output = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "--",
            "sh",
            "-ec",
            &script,
        ])
        .output()
        .expect("starting unshare");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    said["checks"].as_array().expect("checks").clone()
}

#[test]
fn both_programs_tell_the_settings_in_effect_and_refuse_wrong_ones_with_status_2() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    for (program, command, sample) in [
        (programs().agent(), "run", "agent.toml"),
        (programs().collector(), "serve", "collector.toml"),
    ] {
        let check = |file: &Path| {
            let output = Command::new(&program)
                .args([command, "--check-config", "--config"])
                .arg(file)
                .output();
            output.expect("starting a program")
        };
        let right = check(&root.join(sample));
        let told = String::from_utf8_lossy(&right.stdout).into_owned();
        assert_eq!(right.status.code(), Some(0), "{told}");
        assert!(
            told.contains("  # file") && told.contains("  # default") || sample == "agent.toml",
            "{told}"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("wrong.toml");
        std::fs::write(&file, "\nnonsense = 1\n").expect("a file");
        let wrong = check(&file);
        assert_eq!(wrong.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&wrong.stderr).contains("line 2"));
    }
}
