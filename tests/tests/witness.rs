//! The kernel witness on this kernel, live: needs root, since it reads the kernel's trace.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use parallax_core::report::{Cause, Origin, ResetReport};
use parallax_tests::built::Built;
use parallax_tests::networks::check::read;
use parallax_tests::networks::run::{LIVE_FILE, Live};
use parallax_tests::networks::witness::REASONS;

/// What came of one run that all tests of this process share.
struct Stage {
    folder: PathBuf,
    /// Trace instances of agents before the run and after it.
    instances: [Vec<OsString>; 2],
}

/// Plays every network of witnesses once.
fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let before = instances();
        assert!(
            nix::unistd::geteuid().is_root(),
            "the kernel's trace is for root only: run this test as root"
        );
        let built = Built::new(env!("CARGO_BIN_EXE_parallax-lab")).expect("the programs");
        let folder = built.folder("witness");
        let arguments = ["networks", "--play-only", "--live", "--only", "witness_"];
        built.run(&arguments, &folder).expect("the run");
        Stage {
            folder,
            instances: [before, instances()],
        }
    })
}

fn instances() -> Vec<OsString> {
    let folder = std::fs::read_dir("/sys/kernel/tracing/instances");
    let names = folder.into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with("parallax-"))
        .collect()
}

fn live(network: &str) -> Live {
    read(&stage().folder.join(network).join(LIVE_FILE)).expect("the live verdicts")
}

/// What the kernel said of a reset.
fn testimony(reset: &ResetReport) -> String {
    let said = reset.evidence.iter();
    let said = said.filter(|evidence| evidence.kind == "kernel_witness");
    said.map(|evidence| &*evidence.text)
        .collect::<Vec<_>>()
        .join("; ")
}

#[test]
fn every_reset_of_a_kernel_has_the_kernels_own_reason() {
    let live = live("witness_reasons");
    assert_eq!(live.wrong, [""; 0]);
    for (port, reason) in REASONS {
        let resets = live.document.resets.iter();
        let reset = resets
            .filter(|reset| [reset.sport, reset.dport].contains(&port))
            .find(|_| true)
            .unwrap_or_else(|| panic!("no reset at port {port}"));
        let said = testimony(reset);
        assert!(
            said.contains(&format!("for the reason {reason}")),
            "{port}: {said}"
        );
        assert!(reset.confidence >= 0.999, "{port}: {}", reset.confidence);
    }
}

#[test]
fn a_forgery_from_the_bridge_between_a_container_and_its_host_is_proven_by_the_kernels_silence() {
    let live = live("witness_forgery");
    assert_eq!(live.wrong, [""; 0]);
    let forged = live.document.resets.iter();
    let forged: Vec<_> = forged
        .filter(|reset| reset.origin == Origin::Middlebox)
        .collect();
    assert_eq!(forged.len(), 2);
    for reset in forged {
        assert!(testimony(reset).contains("did not send it"));
        assert!(reset.confidence >= 0.999, "{}", reset.confidence);
        // The client's kernel says that it believed it.
        assert!(
            testimony(reset).contains("accepted it"),
            "{}",
            testimony(reset)
        );
    }
}

#[test]
fn the_hosts_own_packet_filter_is_no_forger_and_no_tcp() {
    let live = live("witness_firewall");
    assert_eq!(live.wrong, [""; 0]);
    assert_eq!(live.document.resets.len(), 2);
    for reset in &live.document.resets {
        assert_eq!(reset.cause, Cause::HostFirewallReject);
        assert!(testimony(reset).contains("did not send it by its TCP"));
    }
}

#[test]
fn no_trace_instance_is_left_behind() {
    let [before, after] = &stage().instances;
    let left: Vec<_> = after.iter().filter(|name| !before.contains(name)).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Starts an agent as process 1 or so of a PID namespace, and ends it once it has had a second to listen.
const APART: &str = r#"
"$0" run --vantage apart --host 127.0.0.1 --interface lo --witness on --collector http://127.0.0.1:9 &
sleep 1; kill -INT $!; sleep 0.2; kill -INT $!; wait $!"#;

#[test]
fn agents_that_start_together_in_pid_namespaces_of_their_own_all_get_a_witness() {
    // The stage counts instances: none of these agents may stand then.
    stage();
    let lab = Path::new(env!("CARGO_BIN_EXE_parallax-lab"));
    let agent = lab.with_file_name("parallax-agent");
    for _ in 0..3 {
        let agents: Vec<_> = (0..6)
            .map(|number| {
                Command::new("unshare")
                    .args([
                        "--pid",
                        "--fork",
                        "--kill-child",
                        "--mount-proc",
                        "sh",
                        "-c",
                    ])
                    // Another number for each: the same one would find its name taken.
                    .arg(format!(
                        "for _ in $(seq {number}); do true & wait; done{APART}"
                    ))
                    .arg(&agent)
                    .stderr(Stdio::piped())
                    .spawn()
                    .expect("starting unshare")
            })
            .collect();
        for agent in agents {
            let output = agent.wait_with_output().expect("what an agent said");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("kernel witness: Linux"), "{said}");
        }
    }
}
