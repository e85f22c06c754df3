//! Short ids: what tables show and what people type.

use parallax_core::report::ResetReport;
use uuid::Uuid;

/// The fewest digits that a table shows of an id.
const SHORTEST: usize = 8;

/// Why typed text names no reset.
#[derive(Debug, thiserror::Error)]
pub enum IdError {
    #[error("no reset whose id begins or ends with \"{0}\"; list the ids with `parallax resets`")]
    Unknown(String),
    #[error("{count} resets have an id that begins or ends with \"{typed}\"; type more of it")]
    Ambiguous { typed: String, count: usize },
}

/// An id as typed: all of it, or its beginning or end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedId {
    /// Hexadecimal digits, lower case, without hyphens.
    digits: String,
}

impl TypedId {
    /// Reads up to 32 hexadecimal digits, hyphens ignored.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digits = text.replace('-', "").to_ascii_lowercase();
        let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if digits.is_empty() || digits.len() > 32 || !hexadecimal {
            return Err("expected an id or its beginning or end, hexadecimal digits".to_owned());
        }
        Ok(Self { digits })
    }

    /// The id, when all of it was typed.
    pub fn complete(&self) -> Option<Uuid> {
        (self.digits.len() == 32)
            .then(|| Uuid::try_parse(&self.digits).ok())
            .flatten()
    }

    pub fn matches(&self, id: Uuid) -> bool {
        let whole = id.simple().to_string();
        whole.starts_with(&self.digits) || whole.ends_with(&self.digits)
    }

    /// The one id among `ids` that was meant.
    pub fn resolve(&self, ids: impl IntoIterator<Item = Uuid>) -> Result<Uuid, IdError> {
        let mut matching: Vec<Uuid> = ids.into_iter().filter(|id| self.matches(*id)).collect();
        matching.sort_unstable();
        matching.dedup();
        match matching.as_slice() {
            [] => Err(IdError::Unknown(self.digits.clone())),
            [id] => Ok(*id),
            several => Err(IdError::Ambiguous {
                typed: self.digits.clone(),
                count: several.len(),
            }),
        }
    }
}

/// How many of the last digits tell these resets apart. The last ones, since the first digits of a
/// UUID v7 are its time and so the same for resets of one moment.
pub fn digits_needed(resets: &[ResetReport]) -> usize {
    let mut reversed: Vec<String> = resets
        .iter()
        .map(|reset| reset.id.simple().to_string().chars().rev().collect())
        .collect();
    reversed.sort_unstable();
    reversed.dedup();
    reversed
        .windows(2)
        .map(|pair| shared(&pair[0], &pair[1]) + 1)
        .max()
        .unwrap_or(SHORTEST)
        .clamp(SHORTEST, 32)
}

fn shared(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

/// The last `digits` digits of an id.
pub fn short(id: Uuid, digits: usize) -> String {
    let whole = id.simple().to_string();
    whole[whole.len() - digits.min(whole.len())..].to_owned()
}

/// [`short`] with the digits that suffice where no other id stands beside it.
pub fn short_alone(id: Uuid) -> String {
    short(id, SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> [Uuid; 3] {
        [
            "019b7cc1-2f00-7000-8000-00000000aaaa",
            "019b7cc1-2f00-7000-8000-00001000aaaa",
            "019b7cc1-2f00-7111-8000-0000bbbbbbbb",
        ]
        .map(|text| text.parse().unwrap())
    }

    #[test]
    fn the_beginning_or_the_end_of_an_id_names_it() {
        let typed = |text| TypedId::parse(text).unwrap().resolve(ids());
        assert_eq!(typed("bbbbbbbb").unwrap(), ids()[2]);
        assert_eq!(typed("019b7cc1-2f00-7111").unwrap(), ids()[2]);
        assert!(matches!(
            typed("aaaa"),
            Err(IdError::Ambiguous { count: 2, .. })
        ));
        assert!(matches!(typed("0197"), Err(IdError::Unknown(_))));
        assert_eq!(
            TypedId::parse(&ids()[0].to_string()).unwrap().complete(),
            Some(ids()[0])
        );
        assert!(TypedId::parse("../etc").is_err());
        assert!(TypedId::parse("").is_err());
    }
}
