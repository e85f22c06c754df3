//! The library's file as values.

use serde::Deserialize;

use super::burst::{Burst, Offsets, USUAL};
use super::{Ack, IpId, Provocation, Seq, Signature, Ttl, Window};
use crate::digest::TcpFlags;
use crate::judge::library::{self, LibraryError};
use crate::time::MILLISECOND;

const FILE: &str = "injectors.toml";
/// No signature is worth more: a match ranks.
const WEIGHT_MOST: f64 = 3.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    description: String,
    source: String,
    weight: f64,
    flags: Option<String>,
    seq: Option<Seq>,
    ack: Option<Ack>,
    window: Option<WindowField>,
    ip_id: Option<IpId>,
    ttl: Option<TtlField>,
    dont_fragment: Option<bool>,
    options: Option<NoOptions>,
    provoked_by: Option<Provocation>,
    burst: Option<BurstField>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum NoOptions {
    None,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WindowField {
    Word(String),
    Values(Vec<u16>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TtlField {
    Word(String),
    Initial(u8),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BurstField {
    count: usize,
    within_ms: Option<u32>,
    offsets: Option<Vec<u32>>,
    unit: Option<String>,
}

pub(super) fn read(text: &str) -> Result<Vec<Signature>, LibraryError> {
    library::entries::<Entry>(FILE, ("injector", "id"), text)?
        .into_iter()
        .map(signature)
        .collect()
}

fn signature(entry: Entry) -> Result<Signature, LibraryError> {
    let id = entry.id;
    let refuse = |field: &'static str| {
        let entry = id.clone();
        move |problem: String| LibraryError::Field {
            file: FILE,
            entry,
            field,
            problem,
        }
    };
    if !(0.0..=WEIGHT_MOST).contains(&entry.weight) {
        return Err(refuse("weight")(format!("0 to {WEIGHT_MOST} is wanted")));
    }
    let letters = entry.flags.as_deref();
    let flags = letters.map(flags).transpose().map_err(refuse("flags"))?;
    let window = entry.window.map(window).transpose();
    let window = window.map_err(refuse("window"))?;
    let ttl = entry.ttl.map(ttl).transpose().map_err(refuse("ttl"))?;
    let burst = entry.burst.map(burst).transpose();
    let burst = burst.map_err(refuse("burst"))?;
    Ok(Signature {
        id,
        description: entry.description,
        source: entry.source,
        weight: entry.weight,
        flags,
        seq: entry.seq,
        ack: entry.ack,
        window,
        ip_id: entry.ip_id,
        ttl,
        dont_fragment: entry.dont_fragment,
        without_options: entry.options.is_some(),
        provoked_by: entry.provoked_by,
        burst,
    })
}

fn window(field: WindowField) -> Result<Window, String> {
    match field {
        WindowField::Values(values) => Ok(Window::OneOf(values)),
        WindowField::Word(word) => match word.as_str() {
            "zero" => Ok(Window::Zero),
            "nonzero" => Ok(Window::NonZero),
            "copied" => Ok(Window::Copied),
            _ => Err(format!("{word:?} is none of zero, nonzero, copied")),
        },
    }
}

fn ttl(field: TtlField) -> Result<Ttl, String> {
    match field {
        TtlField::Initial(initial) => Ok(Ttl::Initial(initial)),
        TtlField::Word(word) if word == "varies" => Ok(Ttl::Varies),
        TtlField::Word(word) => Err(format!("{word:?} is neither a value nor varies")),
    }
}

fn flags(letters: &str) -> Result<TcpFlags, String> {
    letters.chars().try_fold(TcpFlags(0), |all, letter| {
        let flag = match letter {
            'R' => TcpFlags::RST,
            'A' => TcpFlags::ACK,
            'P' => TcpFlags::PSH,
            'F' => TcpFlags::FIN,
            'U' => TcpFlags::URG,
            'S' => TcpFlags::SYN,
            'N' => TcpFlags::NS,
            other => return Err(format!("{other:?} is none of R, A, P, F, U, S, N")),
        };
        Ok(all.with(flag))
    })
}

fn burst(field: BurstField) -> Result<Burst, String> {
    let offsets = match (field.offsets, field.unit.as_deref()) {
        (None, None) => None,
        (Some(offsets), _) if offsets.len() != field.count => {
            return Err(format!(
                "{} offsets for {} RSTs",
                offsets.len(),
                field.count
            ));
        }
        (Some(offsets), None | Some("octets")) => Some(Offsets::Octets(offsets)),
        (Some(offsets), Some("windows")) => Some(Offsets::Windows(offsets)),
        (_, Some(unit)) => return Err(format!("{unit:?} is none of octets, windows")),
    };
    if field.count < 2 {
        return Err("a burst is of two RSTs at least".to_owned());
    }
    let within = field.within_ms.map(|ms| i64::from(ms) * MILLISECOND);
    Ok(Burst {
        count: field.count,
        within: within.unwrap_or(USUAL),
        offsets,
    })
}
