//! `parallax export`: a reset's evidence as a file.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use parallax_bundle::keying::{KEY_FILE_MAX, Key};

use crate::args::{BundleArgs, ExportArgs, ExportFormat};
use crate::client::Client;
use crate::explain;
use crate::failure::Failure;
use crate::output::{Finding, Output};

pub fn run(args: &ExportArgs, output: &mut Output) -> Result<Finding, Failure> {
    let client = Client::new(&args.collector)?;
    let id = explain::find(&client, &args.id)?;
    let octets = match &args.key_file {
        Some(file) if args.format == ExportFormat::Bundle => client.bundle(id, &key(file)?)?,
        _ => client.export(id, args.format.as_str())?,
    };
    hand_over(&args.output, &octets, output)
}

/// `parallax bundle`: a connection's evidence, for those who saw its reset.
pub fn bundle(args: &BundleArgs, output: &mut Output) -> Result<Finding, Failure> {
    let client = Client::new(&args.collector)?;
    let ends = [args.one, args.other];
    let octets = client.connection_bundle(ends, args.at, &key(&args.key_file)?)?;
    hand_over(&args.output, &octets, output)
}

fn hand_over(file: &Path, octets: &[u8], output: &mut Output) -> Result<Finding, Failure> {
    if file.as_os_str() == "-" {
        output.octets(octets)?;
    } else {
        write(file, octets).map_err(|source| Failure::WriteFile {
            file: file.to_owned(),
            source,
        })?;
    }
    Ok(Finding::Quiet)
}

/// The key that a key file holds.
pub(crate) fn key(file: &Path) -> Result<[u8; 32], Failure> {
    let octets = read(file, KEY_FILE_MAX as u64 + 1)?;
    Key::of_file(&octets).map_err(|error| Failure::KeyFile {
        file: file.to_owned(),
        error,
    })
}

/// At most so many octets of a file.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let mut octets = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut octets))
        .map_err(|source| Failure::ReadFile {
            file: path.to_owned(),
            source,
        })?;
    Ok(octets)
}

fn write(file: &Path, octets: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(file)?;
    file.write_all(octets)?;
    file.sync_all()
}
