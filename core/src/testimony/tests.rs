//! Lines as kernels print them.

use super::*;
use crate::reason::KernelReason;

fn tuple(src: &str, dst: &str) -> FourTuple {
    FourTuple::new(endpoint(src).unwrap(), endpoint(dst).unwrap())
}

fn sent_for(reason: KernelReason, prompt: Prompt) -> Act {
    Act::Sent {
        reason: Some(ResetReason::Kernel(reason)),
        prompt,
    }
}

#[test]
fn a_reset_without_a_socket_reads_with_its_reason() {
    let line = "  python3-13151   [000] ..s1. 1795624096.948671: tcp_send_reset: \
                skbaddr=00000000e8da74a3 skaddr=0000000000000000 src=192.0.2.1:9 dest=192.0.2.2:42962 \
                state=UNKNOWN reason=NO_SOCKET";
    let expected = Line::Event {
        time: 1_795_624_096_948_671_000,
        tuple: tuple("192.0.2.1:9", "192.0.2.2:42962"),
        act: sent_for(KernelReason::NoSocket, Prompt::Segment),
    };
    assert_eq!(read_line(line), expected);
}

#[test]
fn a_reset_of_a_program_reads_also_with_mapped_and_ipv6_addresses() {
    let line = |src: &str, dst: &str| {
        format!(
            "a b-7 [001] ..... 12.000001: tcp_send_reset: skbaddr=0000000000000000 \
             skaddr=00000000b36777da src={src} dest={dst} state=TCP_CLOSE reason=TCP_ABORT_ON_CLOSE"
        )
    };
    let read = |src: &str, dst: &str| Line::Event {
        time: 12_000_001_000,
        tuple: tuple(src, dst),
        act: sent_for(KernelReason::AbortOnClose, Prompt::Itself),
    };
    assert_eq!(
        read_line(&line("[::ffff:192.0.2.1]:80", "[::ffff:192.0.2.2]:5")),
        read("192.0.2.1:80", "192.0.2.2:5")
    );
    assert_eq!(
        read_line(&line("[2001:db8::1]:80", "[2001:db8::2]:5")),
        read("[2001:db8::1]:80", "[2001:db8::2]:5")
    );
}

#[test]
fn kernels_before_6_10_give_no_reason_and_addresses_in_parts() {
    let line = "<idle>-0 [003] ..s. 77.5: tcp_send_reset: skbaddr=000000001 skaddr=0000000a family=AF_INET \
                sport=443 dport=40000 saddr=192.0.2.1 daddr=192.0.2.2 saddrv6=::ffff:192.0.2.1 \
                daddrv6=::ffff:192.0.2.2 state=TCP_ESTABLISHED";
    let expected = Line::Event {
        time: 77_500_000_000,
        tuple: tuple("192.0.2.1:443", "192.0.2.2:40000"),
        act: Act::Sent {
            reason: None,
            prompt: Prompt::Segment,
        },
    };
    assert_eq!(read_line(line), expected);
}

#[test]
fn an_accepted_reset_goes_from_the_peer_to_the_socket() {
    for family in ["family=AF_INET ", ""] {
        let line = format!(
            "x-1 [000] ..s2. 1.000000: tcp_receive_reset: {family}sport=54468 dport=443 saddr=192.0.2.1 \
             daddr=192.0.2.2 saddrv6=::ffff:192.0.2.1 daddrv6=::ffff:192.0.2.2 sock_cookie=3"
        );
        let expected = Line::Event {
            time: 1_000_000_000,
            tuple: tuple("192.0.2.2:443", "192.0.2.1:54468"),
            act: Act::Accepted,
        };
        assert_eq!(read_line(&line), expected);
    }
}

#[test]
fn a_loss_is_counted_and_headings_are_none() {
    assert_eq!(read_line("CPU:1 [LOST 123 EVENTS]"), Line::Lost(123));
    assert_eq!(read_line("CPU:0 [LOST EVENTS]"), Line::Lost(1));
    assert_eq!(read_line("# tracer: nop"), Line::Other);
    assert_eq!(read_line(""), Line::Other);
}

#[test]
fn what_does_not_read_is_said_to_be_missing() {
    for line in [
        "x-1 [0] 1.0: tcp_send_reset: skbaddr=0 skaddr=0 src=192.0.2.1 dest=192.0.2.2:1",
        "x-1 [0] now: tcp_send_reset: skbaddr=1 skaddr=0 src=192.0.2.1:1 dest=192.0.2.2:1",
        "x-1 [0] 1.: tcp_receive_reset: sport=1 dport=2",
        "x-1 [0] 99999999999999999999.0: tcp_receive_reset: sport=1",
    ] {
        assert_eq!(read_line(line), Line::Unreadable, "{line}");
    }
}

#[test]
fn a_listening_socket_names_its_port_and_no_peer() {
    for (src, dest, expected) in [
        ("0.0.0.0:8001", "0.0.0.0:0", ("0.0.0.0:8001", "0.0.0.0:0")),
        ("[::]:8001", "[::]:0", ("[::]:8001", "[::]:0")),
        (
            "[::ffff:192.0.2.1]:8001",
            "[::]:0",
            ("192.0.2.1:8001", "0.0.0.0:0"),
        ),
    ] {
        let line = format!(
            "x-1 [0] ..s1. 2.000000: tcp_send_reset: skbaddr=01 skaddr=02 src={src} dest={dest} \
             state=TCP_LISTEN reason=TCP_FLAGS"
        );
        let Line::Event {
            time,
            tuple: read,
            act,
        } = read_line(&line)
        else {
            panic!("it reads");
        };
        assert_eq!(read, tuple(expected.0, expected.1));
        let statement = Statement {
            time: CaptureTime::from_nanos(time),
            error: 0,
            tuple: read,
            act,
        };
        assert!(statement.is_of_listener());
        let local = endpoint("192.0.2.1:8001").unwrap();
        assert!(listeners(local).any(|tuple| tuple == read));
    }
}

#[test]
fn a_process_named_like_an_event_deceives_nobody() {
    let line = "x: tcp_send_reset: src=192.0.2.9:1-5 [000] ..s1. 2.000000: tcp_send_reset: skbaddr=01 \
                skaddr=00 src=192.0.2.1:9 dest=192.0.2.2:42 state=UNKNOWN reason=NO_SOCKET";
    let Line::Event { tuple: read, .. } = read_line(line) else {
        panic!("it reads");
    };
    assert_eq!(read, tuple("192.0.2.1:9", "192.0.2.2:42"));
}

#[test]
fn the_oath_goes_by_the_reason_field() {
    let with = "field:int state;\n\tfield:enum sk_rst_reason reason;\toffset:28;";
    assert_eq!(oath_of(with), Oath::Everything);
    assert_eq!(oath_of("field:int state;"), Oath::WithSocket);
}

mod any {
    use proptest::prelude::*;

    use super::super::read_line;

    proptest! {
        #[test]
        fn no_line_makes_it_panic(head in ".{0,60}", tail in "[ -~]{0,120}") {
            for event in [": tcp_send_reset: ", ": tcp_receive_reset: ", "[LOST "] {
                read_line(&format!("{head}{event}{tail}"));
            }
            read_line(&head);
        }
    }
}
