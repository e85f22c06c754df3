//! The two languages of the pages. Both stand side by side wherever something is said.

/// A visitor's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lang {
    English,
    Chinese,
}

impl Lang {
    /// The words in this language.
    pub const fn say(self, english: &'static str, chinese: &'static str) -> &'static str {
        match self {
            Self::English => english,
            Self::Chinese => chinese,
        }
    }

    /// BCP 47.
    pub const fn tag(self) -> &'static str {
        self.say("en", "zh-Hans")
    }

    /// From a cookie or parameter.
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    /// The language of the two that a browser's Accept-Language (RFC 9110, 12.5.4) weighs highest; English where it
    /// names neither.
    pub fn accepted(header: &str) -> Self {
        let weighed = header.split(',').filter_map(|range| {
            let mut parts = range.split(';');
            let primary = parts.next()?.trim().split('-').next()?.to_ascii_lowercase();
            let quality = parts
                .find_map(|part| part.trim().strip_prefix("q="))
                .map_or(Some(1.0), |q| q.trim().parse::<f32>().ok())?;
            Some((Self::named(&primary)?, quality))
        });
        let mut best = (Self::English, 0.0);
        for (lang, quality) in weighed {
            if quality > best.1 {
                best = (lang, quality);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_weights_decide() {
        for (header, lang) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", Lang::Chinese),
            ("de, en;q=0.5, zh;q=0.7", Lang::Chinese),
            ("en-GB,zh;q=0.9", Lang::English),
            ("fr", Lang::English),
            ("zh;q=0", Lang::English),
            ("", Lang::English),
            ("zh;q=x, ;;,en", Lang::English),
        ] {
            assert_eq!(Lang::accepted(header), lang, "{header}");
        }
    }
}
