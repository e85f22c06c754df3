//! The screen, drawn from what [`App`] holds.

use parallax_core::report::{Origin, ResetReport, VantageSummary};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Style};
use ratatui::symbols::border;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, List, ListState, Paragraph};

use super::app::{App, Cover, Group, Only, Pane};
use super::styled;
use crate::output::Glyphs;
use crate::plain::{columns, plain, wrapped};
use crate::{explain, ladder, vantages, verdict};

/// How to draw.
#[derive(Debug, Clone, Copy)]
pub struct View {
    pub coloured: bool,
    pub glyphs: Glyphs,
}

/// From this size on all panes are shown at once; below, the focused one.
const ALL_WIDTH: u16 = 90;
const ALL_HEIGHT: u16 = 22;
/// A name of 10,000 characters is cut by the screen, not before; what is drawn of a line is bounded.
const CELL_MAX: usize = 512;

impl View {
    pub fn draw(self, frame: &mut Frame<'_>, app: &mut App) {
        let [head, body, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Min(0),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(self.head(app), head);
        match app.cover.clone() {
            Some(cover) => self.cover(frame, app, &cover, body),
            None if body.width >= ALL_WIDTH && body.height >= ALL_HEIGHT => {
                self.all(frame, app, body);
            }
            None => self.one(frame, app, body),
        }
        frame.render_widget(Paragraph::new(self.keys(app)), foot);
    }

    fn head(self, app: &App) -> Paragraph<'static> {
        let count = |origin| {
            let of = app.resets().iter().filter(|reset| reset.origin == origin);
            (origin, of.count())
        };
        let mut spans = vec![Span::styled("parallax top", Style::new().bold())];
        match &app.away {
            Some(reason) => {
                let style = self.color(Color::Red).bold().reversed();
                let words = format!(" collector away, trying again: {} ", cell(reason));
                spans.extend([Span::raw("  "), Span::styled(words, style)]);
            }
            None => spans.push(Span::raw(format!("  {}", cell(&app.url)))),
        }
        let resets = app.resets().len();
        spans.push(Span::raw(format!("  {resets} newest resets:")));
        for (origin, count) in
            [Origin::Middlebox, Origin::Endpoint, Origin::Undetermined].map(count)
        {
            let words = format!(" {count} {}", origin.as_str());
            spans.push(Span::styled(words, self.origin(origin)));
        }
        Paragraph::new(Line::from(spans))
    }

    fn keys(self, app: &App) -> Line<'static> {
        let (moves, enter) = match self.glyphs {
            Glyphs::Unicode => ("↑↓", "⏎"),
            Glyphs::Ascii => ("arrows", "enter"),
        };
        let text = match (&app.cover, &app.only) {
            (Some(_), _) => format!("{moves} scroll  q back"),
            (None, None) => format!("{moves} move  tab pane  {enter} open  ? help  q quit"),
            (None, Some(only)) => {
                let only = match only {
                    Only::Place(place) => cell(place),
                    Only::Cause(cause) => (*cause).to_owned(),
                };
                format!("only {only}: esc lists all  {moves} move  tab pane  {enter} open  q quit")
            }
        };
        Line::from(text)
    }

    fn all(self, frame: &mut Frame<'_>, app: &mut App, area: Rect) {
        let groups = (area.height / 4).clamp(5, 10);
        let [groups, resets, ladder] = Layout::vertical([
            Constraint::Length(groups),
            Constraint::Fill(2),
            Constraint::Fill(3),
        ])
        .areas(area);
        let [places, causes, vantages] = Layout::horizontal([
            Constraint::Fill(3),
            Constraint::Fill(2),
            Constraint::Fill(4),
        ])
        .areas(groups);
        self.pane(frame, app, Pane::Places, places);
        self.pane(frame, app, Pane::Causes, causes);
        self.pane(frame, app, Pane::Vantages, vantages);
        self.pane(frame, app, Pane::Resets, resets);
        self.pane(frame, app, Pane::Ladder, ladder);
    }

    /// Names of all panes, and the focused one.
    fn one(self, frame: &mut Frame<'_>, app: &mut App, area: Rect) {
        let [tabs, body] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
        let tab = |pane: Pane| {
            let style = if pane == app.focus {
                Style::new().bold().reversed()
            } else {
                Style::new()
            };
            [Span::styled(pane.title(), style), Span::raw(" ")]
        };
        let line: Line<'_> = Pane::ALL.into_iter().flat_map(tab).collect();
        frame.render_widget(Paragraph::new(line), tabs);
        self.pane(frame, app, app.focus, body);
    }

    fn pane(self, frame: &mut Frame<'_>, app: &mut App, pane: Pane, area: Rect) {
        let block = self.block(pane.title(), pane == app.focus);
        let inner = block.inner(area);
        if pane == app.focus {
            app.page = inner.height.max(1);
        }
        frame.render_widget(block, area);
        let width = usize::from(inner.width);
        let (lines, at) = match pane {
            Pane::Places => (self.groups(&app.places()), &mut app.place),
            Pane::Causes => (self.groups(&app.causes()), &mut app.cause),
            Pane::Vantages => (
                app.vantages.iter().map(|v| self.vantage(v)).collect(),
                &mut app.vantage,
            ),
            Pane::Resets => {
                let lines = app.listed().map(|reset| self.reset(reset, width)).collect();
                (lines, &mut app.selected_at())
            }
            Pane::Ladder => return self.ladder(frame, app, inner),
        };
        if lines.is_empty() {
            return frame.render_widget(Paragraph::new(nothing(pane)), inner);
        }
        *at = (*at).min(lines.len() - 1);
        let mut state = ListState::default().with_selected(Some(*at));
        let chosen = if pane == app.focus || pane == Pane::Resets {
            Style::new().reversed()
        } else {
            Style::new()
        };
        let list = List::new(lines).highlight_style(chosen);
        frame.render_stateful_widget(list, inner, &mut state);
    }

    fn groups(self, groups: &[Group]) -> Vec<Line<'static>> {
        let line = |group: &Group| {
            Line::from(vec![
                Span::raw(format!("{:>5} ", group.count)),
                Span::styled(cell(&group.words), self.origin(group.origin)),
            ])
        };
        groups.iter().map(line).collect()
    }

    fn vantage(self, vantage: &VantageSummary) -> Line<'static> {
        let wrong = vantages::wrong_in_short(vantage);
        let (style, words) = match wrong {
            Some(words) => (self.color(Color::Yellow).bold(), cell(&words)),
            None => (self.color(Color::Green), "well".to_owned()),
        };
        let name: String = cell(&vantage.name);
        Line::from(vec![
            Span::raw(format!("{name} ({})  ", vantages::kind(vantage))),
            Span::styled(words, style),
            Span::raw(format!("  {} packets", vantage.packets)),
        ])
    }

    /// Time, verdict, cause and both ends; on narrow screens the verdict first.
    fn reset(self, reset: &ResetReport, width: usize) -> Line<'static> {
        let words = cell(&verdict::words(reset));
        let time = verdict::time(reset);
        // Of 2026-01-02T03:04:05.123456Z.
        let time = time.get(11..23).unwrap_or(&time).to_owned();
        let style = self.origin(reset.origin);
        let sure = verdict::confidence(reset.confidence);
        let spans = if width >= usize::from(ALL_WIDTH) {
            vec![
                Span::raw(format!("{time}  {}  ", verdict::tuple(reset))),
                Span::styled(words, style),
                Span::raw(format!("  {}  {sure}", reset.cause.as_str())),
            ]
        } else {
            vec![
                Span::raw(format!("{time}  ")),
                Span::styled(words, style),
                Span::raw(format!(
                    "  {}  {}",
                    reset.cause.as_str(),
                    verdict::tuple(reset)
                )),
            ]
        };
        Line::from(spans)
    }

    fn ladder(self, frame: &mut Frame<'_>, app: &mut App, area: Rect) {
        let text = match told(app) {
            Ok(told) if told.ladder.columns.is_empty() => "No packets are kept of it.".to_owned(),
            Ok(told) => ladder::draw(&told.ladder, self.glyphs, usize::from(area.width)),
            Err(words) => words,
        };
        let mut lines = styled::lines(&text, self.coloured);
        if let Ok(told) = told(app) {
            let sentence = wrapped(&plain(&told.sentence), usize::from(area.width));
            let style = self.origin(told.reset.origin);
            lines.splice(
                ..0,
                sentence.into_iter().map(|line| Line::styled(line, style)),
            );
        }
        let scroll = match app.focus {
            Pane::Ladder => bounded(&mut app.scroll, lines.len(), area),
            _ => Position::ORIGIN,
        };
        frame.render_widget(Paragraph::new(lines).scroll((scroll.y, scroll.x)), area);
    }

    fn cover(self, frame: &mut Frame<'_>, app: &mut App, cover: &Cover, area: Rect) {
        let block = self.block(
            match cover {
                Cover::Help => "Help",
                Cover::Reset => "Reset",
                Cover::Vantage(_) => "Vantage",
            },
            true,
        );
        let inner = block.inner(area);
        let width = usize::from(inner.width);
        let text = match cover {
            Cover::Help => HELP.to_owned(),
            Cover::Reset => match told(app) {
                Ok(told) => explain::text(told, self.glyphs, width),
                Err(words) => words,
            },
            Cover::Vantage(name) => vantage_text(app, name, width),
        };
        let lines = styled::lines(&text, self.coloured);
        app.page = inner.height.max(1);
        let scroll = bounded(&mut app.scroll, lines.len(), inner);
        frame.render_widget(Clear, area);
        frame.render_widget(block, area);
        frame.render_widget(Paragraph::new(lines).scroll((scroll.y, scroll.x)), inner);
    }

    fn block(self, title: &'static str, focused: bool) -> Block<'static> {
        let border = match (self.glyphs, focused) {
            (Glyphs::Unicode, true) => border::THICK,
            (Glyphs::Unicode, false) => border::PLAIN,
            (Glyphs::Ascii, true) => ascii("#"),
            (Glyphs::Ascii, false) => ascii("+"),
        };
        let style = if focused {
            Style::new().bold()
        } else {
            Style::new()
        };
        Block::bordered()
            .border_set(border)
            .border_style(style)
            .title(title)
    }

    fn color(self, color: Color) -> Style {
        if self.coloured {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    }

    /// As everywhere: forged ones stand out.
    fn origin(self, origin: Origin) -> Style {
        match origin {
            Origin::Middlebox => self.color(Color::Red).bold(),
            Origin::Endpoint => self.color(Color::Green),
            Origin::Undetermined => self.color(Color::Yellow),
        }
    }
}

/// The selected reset in full, or why it is not there yet.
fn told(app: &App) -> Result<&parallax_core::report::Explanation, String> {
    let selected = app
        .selected()
        .ok_or_else(|| nothing(Pane::Resets).to_owned())?;
    match &app.told {
        Some(told) if told.id == selected.id => {
            told.answer.as_ref().map_err(|reason| plain(reason))
        }
        _ => Err("Asking the collector.".to_owned()),
    }
}

fn vantage_text(app: &App, name: &str, width: usize) -> String {
    let found = app.vantages.iter().find(|vantage| vantage.name == name);
    let Some(vantage) = found else {
        return "This vantage is gone.".to_owned();
    };
    let mut text = String::new();
    for line in vantages::told(vantage) {
        let line = plain(&line);
        let lines = if columns(&line) <= width {
            vec![line]
        } else {
            wrapped(&line, width)
        };
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

const fn nothing(pane: Pane) -> &'static str {
    match pane {
        Pane::Vantages => "No vantages: no agent has reported yet.",
        _ => "No resets.",
    }
}

/// Keeps the first line and column in what there is.
fn bounded(scroll: &mut (u16, u16), lines: usize, area: Rect) -> Position {
    let most = lines.saturating_sub(usize::from(area.height));
    scroll.0 = scroll.0.min(u16::try_from(most).unwrap_or(u16::MAX));
    Position::new(scroll.1, scroll.0)
}

/// Text from outside as one line.
fn cell(text: &str) -> String {
    plain(text).chars().take(CELL_MAX).collect()
}

const fn ascii(corner: &'static str) -> border::Set<'static> {
    border::Set {
        top_left: corner,
        top_right: corner,
        bottom_left: corner,
        bottom_right: corner,
        vertical_left: "|",
        vertical_right: "|",
        horizontal_top: "-",
        horizontal_bottom: "-",
    }
}

const HELP: &str = "\
up, down, k, j    move in the pane, or scroll
page up, down     a page of it; home, end: its beginning and end
left, right       scroll aside
tab, shift-tab    the next pane, the one before
enter             on a reset: all that is known of it
                  on a place or cause: list only its resets, or all again
                  on a vantage: what it watched and what is wrong
esc               list all resets again; close what is open
?                 this help
q, ctrl-c         quit

The newest reset stays selected as resets come, until you move away from the top.
Red: forged by a middlebox. Green: sent by an endpoint. Yellow: undetermined.
";
