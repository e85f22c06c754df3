//! Metrics, dashboard and alert rules before the programs as they run, and the documentation beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use parallax_tests::built::Built;
use parallax_tests::monitoring::{MONITORING_FILE, Outcome, PAGES, ops};

/// Type and labels of metrics, by name.
type Metrics = BTreeMap<String, (String, BTreeSet<String>)>;

#[test]
fn every_query_of_dashboard_and_alerts_is_answered_and_every_metric_is_documented() {
    let built = Built::new(env!("CARGO_BIN_EXE_parallax-lab")).expect("the programs");
    let folder = built.folder("monitoring");
    built.run(&["monitoring"], &folder).expect("the run");
    let text = std::fs::read(folder.join(MONITORING_FILE)).expect("the run's file");
    let outcome: Outcome = serde_json::from_slice(&text).expect("the run's outcome");
    assert!(outcome.wrong.is_empty(), "{}", outcome.wrong.join("\n"));
    assert!(outcome.queries > 40, "{} queries", outcome.queries);
    assert_eq!(documented(), served(&folder));
}

/// What the tables of the documentation say.
fn documented() -> Metrics {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/MONITORING.md");
    let text = std::fs::read_to_string(file).expect("the documentation");
    let rows = text.lines().filter(|line| line.starts_with("| `parallax_"));
    let words = |cell: &str| -> BTreeSet<String> {
        let words = cell.split(['`', ',', ' ']).filter(|word| !word.is_empty());
        words.map(ToOwned::to_owned).collect()
    };
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`').to_owned();
        assert!(!cells[3].is_empty() && !cells[5].is_empty(), "{row}");
        (name, (cells[2].to_owned(), words(cells[4])))
    })
    .collect()
}

/// What the programs served.
fn served(folder: &Path) -> Metrics {
    let mut metrics = Metrics::new();
    for page in PAGES {
        let text = std::fs::read_to_string(folder.join(page)).expect("a page");
        for line in text.lines() {
            if let Some(told) = line.strip_prefix("# TYPE ") {
                let (name, kind) = told.split_once(' ').expect("a type");
                let fresh = (kind.to_owned(), BTreeSet::new());
                metrics.entry(name.to_owned()).or_insert(fresh);
            } else if let Some((series, _)) = line.split_once("} ") {
                let (name, labels) = series.split_once('{').expect("labels");
                let whole = ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|end| name.strip_suffix(end))
                    .filter(|whole| metrics.contains_key(*whole))
                    .unwrap_or(name);
                let labels = labels
                    .split("\",")
                    .filter_map(|label| label.split_once('='));
                let labels = labels.map(|(key, _)| key.to_owned());
                let (_, known) = metrics.get_mut(whole).expect("a type before a series");
                known.extend(labels.filter(|label| label != "le"));
            }
        }
    }
    metrics
}

#[test]
fn the_alert_rules_fire_when_they_should_and_only_then() {
    let folder: PathBuf = ops().join("prometheus");
    for arguments in [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
    ] {
        let output = Command::new("promtool")
            .args(arguments)
            .current_dir(&folder)
            .output()
            .expect("promtool, of the package prometheus (tests/packages)");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}{errors}");
    }
}
