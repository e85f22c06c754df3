//! People look: the pages in a real Chromium, before a live collector with the lab's traffic.
//!
//! One test, since driver and collector must end with it; every step is tried, and all that fails is told.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use parallax_tests::browser::{Browser, Visitor};
use parallax_tests::live::now;
use parallax_tests::stand_in::StandIn;

mod accessible;
mod stage;

use stage::Stage;

/// A vantage whose name is markup.
const HOSTILE: &str = "<b onmouseover=alert(1)>&\"'</b>";
/// The key (`WebDriver`, section 17.4.2).
const ENTER: char = '\u{e007}';

#[test]
fn people_look_at_resets_in_a_browser() {
    type Step = fn(&Stage) -> Result<()>;
    const STEPS: [(&str, Step); 12] = [
        (
            "the list is filtered, grouped and opened",
            filter_group_and_open,
        ),
        ("the ladder shows where it was born", ladder),
        ("a new reset arrives without reload", live),
        ("one page after the other", many_pages),
        ("a vantage goes blind", blind),
        ("both languages", languages),
        ("without JavaScript", without_scripts),
        ("by keyboard only", keyboard),
        ("narrow and wide screens", widths),
        ("on paper", paper),
        (
            "for everybody, in every dress",
            accessible::by_our_own_rules,
        ),
        ("for everybody, by axe", accessible::by_axe),
    ];
    let began = now();
    let stage = Stage::set().unwrap_or_else(|error| panic!("the stage: {error:#}"));
    println!("the stage: {} ms", (now() - began) / 1_000_000);
    let failed: Vec<String> = STEPS
        .iter()
        .filter_map(|(name, step)| {
            let began = now();
            let outcome = step(&stage);
            println!("{name}: {} ms", (now() - began) / 1_000_000);
            Some(format!("{name}: {:#}", outcome.err()?))
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Nothing on the page was refused by its own policy, and no script failed.
fn clean(browser: &Browser<'_>) -> Result<()> {
    let errors = browser.errors()?;
    ensure!(errors.is_empty(), "the console says: {errors:?}");
    Ok(())
}

const ROWS: &str = "table.resets tbody tr";

fn filter_group_and_open(stage: &Stage) -> Result<()> {
    let browser = stage.open(Visitor::default(), "/")?;
    let all = browser.count(ROWS)?;
    ensure!(all == stage.resets()?.resets.len(), "{all} rows");
    ensure!(browser.count("figure.chart svg a")? > 0, "no bars");
    browser.run("document.querySelector('select[name=origin]').value = 'middlebox'")?;
    browser.fill("input[name=vantage]", "fw-in")?;
    browser.follow("form.filters button")?;
    let forged = browser.count(ROWS)?;
    ensure!(
        forged > 0 && forged < all,
        "{forged} of {all} pass the filter"
    );
    ensure!(
        browser.address()?.contains("origin=middlebox"),
        "the address cannot be shared"
    );
    let shared = stage.open(Visitor::default(), "/?origin=middlebox&vantage=fw-in")?;
    ensure!(
        shared.count(ROWS)? == forged,
        "a shared address shows something else"
    );
    browser.follow("ul.narrowed a")?;
    browser.follow("ul.narrowed a")?;
    ensure!(browser.count(ROWS)? == all, "a filter cannot be removed");
    browser.follow("a[href*='group=cause']")?;
    ensure!(
        browser.count("table.groups tbody tr")? > 1,
        "no groups by cause"
    );
    let counted: usize = browser
        .run("return +document.querySelector('table.groups tbody td.number').innerText")?
        .as_u64()
        .context("no count")? as usize;
    browser.follow("table.groups tbody a")?;
    ensure!(
        browser.count(ROWS)? == counted,
        "a group of {counted} leads to other resets"
    );
    browser.follow("table.resets tbody a")?;
    ensure!(
        browser.address()?.contains("/resets/"),
        "no reset was opened"
    );
    clean(&browser)
}

fn ladder(stage: &Stage) -> Result<()> {
    let id = stage.forged()?;
    let browser = stage.open(Visitor::default(), &format!("/resets/{id}"))?;
    let sentence = browser.text("#sentence")?;
    ensure!(
        sentence.contains("forged by a middlebox between \"fw-out\" and \"fw-in\""),
        "{sentence}"
    );
    let columns = browser.run("return [...document.querySelectorAll('.ladder .column .name')].map(name => name.textContent)")?;
    ensure!(
        columns == serde_json::json!(["client", "gw-in", "gw-out", "fw-in", "fw-out", "server"]),
        "{columns}"
    );
    ensure!(
        browser.count(".ladder #this polyline")? == 1 && browser.count(".ladder .shade rect")? == 1,
        "no RST, or no gap"
    );
    ensure!(
        browser.count(".ladder #this .mark.absent")? >= 1,
        "no absence is marked"
    );
    // The gap lies between its two neighbours, and the RST begins behind it.
    let lies = browser.run(
        "const box = s => document.querySelector(s).getBoundingClientRect(); \
         const lane = n => [...document.querySelectorAll('.ladder .column')].find(c => c.querySelector('.name').textContent === n).querySelector('line').getBoundingClientRect().left; \
         const gap = box('.ladder .shade rect'), line = box('.ladder #this polyline'); \
         return Math.abs(gap.left - lane('fw-in')) < 3 && Math.abs(gap.right - lane('fw-out')) < 3 && line.right < gap.left + 3",
    )?;
    ensure!(lies == true, "the gap or the RST is drawn elsewhere");
    browser.click("ol.evidence a[href='#at-4']")?;
    let target = browser.run("return document.querySelector(':target').closest('g.row').id")?;
    ensure!(
        target == "this",
        "evidence does not point into the ladder: {target}"
    );
    for format in ["pcapng", "html", "json"] {
        let button = format!("p.actions a[href*='format={format}']");
        ensure!(browser.count(&button)? == 1, "no button for {format}");
    }
    let file = stage.folder.path().join("reset.pcapng");
    let exported = Command::new(stage.programs.cli())
        .args(["export", &id, "--collector", &stage.collector.url, "-o"])
        .arg(&file)
        .output()?;
    ensure!(
        exported.status.success(),
        "{}",
        String::from_utf8_lossy(&exported.stderr)
    );
    ensure!(
        std::fs::read(&file)?.starts_with(b"\n\r\r\n"),
        "no pcapng was exported"
    );
    browser.follow("p.actions a")?;
    ensure!(
        browser.text("main")?.contains("SYN+ACK"),
        "no handshake on the page of the connection"
    );
    clean(&browser)
}

fn live(stage: &Stage) -> Result<()> {
    let browser = stage.open(Visitor::default(), "/")?;
    browser.until(
        "the page watches",
        "return document.documentElement.dataset.live === 'yes'",
    )?;
    let before = browser.count(ROWS)?;
    browser.run("window.mark = 1; document.querySelector('table.resets a').focus()")?;
    let focused = browser.run("return document.activeElement.id")?;
    stage.play("reject_syn-v4")?;
    browser.until(
        "a new row",
        &format!("return document.querySelectorAll({ROWS:?}).length > {before}"),
    )?;
    browser.until(
        "word of it",
        "return document.getElementById('news').textContent.length > 0",
    )?;
    ensure!(
        browser.run("return window.mark === 1")? == true,
        "the page was loaded again"
    );
    ensure!(
        browser.run("return document.activeElement.id")? == focused,
        "the focus was lost"
    );
    clean(&browser)
}

/// A page that is left holds no connection: a browser has six for one server.
fn many_pages(stage: &Stage) -> Result<()> {
    let browser = stage.open(Visitor::default(), "/")?;
    let began = now();
    for port in 1..12 {
        browser.until(
            "the page watches",
            "return document.documentElement.dataset.live === 'yes'",
        )?;
        browser.open(&format!("{}/?port={port}", stage.collector.url))?;
    }
    ensure!(now() - began < 10_000_000_000, "pages wait for each other");
    clean(&browser)
}

fn blind(stage: &Stage) -> Result<()> {
    let agent = StandIn::connect(&stage.collector.url, HOSTILE);
    agent.beat()?;
    let browser = stage.open(Visitor::default(), "/vantages")?;
    browser.until(
        "the vantage watches",
        "return document.querySelector('.card.watching') !== null",
    )?;
    let name = browser.text(".card.watching h2")?;
    ensure!(
        name.contains(HOSTILE),
        "the name is not shown as text: {name}"
    );
    ensure!(browser.count(".card b")? == 0, "the name became markup");
    browser.run("window.mark = 1")?;
    agent.leave()?;
    browser.until(
        "the vantage is blind",
        "return document.querySelector('.card.blind') !== null",
    )?;
    ensure!(
        browser.run("return window.mark === 1")? == true,
        "the page was loaded again"
    );
    ensure!(
        browser
            .text(".card.blind .wrong")?
            .contains("silence says nothing"),
        "no word of what is wrong"
    );
    clean(&browser)
}

fn languages(stage: &Stage) -> Result<()> {
    let visitor = Visitor {
        language: "zh-CN,zh,en",
        ..Visitor::default()
    };
    let path = format!("/resets/{}", stage.forged()?);
    let browser = stage.open(visitor, &path)?;
    let sentence = browser.text("#sentence")?;
    ensure!(
        sentence.contains("由“fw-out”与“fw-in”之间的中间盒伪造"),
        "{sentence}"
    );
    browser.follow("a.language")?;
    ensure!(
        browser.text("#sentence")?.contains("forged by a middlebox"),
        "the switch does not work"
    );
    browser.open(&format!("{}/vantages", stage.collector.url))?;
    ensure!(
        browser.run("return document.documentElement.lang")? == "en",
        "the choice was not kept"
    );
    browser.follow("a.language")?;
    ensure!(browser.text("h1")? == "观测点", "{}", browser.text("h1")?);
    clean(&browser)
}

fn without_scripts(stage: &Stage) -> Result<()> {
    let visitor = Visitor {
        scripts: false,
        ..Visitor::default()
    };
    let browser = stage.open(visitor, "/")?;
    ensure!(
        browser.run("return document.documentElement.dataset.live ?? 'none'")? == "none",
        "scripts run"
    );
    browser.fill("input[name=between]", "fw-in,fw-out")?;
    browser.follow("form.filters button")?;
    ensure!(browser.count(ROWS)? > 0, "the filter shows nothing");
    browser.follow("table.resets tbody a")?;
    ensure!(browser.count(".ladder #this")? == 1, "no ladder");
    browser.click("details summary")?;
    ensure!(
        browser.text("details table")?.contains("absent at"),
        "no table of the ladder"
    );
    browser.follow("a[href='/path']")?;
    ensure!(browser.count("svg.map .node")? == 6, "no map");
    browser.follow("svg.map text.middlebox")?;
    ensure!(browser.count(ROWS)? > 0, "a link of the map leads nowhere");
    Ok(())
}

fn keyboard(stage: &Stage) -> Result<()> {
    let browser = stage.open(Visitor::default(), "/")?;
    browser.press('\u{e004}')?;
    ensure!(
        browser.run("return document.activeElement.className")? == "skip",
        "Tab leads elsewhere first"
    );
    let shown = browser.run("return document.activeElement.getBoundingClientRect().left >= 0")?;
    ensure!(shown == true, "the skip link cannot be seen");
    browser.press(ENTER)?;
    browser.tab_to("input[name=port]")?;
    browser.fill("input[name=port]", "8022")?;
    browser.press(ENTER)?;
    browser.until(
        "the filtered list",
        "return location.search.includes('port=8022') && document.readyState === 'complete'",
    )?;
    browser.tab_to("table.resets tbody a")?;
    let ring = browser.run("return getComputedStyle(document.activeElement).outlineStyle")?;
    ensure!(ring == "solid", "what has the focus cannot be seen");
    browser.press(ENTER)?;
    browser.until(
        "the reset",
        "return location.pathname.startsWith('/resets/') && document.readyState === 'complete'",
    )?;
    browser.tab_to("ol.evidence a")?;
    browser.press(ENTER)?;
    browser.until(
        "its place in the ladder",
        "return document.querySelector(':target') !== null",
    )?;
    clean(&browser)
}

fn widths(stage: &Stage) -> Result<()> {
    let id = stage.forged()?;
    for width in [390, 1440] {
        let visitor = Visitor {
            width,
            ..Visitor::default()
        };
        let paths = [
            "/".to_owned(),
            format!("/resets/{id}"),
            format!("/connections/{id}"),
            "/path".to_owned(),
            "/vantages".to_owned(),
        ];
        let browser = stage.open(visitor, "/")?;
        for path in paths {
            browser.open(&format!("{}{path}", stage.collector.url))?;
            let script = "return [innerWidth, document.documentElement.scrollWidth]";
            let wide: [u32; 2] = serde_json::from_value(browser.run(script)?)?;
            ensure!(
                wide[0] == width && wide[1] <= width,
                "{path} is {wide:?} wide"
            );
        }
    }
    Ok(())
}

fn paper(stage: &Stage) -> Result<()> {
    let browser = stage.open(Visitor::default(), &format!("/resets/{}", stage.forged()?))?;
    let pages = browser.printed_pages()?;
    ensure!((1..=2).contains(&pages), "a reset takes {pages} pages");
    Ok(())
}
