//! The publication of a release's files at a forge: the destination, the requests, and the decision on the next
//! step. Nothing is sent here.
//!
//! A release is complete or not public: all files are sent to a draft, compared there, and published in one
//! request. A published release is only compared.

mod destination;
mod forgejo;
mod github;
mod gitlab;
mod names;
mod notes;
mod plan;
mod protocol;
mod rest;
mod run;
mod transport;

use std::time::Duration;

use self::protocol::{Listing, OtherRelease, Protocol, Rank, protocol};
pub use self::{
    destination::{Destination, RequestedDestination, TOKEN, destination, tag_version},
    github::upload_origin,
    names::check_names,
    notes::{changelog_section, generated_notes},
    run::{Outcome, Preview, common_version, preview, publish, verify_public},
    transport::Transport,
};
use crate::model::{digest::Digest, error::Error, http::Method};

/// The requested release.
#[derive(Clone, Debug)]
pub struct Goal {
    /// The tag, which exists.
    pub tag: String,
    /// The commit that the tag has to point at.
    pub revision: String,
    /// Title and notes.
    pub text: ReleaseText,
    /// Whether it is a prerelease.
    pub prerelease: bool,
    /// Whether it may become the latest release.
    pub may_be_latest: bool,
    /// Whether it stays a draft.
    pub draft: bool,
    /// The name of the package that GitLab stores the files in.
    pub package: String,
    /// The version.
    pub version: semver::Version,
    /// The files.
    pub files: Vec<ReleaseFile>,
}

/// The text of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseText {
    /// The title.
    pub title: String,
    /// The notes, in Markdown.
    pub notes: String,
}

/// A file of the release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseFile {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
}

/// A release at the forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteRelease {
    /// Its identifier.
    pub id: u64,
    /// Its text, without the marker of a draft.
    pub text: ReleaseText,
    /// Whether it is not public.
    pub draft: bool,
    /// The origin of a draft.
    pub origin: DraftOrigin,
    /// Its address, for browsers.
    pub url: Option<String>,
    /// The address that files are sent to, if the forge names one.
    pub upload_url: Option<String>,
    /// Its files.
    pub assets: Vec<RemoteAsset>,
}

/// The origin of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DraftOrigin {
    /// longshore made it, and its text is unchanged.
    Own,
    /// longshore made it, and its text was edited.
    Edited,
    /// Something else made it.
    Foreign,
}

/// A file at the forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteAsset {
    /// Its identifier.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its size in bytes, if the forge reports it.
    pub size: Option<u64>,
    /// The state of an upload that is incomplete; `None` if it is complete.
    pub incomplete: Option<String>,
    /// Its digest, if the forge reports it.
    pub digest: Option<Digest>,
    /// The request for its content with the token.
    pub download: Download,
    /// The address for everyone, once it is published.
    pub public_url: String,
}

/// A request for the content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// The address.
    pub url: String,
    /// Whether the token is sent, if the address is one of the forge's API.
    pub with_token: bool,
    /// Its purpose, as in `cannot …`.
    pub what: String,
}

/// A request to the API of a forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The address.
    pub url: String,
    /// The body.
    pub body: RequestBody,
    /// Its purpose, as in `cannot …`.
    pub what: String,
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestBody {
    /// None.
    Empty,
    /// JSON.
    Json(String),
    /// The content of the file with this index in [`Goal::files`].
    File(usize),
    /// The same, as the field of this name in a form (RFC 7578).
    Form(usize, &'static str),
}

impl Request {
    fn get(url: String, what: impl Into<String>) -> Self {
        Request { method: Method::Get, url, body: RequestBody::Empty, what: what.into() }
    }

    fn delete(url: String, what: impl Into<String>) -> Self {
        Request { method: Method::Delete, url, body: RequestBody::Empty, what: what.into() }
    }

    fn json(
        method: Method,
        url: String,
        body: &serde_json::Value,
        what: impl Into<String>,
    ) -> Self {
        Request { method, url, body: RequestBody::Json(body.to_string()), what: what.into() }
    }
}

/// The error of a request that writes, and what may have happened.
#[derive(Debug)]
pub enum WriteError {
    /// The response is lost or requests patience: the request may have been carried out, and may be repeated
    /// after the state was read again.
    Again(Error, Option<Duration>),
    /// The server was silent, or slower than the limits allow. Each try takes long.
    Slow(Error),
    /// The state differs from the one that the request was made for.
    Conflict(Error),
    /// It will not go better.
    Final(Error),
}

impl From<Error> for WriteError {
    fn from(error: Error) -> Self {
        WriteError::Final(error)
    }
}
