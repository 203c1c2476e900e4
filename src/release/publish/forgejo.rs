//! The API of Forgejo and Gitea: `/api/swagger` of each server, such as
//! <https://codeberg.org/api/swagger#/repository>.

use serde::Deserialize;
use serde_json::json;

use super::{
    Destination, Goal, Listing, Protocol, Rank, ReleaseText, RemoteAsset, RemoteRelease, Request,
    RequestBody, Transport, WriteError, notes,
    rest::{self, AssetJson, ReleaseJson},
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
    fn repository(&self) -> String {
        format!("{}/repos/{}", self.destination.api, self.destination.repository)
    }

    /// Returns the address of a file's content: that of the web interface, which accepts the token for
    /// attachments, also of drafts.
    fn content(&self, asset: &AssetJson) -> String {
        let api = &self.destination.api;
        let web = api.strip_suffix("/api/v1").unwrap_or(api);
        format!("{web}/attachments/{}", url::encode(asset.uuid.as_deref().unwrap_or_default()))
    }

    fn body(&self, text: &ReleaseText, notes: &str, draft: bool) -> serde_json::Value {
        json!({
            "tag_name": self.goal.tag,
            "name": text.title,
            "body": notes,
            "draft": draft,
            "prerelease": self.goal.prerelease,
        })
    }
}

impl Protocol for Forgejo<'_> {
    fn tag_commit(&self, transport: &dyn Transport) -> Result<Option<String>> {
        let url = format!("{}/tags/{}", self.repository(), url::encode(&self.goal.tag));
        let request = Request::get(url, format!("read the tag `{}`", self.goal.tag));
        if let Some(tag) = rest::read::<Tag>(transport, &request)? {
            return Ok(Some(tag.commit.sha));
        }
        let request = Request::get(self.repository(), "read the repository");
        let answer = transport.read(&request)?;
        match answer.status {
            200 => Ok(None),
            _ => Err(transport.status_error(&request.what, &answer)),
        }
    }

    fn list(&self, transport: &dyn Transport, created: Option<u64>) -> Result<Listing> {
        // Drafts are in it for users that may write.
        let url = format!("{}/releases?limit=50", self.repository());
        let request = Request::get(url, "list the releases");
        let releases = rest::read_pages(transport, request.clone())?;
        let releases = releases.ok_or_else(|| {
            transport
                .error(&request.what, "the repository does not exist, or the token has no access")
        })?;
        let mut listing = Listing::default();
        let content = |asset: &AssetJson| self.content(asset);
        rest::add_releases(&mut listing, &self.goal.tag, releases, content);
        if let Some(id) = created.filter(|id| listing.of_tag.iter().all(|one| one.id != *id)) {
            let url = format!("{}/releases/{id}", self.repository());
            let request = Request::get(url, "read the draft");
            let found: Option<ReleaseJson> = rest::read(transport, &request)?;
            rest::add_releases(&mut listing, &self.goal.tag, found.into_iter().collect(), content);
        }
        Ok(listing)
    }

    fn create(&self, transport: &dyn Transport) -> Result<RemoteRelease, WriteError> {
        let text = &self.goal.text;
        let body = self.body(text, &notes::with_marker(text), true);
        let url = format!("{}/releases", self.repository());
        let request = Request::json(Method::Post, url, &body, "create the draft");
        let answer = rest::write(transport, &request)?;
        let release: ReleaseJson = rest::parse(transport, &request.what, &answer)?;
        Ok(release.into_release(|asset| self.content(asset)))
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
        let url = format!("{}/releases/{}/assets", self.repository(), release.id);
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
        let url = format!("{}/releases/{}/assets/{}", self.repository(), release.id, asset.id);
        rest::write(transport, &Request::delete(url, format!("delete `{}`", asset.name)))?;
        Ok(())
    }

    fn delete_draft(&self, transport: &dyn Transport, id: u64) -> Result<(), WriteError> {
        let url = format!("{}/releases/{id}", self.repository());
        rest::write(transport, &Request::delete(url, "delete the second draft"))?;
        Ok(())
    }

    fn publish(
        &self,
        transport: &dyn Transport,
        release: &RemoteRelease,
        text: &ReleaseText,
        _: &Rank,
    ) -> Result<(), WriteError> {
        let body = self.body(text, &text.notes, false);
        let url = format!("{}/releases/{}", self.repository(), release.id);
        rest::write(transport, &Request::json(Method::Patch, url, &body, "publish the release"))?;
        Ok(())
    }
}
