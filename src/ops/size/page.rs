//! The page, with the sizes of earlier releases.

use std::sync::Arc;

use camino::Utf8Path;
use semver::Version;

use crate::{
    image::read::image,
    model::{
        collect::SortStable as _,
        error::{Error, Result},
        reference::Reference,
    },
    ops::{image::store, output::manifest},
    size::{
        MeasuredRelease,
        page::{self, HistoryPoint},
    },
    sys::{
        Context,
        registry::{Remote, Session},
    },
};

/// The maximum number of tags of a repository that are read: the newest versions.
const MAX_TAGS: usize = 100;

/// Returns the page of `head`, compared with `base`, and with the sizes of `sources`: `dist.json` files,
/// or image repositories with versions as tags.
///
/// # Errors
/// A source cannot be read.
pub(super) fn page(
    cx: &Context,
    session: &Arc<Session>,
    sources: &[String],
    head: &MeasuredRelease,
    base: Option<&MeasuredRelease>,
) -> Result<String> {
    page::html(&page::release_page(head, base, history_points(cx, session, sources)?))
}

fn history_points(
    cx: &Context,
    session: &Arc<Session>,
    sources: &[String],
) -> Result<Vec<HistoryPoint>> {
    let mut points = Vec::new();
    for source in sources {
        let path = Utf8Path::new(source);
        let named =
            manifest::manifest_path(path).or_else(|| path.is_file().then(|| path.to_owned()));
        if let Some(path) = named {
            points.extend(points_from_manifest(&path)?);
        } else {
            points.extend(points_from_repository(cx, session, source)?);
        }
    }
    Ok(points)
}

fn points_from_manifest(path: &Utf8Path) -> Result<Vec<HistoryPoint>> {
    let dist = manifest::read(path)?;
    let revision = dist.release.revision.as_ref();
    let short = revision.and_then(|hash| hash.get(..12)).unwrap_or("unknown");
    let release = dist.release.version.clone().unwrap_or_else(|| short.to_owned());
    let point = |name: &str, target: &str, size| HistoryPoint {
        release: release.clone(),
        time: dist.release.source_date_epoch,
        binary: name.to_owned(),
        target: target.to_owned(),
        size,
    };
    Ok(dist.artifacts.iter().map(|one| point(&one.name, &one.target, one.size)).collect())
}

fn points_from_repository(
    cx: &Context,
    session: &Arc<Session>,
    text: &str,
) -> Result<Vec<HistoryPoint>> {
    let hint = "name `dist.json` files, or an image repository such as `HOST/NAME`";
    let named = text.strip_prefix("docker://").unwrap_or(text);
    // A name without a host would be taken for one of Docker's own.
    if store::is_reference(text) && !text.starts_with("docker://") || !named.contains('/') {
        return Err(Error::usage(format!("`{text}` has no history")).hint(hint));
    }
    let reference: Reference = named
        .parse()
        .map_err(|error| Error::usage(format!("there is no `{text}`")).because(error).hint(hint))?;
    let tags = session.repository(&reference)?.tags_to_pull()?.unwrap_or_default();
    let mut versions: Vec<(Version, String)> = tags
        .into_iter()
        .filter_map(|tag| Some((tag.strip_prefix('v').unwrap_or(&tag).parse().ok()?, tag)))
        .collect();
    versions.sort_stable();
    let skip = versions.len().saturating_sub(MAX_TAGS);
    let mut points = Vec::new();
    for (version, tag) in versions.into_iter().skip(skip) {
        cx.children.check()?;
        let remote = Remote::open(
            session,
            &Reference { tag: Some(tag), digest: None, ..reference.clone() },
        )?;
        let found =
            image::read_images(&remote).map_err(|error| remote.failure().unwrap_or(error))?;
        for one in found.images {
            points.push(HistoryPoint {
                release: version.to_string(),
                time: 0,
                binary: format!("image {}", reference.name()),
                target: one.platform.to_string(),
                size: one.size.unwrap_or(0),
            });
        }
    }
    Ok(points)
}
