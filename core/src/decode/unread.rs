//! Packets that give no digest, by reason.

/// Why a packet gives no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unread {
    /// Its interface has a link type that is not read.
    UnsupportedLink,
    /// Its record has no time, or none that fits nanoseconds in 64 bits (years 1677 to 2262).
    NoTime,
    /// Neither IPv4 nor IPv6 (ARP, LLC, …).
    NotIp,
    NotTcp,
    /// A fragment other than the first: it has no ports.
    LaterFragment,
    /// The capture ends within the link header or its VLAN tags.
    CutInLink,
    /// The capture ends within a tunnel's header, or within the link header that it carries.
    CutInTunnel,
    /// The capture ends within the IP header, its options or extension headers.
    CutInIp,
    /// The capture ends within the fixed 20 octets of the TCP header.
    CutInTcp,
    /// Version, header length and total length of the IP header contradict each other.
    BadIpHeader,
    /// The TCP header says that it is shorter than 20 octets or longer than its packet.
    BadTcpHeader,
    /// More VLAN tags, extension headers, tunnels inside each other, or labels than are followed.
    TooManyHeaders,
}

impl Unread {
    pub const ALL: [Self; 12] = [
        Self::UnsupportedLink,
        Self::NoTime,
        Self::NotIp,
        Self::NotTcp,
        Self::LaterFragment,
        Self::CutInLink,
        Self::CutInTunnel,
        Self::CutInIp,
        Self::CutInTcp,
        Self::BadIpHeader,
        Self::BadTcpHeader,
        Self::TooManyHeaders,
    ];

    /// The word in the protocol, documents and counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnsupportedLink => "unsupported_link",
            Self::NoTime => "no_time",
            Self::NotIp => "not_ip",
            Self::NotTcp => "not_tcp",
            Self::LaterFragment => "later_fragment",
            Self::CutInLink => "cut_in_link",
            Self::CutInTunnel => "cut_in_tunnel",
            Self::CutInIp => "cut_in_ip",
            Self::CutInTcp => "cut_in_tcp",
            Self::BadIpHeader => "bad_ip_header",
            Self::BadTcpHeader => "bad_tcp_header",
            Self::TooManyHeaders => "too_many_headers",
        }
    }

    /// Whether the packet may have been a TCP segment: then the vantage cannot swear that it saw
    /// none.
    pub const fn may_be_tcp(self) -> bool {
        !matches!(self, Self::NotIp | Self::NotTcp)
    }
}

/// How many packets gave no digest, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnreadCounts([u64; Unread::ALL.len()]);

impl UnreadCounts {
    pub fn add(&mut self, reason: Unread) {
        self.0[reason as usize] += 1;
    }

    pub fn add_many(&mut self, reason: Unread, count: u64) {
        let sum = &mut self.0[reason as usize];
        *sum = sum.saturating_add(count);
    }

    pub fn get(&self, reason: Unread) -> u64 {
        self.0[reason as usize]
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }

    /// Packets that may have been TCP segments.
    pub fn may_be_tcp(&self) -> u64 {
        self.iter()
            .filter(|(reason, _)| reason.may_be_tcp())
            .map(|(_, count)| count)
            .sum()
    }

    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Unread, u64)> + '_ {
        Unread::ALL
            .into_iter()
            .zip(self.0)
            .filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_counts_in_its_own_place() {
        let mut counts = UnreadCounts::default();
        for (times, reason) in Unread::ALL.into_iter().enumerate() {
            for _ in 0..=times {
                counts.add(reason);
            }
        }
        let mut twice = counts;
        twice.merge(&counts);
        for (index, (reason, count)) in twice.iter().enumerate() {
            assert_eq!(reason, Unread::ALL[index]);
            assert_eq!(count, 2 * (index as u64 + 1));
        }
        assert_eq!(twice.total(), 2 * 78);
        assert_eq!(UnreadCounts::default().iter().count(), 0);
    }
}
