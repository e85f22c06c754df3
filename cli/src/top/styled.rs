//! Text with the escape sequences of [`anstyle`] to lines of the screen.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// One screen line per line of text. Sequences other than colours and weights (SGR of ECMA-48) are dropped.
pub fn lines(text: &str, coloured: bool) -> Vec<Line<'static>> {
    let mut style = Style::new();
    text.lines()
        .map(|line| {
            let mut spans = Vec::new();
            let mut parts = line.split('\u{1b}');
            push(&mut spans, parts.next().unwrap_or_default(), style);
            for part in parts {
                let rest = match part.strip_prefix('[').and_then(|part| part.split_once('m')) {
                    Some((codes, rest)) if is_codes(codes) => {
                        style = codes.split(';').fold(style, |style, code| {
                            apply(style, code.parse().unwrap_or(0), coloured)
                        });
                        rest
                    }
                    _ => part,
                };
                push(&mut spans, rest, style);
            }
            Line::from(spans)
        })
        .collect()
}

fn is_codes(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_digit() || c == b';')
}

fn push(spans: &mut Vec<Span<'static>>, text: &str, style: Style) {
    if !text.is_empty() {
        spans.push(Span::styled(text.to_owned(), style));
    }
}

fn apply(style: Style, code: u16, coloured: bool) -> Style {
    let color = match code {
        0 => return Style::new(),
        1 => return style.add_modifier(Modifier::BOLD),
        2 => return style.add_modifier(Modifier::DIM),
        31 => Color::Red,
        32 => Color::Green,
        33 => Color::Yellow,
        34 => Color::Blue,
        35 => Color::Magenta,
        36 => Color::Cyan,
        _ => return style,
    };
    if coloured { style.fg(color) } else { style }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_weights_become_styles_and_end() {
        let lines = lines("a\u{1b}[1m\u{1b}[31mb\u{1b}[0mc\n\u{1b}[2Kd", true);
        assert_eq!(
            lines[0].spans,
            [
                Span::raw("a"),
                Span::styled("b", Style::new().fg(Color::Red).bold()),
                Span::raw("c")
            ]
        );
        assert_eq!(lines[1].to_string(), "[2Kd");
    }
}
