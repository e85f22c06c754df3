//! A real Prometheus reads a collector's numbers from another address: over TLS, with a token, as docs/SECURITY.md says.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use parallax_tests::programs::{Programs, Running, wait_for};

/// A network of its own, with one address that is not a loopback's.
const AWAY: &str = "ip link set lo up && ip addr add 192.0.2.1/32 dev lo && exec \"$0\" \"$@\"";
const START: Duration = Duration::from_secs(30);

fn ok(command: &mut Command) -> String {
    let output = command.output().expect("starting a program");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).expect("text")
}

/// A collector in a network of its own, and a Prometheus beside it.
struct Stage {
    folder: tempfile::TempDir,
    programs: Programs,
    collector: Running,
}

impl Stage {
    fn set() -> Self {
        let lab = Path::new(env!("CARGO_BIN_EXE_parallax-lab"));
        let programs = Programs::in_folder(lab.parent().expect("a program lies in a folder"));
        let programs = programs.expect("programs");
        // The database's user must pass.
        let folder = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir()
            .expect("a folder");
        let pki = folder.path().join("pki");
        ok(Command::new(programs.cli())
            .args(["pki", "init", "--name", "192.0.2.1"])
            .arg(&pki));
        let mut command = Command::new("unshare");
        command
            .args(["--net", "sh", "-c", AWAY])
            .arg(programs.collector())
            .args(["serve", "--require-identity", "--grpc", "", "--pki"])
            .arg(pki)
            .args(["--http", "192.0.2.1:7680", "--data-dir"])
            .arg(folder.path().join("data"));
        let mut collector = Running::start("collector", command, folder.path()).expect("unshare");
        let up = wait_for(START, || {
            collector.check()?;
            let ready = collector.said().contains("parallax-collector ready");
            Ok(ready.then_some(()))
        });
        assert!(up.expect("needs root").is_some(), "{}", collector.said());
        Self {
            folder,
            programs,
            collector,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn within(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        let network = format!("--net=/proc/{}/ns/net", self.collector.pid());
        command.arg(network).arg(program);
        command
    }

    /// A viewer's token, in a file.
    fn viewer(&self) {
        let mut command = Command::new(self.programs.collector());
        command
            .args([
                "user",
                "add",
                "prometheus",
                "--role",
                "viewer",
                "--data-dir",
            ])
            .arg(self.file("data"));
        std::fs::write(self.file("token"), ok(&mut command).trim()).expect("a token's file");
    }

    /// Prometheus, reading in three ways: as told, without a token, without the authority.
    fn prometheus(&self) -> Running {
        let folder = self.folder.path().display();
        let job = |name: &str, more: &str| {
            format!(
                "  - job_name: {name}\n    scheme: https\n    static_configs: [{{targets: [\"192.0.2.1:7680\"]}}]\n{more}"
            )
        };
        let token = format!("    authorization: {{credentials_file: {folder}/token}}\n");
        let authority = format!("    tls_config: {{ca_file: {folder}/pki/ca.pem}}\n");
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n{}{}{}",
            job("parallax-collector", &format!("{token}{authority}")),
            job("nobody", &authority),
            job("credulous", &token)
        );
        std::fs::write(self.file("prometheus.yml"), config).expect("a configuration");
        let mut command = self.within("prometheus");
        command
            .arg("--config.file")
            .arg(self.file("prometheus.yml"))
            .arg("--storage.tsdb.path")
            .arg(self.file("prometheus"))
            .args(["--web.listen-address", "127.0.0.1:9090"]);
        Running::start("prometheus", command, self.folder.path())
            .expect("the package prometheus (tests/packages)")
    }

    /// What Prometheus answers, a line a series.
    fn query(&self, query: &str) -> Option<String> {
        let mut command = self.within("promtool");
        command.args(["query", "instant", "http://127.0.0.1:9090", query]);
        let output = command.output().expect("promtool");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success() && !said.trim().is_empty()).then_some(said)
    }
}

#[test]
fn prometheus_reads_over_tls_with_a_token_and_nobody_without() {
    let stage = Stage::set();
    stage.viewer();
    let mut prometheus = stage.prometheus();
    let read = wait_for(START, || {
        prometheus.check()?;
        Ok(stage.query("parallax_database_up == 1"))
    });
    let read = read.expect("Prometheus runs");
    assert!(read.is_some(), "{}", prometheus.said());
    let jobs = wait_for(START, || {
        let up = stage.query("up").unwrap_or_default();
        Ok((up.lines().count() == 3).then_some(up))
    });
    let jobs = jobs.expect("Prometheus answers").expect("three jobs");
    for (job, up) in [("parallax-collector", 1), ("nobody", 0), ("credulous", 0)] {
        let line = jobs
            .lines()
            .find(|line| line.contains(&format!("job=\"{job}\"")));
        let line = line.unwrap_or_else(|| panic!("{job}: {jobs}"));
        assert!(line.contains(&format!("=> {up} @")), "{line}");
    }
    prometheus.stop().expect("it stops");
}
