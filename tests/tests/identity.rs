//! Who may come in, with the real programs: each refusal has its status and a row of the audit.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use parallax_core::report::admin::{AuditDocument, AuditEntry};
use parallax_identity::{Authority, Request};
use parallax_tests::captures::made_up;
use parallax_tests::programs::{Programs, Running, wait_for};
use parallax_tests::replay::free_port;

fn programs() -> Programs {
    let lab = Path::new(env!("CARGO_BIN_EXE_parallax-lab"));
    Programs::in_folder(lab.parent().expect("a program lies in a folder")).expect("programs")
}

/// A folder that the database's user can pass.
fn folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("parallax-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .expect("a folder")
}

/// A collector with TLS, its authority, and a viewer.
struct Stage {
    running: Running,
    folder: PathBuf,
    grpc: String,
    http: String,
}

impl Stage {
    fn start(more: &[&str]) -> Self {
        let folder = folder().keep();
        let pki = folder.join("pki");
        ok(Command::new(programs().cli())
            .args(["pki", "init"])
            .arg(&pki));
        let [grpc, http] = [free_port().unwrap(), free_port().unwrap()];
        let mut command = Command::new(programs().collector());
        command
            .args(["serve", "--grpc", &grpc.to_string()])
            .args(["--http", &http.to_string(), "--pki"])
            .arg(&pki)
            .arg("--data-dir")
            .arg(folder.join("data"))
            .args(more);
        let mut running = Running::start("collector", command, &folder).expect("a collector");
        let up = wait_for(Duration::from_secs(30), || {
            running.check()?;
            Ok(running
                .said()
                .contains("parallax-collector ready")
                .then_some(()))
        });
        assert!(up.expect("it runs").is_some(), "{}", running.said());
        Self {
            running,
            folder,
            grpc: format!("https://{grpc}"),
            http: format!("http://{http}"),
        }
    }

    fn pki(&self, name: &str) -> PathBuf {
        self.folder.join("pki").join(name)
    }

    /// The CLI, over plain HTTP from this machine.
    fn cli(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(programs().cli());
        command
            .args(arguments)
            .args(["--collector", &self.http])
            .env_remove("PARALLAX_TOKEN");
        command
    }

    fn token(&self, vantage: &str) -> String {
        let made = ok(&mut self.cli(&["token", "create", "--vantage", vantage]));
        made.trim().to_owned()
    }

    fn enrol(&self, token: &str, into: &Path) -> Output {
        Command::new(programs().cli())
            .args(["enroll", "--token", token, "--collector", &self.grpc])
            .arg("--identity")
            .arg(into)
            .output()
            .expect("starting parallax")
    }

    /// An agent's identity for one vantage.
    fn identity(&self, vantage: &str) -> PathBuf {
        let into = self.folder.join(format!("identity-{vantage}"));
        let output = self.enrol(&self.token(vantage), &into);
        assert!(output.status.success(), "{}", said(&output));
        into
    }

    /// A file with one packet, through an agent with these further arguments.
    fn replay(&self, vantage: &str, arguments: &[&str]) -> Output {
        let file = self.folder.join("one.pcap");
        made_up(&file).expect("a capture");
        Command::new(programs().agent())
            .args(["replay", "--vantage", vantage, "--connect-timeout", "1"])
            .args(["--collector", &self.grpc, "--file"])
            .arg(file)
            .args(arguments)
            .output()
            .expect("starting parallax-agent")
    }

    fn audit(&self) -> Vec<AuditEntry> {
        let json = ok(&mut self.cli(&["audit", "--format", "json"]));
        let document: AuditDocument = serde_json::from_str(&json).expect("the audit");
        document.entries
    }

    /// Waits for a refusal in the audit whose reason has these words.
    fn refusal(&self, words: &str) -> AuditEntry {
        let found = wait_for(Duration::from_secs(5), || {
            let entries = self.audit().into_iter();
            let refused = entries.filter(|entry| entry.outcome == "refused");
            let mut about = refused.filter(|entry| entry.reason.contains(words));
            Ok(about.next())
        });
        found.unwrap().unwrap_or_else(|| {
            panic!("no refusal says {words:?}: {:#?}", self.audit());
        })
    }

    /// Status of a request with these headers.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> u16 {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .build();
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.http))
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_owned()).unwrap();
        config.new_agent().run(request).unwrap().status().as_u16()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn ok(command: &mut Command) -> String {
    let output = command.output().expect("starting a program");
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).expect("text")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Now, in seconds since the epoch.
fn now() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "certificates are good by the real clock"
    )]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// A certificate with its key in one file, signed by the authority in `pki` `ago` seconds before now.
fn signed(pki: &Path, into: &Path, (ago, life): (u64, u64)) {
    let authority = Authority::read(&pki.join("ca.pem"), &pki.join("ca.key")).unwrap();
    let request = Request::new().unwrap();
    let vantages = ["fw-in".to_owned()];
    let signed = authority.sign(request.der(), &vantages, now() - ago, life);
    let chain = [signed.unwrap(), authority.certificate().to_vec()];
    std::fs::write(into, request.pem_with(&chain)).unwrap();
}

#[test]
fn an_agent_writes_for_the_vantages_that_its_certificate_names_and_nobody_else_writes() {
    let stage = Stage::start(&[]);
    let identity = stage.identity("fw-in");
    let with = ["--identity", text(&identity)];
    let output = stage.replay("fw-in", &with);
    assert!(output.status.success(), "{}", said(&output));

    let output = stage.replay("client", &with);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("not the vantage"),
        "{}",
        said(&output)
    );
    let row = stage.refusal("not the vantage");
    assert_eq!((&*row.who, &*row.object), ("certificate:fw-in", "client"));

    let authority = stage.pki("ca.pem");
    let trust = ["--tls-ca", text(&authority)];
    let output = stage.replay("fw-in", &trust);
    assert!(
        said(&output).contains("no certificate was shown"),
        "{}",
        said(&output)
    );
    stage.refusal("no certificate was shown");

    // TLS 1.3: the connection seems to stand, the first call fails.
    let other = stage.folder.join("other");
    ok(Command::new(programs().cli())
        .args(["pki", "init"])
        .arg(&other));
    let own = stage.folder.join("own.pem");
    for (pki, times, alert, reason) in [
        (&other, (0, 3600), "UnknownCA", "UnknownIssuer"),
        (
            &stage.folder.join("pki"),
            (7200, 3600),
            "CertificateExpired",
            "expired",
        ),
    ] {
        signed(pki, &own, times);
        let file = text(&own);
        let more = ["--tls-cert", file, "--tls-key", file, trust[0], trust[1]];
        let output = stage.replay("fw-in", &more);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(alert), "{alert}: {}", said(&output));
        let row = stage.refusal(reason);
        assert_eq!(&*row.act, "connect");
    }
}

#[test]
fn a_token_enrols_once_and_only_where_its_authority_is() {
    let stage = Stage::start(&[]);
    let token = stage.token("fw-in");
    let first = stage.enrol(&token, &stage.folder.join("first"));
    assert!(first.status.success(), "{}", said(&first));
    let key = std::fs::metadata(stage.folder.join("first/agent.pem")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&key.permissions());
    assert_eq!(mode & 0o777, 0o600);

    let again = stage.enrol(&token, &stage.folder.join("again"));
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("was used before"), "{}", said(&again));
    stage.refusal("was used before");
    assert!(!stage.folder.join("again/agent.pem").exists());

    let (head, fingerprint) = token.rsplit_once('_').unwrap();
    let unknown = format!("plxe_{}_{fingerprint}", "0".repeat(48));
    assert!(said(&stage.enrol(&unknown, &stage.folder.join("x"))).contains("not known"));
    stage.refusal("the token is not known here");
    let elsewhere = format!("{head}_{}", "0".repeat(64));
    let output = stage.enrol(&elsewhere, &stage.folder.join("x"));
    assert!(said(&output).contains("UnknownIssuer"), "{}", said(&output));
    let done = stage
        .audit()
        .into_iter()
        .filter(|row| row.outcome == "done");
    let acts: Vec<String> = done.map(|row| row.act).collect();
    assert_eq!(acts, ["enrol", "make a token"]);
}

#[test]
fn people_do_what_their_role_lets_them_and_other_sites_do_nothing() {
    const WANTED: &str = "{\"segments\":\"all\"}";
    let stage = Stage::start(&["--trusted-proxy", "127.0.0.2"]);
    let add = |name: &str, role: &str| {
        ok(Command::new(programs().collector())
            .args(["user", "add", name, "--role", role, "--data-dir"])
            .arg(stage.folder.join("data")))
        .trim()
        .to_owned()
    };
    let [viewer, operator, admin] = [("vera", "viewer"), ("oleg", "operator"), ("anna", "admin")]
        .map(|(name, role)| format!("Bearer {}", add(name, role)));
    let put = |headers: &[(&str, &str)]| stage.ask("PUT", "/v1/policy", headers, WANTED);
    let get = |path: &str, token: &str| stage.ask("GET", path, &[("authorization", token)], "");

    assert_eq!(get("/v1/resets", &viewer), 200);
    assert_eq!(put(&[("authorization", &viewer)]), 403);
    let row = stage.refusal("needs the role operator");
    assert_eq!((&*row.who, &*row.act), ("user:vera", "PUT /v1/policy"));
    assert_eq!(put(&[("authorization", &operator)]), 200);
    assert_eq!(get("/v1/audit", &operator), 403);
    stage.refusal("needs the role admin");
    assert_eq!(get("/v1/audit", &admin), 200);
    assert_eq!(get("/", "Bearer plxu_wrong"), 401);
    stage.refusal("the token is not known");

    for cross in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://elsewhere.example"),
    ] {
        assert_eq!(put(&[("authorization", &operator), cross]), 403);
        assert_eq!(put(&[cross]), 403);
    }
    let row = stage.refusal("another site's page");
    assert!(row.count >= 2, "{row:?}");
    let own = stage.http.clone();
    assert_eq!(
        put(&[("origin", &own), ("sec-fetch-site", "same-origin")]),
        200
    );
    // A name that was made to lead here.
    let rebound = [
        ("host", "elsewhere.example"),
        ("origin", "http://elsewhere.example"),
    ];
    assert_eq!(put(&rebound), 403);

    assert_eq!(
        stage.ask(
            "DELETE",
            "/v1/people/vera",
            &[("authorization", &admin)],
            ""
        ),
        200
    );
    assert_eq!(get("/v1/resets", &viewer), 401);
    let acts = stage
        .audit()
        .into_iter()
        .filter(|row| row.who == "user:anna");
    assert!(acts.map(|row| row.act).any(|act| act == "remove a person"));
}

#[test]
fn certificates_change_while_the_programs_run() {
    let stage = Stage::start(&[]);
    let identity = stage.folder.join("identity");
    std::fs::create_dir(&identity).unwrap();
    std::fs::copy(stage.pki("ca.pem"), identity.join("ca.pem")).unwrap();
    let own = identity.join("agent.pem");
    // Two thirds of its life are over.
    signed(&stage.folder.join("pki"), &own, (0, 60));
    let before = std::fs::read(&own).unwrap();
    ok(Command::new(programs().cli())
        .args(["pki", "server"])
        .arg(stage.folder.join("pki"))
        .args(["--name", "another.example"]));
    let mut command = Command::new(programs().agent());
    command
        .args([
            "run",
            "--vantage",
            "fw-in",
            "--interface",
            "lo",
            "--memory=1",
            "--recall-memory=1",
        ])
        .args(["--collector", &stage.grpc, "--identity"])
        .arg(&identity);
    let mut agent = Running::start("agent", command, &stage.folder).expect("an agent");
    let renewed = wait_for(Duration::from_secs(20), || {
        agent.check()?;
        Ok((std::fs::read(&own)? != before).then_some(()))
    });
    assert!(renewed.unwrap().is_some(), "{}", agent.said());
    assert!(
        stage.running.said().contains("read anew"),
        "{}",
        stage.running.said()
    );
    agent.stop().expect("it stops");
    let output = stage.replay("fw-in", &["--identity", text(&identity)]);
    assert!(output.status.success(), "{}", said(&output));
}

/// A network of its own, with one address that is not a loopback's.
const AWAY: &str = "ip link set lo up && ip addr add 192.0.2.1/32 dev lo && exec \"$0\" \"$@\"";

#[test]
fn other_machines_are_let_in_plain_only_where_nothing_better_is_set_up() {
    let folder = folder();
    let pki = folder.path().join("pki");
    ok(Command::new(programs().cli())
        .args(["pki", "init", "--name", "192.0.2.1"])
        .arg(&pki));
    let serve = |more: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["--net", "sh", "-c", AWAY])
            .arg(programs().collector())
            .args([
                "serve",
                "--grpc",
                "192.0.2.1:7600",
                "--http",
                "192.0.2.1:7680",
                "--data-dir",
            ])
            .arg(folder.path().join("data"))
            .args(more);
        command
    };
    let output = serve(&["--require-identity"]).output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(1),
        "needs root: {}",
        said(&output)
    );
    assert!(said(&output).contains("--pki"), "{}", said(&output));

    let file = folder.path().join("one.pcap");
    made_up(&file).expect("a capture");
    let run = |more: &[&str], scheme: &str| {
        let mut running = Running::start("collector", serve(more), folder.path()).unwrap();
        let up = wait_for(Duration::from_secs(30), || {
            running.check()?;
            Ok(running
                .said()
                .contains("parallax-collector ready")
                .then_some(()))
        });
        assert!(up.unwrap().is_some(), "{}", running.said());
        let within = |program: PathBuf| {
            let mut command = Command::new("nsenter");
            command
                .arg(format!("--net=/proc/{}/ns/net", running.pid()))
                .arg(program);
            command
        };
        let mut command = within(programs().agent());
        command
            .args([
                "replay",
                "--vantage",
                "a",
                "--connect-timeout",
                "1",
                "--file",
            ])
            .arg(&file)
            .args(["--collector", &format!("{scheme}://192.0.2.1:7600")]);
        let replayed = command.output().unwrap();
        let mut command = within(programs().cli());
        command.args(["audit", "--collector", "http://192.0.2.1:7680"]);
        let audit = command.output().unwrap();
        let log = running.said();
        running.stop().expect("it stops");
        (replayed, audit, log)
    };
    let (replayed, audit, log) = run(&[], "http");
    assert!(replayed.status.success(), "{}", said(&replayed));
    assert!(
        said(&replayed).contains("without TLS"),
        "{}",
        said(&replayed)
    );
    assert!(
        log.contains("192.0.2.1:7600 is open to other machines without TLS"),
        "{log}"
    );
    assert!(
        said(&audit).contains("needs the role admin"),
        "{}",
        said(&audit)
    );

    let with = ["--pki", text(&pki)];
    let (replayed, audit, _) = run(&with, "http");
    assert!(
        said(&replayed).contains("speaks TLS only"),
        "{}",
        said(&replayed)
    );
    assert!(said(&audit).contains("speaks TLS only"), "{}", said(&audit));
    let (replayed, _, log) = run(&["--insecure-plaintext", with[0], with[1]], "http");
    assert!(replayed.status.success(), "{}", said(&replayed));
    assert!(log.contains("--insecure-plaintext says"), "{log}");
}
