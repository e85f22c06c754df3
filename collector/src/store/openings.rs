//! Rows of table `opening`: flows by the numbers of their SYN, SYN+ACK and RST.

use parallax_core::{Digest, Endpoint};

use super::copy::CopyBuffer;

pub(super) const COPY_OPENINGS: &str =
    "COPY opening (number, time_ns, flow, server, port, day) FROM STDIN (FORMAT BINARY)";
const COLUMNS: i16 = 6;
/// What the rows of one digest take in a COPY, about.
pub(super) const ROW_OCTETS: usize = 2 * 66;

/// Adds the rows of a digest: the numbers that `sql/flows_numbers.sql` reads from it, and whose they are.
pub(super) fn push(rows: &mut CopyBuffer, day: i32, digest: &Digest) {
    for (number, server) in numbers(digest) {
        rows.row(COLUMNS);
        rows.eight(i64::from(number));
        rows.eight(digest.time.nanos());
        rows.eight(digest.tuple.flow().hash().cast_signed());
        rows.inet(server.addr);
        rows.four(i32::from(server.port));
        rows.four(day);
    }
}

/// Each number with the server's end, a RST's own.
fn numbers(digest: &Digest) -> impl Iterator<Item = (u32, Endpoint)> {
    let (src, dst) = (digest.tuple.src, digest.tuple.dst);
    // A SYN with RST is a RST.
    let reset = (digest.is_rst() && digest.seq.0 != 0).then_some((digest.seq.0, src));
    let server = if digest.is_syn_ack() { src } else { dst };
    let begins = digest.is_syn() || digest.is_syn_ack();
    let opening = begins.then_some((digest.seq.0, server));
    let answered = digest
        .is_syn_ack()
        .then(|| (digest.ack.0.wrapping_sub(1), src));
    [opening, answered, reset].into_iter().flatten()
}
