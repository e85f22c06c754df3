//! One run from its seed: a network, its traffic, what the vantages recorded, what the judge says.

use parallax_core::judge::Judged;
use parallax_core::time::SECOND;
use parallax_core::{Vantage, VantageKind};

use crate::archive::{Archive, Record};
use crate::capture::{Recorder, equip};
use crate::chance::{Chance, mix};
use crate::middlebox::Injector;
use crate::network::{Element, Network, Owner, Population};
use crate::topology::build;
use crate::traffic::{bookends, cast, populate};
use crate::world::{EPOCH, World};

pub struct Run {
    pub seed: u64,
    pub population: Population,
    pub world: World,
    pub verdicts: Vec<Judged>,
    /// What may have made it hard.
    pub features: Vec<&'static str>,
}

pub fn play(seed: u64, population: Population) -> Run {
    let mut chance = Chance(mix(seed ^ 0x7061_7261_6c6c_6178));
    let network = build(&mut chance, population);
    let mut features = network.features.clone();
    let boxes = (0..network.boxes)
        .map(|_| Injector::random(&mut chance))
        .collect();
    let recorders = recorders(&network, population, &mut features, &mut chance);
    let mut world = World::new(chance, network, boxes, recorders);
    let mut cast = cast(&mut world, &features);
    populate(&mut world, &mut cast);
    if population == Population::Sound {
        // Ordinary traffic before and after shows that every vantage was there all the time.
        let before = EPOCH - 4 * SECOND - 20 * world.round_trip();
        bookends(&mut world, &mut cast, before);
        world.run();
        let after = world.now + SECOND;
        bookends(&mut world, &mut cast, after);
    }
    world.run();
    let (records, configured) = hand_in(&mut world, population);
    features.sort_unstable();
    features.dedup();
    Run {
        seed,
        population,
        verdicts: Archive::new(records, configured).judge(),
        world,
        features,
    }
}

fn recorders(
    network: &Network,
    population: Population,
    features: &mut Vec<&'static str>,
    chance: &mut Chance,
) -> Vec<Recorder> {
    let mut all = Vec::new();
    for (index, owner) in network.vantages.iter().enumerate() {
        let (name, address) = match owner {
            Owner::Nobody => (format!("hop{index}"), None),
            Owner::Client => ("client".to_owned(), Some(network.client(0))),
            Owner::Server(branch) => (format!("server{branch}"), Some(network.server(*branch))),
            Owner::Proxy => ("proxy".to_owned(), Some(network.proxy_address())),
        };
        let kind = address.map_or(VantageKind::Hop, |address| VantageKind::Host {
            addresses: vec![address],
        });
        all.push(Recorder::new(Vantage { name, kind }, *owner));
    }
    features.extend(equip(&mut all, population, chance));
    all
}

/// The records in the order in which somebody names the vantages, and the path if they configure one.
fn hand_in(world: &mut World, population: Population) -> (Vec<Record>, Option<Vec<usize>>) {
    let end = world.now + SECOND;
    let network = &world.network;
    let mut order: Vec<usize> = Vec::new();
    for place in &network.places {
        if let Element::Tap(vantage) = place.element
            && !order.contains(&vantage)
        {
            order.push(vantage);
        }
    }
    let straight = network.branches == 1 && network.proxy.is_none();
    let configured = straight && world.chance.percent(40);
    let path = order.clone();
    if population == Population::Troubled && world.chance.percent(40) {
        world.chance.shuffle(&mut order);
    }
    let records = order
        .iter()
        .map(|vantage| world.recorders[*vantage].finish(end))
        .collect();
    let place = |vantage: &usize| order.iter().position(|other| other == vantage);
    let path = path.iter().filter_map(place).collect();
    (records, configured.then_some(path))
}
