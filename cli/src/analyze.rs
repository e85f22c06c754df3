//! `parallax analyze`: the judge over capture files, without a server.

mod gather;
mod judging;
mod plan;
mod progress;
mod source;
mod threads;

use parallax_core::archive::Archive;
use parallax_core::report::{Document, Explanation};
use parallax_core::{Flow, judge};
use serde::Serialize;
use uuid::Uuid;

use self::gather::Read;
use self::plan::Plan;
use self::progress::Progress;
use crate::args::{AnalyzeArgs, Wanted};
use crate::explain;
use crate::failure::Failure;
use crate::output::{self, Finding, Format, Glyphs, Output};
use crate::resets;

pub use self::source::AnalyzeError;

pub fn run(args: &AnalyzeArgs, output: &mut Output) -> Result<Finding, Failure> {
    let plan = Plan::of(args)?;
    let progress = Progress::start();
    let read = gather::read(&plan, &progress)?;
    let answer = Answer::of(&plan, read, &progress);
    drop(progress);
    let explanations = match &args.explain {
        Some(wanted) => answer.explain(wanted)?,
        None => Vec::new(),
    };
    match args.show.format {
        Format::Json => output.json(&Printed {
            document: &answer.document,
            explanations: &explanations,
        })?,
        Format::Text => {
            resets::warn(&answer.document);
            output.text(&resets::text(&answer.document))?;
            let glyphs = Glyphs::choose(args.show.ascii);
            let width = output::width();
            for explanation in &explanations {
                output.text("\n")?;
                output.text(&explain::text(explanation, glyphs, width))?;
            }
        }
    }
    let finding = output::finding(args.status.exit_code, &answer.document.resets);
    // The program ends: what it knows need not be taken to pieces.
    std::mem::forget(answer);
    Ok(finding)
}

/// The JSON document: the contract's, and explanations where they were asked for.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    document: &'a Document,
    #[serde(skip_serializing_if = "<[Explanation]>::is_empty")]
    explanations: &'a [Explanation],
}

/// The verdicts, and what they were drawn from.
struct Answer {
    document: Document,
    archive: Archive,
    /// The flow of each reset.
    flows: Vec<(Uuid, Flow)>,
}

impl Answer {
    fn of(plan: &Plan, read: Read, progress: &Progress) -> Self {
        let mut flows = Vec::new();
        let mut reports = Vec::new();
        for (flow, judged) in judging::judge_all(&read.archive, progress) {
            for judged in judged {
                flows.push((judged.report.id, flow));
                reports.push(judged.report);
            }
        }
        reports.sort_by_key(|report| (report.time, report.id));
        let path = plan.path.as_ref().map(|path| {
            let names = path
                .iter()
                .map(|index| plan.stations[*index].vantage.name.clone());
            names.collect()
        });
        let document = Document::assemble(read.vantages, path, reports, read.warnings);
        Self {
            document,
            archive: read.archive,
            flows,
        }
    }

    /// The wanted explanations, in order of time.
    fn explain(&self, wanted: &Wanted) -> Result<Vec<Explanation>, Failure> {
        let ids = self.document.resets.iter().map(|reset| reset.id);
        let ids: Vec<Uuid> = match wanted {
            Wanted::All => ids.collect(),
            Wanted::One(typed) => vec![typed.resolve(ids)?],
        };
        Ok(ids
            .into_iter()
            .filter_map(|id| self.explanation(id))
            .collect())
    }

    fn explanation(&self, id: Uuid) -> Option<Explanation> {
        let (_, flow) = self.flows.iter().find(|(known, _)| *known == id)?;
        judge::explain(&self.archive.evidence(*flow), id)
    }
}
