//! `package repo`: repositories for apt and dnf, as directories for any web server.

mod apt;
mod gpg;
mod rpm;
mod settings;

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

pub use self::gpg::PASSPHRASE;
use self::{gpg::GpgKey, settings::RepositorySettings};
use crate::{
    archive::repository::ListedFile,
    model::{
        digest::Digest,
        error::{Error, Result},
        schema::{
            Dist,
            dist::{Archive, ArchiveKind},
            package::{Repository, RepositoryPackage, SCHEMA},
        },
    },
    ops::output::manifest,
    sys::{Context, fs, replace},
};

/// The file with the public key, in each repository.
const PUBLIC_KEY: &str = "key.asc";

/// The repositories to write.
#[derive(Clone, Debug, Default)]
pub struct RepositoryRequest {
    /// The directory with `dist.json`.
    pub dist: Utf8PathBuf,
    /// The directory of apt's repository.
    pub apt: Option<Utf8PathBuf>,
    /// The directory of rpm's repository.
    pub rpm: Option<Utf8PathBuf>,
    /// The packages to add, by the names of cargo; all of them if none is named.
    pub packages: Vec<String>,
    /// The suite of apt's repository; that of the metadata, or `stable` when absent.
    pub suite: Option<String>,
    /// The component of apt's repository; that of the metadata, or `main` when absent.
    pub component: Option<String>,
    /// The origin of apt's repository; that of the metadata, the current one, or the name of the release when
    /// absent.
    pub origin: Option<String>,
    /// The key of gpg that signs; that of the metadata when absent.
    pub gpg_key: Option<String>,
}

/// Adds the packages of a release to repositories.
///
/// # Errors
/// The release has no such packages; a package is in the repository with other content; a file of the
/// repository does not match its index; or gpg is missing or fails.
pub fn repo(cx: &Context, request: &RepositoryRequest) -> Result<Vec<Repository>> {
    let dist = manifest::read_in(&request.dist)?;
    let settings = settings::settings(request, &dist)?;
    let key = settings.gpg_key.as_ref().map(|name| GpgKey::find(cx, name)).transpose()?;
    let mut repositories = Vec::new();
    for (kind, directory) in [(ArchiveKind::Deb, &request.apt), (ArchiveKind::Rpm, &request.rpm)] {
        let Some(directory) = directory else { continue };
        let root = fs::resolve(&cx.env.dir.join(directory))?;
        let run =
            Run { cx, request, settings: &settings, dist: &dist, key: key.as_ref(), root: &root };
        let archives = run.archives(kind)?;
        // The directory may be the output of several jobs.
        let _lock = fs::lock_output(cx, &root)?;
        if !root.is_dir() {
            fs::create_dir_all(&root)?;
            fs::set_mode(&root, 0o755)?;
        }
        let repository = match kind {
            ArchiveKind::Deb => apt::add(&run, &archives)?,
            _ => rpm::add(&run, &archives)?,
        };
        let added = repository.packages.iter().filter(|package| package.added).count();
        let files = if added == 1 { "package" } else { "packages" };
        let total = repository.packages.len();
        cx.status("Indexed", format!("{directory}: {added} {files} added, {total} in total"));
        if key.is_none() {
            cx.warn(format!(
                "`{directory}` is not signed, and apt and dnf reject it by default; `--gpg-key` \
                 signs it"
            ));
        }
        repositories.push(repository);
    }
    Ok(repositories)
}

/// Creates the directories above the file `path` in `base`, which any user may read whatever the umask is.
fn create_parents(base: &Utf8Path, path: &str) -> Result<()> {
    let mut directory = base.to_owned();
    let (parents, _) = path.rsplit_once('/').unwrap_or_default();
    for part in parents.split('/').filter(|part| !part.is_empty()) {
        directory.push(part);
        if !directory.is_dir() {
            replace::create_dir(&directory)?;
        }
    }
    Ok(())
}

/// One repository that is written.
struct Run<'a> {
    cx: &'a Context,
    request: &'a RepositoryRequest,
    settings: &'a RepositorySettings,
    dist: &'a Dist,
    key: Option<&'a GpgKey>,
    root: &'a Utf8Path,
}

/// A package in a repository: what it is, and its file.
#[derive(Clone, Debug)]
struct Listed {
    name: String,
    version: String,
    architecture: String,
    file: ListedFile,
    /// The digest of everything but signatures.
    content: Digest,
    /// The file to copy, for a package that is added.
    source: Option<Utf8PathBuf>,
}

impl Run<'_> {
    /// Returns the archives of the release to add.
    fn archives(&self, kind: ArchiveKind) -> Result<Vec<&Archive>> {
        let RepositoryRequest { packages, dist: root, .. } = self.request;
        let (format, key) =
            if kind == ArchiveKind::Deb { (".deb", "deb") } else { (".rpm", "rpm") };
        let hint = format!(
            "`{key} = true` in `[package.metadata.longshore]` makes one, and `cargo longshore dist` \
             builds it"
        );
        let mut archives: Vec<&Archive> =
            self.dist.archives.iter().filter(|archive| archive.kind == kind).collect();
        for name in packages {
            if !archives.iter().any(|archive| archive.package == *name) {
                let known = archives.iter().map(|archive| archive.package.as_str());
                let wrong =
                    Error::usage(format!("`{root}` has no `{format}` of a package `{name}`"));
                return Err(match crate::model::suggest::nearest(name, known) {
                    Some(near) => wrong.hint(format!("did you mean `{near}`?")),
                    None => wrong.hint(hint),
                });
            }
        }
        archives.retain(|archive| settings::is_added(self.request, self.dist, archive));
        if archives.is_empty() {
            return Err(Error::usage(format!("`{root}` has no `{format}` to add")).hint(hint));
        }
        Ok(archives)
    }

    /// Returns the path of an archive of the release, which must be the one that `dist.json` lists.
    fn check_archive(&self, archive: &Archive) -> Result<Utf8PathBuf> {
        let path = self.request.dist.join(&archive.path);
        let (digest, size) = fs::digest(&path)?;
        if (digest, size) != (archive.sha256, archive.size) {
            return Err(Error::check(format!(
                "`{path}` does not match `dist.json`: expected {}, got {digest}",
                archive.sha256
            ))
            .hint("`cargo longshore package` makes it again"));
        }
        Ok(path)
    }

    /// Checks that every file of an index is there, and as the index has it.
    fn check_listed(&self, directory: &Utf8Path, files: &[ListedFile]) -> Result<()> {
        for file in files {
            self.cx.children.check()?;
            let path = directory.join(&file.path);
            if !path.is_file() {
                return Err(Error::check(format!("`{path}` is missing, and the index lists it"))
                    .hint("restore it, for example from the web server"));
            }
            let (digest, size) = fs::digest(&path)?;
            if (digest, size) != (file.sha256, file.size) {
                return Err(Error::check(format!(
                    "`{path}` does not match the index: expected {} with {} bytes, got {digest} \
                     with {size}",
                    file.sha256, file.size
                ))
                .hint("restore it, for example from the web server"));
            }
        }
        Ok(())
    }

    /// Adds the packages to those that are there. Returns all of them, by their paths.
    ///
    /// # Errors
    /// One is there with other content, or two have one name, version and architecture.
    fn merge(&self, old: Vec<Listed>, new: Vec<Listed>) -> Result<BTreeMap<String, Listed>> {
        let identity =
            |one: &Listed| (one.name.clone(), one.version.clone(), one.architecture.clone());
        let mut known: BTreeMap<(String, String, String), Listed> = BTreeMap::new();
        for package in old.into_iter().chain(new) {
            let Listed { name, version, architecture, file, .. } = &package;
            let Some(other) = known.get(&identity(&package)) else {
                known.insert(identity(&package), package);
                continue;
            };
            if other.content == package.content {
                continue;
            }
            let what = format!("`{name}` {version} for {architecture}");
            return Err(match &other.source {
                None => Error::check(format!(
                    "{what} is in `{}` with other content: expected {}, got {}",
                    self.root, other.content, package.content
                ))
                .hint("a published version is immutable; release a new version or revision"),
                Some(source) => Error::usage(format!(
                    "{what} is the name of two packages: `{source}` and `{}`",
                    package.source.as_deref().unwrap_or(Utf8Path::new(&file.path))
                ))
                .hint("`deb.name` and `rpm.name` give a package another name"),
            });
        }
        let mut all: BTreeMap<String, Listed> = BTreeMap::new();
        for package in known.into_values() {
            let path = package.file.path.clone();
            if let Some(other) = all.insert(path.clone(), package) {
                let error = format!("two packages are `{path}`: one of them has version ");
                return Err(Error::usage(error + &other.version));
            }
        }
        Ok(all)
    }

    /// Copies the files of packages that are added. Files that no index lists are replaced.
    fn copy_files(&self, packages: &BTreeMap<String, Listed>) -> Result<()> {
        for package in packages.values() {
            let Some(source) = &package.source else { continue };
            create_parents(self.root, &package.file.path)?;
            let to = self.root.join(&package.file.path);
            fs::copy(source, &to)?;
            fs::set_mode(&to, 0o644)?;
            let (digest, _) = fs::digest(&to)?;
            if digest != package.file.sha256 {
                fs::remove_file(&to)?;
                return Err(Error::check(format!(
                    "`{source}` changed while it was copied: expected {}, got {digest}",
                    package.file.sha256
                )));
            }
        }
        Ok(())
    }

    /// Prepares an empty directory beside `current`, which [`Run::replace`] puts in its place.
    fn draft(&self, current: &Utf8Path) -> Result<Utf8PathBuf> {
        let name = current.file_name().unwrap_or_default();
        let draft = current.with_file_name(format!(".{name}.partial"));
        // Of a run that was killed; the lock is held.
        fs::remove_dir_all(&draft)?;
        let below = draft.strip_prefix(self.root).unwrap_or(&draft);
        create_parents(self.root, below.as_str())?;
        replace::create_dir(&draft)?;
        Ok(draft)
    }

    /// Replaces the directory of an index in one step.
    fn replace(&self, draft: &Utf8Path, current: &Utf8Path) -> Result<()> {
        crate::sys::durable::sync_tree(draft)?;
        fs::replace_dir(self.cx, draft, current)
    }

    /// Writes the public key of the signature.
    fn export_key(&self) -> Result<()> {
        self.key.map_or(Ok(()), |key| key.export(self.cx, &self.root.join(PUBLIC_KEY)))
    }

    fn outcome(&self, kind: &str, index: String, packages: BTreeMap<String, Listed>) -> Repository {
        let package = |package: Listed| RepositoryPackage {
            added: package.source.is_some(),
            name: package.name,
            version: package.version,
            architecture: package.architecture,
            path: package.file.path,
            size: package.file.size,
            sha256: package.file.sha256,
        };
        Repository {
            schema: SCHEMA,
            kind: kind.to_owned(),
            path: self.root.to_string(),
            index,
            signed_by: self.key.map(|key| key.fingerprint.clone()),
            packages: packages.into_values().map(package).collect(),
        }
    }
}
