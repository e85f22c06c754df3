//! Any evidence, however absurd, gives verdicts and no panic.

use parallax_core::digest::{Digest, IpFields, LinkFields, TcpFlags, TcpOptions};
use parallax_core::judge;
use parallax_core::{
    CaptureTime, Coverage, Endpoint, ExchangedClock, FlowEvidence, FourTuple, Nearby, Selection,
    TcpSeq, Testimony, Vantage, VantageEvidence, VantageKind,
};
use proptest::prelude::*;

fn tuple() -> FourTuple {
    FourTuple::new(
        Endpoint::new("192.0.2.1".parse().unwrap(), 4000),
        Endpoint::new("198.51.100.1".parse().unwrap(), 80),
    )
}

prop_compose! {
    fn digest()(
        time in prop_oneof![any::<i64>(), 0..1_000_000_i64],
        back: bool,
        seq in prop_oneof![any::<u32>(), 0..8_u32],
        ack in prop_oneof![any::<u32>(), 0..8_u32],
        flags in 0..64_u16,
        len in prop_oneof![any::<u32>(), 0..4_u32],
        ttl: u8,
        id: Option<u16>,
    ) -> Digest {
        Digest {
            time: CaptureTime::from_nanos(time),
            tuple: if back { tuple().reversed() } else { tuple() },
            seq: TcpSeq(seq),
            ack: TcpSeq(ack),
            flags: TcpFlags(flags),
            window: 5,
            payload_len: len,
            payload_hash: None,
            options: TcpOptions { window_scale: Some(ttl), ..TcpOptions::default() },
rst_reason: None,
            ip: IpFields { ttl, id, ..IpFields::default() },
            link: LinkFields::default(),
        }
    }
}

prop_compose! {
    fn vantage(name: &'static str)(
        host: bool,
        from: i64,
        until: i64,
        dropped: u64,
        all: bool,
        segments in prop::collection::vec(digest(), 0..12),
        nearby in prop::collection::vec(digest(), 0..4),
    ) -> VantageEvidence {
        let addresses = vec![tuple().src.addr];
        VantageEvidence {
            vantage: Vantage {
                name: name.to_owned(),
                kind: if host { VantageKind::Host { addresses } } else { VantageKind::Hop },
            },
            selection: if all { Selection::All } else { Selection::Context },
            complete: vec![(CaptureTime::from_nanos(from), CaptureTime::from_nanos(until))],
            clock: Some(ExchangedClock { at: CaptureTime::from_nanos(until), offset: from, error: until }),
            coverage: vec![Coverage {
                from: CaptureTime::from_nanos(from),
                until: CaptureTime::from_nanos(until),
                received: 1,
                dropped,
            }],
            losses: Vec::new(),
            segments,
            nearby: Nearby::new(
                CaptureTime::from_nanos(from),
                &nearby,
                &nearby,
                &nearby,
            ),
            testimony: Testimony::default(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn every_reset_seen_is_in_exactly_one_verdict(
        a in vantage("a"), b in vantage("b"), c in vantage("c"), configured: bool,
    ) {
        let evidence = FlowEvidence {
            flow: tuple().flow(),
            vantages: vec![a, b, c],
            configured_path: configured.then(|| vec![2, 0]),
            known_ids: Vec::new(),
        };
        let judged = judge::judge_flow(&evidence);
        let seen = evidence.vantages.iter().flat_map(|at| &at.segments).any(Digest::is_rst);
        prop_assert_eq!(seen, !judged.is_empty());
        let reports = |judged: &[judge::Judged]| -> Vec<_> {
            judged.iter().map(|one| one.report.clone()).collect()
        };
        // The same evidence, the same words, whatever order a map has.
        prop_assert_eq!(reports(&judged), reports(&judge::judge_flow(&evidence)));
        for one in &judged {
            prop_assert!((0.0..=1.0).contains(&one.report.confidence));
            prop_assert!(!one.report.seen_at.is_empty());
            prop_assert!(!one.report.evidence.is_empty());
            prop_assert!(judge::explain(&evidence, one.report.id).is_some());
        }
    }
}
