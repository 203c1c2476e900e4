//! `image inspect` and `image diff`: the contents of images, and the differences between two of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use camino::Utf8PathBuf;

use super::{interrupt::InterruptibleStore, store};
use crate::{
    image::{
        contents::{self, DAMAGED, MemoryLimit},
        read::image::{self, AbsentImage, Images, Store, StoredImage, StoredSet},
    },
    model::{
        collect::CollectOrdered as _,
        error::{Error, Result, Status},
        platform::Platform,
        schema::image::{
            DIFF_SCHEMA, Form, ImageDiff, ImageSet, Inspection, Notes, Other, SCHEMA, Source,
        },
    },
    sys::{
        Context,
        registry::{Session, Settings},
    },
};

/// The images to inspect.
#[derive(Clone, Debug, Default)]
pub struct InspectRequest {
    /// OCI layouts, OCI archives and archives of `docker save`, each with `:TAG` or `@DIGEST` behind it if it
    /// has several images; and images in registries.
    pub images: Vec<String>,
    /// The only platform that is inspected.
    pub platform: Option<Platform>,
    /// The settings for connections to registries.
    pub registry: Settings,
}

/// The images to compare.
#[derive(Clone, Debug, Default)]
pub struct DiffRequest {
    /// The first, as in [`InspectRequest::images`].
    pub before: String,
    /// The second.
    pub after: String,
    /// The only platform that is compared.
    pub platform: Option<Platform>,
    /// Whether times are compared, too.
    pub times: bool,
    /// The settings for connections to registries.
    pub registry: Settings,
}

/// Returns the contents of all requested images. Every digest is compared with its content.
///
/// # Errors
/// An image does not exist, is not an image, or does not match its digest.
pub fn inspect(cx: &Context, request: &InspectRequest) -> Result<Inspection> {
    let session = Session::new(cx, &request.registry);
    let mut limit = MemoryLimit::default();
    let one = |text: &String| {
        let choice = ImageSelector::new(text, request.platform.as_ref());
        choice.open(cx, &session, |store, form, chosen| {
            let mut sets = Vec::new();
            for (set, images) in chosen.sets() {
                let read = |image: &&StoredImage| choice.read(store, image, &mut limit);
                sets.push(ImageSet {
                    names: set.names.clone(),
                    digest: set.descriptor.as_ref().map(|descriptor| descriptor.digest),
                    media_type: set
                        .descriptor
                        .as_ref()
                        .map(|descriptor| descriptor.media_type.to_string()),
                    annotations: set.annotations.clone(),
                    images: images.iter().map(read).collect::<Result<_>>()?,
                });
            }
            let path = choice.path.to_string();
            let (absent, others) = (chosen.absent(), chosen.others());
            Ok(Source { path, form, sets, absent, others })
        })
    };
    let sources = request.images.iter().map(one).collect::<Result<_>>();
    // Reading stops with a separate error if the program is interrupted.
    cx.children.check()?;
    Ok(Inspection { schema: SCHEMA, sources: sources? })
}

/// Returns the differences between two images, or two sets of them platform by platform.
///
/// # Errors
/// As [`inspect()`], or one of the two has several images for one platform.
pub fn diff(cx: &Context, request: &DiffRequest) -> Result<ImageDiff> {
    diff_in(cx, &Session::new(cx, &request.registry), request)
}

/// Does as [`diff`], with the registries of `session`.
///
/// # Errors
/// As [`diff`].
pub(in crate::ops) fn diff_in(
    cx: &Context,
    session: &Arc<Session>,
    request: &DiffRequest,
) -> Result<ImageDiff> {
    let before = ImageSelector::new(&request.before, request.platform.as_ref());
    let after = ImageSelector::new(&request.after, request.platform.as_ref());
    let compared = before.open(cx, session, |old_store, _, old| {
        after.open(cx, session, |new_store, _, new| {
            let (olds, news) = (old.by_platform(&before)?, new.by_platform(&after)?);
            let mut diff = ImageDiff {
                schema: DIFF_SCHEMA,
                before: request.before.clone(),
                after: request.after.clone(),
                times: request.times,
                equal: false,
                annotations: contents::compare_annotations(&old.annotations(), &new.annotations()),
                only_before: Vec::new(),
                only_after: Vec::new(),
                platforms: Vec::new(),
            };
            check_absent_equal(old, new)?;
            for platform in olds.keys().chain(news.keys()).collect_set() {
                let platform: &Platform = platform;
                match (olds.get(platform), news.get(platform)) {
                    (Some(a), Some(b)) => {
                        let a = before.read(old_store, a, &mut MemoryLimit::default())?;
                        let b = after.read(new_store, b, &mut MemoryLimit::default())?;
                        diff.platforms.push(contents::compare_platform(&a, &b, request.times));
                    }
                    (Some(_), None) => diff.only_before.push(platform.clone()),
                    (None, _) => diff.only_after.push(platform.clone()),
                }
            }
            diff.equal = diff.annotations.is_empty()
                && diff.only_before.is_empty()
                && diff.only_after.is_empty()
                && diff.platforms.iter().all(|platform| platform.equal);
            Ok(diff)
        })
    });
    cx.children.check()?;
    compared
}

/// Checks that both layouts lack the same image: otherwise no comparison can be complete.
fn check_absent_equal(old: &SelectedImages, new: &SelectedImages) -> Result<()> {
    for absent in &old.found.absent {
        let differs = |entry: &&AbsentImage| {
            entry.platform == absent.platform && entry.digest != absent.digest
        };
        if new.found.absent.iter().any(|absent_image| differs(&absent_image)) {
            let platform = &absent.platform;
            let message = format!("`{platform}` differs, and neither of the two images has it");
            return Err(Error::check(message)
                .hint("compare one platform that both have: `--platform OS/ARCH`"));
        }
    }
    Ok(())
}

/// One image, or all, at a path.
struct ImageSelector<'a> {
    path: Utf8PathBuf,
    name: Option<&'a str>,
    platform: Option<&'a Platform>,
}

impl<'a> ImageSelector<'a> {
    /// Returns the images that `text` selects: the longest prefix of it that exists, and the name behind that;
    /// or those of a registry under that name.
    fn new(text: &'a str, platform: Option<&'a Platform>) -> Self {
        let (path, name) = store::split_name(text);
        ImageSelector { path: path.to_owned(), name, platform }
    }

    /// Opens the path, and passes the selected images to `then`.
    fn open<T>(
        &self,
        cx: &Context,
        session: &Arc<Session>,
        then: impl FnOnce(&dyn Store, Form, &SelectedImages) -> Result<T>,
    ) -> Result<T> {
        store::open(&cx.children, session, &self.path, |store, form| {
            let store = &InterruptibleStore { store, children: &cx.children };
            let images = image::read_images(store).map_err(|error| self.with_name(error))?;
            let chosen = self.select(images)?;
            then(store, form, &chosen)
        })
    }

    fn with_name(&self, error: Error) -> Error {
        error.context(format!("`{}`", self.path)).with_status(Status::CheckFailed)
    }

    fn read(
        &self,
        store: &dyn Store,
        image: &StoredImage,
        limit: &mut MemoryLimit,
    ) -> Result<crate::model::schema::image::Image> {
        contents::read(store, image, limit).map_err(|error| {
            let context = format!("`{}!{}`", self.path, image.name);
            error.context(context).with_status(Status::CheckFailed).or_hint(DAMAGED)
        })
    }

    fn select(&self, images: Images) -> Result<SelectedImages> {
        let path = &self.path;
        let mut wanted = BTreeSet::new();
        for (at, set) in images.sets.iter().enumerate() {
            if self.name.is_none_or(|name| store::has_name(set, name)) {
                wanted.insert(at);
            }
        }
        let of_digest = |image: &&StoredImage| {
            let digest = image.manifest.as_ref().map(|manifest| manifest.digest.to_string());
            self.name.is_some() && digest.as_deref() == self.name
        };
        let one = images.images.iter().find(of_digest).cloned();
        if let (Some(name), None, true) = (self.name, &one, wanted.is_empty()) {
            let names: Vec<_> = images.sets.iter().flat_map(|set| set.names.clone()).collect();
            let hint = match names.is_empty() {
                true => "its images have no names: leave `:TAG` away".to_owned(),
                false => format!("it has `{}`", names.join("`, `")),
            };
            return Err(Error::usage(format!("`{path}` has no image `{name}`")).hint(hint));
        }
        if let Some(one) = one.filter(|_| wanted.is_empty()) {
            wanted.insert(one.set);
            let found = Images { absent: Vec::new(), ..images };
            return self.keep_platform(SelectedImages { images: vec![one], wanted, found });
        }
        let other = |reported: &image::EntryNote| {
            self.platform
                .is_some_and(|wanted| reported.platform.as_ref().is_some_and(|item| item != wanted))
        };
        let broken =
            |reported: &&image::EntryNote| wanted.contains(&reported.set) && !other(reported);
        if let Some(broken) = images.broken.iter().find(broken) {
            let name = broken.name.escape_debug();
            let message = format!("`{path}!{name}`: {}", broken.description);
            return Err(Error::check(message).hint(DAMAGED));
        }
        let chosen = images.images.iter().filter(|image| wanted.contains(&image.set));
        self.keep_platform(SelectedImages {
            images: chosen.cloned().collect(),
            wanted,
            found: images,
        })
    }

    /// Returns those of the requested platform.
    fn keep_platform(&self, mut chosen: SelectedImages) -> Result<SelectedImages> {
        let path = &self.path;
        let (wanted, selected) = (&chosen.wanted, self.platform);
        let is_chosen = |absent: &AbsentImage| {
            wanted.contains(&absent.set) && selected.is_none_or(|item| *item == absent.platform)
        };
        chosen.found.absent.retain(is_chosen);
        if let (Some(absent), true) = (chosen.found.absent.first(), chosen.images.is_empty()) {
            return Err(Error::check(format!("`{path}` has no image: {}", absent.reason)));
        }
        if chosen.images.is_empty() {
            return Err(Error::check(format!("`{path}` has no image")));
        }
        let Some(platform) = self.platform else {
            return Ok(chosen);
        };
        let all: BTreeSet<_> =
            chosen.images.iter().map(|image| image.platform.to_string()).collect_set();
        chosen.images.retain(|image| image.platform == *platform);
        if chosen.images.is_empty() {
            let all = all.into_iter().collect::<Vec<_>>().join("`, `");
            let mut message = format!("`{path}` has no image for `{platform}`");
            if let Some(absent) = chosen.found.absent.first() {
                message = format!("{message}: {}", absent.reason);
            }
            return Err(Error::usage(message).hint(format!("it has `{all}`")));
        }
        Ok(chosen)
    }
}

/// The selected images of a store.
struct SelectedImages {
    images: Vec<StoredImage>,
    /// The numbers of the sets they are of.
    wanted: BTreeSet<usize>,
    found: Images,
}

impl SelectedImages {
    /// Returns the sets with selected images, and the selected images of each.
    fn sets(&self) -> impl Iterator<Item = (&StoredSet, Vec<&StoredImage>)> {
        self.found.sets.iter().enumerate().filter_map(|(at, set)| {
            let images: Vec<_> = self.images.iter().filter(|image| image.set == at).collect();
            (!images.is_empty()).then_some((set, images))
        })
    }

    fn absent(&self) -> Vec<Platform> {
        self.found.absent.iter().map(|absent| absent.platform.clone()).collect()
    }

    fn others(&self) -> Vec<Other> {
        let others =
            self.found.others.iter().filter(|reported| self.wanted.contains(&reported.set));
        others
            .map(|reported| Other {
                name: reported.name.clone(),
                what: reported.description.clone(),
            })
            .collect()
    }

    /// Returns the annotations of all indexes.
    fn annotations(&self) -> Notes {
        self.sets().flat_map(|(set, _)| set.annotations.clone()).collect_map()
    }

    /// Returns the image of each platform. Manifests with one configuration are one image in several
    /// compressions (`buildah manifest push --add-compression`); the first is read.
    fn by_platform(&self, choice: &ImageSelector<'_>) -> Result<BTreeMap<&Platform, &StoredImage>> {
        let mut all: BTreeMap<&Platform, &StoredImage> = BTreeMap::new();
        for image in &self.images {
            let known = *all.entry(&image.platform).or_insert(image);
            if known.config.1 != image.config.1 {
                return Err(self.ambiguous_error(choice, known, image));
            }
        }
        Ok(all)
    }

    /// Returns the error for two images of one platform, with a name that distinguishes them.
    fn ambiguous_error(
        &self,
        choice: &ImageSelector<'_>,
        first: &StoredImage,
        second: &StoredImage,
    ) -> Error {
        let path = &choice.path;
        let message = format!("`{path}` has several images for `{}`", first.platform);
        let names: Vec<_> = self.sets().flat_map(|(set, _)| set.names.clone()).collect();
        let hint = if names.is_empty() || first.set == second.set {
            let (first, second) = (first.digest(), second.digest());
            format!("name one as `{path}@DIGEST`: it has `{first}`, `{second}`")
        } else {
            format!("name one as `{path}:TAG`: it has `{}`", names.join("`, `"))
        };
        Error::usage(message).hint(hint)
    }
}
