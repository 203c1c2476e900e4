//! Verdicts on archives and images.

use std::{
    io::{Cursor, Read},
    sync::PoisonError,
};

use camino::Utf8Path;

use super::{
    container::ContainerVerdicts,
    file::{FileOutcome, FileVerifier, rejected, rejected_by},
    find::{FoundJobs, VerifyJob},
    kind::START_SIZE,
    platforms,
    rules::ImagePolicies,
};
use crate::{
    archive::unpack::{self, ArchiveEntry, ArchiveFormat, Budget, Compression, EntryKind, Member},
    image::{
        contents::{self, MemoryLimit},
        read::image::{self, Images, Store, StoredImage},
    },
    model::{
        digest::Digest,
        error::{Error, Result},
        reference::Reference,
        source::{ReadAt as _, Source},
    },
    ops::image::{
        interrupt::{Interruptible, InterruptibleStore},
        store::{Directory, Tar, max_spool_size, spool},
    },
    sys::{file::OpenFile, registry::Remote},
    verify::{ArchiveOrImage, Policy},
};

/// The files of a store below one of its directories, which ends with a slash unless it is the root.
struct StoreDirectory<'a> {
    store: &'a dyn Store,
    directory: &'a str,
}

impl Store for StoreDirectory<'_> {
    fn open(&self, path: &str) -> Result<Option<Box<dyn Read + '_>>> {
        self.store.open(&format!("{}{path}", self.directory))
    }
}

impl FileVerifier<'_> {
    /// Returns a reader of the complete file, which fails when the program is interrupted.
    fn reader<'a>(&'a self, file: &'a OpenFile) -> impl Read + 'a {
        Interruptible::new(file.reader(0..file.size()), &self.cx.children)
    }

    /// Returns the results for the archive, or for the image.
    pub(super) fn check_archive_file(
        &self,
        path: &Utf8Path,
        file: &OpenFile,
        format: ArchiveFormat,
        policy: &Policy,
        listed: bool,
    ) -> FileOutcome {
        let _one = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
        let name = path.as_str();
        let mut inside = ContainerVerdicts::new(self, name, policy);
        inside.max_spooled = max_spool_size(file.size());
        let read = match format {
            ArchiveFormat::Zip => unpack::read_zip(Source::File(file), &mut |entry, content| {
                inside.check_entry(entry, content)
            }),
            ArchiveFormat::Deb => {
                unpack::read_deb(self.reader(file), &mut |member, entry, content| {
                    // The scripts that dpkg runs when it installs the package.
                    if member == Member::Control {
                        let path = format!("control.tar/{}", entry.path.trim_start_matches("./"));
                        inside.hazards.extend(entry.hazard());
                        return inside
                            .check_entry(&ArchiveEntry { path, ..entry.clone() }, content);
                    }
                    inside.check_entry(entry, content)
                })
            }
            ArchiveFormat::Rpm => {
                unpack::read_rpm(self.reader(file), &mut |member, entry, content| {
                    // The scripts that rpm runs when it installs the package.
                    if member == Member::Control {
                        let path = format!("scripts/{}", entry.path);
                        return inside
                            .check_entry(&ArchiveEntry { path, ..entry.clone() }, content);
                    }
                    inside.check_entry(entry, content)
                })
            }
            ArchiveFormat::Stream(compression) => {
                match self.check_stream(path, file, compression, &mut inside, listed) {
                    Ok(Some(outcome)) => return outcome,
                    read => read.map(drop),
                }
            }
        };
        inside.finish(file, read, listed)
    }

    /// Reads a tar archive, an image in one, or one file that is compressed. `None` if all results are
    /// in `inside`.
    fn check_stream(
        &self,
        path: &Utf8Path,
        file: &OpenFile,
        compression: Compression,
        inside: &mut ContainerVerdicts<'_>,
        listed: bool,
    ) -> Result<Option<FileOutcome>> {
        let budget = Budget::default();
        let broken = |error| Error::check("it cannot be unpacked").because(error);
        let mut stream = unpack::unpack(self.reader(file), compression, &budget)?;
        let mut first = Vec::new();
        (&mut stream).take(START_SIZE).read_to_end(&mut first).map_err(broken)?;
        let mut stream = Cursor::new(first.clone()).chain(stream);
        if !unpack::is_tar(&first) {
            let name = path.file_stem().unwrap_or("content");
            let entry = ArchiveEntry {
                path: name.to_owned(),
                kind: EntryKind::File,
                mode: None,
                capabilities: false,
                start: None,
                stat: unpack::Stat::default(),
            };
            inside.check_entry(&entry, &mut stream)?;
            std::io::copy(&mut stream, &mut std::io::sink()).map_err(broken)?;
            if listed && inside.found.checked.is_empty() {
                let not_checked = inside.take_skipped();
                return Ok(Some(FileOutcome { not_checked, ..FileOutcome::default() }));
            }
            return Ok(None);
        }
        unpack::read_tar_strictly(&mut stream, &mut |entry, content| {
            inside.check_entry(entry, content)
        })?;
        if !inside.marked {
            return Ok(None);
        }
        let mut unpacked = None;
        let tar = match compression {
            Compression::None => Tar::read(file, &self.cx.children)?,
            _ => {
                let whole = self.reader(file);
                let mut stream = unpack::unpack(whole, compression, &Budget::default())?;
                let spool = unpacked.insert(spool(&mut stream, max_spool_size(file.size()))?);
                Tar::read(spool.file(), &self.cx.children)?
            }
        };
        let (mut all, is_image) = self.check_layouts(path, &tar, inside, listed)?;
        if is_image && inside.hazards.is_empty() {
            all.checked.append(&mut inside.found.checked);
            all.not_checked.append(&mut inside.take_skipped());
            return Ok(Some(all));
        }
        // The archive itself is rejected, and has a separate verdict.
        inside.found.checked.append(&mut all.checked);
        inside.found.not_checked.append(&mut all.not_checked);
        Ok(None)
    }

    /// Returns the results for the images in a tar archive and in its directories, and whether the
    /// archive itself is an image.
    fn check_layouts(
        &self,
        path: &Utf8Path,
        tar: &Tar<'_>,
        inside: &mut ContainerVerdicts<'_>,
        listed: bool,
    ) -> Result<(FileOutcome, bool)> {
        let mut all = FileOutcome::default();
        let mut is_image = false;
        let policies = ImagePolicies::one(inside.policy.clone());
        for directory in tar.layouts() {
            let store = StoreDirectory { store: tar, directory: &directory };
            let name = match directory.trim_end_matches('/') {
                "" if !image::is_image(&store)? => continue,
                "" => path.to_string(),
                within => format!("{path}!{within}"),
            };
            is_image |= directory.is_empty();
            let mut found = match image::read_images(&store) {
                Ok(found) => found,
                Err(error) if directory.is_empty() => return Err(error),
                Err(error) => {
                    all.checked.push(rejected_by(&name, &error));
                    continue;
                }
            };
            let files = found.files.clone();
            let outcome = self.check_images(&name, &store, &mut found, &policies, listed)?;
            all.checked.extend(outcome.checked);
            all.not_checked.extend(outcome.not_checked);
            let of_image = |path: &String| {
                path.strip_prefix(&directory).is_some_and(|path| files.contains(path))
            };
            inside.skipped.retain(|(path, _)| !of_image(path));
        }
        Ok((all, is_image))
    }

    /// Returns the results for the layout in a directory, which must point at that digest if one is
    /// given.
    pub(super) fn check_layout(
        &self,
        path: &Utf8Path,
        digest: Option<Digest>,
        policies: &ImagePolicies,
    ) -> FileOutcome {
        let store = Directory(path.to_owned());
        let name = path.as_str();
        let (mut all, files) = {
            let _one = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
            let found = image::read_images(&store);
            let files = found.as_ref().map(|found| found.files.clone()).unwrap_or_default();
            let result = found.and_then(|mut found| match digest {
                Some(digest) if found.top != [digest] => {
                    let message = format!("its `index.json` does not point at `{digest}` alone");
                    Err(Error::check(message))
                }
                of_release => {
                    if of_release.is_some() {
                        platforms::reject_missing(&mut found);
                    }
                    self.check_images(name, &store, &mut found, policies, false)
                }
            });
            let rejected = |error: Error| FileOutcome::from_checked(rejected_by(name, &error));
            (result.unwrap_or_else(rejected), files)
        };
        let mut beside = FoundJobs::default();
        beside.add_files_beside(path, &files);
        all.not_checked.append(&mut beside.not_checked);
        for job in beside.jobs {
            let outcome = match job {
                VerifyJob::Done(checked) => FileOutcome::from_checked(checked),
                VerifyJob::Layout(path) => self.check_layout(&path, None, policies),
                VerifyJob::Listed(path, kind) => self.check_listed(&path, kind, policies.any()),
                // A directory has none of these.
                VerifyJob::Named(..)
                | VerifyJob::Remote(..)
                | VerifyJob::Chosen(..)
                | VerifyJob::Image(..)
                | VerifyJob::Archive(..)
                | VerifyJob::Recorded(..)
                | VerifyJob::Artifact(..) => continue,
            };
            all.checked.extend(outcome.checked);
            all.not_checked.extend(outcome.not_checked);
        }
        all
    }

    /// Returns the results for an image in a registry.
    pub(super) fn check_remote(
        &self,
        path: &Utf8Path,
        reference: &Reference,
        policy: &Policy,
    ) -> FileOutcome {
        let _one = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
        let name = path.as_str();
        let result = Remote::open(&self.session, reference).and_then(|remote| {
            let result = image::read_images(&remote).and_then(|mut found| {
                platforms::reject_missing(&mut found);
                let policies = ImagePolicies::one(policy.clone());
                self.check_images(name, &remote, &mut found, &policies, false)
            });
            match remote.failure() {
                None => result.map(|outcome| FileOutcome {
                    remote: Some((path.to_owned(), remote.digest())),
                    ..outcome
                }),
                Some(error) => Err(error),
            }
        });
        result.unwrap_or_else(|error| FileOutcome::from_checked(rejected_by(name, &error)))
    }

    pub(super) fn check_images(
        &self,
        path: &str,
        store: &dyn Store,
        found: &mut Images,
        policies: &ImagePolicies,
        listed: bool,
    ) -> Result<FileOutcome> {
        let mut all = self.select_platforms(path, found);
        for broken in &found.broken {
            all.checked.push(rejected(&format!("{path}!{}", broken.name), &broken.description));
        }
        for other in &found.others {
            let skipped = FileOutcome::skip(&format!("{path}!{}", other.name), &other.description);
            all.not_checked.extend(skipped.not_checked);
        }
        for image in &found.images {
            let outcome =
                self.check_image(path, store, image, &policies.policy(&image.platform), listed);
            all.checked.extend(outcome.checked);
            all.not_checked.extend(outcome.not_checked);
        }
        if found.images.is_empty() && all.checked.is_empty() && !listed {
            all.checked.push(rejected(path, "it has no image"));
        }
        Ok(all)
    }

    fn check_image(
        &self,
        path: &str,
        store: &dyn Store,
        image: &StoredImage,
        policy: &Policy,
        listed: bool,
    ) -> FileOutcome {
        let name = format!("{path}!{}", image.name);
        let mut inside = ContainerVerdicts::new(self, &name, policy);
        // Without a size, layers are not compressed.
        inside.max_spooled = image.size.map_or(u64::MAX, max_spool_size);
        let store = InterruptibleStore { store, children: &self.cx.children };
        let scanned =
            contents::scan(&store, image, &mut MemoryLimit::default(), &mut |item, content| {
                inside.check_item(&item, content)
            });
        let mut corrupt = Vec::new();
        match scanned {
            Ok(scan) => {
                inside.name_hidden(&scan.hidden_entries());
                for fault in scan.faults {
                    let list = if fault.mismatch { &mut corrupt } else { &mut inside.unreadable };
                    list.push(fault.message);
                }
            }
            Err(error) => inside.unreadable.push(error.to_string()),
        }
        inside.note_empty(listed);
        let whole = ArchiveOrImage {
            image: true,
            size: image.size,
            base: self.base.and_then(|base| base.image(path, &image.platform)),
            unreadable: std::mem::take(&mut inside.unreadable),
            mismatches: corrupt,
            warnings: image.warnings.clone(),
            hazards: Vec::new(),
        };
        inside.outcome(&whole)
    }
}
