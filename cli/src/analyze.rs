//! `parallax analyze`: the judge over capture files, without a server.

mod evidence;
mod gather;
mod nearby;
mod plan;
mod progress;
mod source;

use parallax_core::report::{Document, Explanation};
use parallax_core::{Flow, judge};
use serde::Serialize;
use uuid::Uuid;

use self::gather::Gathered;
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
    let gathered = gather::read(&plan, &progress)?;
    let answer = Answer::of(&plan, gathered, &progress);
    drop(progress);
    let explanations = match &args.explain {
        Some(wanted) => answer.explain(&plan, wanted)?,
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
    Ok(output::finding(
        args.status.exit_code,
        &answer.document.resets,
    ))
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
    gathered: Gathered,
    /// The flow of each reset.
    flows: Vec<(Uuid, Flow)>,
}

impl Answer {
    fn of(plan: &Plan, gathered: Gathered, progress: &Progress) -> Self {
        let mut flows = Vec::new();
        let mut reports = Vec::new();
        let interesting = gathered.interest.flows();
        progress.judge(interesting.len() as u64);
        for (done, flow) in (0..).zip(interesting) {
            progress.at(done);
            let evidence = evidence::of(&gathered, flow, plan.path.as_deref());
            for judged in judge::judge_flow(&evidence) {
                flows.push((judged.report.id, flow));
                reports.push(judged.report);
            }
        }
        reports.sort_by_key(|report| (report.time, report.id));
        let vantages = gathered
            .watched
            .iter()
            .map(gather::Watched::summary)
            .collect();
        let path = plan.path.as_ref().map(|path| {
            let names = path
                .iter()
                .map(|index| plan.stations[*index].vantage.name.clone());
            names.collect()
        });
        let document = Document::assemble(vantages, path, reports, gathered.warnings.clone());
        Self {
            document,
            gathered,
            flows,
        }
    }

    /// The wanted explanations, in order of time.
    fn explain(&self, plan: &Plan, wanted: &Wanted) -> Result<Vec<Explanation>, Failure> {
        let ids = self.document.resets.iter().map(|reset| reset.id);
        let ids: Vec<Uuid> = match wanted {
            Wanted::All => ids.collect(),
            Wanted::One(typed) => vec![typed.resolve(ids)?],
        };
        Ok(ids
            .into_iter()
            .filter_map(|id| self.explanation(plan, id))
            .collect())
    }

    fn explanation(&self, plan: &Plan, id: Uuid) -> Option<Explanation> {
        let (_, flow) = self.flows.iter().find(|(known, _)| *known == id)?;
        let evidence = evidence::of(&self.gathered, *flow, plan.path.as_deref());
        judge::explain(&evidence, id)
    }
}
