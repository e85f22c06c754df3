//! Resets by somebody who hears everything, and by somebody who hears nothing.

use anyhow::{Context, Result};
use parallax_core::report::{Cause, Side};

use super::Network;
use super::forger::Forger;
use super::plan::Plan;
use super::play::{Play, Talk};
use super::straight::{CALL, FRAME, MIDDLE, OTHER_CALL};
use super::truth::Reset;
use crate::injector::{Conversation, Tap};
use crate::segment::Segment;
use crate::traffic::pause;

pub const ALL: &[Network] = &[
    Network {
        name: "off_path_burst",
        story: "A sniffer on a mirrored segment answers each segment of one connection, as tcpkill \
                does, with a burst of RSTs a window apart, to both ends.",
        plan: Plan::straight,
        frame: FRAME,
        play: off_path_burst,
    },
    Network {
        name: "blind_attack",
        story: "An attacker on a side network of the firewall, who hears nothing, sends RSTs with \
                guessed sequence numbers in the names of either end; both connections live on.",
        plan: with_side_network,
        frame: FRAME,
        play: blind_attack,
    },
];

/// How many resets tcpkill sends for a segment when told `-9`.
const SEVERITY: u32 = 9;

fn off_path_burst(play: &mut Play) -> Result<()> {
    let mut sniffer = Forger::at(play, MIDDLE)?;
    let mut talk = play.open(&CALL)?;
    talk.say(
        Side::Client,
        b"GET /second HTTP/1.1\r\nHost: server\r\n\r\n",
    )?;
    talk.say(
        Side::Server,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    )?;
    let conversation = sniffer.conversation(play, talk.number)?;
    for victim in [Side::Client, Side::Server] {
        for number in 0..SEVERITY {
            let shot = tcpkill(&conversation, victim, number);
            sniffer.send(play, talk.number, victim, &shot, |reset| Reset {
                causes: vec![Cause::InjectedOffPath, Cause::InjectedBothWays],
                ..reset
            })?;
        }
    }
    pause(100);
    talk.connection.hush();
    Ok(())
}

/// What tcpkill answers the victim's newest segment with: a RST in its peer's name at the number
/// that it acknowledged, and further ones that many of its windows beyond.
fn tcpkill(conversation: &Conversation, victim: Side, number: u32) -> Segment {
    let heard = match victim {
        Side::Client => &conversation.from_client,
        Side::Server => &conversation.from_server,
    };
    let mut forged = conversation.forge(victim.other());
    let window = u32::from(heard.tcp.window_size);
    forged.ttl = 64;
    forged.ip_id = 0x5000_u16.wrapping_add(number as u16 * 977);
    forged.tcp.sequence_number = heard
        .tcp
        .acknowledgment_number
        .wrapping_add(number * window);
    forged
}

/// ```text
///  client ──near── gateway ──middle── firewall ──far── server
///                                        │
///                              attacker ─side
/// ```
fn with_side_network() -> Result<Plan> {
    let plan = Plan::straight()?.wire(
        "side",
        &["attacker eth0 10.4.0.2/24", "firewall side0 10.4.0.1/24"],
    )?;
    Ok(plan.route("attacker", "default via 10.4.0.1"))
}

/// How far beyond the right number the guesses lie: all in the window, none right.
const GUESSES: [u32; 4] = [1_000, 5_000, 12_000, 20_000];
/// Longer than a kernel waits before it challenges again, in milliseconds.
const BETWEEN_GUESSES: u64 = 550;

fn blind_attack(play: &mut Play) -> Result<()> {
    let mut listener = Tap::open(play.net.machine("client")?, "eth0")?;
    let mut attacker = Tap::open(play.net.machine("attacker")?, "eth0")?;
    let first = play.open(&CALL)?;
    let second = play.open(&OTHER_CALL)?;
    pause(100);
    for beyond in GUESSES {
        for (talk, victim) in [(&first, Side::Client), (&second, Side::Server)] {
            // What is in the window is known here, not to the attacker.
            let conversation = listener.conversation_of(talk.near.0, talk.near.1)?;
            let mut forged = conversation.forge(victim.other());
            forged.tcp.sequence_number = forged.tcp.sequence_number.wrapping_add(beyond);
            guess(play, talk, &mut attacker, forged, victim)?;
        }
        pause(BETWEEN_GUESSES);
    }
    for mut talk in [first, second] {
        talk.exchange()
            .context("the connection that was to live on")?;
        talk.connection.end()?;
    }
    Ok(())
}

fn guess(
    play: &mut Play,
    talk: &Talk,
    attacker: &mut Tap,
    mut forged: Segment,
    victim: Side,
) -> Result<()> {
    let between = match victim {
        Side::Client => ["fw-out", "fw-in"],
        Side::Server => ["fw-in", "fw-out"],
    };
    forged.destination_mac = play.net.mac("firewall", "side0")?;
    forged.source_mac = play.net.mac("attacker", "eth0")?;
    forged.ttl = 255;
    attacker.send(&forged)?;
    let told = Reset::forged(victim.other(), "R", between, &[Cause::BlindAttack])
        .numbered(forged.tcp.sequence_number)
        .ineffective();
    play.reset(talk.number, told);
    Ok(())
}
