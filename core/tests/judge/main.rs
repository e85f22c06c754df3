//! Scenarios on a simulated path: who sent each RST is known, since the test sent it.

mod absurd;
mod causes;
mod effects;
mod flood;
mod injectors;
mod looks;
mod place;
mod simulate;
mod triggers;
mod wire;
mod witness;
