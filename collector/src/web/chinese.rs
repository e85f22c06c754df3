//! The judge's English sentences in Chinese.
//!
//! The judge tells its reasons in English, for every reader of its documents. Here each of its sentences is known by
//! what never changes in it; what stands in its gaps is told in Chinese too where it is a sentence or a word of the
//! judge's, else it stays: names, addresses, numbers. A sentence that is not known stays English.

mod sentences;

/// Deeper than any sentence holds others.
const DEPTH_MAX: u8 = 8;
/// Octets of a text that is looked at: a name of any length may be in it.
const TEXT_MAX: usize = 4096;

/// The text in Chinese; `None`: it is no sentence of the judge's.
pub fn told(text: &str) -> Option<String> {
    (text.len() <= TEXT_MAX)
        .then(|| sentence(text, DEPTH_MAX))
        .flatten()
}

fn sentence(text: &str, depth: u8) -> Option<String> {
    let deeper = depth.checked_sub(1)?;
    sentences::all().find_map(|(english, chinese)| {
        let gaps = gaps(english, text)?;
        // A name stays, also one that is a word of the judge's.
        let name = english.starts_with("\"{}\"");
        let told = |(at, gap): (usize, &str)| match sentence(gap, deeper) {
            Some(told) if !(name && at == 0) => told,
            _ => gap.to_owned(),
        };
        let gaps: Vec<String> = gaps.into_iter().enumerate().map(told).collect();
        Some(filled(chinese, &gaps))
    })
}

/// What of a text stands in a pattern's gaps `{}`; `None`: it is of another pattern.
fn gaps<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut fixed = pattern.split("{}");
    let mut rest = text.strip_prefix(fixed.next()?)?;
    let fixed: Vec<&str> = fixed.collect();
    let Some((last, between)) = fixed.split_last() else {
        return rest.is_empty().then(Vec::new);
    };
    let mut gaps = Vec::new();
    for part in between {
        let (gap, after) = rest.split_once(part)?;
        gaps.push(gap);
        rest = after;
    }
    gaps.push(rest.strip_suffix(last)?);
    Some(gaps)
}

/// A Chinese pattern, `{0}` for what stood in the first gap.
fn filled(pattern: &str, gaps: &[String]) -> String {
    let mut text = String::new();
    let mut parts = pattern.split('{');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (number, after) = part.split_once('}').unwrap_or(("", part));
        let gap = number.parse::<usize>().ok().and_then(|at| gaps.get(at));
        text.push_str(gap.map_or("", String::as_str));
        text.push_str(after);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gap_that_is_told_exists_and_none_is_forgotten() {
        for (english, chinese) in sentences::all() {
            let count = english.matches("{}").count();
            for gap in 0..count {
                assert!(chinese.contains(&format!("{{{gap}}}")), "{english}: {gap}");
            }
            assert_eq!(chinese.matches('{').count(), count, "{chinese}");
        }
    }

    #[test]
    fn sentences_within_sentences_are_told() {
        for (english, chinese) in [
            (
                "\"fw-out\" did not see the RST and would have: it was capturing at that moment without loss, and it \
                 recorded this connection's packets from the server; asked for all that it remembers of the connection \
                 around that moment, it had no RST",
                "“fw-out”没有见到这个 RST，而它本应见到：当时它正在抓包且没有丢包，它记录了本连接来自服务器的报文；向它查询当时前后记得的该连接的全部报文，其中没有 RST",
            ),
            (
                "going from the server the RST was first seen at \"fw-in\" (TTL 62), then at \"gw\", \"client\"",
                "从服务器出发，这个 RST 首先在“fw-in”出现（TTL 62），随后是“gw”、“client”",
            ),
            (
                "\"a\" says nothing about it: its kernel dropped packets for want of buffer around then (7 lost)",
                "“a”对此不说明什么：当时前后其内核因缓冲区不足而丢包（丢失 7 个）",
            ),
        ] {
            assert_eq!(told(english).as_deref(), Some(chinese));
        }
        assert_eq!(told("nothing that the judge says"), None);
        assert_eq!(told(&"\"".repeat(100_000)), None);
    }
}
