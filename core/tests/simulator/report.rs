//! Tables of what many runs gave, in Markdown, and one run told in full.

use std::fmt::Write;

use crate::network::Element;
use crate::play::Run;
use crate::score::{Grade, score};
use crate::tally::{BINS, Bin, Slice, Tally};

fn share(part: u64, whole: u64) -> String {
    format!("{:.2} %", 100.0 * part as f64 / (whole as f64).max(1.0))
}

impl Bin {
    pub fn mean(&self) -> f64 {
        self.said / (self.verdicts as f64).max(1.0)
    }

    pub fn share_right(&self) -> f64 {
        self.right as f64 / (self.verdicts as f64).max(1.0)
    }
}

impl Tally {
    pub fn brier_score(&self) -> f64 {
        self.brier / (self.claims as f64).max(1.0)
    }

    pub fn count(&self, grade: Grade) -> u64 {
        self.grades.get(&grade).copied().unwrap_or(0)
    }

    pub fn tables(&self) -> String {
        let mut out = String::new();
        self.totals(&mut out).expect("a string takes everything");
        self.confusion(&mut out).expect("a string takes everything");
        self.reliability(&mut out)
            .expect("a string takes everything");
        for (title, slices) in [("what made it", &self.stories), ("network", &self.features)] {
            let mut rows: Vec<(&&str, &Slice)> = slices.iter().collect();
            rows.sort_by_key(|(name, slice)| (std::cmp::Reverse(slice.wrong()), **name));
            breakdown(&mut out, title, &rows).expect("a string takes everything");
        }
        self.causes(&mut out).expect("a string takes everything");
        out
    }

    fn totals(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\n| what | count | share |\n|---|---|---|")?;
        let rows = [
            ("runs", self.runs, None),
            ("resets recorded", self.resets, None),
            ("verdicts", self.verdicts, None),
            ("right", self.count(Grade::Right), Some(self.verdicts)),
            (
                "right, and the place exactly",
                self.exact,
                Some(self.verdicts),
            ),
            ("undetermined", self.count(Grade::Open), Some(self.verdicts)),
            (
                "false accusations",
                self.count(Grade::FalseAccusation),
                Some(self.resets),
            ),
            (
                "… at 0.9 or above",
                self.sure_accusations.len() as u64,
                Some(self.resets),
            ),
            (
                "forgeries missed",
                self.count(Grade::MissedForgery),
                Some(self.resets),
            ),
            (
                "wrong place",
                self.count(Grade::WrongPlace),
                Some(self.resets),
            ),
            (
                "wrong side",
                self.count(Grade::WrongSide),
                Some(self.resets),
            ),
            (
                "one reset under two names",
                self.duplicates,
                Some(self.resets),
            ),
            (
                "nobody sent it",
                self.count(Grade::Phantom),
                Some(self.resets),
            ),
            ("resets without a verdict", self.unjudged, Some(self.resets)),
            ("lost between: right", self.loss[0], None),
            ("lost between: wrong", self.loss[1], None),
            ("lost, unsaid", self.loss[2], None),
        ];
        for (name, count, whole) in rows {
            let of = whole.map_or(String::new(), |whole| share(count, whole));
            writeln!(out, "| {name} | {count} | {of} |")?;
        }
        writeln!(
            out,
            "| Brier score of claims | {:.4} | |",
            self.brier_score()
        )
    }

    fn confusion(&self, out: &mut String) -> std::fmt::Result {
        const SAID: [&str; 3] = ["endpoint", "middlebox", "undetermined"];
        writeln!(
            out,
            "\n| truth | said {} |\n|---|---|---|---|",
            SAID.join(" | said ")
        )?;
        for truth in ["endpoint", "middlebox", "nobody"] {
            let counts = SAID.map(|said| {
                let count = self.confusion.get(&(truth, said)).copied();
                count.unwrap_or(0).to_string()
            });
            writeln!(out, "| {truth} | {} |", counts.join(" | "))?;
        }
        Ok(())
    }

    fn reliability(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "\n| confidence | verdicts | mean confidence | share right |\n|---|---|---|---|"
        )?;
        for (index, bin) in self.bins.iter().enumerate() {
            let until = BINS.get(index + 1).copied().unwrap_or(1.0);
            writeln!(
                out,
                "| {} to {until} | {} | {:.4} | {:.4} |",
                BINS[index],
                bin.verdicts,
                bin.mean(),
                bin.share_right()
            )?;
        }
        Ok(())
    }

    fn causes(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "\n| what made it | cause right | cause wrong |\n|---|---|---|"
        )?;
        for (story, (right, wrong)) in &self.causes {
            let mut wrong: Vec<_> = wrong.iter().collect();
            wrong.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let wrong: Vec<String> = wrong
                .iter()
                .map(|(cause, count)| format!("{cause} {count}"))
                .collect();
            writeln!(out, "| {story} | {right} | {} |", wrong.join(", "))?;
        }
        Ok(())
    }
}

fn breakdown(out: &mut String, title: &str, rows: &[(&&str, &Slice)]) -> std::fmt::Result {
    writeln!(
        out,
        "\n| {title} | verdicts | undetermined | wrong | which | seeds |\n|---|---|---|---|---|---|"
    )?;
    for (name, slice) in rows {
        let which: Vec<String> = slice
            .grades
            .iter()
            .map(|(grade, count)| format!("{grade:?} {count}"))
            .collect();
        let seeds: Vec<String> = slice.seeds.iter().take(4).map(u64::to_string).collect();
        writeln!(
            out,
            "| {name} | {} | {} | {} | {} | {} |",
            slice.verdicts,
            share(slice.open, slice.verdicts),
            share(slice.wrong(), slice.verdicts),
            which.join(", "),
            seeds.join(" ")
        )?;
    }
    Ok(())
}

/// A line for each wrong verdict, or for each that is not exact.
pub fn wrong(run: &Run, exact: bool) -> String {
    let mut out = String::new();
    let scores = score(run);
    for reset in &scores.unjudged {
        writeln!(
            out,
            "seed {} without a verdict: {} seq {}: {}",
            run.seed,
            reset.story,
            reset.packet.seq,
            run.features.join(", ")
        )
        .expect("a string takes everything");
    }
    for scored in scores.verdicts {
        let fine = if exact {
            scored.exact
        } else {
            matches!(scored.grade, Grade::Right | Grade::Open) && !scored.duplicate
        };
        if fine {
            continue;
        }
        let truth = scored.truth.map_or("nobody", |truth| truth.story);
        writeln!(
            out,
            "seed {} {:?} {truth} at {} (between {:?}): {}",
            run.seed,
            scored.grade,
            scored.report.confidence,
            scored.report.between,
            run.features.join(", ")
        )
        .expect("a string takes everything");
    }
    out
}

/// Network, packets per vantage, truth, and verdicts with their evidence.
pub fn tell(run: &Run) -> String {
    let mut out = String::new();
    network(&mut out, run).expect("a string takes everything");
    packets(&mut out, run).expect("a string takes everything");
    truth(&mut out, run).expect("a string takes everything");
    verdicts(&mut out, run).expect("a string takes everything");
    out
}

fn network(out: &mut String, run: &Run) -> std::fmt::Result {
    writeln!(out, "seed {}: {}", run.seed, run.features.join(", "))?;
    writeln!(out, "round trip {} us", run.world.round_trip() / 1000)?;
    for (index, place) in run.world.network.places.iter().enumerate() {
        write!(out, "{index:3} ")?;
        match place.element {
            Element::Tap(vantage) => {
                let at = &run.world.recorders[vantage];
                write!(
                    out,
                    "tap {} loss {:.2} (bursts of {}, counted: {}) {:?} live: {} {:?} {:?} open {:?}",
                    at.vantage.name,
                    at.loss.share,
                    at.loss.burst,
                    at.counted,
                    at.clock,
                    at.live,
                    at.selection,
                    at.doubled,
                    at.open
                )?;
            }
            Element::Box(number) => write!(out, "box {:?}", run.world.boxes[number].told())?,
            other => write!(out, "{other:?}")?,
        }
        let only = place.only.map_or(String::new(), |side| {
            format!(" only from the {}", side.as_str())
        });
        let branch = place
            .branch
            .map_or(String::new(), |branch| format!(" branch {branch}"));
        writeln!(out, "{only}{branch}")?;
    }
    for (index, connection) in run.world.connections.iter().enumerate() {
        writeln!(
            out,
            "connection {index}: {} to {}, places {:?}, branch {}, initial {:?}, {:?}",
            connection.views[connection.span.0].client,
            connection.views[connection.span.1].server,
            connection.span,
            connection.branch,
            connection.initial,
            run.world.talks[connection.talk].ending
        )?;
    }
    Ok(())
}

fn packets(out: &mut String, run: &Run) -> std::fmt::Result {
    let flows: std::collections::HashSet<_> = run
        .world
        .recorders
        .iter()
        .flat_map(|recorder| &recorder.taken)
        .filter(|taken| taken.digest.is_rst())
        .map(|taken| taken.digest.tuple.flow())
        .collect();
    for recorder in &run.world.recorders {
        writeln!(
            out,
            "\n{} ({} packets; those of flows with a reset):",
            recorder.vantage.name,
            recorder.taken.len()
        )?;
        for taken in &recorder.taken {
            let digest = &taken.digest;
            if !flows.contains(&digest.tuple.flow()) {
                continue;
            }
            let reset = taken
                .reset
                .map_or(String::new(), |reset| format!(" <- reset {reset}"));
            writeln!(
                out,
                "  {:12.6} {} {} seq {} ack {} len {} win {} ttl {} id {:?}{reset}",
                (taken.at - crate::world::EPOCH) as f64 / 1e9,
                digest.tuple,
                digest.flags,
                digest.seq,
                digest.ack,
                digest.payload_len,
                digest.window,
                digest.ip.ttl,
                digest.ip.id
            )?;
        }
    }
    Ok(())
}

fn truth(out: &mut String, run: &Run) -> std::fmt::Result {
    writeln!(out, "\ntruth:")?;
    for (index, reset) in run.world.resets.iter().enumerate() {
        let names: Vec<&str> = reset
            .recorded
            .iter()
            .map(|vantage| run.world.recorders[*vantage].vantage.name.as_str())
            .collect();
        writeln!(
            out,
            "  reset {index} connection {} from the {}: {:?} ({}), lost at {:?}, recorded at {}",
            reset.packet.connection,
            reset.packet.sender.as_str(),
            reset.maker,
            reset.story,
            reset.lost_at,
            names.join(", ")
        )?;
    }
    Ok(())
}

fn verdicts(out: &mut String, run: &Run) -> std::fmt::Result {
    writeln!(out, "\nverdicts:")?;
    let scores = score(run);
    for scored in &scores.verdicts {
        let said = scored.report;
        let truth = scored.truth.map_or("nobody", |truth| truth.story);
        writeln!(
            out,
            "  {:?} (exact: {}), truth: {truth}, loss: {:?}",
            scored.grade, scored.exact, scored.loss
        )?;
        writeln!(
            out,
            "    {}:{} > {}:{} {} seq {} count {}: {:?} {:?} between {:?} at {:?} lost {:?} confidence {} cause {:?}",
            said.src,
            said.sport,
            said.dst,
            said.dport,
            said.flags,
            said.seq,
            said.count,
            said.origin,
            said.emitter,
            said.between,
            said.at,
            said.lost_between,
            said.confidence,
            said.cause
        )?;
        writeln!(
            out,
            "    path {:?} seen {:?} absent {:?}",
            said.path, said.seen_at, said.absent_at
        )?;
        for evidence in &said.evidence {
            writeln!(out, "    - {}: {}", evidence.kind, evidence.text)?;
        }
    }
    for reset in scores.unjudged {
        writeln!(out, "  no verdict: {reset:?}")?;
    }
    Ok(())
}
