//! Rows in Postgres's binary COPY format (COPY, "Binary Format").

use std::net::IpAddr;

use parallax_core::Digest;
use parallax_core::digest::Direction;
use parallax_core::reason::ResetReason;
use parallax_core::tunnel::Tunnel;
use sqlx::postgres::PgConnection;

use super::digest_row::marks;

/// The columns of a digest, with how they come.
macro_rules! digest_columns {
    () => {
        "(flow, time_ns, number, seq, ack, payload_len, \
    option_order, vantage_id, run_id, sport, dport, win, flags, ttl, traffic_class, marks, \
    interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale, vlan_outer, \
    vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, \
    tunnel_dst, tunnel_id, rst_reason, day) FROM STDIN (FORMAT BINARY)"
    };
}

/// The statement that [`encode_digests`] feeds.
pub const COPY_DIGESTS: &str = concat!("COPY digest ", digest_columns!());
/// The same rows by vantage.
pub(super) const COPY_NEAR: &str = concat!("COPY near ", digest_columns!());

const COLUMNS: i16 = 37;
/// What the row of a digest takes, about.
pub(super) const DIGEST_OCTETS: usize = 296;
/// Signature, flags, length of the header extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: i16 = -1;

/// What is sent of it at a time: larger messages gain nothing.
const MESSAGE: usize = 64 * 1024;

/// A COPY under construction.
#[derive(Clone)]
pub(super) struct CopyBuffer {
    octets: Vec<u8>,
}

impl CopyBuffer {
    /// Room for about so many octets.
    pub fn new(octets: usize) -> Self {
        let mut octets = Vec::with_capacity(HEADER.len() + octets + 2);
        octets.extend_from_slice(HEADER);
        Self { octets }
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.octets.extend_from_slice(&TRAILER.to_be_bytes());
        self.octets
    }

    /// Sends all of it to the statement.
    pub async fn send(
        self,
        connection: &mut PgConnection,
        statement: &'static str,
    ) -> Result<(), sqlx::Error> {
        let mut copy = connection.copy_in_raw(statement).await?;
        for message in self.finish().chunks(MESSAGE) {
            copy.send(message).await?;
        }
        copy.finish().await?;
        Ok(())
    }

    /// Begins a row of so many columns.
    pub fn row(&mut self, columns: i16) {
        self.octets.extend_from_slice(&columns.to_be_bytes());
    }

    /// Adds the row of one digest.
    pub fn push(&mut self, vantage_id: i32, run_id: i32, number: u64, day: i32, digest: &Digest) {
        let options = &digest.options;
        let stamps = options.timestamps;
        self.row(COLUMNS);
        self.eight(digest.tuple.flow().hash().cast_signed());
        self.eight(digest.time.nanos());
        self.eight(number.cast_signed());
        self.eight(i64::from(digest.seq.0));
        self.eight(i64::from(digest.ack.0));
        self.eight(i64::from(digest.payload_len));
        self.eight(options.order.cast_signed());
        self.four(vantage_id);
        self.four(run_id);
        self.four(i32::from(digest.tuple.src.port));
        self.four(i32::from(digest.tuple.dst.port));
        self.four(i32::from(digest.window));
        self.two(digest.flags.0.cast_signed());
        self.two(i16::from(digest.ip.ttl));
        self.two(i16::from(digest.ip.traffic_class));
        self.two(marks_of(digest));
        self.two(i16::from(digest.link.interface));
        self.inet(digest.tuple.src.addr);
        self.inet(digest.tuple.dst.addr);
        self.optional(digest.payload_hash, |hash| hash.cast_signed().to_be_bytes());
        self.optional(stamps, |stamps| i64::from(stamps.value).to_be_bytes());
        self.optional(stamps, |stamps| i64::from(stamps.echo).to_be_bytes());
        self.optional(digest.ip.id, |id| i32::from(id).to_be_bytes());
        self.optional(options.mss, |mss| i32::from(mss).to_be_bytes());
        self.optional(options.window_scale, |shift| i16::from(shift).to_be_bytes());
        self.optional(digest.link.vlans[0], |id| i32::from(id).to_be_bytes());
        self.optional(digest.link.vlans[1], |id| i32::from(id).to_be_bytes());
        self.optional(digest.link.source, |mac| mac);
        let sack = options.sack;
        self.optional(sack, |block| i64::from(block.left.0).to_be_bytes());
        self.optional(sack, |block| i64::from(block.right.0).to_be_bytes());
        self.tunnel(digest.link.tunnel.as_ref());
        let reason = digest.rst_reason.and_then(ResetReason::number);
        self.optional(reason, u64::to_be_bytes);
        self.four(day);
    }

    fn tunnel(&mut self, tunnel: Option<&Tunnel>) {
        let Some(tunnel) = tunnel else {
            for _ in 0..5 {
                self.null();
            }
            return;
        };
        self.two(i16::from(tunnel.kind.number()));
        self.two(i16::from(tunnel.depth));
        if let Some(ends) = tunnel.ends {
            self.inet(ends.src);
            self.inet(ends.dst);
        } else {
            self.null();
            self.null();
        }
        self.optional(tunnel.id, |id| i64::from(id).to_be_bytes());
    }

    pub fn eight(&mut self, value: i64) {
        self.field(&value.to_be_bytes());
    }

    pub fn four(&mut self, value: i32) {
        self.field(&value.to_be_bytes());
    }

    pub fn two(&mut self, value: i16) {
        self.field(&value.to_be_bytes());
    }

    /// Family (2, 3 by Postgres's own count), prefix length, not a network, octets (network.c).
    pub fn inet(&mut self, addr: IpAddr) {
        match addr {
            IpAddr::V4(v4) => {
                let mut value = [2, 32, 0, 4, 0, 0, 0, 0];
                value[4..].copy_from_slice(&v4.octets());
                self.field(&value);
            }
            IpAddr::V6(v6) => {
                let mut value = [0; 20];
                value[..4].copy_from_slice(&[3, 128, 0, 16]);
                value[4..].copy_from_slice(&v6.octets());
                self.field(&value);
            }
        }
    }

    fn optional<T, const N: usize>(&mut self, value: Option<T>, octets: impl Fn(T) -> [u8; N]) {
        match value {
            Some(value) => self.field(&octets(value)),
            None => self.null(),
        }
    }

    fn null(&mut self) {
        self.octets.extend_from_slice(&(-1_i32).to_be_bytes());
    }

    pub fn field(&mut self, value: &[u8]) {
        self.octets
            .extend_from_slice(&(value.len() as i32).to_be_bytes());
        self.octets.extend_from_slice(value);
    }
}

fn marks_of(digest: &Digest) -> i16 {
    let when = |holds: bool, mark: i16| if holds { mark } else { 0 };
    let direction = match digest.link.direction {
        Direction::Unknown => 0,
        Direction::In => marks::IN,
        Direction::Out => marks::OUT,
    };
    when(digest.ip.dont_fragment, marks::DONT_FRAGMENT)
        | when(digest.ip.fragment, marks::FRAGMENT)
        | when(digest.options.cut, marks::OPTIONS_CUT)
        | when(digest.options.sack_permitted, marks::SACK_PERMITTED)
        | direction
}

/// The octets of a whole COPY of `digests` row by row, numbered from `first_number` on, for benchmarks of plain COPY
/// beside the loader.
pub fn encode_digests(
    vantage_id: i32,
    run_id: i32,
    first_number: u64,
    digests: &[Digest],
) -> Vec<u8> {
    let mut buffer = CopyBuffer::new(digests.len() * DIGEST_OCTETS);
    for (number, digest) in (first_number..).zip(digests) {
        buffer.push(vantage_id, run_id, number, 0, digest);
    }
    buffer.finish()
}
