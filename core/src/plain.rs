//! Strings from outside (names, words of a collector) made safe to show.

use std::fmt::Write;

/// The text with control characters, line breaks and marks that reorder or hide text written as
/// escapes, so that a vantage's name can neither move a cursor nor forge a line.
pub fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if hides(character) {
            // Writing to a String cannot fail.
            let _ = write!(safe, "{}", character.escape_unicode());
        } else {
            safe.push(character);
        }
    }
    safe
}

fn hides(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_reordering_characters_become_escapes() {
        assert_eq!(
            plain("a\u{1b}[31mb\nc\u{202e}d\u{9b}é"),
            "a\\u{1b}[31mb\\u{a}c\\u{202e}d\\u{9b}é"
        );
    }
}
