//! One comment on a pull request, which is updated: where it goes, what is in it, and which request
//! comes next. Nothing is sent here.

mod body;
mod place;
mod report;
mod talk;
#[cfg(test)]
mod tests;

pub use body::{MOST, body, marker};
pub use place::{Absent, Place, place};
pub use report::unchanged;
pub use talk::{Answer, Done, Method, Request, Step, Talk};
