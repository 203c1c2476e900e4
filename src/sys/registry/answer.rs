//! The answers of a registry.

use std::{io::Read as _, time::Duration};

use ureq::{Body, http::Response};

use super::{Paced, ResponseLimits};
use crate::{
    image::distribution::{Challenge, challenge, retry},
    model::{digest::Digest, error::Result},
    sys::clock,
};

/// An answer with a body that is still to be read.
#[derive(Debug)]
pub(super) struct RegistryResponse(Response<Body>, ResponseLimits);

impl RegistryResponse {
    pub(super) fn new(response: Response<Body>, limits: &ResponseLimits) -> Self {
        RegistryResponse(response, limits.clone())
    }

    pub(super) fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    pub(super) fn succeeded(&self) -> bool {
        self.0.status().is_success()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.0.headers().get(name)?.to_str().ok()
    }

    /// Returns the best authentication scheme that it offers.
    pub(super) fn challenge(&self) -> Option<Challenge> {
        let all = self.0.headers().get_all("www-authenticate");
        challenge::choose(all.iter().filter_map(|value| value.to_str().ok()))
    }

    /// Returns the wait that it requests.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        retry::parse_retry_after(self.header("retry-after")?, clock::now())
    }

    /// Returns the digest of a manifest that it declares.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.header("docker-content-digest")?.trim().parse().ok()
    }

    /// Returns how many bytes of an upload it has: `Range: 0-N`, with N the last of them. An empty
    /// upload is `0-0`, which could be one byte, too.
    pub(super) fn received(&self) -> Option<u64> {
        let (first, last) =
            self.header("range")?.trim().trim_start_matches("bytes=").split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        (first == 0).then_some(if last == 0 { 0 } else { last.checked_add(1)? })
    }

    /// Returns the body, of at most `limit` bytes; `None` if it is longer.
    pub(super) fn read(&mut self, limit: u64) -> Result<Option<Vec<u8>>, std::io::Error> {
        let mut bytes = Vec::new();
        let reader = Paced::received(self.0.body_mut().as_reader(), &self.1);
        reader.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= limit).then_some(bytes))
    }

    /// Returns the body as a stream.
    pub(super) fn into_reader(self) -> Paced<ureq::BodyReader<'static>> {
        Paced::received(self.0.into_body().into_reader(), &self.1)
    }
}
