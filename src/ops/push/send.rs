//! The objects that are sent before tags are written: blobs, manifests and indexes.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::{Goal, Pusher};
use crate::{
    image::{distribution::Upload, oci::Descriptor},
    model::{
        bytes::Size,
        error::{Error, Result, Status},
        event::Event,
        schema::push::Repository as Told,
    },
    sys::{
        Context, parallel,
        registry::{Blob, Repository, Sent},
    },
};

/// The number of blobs that are sent at once.
const AT_ONCE: usize = 4;

impl Pusher<'_> {
    /// Sends blobs, manifests and indexes of one repository; `goals` are those before it, and itself.
    pub(super) fn content(&self, goals: &[Goal], goal: &Goal) -> Result<Told> {
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
                vec![format!("{} blobs sent ({})", uploaded.len(), Size(*uploaded_bytes))];
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
        let failure = Mutex::new(None);
        let results = parallel::map_on(AT_ONCE, all.len(), |index| {
            if meter.stopped() {
                return None;
            }
            let sent = self.blob(repository, &all[index], from, &meter);
            sent.map_err(|error| {
                let mut first = failure.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(error);
                // Only now, so that what made the others fail is the one that is reported.
                meter.stop.store(true, Ordering::Relaxed);
            })
            .ok()
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
        if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        for (blob, sent) in all.iter().zip(results.into_iter().flatten()) {
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
        let path = crate::image::oci::layout::blob_path(descriptor.digest);
        let open = || {
            let missing = || Error::check(format!("`{}`: `{path}` is missing", self.path));
            self.store.open(&path)?.ok_or_else(missing)
        };
        let sent = |bytes| meter.add(bytes);
        let blob = Blob { descriptor, open: &open, sent: &sent };
        let sent = repository.send_blob(&blob, from).map_err(|error| match error.status() {
            Status::CheckFailed => error.context(format!("`{}`", self.path)),
            _ => error,
        })?;
        Ok(Some(sent))
    }
}

/// The progress of a push, reported from several threads.
struct Meter<'a> {
    cx: &'a Context,
    name: String,
    total: u64,
    done: AtomicU64,
    /// The progress of the last report.
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
