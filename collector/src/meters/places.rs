//! Places as labels of a metric, bounded in number: whoever names vantages must not make series without end.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use parallax_core::plain::plain;

/// Places that are told apart; those that come later are [`OTHER`].
pub const PLACES_MAX: usize = 512;

/// What stands for a place that is one too many.
pub const OTHER: &str = "(other)";

/// What stands for an end beyond the outermost vantage.
pub const BEYOND: &str = "(beyond)";

/// Characters of a vantage's name in a label.
const NAME: usize = 128;

/// Where resets come from, as labels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The two ends between which a reset was forged, from the claimed sender's side; empty: it was not.
    pub from: String,
    pub to: String,
    /// The vantage nearest to the endpoint that sent it; empty: none is known.
    pub at: String,
}

impl Place {
    /// Where a verdict says that a reset was forged.
    pub fn between(ends: [Option<&str>; 2]) -> Self {
        let [from, to] = ends.map(|end| end.map_or_else(|| BEYOND.to_owned(), label));
        Self {
            from,
            to,
            at: String::new(),
        }
    }

    /// Where a verdict says that an endpoint sent it.
    pub fn at(vantage: Option<&str>) -> Self {
        Self {
            at: vantage.map(label).unwrap_or_default(),
            ..Self::default()
        }
    }

    fn other() -> Self {
        Self {
            from: OTHER.to_owned(),
            to: OTHER.to_owned(),
            at: OTHER.to_owned(),
        }
    }
}

fn label(name: &str) -> String {
    plain(&name.chars().take(NAME).collect::<String>())
}

/// The places that have been told so far.
#[derive(Debug, Default)]
pub struct Places(Mutex<Option<HashSet<Place>>>);

impl Places {
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The place itself, or the one that stands for all that are too many.
    pub fn bounded(&self, place: Place) -> Place {
        // A set of labels is whole at any moment.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_with(HashSet::new);
        if known.contains(&place) {
            return place;
        }
        if known.len() >= PLACES_MAX {
            return Place::other();
        }
        known.insert(place.clone());
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_without_end_are_one_place_and_those_known_before_stay() {
        let places = Places::new();
        let place = |number: usize| Place::at(Some(&format!("v{number}")));
        for number in 0..PLACES_MAX {
            assert_eq!(places.bounded(place(number)), place(number));
        }
        assert_eq!(places.bounded(place(PLACES_MAX)), Place::other());
        assert_eq!(places.bounded(place(3)), place(3));
    }

    #[test]
    fn a_place_has_readable_ends_and_no_endless_names() {
        let place = Place::between([None, Some(&"x\n".repeat(1000))]);
        assert_eq!(place.from, BEYOND);
        assert!(place.to.starts_with("x\\u{a}x"));
        assert!(place.to.len() < 1000);
        assert_eq!(Place::at(None), Place::default());
    }
}
