//! The tags of an image, and the rules by which they may move. Registries cannot write a tag on a
//! condition; the decisions here are repeated after each write, until they hold.

mod decide;
mod policy;

pub use decide::{Decision, Highest, Ours, Standing, decide, version};
pub use policy::{Line, Occasion, Rule, Subject, Wanted};
