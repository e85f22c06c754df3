//! A reset's page as one file that needs nothing else.

use askama::Template;
use parallax_core::report::Explanation;

use super::ladder::{self, Drawing};
use super::reset::{Reason, decide, evidence, facts, sentence};
use super::words;
use super::{Lang, Shell};

#[derive(Template)]
#[template(path = "report.html")]
pub struct Report {
    t: Lang,
    style: &'static str,
    title: String,
    sentence: String,
    origin: &'static str,
    origin_words: &'static str,
    confidence: String,
    facts: Vec<(&'static str, String)>,
    drawing: Option<Drawing>,
    evidence: Vec<Reason>,
    root_sentence: Option<(String, &'static str)>,
    decide: Option<(String, &'static str)>,
}

impl Report {
    pub fn new(shell: &Shell, explanation: &Explanation) -> Self {
        let t = shell.lang;
        let reset = &explanation.reset;
        let drawing = ladder::draw(t, explanation);
        Self {
            t,
            style: include_str!("../../assets/style.css"),
            title: format!(
                "{} → {}",
                words::end(reset.src, reset.sport),
                words::end(reset.dst, reset.dport)
            ),
            sentence: sentence(t, explanation),
            origin: reset.origin.as_str(),
            origin_words: words::origin(t, reset.origin),
            confidence: words::confidence(reset.confidence),
            facts: facts(t, reset),
            evidence: evidence(t, explanation, drawing.is_some()),
            drawing,
            root_sentence: explanation
                .root_sentence
                .as_deref()
                .map(|text| words::judges(t, text)),
            decide: decide(t, reset),
        }
    }
}
