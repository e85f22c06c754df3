//! One story in thirty formats: the verdict is the same whatever the captures of its vantages look like.

#[allow(dead_code, reason = "written for the reader's own tests")]
#[path = "../../../agent/tests/capture_files/blocks.rs"]
mod blocks;
#[allow(dead_code, reason = "written for the reader's own tests")]
#[path = "../../../agent/tests/capture_files/build.rs"]
mod build;
#[path = "mixed_captures/format.rs"]
mod format;

use std::fs;

use serde_json::{Value, json};

use self::build::Magic::{BigMicro, BigNano, LittleMicro, LittleNano};
use self::format::Link::{Cooked, CookedV2, Ethernet, Loop, Null, Raw};
use self::format::{Format, Interface, over_ipv6};
use crate::capture::Segment;
use crate::parallax;
use crate::story::{VANTAGES, seen_of_injected};

/// Two to the power of -20 and -32.
const BINARY: [u8; 2] = [0x94, 0xa0];

/// Interfaces that differ in all they can.
fn several() -> [Interface; 4] {
    [
        Interface::new(Ethernet(1), 6),
        Interface::new(Raw(101), 9),
        Interface::from_begin(Cooked(0), BINARY[1]),
        Interface::from_begin(Null { big: false }, 12),
    ]
}

fn formats() -> Vec<Format> {
    let others = [
        Interface::new(CookedV2(1), 9),
        Interface::new(Loop, 6),
        Interface::new(Ethernet(2), BINARY[0]),
    ];
    let classic = [
        (LittleMicro, Ethernet(0)),
        (LittleMicro, Cooked(0)),
        (LittleMicro, CookedV2(0)),
        (LittleMicro, Raw(101)),
        (LittleMicro, Raw(12)),
        (LittleMicro, Raw(228)),
        (LittleMicro, Null { big: false }),
        (LittleMicro, Loop),
        (BigMicro, Ethernet(0)),
        (BigMicro, Cooked(0)),
        (BigMicro, Loop),
        (BigNano, Ethernet(1)),
        (BigNano, Ethernet(2)),
        (BigNano, Cooked(1)),
        (BigNano, CookedV2(1)),
        (BigNano, Null { big: true }),
    ];
    let zipped = [
        (LittleNano, Ethernet(0)),
        (LittleNano, CookedV2(0)),
        (LittleNano, Raw(101)),
        (BigMicro, Raw(12)),
    ];
    let alone = [
        (false, Interface::new(Ethernet(0), 6)),
        (false, Interface::new(CookedV2(0), 9)),
        (false, Interface::new(Raw(101), BINARY[0])),
        (true, Interface::new(Ethernet(0), 9)),
        (true, Interface::new(Cooked(1), 6)),
        (true, Interface::from_begin(Ethernet(2), BINARY[0])),
    ];
    let mut formats = Vec::new();
    formats.extend(classic.map(|(magic, link)| Format::pcap(magic, link)));
    formats.extend(zipped.map(|(magic, link)| Format::pcap(magic, link).gzipped()));
    formats.extend(alone.map(|(big, interface)| Format::pcapng(big, &[interface])));
    formats.push(Format::pcapng(false, &several()));
    formats.push(Format::pcapng(true, &others));
    formats.push(Format::pcapng(true, &several()).gzipped());
    formats.push(Format::pcapng(false, &[Interface::new(Loop, 9)]).gzipped());
    formats
}

/// The reset that is found when the vantages' captures have these formats.
fn reset_of(formats: [&Format; 4], told: impl Fn(usize) -> Vec<Segment>) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let inputs: Vec<String> = VANTAGES
        .iter()
        .zip(formats)
        .enumerate()
        .map(|(index, (name, format))| {
            let file = folder.path().join(format!("{name}.cap"));
            fs::write(&file, format.write(&told(index))).unwrap();
            format!("{name}={}", file.display())
        })
        .collect();
    let mut arguments = vec!["analyze", "--format", "json"];
    arguments.extend(inputs.iter().map(String::as_str));
    let run = parallax(&arguments);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{formats:?}");
    let document = run.json();
    let packets: Vec<&Value> = (document["vantages"].as_array().unwrap().iter())
        .map(|vantage| &vantage["packets"])
        .collect();
    assert_eq!(packets, [10, 10, 8, 8], "{formats:?}");
    assert_eq!(document["path"], json!(VANTAGES), "{formats:?}");
    let resets = document["resets"].as_array().unwrap();
    assert_eq!(resets.len(), 1, "{formats:?}");
    resets[0].clone()
}

/// What a verdict says, without what the clock's resolution may change.
fn verdict(reset: &Value) -> Value {
    let names = [
        "src",
        "sport",
        "dst",
        "dport",
        "seq",
        "ack",
        "flags",
        "origin",
        "emitter",
        "between",
        "at",
        "lost_between",
        "seen_at",
        "absent_at",
        "cause",
        "root",
    ];
    names
        .iter()
        .map(|name| (*name, reset[*name].clone()))
        .collect()
}

#[track_caller]
fn is_right(reset: &Value, formats: [&Format; 4]) {
    assert_eq!(reset["origin"], "middlebox", "{formats:?}");
    assert_eq!(reset["between"], json!(["fw-out", "fw-in"]), "{formats:?}");
    assert_eq!(reset["seen_at"], json!(["fw-in", "client"]), "{formats:?}");
    assert_eq!(reset["cause"], "firewall_reject_content", "{formats:?}");
}

#[test]
fn thirty_formats_give_one_verdict_in_any_mixture() {
    let formats = formats();
    assert_eq!(formats.len(), 30);
    let expected = reset_of([&formats[0]; 4], seen_of_injected);
    for turn in 0..formats.len() {
        // Every format at every vantage, each time beside others.
        let mixture = [0, 7, 12, 21].map(|step| &formats[(turn + step) % formats.len()]);
        let reset = reset_of(mixture, seen_of_injected);
        is_right(&reset, mixture);
        assert_eq!(verdict(&reset), verdict(&expected), "{mixture:?}");
    }
}

#[test]
fn ipv6_in_mixed_formats_gives_the_same_verdict_too() {
    let six = [
        Format::pcap(BigMicro, Raw(229)),
        Format::pcapng(true, &several()).gzipped(),
        Format::pcap(LittleNano, CookedV2(1)),
        Format::pcapng(false, &[Interface::from_begin(Loop, BINARY[0])]),
    ];
    let told = |vantage| over_ipv6(seen_of_injected(vantage));
    for turn in 0..six.len() {
        let mixture = [0, 1, 2, 3].map(|step| &six[(turn + step) % six.len()]);
        let reset = reset_of(mixture, told);
        assert_eq!(reset["src"], "2001:db8:2::7");
        is_right(&reset, mixture);
    }
}
