//! `parallax analyze` held against the truth of recorded networks.

use std::path::Path;

use anyhow::{Context, Result};
use parallax_core::report::Document;
use serde::de::DeserializeOwned;

use super::compare::{Hosts, compare};
use super::run::TRUTH_FILE;
use super::truth::Truth;
use crate::analysis::{Order, Question};
use crate::programs::Programs;

/// How much the judge is told.
pub const WAYS: [(Order, Hosts); 4] = [
    (Order::Told, Hosts::Told),
    (Order::Inferred, Hosts::Told),
    (Order::Told, Hosts::Untold),
    (Order::Inferred, Hosts::Untold),
];

/// The truth in a network's folder.
pub fn truth(folder: &Path) -> Result<Truth> {
    read(&folder.join(TRUTH_FILE))
}

/// Reads a JSON file.
pub fn read<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("reading {}", file.display()))
}

/// The verdicts on the captures in a network's folder.
pub fn analyze(
    programs: &Programs,
    folder: &Path,
    truth: &Truth,
    order: Order,
    hosts: Hosts,
) -> Result<Document> {
    let named = truth.vantages.iter();
    let told = named
        .clone()
        .filter(|vantage| hosts == Hosts::Told && !vantage.addresses.is_empty());
    let question = Question {
        path: (order == Order::Told).then(|| truth.path()),
        hosts: told
            .map(|vantage| {
                let addresses = vantage.addresses.iter().map(ToString::to_string);
                (&*vantage.name, addresses.collect::<Vec<_>>().join(","))
            })
            .collect(),
        files: named
            .map(|vantage| {
                (
                    &*vantage.name,
                    folder.join(format!("{}.pcap", vantage.name)),
                )
            })
            .collect(),
    };
    question.ask(programs)
}

/// What is wrong with the verdicts on a recorded network, for every way of asking.
pub fn check(programs: &Programs, folder: &Path) -> Result<Vec<(Order, Hosts, Vec<String>)>> {
    let truth = truth(folder)?;
    WAYS.into_iter()
        .map(|(order, hosts)| {
            let document = analyze(programs, folder, &truth, order, hosts)?;
            Ok((order, hosts, compare(&truth, &document.resets, hosts)))
        })
        .collect()
}
