//! A few resets among many ordinary connections.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use parallax_core::report::{Cause, Side};

use super::Network;
use super::forger::{Forger, Looks, Place};
use super::nat::{SNAT_FRAME, source_nat};
use super::nat_injected::{BEFORE, BEHIND};
use super::play::{Call, Play, QUIET, dial};
use super::standing::Standing;
use super::truth::Reset;
use crate::traffic::{abort_on_close, hush, pause};

pub const ALL: &[Network] = &[Network {
    name: "crowd",
    story: "Three hundred connections of two clients behind one address, of all sizes; five are \
            aborted by the server and five by a client, and four are reset by injectors before and \
            behind the translation.",
    plan: source_nat,
    frame: SNAT_FRAME,
    play: crowd,
}];

const PORT: u16 = 8080;
/// Three lines of callers at each client.
const LINES: usize = 6;
/// Connections of each line.
const EACH: usize = 49;
/// One in so many is aborted, by either end in turn.
const ABORT_EVERY: usize = 29;

/// A connection by the names that its ends have for it.
#[derive(Debug, Clone, Copy)]
struct Sockets {
    near: (SocketAddr, SocketAddr),
    far: (SocketAddr, SocketAddr),
}

fn crowd(play: &mut Play) -> Result<()> {
    let call = |client| Call::new(client, [10, 3, 0, 2], "server", PORT);
    let listener = play.listen(&call("client"))?;
    std::thread::spawn(move || serve(&listener));
    let net = play.net;
    let aborted = std::thread::scope(|scope| {
        let lines: Vec<_> = (0..LINES)
            .map(|line| scope.spawn(move || stand_in_line(net, line)))
            .collect();
        let places = [
            (BEFORE, Side::Client),
            (BEFORE, Side::Server),
            (BEHIND, Side::Client),
            (BEHIND, Side::Server),
        ];
        for (place, towards) in places {
            inject(play, &call("client"), place, towards)?;
        }
        let aborted = lines
            .into_iter()
            .map(|line| line.join().expect("a line of callers"))
            .collect::<Result<Vec<_>>>()?;
        anyhow::Ok(aborted.concat())
    })?;
    for (client, sockets, who) in aborted {
        let path = net.plan.path(client, "server");
        let number = play.declare(&path, sockets.near, sockets.far);
        let told = Reset::endpoint(who, "RA", &[Cause::AbortLinger]);
        play.reset(number, told);
    }
    Ok(())
}

/// Makes one call after the other; returns those that were aborted, and by whom.
fn stand_in_line(net: &Standing, line: usize) -> Result<Vec<(&'static str, Sockets, Side)>> {
    let client = ["client", "client2"][line % 2];
    let call = Call::new(client, [10, 3, 0, 2], "server", PORT);
    let mut aborted = Vec::new();
    for turn in 0..EACH {
        let number = turn * LINES + line;
        let mut caller = Caller::dial(net, &call)?;
        for exchange in 0..=number % 3 {
            caller.ask(size(number * 7 + exchange))?;
        }
        // Ten of the numbers below 294.
        if number % ABORT_EVERY == ABORT_EVERY - 1 {
            let who = [Side::Client, Side::Server][number / ABORT_EVERY % 2];
            aborted.push((client, caller.sockets, who));
            caller.abort(who)?;
        } else {
            caller.stream.shutdown(std::net::Shutdown::Write)?;
            ensure!(
                caller.reader.read(&mut [0])? == 0,
                "more than was asked for"
            );
        }
        pause(size(number) as u64 % 30);
    }
    Ok(aborted)
}

/// A spread of sizes in octets: mostly small, a few large.
fn size(number: usize) -> usize {
    let drawn = number.wrapping_mul(2_654_435_761) >> 7;
    if drawn.is_multiple_of(11) {
        8_000 + drawn % 24_000
    } else {
        20 + drawn % 1_500
    }
}

/// Resets one connection among the others.
fn inject(play: &mut Play, call: &Call, place: Place, towards: Side) -> Result<()> {
    let mut forger = Forger::at(play, place)?;
    let mut caller = Caller::dial(play.net, call)?;
    caller.ask(200)?;
    let path = play.net.plan.path(call.client, call.server.0);
    let number = play.declare(&path, caller.sockets.near, caller.sockets.far);
    pause(QUIET);
    forger.reset(play, number, towards, Looks::Own, Cause::Injected)?;
    pause(50);
    hush(caller.stream);
    Ok(())
}

/// The client's end of a connection to [`serve`].
struct Caller {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    sockets: Sockets,
}

impl Caller {
    fn dial(net: &Standing, call: &Call) -> Result<Self> {
        let stream = net.machine(call.client)?.within(|| dial(call))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let near = (stream.local_addr()?, stream.peer_addr()?);
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut greeting = String::new();
        reader.read_line(&mut greeting).context("the greeting")?;
        let seen = greeting.trim().parse().context("the greeting")?;
        let sockets = Sockets {
            near,
            far: (seen, near.1),
        };
        Ok(Self {
            stream,
            reader,
            sockets,
        })
    }

    /// Has the server send so many octets.
    fn ask(&mut self, octets: usize) -> Result<()> {
        writeln!(self.stream, "{octets}")?;
        let mut answer = vec![0; octets];
        self.reader.read_exact(&mut answer).context("the answer")
    }

    /// Has one end abort, with everything read and acknowledged.
    fn abort(mut self, who: Side) -> Result<()> {
        if who == Side::Server {
            writeln!(self.stream, "abort")?;
            self.reader.read_line(&mut String::new())?;
            pause(300);
            hush(self.stream);
            return Ok(());
        }
        pause(150);
        abort_on_close(&self.stream)
    }
}

/// Greets every caller with its address as seen here, sends as many octets as it asks for, or
/// aborts.
fn serve(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        // An error is the caller's end of the connection, one way or another.
        std::thread::spawn(move || answer(stream).ok());
    }
}

fn answer(mut stream: TcpStream) -> Result<()> {
    writeln!(stream, "{}", stream.peer_addr()?)?;
    let mut questions = BufReader::new(stream.try_clone()?);
    let mut question = String::new();
    while questions.read_line(&mut question)? > 0 {
        if question.trim() == "abort" {
            writeln!(stream, "so be it")?;
            // Longer than a delayed ACK.
            pause(150);
            return abort_on_close(&stream);
        }
        let octets = question.trim().parse().context("a question")?;
        let text = b"the same old story ".iter().cycle().take(octets);
        stream.write_all(&text.copied().collect::<Vec<u8>>())?;
        question.clear();
    }
    Ok(())
}
