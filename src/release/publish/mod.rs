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
mod rest;
mod run;

use std::time::Duration;

pub use self::{
    destination::{Destination, RequestedDestination, TOKEN, destination, tag_version},
    github::upload_origin,
    names::check_names,
    notes::{changelog_section, generated_notes},
    run::{Outcome, Preview, common_version, preview, publish, verify_public},
};
use crate::model::{
    digest::Digest,
    error::{Error, Result},
    http::{ApiResponse, Method},
    schema::publication::ForgeKind,
};

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
    /// The response is lost or asks for patience: the request may have been carried out, and may be repeated
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

/// The releases of a repository.
#[derive(Clone, Debug, Default)]
struct Listing {
    /// Those of the tag, drafts and others, by identifier.
    of_tag: Vec<RemoteRelease>,
    /// The published ones of other tags.
    others: Vec<OtherRelease>,
}

/// A published release of a different tag.
#[derive(Clone, Debug)]
struct OtherRelease {
    tag: String,
    prerelease: bool,
    /// Its date, as the forge writes it.
    date: Option<String>,
}

/// The place of a release among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rank {
    latest: bool,
    /// The date of the release with the highest version, if that is higher.
    before: Option<String>,
}

/// The API of a kind of forge.
trait Protocol {
    /// Returns the commit that the tag points at; `None` if there is no such tag.
    fn tag_commit(&self, transport: &dyn Transport) -> Result<Option<String>>;

    /// Returns the releases of the repository. `created` is the identifier of a draft that was created here,
    /// which a list may lack for a while.
    fn list(&self, transport: &dyn Transport, created: Option<u64>) -> Result<Listing>;

    /// Creates a draft.
    fn create(&self, transport: &dyn Transport) -> Result<RemoteRelease, WriteError>;

    /// Sends a file to a draft.
    fn upload(
        &self,
        transport: &dyn Transport,
        release: &RemoteRelease,
        file: usize,
    ) -> Result<RemoteAsset, WriteError>;

    /// Deletes a file of a draft.
    fn delete_asset(
        &self,
        transport: &dyn Transport,
        release: &RemoteRelease,
        asset: &RemoteAsset,
    ) -> Result<(), WriteError>;

    /// Deletes a draft.
    fn delete_draft(&self, transport: &dyn Transport, id: u64) -> Result<(), WriteError>;

    /// Publishes a draft, in one request.
    fn publish(
        &self,
        transport: &dyn Transport,
        release: &RemoteRelease,
        text: &ReleaseText,
        rank: &Rank,
    ) -> Result<(), WriteError>;

    /// Returns whether a file that is sent again replaces the earlier one, so that none has to be deleted.
    fn replaces(&self) -> bool {
        false
    }
}

/// Returns the protocol of the destination.
fn protocol<'a>(destination: &'a Destination, goal: &'a Goal) -> Box<dyn Protocol + 'a> {
    match destination.forge {
        ForgeKind::Github => Box::new(github::Github { destination, goal }),
        ForgeKind::Gitlab => Box::new(gitlab::Gitlab { destination, goal }),
        ForgeKind::Forgejo => Box::new(forgejo::Forgejo { destination, goal }),
    }
}
