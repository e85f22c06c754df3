//! A lab's reset on its Chinese page.

use anyhow::{Context, Result, ensure};

use crate::{Stage, forged};

/// So many words in a row are a sentence.
const SENTENCE: usize = 3;

/// No English sentence is left; names, addresses and terms (RST, TTL, seq) are not of three words.
pub fn no_english_is_left(stage: &mut Stage) -> Result<()> {
    let url = &stage.collector.url;
    let id = forged(url)?.context("no reset")?;
    for path in [format!("/resets/{id}"), "/vantages".to_owned()] {
        let page = ureq::get(format!("{url}{path}"))
            .header("accept-language", "zh-CN")
            .header("accept", "text/html")
            .call()?
            .body_mut()
            .read_to_string()?;
        ensure!(page.contains("lang=\"zh-Hans\""), "{path} is not Chinese");
        let left = english(&page);
        ensure!(left.is_empty(), "{path}: {left:?}");
    }
    Ok(())
}

/// Runs of English words in what a page shows.
fn english(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in page.split('<') {
        // What a tag's name begins, up to its end, is not shown; scripts and styles neither.
        let hidden = part.starts_with("script") || part.starts_with("style");
        let Some((_, text)) = part.split_once('>').filter(|_| !hidden) else {
            continue;
        };
        let mut run: Vec<&str> = Vec::new();
        for word in text.split(' ').chain([""]) {
            let is_word = word.len() > 1 && word.bytes().all(|c| c.is_ascii_lowercase());
            if is_word {
                run.push(word);
                continue;
            }
            if run.len() >= SENTENCE {
                found.push(run.join(" "));
            }
            run.clear();
        }
    }
    found
}
