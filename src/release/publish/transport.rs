//! The connection to a forge.

use super::{Download, Request, WriteError};
use crate::model::{
    digest::Digest,
    error::{Error, Result},
    http::ApiResponse,
};

/// The connection to a forge. Its implementation has the token, the retries of requests that read, and the
/// limits on slow answers.
pub trait Transport {
    /// Sends a request that only reads, and repeats it as long as that may help. The response may have any
    /// status that a retry does not change.
    ///
    /// # Errors
    /// There is no response.
    fn read(&self, request: &Request) -> Result<ApiResponse>;

    /// Sends a request that writes, once.
    ///
    /// # Errors
    /// There is no response, or one that a retry may change.
    fn write(&self, request: &Request) -> Result<ApiResponse, WriteError>;

    /// Returns digest and size of the content, or the status of the response if that is not a success. Not
    /// more than `limit` bytes and one more are read.
    ///
    /// # Errors
    /// There is no response, or it is not complete.
    fn download(&self, download: &Download, limit: u64) -> Result<Result<(Digest, u64), u16>>;

    /// Waits after the failure of a write, the `tried`th in a row, before the state is read again.
    ///
    /// # Errors
    /// The failure, if there should not be another try.
    fn pause(&self, tried: u32, failure: WriteError) -> Result<()>;

    /// Returns the error for a response.
    fn status_error(&self, what: &str, answer: &ApiResponse) -> Error;

    /// Returns the error for a response that is not as documented.
    fn error(&self, what: &str, why: &str) -> Error;

    /// Reports a step.
    fn report(&self, verb: &'static str, message: String);

    /// Fails after an interrupt.
    ///
    /// # Errors
    /// There was one.
    fn check(&self) -> Result<()>;
}
