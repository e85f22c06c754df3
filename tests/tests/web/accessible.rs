//! Pages for everybody: by rules of our own, which always run, and by axe where somebody has it.
//!
//! axe-core is not of this repository. `npm install axe-core` anywhere, then name its file:
//! `PARALLAX_AXE=…/node_modules/axe-core/axe.min.js cargo test -p parallax-tests --test web`.

use anyhow::{Context, Result, ensure};
use parallax_tests::browser::{Browser, Scheme, Visitor};
use parallax_tests::stand_in::StandIn;

use crate::stage::Stage;

/// Names the file of axe-core.
const AXE: &str = "PARALLAX_AXE";
/// Returns what is wrong, a sentence each.
const RULES: &str = include_str!("accessible.js");
const LANGUAGES: [&str; 2] = ["en", "zh-CN,zh"];
const WIDTHS: [u32; 2] = [390, 1440];
const SCHEMES: [Scheme; 2] = [Scheme::Light, Scheme::Dark];

pub fn by_our_own_rules(stage: &Stage) -> Result<()> {
    everywhere(stage, RULES).map(drop)
}

pub fn by_axe(stage: &Stage) -> Result<()> {
    let Some(file) = std::env::var_os(AXE) else {
        println!("axe was not run: {AXE} names no file of axe-core");
        return Ok(());
    };
    let axe =
        std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let script = format!(
        "{axe}; return axe.run(document).then(found => found.violations.flatMap(rule => rule.nodes.map(node => \
         `${{rule.impact}} ${{rule.id}}: ${{node.target}}: ${{node.failureSummary}}`)))"
    );
    let looked = everywhere(stage, &script)?;
    let version = stage.open(Visitor::default(), "/")?;
    let version = version.run(&format!("{axe}; return axe.version"))?;
    println!("axe {version} finds nothing on {looked} views of pages");
    Ok(())
}

/// Runs a script on every page, in both languages, widths and schemes; returns how many views that were.
fn everywhere(stage: &Stage, script: &str) -> Result<usize> {
    let agent = StandIn::connect(&stage.collector.url, "watching");
    agent.beat()?;
    let id = stage.forged()?;
    let pages = [
        "/".to_owned(),
        "/?group=place&origin=middlebox&port=8022".to_owned(),
        "/?since=soon".to_owned(),
        "/?port=1".to_owned(),
        format!("/resets/{id}"),
        format!("/connections/{id}"),
        "/path".to_owned(),
        "/vantages".to_owned(),
        "/nowhere".to_owned(),
        format!("/v1/resets/{id}/export?format=html"),
    ];
    let mut wrong = Vec::new();
    let mut looked = 0;
    for language in LANGUAGES {
        for width in WIDTHS {
            for scheme in SCHEMES {
                let visitor = Visitor {
                    language,
                    width,
                    scheme,
                    ..Visitor::default()
                };
                let browser = stage.driver.browser(visitor)?;
                for page in &pages {
                    show(stage, &browser, page)?;
                    let found = browser.run(script).with_context(|| page.clone())?;
                    let found: Vec<String> = serde_json::from_value(found)?;
                    let of = |said| format!("{page} ({language}, {width}, {scheme:?}): {said}");
                    wrong.extend(found.into_iter().map(of));
                    looked += 1;
                }
            }
        }
    }
    agent.leave()?;
    ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(looked)
}

/// Opens a page with all that is folded unfolded; a report is a file, so it is written into an empty one.
fn show(stage: &Stage, browser: &Browser<'_>, page: &str) -> Result<()> {
    let url = &stage.collector.url;
    if page.starts_with("/v1/") {
        browser.open(&format!("{url}/healthz"))?;
        let page = serde_json::to_string(page)?;
        let script = format!(
            "return fetch({page}).then(answer => answer.text()).then(text => {{ \
             document.open(); document.write(text); document.close(); return 0; }})"
        );
        browser.run(&script)?;
    } else {
        browser.open(&format!("{url}{page}"))?;
    }
    let unfolded = browser
        .run("document.querySelectorAll('details').forEach(one => one.open = true); return 0")?;
    ensure!(unfolded == 0, "{unfolded}");
    Ok(())
}
