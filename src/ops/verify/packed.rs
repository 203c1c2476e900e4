//! Looking into archives and images.

use std::{
    io::{Cursor, Read},
    sync::PoisonError,
};

use camino::Utf8Path;

use super::{
    find,
    look::{self, File, Looker, Outcome, refused},
};
use crate::{
    elf::{ReadAt as _, Source},
    error::{Error, Result},
    oci::{Digest, Reference, archive::DOCKER_MANIFEST},
    ops::store::{Directory, Tar},
    schema::verify::{Checked, NotChecked},
    sys::{
        file::{OpenFile, Spool},
        registry::Remote,
    },
    unpack::{
        self, Budget, Entry, Kind, Packing,
        image::{self, Image, Images, Store},
    },
    verify::{self, Mode, Policy, Whole},
};

/// The most of an entry that is kept in memory; what is larger is kept in a file.
const MEMORY: u64 = 4 << 20;

/// The most entries without a verdict that are told one by one.
const TOLD: usize = 10_000;

impl Looker<'_> {
    /// What there is to say of the archive, or of the image, that begins with `start`.
    pub(super) fn archive(
        &self,
        path: &Utf8Path,
        file: &OpenFile,
        start: &[u8],
        policy: &Policy,
        listed: bool,
    ) -> Outcome {
        let _one = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
        let name = path.as_str();
        let mut inside = Inside::new(self, name, policy);
        if unpack::is_zip(start) {
            let read =
                unpack::zip(Source::File(file), &mut |entry, content| inside.entry(entry, content));
            return inside.end(file, read, listed);
        }
        if unpack::is_deb(start) {
            let whole = file.reader(0..file.size());
            let read = unpack::deb(whole, &mut |entry, content| inside.entry(entry, content));
            return inside.end(file, read, listed);
        }
        match self.stream(path, file, start, &mut inside, listed) {
            Ok(Some(outcome)) => outcome,
            Ok(None) => inside.end(file, Ok(()), listed),
            Err(error) => inside.end(file, Err(error), listed),
        }
    }

    /// A tar archive, an image in one, or one file that is compressed. None where all that is to be
    /// said is in `inside`.
    fn stream(
        &self,
        path: &Utf8Path,
        file: &OpenFile,
        start: &[u8],
        inside: &mut Inside<'_>,
        listed: bool,
    ) -> Result<Option<Outcome>> {
        let budget = Budget::default();
        let packing = Packing::of(start);
        let broken = |error| Error::check("it cannot be unpacked").because(error);
        let mut stream = unpack::unpack(file.reader(0..file.size()), packing, &budget)?;
        let mut first = Vec::new();
        (&mut stream).take(find::START).read_to_end(&mut first).map_err(broken)?;
        let mut stream = Cursor::new(first.clone()).chain(stream);
        if !unpack::is_tar(&first) {
            let name = path.file_stem().unwrap_or("content");
            let entry = Entry {
                path: name.to_owned(),
                kind: Kind::File,
                mode: None,
                capabilities: false,
                start: None,
                stat: unpack::Stat::default(),
            };
            inside.entry(&entry, &mut stream)?;
            std::io::copy(&mut stream, &mut std::io::sink()).map_err(broken)?;
            if listed && inside.found.checked.is_empty() {
                return Ok(Some(std::mem::take(&mut inside.found)));
            }
            return Ok(None);
        }
        if !looks_like_image(&first) {
            unpack::tar_file(&mut stream, &mut |entry, content| inside.entry(entry, content))?;
            if !inside.marked {
                return Ok(None);
            }
            // It was an image in an unusual order.
            let again = unpack::unpack(file.reader(0..file.size()), packing, &Budget::default());
            stream = Cursor::new(Vec::new()).chain(again?);
        }
        let mut spool = None;
        let tar = match packing {
            Packing::None => Tar::read(file)?,
            _ => Tar::read(spool.insert(Spool::new(&mut stream)?).file())?,
        };
        if image::is_image(&tar)? {
            return self.images(path.as_str(), &tar, inside.policy, listed).map(Some);
        }
        if !inside.marked {
            unpack::tar_file(&mut tar.reader(), &mut |entry, content| {
                inside.entry(entry, content)
            })?;
        }
        Ok(None)
    }

    /// What there is to say of the layout in a directory, which must point at that digest where
    /// one is said.
    pub(super) fn layout(
        &self,
        path: &Utf8Path,
        digest: Option<Digest>,
        policy: &Policy,
    ) -> Outcome {
        let _one = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
        let store = Directory(path.to_owned());
        let name = path.as_str();
        let looked = image::images(&store).and_then(|found| match digest {
            Some(digest) if found.top != [digest] => {
                let message = format!("its `index.json` does not point at `{digest}` alone");
                Err(Error::check(message))
            }
            _ => self.images_of(name, &store, &found, policy, false),
        });
        looked.unwrap_or_else(|error| Outcome::of(refused(name, &error.to_string())))
    }

    /// What there is to say of an image in a registry.
    pub(super) fn remote(&self, path: &Utf8Path, of: &Reference, policy: &Policy) -> Outcome {
        let _one = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
        let name = path.as_str();
        let looked = Remote::open(&self.session, of).and_then(|remote| {
            let looked = self.images(name, &remote, policy, false);
            match remote.failure() {
                None => looked.map(|outcome| Outcome {
                    remote: Some((path.to_owned(), remote.digest())),
                    ..outcome
                }),
                Some(error) => Err(error),
            }
        });
        looked.unwrap_or_else(|error| Outcome::of(refused(name, &error.to_string())))
    }

    fn images(
        &self,
        path: &str,
        store: &dyn Store,
        policy: &Policy,
        listed: bool,
    ) -> Result<Outcome> {
        self.images_of(path, store, &image::images(store)?, policy, listed)
    }

    pub(super) fn images_of(
        &self,
        path: &str,
        store: &dyn Store,
        found: &Images,
        policy: &Policy,
        listed: bool,
    ) -> Result<Outcome> {
        let mut all = Outcome::default();
        for broken in &found.broken {
            all.checked.push(refused(&format!("{path}!{}", broken.name), &broken.what));
        }
        for other in &found.others {
            let skipped = Outcome::skip(&format!("{path}!{}", other.name), &other.what);
            all.not_checked.extend(skipped.not_checked);
        }
        for image in &found.images {
            let outcome = self.image(path, store, image, policy, listed);
            all.checked.extend(outcome.checked);
            all.not_checked.extend(outcome.not_checked);
        }
        if found.images.is_empty() && found.broken.is_empty() && !listed {
            all.checked.push(refused(path, "it has no image"));
        }
        Ok(all)
    }

    fn image(
        &self,
        path: &str,
        store: &dyn Store,
        image: &Image,
        policy: &Policy,
        listed: bool,
    ) -> Outcome {
        let name = format!("{path}!{}", image.name);
        let policy = policy.clone().with_platform(&image.platform);
        let mut inside = Inside::new(self, &name, &policy);
        let read = image::files(store, image, &mut |entry, content| inside.entry(entry, content));
        let faults = match read {
            Ok(faults) => faults,
            Err(error) => {
                inside.unreadable.push(error.to_string());
                Vec::new()
            }
        };
        let of = |lies: bool| {
            let faults = faults.iter().filter(move |fault| fault.lies == lies);
            faults.map(|fault| fault.message.clone())
        };
        inside.unreadable.extend(of(false));
        let lies = of(true).collect();
        inside.none(listed);
        let whole = Whole {
            image: true,
            size: image.size,
            base: self.base.and_then(|base| base.image(path, &image.platform)),
            unreadable: std::mem::take(&mut inside.unreadable),
            lies,
            hazards: Vec::new(),
        };
        inside.outcome(&whole)
    }
}

/// Whether a tar archive that begins so may hold an image: the names that layouts and `docker save`
/// begin with. Others are read once instead of twice.
fn looks_like_image(start: &[u8]) -> bool {
    let name = start.get(..100).unwrap_or_default();
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    let name = String::from_utf8_lossy(name);
    let name = name.trim_start_matches("./");
    let first = name.split('/').next().unwrap_or_default();
    let hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let known = ["blobs", "oci-layout", "index.json", "manifest.json", "repositories", ""];
    known.contains(&first) || hex(first.split('.').next().unwrap_or_default())
}

/// What is found in one archive or image.
struct Inside<'a> {
    looker: &'a Looker<'a>,
    name: &'a str,
    policy: &'a Policy,
    found: Outcome,
    hazards: Vec<String>,
    unreadable: Vec<String>,
    /// Whether it has a file that marks images.
    marked: bool,
    /// Entries without a verdict that are not told.
    untold: usize,
}

impl<'a> Inside<'a> {
    fn new(looker: &'a Looker<'a>, name: &'a str, policy: &'a Policy) -> Self {
        Inside {
            looker,
            name,
            policy,
            found: Outcome::default(),
            hazards: Vec::new(),
            unreadable: Vec::new(),
            marked: false,
            untold: 0,
        }
    }

    fn skip(&mut self, path: String, reason: impl Into<String>) {
        if self.found.not_checked.len() < TOLD {
            self.found.not_checked.push(NotChecked { path, reason: reason.into() });
        } else {
            self.untold += 1;
        }
    }

    /// Looks at one entry.
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        self.looker.cx.children.check()?;
        let name = format!("{}!{}", self.name, entry.path);
        self.hazards.extend(entry.hazard());
        let path = entry.path.trim_start_matches("./");
        self.marked |= [image::MARK.0, DOCKER_MANIFEST].contains(&path);
        match &entry.kind {
            Kind::File => self.file(&name, entry, content)?,
            Kind::Directory => {}
            Kind::Link(to) => {
                self.skip(name, format!("a symbolic link to `{}`", to.escape_debug()))
            }
            Kind::HardLink(to) => {
                self.skip(name, format!("another name of `{}`", to.escape_debug()));
            }
            Kind::Special(what) => self.skip(name, *what),
            Kind::Unknown(what) => {
                self.found.checked.push(refused(&name, &format!("it is {what}")))
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &str, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        let broken = |error| Error::check(format!("`{name}` cannot be unpacked")).because(error);
        let mut bytes = Vec::new();
        content.take(find::START).read_to_end(&mut bytes).map_err(broken)?;
        if let Some(reason) = verify::other_kind(&bytes) {
            self.skip(name.to_owned(), reason);
            return Ok(());
        }
        content.take(MEMORY).read_to_end(&mut bytes).map_err(broken)?;
        let mode = entry.mode;
        let mode = mode.map(|bits| Mode { bits, capabilities: entry.capabilities });
        let file = |source, place| File { source, name, mode, listed: true, place };
        // To be started, it has to be in a file.
        let small = (bytes.len() as u64) < MEMORY && self.looker.request.run.is_none();
        let outcome = if small {
            self.looker.look(file(Source::Bytes(&bytes), None), self.policy)
        } else {
            let rest = Cursor::new(bytes).chain(content);
            let spool = Spool::new(&mut rest.take(look::MOST + 1))?;
            self.looker.look(file(Source::File(spool.file()), Some(spool.path())), self.policy)
        };
        self.found.checked.extend(outcome.checked);
        for file in outcome.not_checked {
            self.skip(file.path, file.reason);
        }
        Ok(())
    }

    /// Notes that nothing was found where somebody expects something.
    fn none(&mut self, listed: bool) {
        if self.found.checked.is_empty() && self.unreadable.is_empty() && !listed {
            self.unreadable.push("no program is in it".to_owned());
        }
    }

    /// What there is to say of an archive that was read with that outcome.
    fn end(mut self, file: &OpenFile, read: Result<()>, listed: bool) -> Outcome {
        self.unreadable.extend(read.err().map(|error| error.to_string()));
        self.none(listed);
        let whole = Whole {
            size: Some(file.size()),
            base: self.looker.base.and_then(|base| base.archive(self.name)),
            unreadable: std::mem::take(&mut self.unreadable),
            hazards: std::mem::take(&mut self.hazards),
            ..Whole::default()
        };
        self.outcome(&whole)
    }

    fn outcome(mut self, whole: &Whole) -> Outcome {
        let verdict = self.policy.waive(verify::whole(whole, self.policy), self.name);
        let checked = Checked {
            path: self.name.to_owned(),
            target: None,
            sha256: None,
            verdict,
            facts: Vec::new(),
        };
        self.found.checked.insert(0, checked);
        if self.untold > 0 {
            let reason = format!("{} more files that are no programs", self.untold);
            self.found.not_checked.push(NotChecked { path: self.name.to_owned(), reason });
        }
        self.found
    }
}
