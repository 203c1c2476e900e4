//! The items to measure at a path, or under the name of an image.

use std::{
    io::{Cursor, Read as _},
    sync::Arc,
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    archive::{
        compress::{self, NoCacheAt},
        unpack,
    },
    binary::elf::{self, Facts},
    image::{
        contents::{self, MemoryLimit},
        read::image,
    },
    model::{
        error::{Error, Result},
        schema::{
            dist::{Archive, ArchiveKind, Artifact, Dist, Image},
            packaging::GzipLevel,
            size::{Attribution as Record, Dependency},
        },
        source::{ReadAt as _, ReadError, Source},
    },
    ops::{
        image::store::{self, Located},
        output::manifest,
    },
    release::bom::audit,
    size::{self, Attribution, Evidence, MeasuredBinary, MeasuredRelease, PackedOutput},
    sys::{
        Context,
        file::{self, OpenFile, Spool},
        fs::{self, FileType},
        registry::Session,
    },
};

/// The maximum size of a record of an attribution, and of a binary, in bytes.
const MAX_SIZE: u64 = 1 << 30;

/// The settings of a measurement.
pub(super) struct Measurer<'a> {
    pub(super) cx: &'a Context,
    pub(super) session: &'a Arc<Session>,
    /// The file with the symbols of a file that was named.
    pub(super) symbols: Option<&'a Utf8Path>,
    /// Whether compressed sizes of files are requested: those of a `dist` are known.
    pub(super) compressed: bool,
}

impl Measurer<'_> {
    /// Returns the items at `path`: a binary, a `dist.json` or the directory that has one, or an image.
    ///
    /// # Errors
    /// It is none of these, or cannot be read.
    pub(super) fn read(&self, path: &str) -> Result<MeasuredRelease> {
        let location = Utf8Path::new(path);
        if let Some(manifest) = manifest::manifest_path(location) {
            return self.dist(&manifest);
        }
        match fs::file_type(location, true) {
            Ok(FileType::File { .. }) => match &*fs::read_start(location, 4)? {
                b"\x7fELF" => self.file(location),
                [b'{' | b' ' | b'\n', ..] => self.dist(location),
                _ => self.images(location),
            },
            Ok(_) => self.images(location),
            Err(_) if store::locate(path).is_ok() => self.images(location),
            Err(_) => Err(Error::usage(format!("there is no `{path}`")).hint(
                "name a binary, a `dist.json` or its directory, or an image such as `HOST/NAME:TAG`",
            )),
        }
    }

    fn file(&self, path: &Utf8Path) -> Result<MeasuredRelease> {
        let file = file::open(path)?;
        let source = Source::File(&file);
        let release = self.release_of(path);
        if self.symbols.is_none()
            && let Some((root, dist)) = &release
            && let Some(mut binary) = self.recorded_binary(root, dist, path, source)?
        {
            path.as_str().clone_into(&mut binary.path);
            let binaries = vec![binary];
            return Ok(MeasuredRelease {
                name: format!("`{path}`"),
                binaries,
                ..MeasuredRelease::default()
            });
        }
        let mut note = None;
        let symbols = match self.symbols {
            Some(symbols) => {
                let content = file::open(symbols)?;
                if !belongs_to(symbols, source, Source::File(&content))? {
                    return Err(Error::check(format!(
                        "`{symbols}` is of another build than `{path}`: neither their build ids nor \
                         their code are the same"
                    ))
                    .hint("name the file that it was stripped from, or its `.debug` file"));
                }
                Some(content)
            }
            None => find_debug_file(path, source, &mut note),
        };
        let symbols = symbols.as_ref().map(|file| Source::File(file));
        let level = release.map(|(_, dist)| dist.gzip_level()).unwrap_or_default();
        let mut binary = self.binary(path.as_str(), source, symbols, level)?;
        binary.note = binary.note.or(note);
        let binaries = vec![binary];
        Ok(MeasuredRelease { name: format!("`{path}`"), binaries, ..MeasuredRelease::default() })
    }

    /// Returns the release with the file in its directory, and that directory.
    fn release_of(&self, path: &Utf8Path) -> Option<(Utf8PathBuf, Dist)> {
        let path = self.cx.env.dir.join(path);
        // As in `target/dist/linux/arm/v7/bin/NAME`.
        let mut directories = path.ancestors().skip(1).take(5);
        directories.find_map(|root| Some((root.to_owned(), manifest::read_in(root).ok()?)))
    }

    /// Returns the attribution that a release recorded for a binary in its directory, found by the digest.
    fn recorded_binary(
        &self,
        root: &Utf8Path,
        dist: &Dist,
        path: &Utf8Path,
        source: Source<'_>,
    ) -> Result<Option<MeasuredBinary>> {
        let digest = source.digest().map_err(|error| unreadable_error(path.as_str(), &error))?;
        let mut artifacts = dist.artifacts.iter();
        let Some(artifact) = artifacts.find(|one| one.sha256 == digest) else { return Ok(None) };
        let recorded = artifact.attribution.as_ref();
        if !recorded.is_some_and(|file| root.join(&file.path).is_file()) {
            return Ok(None);
        }
        self.artifact(root, dist, artifact).map(Some)
    }

    /// Returns a single binary. `level` is that of compressed sizes.
    fn binary(
        &self,
        path: &str,
        source: Source<'_>,
        symbols: Option<Source<'_>>,
        level: GzipLevel,
    ) -> Result<MeasuredBinary> {
        let costs = |locations: &[u64]| compress::costs(source, locations, &NoCacheAt(level));
        let evidence = Evidence {
            separate: symbols,
            native: &|_| None,
            costs: if self.compressed { Some(&costs) } else { None },
        };
        let found =
            size::attribute(source, &evidence).map_err(|error| unreadable_error(path, &error))?;
        let name = path.rsplit(['/', '!']).next().unwrap_or(path);
        let packer = Facts::read(source).ok().and_then(|facts| facts.packer);
        Ok(MeasuredBinary {
            name: name.to_owned(),
            path: path.to_owned(),
            size: found.size,
            dependencies: dependencies(source),
            attribution: Some(found),
            note: packer.map(|packer| {
                format!(
                    "it is packed by {packer}, which hides its content: measure the unpacked file"
                )
            }),
            ..MeasuredBinary::default()
        })
    }

    fn dist(&self, path: &Utf8Path) -> Result<MeasuredRelease> {
        let dist = manifest::read(path)?;
        let root = path.parent().unwrap_or(Utf8Path::new(""));
        let name = match (&dist.release.version, &dist.release.revision) {
            (Some(version), Some(hash)) => {
                let short = hash.get(..12).unwrap_or(hash);
                format!("{} {version} ({short})", dist.release.name)
            }
            (Some(version), None) => format!("{} {version}", dist.release.name),
            (None, _) => dist.release.name.clone(),
        };
        let artifacts = dist.artifacts.iter();
        Ok(MeasuredRelease {
            name,
            asked: dist.release.request.clone(),
            binaries: artifacts
                .map(|one| self.artifact(root, &dist, one))
                .collect::<Result<_>>()?,
            archives: dist.archives.iter().map(packed_archive).collect(),
            images: dist.images.iter().flat_map(|one| packed_images(&dist, one)).collect(),
        })
    }

    /// Returns a binary of a `dist.json`: as it was recorded; else from the file; else only its size.
    fn artifact(
        &self,
        root: &Utf8Path,
        dist: &Dist,
        artifact: &Artifact,
    ) -> Result<MeasuredBinary> {
        let mut binary = MeasuredBinary {
            name: artifact.name.clone(),
            target: Some(artifact.target.clone()),
            platform: Some(artifact.platform.clone()),
            path: artifact.path.clone(),
            size: artifact.size,
            ..MeasuredBinary::default()
        };
        if let Some(file) = &artifact.attribution {
            binary.crates.clone_from(&file.crates);
            let location = root.join(&file.path);
            if location.is_file() {
                let (record, attribution) = read_record(&location, artifact)?;
                binary.dependencies = record.dependencies;
                binary.attribution = Some(attribution);
                return Ok(binary);
            }
        }
        let location = root.join(&artifact.path);
        if !location.is_file() {
            let what = match binary.crates.is_empty() {
                true => "only its size is known",
                false => "its symbols are not known",
            };
            binary.note = Some(format!("{what}: neither the file nor its attribution is there"));
            return Ok(binary);
        }
        let file = file::open(&location)?;
        let source = Source::File(&file);
        let digest =
            source.digest().map_err(|error| unreadable_error(location.as_str(), &error))?;
        if digest != artifact.sha256 {
            return Err(Error::check(format!("`{location}` does not match `dist.json`"))
                .hint("make the release again"));
        }
        let debug = artifact.debug.as_ref().map(|debug| root.join(&debug.path));
        let debug = debug.filter(|debug| debug.is_file()).map(|debug| file::open(&debug));
        let debug = debug.transpose()?;
        let debug = debug.as_ref().map(|file| Source::File(file));
        let measured = self.binary(location.as_str(), source, debug, dist.gzip_level())?;
        binary.dependencies = measured.dependencies;
        binary.attribution = measured.attribution;
        Ok(binary)
    }

    fn images(&self, path: &Utf8Path) -> Result<MeasuredRelease> {
        let shown = path.as_str().trim_start_matches("docker://");
        let mut release =
            MeasuredRelease { name: format!("`{shown}`"), ..MeasuredRelease::default() };
        let (location, chosen) = match store::locate(path.as_str())? {
            Located::Path(location, name) => (location, name),
            Located::Registry(_) => (path.to_owned(), None),
        };
        store::open(&self.cx.children, self.session, &location, |images, _| {
            let mut found = image::read_images(images)?;
            if let Some(name) = &chosen {
                found = store::select_named(found, &location, name)?;
            }
            if let Some(broken) = found.broken.first() {
                return Err(Error::check(format!(
                    "`{path}`: {}: {}",
                    broken.name, broken.description
                )));
            }
            for absent in &found.absent {
                self.cx.warn(format!("`{path}`: {}", absent.reason));
            }
            for image in &found.images {
                let mut size = image.size.unwrap_or(0);
                let mut binaries = Vec::new();
                let limit = &mut MemoryLimit::default();
                let scan = contents::scan(images, image, limit, &mut |item, content| {
                    self.cx.children.check()?;
                    let entry = item.entry;
                    let file = crate::image::read::layers::absolute(&entry.path);
                    let broken =
                        |error| Error::check(format!("`{file}` cannot be unpacked")).because(error);
                    if entry.kind != unpack::EntryKind::File {
                        return Ok(());
                    }
                    let mut bytes = Vec::new();
                    content.take(4).read_to_end(&mut bytes).map_err(broken)?;
                    if bytes != b"\x7fELF" {
                        return Ok(());
                    }
                    let name = format!("{shown}!{}!{file}", image.name);
                    let mut rest = Cursor::new(bytes).chain(content);
                    let spool = Spool::new(&mut (&mut rest).take(MAX_SIZE))?;
                    let mut binary =
                        self.binary(&name, Source::File(spool.file()), None, GzipLevel::default())?;
                    binary.platform = Some(image.platform.clone());
                    binaries.push((item.number, spool.file().size(), binary));
                    Ok(())
                })?;
                if let Some(fault) = scan.faults.first() {
                    return Err(Error::check(format!("`{path}`: {}", fault.message)));
                }
                let hidden = scan.hidden_entries();
                binaries.retain(|(number, ..)| !hidden.contains(number));
                if image.size.is_none() {
                    size = binaries.iter().map(|(_, size, _)| size).sum();
                }
                release.binaries.extend(binaries.into_iter().map(|(.., binary)| binary));
                release.images.push(PackedOutput {
                    name: without_tag(shown).to_owned(),
                    platform: image.platform.clone(),
                    target: None,
                    path: shown.to_owned(),
                    from: Utf8PathBuf::new(),
                    size,
                });
            }
            Ok(())
        })?;
        Ok(release)
    }
}

/// Returns an image's name without its tag, its digest and its registry: it is the same in another
/// registry.
fn without_tag(text: &str) -> &str {
    let name = text.split('@').next().unwrap_or(text);
    let last = name.trim_end_matches('/').rsplit('/').next().unwrap_or(name);
    last.split(':').next().unwrap_or(last)
}

fn unreadable_error(path: &str, error: &ReadError) -> Error {
    Error::check(format!("`{path}` cannot be measured: {error}"))
}

fn belongs_to(path: &Utf8Path, source: Source<'_>, symbols: Source<'_>) -> Result<bool> {
    elf::is_symbol_file(source, symbols).map_err(|error| unreadable_error(path.as_str(), &error))
}

/// Returns the separate debug file of a program, from the path that debuggers search (`gdb`, "Debugging
/// Information in Separate Files"), or the one that `dist` writes. One of another build is reported, and not
/// used.
fn find_debug_file(
    path: &Utf8Path,
    source: Source<'_>,
    note: &mut Option<String>,
) -> Option<OpenFile> {
    let dir = path.parent().unwrap_or(Utf8Path::new(""));
    let own = format!("{}.debug", path.file_name().unwrap_or_default());
    let name = debug_link(source).unwrap_or(own);
    let locations: [Utf8PathBuf; 3] =
        [dir.join(&name), dir.join(".debug").join(&name), dir.join("..").join("debug").join(&name)];
    for location in
        locations.iter().filter(|location| location.is_file() && location.as_path() != path)
    {
        match file::open(location)
            .map(|content| (elf::is_symbol_file(source, Source::File(&content)), content))
        {
            Ok((Ok(true), content)) => return Some(content),
            Ok((Ok(false), _)) => *note = Some(format!("`{location}` is of another build")),
            Ok((Err(error), _)) => *note = Some(format!("`{location}` cannot be read: {error}")),
            Err(error) => *note = Some(error.to_string()),
        }
    }
    None
}

/// Returns the name of the debug file that the program records.
fn debug_link(source: Source<'_>) -> Option<String> {
    let link = elf::read_section(source, ".gnu_debuglink").ok()??;
    let name = String::from_utf8(link.split(|byte| *byte == 0).next()?.to_vec()).ok()?;
    // It is a name, and no path.
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// Returns the crates that a binary lists.
fn dependencies(source: Source<'_>) -> Vec<Dependency> {
    let section = elf::read_section(source, ".dep-v0").ok().flatten().unwrap_or_default();
    audit::decode_section(&section)
        .into_iter()
        .map(|(name, version)| Dependency { name, version })
        .collect()
}

fn read_record(path: &Utf8Path, artifact: &Artifact) -> Result<(Record, Attribution)> {
    let bad = |what: String| {
        Error::check(format!("`{path}` is not the attribution of `{}`: {what}", artifact.path))
            .hint("make the release again")
    };
    let bytes = fs::read_start(path, MAX_SIZE)?;
    let record: Record = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
    if record.sha256 != artifact.sha256 || record.size != artifact.size {
        return Err(bad("it is of another file".to_owned()));
    }
    let attribution = size::from_record(&record).map_err(bad)?;
    Ok((record, attribution))
}

fn packed_archive(archive: &Archive) -> PackedOutput {
    let file = archive.path.rsplit('/').next().unwrap_or(&archive.path);
    let split = |separator: char| file.split(separator).collect::<Vec<_>>();
    PackedOutput {
        name: match archive.kind {
            ArchiveKind::Deb => without_version(&split('_'), "_"),
            ArchiveKind::Rpm => without_rpm_version(file),
            ArchiveKind::Arch => without_arch_version(file),
            ArchiveKind::Wheel => without_version(&split('-'), "-"),
            ArchiveKind::Npm => {
                let version = archive.version.split('+').next().unwrap_or_default();
                file.replacen(&format!("-{version}"), "", 1)
            }
            ArchiveKind::Binaries | ArchiveKind::Debug => {
                file.replacen(&format!("-{}", archive.version), "", 1)
            }
        },
        platform: archive.platform.clone(),
        target: Some(archive.target.clone()),
        path: archive.path.clone(),
        from: Utf8PathBuf::new(),
        size: archive.size,
    }
}

/// Returns a file name without its second part, the version.
fn without_version(parts: &[&str], separator: &str) -> String {
    let rest = parts.iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, part)| *part);
    rest.collect::<Vec<_>>().join(separator)
}

/// Returns the name of an RPM package's file, `NAME-VERSION-RELEASE.ARCH.rpm`, without version and release.
fn without_rpm_version(file: &str) -> String {
    let mut parts = file.rsplitn(3, '-');
    let (release, _, name) = (parts.next(), parts.next(), parts.next());
    let architecture = release.map(|rest| rest.rsplitn(3, '.').take(2).collect::<Vec<_>>());
    match (name, architecture.as_deref()) {
        (Some(name), Some([ending, architecture])) => format!("{name}.{architecture}.{ending}"),
        _ => file.to_owned(),
    }
}

/// Returns the name of a package for Arch Linux without version and release: `NAME-VERSION-RELEASE-ARCH.pkg.tar.zst`.
fn without_arch_version(file: &str) -> String {
    let mut parts = file.rsplitn(4, '-');
    match (parts.next(), parts.nth(2)) {
        (Some(architecture), Some(name)) => format!("{name}-{architecture}"),
        _ => file.to_owned(),
    }
}

fn packed_images<'a>(dist: &'a Dist, image: &'a Image) -> impl Iterator<Item = PackedOutput> + 'a {
    image.platforms.iter().map(|one| {
        let target = dist.artifacts.iter().find(|artifact| artifact.platform == one.platform);
        PackedOutput {
            name: image.name.clone(),
            platform: one.platform.clone(),
            target: target.map(|artifact| artifact.target.clone()),
            path: image.path.clone(),
            from: Utf8PathBuf::new(),
            size: one.size,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_packages_do_not_change_with_their_version() {
        for (file, name) in [
            ("my-tool-1.2.3-1.x86_64.rpm", "my-tool.x86_64.rpm"),
            ("tool-1.2.3.rc.1-1.fc40.aarch64.rpm", "tool.aarch64.rpm"),
            ("tool.rpm", "tool.rpm"),
        ] {
            assert_eq!(without_rpm_version(file), name);
        }
    }
}
