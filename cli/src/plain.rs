//! Strings from outside (names, words of a collector) made safe for a terminal.

use std::fmt::Write;

/// The text with control characters, line breaks and marks that reorder or hide text written as
/// escapes, so that a vantage's name can neither move the cursor nor forge a line.
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

/// The text in lines of at most `width` columns, broken between words; a longer word stays whole.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().map_or("", |line| line.as_str());
        if !line.is_empty() && columns(line) + 1 + columns(word) > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// Columns that the text takes on a terminal.
pub fn columns(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
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

    #[test]
    fn lines_break_between_words_and_long_words_stay_whole() {
        assert_eq!(
            wrapped("one two  three incomprehensible x", 8),
            ["one two", "three", "incomprehensible", "x"]
        );
        assert_eq!(wrapped("", 8), [""]);
    }
}
