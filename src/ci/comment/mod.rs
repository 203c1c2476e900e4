//! One comment on a pull request, which is updated: its destination, its content, and the sequence of requests.
//! Nothing is sent here.

mod body;
mod destination;
mod exchange;
mod report;
#[cfg(test)]
mod tests;

pub use body::{MAX_LENGTH, body, marker};
pub use destination::{Destination, NoDestination, destination};
pub use exchange::{ApiRequest, CommentOutcome, Exchange, NextStep};
pub use report::is_unchanged;
