//! A real Prometheus in the lab: it scrapes a collector and live agents, and evaluates every query of the dashboard and
//! of the alert rules.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lab::{COLLECTOR, Lab, VANTAGES};
use crate::programs::{Programs, Running, wait_for};
use crate::scenario::acts;
use crate::service::{agent, ask, collector};

mod promql;

/// What came of a run; kept as `monitoring.json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Queries that were evaluated.
    pub queries: usize,
    pub wrong: Vec<String>,
}

/// The file with an [`Outcome`] in a run's folder.
pub const MONITORING_FILE: &str = "monitoring.json";
/// What the programs served, beside it.
pub const PAGES: [&str; 2] = ["agent.prom", "collector.prom"];

/// Where Prometheus listens, in the management namespace.
const PROMETHEUS: &str = "http://127.0.0.1:9090";
const START: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(20);
/// What is played: an endpoint sends a reset, then a firewall between the last two hops forges one.
const ACTS: [&str; 2] = ["closed_port-v4", "reject_content-v4"];
const ENDS: [&str; 2] = ["fw-in", "fw-out"];

/// Where the repository keeps what operators install.
pub fn ops() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops")
}

/// Plays, scrapes, asks; keeps the outcome in `folder`.
pub fn run(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let lab = Lab::raise().context("raising the lab")?;
    let programs = Programs::beside_this_one()?;
    let mut stage = Stage::start(&lab, &programs, folder)?;
    for name in ACTS {
        let act = acts().into_iter().find(|act| act.name() == name);
        act.context("there is no such act")?.play(&lab)?;
    }
    let mut wrong = Vec::new();
    stage.await_alert(&mut wrong)?;
    stage.await_rates()?;
    let queries = queries()?;
    for query in &queries {
        if let Err(error) = stage.evaluate(query) {
            wrong.push(format!("{}: {error:#}", query.text));
        }
    }
    stage.keep_pages(folder)?;
    stage.lose_an_agent(&mut wrong)?;
    let outcome = Outcome {
        queries: queries.len(),
        wrong,
    };
    let file = folder.join(MONITORING_FILE);
    std::fs::write(&file, serde_json::to_vec_pretty(&outcome)?)
        .with_context(|| format!("writing {}", file.display()))
}

struct Stage<'lab> {
    lab: &'lab Lab,
    agents: Vec<Running>,
    _collector: Running,
    _prometheus: Running,
}

impl<'lab> Stage<'lab> {
    fn start(lab: &'lab Lab, programs: &Programs, folder: &Path) -> Result<Self> {
        let mut collector =
            Running::start("collector", collector(&lab.management, programs), folder)?;
        let site = lab.site();
        let up = wait_for(START, || {
            collector.check()?;
            Ok(ask(&lab.management, &url(), "/healthz").ok())
        })?;
        ensure!(up.is_some(), "no collector: {}", collector.said());
        let mut agents = Vec::new();
        for (number, point) in site.points.iter().enumerate() {
            let mut command = agent(programs, point, None, &format!("http://{COLLECTOR}:7600"));
            command.args(["--metrics", &format!("0.0.0.0:{}", port(number))]);
            let state = folder.join("state").join(point.name);
            std::fs::create_dir_all(&state).context("making a state directory")?;
            command.arg("--state-dir").arg(&state);
            agents.push(Running::start(
                &format!("agent-{}", point.name),
                command,
                folder,
            )?);
        }
        let prometheus = start_prometheus(lab, folder)?;
        let stage = Self {
            lab,
            agents,
            _collector: collector,
            _prometheus: prometheus,
        };
        let connected = stage.until(|stage| {
            let all = stage.ask("sum(parallax_agent_connected)")?;
            Ok(all.first().is_some_and(|one| one["value"][1] == "6"))
        })?;
        ensure!(connected, "not every agent is connected and scraped");
        Ok(stage)
    }

    fn until(&self, mut reached: impl FnMut(&Self) -> Result<bool>) -> Result<bool> {
        let found = wait_for(PATIENCE, || Ok(reached(self)?.then_some(())))?;
        Ok(found.is_some())
    }

    fn get(&self, path: &str) -> Result<Value> {
        let body = ask(&self.lab.management, PROMETHEUS, path)?;
        let answer: Value = serde_json::from_str(&body).context("reading Prometheus's answer")?;
        ensure!(answer["status"] == "success", "{body}");
        ensure!(answer["warnings"].is_null(), "{body}");
        Ok(answer["data"].clone())
    }

    /// The instant vector of a query.
    fn ask(&self, query: &str) -> Result<Vec<Value>> {
        let data = self.get(&format!("/api/v1/query?query={}", promql::encoded(query)))?;
        let result = data["result"].as_array().cloned();
        result.context("no result")
    }

    /// The labels of all series of a metric.
    fn labels(&self, metric: &str) -> Result<BTreeSet<String>> {
        let data = self.get(&format!("/api/v1/series?match[]={metric}"))?;
        let series = data.as_array().cloned().unwrap_or_default();
        let labels = series.iter().filter_map(Value::as_object);
        Ok(labels.flat_map(|one| one.keys().cloned()).collect())
    }

    /// Whether a query is evaluated, names only what there is, and says something.
    fn evaluate(&self, query: &Query) -> Result<()> {
        let said = self.ask(&query.text)?;
        let names = promql::names(&query.text);
        ensure!(!names.metrics.is_empty(), "it asks for no metric");
        let mut known = BTreeSet::new();
        for metric in &names.metrics {
            let labels = self.labels(metric)?;
            ensure!(!labels.is_empty(), "no program tells {metric}");
            known.extend(labels);
        }
        for label in &names.labels {
            ensure!(
                known.contains(label),
                "none of its metrics has the label {label}"
            );
        }
        ensure!(!query.speaks || !said.is_empty(), "it says nothing");
        Ok(())
    }

    fn alerts(&self) -> Result<Vec<Value>> {
        let data = self.get("/api/v1/alerts")?;
        Ok(data["alerts"].as_array().cloned().unwrap_or_default())
    }

    /// A place begins to inject: Prometheus fires.
    fn await_alert(&self, wrong: &mut Vec<String>) -> Result<()> {
        let told = |alert: &Value| {
            let labels = &alert["labels"];
            let ends = [&labels["from"], &labels["to"]].map(|end| end.as_str().unwrap_or(""));
            labels["alertname"] == "ParallaxPlaceBeginsToInject"
                && alert["state"] == "firing"
                && ENDS.iter().all(|end| ends.contains(end))
        };
        if !self.until(|stage| Ok(stage.alerts()?.iter().any(told)))? {
            wrong.push(format!("the injection is not told: {:?}", self.alerts()?));
        }
        let others = self.alerts()?;
        let others = others.iter().filter(|alert| !told(alert));
        wrong.extend(others.map(|alert| format!("an alert for nothing: {alert}")));
        Ok(())
    }

    /// Both kinds of resets were scraped twice: there is a rate.
    fn await_rates(&self) -> Result<()> {
        let rates = self.until(|stage| {
            let by_origin = "sum by (origin) (rate(parallax_resets_settled_total[1m]))";
            Ok(stage.ask(by_origin)?.len() >= 2)
        })?;
        ensure!(rates, "not both resets were settled");
        Ok(())
    }

    /// What an agent and the collector serve, for the documentation's sake.
    fn keep_pages(&self, folder: &Path) -> Result<()> {
        let agent = format!("http://{}", address(self.lab, 0));
        for (file, url) in PAGES.iter().zip([agent, url()]) {
            let page = ask(&self.lab.management, &url, "/metrics")?;
            std::fs::write(folder.join(file), page).context("keeping a page")?;
        }
        Ok(())
    }

    /// An agent dies: its alert is on its way.
    fn lose_an_agent(&mut self, wrong: &mut Vec<String>) -> Result<()> {
        self.agents.pop().context("no agent")?.kill()?;
        let gone = |alert: &Value| alert["labels"]["alertname"] == "ParallaxAgentGone";
        if !self.until(|stage| Ok(stage.alerts()?.iter().any(gone)))? {
            wrong.push("an agent's death is not told".to_owned());
        }
        Ok(())
    }
}

fn url() -> String {
    format!("http://{COLLECTOR}:7680")
}

fn port(number: usize) -> usize {
    7690 + number
}

/// Where the agent of this number serves its metrics.
fn address(lab: &Lab, number: usize) -> String {
    let machine = lab.management_address(VANTAGES[number].namespace);
    format!("{machine}:{}", port(number))
}

/// Prometheus with the repository's configuration, but for addresses and pace.
fn start_prometheus(lab: &Lab, folder: &Path) -> Result<Running> {
    let rules = ops().join("prometheus/alerts.yml").canonicalize()?;
    let config = std::fs::read_to_string(ops().join("prometheus/prometheus.yml"))?;
    let agents: Vec<String> = (0..VANTAGES.len()).map(|one| address(lab, one)).collect();
    let config = config
        .replace("15s", "1s")
        .replace("alerts.yml", &rules.display().to_string())
        .replace("127.0.0.1:7680", &format!("{COLLECTOR}:7680"))
        .replace("127.0.0.1:7690", &agents.join(", "));
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, config).context("writing Prometheus's configuration")?;
    let data = folder.join("prometheus-data");
    if data.exists() {
        std::fs::remove_dir_all(&data).context("clearing Prometheus's data")?;
    }
    let mut command = lab.management.command("prometheus");
    command
        .arg("--config.file")
        .arg(&file)
        .arg("--storage.tsdb.path")
        .arg(&data)
        .args(["--web.listen-address", "127.0.0.1:9090"]);
    let mut running = Running::start("prometheus", command, folder)
        .context("the package prometheus is needed (tests/packages)")?;
    let up = wait_for(START, || {
        running.check()?;
        Ok(ask(&lab.management, PROMETHEUS, "/-/ready").ok())
    })?;
    match up {
        Some(_) => Ok(running),
        None => bail!("Prometheus did not come up: {}", running.said()),
    }
}

/// A query that operators install.
struct Query {
    text: String,
    /// After what was played it has an answer.
    speaks: bool,
}

/// Every query of the dashboard and of the alert rules.
fn queries() -> Result<Vec<Query>> {
    let dashboard = std::fs::read(ops().join("grafana/parallax.json"))?;
    let dashboard: Value = serde_json::from_slice(&dashboard).context("reading the dashboard")?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let mut queries = Vec::new();
    for target in targets.flatten() {
        let text = target["expr"].as_str().context("a target without query")?;
        let text = text
            .replace("$__rate_interval", "1m")
            .replace("$__range", "1h")
            .replace("$vantage", ".*");
        ensure!(!text.contains('$'), "a variable that nobody sets: {text}");
        queries.push(Query {
            speaks: !text.contains("> 0"),
            text,
        });
    }
    let variables = dashboard["templating"]["list"].as_array();
    for variable in variables.into_iter().flatten() {
        let asked = variable["definition"].as_str().unwrap_or_default();
        let inner = asked.strip_prefix("label_values(");
        if let Some((metric, label)) = inner.and_then(|inner| inner.split_once(", ")) {
            queries.push(Query {
                text: format!("group by ({}) ({metric})", label.trim_end_matches(')')),
                speaks: true,
            });
        }
    }
    let rules = std::fs::read_to_string(ops().join("prometheus/alerts.yml"))?;
    let alerts = promql::rules(&rules);
    ensure!(
        alerts.len() == rules.matches("- alert:").count(),
        "a rule without a query"
    );
    queries.extend(alerts.into_iter().map(|text| Query {
        text,
        speaks: false,
    }));
    Ok(queries)
}
