//! Traffic: who calls whom, over which connections, and how it will end.

use parallax_core::Endpoint;
use parallax_core::report::{Cause, Side};
use parallax_core::time::{MILLISECOND, SECOND};

use crate::chance::Chance;
use crate::hosts::{CLOSED_PORT, Connection, Gone, Socket, Stack, State};
use crate::middlebox::Kind;
use crate::network::Element;
use crate::program::{Ending, Talk};
use crate::world::{EPOCH, Event, World};

fn stack(chance: &mut Chance) -> Stack {
    let ttl = chance.pick(&[64, 64, 64, 128, 128, 255]);
    let two_stacks = chance.percent(6);
    Stack {
        ttl,
        reset_ttl: if two_stacks {
            chance.pick(&[64, 128, 255])
        } else {
            ttl
        },
        counts_ids: ttl != 64 || chance.percent(10),
        stamps: chance.percent(80),
        window: 200 + chance.below(60_000) as u16,
        live_aborts: ttl == 64,
        resets_on_timeout: chance.percent(60),
        lenient: chance.percent(15),
        offloads: false,
    }
}

/// Who talks to whom in a run.
pub struct Cast {
    clients: Vec<Stack>,
    servers: Vec<Stack>,
    proxy: Stack,
    next_port: u16,
}

struct Call {
    client: u8,
    ending: Ending,
    start: i64,
    service: u16,
    /// The branch of a connection that is left alone.
    branch: Option<u8>,
}

pub fn cast(world: &mut World, features: &[&'static str]) -> Cast {
    let crowd = features.contains(&"source NAT") && world.chance.percent(60);
    let clients = if crowd {
        3 + world.chance.below(8)
    } else {
        1 + world.chance.below(2)
    };
    let branches = world.network.branches;
    let mut cast = Cast {
        clients: (0..clients).map(|_| stack(&mut world.chance)).collect(),
        servers: (0..branches).map(|_| stack(&mut world.chance)).collect(),
        proxy: stack(&mut world.chance),
        next_port: 32_768 + world.chance.below(20_000) as u16,
    };
    cast.clients[0].offloads = features.contains(&"offload at the client");
    for (branch, server) in (0..).zip(&mut cast.servers) {
        server.offloads = world.network.offloads_at_server(branch);
    }
    cast
}

/// A connection by each branch that nothing happens to.
pub fn bookends(world: &mut World, cast: &mut Cast, start: i64) {
    for branch in 0..world.network.branches {
        let call = Call {
            client: 0,
            ending: Ending::Close(Side::Client),
            start,
            service: 443,
            branch: Some(branch),
        };
        begin(world, cast, &call);
    }
}

pub fn populate(world: &mut World, cast: &mut Cast) {
    let targets = 1 + world.chance.below(3);
    let mut calls: Vec<Call> = Vec::new();
    for index in 0..targets + 2 + world.chance.below(4) {
        let ending = if index < targets {
            Ending::random(&mut world.chance)
        } else {
            Ending::Close(world.chance.pick(&[Side::Client, Side::Server]))
        };
        calls.push(call(world, 0, ending));
    }
    for client in 1..cast.clients.len() as u8 {
        let ending = if world.chance.percent(15) {
            Ending::random(&mut world.chance)
        } else {
            Ending::Close(Side::Client)
        };
        calls.push(call(world, client, ending));
    }
    for call in calls {
        begin(world, cast, &call);
    }
}

fn call(world: &mut World, client: u8, ending: Ending) -> Call {
    Call {
        client,
        ending,
        start: EPOCH + world.chance.between(0, 2000) * MILLISECOND,
        service: world.chance.pick(&[443, 443, 8443]),
        branch: None,
    }
}

/// Sets up a call's connections and has it begin.
fn begin(world: &mut World, cast: &mut Cast, call: &Call) {
    let any = world.chance.below(u64::from(world.network.branches)) as u8;
    let branch = call.branch.unwrap_or(any);
    let server_branch = if world.network.balanced { branch } else { 0 };
    let last = world.network.places.len() - 1;
    let first = entry(world, call.client);
    cast.next_port += 1 + world.chance.below(30) as u16;
    let client = Endpoint::new(world.network.client(call.client), cast.next_port);
    let translated = world.network.translates_destination();
    let service = match call.ending {
        _ if translated => 443,
        Ending::ClosedPort => 9999,
        _ => call.service,
    };
    let server = Endpoint::new(world.network.server(server_branch), service);
    let server_stack = cast.servers[server_branch as usize];
    let client_stack = cast.clients[call.client as usize];
    let talk = world.talks.len();
    let whole = Ends {
        span: (first, last),
        hosts: (client, server),
        stacks: [client_stack, server_stack],
        branch,
        talk,
        relay: None,
    };
    let (front, back) = if let Some(proxy) = world.network.proxy {
        through(world, cast, &whole, proxy)
    } else {
        let only = connect(world, &whole);
        (only, only)
    };
    let talks = Talk::new(front, back, call.ending, &mut world.chance);
    world.talks.push(talks);
    prepare(world, front, call.ending);
    world.at(call.start, Event::Connect(front));
    if matches!(call.ending, Ending::Reuse) && front == back {
        reuse(world, front, call.start);
    }
    if call.branch.is_some() {
        for injector in &mut world.boxes {
            injector.spared.extend([front, back]);
        }
    } else {
        aim(world, front, call.start);
    }
}

/// Where a client's packets come upon the line: the first at its end, others behind its own access.
fn entry(world: &mut World, client: u8) -> usize {
    if client == 0 {
        return 0;
    }
    let shared = world
        .network
        .places
        .iter()
        .position(|place| matches!(place.element, Element::Link(_)));
    let before = world.network.proxy.map_or(usize::MAX, |proxy| proxy - 1);
    shared.unwrap_or(0).min(before)
}

/// What a connection is made of.
struct Ends {
    span: (usize, usize),
    hosts: (Endpoint, Endpoint),
    stacks: [Stack; 2],
    branch: u8,
    talk: usize,
    relay: Option<(Side, usize)>,
}

/// Two connections, with a proxy between.
fn through(world: &mut World, cast: &mut Cast, whole: &Ends, proxy: usize) -> (usize, usize) {
    let address = world.network.proxy_address();
    let number = world.connections.len();
    cast.next_port += 1;
    let [client, server] = whole.stacks;
    let front = connect(
        world,
        &Ends {
            span: (whole.span.0, proxy - 1),
            hosts: (whole.hosts.0, Endpoint::new(address, 3128)),
            stacks: [client, cast.proxy],
            relay: Some((Side::Server, number + 1)),
            ..*whole
        },
    );
    let back = connect(
        world,
        &Ends {
            span: (proxy + 1, whole.span.1),
            hosts: (Endpoint::new(address, cast.next_port), whole.hosts.1),
            stacks: [cast.proxy, server],
            relay: Some((Side::Client, number)),
            ..*whole
        },
    );
    world.connections[back].key = world.connections[front].key;
    (front, back)
}

fn connect(world: &mut World, ends: &Ends) -> usize {
    let number = world.connections.len();
    let fresh_port = 20_000 + number as u16 * 7 + world.chance.below(7) as u16;
    let views = world.network.views(
        ends.span,
        ends.hosts.0,
        ends.hosts.1,
        &mut world.chance,
        fresh_port,
    );
    let initial = [world.chance.number() as u32, world.chance.number() as u32];
    let id = world.chance.number();
    let [client, server] = ends.stacks;
    world.connections.push(Connection {
        span: ends.span,
        views,
        branch: ends.branch,
        // Health checks and the like say the same again and again.
        key: if world.chance.percent(25) {
            7
        } else {
            world.chance.number()
        },
        initial,
        sockets: [
            Socket::new(State::SynSent, client, initial[0], id as u16),
            Socket::new(State::Listen, server, initial[1], (id >> 16) as u16),
        ],
        talk: ends.talk,
        relay: ends.relay,
    });
    number
}

/// Endings that begin before the connection does.
fn prepare(world: &mut World, connection: usize, ending: Ending) {
    const OVERLOADED: Gone = Gone {
        story: "listener overloaded",
        causes: &[Cause::ListenerOverloaded],
    };
    let expected = world.chance.number() as u32;
    let sockets = &mut world.connections[connection].sockets;
    let [client, server] = sockets;
    match ending {
        Ending::ClosedPort => server.go(CLOSED_PORT),
        Ending::Overloaded => server.go(OVERLOADED),
        Ending::Scanned => {
            client.state = State::Scanning;
            client.stack.ttl = 255;
        }
        Ending::TimeWait | Ending::HalfOpen => {
            server.state = if ending == Ending::TimeWait {
                State::TimeWait
            } else {
                State::Open
            };
            server.expected = expected;
        }
        _ => {}
    }
}

/// A second life of the same ports.
fn reuse(world: &mut World, first: usize, start: i64) {
    let old = &world.connections[first];
    let (span, views, branch) = (old.span, old.views.clone(), old.branch);
    let stacks = [old.sockets[0].stack, old.sockets[1].stack];
    let initial = [
        old.initial[0].wrapping_add(world.chance.number() as u32 >> 4),
        world.chance.number() as u32,
    ];
    let number = world.connections.len();
    let talk = world.talks.len();
    world.connections.push(Connection {
        span,
        views,
        branch,
        key: world.chance.number(),
        initial,
        sockets: [
            Socket::new(State::SynSent, stacks[0], initial[0], 500),
            Socket::new(State::Listen, stacks[1], initial[1], 900),
        ],
        talk,
        relay: None,
    });
    let side = world.chance.pick(&[Side::Client, Side::Server]);
    let ending = world
        .chance
        .pick(&[Ending::Linger(side), Ending::Close(side)]);
    let talk = Talk::new(number, number, ending, &mut world.chance);
    world.talks.push(talk);
    let wait = 3 * SECOND + 20 * world.round_trip();
    let again = start + wait + world.chance.between(0, 2000) * MILLISECOND;
    world.at(again, Event::Connect(number));
}

/// Spoofing senders take aim at some connections.
fn aim(world: &mut World, connection: usize, start: i64) {
    for injector in 0..world.boxes.len() {
        if world.boxes[injector].kind == Kind::Blind && world.chance.percent(40) {
            let tries = 1 + world.chance.below(6) as u32;
            let at = start + world.chance.between(1, 300) * MILLISECOND;
            world.at(at, Event::Guess(injector, connection, tries));
        }
    }
}
