//! Strings from outside in lines of a terminal.

pub use parallax_core::plain::plain;

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
    fn lines_break_between_words_and_long_words_stay_whole() {
        assert_eq!(
            wrapped("one two  three incomprehensible x", 8),
            ["one two", "three", "incomprehensible", "x"]
        );
        assert_eq!(wrapped("", 8), [""]);
    }
}
