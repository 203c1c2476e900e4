//! The comparison of a release with a rebuild of it: the recorded artifacts, their differences, the likely
//! causes, and the attestation.

pub mod attestation;
pub mod cause;
pub mod difference;
pub mod items;
pub mod provenance;
mod text;

pub use self::{
    items::{RecordedItem, items},
    text::human,
};
