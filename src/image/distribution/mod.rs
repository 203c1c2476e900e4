//! The OCI distribution protocol 1.1 as values: what is pushed in which order, what answers mean,
//! which credentials are meant, and when to try again. Nothing here talks to a registry;
//! [`crate::sys::registry`] does.

pub mod challenge;
pub mod credential;
pub mod proxy;
pub mod referrer;
pub mod refusal;
pub mod retry;
pub mod upload;
pub mod validity;

pub use challenge::Challenge;
pub use credential::Credential;
pub use upload::Upload;
