//! The contents of the archives of one package for one target.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Seek, Write},
};

use camino::{Utf8Path, Utf8PathBuf};

use super::{ArchiveInputs, form::ArchiveForm};
use crate::{
    archive::{
        arch,
        compress::ChunkCache,
        deb, is_companion_of, npm, rpm,
        tar::Meta,
        tree::{Content, ContentSource, FileStore, Node, Tree},
        wheel,
    },
    model::{
        collect::CollectOrdered as _,
        digest::Digest,
        error::{Error, Result},
        schema::{
            dist::{Companion, Packed},
            packaging::Format,
            plan,
        },
    },
    ops::{output::digests, verify::kind::FileKind},
    sys::{
        file::{self, FileStamp},
        fs,
    },
    verify::VerifiedArtifact,
};

/// A file in an archive.
#[derive(Clone, Copy)]
struct ContentFile {
    digest: Digest,
    size: u64,
    executable: bool,
    stamp: FileStamp,
}

/// The files, by their paths in the archive.
pub(super) struct ArchiveContents<'a> {
    inputs: &'a ArchiveInputs<'a>,
    plan: &'a plan::Archive,
    artifacts: Vec<&'a VerifiedArtifact>,
    companions: Vec<&'a Companion>,
    files: BTreeMap<String, ContentFile>,
}

impl<'a> ArchiveContents<'a> {
    /// Checks every file that is requested.
    ///
    /// # Errors
    /// One is missing, cannot be read, or is not the one that was verified.
    pub(super) fn read(inputs: &'a ArchiveInputs<'a>, plan: &'a plan::Archive) -> Result<Self> {
        if let Some(bad) = [&plan.name, &plan.package].into_iter().find(|name| name.contains('/')) {
            return Err(Error::usage(format!("no file can be called `{bad}`"))
                .hint("a package has a name without `/`"));
        }
        semver::Version::parse(&plan.version).map_err(|error| {
            let what = format!("package `{}` has the version `{}`", plan.package, plan.version);
            Error::usage(what).because(error).hint("see https://semver.org for valid versions")
        })?;
        let mut artifacts = Vec::new();
        for name in &plan.binaries {
            let of_it = |a: &&VerifiedArtifact| {
                let a = a.artifact();
                a.package == plan.package && a.target == plan.target && a.name == *name
            };
            artifacts.push(inputs.artifacts.iter().find(of_it).ok_or_else(|| {
                Error::build(format!("there is no binary `{name}` for `{}`", plan.target))
            })?);
        }
        // If each binary has a separate archive, the package's other binaries are left out.
        let of_binary =
            |c: &Companion| plan.binaries.iter().any(|name| is_companion_of(&c.install_path, name));
        let of_it =
            |c: &&Companion| c.package == plan.package && c.target == plan.target && of_binary(c);
        let companions = inputs.companions.iter().filter(of_it).collect();
        let mut contents =
            ArchiveContents { inputs, plan, artifacts, companions, files: BTreeMap::new() };
        contents.read_files()?;
        Ok(contents)
    }

    fn read_files(&mut self) -> Result<()> {
        let root = self.inputs.root;
        let artifacts = self.artifacts.iter().copied();
        let debug = artifacts.clone().filter_map(|a| a.artifact().debug.as_ref());
        let companions = self.companions.iter().map(|c| (&c.path, c.sha256));
        let written: BTreeSet<&String> = self.companions.iter().map(|c| &c.path).collect_set();
        let recorded = artifacts
            .map(|a| (&a.artifact().path, a.digest()))
            .chain(debug.map(|debug| (&debug.path, debug.sha256)))
            .chain(companions);
        for (name, expected) in recorded {
            let found = self.inputs.digests.get(root, name, None)?;
            let path = root.join(name);
            if found.digest != expected {
                return Err(Error::check(format!("`{path}` does not match `dist.json`")).hint(
                    "archives contain only files that were built and accepted here, by digest",
                ));
            }
            if found.is_program && written.contains(name) {
                self.check_verified(&path, found.digest)?;
            }
            let digests::DigestedFile { digest, size, stamp, .. } = found;
            self.files.insert(path.into(), ContentFile { digest, size, executable: false, stamp });
        }
        let own = self.plan.files.values();
        let deb = self.plan.deb.iter().flat_map(|deb| deb.files.values());
        let rpm = self.plan.rpm.iter().flat_map(|rpm| rpm.files.values());
        for path in own.chain(deb).chain(rpm) {
            let path = self.inputs.workspace.join(path);
            let fs::FileType::File { mode, .. } = fs::file_type(&path, true)? else {
                return Err(Error::usage(format!("`{path}` is not a file")));
            };
            let mut open = file::open_watched(&path, None)?;
            let stamp = open.stamp();
            let mut program = false;
            let (digest, size) =
                fs::hash(&mut open, |start| program = FileKind::detect(start).is_binary())
                    .map_err(|error| fs::file_error("read", &path, error))?;
            if program {
                self.check_verified(&path, digest)?;
            }
            let executable = mode & 0o111 != 0;
            self.files.insert(path.into_string(), ContentFile { digest, size, executable, stamp });
        }
        Ok(())
    }

    /// Checks that the program at `path` is one of the verified binaries.
    fn check_verified(&self, path: &Utf8Path, digest: Digest) -> Result<()> {
        if self.inputs.artifacts.iter().any(|artifact| artifact.digest() == digest) {
            return Ok(());
        }
        let package = &self.plan.package;
        Err(Error::check(format!(
            "`{path}` would be in an archive of `{package}`, and was not verified"
        ))
        .hint(
            "archives contain only programs that were built and accepted here, by digest; leave it \
             out of `archive.include`, `deb.files` and `rpm.files`, or make it a binary of the workspace",
        ))
    }

    /// Returns the bytes of that file, and whether it may be executed.
    fn content(&self, path: &str) -> Result<(Content, bool)> {
        let missing = || Error::build(format!("`{path}` was not read"));
        let file = self.files.get(path).ok_or_else(missing)?;
        let source = ContentSource::Named(path.to_owned());
        Ok((Content { source, size: file.size, link: None }, file.executable))
    }

    fn binaries(&self) -> Result<Vec<(&str, Content)>> {
        let is_planned = |artifact: &&'a VerifiedArtifact| {
            let artifact = artifact.artifact();
            let path = self.inputs.root.join(&artifact.path);
            Ok((artifact.name.as_str(), self.content(path.as_str())?.0))
        };
        self.artifacts.iter().map(is_planned).collect()
    }

    /// Returns the contents of an archive of that kind.
    ///
    /// # Errors
    /// Two files have one path.
    fn tree(&self, kind: &ArchiveForm<'_>) -> Result<Tree> {
        let (plan, root) = (self.plan, self.inputs.root);
        let meta = |mode| Meta { mode, uid: 0, gid: 0, mtime: self.inputs.epoch };
        let mut tree = Tree::default();
        let mut put = |path: &str, content: Content, executable: bool| {
            let path = format!("/{}/{path}", plan.name);
            let parts: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
            if tree.get(&parts).is_some() {
                return Err(Error::usage(format!("two files of `{}` are `{path}`", plan.name))
                    .hint("give an include another path: `{ from = \"…\", to = \"…\" }`"));
            }
            let mode = if executable { 0o755 } else { 0o644 };
            tree.add_file(&path, meta(0o755), meta(mode), content)
        };
        match kind {
            ArchiveForm::Deb(deb) => return self.deb(deb)?.installed_tree(),
            ArchiveForm::Rpm(rpm) => return self.rpm(rpm)?.installed_tree(),
            ArchiveForm::Arch(arch) => {
                return self.arch(arch)?.tree(|content| self.content_digest(content));
            }
            ArchiveForm::Wheel(wheel) => return self.wheel(wheel)?.tree(),
            ArchiveForm::Npm(npm) => {
                return self.npm(npm)?.platform_tree(&plan.platform, self.binaries()?);
            }
            ArchiveForm::Debug => {
                for debug in self.artifacts.iter().filter_map(|a| a.artifact().debug.as_ref()) {
                    let path = root.join(&debug.path);
                    let content = self.content(path.as_str())?.0;
                    put(path.file_name().unwrap_or_default(), content, false)?;
                }
            }
            ArchiveForm::Binaries(_) => {
                for (name, content) in self.binaries()? {
                    put(name, content, true)?;
                }
                for (to, from) in &plan.files {
                    let path = self.inputs.workspace.join(from);
                    let (content, executable) = self.content(path.as_str())?;
                    put(to, content, executable)?;
                }
                for companion in &self.companions {
                    let path = root.join(&companion.path);
                    put(&companion.install_path, self.content(path.as_str())?.0, false)?;
                }
            }
        }
        Ok(tree)
    }

    fn deb<'d>(&'d self, deb: &'d plan::Deb) -> Result<deb::Package<'d>> {
        let workspace = self.inputs.workspace;
        let text = |name: &String| {
            let from = self.plan.files.get(name).unwrap_or(name);
            Ok(String::from_utf8_lossy(&fs::read(&workspace.join(from))?).into_owned())
        };
        let changelog = self.plan.changelog.as_ref().and_then(|name| self.plan.files.get(name));
        let mut files = Vec::new();
        for (to, from) in &deb.files {
            let (content, executable) = self.content(workspace.join(from).as_str())?;
            files.push((to.as_str(), content, executable));
        }
        Ok(deb::Package {
            deb,
            epoch: self.inputs.epoch,
            binaries: self.binaries()?,
            companions: self.companion_texts()?,
            licenses: self.plan.licenses.iter().map(text).collect::<Result<_>>()?,
            changelog: changelog.map(|from| fs::read(&workspace.join(from))).transpose()?,
            files,
        })
    }

    fn rpm<'r>(&'r self, rpm: &'r plan::Rpm) -> Result<rpm::Package<'r>> {
        let mut files = Vec::new();
        for (to, from) in &rpm.files {
            let path = self.inputs.workspace.join(from);
            let (content, executable) = self.content(path.as_str())?;
            files.push((to.as_str(), content, executable));
        }
        Ok(rpm::Package {
            rpm,
            epoch: self.inputs.epoch,
            binaries: self.binaries()?,
            companions: self.companion_texts()?,
            licenses: self.texts(|name| self.plan.licenses.contains(name))?,
            docs: self.texts(|name| self.is_doc(name))?,
            files,
        })
    }

    fn arch<'p>(&'p self, arch: &'p plan::Arch) -> Result<arch::Package<'p>> {
        Ok(arch::Package {
            arch,
            epoch: self.inputs.epoch,
            binaries: self.binaries()?,
            companions: self.companion_texts()?,
            licenses: self.texts(|name| self.plan.licenses.contains(name))?,
            docs: self.texts(|name| self.is_doc(name))?,
        })
    }

    /// Returns the completions and manual pages, by their paths below `/usr`.
    fn companion_texts(&self) -> Result<Vec<(&str, Vec<u8>)>> {
        let read = |companion: &&'a Companion| {
            let bytes = fs::read(&self.inputs.root.join(&companion.path))?;
            Ok((companion.install_path.as_str(), bytes))
        };
        self.companions.iter().map(read).collect()
    }

    /// Returns the files of archives for which `wanted` is true, by name.
    fn texts(&self, wanted: impl Fn(&String) -> bool) -> Result<Vec<(&str, Content)>> {
        self.packed_paths(self.plan.files.keys().filter(|name| wanted(name)))
            .map(|(name, path)| Ok((name, self.content(path.as_str())?.0)))
            .collect()
    }

    /// Returns whether a file is a README or the changelog, and no licence.
    fn is_doc(&self, name: &String) -> bool {
        let is_readme = name.to_uppercase().starts_with("README") && !name.contains('/');
        !self.plan.licenses.contains(name)
            && (self.plan.changelog.as_ref() == Some(name) || is_readme)
    }

    fn wheel<'w>(&'w self, wheel: &'w plan::Wheel) -> Result<wheel::Package<'w>> {
        let file = |name: &'w str, path: &str| {
            let missing = || Error::build(format!("`{path}` was not read"));
            let sha256 = self.files.get(path).ok_or_else(missing)?.digest;
            Ok(wheel::WheelFile { name, content: self.content(path)?.0, sha256 })
        };
        let binary = |artifact: &&'w VerifiedArtifact| {
            let artifact = artifact.artifact();
            file(&artifact.name, self.inputs.root.join(&artifact.path).as_str())
        };
        Ok(wheel::Package {
            wheel,
            platform: &self.plan.platform,
            epoch: self.inputs.epoch,
            binaries: self.artifacts.iter().map(binary).collect::<Result<_>>()?,
            licenses: self
                .packed_paths(&self.plan.licenses)
                .map(|(name, path)| file(name, path.as_str()))
                .collect::<Result<_>>()?,
            readme: self
                .packed_paths(&wheel.readme)
                .next()
                .map(|(_, path)| fs::read(&path))
                .transpose()?
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        })
    }

    fn npm<'n>(&'n self, npm: &'n plan::Npm) -> Result<npm::Package<'n>> {
        let texts = self.plan.licenses.iter().chain(&npm.readme);
        let texts = self
            .packed_paths(texts)
            .map(|(name, path)| Ok((name, self.content(path.as_str())?.0)))
            .collect::<Result<_>>()?;
        Ok(npm::Package { npm, epoch: self.inputs.epoch, texts })
    }

    /// Returns the source of each of these files of the archives.
    fn packed_paths<'n>(
        &'n self,
        names: impl IntoIterator<Item = &'n String>,
    ) -> impl Iterator<Item = (&'n str, Utf8PathBuf)> {
        names.into_iter().filter_map(|name| {
            let from = self.plan.files.get(name)?;
            Some((name.as_str(), self.inputs.workspace.join(from)))
        })
    }

    fn content_digest(&self, content: &Content) -> Result<Digest> {
        match &content.source {
            ContentSource::Bytes(bytes) => Ok(Digest::sha256(bytes)),
            ContentSource::Named(name) => {
                let file = self.files.get(name);
                Ok(file.ok_or_else(|| Error::build(format!("`{name}` was not read")))?.digest)
            }
        }
    }

    /// Returns the contents that `dist.json` records for it.
    ///
    /// # Errors
    /// As [`ArchiveContents::tree`].
    pub(super) fn packed_entries(&self, kind: &ArchiveForm<'_>) -> Result<Vec<Packed>> {
        let mut packed = Vec::new();
        let tree = self.tree(kind)?;
        let entries = match kind {
            ArchiveForm::Wheel(_) => wheel::ordered(&tree),
            _ => tree.iter().collect(),
        };
        for (path, entry) in entries {
            let Node::File(content) = &entry.node else { continue };
            packed.push(Packed {
                path: path.join("/"),
                executable: entry.meta.mode & 0o111 != 0,
                size: content.size,
                sha256: self.content_digest(content)?,
            });
        }
        Ok(packed)
    }

    /// Writes the archive.
    ///
    /// # Errors
    /// A file changed since it was read, or `out` failed.
    pub(super) fn write<W: Write + Seek>(
        &self,
        kind: &ArchiveForm<'_>,
        chunks: &dyn ChunkCache,
        out: W,
    ) -> Result<W> {
        let tree = self.tree(kind)?;
        match kind {
            ArchiveForm::Binaries(format) => format.write(&tree, self, chunks, out),
            ArchiveForm::Debug | ArchiveForm::Arch(_) => {
                Format::TarZst.write(&tree, self, chunks, out)
            }
            ArchiveForm::Deb(deb) => self.deb(deb)?.write(&tree, self, chunks, out),
            ArchiveForm::Rpm(rpm) => self.rpm(rpm)?.write(&tree, self, chunks, out),
            ArchiveForm::Wheel(wheel) => self.wheel(wheel)?.write(&tree, self, chunks, out),
            ArchiveForm::Npm(_) => npm::write(&tree, self, chunks, out),
        }
    }
}

impl FileStore for ArchiveContents<'_> {
    fn open(&self, name: &str) -> Result<Box<dyn Read + '_>> {
        let stamp = self.files.get(name).map(|file| file.stamp);
        Ok(Box::new(file::open_watched(name.into(), stamp)?))
    }
}
