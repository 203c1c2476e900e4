//! The objects that are sent before tags are written: blobs, manifests and indexes.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::{PushTarget, Pusher};
use crate::{
    image::{distribution::Upload, oci::Descriptor},
    model::{
        bytes::Size,
        collect::SortStable as _,
        error::{Error, Result, Status},
        event::Event,
        schema::push::Repository as Told,
    },
    sys::{
        Context, parallel,
        registry::{Blob, BlobOutcome, Repository},
    },
};

/// The number of blobs that are sent at once.
const MAX_PARALLEL: usize = 4;

impl Pusher<'_> {
    /// Sends blobs, manifests and indexes of one repository; `goals` are those before it, and itself.
    pub(super) fn send_content(&self, goals: &[PushTarget], goal: &PushTarget) -> Result<Told> {
        let repository = &goal.repository;
        let before = goals
            .iter()
            .map(|goal| &goal.repository)
            .filter(|other| other.host() == repository.host() && other.path() != repository.path());
        let mut from: Vec<String> = before.map(|other| other.path().to_owned()).collect();
        from.extend(
            self.request.mount_from.iter().filter(|path| *path != repository.path()).cloned(),
        );
        let mut reported = self.send_blobs(repository, &from)?;
        for part in &self.upload.documents {
            self.cx.children.check()?;
            let digest = part.digest.to_string();
            if repository.digest_of(&digest, true)?.is_none() {
                if !self.request.dry_run {
                    repository.put(&digest, &part.media_type, &part.bytes)?;
                }
                reported.written.push(part.digest);
            }
        }
        if !self.request.dry_run {
            let Told { uploaded, uploaded_bytes, mounted, present, .. } = &reported;
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
        Ok(reported)
    }

    /// Sends the blobs that the repository does not have, several at once.
    fn send_blobs(&self, repository: &Repository, from: &[String]) -> Result<Told> {
        let all = &self.upload.blobs;
        let meter = Meter::new(self.cx, repository, self.upload);
        let failure = Mutex::new(None);
        let results = parallel::map_on(MAX_PARALLEL, all.len(), |index| {
            if meter.has_failed() {
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
        let mut reported = Told {
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
                None => reported.present.push(blob.digest),
                Some(BlobOutcome::Mounted(_)) => reported.mounted.push(blob.digest),
                Some(BlobOutcome::Uploaded) => {
                    reported.uploaded.push(blob.digest);
                    reported.uploaded_bytes = reported.uploaded_bytes.saturating_add(blob.size);
                }
            }
        }
        for list in [&mut reported.uploaded, &mut reported.mounted, &mut reported.present] {
            list.sort_stable();
        }
        Ok(reported)
    }

    /// Sends one blob, unless the repository has it.
    fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        from: &[String],
        meter: &Meter<'_>,
    ) -> Result<Option<BlobOutcome>> {
        if repository.has_blob(descriptor.digest)? {
            meter.add(i64::try_from(descriptor.size).unwrap_or(i64::MAX))?;
            return Ok(None);
        }
        if self.request.dry_run {
            return Ok(Some(BlobOutcome::Uploaded));
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
    /// The progress that was last reported.
    reported: AtomicU64,
    stop: AtomicBool,
}

impl<'a> Meter<'a> {
    fn new(cx: &'a Context, repository: &Repository, upload: &Upload) -> Self {
        let (name, total) = (repository.name(), upload.size());
        let zero = AtomicU64::new(0);
        Meter {
            cx,
            name,
            total,
            done: zero,
            reported: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        }
    }

    fn has_failed(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Counts bytes. Fails if another blob has failed: this one is not needed any more.
    fn add(&self, bytes: i64) -> Result<()> {
        self.cx.children.check()?;
        if self.has_failed() {
            return Err(Error::new(Status::Registry, "another blob failed"));
        }
        let before = self.done.fetch_add(bytes.cast_unsigned(), Ordering::Relaxed);
        let done = before.wrapping_add_signed(bytes).min(self.total);
        let reported = self.reported.load(Ordering::Relaxed);
        // A hundred times in all.
        if done == self.total || done.abs_diff(reported) > self.total / 100 {
            self.reported.store(done, Ordering::Relaxed);
            let detail = format!("bytes to {}", self.name);
            self.cx.emit(Event::Progress { verb: "Pushing", done, total: self.total, detail });
        }
        Ok(())
    }
}
