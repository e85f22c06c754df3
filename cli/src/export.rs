//! `parallax export`: a reset's evidence as a file.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::args::ExportArgs;
use crate::client::Client;
use crate::explain;
use crate::failure::Failure;
use crate::output::{Finding, Output};

pub fn run(args: &ExportArgs, output: &mut Output) -> Result<Finding, Failure> {
    let client = Client::new(&args.collector)?;
    let id = explain::find(&client, &args.id)?;
    let octets = client.export(id, args.format.as_str())?;
    if args.output.as_os_str() == "-" {
        output.octets(&octets)?;
    } else {
        write(&args.output, &octets).map_err(|source| Failure::WriteFile {
            file: args.output.clone(),
            source,
        })?;
    }
    Ok(Finding::Quiet)
}

fn write(file: &Path, octets: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(file)?;
    file.write_all(octets)?;
    file.sync_all()
}
