//! Keeps what passes an interface in a capture file.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pcap::{Active, Capture, Precision};

use crate::namespace::Namespace;
use crate::site::Site;

/// A recording in progress.
#[derive(Debug)]
pub struct Recorder {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

/// How a capture hands over what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    /// Packet by packet, for those who answer.
    AtOnce,
    /// In blocks, which hold many more packets in the same memory.
    InBlocks,
}

/// Opens an interface so that reading never blocks and headers come at once.
pub fn open(namespace: &Namespace, interface: &str) -> Result<Capture<Active>> {
    open_for(namespace, interface, Delivery::AtOnce)
}

fn open_for(namespace: &Namespace, interface: &str, delivery: Delivery) -> Result<Capture<Active>> {
    const RING: i32 = 16 << 20;
    // One who answers reads headers, and every slot of its ring is as large as this.
    let snapshot = match delivery {
        Delivery::AtOnce => 256,
        Delivery::InBlocks => 65_535,
    };
    namespace.within(|| {
        Capture::from_device(interface)
            .and_then(|capture| {
                capture
                    .promisc(true)
                    .immediate_mode(delivery == Delivery::AtOnce)
                    .buffer_size(RING)
                    .snaplen(snapshot)
                    .precision(Precision::Nano)
                    .timeout(10)
                    .open()
            })
            .and_then(|mut capture| {
                // Without a filter the kernel heeds no snapshot length.
                capture.filter("", true)?;
                capture.setnonblock()
            })
            .map_err(std::io::Error::other)
    })
}

impl Recorder {
    /// Starts to record an interface into `file`.
    pub fn start(namespace: &Namespace, interface: &str, file: PathBuf) -> Result<Self> {
        let capture = open_for(namespace, interface, Delivery::InBlocks)?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || record(capture, &file, &told));
        Ok(Self { stop, thread })
    }

    /// Ends the recording with what has arrived so far.
    pub fn finish(self) -> Result<()> {
        self.stop.store(true, Ordering::Release);
        self.thread
            .join()
            .map_err(|_panic| anyhow!("the recorder failed"))?
    }
}

fn record(mut capture: Capture<Active>, file: &Path, stop: &AtomicBool) -> Result<()> {
    let mut kept = capture
        .savefile(file)
        .with_context(|| format!("writing {}", file.display()))?;
    loop {
        let last_round = stop.load(Ordering::Acquire);
        while let Ok(packet) = capture.next_packet() {
            kept.write(&packet);
        }
        if last_round {
            return kept.flush().context("writing a capture");
        }
        wait_for_packets(&capture)?;
    }
}

/// Waits up to 20 ms for something to read.
fn wait_for_packets(capture: &Capture<Active>) -> Result<()> {
    let mut wanted = [PollFd::new(capture.as_fd(), PollFlags::POLLIN)];
    poll(&mut wanted, PollTimeout::from(20_u8)).context("waiting for packets")?;
    Ok(())
}

/// Records every vantage of a network, one file each.
#[derive(Debug)]
pub struct Recording {
    recorders: Vec<Recorder>,
}

impl Recording {
    /// Starts to record into `folder`, as `VANTAGE.pcap`.
    pub fn start(site: &Site, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let recorders = site
            .points
            .iter()
            .map(|point| {
                let file = folder.join(format!("{}.pcap", point.name));
                Recorder::start(point.namespace, point.interface, file)
            })
            .collect::<Result<_>>()?;
        Ok(Self { recorders })
    }

    pub fn finish(self) -> Result<()> {
        self.recorders.into_iter().try_for_each(Recorder::finish)
    }
}
