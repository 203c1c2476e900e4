//! The tags of an image, and the rules by which they may move. Registries cannot write a tag on a
//! condition; the decisions here are repeated after each write, until they hold.

mod decide;
mod policy;

pub use decide::{HighestVersion, PushedImage, TagDecision, TagTarget, decide, parse_version_tag};
pub use policy::{ImageMetadata, PushKind, RequestedTag, TagRule, VersionLine};
