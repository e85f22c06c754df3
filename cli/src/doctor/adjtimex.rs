//! Whether the kernel knows that its clock is kept right: adjtimex(2).
#![expect(
    unsafe_code,
    reason = "no crate of ours offers adjtimex; the call only reads"
)]

use nix::libc;

use super::Check;

/// More than this, microseconds, is worth a word: packets tell the offset of two clocks, but drift within a flow does not.
const FAR: i64 = 100_000;

/// What the kernel says of its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kept {
    synchronised: bool,
    /// What it may be off by, microseconds.
    most: i64,
}

pub fn clock() -> Check {
    judge(read())
}

fn read() -> Option<Kept> {
    // SAFETY: all octets zero is a `timex`, whose `modes` 0 makes the call change nothing; the pointer is to a local value.
    let (state, timex) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut timex), timex)
    };
    (state >= 0).then_some(Kept {
        synchronised: state != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0,
        most: timex.maxerror,
    })
}

fn judge(kept: Option<Kept>) -> Check {
    const MEND: &str =
        "run chrony, ntpd or systemd-timesyncd; verdicts do not need it, but times in them do";
    match kept {
        Some(kept) if kept.synchronised && kept.most <= FAR => Check::fine(
            "clock",
            format!("synchronised, off by at most {} µs", kept.most),
        ),
        Some(kept) if kept.synchronised => Check::warning(
            "clock",
            format!("synchronised, but it may be off by {} ms", kept.most / 1000),
            MEND,
        ),
        Some(_) => Check::warning("clock", "not synchronised, as the kernel says", MEND),
        None => Check::warning("clock", "the kernel does not say how it is kept", MEND),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_clock_that_nobody_keeps_is_a_warning_and_no_fault() {
        let kept = |synchronised, most| judge(Some(Kept { synchronised, most })).state;
        assert_eq!(kept(true, 800), State::Fine);
        assert_eq!(kept(true, 2_000_000), State::Warning);
        assert_eq!(kept(false, 16_000_000), State::Warning);
        assert_eq!(judge(None).state, State::Warning);
    }
}
