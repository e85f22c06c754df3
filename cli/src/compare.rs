//! `parallax compare`: the verdict over what two companies recorded.

use std::path::Path;

use parallax_bundle::both;
use parallax_bundle::keying::Key;
use parallax_bundle::sealed::{self, OCTETS_MAX, Opened};

use crate::args::CompareArgs;
use crate::explain;
use crate::export::{key, read};
use crate::failure::Failure;
use crate::output::{self, Finding, Format, Glyphs, Output};

pub fn run(args: &CompareArgs, output: &mut Output) -> Result<Finding, Failure> {
    let check = args.key_file.as_deref().map(key).transpose()?;
    let check = check.map(|key| Key::new(&key).check());
    let open = |file: &Path| open(file, args, check.as_deref());
    let (ours, theirs) = (open(&args.ours)?, open(&args.theirs)?);
    let explanation = both::judge(&ours.body, &theirs.body, &args.path)?;
    match args.show.format {
        Format::Json => output.json(&explanation)?,
        Format::Text => {
            let glyphs = Glyphs::choose(args.show.ascii);
            output.text(&explain::text(&explanation, glyphs, output::width()))?;
            for (side, opened) in [("ours", &ours), ("theirs", &theirs)] {
                output.text(&alone(side, opened, args.trust.is_empty()))?;
            }
        }
    }
    Ok(output::finding(args.status.exit_code, [&explanation.reset]))
}

/// What a side says without the other, and who signed it.
fn alone(side: &str, opened: &Opened, unknown: bool) -> String {
    let unknown = if unknown {
        "; nobody said whether that is its key: name it with --trust"
    } else {
        ""
    };
    let signer = opened.signer;
    let Some(told) = &opened.body.reset else {
        return format!("\n{side} alone: saw no reset of it\n  signed by {signer}{unknown}\n");
    };
    format!(
        "\n{side} alone: {}, {}, confidence {}\n  reset {}, signed by {signer}{unknown}\n",
        told.origin.as_str(),
        told.cause.as_str(),
        crate::verdict::confidence(told.confidence),
        told.id,
    )
}

fn open(file: &Path, args: &CompareArgs, check: Option<&str>) -> Result<Opened, Failure> {
    let refused = |reason: String| Failure::Bundle {
        file: file.to_owned(),
        reason,
    };
    let octets = read(file, OCTETS_MAX + 1)?;
    let opened = sealed::open(&octets).map_err(|error| refused(error.to_string()))?;
    if !args.trust.is_empty() && !args.trust.contains(&opened.signer) {
        return Err(refused(format!(
            "it was signed by {}, whom --trust does not name",
            opened.signer
        )));
    }
    if check.is_some_and(|check| check != opened.body.key_check) {
        return Err(refused(
            "it was made with another key than --key-file".to_owned(),
        ));
    }
    Ok(opened)
}
