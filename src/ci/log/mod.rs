//! Additions to a job's log: folded groups in the form of the provider, the heartbeat while nothing is
//! printed, and the job's time limit.

mod heartbeat;
pub mod provider;
mod settings;
#[cfg(test)]
mod tests;

pub use heartbeat::{DueLine, Heartbeat};
pub use settings::{Limit, Settings};
