//! What a job's log needs besides the events themselves: folded groups in the form of whoever runs
//! the job, signs of life while nothing is printed, and the job's time limit.

pub mod provider;
mod pulse;
mod settings;
#[cfg(test)]
mod tests;

pub use provider::Provider;
pub use pulse::{Due, Pulse};
pub use settings::{Limit, Settings};
