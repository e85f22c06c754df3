//! Where a ladder's columns stand.

use parallax_core::report::{Ladder, LadderGap};

use super::{RowText, kind};
use crate::plain::{columns, plain};

/// What stands over the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heads {
    Names,
    /// Numbers, with the names in a list above: they are too long for the columns.
    Numbers,
}

/// Where a packet's label stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Labels {
    Beside,
    /// In a line of its own over the arrow: too narrow a terminal.
    Above,
}

/// The plan of a drawing, in terminal columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) heads: Heads,
    pub(super) labels: Labels,
    /// Width of the column of times.
    pub(super) time_width: usize,
    /// Where the lanes begin in the line.
    pub(super) indent: usize,
    /// Where each vantage's lifeline stands within the lanes.
    pub(super) at: Vec<usize>,
    /// Width of the lanes.
    pub(super) width: usize,
}

/// Between lifelines: least for names and labels beside, least of all, and most.
const SPACING_GOOD: usize = 9;
const SPACING_LEAST: usize = 4;
const SPACING_MOST: usize = 18;
/// Beside the outermost lifelines: for an arrow's tail, and for a birth beyond them.
const MARGIN: usize = 3;
const MARGIN_BIRTH: usize = 7;
/// Before the lanes when labels stand above.
const INDENT_ABOVE: usize = 2;

impl Layout {
    /// The most readable plan that fits; the narrowest of all when none does.
    pub(super) fn plan(ladder: &Ladder, texts: &[RowText], width: usize) -> Self {
        let widest = |of: fn(&RowText) -> &str| {
            texts
                .iter()
                .map(|text| columns(of(text)))
                .max()
                .unwrap_or(0)
        };
        let (time_width, label_width) = (widest(|text| &text.time), widest(|text| &text.label));
        let plans = [
            (Heads::Names, Labels::Beside),
            (Heads::Names, Labels::Above),
            (Heads::Numbers, Labels::Beside),
            (Heads::Numbers, Labels::Above),
        ];
        let fitting = plans.into_iter().find_map(|(heads, labels)| {
            let taken = match labels {
                Labels::Beside => time_width + 2 + 2 + label_width,
                Labels::Above => INDENT_ABOVE,
            };
            let room = width.checked_sub(taken)?;
            Self::place(ladder, heads, labels, time_width, room)
        });
        let (heads, labels) = (Heads::Numbers, Labels::Above);
        fitting
            .or_else(|| Self::place(ladder, heads, labels, time_width, usize::MAX))
            .unwrap_or(Self {
                heads,
                labels,
                time_width,
                indent: INDENT_ABOVE,
                at: Vec::new(),
                width: 0,
            })
    }

    fn place(
        ladder: &Ladder,
        heads: Heads,
        labels: Labels,
        time_width: usize,
        room: usize,
    ) -> Option<Self> {
        let head_width = match heads {
            Heads::Names => ladder
                .columns
                .iter()
                .map(|column| columns(&plain(&column.vantage)).max(columns(kind(column))))
                .max()?,
            Heads::Numbers => 2,
        };
        let least = match heads {
            Heads::Names => (head_width + 2).max(SPACING_GOOD),
            Heads::Numbers => SPACING_LEAST,
        };
        let (left, right) = margins(ladder.gap, head_width);
        let gaps = ladder.columns.len().checked_sub(1)?;
        let free = room.checked_sub(left + right + 1)?;
        let spacing = free.checked_div(gaps).unwrap_or(least);
        let most = if room == usize::MAX {
            least
        } else {
            least.max(SPACING_MOST)
        };
        let spacing = (spacing >= least).then(|| spacing.min(most))?;
        let at: Vec<usize> = (0..=gaps).map(|index| left + index * spacing).collect();
        Some(Self {
            heads,
            labels,
            time_width,
            indent: match labels {
                Labels::Beside => time_width + 2,
                Labels::Above => INDENT_ABOVE,
            },
            width: left + gaps * spacing + 1 + right,
            at,
        })
    }

    /// Texts centred over the lifelines, in one line.
    pub(super) fn centered(&self, texts: &[impl AsRef<str>]) -> String {
        let mut line = " ".repeat(self.indent);
        for (text, at) in texts.iter().map(AsRef::as_ref).zip(&self.at) {
            let start = (self.indent + at).saturating_sub(columns(text) / 2);
            line.push_str(&" ".repeat(start.saturating_sub(columns(&line))));
            line.push_str(text);
        }
        line
    }
}

/// Room beside the outermost lifelines.
fn margins(gap: Option<LadderGap>, head_width: usize) -> (usize, usize) {
    let beyond = |place: Option<usize>| {
        if place.is_none() {
            MARGIN_BIRTH
        } else {
            MARGIN
        }
    };
    let (left, right) = gap.map_or((MARGIN, MARGIN), |gap| {
        (beyond(gap.left), beyond(gap.right))
    });
    let half = head_width / 2;
    (left.max(half), right.max(half))
}
