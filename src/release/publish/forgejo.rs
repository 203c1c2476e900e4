//! The API of Forgejo and Gitea: `/api/swagger` of each server, such as
//! <https://codeberg.org/api/swagger#/repository>.

use serde::Deserialize;

use super::{
    Destination, Goal, Listing, Protocol, Rank, ReleaseText, RemoteAsset, RemoteRelease, Request,
    RequestBody, Transport, WriteError,
    rest::{self, AssetJson, Releases},
};
use crate::model::{
    error::{Error, Result},
    http::Method,
    url,
};

pub(super) struct Forgejo<'a> {
    pub(super) destination: &'a Destination,
    pub(super) goal: &'a Goal,
}

/// A tag (`GET /repos/{owner}/{repo}/tags/{tag}`).
#[derive(Deserialize)]
struct Tag {
    commit: Commit,
}

#[derive(Deserialize)]
struct Commit {
    sha: String,
}

impl Forgejo<'_> {
    fn releases(&self) -> Releases<'_> {
        Releases::new(self.destination, self.goal)
    }

    /// Returns the address of a file's content: that of the web interface, which accepts the token for
    /// attachments, also of drafts.
    fn content(&self, asset: &AssetJson) -> String {
        let api = &self.destination.api;
        let web = api.strip_suffix("/api/v1").unwrap_or(api);
        format!("{web}/attachments/{}", url::encode(asset.uuid.as_deref().unwrap_or_default()))
    }
}

impl Protocol for Forgejo<'_> {
    fn tag_commit(&self, transport: &dyn Transport) -> Result<Option<String>> {
        let url = format!("{}/tags/{}", self.releases().repository, url::encode(&self.goal.tag));
        let request = Request::get(url, format!("read the tag `{}`", self.goal.tag));
        if let Some(tag) = rest::read::<Tag>(transport, &request)? {
            return Ok(Some(tag.commit.sha));
        }
        self.releases().missing_tag(transport)
    }

    fn list(&self, transport: &dyn Transport, created: Option<u64>) -> Result<Listing> {
        // Drafts are in it for users that may write.
        self.releases().list(transport, "limit=50", created, |asset| self.content(asset))
    }

    fn create(&self, transport: &dyn Transport) -> Result<RemoteRelease, WriteError> {
        self.releases().create(transport, |asset| self.content(asset))
    }

    fn upload(
        &self,
        transport: &dyn Transport,
        release: &RemoteRelease,
        file: usize,
    ) -> Result<RemoteAsset, WriteError> {
        let Some(entry) = self.goal.files.get(file) else {
            return Err(Error::check("there is no such file").into());
        };
        let url = format!("{}/releases/{}/assets", self.releases().repository, release.id);
        let request = Request {
            method: Method::Post,
            url: url::with_parameter(&url, "name", &entry.name),
            // Every version accepts the form; a plain body only newer ones.
            body: RequestBody::Form(file, "attachment"),
            what: format!("upload `{}`", entry.name),
        };
        let answer = rest::write(transport, &request)?;
        let asset: AssetJson = rest::parse(transport, &request.what, &answer)?;
        Ok(asset.into_asset(|asset: &AssetJson| self.content(asset)))
    }

    fn delete_asset(
        &self,
        transport: &dyn Transport,
        release: &RemoteRelease,
        asset: &RemoteAsset,
    ) -> Result<(), WriteError> {
        let url =
            format!("{}/releases/{}/assets/{}", self.releases().repository, release.id, asset.id);
        rest::write(transport, &Request::delete(url, format!("delete `{}`", asset.name)))?;
        Ok(())
    }

    fn delete_draft(&self, transport: &dyn Transport, id: u64) -> Result<(), WriteError> {
        self.releases().delete_draft(transport, id)
    }

    fn publish(
        &self,
        transport: &dyn Transport,
        release: &RemoteRelease,
        text: &ReleaseText,
        _: &Rank,
    ) -> Result<(), WriteError> {
        let body = self.releases().body(text, &text.notes, false);
        self.releases().publish(transport, release, &body)
    }
}
