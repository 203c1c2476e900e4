//! The values of HTTP that the APIs of forges need.

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes something new.
    Post,
    /// Changes a part of something.
    Patch,
    /// Writes something, which may exist.
    Put,
    /// Removes something.
    Delete,
}

/// The response to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiResponse {
    /// The status of HTTP.
    pub status: u16,
    /// Its `Link` header.
    pub link: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
}

impl ApiResponse {
    /// Returns whether the request succeeded.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
