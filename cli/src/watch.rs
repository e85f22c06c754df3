//! `parallax watch`: verdicts as they come.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use parallax_core::report::ResetReport;

use crate::args::WatchArgs;
use crate::client::{Client, ClientError};
use crate::failure::Failure;
use crate::ids;
use crate::output::{self, Finding, Format, Output};
use crate::plain::plain;
use crate::verdict;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Prints until the process is interrupted. A collector that cannot be reached at first is a
/// failure; one that goes away later is tried again and again.
pub fn run(args: &WatchArgs, output: &mut Output) -> Result<Finding, Failure> {
    let client = Client::new(&args.collector)?;
    let mut stream = client.watch()?;
    loop {
        let ended = print_events(stream, args.format, output)?;
        output::note(&format!(
            "the collector at {} {ended}; verdicts from now until it is back are in `parallax resets`",
            client.url()
        ));
        stream = reconnect(&client)?;
        output::note(&format!("connected to {} again", client.url()));
    }
}

fn reconnect(client: &Client) -> Result<ureq::BodyReader<'static>, Failure> {
    let mut pause = FIRST_PAUSE;
    loop {
        std::thread::sleep(pause);
        match client.watch() {
            Ok(stream) => return Ok(stream),
            Err(ClientError::Unreachable { .. } | ClientError::Refused { status: 500.., .. }) => {}
            Err(error) => return Err(error.into()),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Prints the events of one connection; tells how it ended.
fn print_events(
    stream: impl std::io::Read,
    format: Format,
    output: &mut Output,
) -> Result<String, Failure> {
    let mut failed = None;
    let ended = each_data(stream, |data| match print_event(data, format, output) {
        Ok(()) => true,
        Err(failure) => {
            failed = Some(failure);
            false
        }
    });
    match (failed, ended) {
        (Some(failure), _) => Err(failure),
        (None, Ended::Lost(error)) => Ok(format!("was lost ({error})")),
        (None, _) => Ok("closed the connection".to_owned()),
    }
}

/// How a stream of events ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Closed,
    /// The error in words.
    Lost(String),
    /// Whoever takes the events wants no more.
    ByReader,
}

/// Gives each event's verdict, `None` for what is none, as long as `take` says so.
pub(crate) fn each(
    stream: impl std::io::Read,
    mut take: impl FnMut(Option<ResetReport>) -> bool,
) -> Ended {
    each_data(stream, |data| take(serde_json::from_str(data).ok()))
}

fn each_data(stream: impl std::io::Read, mut take: impl FnMut(&str) -> bool) -> Ended {
    let mut events = Events::default();
    let mut line = Vec::new();
    let mut reader = BufReader::new(stream);
    loop {
        line.clear();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) => return Ended::Closed,
            Ok(_) => {}
            Err(error) => return Ended::Lost(error.to_string()),
        }
        if let Some(data) = events.line(&String::from_utf8_lossy(&line))
            && !take(&data)
        {
            return Ended::ByReader;
        }
    }
}

fn print_event(data: &str, format: Format, output: &mut Output) -> Result<(), Failure> {
    match serde_json::from_str::<ResetReport>(data) {
        Ok(reset) => {
            match format {
                Format::Text => output.text(&line(&reset))?,
                Format::Json => {
                    let json = serde_json::to_string(&reset).map_err(std::io::Error::from)?;
                    output.text(&format!("{json}\n"))?;
                }
            }
            output.flush()?;
        }
        Err(error) => output::note(&format!("skipped an event that is no verdict: {error}")),
    }
    Ok(())
}

/// One verdict in one line.
pub fn line(reset: &ResetReport) -> String {
    let style = verdict::style(reset.origin);
    format!(
        "{}  {}  {}  {style}{}{style:#}  {}  {}  {}\n",
        verdict::time(reset),
        verdict::tuple(reset),
        plain(&verdict::flags(reset)),
        plain(&verdict::words(reset)),
        reset.cause.as_str(),
        verdict::confidence(reset.confidence),
        ids::short_alone(reset.id),
    )
}

/// Lines of server-sent events (WHATWG HTML, 9.2.6) to the data of each event.
#[derive(Debug, Default)]
struct Events {
    data: Option<String>,
}

impl Events {
    /// Takes one line, with or without its end; gives the event's data when the line ends one.
    fn line(&mut self, line: &str) -> Option<String> {
        let line = line.trim_end_matches(['\n', '\r']);
        if line.is_empty() {
            return self.data.take();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_cut_out_of_the_stream() {
        let mut events = Events::default();
        let stream =
            ": hello\n\nevent: reset\ndata: {\"a\":\ndata:1}\r\nid: 7\n\n\ndata: unfinished\n";
        let found: Vec<String> = stream
            .lines()
            .filter_map(|line| events.line(line))
            .collect();
        assert_eq!(found, ["{\"a\":\n1}"]);
    }
}
