//! What the arguments ask for: which vantages, which files, which path.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use parallax_core::{Vantage, VantageKind};

use crate::args::{AnalyzeArgs, Host};
use crate::failure::Failure;

/// The work of one `analyze`.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which the arguments first name them.
    pub stations: Vec<Station>,
    /// Indices into `stations`, client side first.
    pub path: Option<Vec<usize>>,
}

/// A vantage with its capture files.
#[derive(Debug, PartialEq, Eq)]
pub struct Station {
    pub vantage: Vantage,
    pub files: Vec<PathBuf>,
}

impl Plan {
    /// Checks the arguments against each other.
    pub fn of(args: &AnalyzeArgs) -> Result<Self, Failure> {
        let mut stations: Vec<Station> = Vec::new();
        for input in &args.inputs {
            match stations
                .iter_mut()
                .find(|s| s.vantage.name == input.vantage)
            {
                Some(station) => station.files.push(input.file.clone()),
                None => stations.push(Station {
                    vantage: Vantage {
                        name: input.vantage.clone(),
                        kind: VantageKind::Hop,
                    },
                    files: vec![input.file.clone()],
                }),
            }
        }
        each_file_once(&stations)?;
        for host in &args.host {
            make_host(&mut stations, host)?;
        }
        let path = (!args.path.is_empty())
            .then(|| path(&stations, &args.path))
            .transpose()?;
        Ok(Self { stations, path })
    }
}

/// The same packets read twice would look like packets sent twice.
fn each_file_once(stations: &[Station]) -> Result<(), Failure> {
    let mut files: Vec<&Path> = Vec::new();
    for file in stations.iter().flat_map(|station| &station.files) {
        if files.contains(&file.as_path()) {
            let name = if is_stdin(file) {
                "standard input (-)".to_owned()
            } else {
                format!("the file {}", file.display())
            };
            return Err(Failure::Usage(format!("{name} is given twice")));
        }
        files.push(file);
    }
    Ok(())
}

/// Whether this stands for standard input.
pub fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn make_host(stations: &mut [Station], host: &Host) -> Result<(), Failure> {
    let index = index(stations, &host.vantage, "--host")?;
    let kind = &mut stations[index].vantage.kind;
    let mut all: Vec<IpAddr> = match kind {
        VantageKind::Host { addresses } => std::mem::take(addresses),
        VantageKind::Hop => Vec::new(),
    };
    all.extend(&host.addresses);
    all.sort_unstable();
    all.dedup();
    *kind = VantageKind::Host { addresses: all };
    Ok(())
}

fn path(stations: &[Station], names: &[String]) -> Result<Vec<usize>, Failure> {
    let mut path = Vec::new();
    for name in names {
        let index = index(stations, name, "--path")?;
        if path.contains(&index) {
            return Err(Failure::Usage(format!("--path names \"{name}\" twice")));
        }
        path.push(index);
    }
    Ok(path)
}

fn index(stations: &[Station], name: &str, option: &str) -> Result<usize, Failure> {
    stations
        .iter()
        .position(|station| station.vantage.name == name)
        .ok_or_else(|| {
            Failure::Usage(format!(
                "{option} names \"{name}\", but there is no file for it"
            ))
        })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn plan(arguments: &[&str]) -> Result<Plan, String> {
        let cli = Cli::try_parse_from(["parallax", "analyze"].iter().chain(arguments))
            .map_err(|error| error.to_string())?;
        let Command::Analyze(args) = cli.command else {
            return Err("not analyze".to_owned());
        };
        Plan::of(&args).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_name_given_twice_is_one_vantage_with_two_files() {
        let plan = plan(&[
            "--path",
            "s,c",
            "--host",
            "c=192.0.2.1",
            "c=a",
            "s=x",
            "c=b=1",
        ])
        .unwrap();
        assert_eq!(plan.stations.len(), 2);
        assert_eq!(
            plan.stations[0].files,
            [PathBuf::from("a"), PathBuf::from("b=1")]
        );
        assert!(
            plan.stations[0]
                .vantage
                .is_host_of("192.0.2.1".parse().unwrap())
        );
        assert_eq!(plan.stations[1].vantage.kind, VantageKind::Hop);
        assert_eq!(plan.path, Some(vec![1, 0]));
    }

    #[test]
    fn contradictions_are_wrong_usage() {
        for (arguments, expected) in [
            (&["--path", "c,x", "c=a"][..], "\"x\""),
            (&["--path", "c,c", "c=a"], "twice"),
            (&["--host", "x=192.0.2.1", "c=a"], "\"x\""),
            (&["--host", "c=192.0.2", "c=a"], "192.0.2"),
            (&["c=a", "s=a"], "twice"),
            (&["c=-", "s=-"], "twice"),
            (&["client.pcap"], "NAME=FILE"),
            (&["=a"], "name"),
            (&["c="], "NAME=FILE"),
            (&["--explain", "xyz", "c=a"], "hexadecimal"),
            (&[], "NAME=FILE"),
        ] {
            let message = plan(arguments).unwrap_err();
            assert!(message.contains(expected), "{arguments:?}: {message}");
        }
    }
}
