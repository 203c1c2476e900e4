//! Additions to a job's log: folded groups in the form of the provider, the heartbeat while nothing is
//! printed, and the job's time limit.

pub mod provider;
mod pulse;
mod settings;
#[cfg(test)]
mod tests;

pub use pulse::{Due, Pulse};
pub use settings::{Limit, Settings};
