//! What there is to look at below the paths that were named.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    Rules,
    archived::Archived,
    kind::{DIR_FORM, FileKind, START},
    look::{refused, refused_by},
    release::{self, Recorded},
    rules::ImagePolicies,
};
use crate::{
    image::{oci::archive::DOCKER_MANIFEST, read::image},
    model::{
        digest::Digest,
        error::{Error, Result},
        reference::Reference,
        schema::{
            dist::Artifact,
            verify::{Checked, NotChecked},
        },
    },
    ops::image::store::{self, Located},
    sys::fs::{self, Kind},
    verify::Policy,
};

/// The deepest directory below one that was named.
const DEPTH: usize = 128;

/// One file to look at, or what is known of it without that.
pub(super) enum Job {
    Done(Checked),
    /// A file that was named.
    Named(Utf8PathBuf),
    /// A file in a directory that was named, and what it is.
    Listed(Utf8PathBuf, FileKind),
    /// The directory of an OCI layout.
    Layout(Utf8PathBuf),
    /// The same of a `dist.json`, and the digest that it must have.
    Image(Utf8PathBuf, Digest, Box<ImagePolicies>),
    /// An image of a layout or archive: what the user wrote, the path and the name.
    Chosen(Utf8PathBuf, Utf8PathBuf, String),
    /// An image in a registry, by its name.
    Remote(Utf8PathBuf, Reference),
    /// An archive of a `dist.json`.
    Archive(Utf8PathBuf, Box<Archived>),
    /// Another file of a `dist.json`.
    Recorded(Utf8PathBuf, Recorded),
    /// A binary of a `dist.json`.
    Artifact(Utf8PathBuf, Box<(Artifact, Policy)>),
}

/// What is below the given paths.
#[derive(Default)]
pub(super) struct Found {
    pub(super) jobs: Vec<Job>,
    pub(super) not_checked: Vec<NotChecked>,
    /// The files and releases, each with the file that describes its target.
    pub(super) used: Vec<(Utf8PathBuf, Option<String>)>,
}

impl Found {
    /// Adds what `path` is, or holds.
    pub(super) fn path(&mut self, path: &Utf8Path, rules: &Rules<'_>) -> Result<()> {
        if release::directory(path).is_none() {
            self.used.push((path.to_owned(), rules.origin(path)?));
        }
        match fs::kind(path, true) {
            Ok(Kind::Directory) if path.join("dist.json").is_file() => {
                self.path(&path.join("dist.json"), rules)?;
            }
            Ok(Kind::Directory) => self.directory(path),
            Ok(Kind::File { .. }) if path.file_name() == Some("dist.json") => {
                self.release(path, rules)?;
            }
            Ok(_) => self.jobs.push(Job::Named(path.to_owned())),
            Err(error) => match store::locate(path.as_str()) {
                Ok(Located::Registry(reference)) => {
                    self.jobs.push(Job::Remote(path.to_owned(), reference));
                }
                Ok(Located::Path(place, Some(name))) => {
                    self.jobs.push(Job::Chosen(path.to_owned(), place, name));
                }
                Ok(Located::Path(_, None)) => self.refuse(path, &error),
                Err(error) if store::transport_hint(path.as_str()).is_some() => {
                    self.refuse(path, &error);
                }
                Err(_) if !store::is_reference(path.as_str()) => self.refuse(path, &error),
                Err(error) => self.refuse(path, &error),
            },
        }
        Ok(())
    }

    pub(super) fn refuse(&mut self, path: &Utf8Path, error: &Error) {
        self.jobs.push(Job::Done(refused_by(path.as_str(), error)));
    }

    fn skip(&mut self, path: &Utf8Path, reason: &str) {
        self.not_checked.push(NotChecked { path: path.to_string(), reason: reason.to_owned() });
    }

    /// Every program, library, archive and image below a directory. One without any is refused:
    /// whoever names it expects something to be looked at.
    fn directory(&mut self, path: &Utf8Path) {
        let before = self.jobs.len();
        self.walk(path, 0, None);
        if self.jobs.len() == before {
            self.jobs.push(Job::Done(refused(path.as_str(), "no program is in the directory")));
        }
    }

    /// Adds the files of a directory with a layout that are not among those of its images.
    pub(super) fn beside(&mut self, layout: &Utf8Path, images: &BTreeSet<String>) {
        self.walk(layout, 0, Some((layout, images)));
    }

    /// Reports an image that is not read; its files are checked one by one. A user who names it
    /// expects a verdict on the image.
    fn dir_form(&mut self, directory: &Utf8Path, named: bool) {
        if named {
            let error = Error::check(DIR_FORM).hint(store::dir_hint(directory.as_str()));
            self.refuse(directory, &error);
        } else {
            self.skip(directory, DIR_FORM);
        }
    }

    fn walk(&mut self, directory: &Utf8Path, depth: usize, layout: Option<Layout<'_>>) {
        if depth > DEPTH {
            let why = format!("it is more than {DEPTH} directories deep");
            self.jobs.push(Job::Done(refused(directory.as_str(), &why)));
            return;
        }
        let names = match fs::names(directory) {
            Ok(names) => names,
            Err(error) => return self.refuse(directory, &error),
        };
        let has = |name: &str| names.iter().any(|known| known == name);
        let store = || store::Directory(directory.to_owned());
        let is_layout = has(image::MARK.0)
            || has(image::INDEX) && has("blobs")
            || has(DOCKER_MANIFEST) && image::is_image(&store()).unwrap_or(false);
        if is_layout && layout.is_none_or(|(root, _)| root != directory) {
            self.jobs.push(Job::Layout(directory.to_owned()));
            return;
        }
        if has("version") && image::is_dir(&store()).unwrap_or(false) {
            self.dir_form(directory, depth == 0 && layout.is_none());
        }
        for name in names {
            let path = directory.join(name);
            let of_image = layout.is_some_and(|(root, images)| {
                path.strip_prefix(root).is_ok_and(|path| images.contains(path.as_str()))
            });
            match fs::kind(&path, false) {
                Ok(Kind::Directory) => self.walk(&path, depth + 1, layout),
                Ok(_) if of_image => {}
                Ok(Kind::File { .. }) => match fs::read_start(&path, START) {
                    Ok(start) => match FileKind::of(&start) {
                        FileKind::ElfPart(reason) | FileKind::Other(reason) => {
                            self.skip(&path, reason);
                        }
                        kind => self.jobs.push(Job::Listed(path, kind)),
                    },
                    Err(error) => self.refuse(&path, &error),
                },
                Ok(Kind::Link) => self.skip(&path, "a symbolic link"),
                Ok(Kind::Other) => self.skip(&path, "neither a file nor a directory"),
                Err(error) => self.refuse(&path, &error),
            }
        }
    }
}

/// The directory of a layout, and the files of its images.
type Layout<'a> = (&'a Utf8Path, &'a BTreeSet<String>);
