//! What people read, as snapshots.

mod sample;
mod top;

use clap::CommandFactory;
use parallax_cli::args::Cli;
use parallax_cli::output::Glyphs;
use parallax_cli::{explain, resets, vantages, watch};
use parallax_core::report::{Document, Explanation, LossTotal};
use parallax_core::{CaptureTime, LossCause, LossOf, LossRecord, Strength};

use crate::sample::{injected, lost, one_vantage, refused, vantage};

fn told(explanation: &Explanation, glyphs: Glyphs, width: usize) -> String {
    let text = explain::text(explanation, glyphs, width);
    let text = anstream::adapter::strip_str(&text).to_string();
    assert!(
        text.chars().all(|c| c == '\n' || !c.is_control()),
        "{text:?}"
    );
    text
}

fn document(explanations: &[Explanation]) -> Document {
    let resets = explanations.iter().map(|told| told.reset.clone()).collect();
    let names = ["client", "gateway", "fw-in", "fw-out", "server"];
    let vantages = names.iter().map(|name| vantage(name)).collect();
    Document::assemble(vantages, None, resets, Vec::new())
}

fn table(document: &Document) -> String {
    anstream::adapter::strip_str(&resets::text(document)).to_string()
}

#[test]
fn an_injected_reset_is_drawn_with_the_gap_of_its_birth() {
    insta::assert_snapshot!(told(&injected(), Glyphs::Unicode, 120));
}

#[test]
fn without_utf_8_the_ladder_is_ascii() {
    let text = told(&injected(), Glyphs::Ascii, 120);
    assert!(text.is_ascii());
    insta::assert_snapshot!(text);
}

#[test]
fn a_narrow_terminal_gets_a_narrow_ladder() {
    let text = told(&injected(), Glyphs::Unicode, 60);
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(60), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn one_vantage_is_a_ladder_too() {
    insta::assert_snapshot!(told(&one_vantage(), Glyphs::Unicode, 100));
}

#[test]
fn a_lost_reset_ends_where_it_was_last_seen() {
    insta::assert_snapshot!(told(&lost(), Glyphs::Unicode, 120));
}

#[test]
fn long_and_hostile_names_are_listed_apart() {
    let mut explanation = injected();
    for column in &mut explanation.ladder.columns {
        column.vantage = format!("{}\u{1b}[2J of a long name in building 7", column.vantage);
    }
    explanation.ladder.rows[0].label.push_str("\r\u{202e}");
    insta::assert_snapshot!(told(&explanation, Glyphs::Unicode, 100));
}

#[test]
fn a_birth_beyond_the_outermost_vantage_has_room() {
    let mut explanation = injected();
    explanation.ladder.gap = Some(parallax_core::report::LadderGap {
        left: Some(4),
        right: None,
    });
    for mark in &mut explanation.ladder.rows[5].marks {
        *mark = parallax_core::report::Mark::Seen;
    }
    insta::assert_snapshot!(told(&explanation, Glyphs::Unicode, 120));
}

#[test]
fn a_ladder_from_outside_may_contradict_itself() {
    let mut explanation = injected();
    explanation.ladder.gap = Some(parallax_core::report::LadderGap {
        left: Some(77),
        right: Some(3),
    });
    for row in &mut explanation.ladder.rows {
        row.marks.truncate(1);
        row.at_ns = i64::MIN;
    }
    assert!(told(&explanation, Glyphs::Unicode, 40).contains("← this reset"));
    explanation.ladder.columns.clear();
    assert!(!told(&explanation, Glyphs::Unicode, 40).contains("← this reset"));
}

#[test]
fn verdicts_stand_in_a_table_with_their_sum() {
    insta::assert_snapshot!(table(&document(&[
        refused(),
        injected(),
        lost(),
        one_vantage(),
        lost(),
    ])));
}

#[test]
fn an_empty_answer_says_so() {
    insta::assert_snapshot!(table(&document(&[])));
}

#[test]
fn a_watched_verdict_is_one_line() {
    insta::assert_snapshot!(
        anstream::adapter::strip_str(&watch::line(&injected().reset)).to_string()
    );
}

#[test]
fn every_command_shows_examples() {
    let mut program = Cli::command().term_width(100);
    program.build();
    let mut all = program.render_long_help().to_string();
    for command in program.get_subcommands_mut() {
        let help = command.render_long_help().to_string();
        let named = command.get_name() == "help";
        assert!(named || help.contains("Examples:"), "{help}");
        if !named {
            all.push_str("\n=====\n");
            all.push_str(&help);
        }
    }
    insta::assert_snapshot!(all);
}

#[test]
fn what_vantages_lost_is_said_in_words() {
    let loss = |strength, cause, until, count| LossRecord {
        strength,
        cause,
        of: LossOf::Packets,
        from: CaptureTime::from_nanos(1_767_323_045_000_000_000),
        until,
        count,
        detail: None,
    };
    let until = Some(CaptureTime::from_nanos(1_767_323_046_500_000_000));
    let mut document = document(&[]);
    document.vantages = vec![vantage("client"), vantage("fw-out")];
    document.vantages[0].losses = vec![LossTotal::from(LossRecord {
        detail: Some("port 443".to_owned()),
        ..loss(Strength::Possible, LossCause::Filter, None, None)
    })];
    document.vantages[1].losses = vec![
        LossTotal::from(loss(Strength::Certain, LossCause::Kernel, until, Some(912))),
        LossTotal::from(loss(Strength::Certain, LossCause::Restart, until, None)),
    ];
    let text = anstream::adapter::strip_str(&vantages::text(&document)).to_string();
    insta::assert_snapshot!(text);
}
