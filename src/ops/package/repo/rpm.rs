//! Repositories for dnf and zypper.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read as _, Write as _},
};

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    Listed, PUBLIC_KEY, Run,
    gpg::{GpgKey, SignatureForm},
};
use crate::{
    archive::{
        repository::{
            self, ListedFile,
            rpm_md::{self, PackedList, RpmFile},
        },
        rpm::{LEAD, with_signature},
        unpack::{self, Budget, Compression},
    },
    model::{
        error::{Error, Result},
        schema::{dist::Archive, package::Repository},
        source::ReadAt as _,
    },
    sys::{file, fs},
};

const INDEX: &str = "repomd.xml";
const SIGNATURE: &str = "repomd.xml.asc";
/// The public key, where zypper searches it.
const KEY: &str = "repomd.xml.key";

/// Adds the archives to the repository.
pub(super) fn add(run: &Run<'_>, archives: &[&Archive]) -> Result<Repository> {
    let directory = run.root.join("repodata");
    let old = Previous::read(&directory)?;
    let mut details: BTreeMap<String, RpmFile> = BTreeMap::new();
    let mut before = Vec::new();
    if let Some(old) = &old {
        for file in old.packages(run)? {
            let package = read(&run.root.join(&file.path), &file)?;
            before.push(listed_package(&package, None));
            details.insert(package.file.path.clone(), package);
        }
    }
    let temporary = fs::TempDir::new("longshore-sign")?;
    let mut new = Vec::new();
    for archive in archives {
        let mut path = run.check_archive(archive)?;
        let mut file =
            ListedFile { path: String::new(), size: archive.size, sha256: archive.sha256 };
        let mut package = read(&path, &file)?;
        // A package that is there keeps its signature, and its digest.
        let is_known = details
            .get(&package.file.path)
            .is_some_and(|known| known.header_digest() == package.header_digest());
        if let Some(key) = run.key.filter(|_| !is_known) {
            path = sign(run, key, &path, &temporary.path)?;
            (file.sha256, file.size) = fs::digest(&path)?;
            package = read(&path, &file)?;
        }
        new.push(listed_package(&package, Some(path)));
        details.entry(package.file.path.clone()).or_insert(package);
    }
    let packages = run.merge(before, new)?;
    run.copy_files(&packages)?;
    run.export_key()?;
    let files: Vec<RpmFile> = packages.keys().filter_map(|path| details.remove(path)).collect();
    write_index(run, &directory, old.as_ref(), &files)?;
    Ok(run.outcome("rpm", format!("repodata/{INDEX}"), packages))
}

fn listed_package(package: &RpmFile, source: Option<Utf8PathBuf>) -> Listed {
    Listed {
        name: package.name.clone(),
        version: package.version.clone(),
        architecture: package.architecture.clone(),
        file: package.file.clone(),
        content: package.header_digest(),
        source,
    }
}

fn read(path: &Utf8Path, file: &ListedFile) -> Result<RpmFile> {
    let open = file::open(path)?;
    let package = unpack::read_rpm_headers(&mut open.reader(0..open.size()))
        .and_then(|headers| RpmFile::new(headers, file.sha256, file.size))
        .map_err(|error| error.context(format!("`{path}` cannot be added")))?;
    if !file.path.is_empty() && file.path != package.file.path {
        return Err(Error::check(format!(
            "the index lists `{}`, expected `{}` by its content",
            file.path, package.file.path
        ))
        .hint("the repository was not written by longshore; use an empty directory"));
    }
    Ok(package)
}

/// Writes the package with a signature to `directory`, and returns its path there.
fn sign(run: &Run<'_>, key: &GpgKey, path: &Utf8Path, directory: &Utf8Path) -> Result<Utf8PathBuf> {
    let open = file::open(path)?;
    let broken =
        |error: std::io::Error| Error::build(format!("cannot sign `{path}`")).because(error);
    let headers = unpack::read_rpm_headers(&mut open.reader(0..open.size()))?;
    let mut lead = Vec::new();
    open.reader(0..LEAD as u64).read_to_end(&mut lead).map_err(broken)?;
    let mut header = Vec::new();
    open.reader(headers.start..headers.end).read_to_end(&mut header).map_err(broken)?;
    let (signed, signature) = (directory.join("header"), directory.join("header.sig"));
    fs::write(&signed, &header)?;
    key.sign(run.cx, &signed, &signature, SignatureForm::Binary)?;
    let start = with_signature(&lead, &headers.signature, fs::read(&signature)?)?;
    let to = directory.join(path.file_name().unwrap_or("package"));
    let mut draft = fs::draft(directory)?;
    draft.write_all(&start).map_err(broken)?;
    let mut rest = open.reader(headers.start..open.size());
    std::io::copy(&mut rest, &mut draft).map_err(broken)?;
    draft.persist(&to)?;
    Ok(to)
}

/// The index before this run.
struct Previous {
    revision: u64,
    lists: Vec<(String, ListedFile)>,
}

impl Previous {
    fn read(directory: &Utf8Path) -> Result<Option<Self>> {
        let path = directory.join(INDEX);
        let Some(text) = fs::read_to_string_if_exists(&path)? else { return Ok(None) };
        let (revision, lists) = rpm_md::listed_lists(&text)
            .map_err(|error| error.context(format!("`{path}` cannot be read")))?;
        Ok(Some(Previous { revision, lists }))
    }

    /// Returns the packages that it lists, after comparing every file with its digest.
    fn packages(&self, run: &Run<'_>) -> Result<Vec<ListedFile>> {
        let files: Vec<ListedFile> = self.lists.iter().map(|(_, file)| file.clone()).collect();
        run.check_listed(run.root, &files)?;
        let (_, primary) = self
            .lists
            .iter()
            .find(|(kind, _)| kind == "primary")
            .ok_or_else(|| Error::check(format!("`{INDEX}` lists no primary list")))?;
        let path = run.root.join(&primary.path);
        let bytes = fs::read(&path)?;
        let compression = Compression::detect(&bytes);
        let mut stream = unpack::unpack(Cursor::new(bytes), compression, &Budget::default())?;
        let mut text = String::new();
        stream
            .read_to_string(&mut text)
            .map_err(|error| Error::check(format!("`{path}` cannot be read")).because(error))?;
        let packages = rpm_md::listed_packages(&text)
            .map_err(|error| error.context(format!("`{path}` cannot be read")))?;
        run.check_listed(run.root, &packages)?;
        Ok(packages)
    }
}

/// Writes the lists, and the signed index of them. If nothing changed, nothing is written.
fn write_index(
    run: &Run<'_>,
    directory: &Utf8Path,
    old: Option<&Previous>,
    files: &[RpmFile],
) -> Result<()> {
    let lists = rpm_md::lists(files);
    let mut contents: Vec<(PackedList, Vec<u8>)> = Vec::new();
    for (kind, text) in
        [("primary", &lists.primary), ("filelists", &lists.filelists), ("other", &lists.other)]
    {
        let packed = repository::gzip(text.as_bytes())?;
        let mut file = ListedFile::new("", &packed);
        file.path = format!("repodata/{}-{kind}.xml.gz", file.sha256.hex());
        let open = ListedFile::new("", text.as_bytes());
        contents.push((PackedList { kind, packed: file, open }, packed));
    }
    let epoch = run.dist.release.source_date_epoch;
    let revision = old.map_or(epoch, |old| old.revision.max(epoch));
    let text = rpm_md::repomd(revision, contents.iter().map(|(list, _)| list));
    if is_current(run, directory, &text)? {
        return Ok(());
    }
    let draft = run.draft(directory)?;
    let place = |path: &str| draft.join(path.trim_start_matches("repodata/"));
    for (list, packed) in &contents {
        fs::write(&place(&list.packed.path), packed)?;
    }
    // Clients that have the previous index may still request its lists.
    for (_, file) in old.iter().flat_map(|old| &old.lists) {
        if !place(&file.path).is_file() {
            fs::link(&run.root.join(&file.path), &place(&file.path))?;
        }
    }
    let path = draft.join(INDEX);
    fs::write(&path, text.as_bytes())?;
    if let Some(key) = run.key {
        let signature = draft.join(SIGNATURE);
        key.sign(run.cx, &path, &signature, SignatureForm::Text)?;
        fs::set_mode(&signature, 0o644)?;
        fs::write(&draft.join(KEY), &fs::read(&run.root.join(PUBLIC_KEY))?)?;
    }
    run.replace(&draft, directory)
}

/// Returns whether the index is there already, with a signature by the key if one is used.
fn is_current(run: &Run<'_>, directory: &Utf8Path, text: &str) -> Result<bool> {
    let path = directory.join(INDEX);
    let same = fs::read_to_string_if_exists(&path)?.is_some_and(|old| old == text);
    let signature = directory.join(SIGNATURE);
    match run.key {
        None => Ok(same && !signature.is_file()),
        Some(key) => Ok(same && key.has_signed(run.cx, &path, Some(&signature))?),
    }
}
