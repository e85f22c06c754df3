//! Questions to distributed tables (Citus), each to one shard.
//!
//! Where tables are distributed a statement is carried out by one node as it stands only if it names the value of each
//! table's distribution column. So what is otherwise asked for many keys at once is asked key by key, with the same text
//! and one condition more.

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// How far a statement reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// One database: many keys at once.
    Whole,
    /// One shard: one key at a time.
    Shard,
}

impl Reach {
    /// Indices of the wanted by statement.
    pub fn parts<T, Key: Ord>(self, wanted: &[T], key: impl Fn(&T) -> Key) -> Vec<Vec<usize>> {
        match self {
            _ if wanted.is_empty() => Vec::new(),
            Self::Whole => vec![(0..wanted.len()).collect()],
            Self::Shard => {
                let mut by_key: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
                for (index, wanted) in wanted.iter().enumerate() {
                    by_key.entry(key(wanted)).or_default().push(index);
                }
                by_key.into_values().collect()
            }
        }
    }
}

/// A question to one distributed table, whose keys are an array.
pub(super) struct Routed {
    whole: &'static str,
    /// Where it compares the table's distribution column with an asked key.
    compares: &'static str,
    /// The same column again, and the array of the keys.
    column: &'static str,
    keys: &'static str,
    /// The table that holds the same rows by this key.
    instead: Option<[&'static str; 2]>,
    made: OnceLock<String>,
}

impl Routed {
    const fn new(whole: &'static str, [compares, column, keys]: [&'static str; 3]) -> Self {
        Self {
            whole,
            compares,
            column,
            keys,
            instead: None,
            made: OnceLock::new(),
        }
    }

    /// The same, put to table `near`, which has digests by vantage.
    const fn near(mut self) -> Self {
        self.instead = Some(["FROM digest", "FROM near AS digest"]);
        self
    }

    /// The statement.
    pub fn text(&'static self, reach: Reach) -> &'static str {
        match reach {
            Reach::Whole => self.whole,
            Reach::Shard => self.made.get_or_init(|| self.routed()),
        }
    }

    fn routed(&self) -> String {
        let Self {
            compares,
            column,
            keys,
            ..
        } = self;
        let narrow = format!("{compares} AND {column} = ({keys})[1]");
        let text = self.whole.replace(compares, &narrow);
        match self.instead {
            Some([from, instead]) => text.replace(from, instead),
            None => text,
        }
    }
}

const BY_FLOW: [&str; 3] = ["digest.flow = asked.flow", "digest.flow", "$1::bigint[]"];
const PACKED_BY_FLOW: [&str; 3] = ["packed.flow = asked.flow", "packed.flow", "$1::bigint[]"];
const BY_VANTAGE: [&str; 3] = [
    "digest.vantage_id = asked.vantage_id",
    "digest.vantage_id",
    "$1::integer[]",
];

pub(super) static SIGHTINGS: Routed = Routed::new(include_str!("../sql/sightings.sql"), BY_FLOW);
pub(super) static SEGMENTS: Routed = Routed::new(include_str!("../sql/segments.sql"), BY_FLOW);
pub(super) static PACKED_SEGMENTS: Routed =
    Routed::new(include_str!("../sql/packed_segments.sql"), PACKED_BY_FLOW);
pub(super) static NEIGHBOURS: Routed = Routed::new(include_str!("../sql/neighbours.sql"), BY_FLOW);
pub(super) static PACKED_NEIGHBOURS: Routed =
    Routed::new(include_str!("../sql/packed_neighbours.sql"), PACKED_BY_FLOW);
pub(super) static PACKED_OCTETS: Routed =
    Routed::new(include_str!("../sql/packed_octets.sql"), PACKED_BY_FLOW);
pub(super) static CARRIERS: Routed = Routed::new(
    include_str!("../sql/carriers.sql"),
    ["payload.hash = probe.hash", "payload.hash", "$1::bigint[]"],
);
pub(super) static HANDSHAKES: Routed =
    Routed::new(include_str!("../sql/handshakes.sql"), BY_VANTAGE).near();
pub(super) static ACCEPTS: Routed = Routed::new(
    include_str!("../sql/accepts.sql"),
    [
        "digest.vantage_id = server.vantage_id",
        "digest.vantage_id",
        "$1::integer[]",
    ],
)
.near();
pub(super) static NEARBY_RESETS: Routed =
    Routed::new(include_str!("../sql/nearby_resets.sql"), BY_VANTAGE).near();

/// Statements that name one key anyway, and are put where tables are distributed only.
pub(super) const FLOWS_NUMBERS: &str = include_str!("../sql/flows_numbers.sql");
pub(super) const NUMBERS_FLOWS: &str = include_str!("../sql/numbers_flows.sql");
pub(super) const HAS_RESET: &str = include_str!("../sql/has_reset.sql");

/// Every question of a case to a distributed table, by name, as it is put to one shard: for the tests of plans.
pub fn routed_questions() -> Vec<(&'static str, &'static str)> {
    let routed: [(&str, &'static Routed); 10] = [
        ("sightings", &SIGHTINGS),
        ("segments", &SEGMENTS),
        ("packed_segments", &PACKED_SEGMENTS),
        ("neighbours", &NEIGHBOURS),
        ("packed_neighbours", &PACKED_NEIGHBOURS),
        ("packed_octets", &PACKED_OCTETS),
        ("carriers", &CARRIERS),
        ("handshakes", &HANDSHAKES),
        ("accepts", &ACCEPTS),
        ("nearby_resets", &NEARBY_RESETS),
    ];
    let routed = routed.map(|(name, question)| (name, question.text(Reach::Shard)));
    let others = [
        ("flows_numbers", FLOWS_NUMBERS),
        ("numbers_flows", NUMBERS_FLOWS),
        ("has_reset", HAS_RESET),
    ];
    routed.into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::digest_row::COLUMNS;

    #[test]
    fn every_comparison_with_a_key_is_narrowed_and_nothing_else() {
        for (question, times) in [(&SEGMENTS, 3), (&PACKED_NEIGHBOURS, 2), (&HANDSHAKES, 2)] {
            let text = question.text(Reach::Shard);
            assert_eq!(text.matches("[])[1]").count(), times, "{text}");
            assert!(!question.text(Reach::Whole).contains("[])[1]"));
        }
        assert!(!HANDSHAKES.text(Reach::Shard).contains("FROM digest"));
    }

    #[test]
    fn every_question_for_digests_has_their_columns_in_the_one_order() {
        for (question, times) in [
            (&SEGMENTS, 3),
            (&NEIGHBOURS, 2),
            (&HANDSHAKES, 2),
            (&ACCEPTS, 2),
            (&NEARBY_RESETS, 2),
        ] {
            for reach in [Reach::Whole, Reach::Shard] {
                let words = question.text(reach).split_whitespace();
                let text = words.collect::<Vec<_>>().join(" ");
                let columns = format!("(SELECT {} FROM ", COLUMNS.join(", "));
                assert_eq!(text.matches(&columns).count(), times, "{text}");
                assert!(text.contains("SELECT asked.n AS asked, "), "{text}");
            }
        }
    }

    #[test]
    fn a_shard_is_asked_for_one_key_and_a_database_for_all() {
        let wanted = [7, 3, 7];
        let key = |wanted: &i32| *wanted;
        assert_eq!(Reach::Whole.parts(&wanted, key), [vec![0, 1, 2]]);
        assert_eq!(Reach::Shard.parts(&wanted, key), [vec![1], vec![0, 2]]);
        for reach in [Reach::Whole, Reach::Shard] {
            assert!(reach.parts(&[], key).is_empty(), "nothing is not asked for");
        }
    }
}
