//! Pipelines of CI systems, the logs of their jobs, and the pull request comment.

pub mod comment;
pub mod log;
pub mod pipeline;
