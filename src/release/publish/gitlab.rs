//! GitLab's API. It has no drafts: the files are sent to the generic package registry
//! (<https://docs.gitlab.com/user/packages/generic_packages/>), and the release
//! (<https://docs.gitlab.com/api/releases/>) is created with links to all of them.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::json;

use super::{
    Destination, Download, DraftOrigin, Goal, Listing, OtherRelease, Protocol, Rank, ReleaseText,
    RemoteAsset, RemoteRelease, Request, RequestBody, Transport, WriteError, rest,
};
use crate::model::{
    digest::Digest,
    error::{Error, Result},
    http::Method,
    url,
};

pub(super) struct Gitlab<'a> {
    pub(super) destination: &'a Destination,
    pub(super) goal: &'a Goal,
}

/// A tag (<https://docs.gitlab.com/api/tags/>).
#[derive(Deserialize)]
struct Tag {
    commit: Commit,
}

#[derive(Deserialize)]
struct Commit {
    id: String,
}

#[derive(Deserialize)]
struct Release {
    tag_name: String,
    name: Option<String>,
    description: Option<String>,
    released_at: Option<String>,
    #[serde(default)]
    upcoming_release: bool,
    #[serde(default)]
    assets: Assets,
    #[serde(default, rename = "_links")]
    links: Links,
}

#[derive(Default, Deserialize)]
struct Assets {
    #[serde(default)]
    links: Vec<Link>,
}

#[derive(Default, Deserialize)]
struct Links {
    #[serde(rename = "self")]
    own: Option<String>,
}

#[derive(Deserialize)]
struct Link {
    id: u64,
    name: String,
    url: String,
}

/// A package (<https://docs.gitlab.com/api/packages/>).
#[derive(Deserialize)]
struct Package {
    id: u64,
    name: String,
    version: String,
}

/// A file of a package.
#[derive(Deserialize)]
struct PackageFile {
    id: u64,
    file_name: String,
    size: Option<u64>,
    file_sha256: Option<String>,
}

impl Gitlab<'_> {
    fn project(&self) -> String {
        format!("{}/projects/{}", self.destination.api, url::encode(&self.destination.repository))
    }

    /// Returns the address of a file in the package registry.
    fn file_url(&self, name: &str) -> String {
        let Goal { package, version, .. } = self.goal;
        format!(
            "{}/packages/generic/{}/{}/{}",
            self.project(),
            url::encode(package),
            url::encode(&version.to_string()),
            url::encode(name)
        )
    }

    fn release_url(&self) -> String {
        format!("{}/releases/{}", self.project(), url::encode(&self.goal.tag))
    }

    fn download(url: String, name: &str) -> Download {
        Download { url, with_token: true, what: format!("download `{name}`") }
    }

    /// Returns the files of the package. Of several files of one name, a download gets the newest.
    fn package_files(&self, transport: &dyn Transport) -> Result<BTreeMap<String, PackageFile>> {
        let mut found: BTreeMap<String, PackageFile> = BTreeMap::new();
        let url = format!("{}/packages?package_type=generic&per_page=100", self.project());
        let url = url::with_parameter(&url, "package_name", &self.goal.package);
        let version = self.goal.version.to_string();
        let url = url::with_parameter(&url, "package_version", &version);
        let request = Request::get(url, "list the packages");
        let packages: Option<Vec<Package>> = rest::read_pages(transport, request.clone())?;
        let packages = packages.ok_or_else(|| {
            transport.error(&request.what, "the token has no access to the package registry")
        })?;
        // The name is searched for, and the version may be, too.
        let own =
            |package: &&Package| package.name == self.goal.package && package.version == version;
        for package in packages.iter().filter(own) {
            let url =
                format!("{}/packages/{}/package_files?per_page=100", self.project(), package.id);
            let request = Request::get(url, "list the files of the package");
            let files: Option<Vec<PackageFile>> = rest::read_pages(transport, request.clone())?;
            let files = files
                .ok_or_else(|| transport.error(&request.what, "the package does not exist"))?;
            for file in files {
                match found.get(&file.file_name) {
                    Some(newer) if newer.id > file.id => {}
                    _ => drop(found.insert(file.file_name.clone(), file)),
                }
            }
        }
        Ok(found)
    }

    fn asset(&self, file: &PackageFile) -> RemoteAsset {
        let url = self.file_url(&file.file_name);
        RemoteAsset {
            id: file.id,
            name: file.file_name.clone(),
            size: file.size,
            incomplete: None,
            digest: file.digest(),
            download: Self::download(url.clone(), &file.file_name),
            public_url: url,
        }
    }

    /// Returns a published release. A link to a file in the package registry has that file's digest.
    fn published(&self, release: Release, files: &BTreeMap<String, PackageFile>) -> RemoteRelease {
        let asset = |link: Link| {
            let file = files.get(&link.name).filter(|_| link.url == self.file_url(&link.name));
            RemoteAsset {
                id: link.id,
                size: file.and_then(|file| file.size),
                incomplete: None,
                digest: file.and_then(PackageFile::digest),
                download: Self::download(link.url.clone(), &link.name),
                name: link.name,
                public_url: link.url,
            }
        };
        RemoteRelease {
            id: 0,
            text: ReleaseText {
                title: release.name.unwrap_or_default(),
                notes: release.description.unwrap_or_default(),
            },
            draft: false,
            origin: DraftOrigin::Foreign,
            url: release.links.own,
            upload_url: None,
            assets: release.assets.links.into_iter().map(asset).collect(),
        }
    }

    /// Returns the link to a file. The path is for permanent links, and has a restricted form.
    fn link(&self, name: &str, is_package: bool) -> serde_json::Value {
        let kind = if is_package { "package" } else { "other" };
        let mut link = json!({ "name": name, "url": self.file_url(name), "link_type": kind });
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let ends = name.ends_with(|c: char| c.is_ascii_alphanumeric());
        if ends && name.chars().all(plain) {
            link["direct_asset_path"] = json!(format!("/{name}"));
        }
        link
    }
}

impl PackageFile {
    fn digest(&self) -> Option<Digest> {
        format!("sha256:{}", self.file_sha256.as_deref()?).parse().ok()
    }
}

impl Protocol for Gitlab<'_> {
    fn tag_commit(&self, transport: &dyn Transport) -> Result<Option<String>> {
        let tag = &self.goal.tag;
        let url = format!("{}/repository/tags/{}", self.project(), url::encode(tag));
        let request = Request::get(url, format!("read the tag `{tag}`"));
        let answer = transport.read(&request)?;
        if answer.status == 200 {
            let tag: Tag = rest::parse(transport, &request.what, &answer)?;
            return Ok(Some(tag.commit.id));
        }
        // The token of a job does not always show the repository (<https://docs.gitlab.com/ci/jobs/ci_job_token/>);
        // the job was started for the tag.
        let job = self.destination.job_tag.as_ref().filter(|(name, _)| name == tag);
        if let (true, 401 | 403 | 404, Some((_, commit))) =
            (self.destination.has_job_token(), answer.status, job)
        {
            return Ok(Some(commit.clone()));
        }
        if answer.status != 404 {
            return Err(transport.status_error(&request.what, &answer));
        }
        let request = Request::get(self.project(), "read the project");
        let answer = transport.read(&request)?;
        match answer.status {
            200 => Ok(None),
            _ => Err(transport.status_error(&request.what, &answer)),
        }
    }

    fn list(&self, transport: &dyn Transport, _: Option<u64>) -> Result<Listing> {
        let url = format!("{}/releases?per_page=100", self.project());
        let request = Request::get(url, "list the releases");
        let releases: Option<Vec<Release>> = rest::read_pages(transport, request.clone())?;
        let releases = releases.ok_or_else(|| {
            transport.error(&request.what, "the project does not exist, or the token has no access")
        })?;
        let mut others = Vec::new();
        for release in releases {
            if release.tag_name != self.goal.tag && !release.upcoming_release {
                others.push(OtherRelease {
                    tag: release.tag_name,
                    prerelease: false,
                    date: release.released_at,
                });
            }
        }
        let request = Request::get(self.release_url(), "read the release");
        let release: Option<Release> = rest::read(transport, &request)?;
        let files = self.package_files(transport)?;
        let of_tag = match release {
            Some(release) => self.published(release, &files),
            None => RemoteRelease {
                id: 0,
                text: self.goal.text.clone(),
                draft: true,
                origin: DraftOrigin::Own,
                url: None,
                upload_url: None,
                // Others of the package get no link.
                assets: files
                    .values()
                    .filter(|file| self.goal.files.iter().any(|own| own.name == file.file_name))
                    .map(|file| self.asset(file))
                    .collect(),
            },
        };
        Ok(Listing { of_tag: vec![of_tag], others })
    }

    fn create(&self, _: &dyn Transport) -> Result<RemoteRelease, WriteError> {
        Err(Error::check("there are no drafts").into())
    }

    fn upload(
        &self,
        transport: &dyn Transport,
        _: &RemoteRelease,
        file: usize,
    ) -> Result<RemoteAsset, WriteError> {
        let Some(entry) = self.goal.files.get(file) else {
            return Err(Error::check("there is no such file").into());
        };
        let request = Request {
            method: Method::Put,
            // The response describes the file then.
            url: url::with_parameter(&self.file_url(&entry.name), "select", "package_file"),
            body: RequestBody::File(file),
            what: format!("upload `{}`", entry.name),
        };
        let answer = rest::write(transport, &request)?;
        let stored: PackageFile = rest::parse(transport, &request.what, &answer)?;
        Ok(self.asset(&stored))
    }

    fn delete_asset(
        &self,
        _: &dyn Transport,
        _: &RemoteRelease,
        _: &RemoteAsset,
    ) -> Result<(), WriteError> {
        Err(Error::check("files of packages are not deleted").into())
    }

    fn delete_draft(&self, _: &dyn Transport, _: u64) -> Result<(), WriteError> {
        Err(Error::check("there are no drafts").into())
    }

    fn publish(
        &self,
        transport: &dyn Transport,
        _: &RemoteRelease,
        text: &ReleaseText,
        rank: &Rank,
    ) -> Result<(), WriteError> {
        let extensions = [".sha256", ".json", ".txt", ".minisig", "SHA256SUMS"];
        let is_package = |name: &str| !extensions.iter().any(|end| name.ends_with(end));
        let files = self.goal.files.iter();
        let links: Vec<_> =
            files.map(|file| self.link(&file.name, is_package(&file.name))).collect();
        let mut body = json!({
            "tag_name": self.goal.tag,
            "name": text.title,
            "description": text.notes,
            "assets": { "links": links },
        });
        // The latest release is the one with the newest date; "only provide this field if creating an upcoming
        // or historical release".
        if let Some(date) = rank.before.as_deref().and_then(second_before) {
            body["released_at"] = json!(date);
        }
        let url = format!("{}/releases", self.project());
        rest::write(transport, &Request::json(Method::Post, url, &body, "publish the release"))?;
        Ok(())
    }

    fn replaces(&self) -> bool {
        true
    }
}

/// Returns the time one second before a date.
fn second_before(date: &str) -> Option<String> {
    let time = humantime::parse_rfc3339_weak(date).ok()?;
    let before = time.checked_sub(Duration::from_secs(1))?;
    Some(humantime::format_rfc3339_seconds(before).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_before_others() {
        let before = second_before("2026-01-01T00:00:00.123Z");
        assert_eq!(before.as_deref(), Some("2025-12-31T23:59:59Z"));
        assert_eq!(second_before("soon"), None);
    }
}
