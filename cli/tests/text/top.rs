//! The live screen on a terminal that is not there.

use parallax_cli::output::Glyphs;
use parallax_cli::top::app::{App, Ask, Input};
use parallax_cli::top::view::View;
use parallax_core::report::{Document, Explanation, LossTotal};
use parallax_core::{CaptureTime, LossCause, LossOf, LossRecord, Strength};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use crate::sample::{injected, lost, one_vantage, refused, vantage};

const PLAIN: View = View {
    coloured: false,
    glyphs: Glyphs::Unicode,
};

/// With four resets, four vantages and the ladder that was asked for.
fn app() -> App {
    let mut app = App::new("http://192.0.2.1:7680", 100);
    let told = [injected(), lost(), one_vantage(), refused()];
    let resets = told.iter().map(|told| told.reset.clone()).collect();
    app.take(Input::Resets(Box::new(document(resets))));
    let mut vantages = ["client", "fw-in", "fw-out", "server"].map(vantage);
    for vantage in &mut vantages {
        vantage.connected = Some(vantage.name != "server");
    }
    vantages[2].losses = vec![LossTotal::from(LossRecord {
        strength: Strength::Certain,
        cause: LossCause::Kernel,
        of: LossOf::Packets,
        from: CaptureTime::from_nanos(1_767_323_045_000_000_000),
        until: None,
        count: Some(912),
        detail: None,
    })];
    let mut watching = document(Vec::new());
    watching.vantages = vantages.into();
    app.take(Input::Vantages(Box::new(watching)));
    tell(&mut app, injected());
    app
}

fn document(resets: Vec<parallax_core::report::ResetReport>) -> Document {
    Document::assemble(Vec::new(), None, resets, Vec::new())
}

fn tell(app: &mut App, told: Explanation) {
    app.take(Input::Told(told.reset.id, Box::new(Ok(told))));
}

fn press(app: &mut App, keys: &[KeyCode]) -> Option<Ask> {
    let press = |key: &KeyCode| {
        let key = KeyEvent::new(*key, KeyModifiers::NONE);
        app.take(Input::Terminal(Event::Key(key)))
    };
    keys.iter().map(press).last().flatten()
}

fn terminal(app: &mut App, view: View, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view.draw(frame, app)).unwrap();
    terminal
}

fn screen(app: &mut App, width: u16, height: u16) -> String {
    let screen = terminal(app, PLAIN, width, height).backend().to_string();
    assert!(
        screen.chars().all(|c| c == '\n' || !c.is_control()),
        "{screen:?}"
    );
    screen
}

/// The list's order is by time, then id, newest first.
fn newest(app: &App) -> String {
    app.selected().unwrap().id.to_string()
}

#[test]
fn a_wide_terminal_shows_all_panes() {
    let mut app = app();
    press(&mut app, &[KeyCode::Down]);
    insta::assert_snapshot!(screen(&mut app, 120, 36));
}

#[test]
fn a_narrow_terminal_shows_the_focused_pane() {
    let mut app = app();
    insta::assert_snapshot!("narrow_resets", screen(&mut app, 48, 14));
    press(&mut app, &[KeyCode::BackTab]);
    insta::assert_snapshot!("narrow_vantages", screen(&mut app, 48, 14));
}

#[test]
fn a_terminal_of_any_size_is_drawn_on() {
    let mut app = app();
    for keys in [&[][..], &[KeyCode::Tab], &[KeyCode::Enter], &[KeyCode::End]] {
        press(&mut app, keys);
        for (width, height) in [(1, 1), (2, 3), (20, 4), (90, 22), (400, 100)] {
            screen(&mut app, width, height);
        }
    }
}

#[test]
fn enter_tells_a_reset_in_full_and_a_vantages_losses() {
    let mut app = app();
    tell(&mut app, one_vantage());
    let asked = press(&mut app, &[KeyCode::End]);
    let Some(Ask::Explain(id)) = asked else {
        panic!("{asked:?}");
    };
    let told = [injected(), lost(), one_vantage(), refused()];
    let wanted = told.into_iter().find(|told| told.reset.id == id).unwrap();
    tell(&mut app, wanted);
    press(&mut app, &[KeyCode::Enter]);
    insta::assert_snapshot!("a_reset_in_full", screen(&mut app, 80, 24));
    press(
        &mut app,
        &[
            KeyCode::Char('q'),
            KeyCode::BackTab,
            KeyCode::Down,
            KeyCode::Down,
            KeyCode::Enter,
        ],
    );
    insta::assert_snapshot!("a_vantage_in_full", screen(&mut app, 80, 18));
}

#[test]
fn enter_on_a_cause_lists_only_its_resets_and_escape_all() {
    let mut app = app();
    press(
        &mut app,
        &[
            KeyCode::Tab,
            KeyCode::Tab,
            KeyCode::Tab,
            KeyCode::Down,
            KeyCode::Enter,
        ],
    );
    assert_eq!(app.listed().count(), 1);
    assert!(screen(&mut app, 100, 24).contains("only "));
    press(&mut app, &[KeyCode::Esc]);
    assert_eq!(app.listed().count(), 4);
}

#[test]
fn the_newest_stays_selected_until_the_user_moves_away() {
    let mut app = app();
    let mut newer = injected().reset;
    newer.id = "019b7cc1-2f00-7000-8000-00000000ffff".parse().unwrap();
    newer.time = CaptureTime::from_nanos(newer.time.nanos() + 1);
    let asked = app.take(Input::Verdict(Box::new(newer.clone())));
    assert_eq!(asked, Some(Ask::Explain(newer.id)));
    press(&mut app, &[KeyCode::Down]);
    let held = newest(&app);
    newer.id = "019b7cc1-2f00-7000-8000-00000000eeee".parse().unwrap();
    newer.time = CaptureTime::from_nanos(newer.time.nanos() + 1);
    assert_eq!(app.take(Input::Verdict(Box::new(newer.clone()))), None);
    assert_eq!(newest(&app), held);
    // A changed verdict takes the old one's place and is told anew.
    let mut changed = app.selected().unwrap().clone();
    changed.confidence = 0.1;
    let asked = app.take(Input::Verdict(Box::new(changed.clone())));
    assert_eq!(asked, Some(Ask::Explain(changed.id)));
    assert_eq!(app.resets().len(), 6);
}

#[test]
fn no_more_than_the_limit_is_kept() {
    let mut app = App::new("http://192.0.2.1:7680", 2);
    for last in 0..5_u8 {
        let mut reset = injected().reset;
        reset.id = uuid::Uuid::from_bytes([last; 16]);
        app.take(Input::Verdict(Box::new(reset)));
    }
    assert_eq!(app.resets().len(), 2);
    assert_eq!(app.resets()[0].id, uuid::Uuid::from_bytes([4; 16]));
}

#[test]
fn a_collector_that_is_away_is_said_and_what_it_told_stays() {
    let mut app = app();
    app.take(Input::Away(
        "cannot reach the collector at http://192.0.2.1:7680: connection refused".to_owned(),
    ));
    let away = screen(&mut app, 120, 24);
    assert!(
        away.contains("collector away, trying again: cannot reach"),
        "{away}"
    );
    assert!(away.contains("firewall_reject_content"), "{away}");
    app.take(Input::Vantages(Box::new(document(Vec::new()))));
    assert!(!screen(&mut app, 120, 24).contains("away"));
}

#[test]
fn nothing_is_said_to_be_nothing() {
    let mut app = App::new("http://192.0.2.1:7680", 100);
    insta::assert_snapshot!(screen(&mut app, 100, 24));
    assert_eq!(press(&mut app, &[KeyCode::Enter]), None);
    assert_eq!(press(&mut app, &[KeyCode::Char('q')]), Some(Ask::Quit));
}

#[test]
fn hostile_names_are_text() {
    let mut app = app();
    let mut told = injected();
    let hostile = format!("\u{1b}[2J\u{202e}<b>\r\n{}", "x".repeat(10_000));
    told.reset.between = Some([Some(hostile.clone()), Some("\u{9b}31m".to_owned())]);
    told.sentence.push_str(&hostile);
    told.reset.time = CaptureTime::from_nanos(told.reset.time.nanos() + 1);
    told.ladder.columns[1].vantage.clone_from(&hostile);
    told.ladder.rows[0].label.push_str(&hostile);
    app.take(Input::Verdict(Box::new(told.reset.clone())));
    let mut watching = document(Vec::new());
    watching.vantages = vec![vantage(&hostile)];
    app.take(Input::Vantages(Box::new(watching)));
    tell(&mut app, told);
    for keys in [
        &[][..],
        &[KeyCode::Enter],
        &[KeyCode::Esc, KeyCode::BackTab, KeyCode::Enter],
    ] {
        press(&mut app, keys);
        let shown = screen(&mut app, 120, 36);
        assert!(shown.contains("\\u{1b}[2J\\u{202e}<b>"), "{shown}");
    }
}

#[test]
fn colours_are_there_only_where_they_are_wanted() {
    let colours = |coloured, glyphs| {
        let mut app = app();
        let view = View { coloured, glyphs };
        let terminal = terminal(&mut app, view, 120, 36);
        let cells = terminal.backend().buffer().content().to_vec();
        let ascii = cells.iter().all(|cell| cell.symbol().is_ascii());
        (cells.iter().any(|cell| cell.fg != Color::Reset), ascii)
    };
    assert_eq!(colours(true, Glyphs::Unicode), (true, false));
    assert_eq!(colours(false, Glyphs::Ascii), (false, true));
}

#[test]
fn the_help_tells_every_key() {
    let mut app = app();
    press(&mut app, &[KeyCode::Char('?')]);
    insta::assert_snapshot!(screen(&mut app, 80, 20));
    press(&mut app, &[KeyCode::Char('?')]);
    assert_eq!(app.cover, None);
}
