//! Pipelines of CI systems, the logs of their jobs, and the pull request comment.

pub mod comment;
pub mod log;
#[cfg(feature = "ci")]
pub mod pipeline;
