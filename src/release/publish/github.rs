//! GitHub's API: <https://docs.github.com/rest/releases>.

use serde::Deserialize;
use serde_json::json;

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

/// The longest text of a release, in characters ("body is too long (maximum is 125000 characters)").
const MAX_NOTES: usize = 125_000;

/// The tags of tags that are followed.
const MAX_TAGS: usize = 5;

pub(super) struct Github<'a> {
    pub(super) destination: &'a Destination,
    pub(super) goal: &'a Goal,
}

/// A reference (<https://docs.github.com/rest/git/refs>), or a tag object (<https://docs.github.com/rest/git/tags>).
#[derive(Deserialize)]
struct Pointer {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    #[serde(rename = "type")]
    kind: String,
    sha: String,
}

impl Github<'_> {
    fn releases(&self) -> Releases<'_> {
        Releases::new(self.destination, self.goal)
    }

    /// Returns the address of a file's content, which the header `Accept` requests ("Get a release asset").
    fn content(&self, asset: &AssetJson) -> String {
        format!("{}/releases/assets/{}", self.releases().repository, asset.id)
    }

    /// Returns the request for the files of a release. A release has its files, too, but the documentation sets
    /// no limit for their number there.
    fn assets(&self, transport: &dyn Transport, id: u64) -> Result<Vec<RemoteAsset>> {
        let url = format!("{}/releases/{id}/assets?per_page=100", self.releases().repository);
        let request = Request::get(url, "list the files of the release");
        let assets: Option<Vec<AssetJson>> = rest::read_pages(transport, request.clone())?;
        let assets =
            assets.ok_or_else(|| transport.error(&request.what, "the release does not exist"))?;
        Ok(assets
            .into_iter()
            .map(|asset| asset.into_asset(|asset: &AssetJson| self.content(asset)))
            .collect())
    }

    /// Returns the address that files are sent to. The token is for the forge alone: the address has to be at
    /// the API's host, or at GitHub's host for uploads.
    fn upload_url(&self, transport: &dyn Transport, release: &RemoteRelease) -> Result<String> {
        let template = release.upload_url.as_deref().unwrap_or_default();
        let address = template.split('{').next().unwrap_or_default();
        let own = url::is_same_origin(address, &self.destination.api)
            || upload_origin(&self.destination.api)
                .is_some_and(|origin| url::is_same_origin(address, &origin));
        if own {
            Ok(address.to_owned())
        } else {
            Err(transport.error("upload files", "the address for uploads is not one of the forge"))
        }
    }
}

/// Returns the host for uploads of GitHub's own API: `https://uploads.HOST` beside `https://api.HOST`.
pub fn upload_origin(api: &str) -> Option<String> {
    let host = url::origin(api)?.strip_prefix("https://api.")?;
    Some(format!("https://uploads.{host}"))
}

impl Protocol for Github<'_> {
    fn tag_commit(&self, transport: &dyn Transport) -> Result<Option<String>> {
        let tag = url::encode(&self.goal.tag);
        let what = format!("read the tag `{}`", self.goal.tag);
        let request =
            Request::get(format!("{}/git/ref/tags/{tag}", self.releases().repository), &*what);
        let Some(mut pointer) = rest::read::<Pointer>(transport, &request)? else {
            return self.releases().missing_tag(transport);
        };
        for _ in 0..MAX_TAGS {
            if pointer.object.kind != "tag" {
                return Ok(Some(pointer.object.sha));
            }
            let sha = url::encode(&pointer.object.sha);
            let request =
                Request::get(format!("{}/git/tags/{sha}", self.releases().repository), &*what);
            let next = rest::read(transport, &request)?;
            pointer = next.ok_or_else(|| transport.error(&what, "its object does not exist"))?;
        }
        Err(transport.error(&what, "it is a tag of a tag of a tag"))
    }

    fn list(&self, transport: &dyn Transport, created: Option<u64>) -> Result<Listing> {
        let content = |asset: &AssetJson| self.content(asset);
        let mut listing = self.releases().list(transport, "per_page=100", created, content)?;
        for release in &mut listing.of_tag {
            release.assets = self.assets(transport, release.id)?;
        }
        Ok(listing)
    }

    fn create(&self, transport: &dyn Transport) -> Result<RemoteRelease, WriteError> {
        let text = &self.goal.text;
        if text.notes.chars().count() > MAX_NOTES - 200 {
            return Err(Error::usage(format!(
                "the notes have {} characters, and GitHub accepts {}",
                text.notes.chars().count(),
                MAX_NOTES - 200
            ))
            .hint("name a shorter file with `--notes`")
            .into());
        }
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
        let url = self.upload_url(transport, release)?;
        let request = Request {
            method: Method::Post,
            url: url::with_parameter(&url, "name", &entry.name),
            body: RequestBody::File(file),
            what: format!("upload `{}`", entry.name),
        };
        let answer = rest::write(transport, &request)?;
        let asset: AssetJson = rest::parse(transport, &request.what, &answer)?;
        Ok(asset.into_asset(|asset: &AssetJson| self.content(asset)))
    }

    fn delete_asset(
        &self,
        transport: &dyn Transport,
        _: &RemoteRelease,
        asset: &RemoteAsset,
    ) -> Result<(), WriteError> {
        let url = format!("{}/releases/assets/{}", self.releases().repository, asset.id);
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
        rank: &Rank,
    ) -> Result<(), WriteError> {
        let mut body = self.releases().body(text, &text.notes, false);
        // "Specifies whether this release should be set as the latest release […] Drafts and prereleases cannot
        // be set as latest."
        body["make_latest"] = json!(if rank.latest { "true" } else { "false" });
        self.releases().publish(transport, release, &body)
    }
}
