//! `parallax pki`: the authority of an installation; `parallax enroll`: an agent's identity.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use jiff::Timestamp;
use parallax_agent::enrol;
use parallax_identity::{Authority, files};

use crate::args::{EnrollArgs, PkiAct, PkiServerArgs};
use crate::failure::Failure;
use crate::output::{Finding, Output};
use crate::plain::plain;

pub fn run(act: &PkiAct, output: &mut Output) -> Result<Finding, Failure> {
    match act {
        PkiAct::Init(args) => {
            let authority = Authority::create(&args.folder, now())?;
            server(&authority, args)?;
            output.text(&made(
                &args.folder,
                "an authority and the collector's certificate",
            ))?;
        }
        PkiAct::Server(args) => {
            let authority = Authority::read(
                &args.folder.join(files::CA),
                &args.folder.join(files::CA_KEY),
            )?;
            server(&authority, args)?;
            output.text(&made(&args.folder, "another certificate of the collector"))?;
        }
    }
    Ok(Finding::Quiet)
}

fn server(authority: &Authority, args: &PkiServerArgs) -> Result<(), Failure> {
    let mut names = args.name.clone();
    let own: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    names.push("localhost".to_owned());
    names.extend(own.map(|address| address.to_string()));
    authority.write_server(&args.folder, &names, now())?;
    Ok(())
}

fn made(folder: &Path, what: &str) -> String {
    let mut text = String::new();
    let folder = folder.display();
    let _ = writeln!(text, "{folder} has {what}.");
    let _ = writeln!(
        text,
        "Keep {} safe: who has it can speak for any vantage.",
        files::CA_KEY
    );
    let _ = writeln!(text, "Next: parallax-collector serve --pki {folder}");
    text
}

pub fn enroll(args: &EnrollArgs, output: &mut Output) -> Result<Finding, Failure> {
    let bearer = enrol::enroll(args.collector.as_str(), &args.token, &args.identity)?;
    let until = Timestamp::from_second(bearer.until).unwrap_or_default();
    let vantages: Vec<String> = bearer.vantages.iter().map(|name| plain(name)).collect();
    output.text(&format!(
        "enrolled for {} until {until}; the agent renews it by itself: parallax-agent run --identity {} …\n",
        vantages.join(", "),
        args.identity.display()
    ))?;
    Ok(Finding::Quiet)
}

fn now() -> u64 {
    u64::try_from(crate::when::now().as_second()).unwrap_or(0)
}
