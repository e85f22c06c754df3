//! Tunnels that the kernel makes.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use parallax_agent::capture::live::{LiveCapture, Tunnels};
use parallax_core::tunnel::{Tunnel, TunnelEnds, TunnelKind};

use super::{in_own_network, ip, options, watch, wire};

const TO_NOBODY: &str = "198.51.100.2:80";

/// A VXLAN device over the near end of a wire, and somebody to send to who never answers.
fn vxlan() {
    drop(wire());
    for setup in [
        "addr add 192.0.2.1/24 dev near",
        "neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev near",
        "link add vx type vxlan id 42 remote 192.0.2.2 dstport 4789 dev near",
        "addr add 198.51.100.1/24 dev vx",
        "link set vx up",
        "neigh add 198.51.100.2 lladdr 02:00:00:00:00:03 dev vx",
    ] {
        ip(setup);
    }
}

fn knock() {
    let address: SocketAddr = TO_NOBODY.parse().unwrap();
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).unwrap_err();
}

#[test]
fn the_kernels_vxlan_is_looked_through_unless_tunnels_are_left() {
    in_own_network("tunnels::kernels_vxlan", &[]);
}

#[test]
#[ignore = "runs in a network namespace of its own"]
fn kernels_vxlan() {
    vxlan();
    let mut leaving = options(&["near"]);
    leaving.tunnels = Tunnels::Left;
    let (mut without, _stop) = LiveCapture::open(&leaving).unwrap();
    let (mut with, _stop) = LiveCapture::open(&options(&["near"])).unwrap();
    knock();
    let seen = watch(&mut with, 1);
    let request = seen.digests.iter().find(|digest| digest.is_syn()).unwrap();
    assert_eq!(request.tuple.dst.to_string(), TO_NOBODY);
    let around = Tunnel {
        kind: TunnelKind::Vxlan,
        depth: 1,
        ends: Some(TunnelEnds {
            src: [192, 0, 2, 1].into(),
            dst: [192, 0, 2, 2].into(),
        }),
        id: Some(42),
    };
    assert_eq!(request.link.tunnel, Some(around));
    let seen = watch(&mut without, 1);
    assert_eq!((seen.digests.len(), seen.unread.total()), (0, 0));
}
