//! Several questions in one statement: a round trip costs as much as a small answer.

use std::fmt::Write as _;

/// A question of a compound.
pub(super) struct Part {
    pub text: &'static str,
    /// How many values it is given.
    pub values: usize,
    /// Its columns, and `NULL` in the place of others' columns.
    pub columns: &'static str,
}

/// One statement for all: each row says first whose it is, by number from 0. Values are given in the order of the parts.
pub(super) fn compound(parts: &[Part]) -> String {
    let (mut whole, mut values) = (String::new(), 0);
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            whole.push_str("\nUNION ALL\n");
        }
        let text = renumbered(part.text, values);
        // Writing to a string does not fail.
        let _ = write!(
            whole,
            "SELECT {number}::smallint AS part, {} FROM (\n{text}\n) AS answer",
            part.columns
        );
        values += part.values;
    }
    whole
}

/// The text with `$1` as `$N`, where N - 1 values are given before.
fn renumbered(text: &str, before: usize) -> String {
    let mut parts = text.split('$');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = part.split_at(digits);
        whole.push('$');
        match number.parse::<usize>() {
            Ok(number) => whole.push_str(&(number + before).to_string()),
            Err(_) => whole.push_str(number),
        }
        whole.push_str(rest);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart_and_have_values_of_their_own() {
        let part = |text, values| Part {
            text,
            values,
            columns: "n",
        };
        let whole = compound(&[part("SELECT $1 + $2 AS n", 2), part("SELECT $1 AS n", 1)]);
        assert_eq!(
            whole,
            "SELECT 0::smallint AS part, n FROM (\nSELECT $1 + $2 AS n\n) AS answer\nUNION ALL\n\
             SELECT 1::smallint AS part, n FROM (\nSELECT $3 AS n\n) AS answer"
        );
        assert_eq!(renumbered("$9 $10, $1", 3), "$12 $13, $4");
    }
}
