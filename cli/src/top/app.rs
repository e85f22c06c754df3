//! What the screen shows, and what keys and the collector's answers change.

use std::collections::BTreeMap;

use parallax_core::report::{Document, Explanation, Origin, ResetReport, VantageSummary};
use ratatui::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};
use uuid::Uuid;

/// What happens to the screen.
#[derive(Debug)]
pub enum Input {
    Terminal(Event),
    /// The keyboard is gone, for this reason.
    TerminalLost(String),
    /// The number of a signal that ends the program.
    Signal(i32),
    /// The newest resets.
    Resets(Box<Document>),
    Vantages(Box<Document>),
    /// A new or changed verdict.
    Verdict(Box<ResetReport>),
    Told(Uuid, Box<Result<Explanation, String>>),
    /// The collector does not answer, for this reason.
    Away(String),
}

/// What the screen wants from its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Quit,
    Explain(Uuid),
}

/// Parts of the screen that keys can go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    Places,
    Causes,
    Vantages,
    Resets,
    Ladder,
}

impl Pane {
    pub const ALL: [Self; 5] = [
        Self::Resets,
        Self::Ladder,
        Self::Places,
        Self::Causes,
        Self::Vantages,
    ];

    pub const fn title(self) -> &'static str {
        match self {
            Self::Places => "Places",
            Self::Causes => "Causes",
            Self::Vantages => "Vantages",
            Self::Resets => "Resets",
            Self::Ladder => "Ladder",
        }
    }

    fn step(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|pane| *pane == self);
        Self::ALL[(at.unwrap_or(0) + by) % Self::ALL.len()]
    }
}

/// Only resets of one group are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Only {
    Place(String),
    Cause(&'static str),
}

/// What covers the panes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cover {
    Help,
    /// The selected reset in full.
    Reset,
    Vantage(String),
}

/// Resets that have something in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub words: String,
    /// Of the newest of them.
    pub origin: Origin,
    pub count: usize,
}

/// The selected reset, told in full.
#[derive(Debug)]
pub struct Told {
    pub id: Uuid,
    pub answer: Result<Explanation, String>,
}

/// The state of the screen.
#[derive(Debug)]
pub struct App {
    pub url: String,
    /// At most so many resets are kept.
    limit: usize,
    /// Why the collector is away.
    pub away: Option<String>,
    /// Newest first.
    resets: Vec<ResetReport>,
    pub vantages: Vec<VantageSummary>,
    pub focus: Pane,
    pub only: Option<Only>,
    pub cover: Option<Cover>,
    /// The reset that the user went to; without it the newest is selected.
    held: Option<Uuid>,
    pub place: usize,
    pub cause: usize,
    pub vantage: usize,
    pub told: Option<Told>,
    asked: Option<Uuid>,
    /// First line and column of the ladder or cover that are shown. Drawing keeps them in bounds.
    pub scroll: (u16, u16),
    /// Lines of the focused part: what a page is.
    pub page: u16,
}

impl App {
    pub fn new(url: &str, limit: usize) -> Self {
        Self {
            url: url.to_owned(),
            limit,
            away: None,
            resets: Vec::new(),
            vantages: Vec::new(),
            focus: Pane::Resets,
            only: None,
            cover: None,
            held: None,
            place: 0,
            cause: 0,
            vantage: 0,
            told: None,
            asked: None,
            scroll: (0, 0),
            page: 10,
        }
    }

    /// Takes what happened; gives what is wanted now.
    pub fn take(&mut self, input: Input) -> Option<Ask> {
        match input {
            Input::Terminal(Event::Key(key)) if key.kind != KeyEventKind::Release => {
                let control = key.modifiers.contains(KeyModifiers::CONTROL);
                if self.key(key.code, control) == Some(Ask::Quit) {
                    return Some(Ask::Quit);
                }
            }
            Input::Resets(document) => {
                self.away = None;
                self.resets = document.resets;
                self.resets.sort_by(newest_first);
                self.resets.truncate(self.limit);
                self.asked = None;
            }
            Input::Vantages(document) => {
                self.away = None;
                self.vantages = document.vantages;
            }
            Input::Verdict(reset) => self.verdict(*reset),
            Input::Told(id, answer) => {
                let answer = *answer;
                self.told = Some(Told { id, answer });
            }
            Input::Away(reason) => self.away = Some(reason),
            // Drawing sees to a new size; the others are the owner's.
            Input::Terminal(_) | Input::TerminalLost(_) | Input::Signal(_) => {}
        }
        self.wish()
    }

    fn verdict(&mut self, reset: ResetReport) {
        if self.asked == Some(reset.id) {
            self.asked = None;
        }
        self.resets.retain(|kept| kept.id != reset.id);
        let at = self
            .resets
            .partition_point(|kept| newest_first(kept, &reset).is_lt());
        self.resets.insert(at, reset);
        self.resets.truncate(self.limit);
    }

    /// The ladder of the selected reset, unless it is there or under way.
    fn wish(&mut self) -> Option<Ask> {
        let selected = self.selected()?.id;
        if self.asked == Some(selected) {
            return None;
        }
        self.asked = Some(selected);
        Some(Ask::Explain(selected))
    }

    /// All that are kept, newest first.
    pub fn resets(&self) -> &[ResetReport] {
        &self.resets
    }

    /// Those of the group that the user chose, newest first.
    pub fn listed(&self) -> impl Iterator<Item = &ResetReport> {
        self.resets.iter().filter(|reset| match &self.only {
            None => true,
            Some(Only::Place(place)) => place_of(reset) == *place,
            Some(Only::Cause(cause)) => reset.cause.as_str() == *cause,
        })
    }

    /// Where in the list the selected reset is.
    pub fn selected_at(&self) -> usize {
        self.held
            .and_then(|id| self.listed().position(|reset| reset.id == id))
            .unwrap_or(0)
    }

    pub fn selected(&self) -> Option<&ResetReport> {
        self.listed().nth(self.selected_at())
    }

    /// Where resets came from, most frequent first.
    pub fn places(&self) -> Vec<Group> {
        self.groups(place_of)
    }

    pub fn causes(&self) -> Vec<Group> {
        self.groups(|reset| reset.cause.as_str().to_owned())
    }

    fn groups(&self, words: impl Fn(&ResetReport) -> String) -> Vec<Group> {
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        for reset in &self.resets {
            let words = words(reset);
            let group = groups.entry(words.clone()).or_insert(Group {
                words,
                origin: reset.origin,
                count: 0,
            });
            group.count += 1;
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        groups
    }

    fn key(&mut self, key: KeyCode, control: bool) -> Option<Ask> {
        match key {
            KeyCode::Char('c') if control => return Some(Ask::Quit),
            KeyCode::Char('q' | '?') | KeyCode::Esc | KeyCode::Enter if self.cover.is_some() => {
                self.uncover();
            }
            KeyCode::Char('q') => return Some(Ask::Quit),
            KeyCode::Esc => self.only = None,
            KeyCode::Char('?') => self.put_over(Cover::Help),
            KeyCode::Tab if self.cover.is_none() => self.go(self.focus.step(1)),
            KeyCode::BackTab if self.cover.is_none() => {
                self.go(self.focus.step(Pane::ALL.len() - 1));
            }
            KeyCode::Enter => self.enter(),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::PageUp => self.step(-i32::from(self.page)),
            KeyCode::PageDown => self.step(i32::from(self.page)),
            KeyCode::Home => self.step(-i32::from(i16::MAX)),
            KeyCode::End => self.step(i32::from(i16::MAX)),
            KeyCode::Left => self.scroll.1 = self.scroll.1.saturating_sub(ASIDE),
            KeyCode::Right => self.scroll.1 = self.scroll.1.saturating_add(ASIDE),
            _ => {}
        }
        None
    }

    fn go(&mut self, pane: Pane) {
        self.focus = pane;
        self.scroll = (0, 0);
    }

    fn put_over(&mut self, cover: Cover) {
        self.cover = Some(cover);
        self.scroll = (0, 0);
    }

    fn uncover(&mut self) {
        self.cover = None;
        self.scroll = (0, 0);
    }

    /// What is scrolled or moved in: the cover, else the focused pane.
    fn step(&mut self, by: i32) {
        if self.cover.is_some() || self.focus == Pane::Ladder {
            let line = i32::from(self.scroll.0).saturating_add(by);
            self.scroll.0 = u16::try_from(line.max(0)).unwrap_or(u16::MAX);
            return;
        }
        match self.focus {
            Pane::Places => self.place = moved(self.place, by, self.places().len()),
            Pane::Causes => self.cause = moved(self.cause, by, self.causes().len()),
            Pane::Vantages => self.vantage = moved(self.vantage, by, self.vantages.len()),
            Pane::Resets | Pane::Ladder => {
                let to = moved(self.selected_at(), by, self.listed().count());
                // At the top the newest stays selected, whatever comes.
                self.held = (to > 0)
                    .then(|| self.listed().nth(to).map(|reset| reset.id))
                    .flatten();
            }
        }
    }

    fn enter(&mut self) {
        match self.focus {
            Pane::Resets | Pane::Ladder => {
                if self.selected().is_some() {
                    self.put_over(Cover::Reset);
                }
            }
            Pane::Places => {
                let place = self.places().into_iter().nth(self.place);
                self.narrow(place.map(|group| Only::Place(group.words)));
            }
            Pane::Causes => {
                let cause = self.causes().into_iter().nth(self.cause);
                let cause = cause.and_then(|group| {
                    let all = self.resets.iter().map(|reset| reset.cause.as_str());
                    all.into_iter().find(|cause| *cause == group.words)
                });
                self.narrow(cause.map(Only::Cause));
            }
            Pane::Vantages => {
                if let Some(vantage) = self.vantages.get(self.vantage) {
                    self.put_over(Cover::Vantage(vantage.name.clone()));
                }
            }
        }
    }

    /// Lists only these; all again where these were chosen before.
    fn narrow(&mut self, only: Option<Only>) {
        self.held = None;
        if self.only == only {
            self.only = None;
        } else {
            self.only = only;
            self.go(Pane::Resets);
        }
    }
}

/// Columns that one key moves aside.
const ASIDE: u16 = 8;

fn moved(at: usize, by: i32, count: usize) -> usize {
    let by = by as isize;
    at.saturating_add_signed(by).min(count.saturating_sub(1))
}

fn newest_first(a: &ResetReport, b: &ResetReport) -> std::cmp::Ordering {
    (b.time, b.id).cmp(&(a.time, a.id))
}

/// Where the reset came from, in words that resets of one place share. Names are as they came.
fn place_of(reset: &ResetReport) -> String {
    const BEYOND: &str = "beyond";
    let name = |name: &Option<String>| name.clone().unwrap_or_else(|| BEYOND.to_owned());
    match (reset.origin, &reset.between, &reset.at) {
        (Origin::Endpoint, _, Some(at)) => format!("endpoint at {at}"),
        (Origin::Endpoint, _, None) => match reset.emitter {
            Some(side) => format!("endpoint {}", side.as_str()),
            None => "endpoint".to_owned(),
        },
        (origin, Some([from, to]), _) => {
            format!(
                "{} between {} and {}",
                origin.as_str(),
                name(from),
                name(to)
            )
        }
        (origin, None, _) => origin.as_str().to_owned(),
    }
}
