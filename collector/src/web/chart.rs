//! Counts over time as bars.

use parallax_core::CaptureTime;
use parallax_core::report::Origin;
use parallax_core::time::SECOND;

use super::Lang;
use super::query::Asked;
use super::words;
use crate::store::{Count, Steps};

/// Bars at most.
const BARS_MAX: i64 = 60;
const HEIGHT: f64 = 100.0;
const ORIGINS: [Origin; 3] = [Origin::Middlebox, Origin::Endpoint, Origin::Undetermined];

/// Lengths of steps that people read easily, in seconds.
const LENGTHS: [i64; 18] = [
    1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 604_800,
    2_592_000,
];

/// The steps that cover a span, both ends included.
pub fn steps(first: CaptureTime, last: CaptureTime) -> Steps {
    let span = last.since(first).max(0);
    let fits = |length: &i64| span / length < BARS_MAX - 1;
    let length = LENGTHS
        .into_iter()
        .map(|seconds| seconds * SECOND)
        .find(fits)
        .unwrap_or_else(|| (span / (BARS_MAX - 2)).max(1));
    let from = first.nanos().div_euclid(length).saturating_mul(length);
    Steps {
        from: CaptureTime::from_nanos(from),
        length,
        count: last.nanos().saturating_sub(from) / length + 1,
    }
}

/// A drawing; `x` and `width` in steps, `y` and `height` in hundredths.
pub struct Chart {
    pub bars: Vec<Bar>,
    pub steps: i64,
    pub from: String,
    pub until: String,
    pub most: i64,
    pub total: i64,
    /// By origin, in the order of the bars' parts.
    pub totals: Vec<(&'static str, &'static str, i64)>,
    /// All of it in a sentence.
    pub told: String,
    pub step: String,
}

pub struct Bar {
    pub x: i64,
    /// The same list, of this step only.
    pub link: String,
    pub title: String,
    pub parts: Vec<Part>,
}

pub struct Part {
    pub class: &'static str,
    pub y: f64,
    pub height: f64,
}

impl Chart {
    pub fn draw(t: Lang, asked: &Asked, steps: Steps, counts: &[Count]) -> Self {
        let at = |step: i64| {
            ORIGINS.map(|origin| {
                let here = counts.iter().filter(|count| {
                    i64::from(count.step) == step && count.origin == origin.as_str()
                });
                here.map(|count| count.resets).sum::<i64>()
            })
        };
        let all: Vec<[i64; 3]> = (0..steps.count).map(at).collect();
        let most = all
            .iter()
            .map(|parts| parts.iter().sum::<i64>())
            .max()
            .unwrap_or(0);
        let bars = (0_i64..)
            .zip(&all)
            .filter(|(_, parts)| parts.iter().any(|part| *part > 0));
        let bars = bars.map(|(step, parts)| bar(t, asked, steps, step, *parts, most));
        let totals = ORIGINS.iter().enumerate().map(|(place, origin)| {
            let sum = all.iter().map(|parts| parts[place]).sum();
            (origin.as_str(), words::origin(t, *origin), sum)
        });
        let totals: Vec<_> = totals.collect();
        let total: i64 = totals.iter().map(|(.., sum)| sum).sum();
        let end = steps.from.plus(steps.length.saturating_mul(steps.count));
        let (from, until) = (words::second(steps.from), words::second(end));
        let parts: Vec<String> = totals
            .iter()
            .map(|(_, origin, sum)| format!("{origin} {sum}"))
            .collect();
        Self {
            bars: bars.collect(),
            steps: steps.count.max(1),
            told: match t {
                Lang::English => format!(
                    "{total} resets from {from} to {until} UTC: {}; at most {most} in {}",
                    parts.join(", "),
                    words::span(steps.length)
                ),
                Lang::Chinese => format!(
                    "{from} 至 {until}（UTC）共 {total} 个 RST：{}；每 {} 最多 {most} 个",
                    parts.join("，"),
                    words::span(steps.length)
                ),
            },
            from,
            until,
            most,
            total,
            totals,
            step: words::span(steps.length),
        }
    }
}

fn bar(t: Lang, asked: &Asked, steps: Steps, step: i64, parts: [i64; 3], most: i64) -> Bar {
    let from = steps.from.plus(step * steps.length);
    let until = from.plus(steps.length - 1);
    let mut top = HEIGHT;
    let drawn = ORIGINS.iter().zip(parts).filter(|(_, count)| *count > 0);
    let drawn = drawn.map(|(origin, count)| {
        let height = count as f64 / most.max(1) as f64 * HEIGHT;
        top -= height;
        Part {
            class: origin.as_str(),
            y: top,
            height,
        }
    });
    let drawn = drawn.collect();
    let told = ORIGINS.iter().zip(parts).filter(|(_, count)| *count > 0);
    let told: Vec<String> = told
        .map(|(origin, count)| format!("{} {count}", words::origin(t, *origin)))
        .collect();
    Bar {
        x: step,
        link: asked
            .clone()
            .without("after")
            .with("since", from.to_string())
            .with("until", until.to_string())
            .link("/"),
        title: format!("{}: {}", words::second(from), told.join(", ")),
        parts: drawn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_cover_any_span_with_few_bars() {
        let at = CaptureTime::from_nanos;
        for (first, last) in [
            (0, 0),
            (1_767_323_045 * SECOND, 1_767_323_046 * SECOND),
            (1_767_323_045 * SECOND, 1_767_923_046 * SECOND),
            (-5, 1_767_923_046 * SECOND),
            (i64::MIN, i64::MAX),
        ] {
            let steps = steps(at(first), at(last));
            assert!(steps.from <= at(first) || first == i64::MIN);
            assert!((1..=BARS_MAX).contains(&steps.count), "{steps:?}");
            let end =
                i128::from(steps.from.nanos()) + i128::from(steps.length) * i128::from(steps.count);
            assert!(end > i128::from(last) || last == i64::MAX, "{steps:?}");
        }
    }

    #[test]
    fn bars_stack_to_the_counts() {
        let steps = Steps {
            from: CaptureTime::from_nanos(0),
            length: SECOND,
            count: 3,
        };
        let count = |step, origin: &str, resets| Count {
            step,
            origin: origin.to_owned(),
            resets,
        };
        let counts = [
            count(1, "middlebox", 3),
            count(1, "endpoint", 1),
            count(2, "endpoint", 2),
        ];
        let chart = Chart::draw(Lang::English, &Asked::default(), steps, &counts);
        assert_eq!((chart.total, chart.most, chart.bars.len()), (6, 4, 2));
        let heights: Vec<f64> = chart.bars[0].parts.iter().map(|part| part.height).collect();
        assert_eq!(heights, [75.0, 25.0]);
        assert!(chart.bars[0].link.contains("since=1970-01-01T00:00:01"));
    }
}
