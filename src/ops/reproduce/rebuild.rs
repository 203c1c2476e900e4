//! The rebuild of a release, in a separate directory.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;

use super::{ReproduceRequest, record::ReleaseRecord, source::Source};
use crate::{
    build::{pgo::PgoRequest, request::BuildRequest},
    model::{
        bytes::Size,
        digest::Digest,
        error::{Error, Result, Status},
        schema::{Dist, dist::RecordedRequest},
    },
    ops::dist,
    sys::{
        Context, access, cargo, fs, lock,
        toolchain::{rust, zig},
    },
};

/// The least free space for a rebuild in bytes, besides that for its binaries.
const MIN_SPACE: u64 = 256 << 20;

/// The space for the rebuild of a binary, as a multiple of its size with symbols: cargo keeps it twice, with
/// the objects that it was linked from, and it is in archives and images.
const SPACE_FACTOR: u64 = 6;

/// A finished rebuild. Its directory is removed when this value is dropped, unless it is kept.
#[derive(Debug)]
pub(super) struct Rebuild {
    /// Its release.
    pub(super) dist: Dist,
    /// The directory of that.
    pub(super) output: Utf8PathBuf,
    /// Cargo's directory.
    pub(super) target_directory: Utf8PathBuf,
    work: WorkDirectory,
}

impl Rebuild {
    /// Keeps the release, without the files that it was built from; returns its directory.
    ///
    /// # Errors
    /// A file cannot be moved.
    pub(super) fn keep(mut self) -> Result<Utf8PathBuf> {
        self.work.keep("dist", &self.output)
    }
}

/// The directory of a rebuild, with the lock that keeps others out.
#[derive(Debug)]
struct WorkDirectory {
    path: Utf8PathBuf,
    kept: bool,
    _lock: lock::Lock,
}

impl WorkDirectory {
    fn new(cx: &Context, request: &ReproduceRequest, key: &str) -> Result<Self> {
        let parent = match &request.work_dir {
            Some(dir) => cx.env.dir.join(dir),
            None => cx.env.cache.join("reproduce"),
        };
        fs::create_dir_all(&parent)?;
        // Longer paths would be resolved by cargo, and not by longshore.
        let parent = fs::canonicalize(&parent)?;
        let path = parent.join(format!("reproduce-{}", Digest::sha256(key.as_bytes()).short()));
        let lock = fs::lock(&lock_path(&path), || {
            cx.status("Waiting", format!("for another rebuild in `{path}`"));
        })?;
        // Of a run that was killed, or that differed.
        fs::remove_dir_all(&path)?;
        fs::create_dir_all(&path)?;
        Ok(WorkDirectory { path, kept: false, _lock: lock })
    }

    /// Keeps only the directory `from`, as `name`.
    fn keep(&mut self, name: &str, from: &Utf8Path) -> Result<Utf8PathBuf> {
        let to = self.path.join(name);
        fs::rename(from, &to)?;
        self.kept = true;
        for other in fs::names(&self.path)?.into_iter().filter(|other| other != name) {
            fs::remove_dir_all(&self.path.join(other))?;
        }
        Ok(to)
    }
}

impl Drop for WorkDirectory {
    fn drop(&mut self) {
        if !self.kept {
            // The caller has reported the failure.
            let _ = fs::remove_dir_all(&self.path);
            let _ = fs::remove_file(&lock_path(&self.path));
        }
    }
}

/// Returns the path of the lock of a directory. Its owner may remove it: others then lock a new one.
fn lock_path(path: &Utf8Path) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{path}.lock"))
}

/// Builds the source again, with the recorded tools and the recorded request.
///
/// # Errors
/// A tool is missing, there is no space, the source cannot be checked out, or the build fails.
pub(super) fn rebuild(
    cx: &Context,
    request: &ReproduceRequest,
    record: &ReleaseRecord,
    source: &Source,
) -> Result<Rebuild> {
    let key = format!("{}\n{}\n{}", source.shown, source.revision, record.shown);
    let mut work = WorkDirectory::new(cx, request, &key)?;
    check_space(&work.path, record)?;
    // The name of a workspace's directory is the name of its release.
    let top = work.path.join("source").join(tree_name(&record.release.name));
    let tree = source.check_out(cx, &top)?;
    let manifest = find_manifest(request, &tree.dir, &top).ok_or_else(|| {
        let named = request.manifest_path.as_deref().unwrap_or("Cargo.toml".into());
        Error::usage(format!("commit `{}` has no `{named}`", source.revision)).hint(
            "`--manifest-path` names it, relative to the repository or to the directory of `--source`",
        )
    })?;
    let root = manifest.parent().unwrap_or(&tree.dir).to_owned();
    let there = cx.with_variables(root, &variables(record));
    let there = if request.any_tools { there } else { with_tools(&there, request, record)? };
    let target_directory = work.path.join("target");
    let build = build_request(cx, request, record, manifest, &target_directory);
    let made =
        in_workspace(&there, request, build).and_then(|(there, build)| dist::make(&there, &build));
    let (dist, output) = match made {
        Ok(made) => made,
        Err(error) => return Err(failed(&mut work, &target_directory, error)),
    };
    drop(tree);
    Ok(Rebuild { dist, output, target_directory, work })
}

/// Returns the `Cargo.toml` of the source: the named one, else the next one in `dir` or above it in `top`.
fn find_manifest(
    request: &ReproduceRequest,
    dir: &Utf8Path,
    top: &Utf8Path,
) -> Option<Utf8PathBuf> {
    let found = match &request.manifest_path {
        Some(named) => dir.join(named),
        None => {
            let dirs = dir.ancestors().take_while(|dir| dir.starts_with(top));
            dirs.map(|dir| dir.join("Cargo.toml")).find(|path| path.is_file())?
        }
    };
    found.is_file().then_some(found)
}

/// Returns the context and the request for the complete workspace, unless a package's manifest was named:
/// cargo builds only the package in the current directory.
fn in_workspace(
    cx: &Context,
    request: &ReproduceRequest,
    build: BuildRequest,
) -> Result<(Context, BuildRequest)> {
    if request.manifest_path.is_some() {
        return Ok((cx.clone(), build));
    }
    let root = cargo::workspace(cx, &build)?.root;
    let build = BuildRequest { manifest_path: Some(root.join("Cargo.toml")), ..build };
    Ok((cx.with_variables(root, &BTreeMap::new()), build))
}

/// Returns the error of a failed rebuild. Its logs are kept, unless it was interrupted.
fn failed(work: &mut WorkDirectory, target_directory: &Utf8Path, error: Error) -> Error {
    let error = error.context("the rebuild failed");
    let logs = target_directory.join("dist.failed");
    if error.status() == Status::Interrupted || !logs.is_dir() {
        return error;
    }
    match work.keep("failed", &logs) {
        Ok(kept) => error.or_hint(format!("its logs are in `{}`", kept.join("logs"))),
        Err(_) => error,
    }
}

/// Returns the name of the directory that the source is checked out in.
fn tree_name(name: &str) -> &str {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+ ".contains(c);
    let usable = name.chars().all(plain) && !name.starts_with('.') && name.len() <= 100;
    if usable && !name.trim().is_empty() { name } else { "source" }
}

/// Returns the variables that make a rebuild equal: the time of the release.
fn variables(record: &ReleaseRecord) -> BTreeMap<String, String> {
    let epoch = record.release.source_date_epoch.to_string();
    BTreeMap::from([("SOURCE_DATE_EPOCH".to_owned(), epoch)])
}

/// Returns the recorded request for this machine.
fn build_request(
    cx: &Context,
    request: &ReproduceRequest,
    record: &ReleaseRecord,
    manifest: Utf8PathBuf,
    target_directory: &Utf8Path,
) -> BuildRequest {
    let own = BuildRequest {
        targets: record.targets.clone(),
        manifest_path: Some(manifest),
        target_dir: Some(target_directory.to_owned()),
        debug_files: record.debug_files,
        offline: request.offline,
        jobs: request.jobs,
        verbose: request.verbose,
        smoke: false,
        pack: record.pack,
        rust_src: request.rust_src.clone(),
        pgo: request
            .pgo_profile
            .as_ref()
            .map_or(PgoRequest::Off, |file| PgoRequest::Profile(cx.env.dir.join(file))),
        ..BuildRequest::default()
    };
    let recorded: RecordedRequest = record.release.request.clone();
    recorded.apply_to(own)
}

/// Returns the context with the recorded rustc and zig, which are installed if they can be had.
fn with_tools(cx: &Context, request: &ReproduceRequest, record: &ReleaseRecord) -> Result<Context> {
    let tools = &record.release.tools;
    let unknown = |name: &str| {
        Error::check(format!("`{}` does not record the version of {name}", record.shown))
            .hint("`--any-tools` builds with the current tools")
    };
    let recorded = tools.get("longshore").ok_or_else(|| unknown("longshore"))?;
    if recorded != env!("CARGO_PKG_VERSION") {
        cx.warn(format!(
            "the release was made with longshore {}, and this is longshore {}: differences are likely",
            recorded.escape_debug(),
            env!("CARGO_PKG_VERSION")
        ));
    }
    let rustc = tools.get("rustc").ok_or_else(|| unknown("rustc"))?;
    let recorded_zig = tools.get("zig").ok_or_else(|| unknown("zig"))?;
    let zig_version =
        Version::parse(recorded_zig).map_err(|error| unknown("zig").because(error))?;
    let program = cargo::Config::load(cx, &record.release.request.config)?.rustc();
    let selected = rust::select(cx, &program, rustc, request.offline)?;
    let cx = cx.with_variables(cx.env.dir.clone(), &selected);
    let rustc_version = rustc.split_whitespace().next().unwrap_or_default();
    let rustc_version =
        Version::parse(rustc_version).map_err(|error| unknown("rustc").because(error))?;
    let zig = zig::provide_version(&cx, &zig_version, &rustc_version, request.offline).map_err(
        |error| {
            error
                .context(format!("the release was made with zig {zig_version}"))
                .with_status(Status::MissingTool)
        },
    )?;
    if !zig.args.is_empty() {
        return Ok(cx);
    }
    let selected =
        BTreeMap::from([("CARGO_ZIGBUILD_ZIG_PATH".to_owned(), zig.program.to_string())]);
    Ok(cx.with_variables(cx.env.dir.clone(), &selected))
}

/// Checks that the file system has space for the rebuild.
fn check_space(path: &Utf8Path, record: &ReleaseRecord) -> Result<()> {
    let artifacts = record.dist.iter().flat_map(|dist| &dist.artifacts);
    let binaries =
        artifacts.fold(0_u64, |sum, artifact| sum.saturating_add(artifact.unstripped.size));
    let needed = binaries.saturating_mul(SPACE_FACTOR).saturating_add(MIN_SPACE);
    match access::free_space(path) {
        Some(free) if free < needed => Err(Error::build(format!(
            "the file system of `{path}` has no space for the rebuild: expected {}, found {}",
            Size(needed),
            Size(free)
        ))
        .hint("free some space, or name a directory on another file system with `--work-dir`")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_releases_do_not_lead_elsewhere() {
        for name in ["hello", "hello world", "a.b+c_d-1"] {
            assert_eq!(tree_name(name), name);
        }
        for name in ["", " ", "..", ".git", "a/b", "a:b", "a%b", "a\n", &"a".repeat(101)] {
            assert_eq!(tree_name(name), "source", "{name}");
        }
    }
}
