//! `push`: an image, or several under one index, to registries. Blobs go first, then what points at
//! them, and tags last: whoever reads a tag finds all of it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use camino::{Utf8Path, Utf8PathBuf};

use super::{attach, store, summary};
use crate::{
    distribution::{Upload, upload::Part},
    error::{Error, Result, Status},
    event::Event,
    oci::{Descriptor, Digest, Reference, layout::REF_NAME},
    schema::{
        Dist, Push,
        dist::Image,
        push::{Pushed, Repository as Told, SCHEMA},
    },
    sys::{
        Context, fs,
        registry::{Blob, Repository, Sent, Session, Settings},
    },
    unpack::image::{self, Store},
};

/// How many blobs are on their way at once.
const AT_ONCE: usize = 4;

/// What is pushed.
#[derive(Clone, Debug)]
pub enum Source {
    /// An image that `dist` made: the directory with `dist.json`, and its name where there are
    /// several.
    Dist(Utf8PathBuf, Option<String>),
    /// An OCI layout or archive, with `:TAG` or `@DIGEST` behind it where it has several images.
    Path(String),
}

/// What to push, and where to.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is pushed.
    pub source: Source,
    /// Where it goes.
    pub references: Vec<Reference>,
    /// Repositories of the same registries that may have some of it already.
    pub mount_from: Vec<String>,
    /// Whether nothing is to be written.
    pub dry_run: bool,
    /// Whether what a release says of the image goes with it.
    pub attach: bool,
    /// How registries are talked to.
    pub registry: Settings,
}

/// Pushes, and gives what was done. What is there already is not sent again, so that a push that was
/// interrupted goes on.
///
/// # Errors
/// The image is not there or is damaged; a registry refuses or does not answer; or a tag points at
/// something else right after it was written.
pub fn push(cx: &Context, request: &Request) -> Result<Push> {
    let (path, name, digest, documents) = match &request.source {
        Source::Path(text) => {
            let (path, name) = store::split(text);
            (path.to_owned(), name.map(str::to_owned), None, Vec::new())
        }
        Source::Dist(dir, name) => {
            let (dist, image) = of_dist(dir, name.as_deref())?;
            let documents = match request.attach {
                true => attach::documents(dir, &dist, &image)?,
                false => Vec::new(),
            };
            (dir.join(&image.path), None, Some(image.digest), documents)
        }
    };
    store::open_path(&path, |store, _| {
        let root = root(store, &path, name.as_deref())?;
        if let Some(digest) = digest.filter(|digest| *digest != root.digest) {
            let message =
                format!("`{path}` holds `{}`, and `dist.json` has `{digest}`", root.digest);
            return Err(Error::check(message).hint("`cargo longshore image` makes it again"));
        }
        let upload = Upload::of(store, &root).map_err(|error| named(&path, &error))?;
        let push = Pusher::new(cx, request, store, &path, (&upload, &documents), &root)?;
        push.run()
    })
}

fn named(path: &Utf8Path, error: &Error) -> Error {
    let named = Error::new(error.status(), format!("`{path}`: {error}"));
    match error.hint_text() {
        Some(hint) => named.hint(hint),
        None => named,
    }
}

/// A release, and the one of its images that is meant.
fn of_dist(dir: &Utf8Path, name: Option<&str>) -> Result<(Dist, Image)> {
    let path = dir.join("dist.json");
    let hint = "`cargo longshore dist` makes images; `--from PATH` names a layout or an archive";
    let text = fs::read_to_string_if_there(&path)?
        .ok_or_else(|| Error::usage(format!("there is no `{path}`")).hint(hint))?;
    let wrong = |error| Error::check(format!("`{path}` is no release manifest")).because(error);
    let dist: Dist = serde_json::from_str(&text).map_err(wrong)?;
    let names: Vec<&str> = dist.images.iter().map(|image| image.name.as_str()).collect();
    let has = || format!("it has `{}`", names.join("`, `"));
    let mut chosen = dist.images.iter().filter(|image| name.is_none_or(|name| name == image.name));
    let image = match (chosen.next(), chosen.next(), name) {
        (Some(image), None, _) => image.clone(),
        (Some(_), Some(_), _) => {
            return Err(Error::usage(format!("`{path}` has several images"))
                .hint(format!("choose one with `--package NAME`: {}", has())));
        }
        (None, _, Some(name)) if !names.is_empty() => {
            return Err(Error::usage(format!("`{path}` has no image `{name}`")).hint(has()));
        }
        (None, ..) => return Err(Error::usage(format!("`{path}` has no images")).hint(hint)),
    };
    Ok((dist, image))
}

/// What is to be pushed of a store: the one thing in it, or what goes by that name.
fn root(store: &dyn Store, path: &Utf8Path, name: Option<&str>) -> Result<Descriptor> {
    let found = image::images(store).map_err(|error| named(path, &error))?;
    let mut chosen: Vec<Descriptor> = Vec::new();
    let mut names = Vec::new();
    for set in &found.sets {
        names.extend(set.names.iter().map(|name| format!("`{name}`")));
        if name.is_none_or(|name| store::is_called(set, name)) {
            let descriptor = set.descriptor.clone().ok_or_else(|| {
                Error::usage(format!(
                    "`{path}` has no manifest: it is of the old form of `docker save`"
                ))
                .hint("`skopeo copy docker-archive:FILE oci:DIRECTORY:TAG` makes a layout of it")
            })?;
            chosen.push(descriptor);
        }
    }
    if let (true, Some(name)) = (chosen.is_empty(), name) {
        let manifests = found.images.iter().filter_map(|image| image.manifest.clone());
        chosen.extend(manifests.filter(|of| of.digest.to_string() == name).take(1));
    }
    let has = || match names.is_empty() {
        true => "its images have no names: name one as `PATH@DIGEST`".to_owned(),
        false => format!("it has {}", names.join(", ")),
    };
    match (chosen.len(), name) {
        (1, _) => Ok(chosen.remove(0)),
        (0, Some(name)) => Err(Error::usage(format!("`{path}` has no image `{name}`")).hint(has())),
        (0, None) => Err(Error::check(format!("`{path}` has no image"))),
        _ => Err(Error::usage(format!("`{path}` has several images"))
            .hint(format!("name one as `PATH:TAG`: {}", has()))),
    }
}

/// One repository, and what is to be there.
struct Goal {
    repository: Repository,
    /// The tags, and what each pointed at before.
    tags: Vec<(String, Option<Digest>)>,
}

pub(super) struct Pusher<'a> {
    cx: &'a Context,
    request: &'a Request,
    store: &'a (dyn Store + Sync),
    path: &'a Utf8Path,
    upload: &'a Upload,
    documents: &'a [attach::Document],
    root: &'a Part,
    session: Arc<Session>,
    /// The tag of each reference.
    tags: Vec<Option<String>>,
}

impl<'a> Pusher<'a> {
    pub(super) fn new(
        cx: &'a Context,
        request: &'a Request,
        store: &'a (dyn Store + Sync),
        path: &'a Utf8Path,
        (upload, documents): (&'a Upload, &'a [attach::Document]),
        of: &Descriptor,
    ) -> Result<Self> {
        let root = upload.root().ok_or_else(|| Error::check("there is nothing to push"))?;
        let mut tags = Vec::new();
        for reference in &request.references {
            if let Some(digest) = reference.digest.filter(|digest| *digest != root.digest) {
                let message = format!("`{path}` is `{}`, and not `{digest}`", root.digest);
                return Err(
                    Error::check(message).hint(format!("`{reference}` names another image"))
                );
            }
            // The version, which the image has from `dist`. A `latest` that nobody spoke of would
            // move unseen.
            let own = of.annotations.get(REF_NAME).cloned();
            tags.push(match (&reference.tag, reference.digest) {
                (Some(tag), _) => Some(tag.clone()),
                (None, Some(_)) => None,
                (None, None) => {
                    Some(own.filter(|tag| is_tag(reference, tag)).ok_or_else(|| {
                        Error::usage(format!("`{reference}` has no tag, nor has `{path}`"))
                            .hint(format!("name one: `{reference}:TAG`"))
                    })?)
                }
            });
        }
        let session = Session::new(cx, &request.registry);
        Ok(Pusher { cx, request, store, path, upload, documents, root, session, tags })
    }

    pub(super) fn run(&self) -> Result<Push> {
        let mut goals: Vec<Goal> = Vec::new();
        for (reference, tag) in self.request.references.iter().zip(&self.tags) {
            let repository = self.session.repository(reference);
            let at = goals.iter().position(|goal| goal.repository.name() == repository.name());
            let at = at.unwrap_or_else(|| {
                goals.push(Goal { repository, tags: Vec::new() });
                goals.len() - 1
            });
            let goal = &mut goals[at];
            if let Some(tag) = tag
                && !goal.tags.iter().any(|(known, _)| known == tag)
            {
                let was = goal.repository.digest_of(tag, true)?;
                goal.tags.push((tag.clone(), was));
            }
        }
        let mut repositories = Vec::new();
        for (at, goal) in goals.iter().enumerate() {
            let mut told = self.content(&goals[..=at], goal)?;
            // Before tags, so that whoever finds a tag finds these, too.
            let (dry_run, repository) = (self.request.dry_run, &goal.repository);
            told.attached =
                attach::attach(self.cx, repository, self.root, self.documents, dry_run)?;
            repositories.push(told);
        }
        for goal in &goals {
            self.tag(goal)?;
        }
        let references = self.request.references.iter().zip(&self.tags).map(|(reference, tag)| {
            let goal = goals.iter().find(|goal| goal.repository.name() == reference.name());
            let known = goal
                .zip(tag.as_ref())
                .and_then(|(goal, tag)| goal.tags.iter().find(|(known, _)| known == tag));
            let was = known.and_then(|(_, was)| *was);
            Pushed { repository: reference.name(), tag: tag.clone(), was }
        });
        Ok(Push {
            schema: SCHEMA,
            dry_run: self.request.dry_run,
            digest: self.root.digest,
            media_type: self.root.media_type.to_string(),
            references: references.collect(),
            repositories,
        })
    }

    /// Blobs, manifests and indexes of one repository; `goals` are those before it, and itself.
    fn content(&self, goals: &[Goal], goal: &Goal) -> Result<Told> {
        let repository = &goal.repository;
        let before = goals
            .iter()
            .map(|goal| &goal.repository)
            .filter(|other| other.host() == repository.host() && other.path() != repository.path());
        let mut from: Vec<String> = before.map(|other| other.path().to_owned()).collect();
        from.extend(
            self.request.mount_from.iter().filter(|path| *path != repository.path()).cloned(),
        );
        let mut told = self.blobs(repository, &from)?;
        for part in &self.upload.documents {
            self.cx.children.check()?;
            let digest = part.digest.to_string();
            if repository.digest_of(&digest, true)?.is_none() {
                if !self.request.dry_run {
                    repository.put(&digest, &part.media_type, &part.bytes)?;
                }
                told.written.push(part.digest);
            }
        }
        if !self.request.dry_run {
            let Told { uploaded, uploaded_bytes, mounted, present, .. } = &told;
            let mut parts =
                vec![format!("{} blobs sent ({})", uploaded.len(), summary::size(*uploaded_bytes))];
            if !mounted.is_empty() {
                parts.push(format!("{} mounted", mounted.len()));
            }
            parts.push(format!("{} there before", present.len()));
            self.cx.status(
                "Pushed",
                format!("{}@{}: {}", repository.name(), self.root.digest, parts.join(", ")),
            );
        }
        Ok(told)
    }

    /// Sends the blobs that the repository does not have, several at once.
    fn blobs(&self, repository: &Repository, from: &[String]) -> Result<Told> {
        let all = &self.upload.blobs;
        let meter = Meter::new(self.cx, repository, self.upload);
        let results = Mutex::new(Vec::new());
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(blob) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                if meter.stopped() {
                    break;
                }
                let result = self.blob(repository, blob, from, &meter);
                let failed = result.is_err();
                let result = result.map(|sent| (blob, sent));
                results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
                // Only now, so that what made the others fail stands before them.
                if failed {
                    meter.stop.store(true, Ordering::Relaxed);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(all.len()) {
                scope.spawn(work);
            }
        });
        self.cx.emit(Event::ProgressDone);
        self.cx.children.check()?;
        let mut told = Told {
            name: repository.name(),
            uploaded: Vec::new(),
            uploaded_bytes: 0,
            mounted: Vec::new(),
            present: Vec::new(),
            written: Vec::new(),
            attached: Vec::new(),
        };
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        for result in results {
            // What failed first is first, and made the others stop.
            let (blob, sent) = result?;
            match sent {
                None => told.present.push(blob.digest),
                Some(Sent::Mounted(_)) => told.mounted.push(blob.digest),
                Some(Sent::Uploaded) => {
                    told.uploaded.push(blob.digest);
                    told.uploaded_bytes = told.uploaded_bytes.saturating_add(blob.size);
                }
            }
        }
        for list in [&mut told.uploaded, &mut told.mounted, &mut told.present] {
            list.sort();
        }
        Ok(told)
    }

    /// Sends one blob, where it is not there.
    fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        from: &[String],
        meter: &Meter<'_>,
    ) -> Result<Option<Sent>> {
        if repository.has_blob(descriptor.digest)? {
            meter.add(i64::try_from(descriptor.size).unwrap_or(i64::MAX))?;
            return Ok(None);
        }
        if self.request.dry_run {
            return Ok(Some(Sent::Uploaded));
        }
        let path = crate::oci::layout::blob_path(descriptor.digest);
        let open = || {
            let missing = || Error::check(format!("`{}`: `{path}` is missing", self.path));
            self.store.open(&path)?.ok_or_else(missing)
        };
        let sent = |bytes| meter.add(bytes);
        let blob = Blob { descriptor, open: &open, sent: &sent };
        let sent = repository.send_blob(&blob, from).map_err(|error| match error.status() {
            Status::CheckFailed => named(self.path, &error),
            _ => error,
        })?;
        Ok(Some(sent))
    }

    /// Lets the tags point at what is there now, and looks whether they do.
    fn tag(&self, goal: &Goal) -> Result<()> {
        let (repository, digest) = (&goal.repository, self.root.digest);
        for (tag, was) in &goal.tags {
            let name = format!("{}:{tag}", repository.name());
            if *was == Some(digest) {
                self.cx.status("Unchanged", format!("{name} is {digest}"));
                continue;
            }
            if self.request.dry_run {
                continue;
            }
            self.cx.children.check()?;
            repository.put(tag, &self.root.media_type, &self.root.bytes)?;
            let is = repository.digest_of(tag, true)?;
            if is != Some(digest) {
                let is = is.map_or("nothing".to_owned(), |is| format!("`{is}`"));
                let message =
                    format!("`{name}` was written as `{digest}`, and right after that it is {is}");
                return Err(Error::new(Status::Registry, message).hint(format!(
                    "somebody else wrote the tag at the same time; what was pushed is `{}@{digest}`",
                    repository.name()
                )));
            }
            let was = was.map_or(String::new(), |was| format!(" (it was {was})"));
            self.cx.status("Tagged", format!("{name}{was}"));
        }
        Ok(())
    }
}

fn is_tag(reference: &Reference, tag: &str) -> bool {
    let known = Reference { tag: Some(tag.to_owned()), digest: None, ..reference.clone() };
    known.to_string().parse() == Ok(known)
}

/// How far a push is, told from several threads.
struct Meter<'a> {
    cx: &'a Context,
    name: String,
    total: u64,
    done: AtomicU64,
    /// What was told last.
    told: AtomicU64,
    stop: AtomicBool,
}

impl<'a> Meter<'a> {
    fn new(cx: &'a Context, repository: &Repository, upload: &Upload) -> Self {
        let (name, total) = (repository.name(), upload.size());
        let zero = AtomicU64::new(0);
        Meter { cx, name, total, done: zero, told: AtomicU64::new(0), stop: AtomicBool::new(false) }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Counts bytes. Fails where another blob has failed: this one is not needed any more.
    fn add(&self, bytes: i64) -> Result<()> {
        self.cx.children.check()?;
        if self.stopped() {
            return Err(Error::new(Status::Registry, "another blob failed"));
        }
        let before = self.done.fetch_add(bytes.cast_unsigned(), Ordering::Relaxed);
        let done = before.wrapping_add_signed(bytes).min(self.total);
        let told = self.told.load(Ordering::Relaxed);
        // A hundred times in all.
        if done == self.total || done.abs_diff(told) > self.total / 100 {
            self.told.store(done, Ordering::Relaxed);
            let detail = format!("bytes to {}", self.name);
            self.cx.emit(Event::Progress { verb: "Pushing", done, total: self.total, detail });
        }
        Ok(())
    }
}

/// What `push` would do, for people.
pub fn text(push: &Push) -> String {
    let mut lines = Vec::new();
    for repository in &push.repositories {
        let Told { name, uploaded, present, written, attached, .. } = repository;
        lines.push(format!("{name}@{}", push.digest));
        for (what, list) in [("send", uploaded), ("keep", present), ("write", written)] {
            let kind = if what == "write" { "manifest" } else { "blob" };
            lines.extend(list.iter().map(|digest| format!("  {what:<5} {kind} {digest}")));
        }
        for of in attached {
            let what = if of.present { "keep " } else { "attach" };
            lines.push(format!("  {what} {} {}", of.artifact_type, of.digest));
        }
        let mut told = BTreeSet::new();
        for of in push.references.iter().filter(|of| of.repository == *name) {
            let Some(tag) = &of.tag else { continue };
            if told.insert(tag) {
                lines.push(match of.was {
                    Some(was) if was == push.digest => format!("  keep  tag {tag}"),
                    Some(was) => format!("  move  tag {tag} from {was}"),
                    None => format!("  write tag {tag}"),
                });
            }
        }
    }
    lines.push(String::new());
    lines.join("\n")
}
