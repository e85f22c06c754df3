//! `parallax-agent probe`: whether an agent lives, for containers that have no other program to ask with.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;

/// How long the agent may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Ask a running agent for its numbers; exit status 1 if it does not answer
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  parallax-agent probe --metrics 127.0.0.1:7690")]
pub struct ProbeArgs {
    /// Where it serves them
    #[arg(long, env = "PARALLAX_METRICS", value_name = "ADDR")]
    metrics: SocketAddr,
}

pub fn run(args: &ProbeArgs) -> anyhow::Result<()> {
    let address = args.metrics;
    let asking = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nhost: parallax\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = asking().with_context(|| {
        format!("no agent answers at {address}; start one with --metrics {address}")
    })?;
    if !answer.starts_with("HTTP/1.1 200 ") || !answer.contains("parallax_agent_packets_total") {
        bail!("what answers at {address} is no agent; name its --metrics address");
    }
    Ok(())
}
