//! Scenarios on a simulated path: who sent each RST is known, since the test sent it.

mod absurd;
mod causes;
mod place;
mod simulate;
mod wire;
