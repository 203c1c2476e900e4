//! The search for files to verify below the paths that were named.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    PolicyRules,
    archived::RecordedArchive,
    attestation,
    file::{rejected, rejected_by},
    kind::{DIR_FORM, FileKind, START_SIZE},
    release::RecordedFile,
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
    ops::{
        image::store::{self, Located},
        output::manifest,
    },
    sys::{
        directory::{DEPTH, Walk, WalkStep},
        fs::{self, FileType},
    },
    verify::Policy,
};

/// One file to verify, or a result that is already known.
pub(super) enum VerifyJob {
    Done(Checked),
    /// A file that was named.
    Named(Utf8PathBuf),
    /// A file in a directory that was named, and its kind.
    Listed(Utf8PathBuf, FileKind),
    /// The directory of an OCI layout.
    Layout(Utf8PathBuf),
    /// The same of a `dist.json`, and the digest that it must have.
    Image(Utf8PathBuf, Digest, Box<ImagePolicies>),
    /// An image of a layout or archive: the user's argument, the path and the name.
    Chosen(Utf8PathBuf, Utf8PathBuf, String),
    /// An image in a registry, by its name.
    Remote(Utf8PathBuf, Reference),
    /// An archive of a `dist.json`.
    Archive(Utf8PathBuf, Box<RecordedArchive>),
    /// Another file of a `dist.json`.
    Recorded(Utf8PathBuf, RecordedFile),
    /// A binary of a `dist.json`.
    Artifact(Utf8PathBuf, Box<(Artifact, Policy)>),
}

/// The files below the given paths.
#[derive(Default)]
pub(super) struct FoundJobs {
    pub(super) jobs: Vec<VerifyJob>,
    pub(super) not_checked: Vec<NotChecked>,
    /// The bundles of Sigstore's beside files.
    pub(super) bundles: Vec<Utf8PathBuf>,
    /// The files and releases, each with the file that describes its target.
    pub(super) used: Vec<(Utf8PathBuf, Option<String>)>,
}

impl FoundJobs {
    /// Adds the file, directory or image at `path`.
    pub(super) fn add_path(&mut self, path: &Utf8Path, rules: &PolicyRules<'_>) -> Result<()> {
        if let Some(manifest) = manifest::manifest_path(path) {
            return self.add_release(&manifest, rules);
        }
        self.used.push((path.to_owned(), rules.origin(path)?));
        match fs::file_type(path, true) {
            Ok(FileType::Directory) => self.add_directory(path),
            Ok(_) => self.jobs.push(VerifyJob::Named(path.to_owned())),
            Err(error) => match store::locate(path.as_str()) {
                Ok(Located::Registry(reference)) => {
                    self.jobs.push(VerifyJob::Remote(path.to_owned(), reference));
                }
                Ok(Located::Path(location, Some(name))) => {
                    self.jobs.push(VerifyJob::Chosen(path.to_owned(), location, name));
                }
                Ok(Located::Path(_, None)) => self.reject(path, &error),
                Err(error) if store::transport_hint(path.as_str()).is_some() => {
                    self.reject(path, &error);
                }
                Err(_) if !store::is_reference(path.as_str()) => self.reject(path, &error),
                Err(error) => self.reject(path, &error),
            },
        }
        Ok(())
    }

    pub(super) fn reject(&mut self, path: &Utf8Path, error: &Error) {
        self.jobs.push(VerifyJob::Done(rejected_by(path.as_str(), error)));
    }

    fn skip(&mut self, path: &Utf8Path, reason: &str) {
        self.not_checked.push(NotChecked { path: path.to_string(), reason: reason.to_owned() });
    }

    /// Finds every program, library, archive and image below a directory. One without any is rejected:
    /// a user who names it expects a check.
    fn add_directory(&mut self, path: &Utf8Path) {
        let before = self.jobs.len();
        self.walk(path, None);
        if self.jobs.len() == before {
            self.jobs
                .push(VerifyJob::Done(rejected(path.as_str(), "no program is in the directory")));
        }
    }

    /// Adds the files of a directory with a layout that are not among those of its images.
    pub(super) fn add_files_beside(&mut self, layout: &Utf8Path, images: &BTreeSet<String>) {
        self.walk(layout, Some((layout, images)));
    }

    /// Reports an image that is not read; its files are checked one by one. A user who names it
    /// expects a verdict on the image.
    fn report_dir_form(&mut self, directory: &Utf8Path, named: bool) {
        if named {
            let error = Error::check(DIR_FORM).hint(store::dir_hint(directory.as_str()));
            self.reject(directory, &error);
        } else {
            self.skip(directory, DIR_FORM);
        }
    }

    fn walk(&mut self, directory: &Utf8Path, layout: Option<LayoutFiles<'_>>) {
        let mut walk = Walk::new(directory, DEPTH);
        while let Some(step) = walk.next() {
            match step {
                WalkStep::Directory(path, names) => {
                    let is_named = path == directory && layout.is_none();
                    let is_root = layout.is_some_and(|(root, _)| root == path);
                    if self.add_image(&path, &names, is_named, is_root) {
                        walk.skip_contents();
                    }
                }
                WalkStep::Entry(path, meta) => {
                    let of_image = layout.is_some_and(|(root, images)| {
                        path.strip_prefix(root).is_ok_and(|path| images.contains(path.as_str()))
                    });
                    match FileType::from(&meta) {
                        FileType::Directory => {}
                        _ if of_image => {}
                        FileType::File { .. } => self.add_file(path),
                        FileType::Link => self.skip(&path, "a symbolic link"),
                        FileType::Other => self.skip(&path, "neither a file nor a directory"),
                    }
                }
                WalkStep::Unreadable(path, error) | WalkStep::NotUtf8(path, error) => {
                    self.reject(&path, &error);
                }
            }
        }
    }

    /// Adds the image of a directory with these names, if it is one that is read as an image. `is_root` is set
    /// for a layout in which other files are searched for, too.
    fn add_image(
        &mut self,
        directory: &Utf8Path,
        names: &[String],
        is_named: bool,
        is_root: bool,
    ) -> bool {
        let has = |name: &str| names.iter().any(|known| known == name);
        let store = || store::Directory(directory.to_owned());
        let is_layout = has(image::LAYOUT_FILE.0)
            || has(image::INDEX) && has("blobs")
            || has(DOCKER_MANIFEST) && image::is_image(&store()).unwrap_or(false);
        if is_layout && !is_root {
            self.jobs.push(VerifyJob::Layout(directory.to_owned()));
            return true;
        }
        if has("version") && image::is_dir(&store()).unwrap_or(false) {
            self.report_dir_form(directory, is_named);
        }
        false
    }

    /// Adds a file that was found in a directory, if it is a program or an archive.
    fn add_file(&mut self, path: Utf8PathBuf) {
        if attestation::is_bundle(&path) {
            self.bundles.push(path);
            return;
        }
        match fs::read_start(&path, START_SIZE) {
            Ok(start) => match FileKind::detect(&start) {
                FileKind::ElfPart(reason) | FileKind::Other(reason) => self.skip(&path, reason),
                kind => self.jobs.push(VerifyJob::Listed(path, kind)),
            },
            Err(error) => self.reject(&path, &error),
        }
    }
}

/// The directory of a layout, and the files of its images.
type LayoutFiles<'a> = (&'a Utf8Path, &'a BTreeSet<String>);
