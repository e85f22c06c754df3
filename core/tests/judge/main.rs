//! Scenarios on a simulated path: who sent each RST is known, since the test sent it.

mod absurd;
mod advice;
mod causes;
mod chance;
mod effects;
mod flood;
mod injectors;
mod looks;
mod names;
mod place;
mod recalled;
mod segment;
mod simulate;
mod triggers;
mod wire;
mod witness;
