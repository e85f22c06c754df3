//! What programs of different versions make of each other's messages.

use parallax_proto::v1::agent_message::Message as Said;
use parallax_proto::v1::{AgentMessage, Beat, CollectorMessage, Hello, Welcome, collector_message};
use prost::Message as _;

/// A field of a later version: number 4000, three octets.
fn later(mut message: Vec<u8>) -> Vec<u8> {
    // Wire type 2: a length, and so many octets.
    prost::encoding::encode_key(
        4000,
        prost::encoding::WireType::LengthDelimited,
        &mut message,
    );
    message.extend([3, b'n', b'e', b'w']);
    message
}

#[test]
fn fields_of_a_later_version_are_left_alone() {
    let hello = Hello {
        vantage: "fw-in".to_owned(),
        snaplen: 192,
        ..Hello::default()
    };
    let octets = later(hello.encode_to_vec());
    assert_eq!(Hello::decode(&*octets).unwrap(), hello);
    let welcome = Welcome {
        committed: 7,
        ..Welcome::default()
    };
    let octets = later(welcome.encode_to_vec());
    assert_eq!(Welcome::decode(&*octets).unwrap(), welcome);
}

#[test]
fn a_kind_of_message_of_a_later_version_is_no_message() {
    let octets = later(Vec::new());
    assert_eq!(AgentMessage::decode(&*octets).unwrap().message, None);
    assert_eq!(CollectorMessage::decode(&*octets).unwrap().message, None);
}

#[test]
fn what_an_earlier_version_does_not_say_is_not_said() {
    // From, until and next number only, as the first version had them.
    let mut first = Vec::new();
    prost::encoding::sfixed64::encode(1, &1, &mut first);
    prost::encoding::sfixed64::encode(2, &2, &mut first);
    prost::encoding::uint64::encode(6, &3, &mut first);
    let expected = Beat {
        from: 1,
        until: 2,
        next_number: 3,
        ..Beat::default()
    };
    assert_eq!(Beat::decode(&*first).unwrap(), expected);
    assert_eq!((expected.clock_epoch, expected.observed_octets), (0, 0));
}

#[test]
fn known_kinds_are_told_apart_from_unknown_ones() {
    let said = AgentMessage {
        message: Some(Said::Beat(Beat::default())),
    };
    let octets = later(said.encode_to_vec());
    assert_eq!(AgentMessage::decode(&*octets).unwrap(), said);
    let answer = CollectorMessage {
        message: Some(collector_message::Message::Welcome(Welcome::default())),
    };
    let octets = later(answer.encode_to_vec());
    assert_eq!(CollectorMessage::decode(&*octets).unwrap(), answer);
}
