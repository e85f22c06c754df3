//! End to end: a lab of network namespaces in which the truth is known by construction.
//!
//! [`enclosure`] makes a private world that the kernel takes away again, [`lab`] builds the
//! network in it, [`scenarios`] play what people meet, [`recorder`] keeps what every vantage saw
//! and [`truth`] holds verdicts against what was done.

pub mod agreement;
pub mod analysis;
pub mod browser;
pub mod built;
pub mod bytes;
pub mod captures;
pub mod chaos;
pub mod cluster;
pub mod demo;
pub mod enclosure;
pub mod faults;
pub mod firewall;
pub mod flood;
pub mod fuzz;
pub mod injector;
pub mod lab;
pub mod latency;
pub mod live;
pub mod loss;
pub mod monitoring;
pub mod namespace;
pub mod networks;
pub mod programs;
pub mod recall;
pub mod recorder;
pub mod replay;
pub mod scenario;
pub mod scenarios;
pub mod screen;
pub mod segment;
pub mod service;
pub mod simulation;
pub mod site;
pub mod stand_in;
pub mod traffic;
pub mod truth;
pub mod veiled;
