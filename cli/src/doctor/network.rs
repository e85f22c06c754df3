//! The collector and the database, as far as they answer.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use super::Check;
use crate::args::Collector;
use crate::client::Client;

/// How long a database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A collector: whether it answers, and its database with it.
pub fn collector(to: &Collector) -> Check {
    let what = format!("collector {}", to.url.as_str());
    match Client::new(to).and_then(|client| client.vantages()) {
        Ok(document) => Check::fine(
            what,
            format!(
                "it answers, and so does its database; it knows {} vantages",
                document.vantages.len()
            ),
        ),
        Err(error) => {
            let text = error.to_string();
            let (found, mend) = text.rsplit_once("; ").unwrap_or((
                &text,
                "look into the collector's log; its database may be away or full",
            ));
            Check::wrong(what, found, mend)
        }
    }
}

/// A database by its URL: whether a Postgres answers there (its `SSLRequest`, section 54.7 of its documentation).
pub fn database(url: &str) -> Check {
    let host = url
        .split_once("://")
        .map_or(url, |(_, rest)| rest)
        .split(['/', '?'])
        .next()
        .unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let what = format!("database at {host}");
    if host.is_empty() {
        return Check::warning(
            what,
            "it is reached by a socket of this machine, which is not looked at",
            "parallax-collector migrate tells whether it can be used",
        );
    }
    let with_port = if host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    {
        host.to_owned()
    } else {
        format!("{host}:5432")
    };
    match answers(&with_port) {
        Ok(b'S' | b'N') => Check::fine(what, "a PostgreSQL answers"),
        Ok(other) => Check::wrong(
            what,
            format!("something answers {other:#04x}, which no PostgreSQL does"),
            "correct the address in --database-url",
        ),
        Err(error) => Check::wrong(
            what,
            format!("it does not answer: {error}"),
            "start it, let it listen there (listen_addresses), or correct --database-url",
        ),
    }
}

fn answers(address: &str) -> std::io::Result<u8> {
    let mut found = address.to_socket_addrs()?;
    let address = found.next().ok_or(std::io::ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // Eight octets: the length, and the number that asks for TLS.
    stream.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    Ok(answer[0])
}
