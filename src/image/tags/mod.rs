//! Which tags an image gets, and which of them may move where. Registries cannot write a tag on a
//! condition; what is decided here is decided again after each write, until it holds.

mod decide;
mod policy;

pub use decide::{Decision, Highest, Ours, Standing, decide, version};
pub use policy::{Line, Occasion, Rule, Subject, Wanted};
