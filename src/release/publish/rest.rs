//! JSON that the APIs of GitHub and Forgejo have in common, and lists in pages.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    Destination, Download, Goal, Listing, OtherRelease, ReleaseText, RemoteAsset, RemoteRelease,
    Request, Transport, WriteError, notes,
};
use crate::model::{
    collect::SortStable as _,
    error::Result,
    http::{ApiResponse, Method},
    url,
};

/// The maximum number of pages of a list.
const MAX_PAGES: usize = 1000;

/// A release (<https://docs.github.com/rest/releases/releases>, <https://codeberg.org/api/swagger#/repository>).
#[derive(Deserialize)]
pub(super) struct ReleaseJson {
    pub(super) id: u64,
    pub(super) tag_name: String,
    name: Option<String>,
    body: Option<String>,
    #[serde(default)]
    pub(super) draft: bool,
    #[serde(default)]
    prerelease: bool,
    html_url: Option<String>,
    upload_url: Option<String>,
    published_at: Option<String>,
    #[serde(default)]
    assets: Vec<AssetJson>,
}

/// A file of a release.
#[derive(Deserialize)]
pub(super) struct AssetJson {
    pub(super) id: u64,
    name: String,
    size: Option<u64>,
    /// With GitHub: `uploaded`, `open`, or `starter`.
    state: Option<String>,
    /// With GitHub: `sha256:…`.
    digest: Option<String>,
    /// With Forgejo: a part of the address of its content.
    pub(super) uuid: Option<String>,
    browser_download_url: Option<String>,
}

impl ReleaseJson {
    /// Converts it, with the download address that `location` returns for each file.
    pub(super) fn into_release(self, location: impl Fn(&AssetJson) -> String) -> RemoteRelease {
        let (title, notes) = (self.name.unwrap_or_default(), self.body.unwrap_or_default());
        let (text, origin) = notes::parse_draft(&title, &notes);
        // A published release shows its text as it is.
        let text = if self.draft { text } else { ReleaseText { title, notes } };
        RemoteRelease {
            id: self.id,
            text,
            draft: self.draft,
            origin,
            url: self.html_url,
            upload_url: self.upload_url,
            assets: self.assets.into_iter().map(|asset| asset.into_asset(&location)).collect(),
        }
    }
}

impl AssetJson {
    /// Converts it.
    pub(super) fn into_asset(self, location: impl Fn(&AssetJson) -> String) -> RemoteAsset {
        let download = Download {
            url: location(&self),
            with_token: true,
            what: format!("download `{}`", self.name),
        };
        RemoteAsset {
            id: self.id,
            name: self.name,
            size: self.size,
            incomplete: self.state.filter(|state| state != "uploaded"),
            digest: self.digest.and_then(|digest| digest.parse().ok()),
            download,
            public_url: self.browser_download_url.unwrap_or_default(),
        }
    }
}

/// The requests for releases that GitHub and Forgejo have in common.
pub(super) struct Releases<'a> {
    /// The address of the repository in the API.
    pub(super) repository: String,
    goal: &'a Goal,
}

impl<'a> Releases<'a> {
    pub(super) fn new(destination: &Destination, goal: &'a Goal) -> Self {
        let repository = format!("{}/repos/{}", destination.api, destination.repository);
        Releases { repository, goal }
    }

    /// Returns `None` for a tag that was not found, if the repository exists.
    pub(super) fn missing_tag(&self, transport: &dyn Transport) -> Result<Option<String>> {
        let request = Request::get(self.repository.clone(), "read the repository");
        let answer = transport.read(&request)?;
        match answer.status {
            200 => Ok(None),
            _ => Err(transport.status_error(&request.what, &answer)),
        }
    }

    /// Returns the releases of the repository, also `created` if the list lacks it. `page` is the parameter for the
    /// length of a page, and `location` returns the download address of a file.
    pub(super) fn list(
        &self,
        transport: &dyn Transport,
        page: &str,
        created: Option<u64>,
        location: impl Fn(&AssetJson) -> String,
    ) -> Result<Listing> {
        let url = format!("{}/releases?{page}", self.repository);
        let request = Request::get(url, "list the releases");
        let releases = read_pages(transport, request.clone())?;
        let releases = releases.ok_or_else(|| {
            transport
                .error(&request.what, "the repository does not exist, or the token has no access")
        })?;
        let mut listing = Listing::default();
        self.add(&mut listing, releases, &location);
        if let Some(id) = created.filter(|id| listing.of_tag.iter().all(|one| one.id != *id)) {
            let url = format!("{}/releases/{id}", self.repository);
            let request = Request::get(url, "read the draft");
            let found: Option<ReleaseJson> = read(transport, &request)?;
            self.add(&mut listing, found.into_iter().collect(), &location);
        }
        Ok(listing)
    }

    /// Adds releases to a listing: those of the tag, and the other published ones.
    fn add(
        &self,
        listing: &mut Listing,
        releases: Vec<ReleaseJson>,
        location: impl Fn(&AssetJson) -> String,
    ) {
        for release in releases {
            if release.tag_name == self.goal.tag {
                listing.of_tag.push(release.into_release(&location));
            } else if !release.draft {
                listing.others.push(OtherRelease {
                    tag: release.tag_name,
                    prerelease: release.prerelease,
                    date: release.published_at,
                });
            }
        }
        listing.of_tag.sort_stable_by_key(|release| release.id);
        listing.of_tag.dedup_by_key(|release| release.id);
    }

    /// Returns the body of a request that creates or publishes the release.
    pub(super) fn body(&self, text: &ReleaseText, notes: &str, draft: bool) -> serde_json::Value {
        json!({
            "tag_name": self.goal.tag,
            "name": text.title,
            "body": notes,
            "draft": draft,
            "prerelease": self.goal.prerelease,
        })
    }

    /// Creates the draft.
    pub(super) fn create(
        &self,
        transport: &dyn Transport,
        location: impl Fn(&AssetJson) -> String,
    ) -> Result<RemoteRelease, WriteError> {
        let text = &self.goal.text;
        let body = self.body(text, &notes::with_marker(text), true);
        let url = format!("{}/releases", self.repository);
        let request = Request::json(Method::Post, url, &body, "create the draft");
        let answer = write(transport, &request)?;
        let release: ReleaseJson = parse(transport, &request.what, &answer)?;
        Ok(release.into_release(location))
    }

    /// Deletes a second draft of the tag.
    pub(super) fn delete_draft(
        &self,
        transport: &dyn Transport,
        id: u64,
    ) -> Result<(), WriteError> {
        let url = format!("{}/releases/{id}", self.repository);
        write(transport, &Request::delete(url, "delete the second draft"))?;
        Ok(())
    }

    /// Publishes the draft with a body of [`Releases::body`].
    pub(super) fn publish(
        &self,
        transport: &dyn Transport,
        release: &RemoteRelease,
        body: &serde_json::Value,
    ) -> Result<(), WriteError> {
        let url = format!("{}/releases/{}", self.repository, release.id);
        write(transport, &Request::json(Method::Patch, url, body, "publish the release"))?;
        Ok(())
    }
}

/// Parses a response.
pub(super) fn parse<T: DeserializeOwned>(
    transport: &dyn Transport,
    what: &str,
    answer: &ApiResponse,
) -> Result<T> {
    serde_json::from_slice(&answer.body)
        .map_err(|error| transport.error(what, "the response is not as documented").because(error))
}

/// Reads a document; `None` if it does not exist.
pub(super) fn read<T: DeserializeOwned>(
    transport: &dyn Transport,
    request: &Request,
) -> Result<Option<T>> {
    let answer = transport.read(request)?;
    match answer.status {
        200 => parse(transport, &request.what, &answer).map(Some),
        404 => Ok(None),
        _ => Err(transport.status_error(&request.what, &answer)),
    }
}

/// Reads all pages of a list, which the `Link` header connects (GitHub: "Using pagination in the REST API";
/// GitLab: "Pagination"; Forgejo: "Pagination" in "API Usage"). `None` if the list does not exist.
pub(super) fn read_pages<T: DeserializeOwned>(
    transport: &dyn Transport,
    mut request: Request,
) -> Result<Option<Vec<T>>> {
    let mut all = Vec::new();
    for page in 0..MAX_PAGES {
        let answer = transport.read(&request)?;
        match answer.status {
            200 => {}
            404 if page == 0 => return Ok(None),
            _ => return Err(transport.status_error(&request.what, &answer)),
        }
        all.extend(parse::<Vec<T>>(transport, &request.what, &answer)?);
        let Some(next) = answer.link.as_deref().and_then(url::next_page) else {
            return Ok(Some(all));
        };
        let next = url::resolve(&request.url, next).ok();
        let next = next.filter(|next| url::is_same_origin(next, &request.url));
        // The token is for this server alone.
        request.url = next.ok_or_else(|| {
            transport.error(&request.what, "the list continues at a different server")
        })?;
    }
    Err(transport.error(&request.what, "the list has too many pages"))
}

/// Sends a request that writes, and checks the status.
pub(super) fn write(
    transport: &dyn Transport,
    request: &Request,
) -> Result<ApiResponse, WriteError> {
    let answer = transport.write(request)?;
    let deleted = request.method == Method::Delete && answer.status == 404;
    if answer.succeeded() || deleted {
        return Ok(answer);
    }
    let error = transport.status_error(&request.what, &answer);
    Err(match answer.status {
        // What is there, or no longer there, differs from what was read.
        404 | 409 | 412 | 422 => WriteError::Conflict(error),
        _ => WriteError::Final(error),
    })
}
