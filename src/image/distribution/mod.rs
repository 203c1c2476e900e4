//! The OCI distribution protocol 1.1 as values: the order of a push, the meaning of responses, the
//! choice of credentials, and the times of retries. Only [`crate::sys::registry`] communicates with
//! a registry.

pub mod challenge;
pub mod credential;
pub mod proxy;
pub mod referrer;
pub mod registry_error;
pub mod retry;
pub mod upload;
pub mod validity;

pub use challenge::Challenge;
pub use credential::Credential;
pub use upload::Upload;
