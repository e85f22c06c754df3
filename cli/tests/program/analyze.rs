//! `parallax analyze` over captures made by hand.

use std::fs;

use crate::story::{Story, VANTAGES};
use crate::{Run, parallax, parallax_reading};

fn analyze(options: &[&str], inputs: &[String]) -> Run {
    let mut arguments = vec!["analyze"];
    arguments.extend(options);
    arguments.extend(inputs.iter().map(String::as_str));
    parallax(&arguments)
}

#[test]
fn a_forged_reset_is_placed_between_its_neighbours() {
    let story = Story::injected();
    let run = analyze(&["--format", "json"], &story.inputs());
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let document = run.json();
    assert_eq!(document["schema"], 1);
    assert_eq!(document["path"], serde_json::json!(VANTAGES));
    let names: Vec<_> = document["vantages"].as_array().unwrap().iter().collect();
    assert_eq!(names[1]["name"], "fw-in");
    assert_eq!(names[1]["kind"], "hop");
    assert_eq!(names[1]["packets"], 10);
    assert_eq!(names[1]["first"], "2026-01-02T03:04:05.010100000Z");
    assert_eq!(names[1]["dropped"], 0);
    let reset = &document["resets"][0];
    assert_eq!(document["resets"].as_array().unwrap().len(), 1);
    assert_eq!(reset["src"], "198.51.100.2");
    assert_eq!(reset["dport"], 46420);
    assert_eq!(reset["flags"], "R");
    assert_eq!(reset["ack"], serde_json::Value::Null);
    assert_eq!(reset["seen_at"], serde_json::json!(["fw-in", "client"]));
    assert_eq!(reset["origin"], "middlebox");
    assert_eq!(reset["between"], serde_json::json!(["fw-out", "fw-in"]));
    assert!(document.get("explanations").is_none());
}

#[test]
fn exit_code_tells_of_a_forged_reset_only_when_asked() {
    let (injected, peaceful) = (Story::injected(), Story::peaceful());
    assert_eq!(analyze(&[], &injected.inputs()).code, 0);
    assert_eq!(analyze(&["--exit-code"], &injected.inputs()).code, 10);
    assert_eq!(analyze(&["--exit-code"], &peaceful.inputs()).code, 0);
}

#[test]
fn standard_input_gives_the_same_verdicts_as_files() {
    let story = Story::injected();
    let mut inputs = story.inputs();
    let from_files = analyze(&["--format", "json"], &inputs).json();
    inputs[1] = "fw-in=-".to_owned();
    let mut arguments = vec!["analyze", "--format", "json"];
    arguments.extend(inputs.iter().map(String::as_str));
    let octets = fs::read(story.file("fw-in")).unwrap();
    let run = parallax_reading(&arguments, &octets);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert_eq!(run.json(), from_files);
}

/// A capture with as many octets of other packets at its beginning, in its midst and at its end.
fn among_others(capture: &[u8], octets: usize) -> Vec<u8> {
    let (header, records) = capture.split_at(24);
    let mut other = records[..8].to_vec();
    for word in [1500_u32, 1500] {
        other.extend(word.to_le_bytes());
    }
    other.extend([0; 1500]);
    let others = other.repeat(octets / other.len());
    let len = |record: &[u8]| 16 + u32::from_le_bytes(*record[8..].first_chunk().unwrap()) as usize;
    let (first, rest) = records.split_at(len(records));
    [header, &others, first, &others, rest, &others].concat()
}

#[test]
fn large_files_are_read_in_pieces_with_the_same_verdicts() {
    let story = Story::injected();
    for vantage in VANTAGES {
        let capture = fs::read(story.file(vantage)).unwrap();
        story.add(vantage, &among_others(&capture, 5 << 20));
    }
    let mut inputs = story.inputs();
    let in_pieces = analyze(&["--format", "json"], &inputs).json();
    assert_eq!(in_pieces["resets"].as_array().unwrap().len(), 1);
    for (place, vantage) in VANTAGES.iter().enumerate() {
        let octets = fs::read(story.file(vantage)).unwrap();
        let of_file = std::mem::replace(&mut inputs[place], format!("{vantage}=-"));
        let mut arguments = vec!["analyze", "--format", "json"];
        arguments.extend(inputs.iter().map(String::as_str));
        // Standard input is read at a stretch.
        assert_eq!(parallax_reading(&arguments, &octets).json(), in_pieces);
        inputs[place] = of_file;
    }
}

#[test]
fn captures_without_resets_are_an_empty_answer() {
    let story = Story::peaceful();
    let text = analyze(&[], &story.inputs());
    assert_eq!((text.code, text.stderr.as_str()), (0, ""));
    assert!(text.stdout.starts_with("No resets.\n"), "{}", text.stdout);
    assert!(text.stdout.contains("fw-out"));
    let json = analyze(&["--format", "json"], &story.inputs()).json();
    assert_eq!(json["resets"], serde_json::json!([]));
    assert_eq!(json["vantages"].as_array().unwrap().len(), 4);
}

#[test]
fn a_name_given_twice_is_one_vantage() {
    let (injected, peaceful) = (Story::injected(), Story::peaceful());
    let inputs = [injected.input("client"), peaceful.input("client")];
    let document = analyze(&["--format", "json"], &inputs).json();
    assert_eq!(document["vantages"].as_array().unwrap().len(), 1);
    assert_eq!(document["vantages"][0]["packets"], 10 + 9);
}

#[test]
fn a_path_and_hosts_are_taken_over() {
    let story = Story::injected();
    let options = [
        "--format",
        "json",
        "--path",
        "client,fw-in,fw-out,server",
        "--host",
        "client=192.0.2.7,2001:db8::7",
    ];
    let document = analyze(&options, &story.inputs()).json();
    let client = &document["vantages"][0];
    assert_eq!(client["kind"], "host");
    assert_eq!(
        client["addresses"],
        serde_json::json!(["192.0.2.7", "2001:db8::7"])
    );
    assert_eq!(document["path"], serde_json::json!(VANTAGES));
}

#[test]
fn a_reset_is_explained_by_the_end_of_its_id() {
    let story = Story::injected();
    let document = analyze(&["--format", "json"], &story.inputs()).json();
    let id = document["resets"][0]["id"].as_str().unwrap().to_owned();
    let end = &id[id.len() - 8..];

    let text = analyze(&["--explain", end], &story.inputs());
    assert_eq!((text.code, text.stderr.as_str()), (0, ""));
    let explained = text.stdout.find("Packets, times").expect("a ladder");
    assert!(
        text.stdout[..explained].contains(&format!("  {end}\n")),
        "{}",
        text.stdout
    );
    assert!(text.stdout.contains('✶') && text.stdout.contains("Evidence"));

    let json = analyze(&["--explain", "all", "--format", "json"], &story.inputs()).json();
    assert_eq!(json["explanations"][0]["reset"]["id"], id);

    let unknown = analyze(&["--explain", "fffffffffff"], &story.inputs());
    assert!(unknown.error(1).contains("fffffffffff"));
}

#[test]
fn text_is_coloured_only_when_asked_or_on_a_terminal() {
    let story = Story::injected();
    assert!(
        !analyze(&["--explain", "all"], &story.inputs())
            .stdout
            .contains('\u{1b}')
    );
    let coloured = analyze(&["--color", "always"], &story.inputs()).stdout;
    assert!(coloured.contains('\u{1b}'));
    let json = analyze(&["--color", "always", "--format", "json"], &story.inputs()).stdout;
    assert!(!json.contains('\u{1b}'));
}

#[test]
fn a_cut_file_is_a_warning() {
    let story = Story::injected();
    let mut octets = fs::read(story.file("client")).unwrap();
    octets.truncate(octets.len() - 7);
    let input = [story.add("cut", &octets)];
    let text = analyze(&[], &input);
    assert_eq!(text.code, 0);
    assert!(
        text.stderr.starts_with("parallax: warning: vantage cut: "),
        "{}",
        text.stderr
    );
    let json = analyze(&["--format", "json"], &input);
    assert_eq!(json.stderr, "");
    assert_eq!(json.json()["warnings"].as_array().unwrap().len(), 1);
}

#[test]
fn a_file_that_cannot_be_read_is_one_line_that_names_it() {
    let story = Story::injected();
    let empty = story.add("empty", b"");
    let foreign = story.add("foreign", b"This is no capture, whatever its name says.\n");
    let missing = story.input("missing");
    for (input, expected) in [
        (empty, "empty.pcap"),
        (foreign, "foreign.pcap"),
        (missing, "missing.pcap"),
    ] {
        let run = analyze(&[], &[story.input("client"), input]);
        let line = run.error(1);
        assert!(
            line.starts_with("parallax: ") && line.contains(expected),
            "{line}"
        );
    }
}
