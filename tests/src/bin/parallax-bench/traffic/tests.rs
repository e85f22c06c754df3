use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use parallax_core::Digest;
use parallax_core::digest::TcpFlags;

use super::*;

const PLAN: Plan = Plan {
    packets: 20_000,
    connections: 200,
    seed: 7,
};

fn digests(path: &Path) -> Vec<Digest> {
    let mut digests = Vec::new();
    let summary =
        parallax_agent::capture::file::read_digests(path, &mut |digest| digests.push(digest));
    let summary = summary.unwrap();
    assert_eq!(summary.digests, summary.packets, "every packet is readable");
    assert_eq!(summary.warnings.len(), 0);
    digests
}

fn three(folder: &Path) -> [PathBuf; 3] {
    NAMES.map(|name| folder.join(name))
}

#[test]
fn a_seed_gives_the_same_octets_and_another_seed_gives_others() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a", "b", "c"].map(|name| folder.path().join(name));
    let other = Plan { seed: 8, ..PLAN };
    write_mix(&paths[0], PLAN).unwrap();
    write_mix(&paths[1], PLAN).unwrap();
    write_mix(&paths[2], other).unwrap();
    let octets = paths.map(|path| fs::read(path).unwrap());
    assert_eq!(octets[0], octets[1]);
    assert_ne!(octets[0], octets[2]);
}

#[test]
fn the_mix_has_as_many_packets_and_connections_as_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mix");
    write_mix(&path, PLAN).unwrap();
    let digests = digests(&path);
    assert_eq!(digests.len(), PLAN.packets as usize);
    let flows: HashSet<_> = digests.iter().map(|digest| digest.tuple.flow()).collect();
    assert_eq!(flows.len(), PLAN.connections as usize);
    assert!(digests.is_sorted_by_key(|digest| digest.time));
    assert!(digests.iter().any(|digest| digest.tuple.src.addr.is_ipv6()));
}

#[test]
fn every_syn_of_a_flood_is_another_flow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flood");
    write_flood(&path, 200_000, 1).unwrap();
    let digests = digests(&path);
    assert!(digests.iter().all(Digest::is_syn));
    let flows: HashSet<_> = digests.iter().map(|digest| digest.tuple.flow()).collect();
    assert_eq!(flows.len(), 200_000);
}

#[test]
fn an_elephant_is_one_flow_whose_numbers_wrap() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("elephant");
    write_elephant(&path, 3_000, 1).unwrap();
    let digests = digests(&path);
    let flows: HashSet<_> = digests.iter().map(|digest| digest.tuple.flow()).collect();
    assert_eq!(flows.len(), 1);
    let data = digests.iter().filter(|digest| digest.payload_len > 0);
    let numbers: Vec<u32> = data.map(|digest| digest.seq.0).collect();
    assert!(!numbers.is_sorted(), "they wrap");
}

#[test]
fn what_is_told_of_the_resets_is_what_the_files_hold() {
    let folder = tempfile::tempdir().unwrap();
    let paths = three(folder.path());
    let resets = write_vantages(&paths, PLAN).unwrap();
    assert!(resets.iter().any(|reset| reset.maker == Maker::End));
    assert!(resets.iter().any(|reset| reset.maker == Maker::Box(0)));
    assert!(resets.iter().any(|reset| reset.maker == Maker::Box(1)));
    for (index, path) in paths.iter().enumerate() {
        let mut held: Vec<(u32, Option<u32>)> = digests(path)
            .iter()
            .filter(|digest| digest.is_rst())
            .map(|digest| (digest.seq.0, digest.acked().map(|ack| ack.0)))
            .collect();
        let told = resets.iter().filter(|reset| reset.seen[index]);
        let mut told: Vec<(u32, Option<u32>)> = told.map(|reset| (reset.seq, reset.ack)).collect();
        held.sort_unstable();
        told.sort_unstable();
        assert_eq!(held, told, "{}", NAMES[index]);
    }
}

#[test]
fn only_the_first_vantage_knows_clients_by_their_own_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let paths = three(folder.path());
    write_vantages(&paths, PLAN).unwrap();
    let clients = |path: &PathBuf| -> HashSet<_> {
        let digests = digests(path);
        let v4 = digests
            .iter()
            .filter(|digest| digest.tuple.src.addr.is_ipv4());
        v4.filter(|digest| digest.is_syn())
            .map(|digest| digest.tuple.src)
            .collect()
    };
    let [own, translated, same] = [&paths[0], &paths[1], &paths[2]].map(clients);
    assert!(own.is_disjoint(&translated));
    assert!(translated.intersection(&same).count() > 100);
}

#[test]
fn nobody_acknowledges_what_a_vantage_has_not_seen_yet() {
    let folder = tempfile::tempdir().unwrap();
    let paths = three(folder.path());
    let lossless = |digests: &[Digest]| {
        let mut highest = std::collections::HashMap::new();
        let mut early = 0;
        for digest in digests {
            let peers = (digest.tuple.flow(), digest.tuple.way().opposite());
            if let (Some(ack), Some(seen)) = (digest.acked(), highest.get(&peers)) {
                early += u32::from(ack.after(*seen));
            }
            let own = (digest.tuple.flow(), digest.tuple.way());
            let end = digest.seq_end();
            let newest = highest.entry(own).or_insert(end);
            if end.after(*newest) {
                *newest = end;
            }
        }
        early
    };
    write_vantages(&paths, PLAN).unwrap();
    for path in &paths {
        let digests = digests(path);
        assert!(digests.iter().any(|digest| digest.flags.has(TcpFlags::FIN)));
        // A lost segment is acknowledged all the same.
        let early = lossless(&digests);
        assert!(early < PLAN.packets / 200, "{early}");
    }
}
