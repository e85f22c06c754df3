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
    seq: Option<String>,
    ack: Option<String>,
    window: Option<WindowField>,
    ip_id: Option<String>,
    ttl: Option<TtlField>,
    dont_fragment: Option<bool>,
    options: Option<String>,
    provoked_by: Option<String>,
    burst: Option<BurstField>,
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
    let id = entry.id.clone();
    let refuse = |field: &'static str, problem: String| LibraryError::Field {
        file: FILE,
        entry: id.clone(),
        field,
        problem,
    };
    let word = |field: &'static str, value: Option<String>, known: &[&str]| match value {
        Some(value) if !known.contains(&value.as_str()) => Err(refuse(
            field,
            format!("{value:?} is none of {}", known.join(", ")),
        )),
        value => Ok(value),
    };
    if !(0.0..=WEIGHT_MOST).contains(&entry.weight) {
        return Err(refuse("weight", format!("0 to {WEIGHT_MOST} is wanted")));
    }
    let window = match entry.window {
        Some(WindowField::Word(value)) => {
            word("window", Some(value), &["zero", "nonzero", "copied"])?.map(|value| {
                match value.as_str() {
                    "zero" => Window::Zero,
                    "nonzero" => Window::NonZero,
                    _ => Window::Copied,
                }
            })
        }
        Some(WindowField::Values(values)) => Some(Window::OneOf(values)),
        None => None,
    };
    let ttl = match entry.ttl {
        Some(TtlField::Word(value)) => word("ttl", Some(value), &["varies"])?.map(|_| Ttl::Varies),
        Some(TtlField::Initial(initial)) => Some(Ttl::Initial(initial)),
        None => None,
    };
    let seq = word("seq", entry.seq, &["exact", "zero"])?;
    let ack = word("ack", entry.ack, &["exact", "initial"])?;
    let ip_id = word("ip_id", entry.ip_id, &["zero", "nonzero", "copied"])?;
    let options = word("options", entry.options, &["none"])?;
    let provoked_by = word(
        "provoked_by",
        entry.provoked_by,
        &["syn", "syn_ack", "data"],
    )?;
    let flags = entry
        .flags
        .map(|letters| flags(&letters).map_err(|problem| refuse("flags", problem)))
        .transpose()?;
    let burst = entry
        .burst
        .map(|field| burst(field).map_err(|problem| refuse("burst", problem)))
        .transpose()?;
    Ok(Signature {
        id,
        description: entry.description,
        source: entry.source,
        weight: entry.weight,
        flags,
        seq: seq.map(|word| {
            if word == "zero" {
                Seq::Zero
            } else {
                Seq::Exact
            }
        }),
        ack: ack.map(|word| {
            if word == "exact" {
                Ack::Exact
            } else {
                Ack::Initial
            }
        }),
        window,
        ip_id: ip_id.map(|word| match word.as_str() {
            "zero" => IpId::Zero,
            "nonzero" => IpId::NonZero,
            _ => IpId::Copied,
        }),
        ttl,
        dont_fragment: entry.dont_fragment,
        without_options: options.is_some(),
        provoked_by: provoked_by.map(|word| match word.as_str() {
            "syn" => Provocation::Syn,
            "syn_ack" => Provocation::SynAck,
            _ => Provocation::Data,
        }),
        burst,
    })
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
