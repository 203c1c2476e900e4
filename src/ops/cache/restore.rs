//! `cache restore`.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    CacheRequest, FRESHNESS, TARGET, ZIG, cache_key, drop_units, format_seconds,
    listing::package_files, lock, secret,
};
use crate::{
    build::{
        cache::{
            CacheHeader, CacheManifest, Decision, HEADER, INPUT_RECORD_SCHEMA, Input, InputRecord,
            RecordedUnit, SCHEMA, SECRET, Time, UnitInputs, decide, hides_change,
        },
        request::BuildRequest,
        workspace::Workspace,
    },
    model::{
        bytes::Size,
        collect::{CollectOrdered as _, SortStable as _},
        error::{Error, Result},
        schema::cache::{Cache, CacheOutcome, SCHEMA as REPORT},
        secret::Secret,
    },
    sys::{
        Context, cache, cargo,
        clock::Stopwatch,
        fs::{self, FileType},
        roots::own_packages,
        toolchain::{rust, zig},
        tree, warm,
    },
};

/// Replaces cargo's files in the target directory with a saved cache, and gives each input that is
/// unchanged since then the time that it had. A cache that is missing, was saved by other programs or
/// in another directory, or is damaged, is rejected: nothing is changed then, and the report gives the
/// reason.
///
/// # Errors
/// There is no workspace or no toolchain, or a file of the workspace or the target directory cannot
/// be read or written.
pub fn restore(cx: &Context, request: &CacheRequest) -> Result<Cache> {
    let watch = Stopwatch::start();
    let directory = cx.env.dir.join(&request.directory);
    let requested = BuildRequest {
        target_dir: request.target_dir.clone(),
        manifest_path: request.manifest_path.clone(),
        ..BuildRequest::default()
    };
    let workspace = cargo::workspace(cx, &requested)?;
    let outcome = match usable_header(cx, &workspace, &directory, request.authenticated)? {
        Ok(header) => install(cx, &workspace, &directory, &header)?,
        Err(reasons) => CacheOutcome::Refused { reasons },
    };
    let milliseconds = watch.milliseconds();
    match &outcome {
        CacheOutcome::Refused { reasons } => cx.warn(format!(
            "the cache in `{directory}` cannot be used, and everything is compiled: {}",
            reasons.join("; ")
        )),
        CacheOutcome::Restored { units, unchanged, changed, withheld, size, .. } => {
            cx.status(
                "Restored",
                format!(
                    "{units} units from {} in {}; {unchanged} inputs are unchanged, {changed} are \
                     not",
                    Size(*size),
                    format_seconds(milliseconds)
                ),
            );
            if *withheld > 0 {
                let other = &workspace.target_directory;
                cx.warn(format!(
                    "{withheld} unchanged files keep their new times, and are compiled again: \
                     other builds in `{other}` have not read them yet"
                ));
            }
        }
        CacheOutcome::Saved { .. } => {}
    }
    Ok(Cache { schema: REPORT, directory: directory.into_string(), outcome, milliseconds })
}

/// More than any header has.
const HEADER_LIMIT: u64 = 1 << 20;

/// Returns the header of a cache that can be used here, or the reason why there is none.
fn usable_header(
    cx: &Context,
    workspace: &Workspace,
    directory: &Utf8Path,
    authenticated: bool,
) -> Result<Result<CacheHeader, Vec<String>>> {
    let secret = secret(cx)?;
    let path = directory.join(HEADER);
    let rejected = |reason: String| Ok(Err(vec![reason]));
    match fs::file_type(&path, true) {
        Ok(FileType::File { size, .. }) if size <= HEADER_LIMIT => {}
        Ok(_) => {
            return rejected(format!(
                "`{HEADER}` is not a regular file of at most {}",
                Size(HEADER_LIMIT)
            ));
        }
        Err(_) => return rejected(format!("there is no `{HEADER}`")),
    }
    let text = match fs::read_to_string_if_exists(&path) {
        Ok(Some(text)) => text,
        Ok(None) => return rejected(format!("there is no `{HEADER}`")),
        Err(error) => return rejected(error.to_string()),
    };
    // The number first: another format has other fields.
    let number: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    match number.as_ref().and_then(|value| value.get("schema")?.as_u64()) {
        Some(number) if number == u64::from(SCHEMA) => {}
        Some(number) => return rejected(format!("its format is {number}, this one is {SCHEMA}")),
        None => return rejected(format!("`{HEADER}` is damaged")),
    }
    let header: CacheHeader = match serde_json::from_str(&text) {
        Ok(header) => header,
        Err(error) => return rejected(format!("`{HEADER}` is damaged: {error}")),
    };
    if let Some(reason) = rejection_reason(&header, secret.as_ref(), authenticated)? {
        return rejected(reason);
    }
    if !crate::build::cache::is_inside(&header.archive) || header.archive.contains('/') {
        return rejected(format!("`{HEADER}` names the archive `{}`", header.archive));
    }
    let rust = rust::find(cx, &cargo::Config::load(cx, &[])?.rustc())?;
    let zig = zig::find(cx, &rust.version)?
        .map_or_else(|| crate::build::zig::PINNED.to_owned(), |zig| zig.version.to_string());
    let here = cache_key(cx, &rust, &zig, &workspace.root, &workspace.build_directory());
    let differences = header.key.differences(&here);
    Ok(if differences.is_empty() { Ok(header) } else { Err(differences) })
}

/// Returns the reason for which the header is not one that was saved with this secret. Without a secret
/// every header is accepted, unless `required`.
fn rejection_reason(
    header: &CacheHeader,
    secret: Option<&Secret>,
    required: bool,
) -> Result<Option<String>> {
    let Some(secret) = secret else {
        return Ok(
            required.then(|| format!("`{SECRET}` is not set, which `--authenticated` needs"))
        );
    };
    let expected = header.authentication_code(secret)?;
    Ok(match header.mac {
        Some(mac) if mac == expected => None,
        Some(_) => {
            Some(format!("it was changed, or was saved with a different `{SECRET}` than is set"))
        }
        None => Some(format!("it was saved without `{SECRET}`, which is set")),
    })
}

/// Unpacks beside the target directory, sets the times of the inputs, and exchanges the directories.
fn install(
    cx: &Context,
    workspace: &Workspace,
    directory: &Utf8Path,
    header: &CacheHeader,
) -> Result<CacheOutcome> {
    let target = workspace.build_directory();
    let _lock = lock(cx, workspace)?;
    let partial = Utf8PathBuf::from(format!("{target}.restoring"));
    fs::remove_dir_all(&partial)?;
    let unpacked = cache::unpack(&directory.join(&header.archive), header, &partial);
    let manifest = match unpacked {
        Ok(manifest) => manifest,
        Err(error) => {
            fs::remove_dir_all(&partial)?;
            return Ok(CacheOutcome::Refused { reasons: vec![error.to_string()] });
        }
    };
    cx.children.check()?;
    // From the workspace, not from the archive: times of other files are not changed.
    let roots = own_packages(cx, workspace)?;
    let own = |path: &Utf8Path, link: bool| {
        let real = match link {
            true => path.parent().and_then(|parent| parent.canonicalize_utf8().ok()),
            false => path.canonicalize_utf8().ok(),
        };
        real.is_some_and(|real| {
            roots.iter().any(|root| real.starts_with(root))
                && !real.starts_with(&target)
                && !real.components().any(|part| part.as_str() == ".git")
        })
    };
    let mut work = InputChanges { target: &target, saved: header.saved, ..InputChanges::new(cx) };
    let others = other_builds(workspace);
    let all = manifest.inputs.iter().map(|(path, input)| (path, input, false));
    let links = manifest.links.iter().map(|(path, input)| (path, input, true));
    for (path, input, link) in all.chain(links) {
        let path = Utf8Path::new(path);
        work.decide_input(path, input, link, own(path, link), &others)?;
    }
    for (package, units) in &manifest.packages {
        work.decide_new_files(Utf8Path::new(package), units, &manifest)?;
    }
    drop_units(&partial.join(TARGET), &work.dropped)?;
    let record = restored_record(&partial.join(TARGET), manifest.units)?;
    fs::write(&partial.join(TARGET).join(FRESHNESS), &record)?;
    // For builds of this workspace only: zig's own cache is shared by all workspaces.
    let zig = partial.join(ZIG);
    if zig.is_dir() {
        fs::rename(&zig, &warm::restored(&partial.join(TARGET)))?;
    }
    if target.exists() {
        fs::replace_dir(cx, &partial.join(TARGET), &target)?;
    } else {
        fs::rename(&partial.join(TARGET), &target)?;
    }
    fs::remove_dir_all(&partial)?;
    // Only now: the earlier target directory may have been built from other content, which only these
    // times show.
    for (path, time, link) in &work.times {
        tree::set_time(path, *time, !link)?;
    }
    Ok(CacheOutcome::Restored {
        units: header.units,
        unchanged: work.unchanged,
        changed: work.changed,
        withheld: work.withheld,
        size: header.size,
        authenticated: secret(cx)?.is_some(),
    })
}

/// The changes that are needed for cargo to detect the state of the inputs.
#[derive(Debug)]
struct InputChanges<'a> {
    cx: &'a Context,
    target: &'a Utf8Path,
    saved: Time,
    times: Vec<(Utf8PathBuf, Time, bool)>,
    dropped: BTreeSet<String>,
    unchanged: u64,
    changed: u64,
    withheld: u64,
}

impl<'a> InputChanges<'a> {
    fn new(cx: &'a Context) -> Self {
        InputChanges {
            cx,
            target: Utf8Path::new(""),
            saved: (0, 0),
            times: Vec::new(),
            dropped: BTreeSet::new(),
            unchanged: 0,
            changed: 0,
            withheld: 0,
        }
    }

    fn decide_input(
        &mut self,
        path: &Utf8Path,
        input: &Input,
        link: bool,
        own: bool,
        others: &[Time],
    ) -> Result<()> {
        let seen = if link { tree::read_link_input(path) } else { tree::read_input(path) };
        let same = seen.as_ref().is_some_and(|seen| seen.state == input.state);
        *(if same { &mut self.unchanged } else { &mut self.changed }) += 1;
        match decide(input, seen.as_ref(), self.saved, own) {
            Decision::Leave => {}
            Decision::Restore => {
                let now = seen.map_or(input.time, |seen| seen.time);
                if hides_change(others, input.time, now) {
                    self.withheld += 1;
                } else {
                    self.times.push((path.to_owned(), input.time, link));
                }
            }
            Decision::Renew => tree::renew(path, self.saved)?,
            Decision::Drop => self.dropped.extend(input.units.iter().cloned()),
        }
        Ok(())
    }

    /// Handles packages of which cargo checks every file: one that is new and has an old time counts,
    /// and one that no longer exists was dropped above.
    fn decide_new_files(
        &mut self,
        package: &Utf8Path,
        units: &[String],
        manifest: &CacheManifest,
    ) -> Result<()> {
        let Ok(files) = package_files(self.cx, package, self.target) else {
            self.dropped.extend(units.iter().cloned());
            return Ok(());
        };
        let known = |path: &Utf8Path| {
            manifest.inputs.contains_key(path.as_str())
                || manifest.links.contains_key(path.as_str())
        };
        for path in files.iter().filter(|path| !known(path)) {
            self.changed += 1;
            if tree::time(path).is_some_and(|time| time <= self.saved) {
                self.dropped.extend(units.iter().cloned());
            }
        }
        Ok(())
    }
}

/// Returns the record of the inputs of the restored units, with the stamps of the files that were
/// unpacked to `target`.
fn restored_record(target: &Utf8Path, units: BTreeMap<String, UnitInputs>) -> Result<Vec<u8>> {
    let compiled = |(path, sources): (String, UnitInputs)| {
        let stamp = tree::stamp(&target.join(&path))?;
        Some((path, RecordedUnit { stamp, sources }))
    };
    let units = units.into_iter().filter_map(compiled).collect_map();
    let record = InputRecord { schema: INPUT_RECORD_SCHEMA, units, files: BTreeMap::new() };
    serde_json::to_vec(&record).map_err(|error| Error::build("cannot write JSON").because(error))
}

/// Returns the times at which other builds in the target directory checked the workspace's own packages,
/// sorted.
fn other_builds(workspace: &Workspace) -> Vec<Time> {
    let own: BTreeSet<&str> =
        workspace.packages.iter().map(|package| package.name.as_str()).collect_set();
    let root = &workspace.target_directory;
    let names = |dir: &Utf8Path| fs::names(dir).unwrap_or_default();
    let mut profiles = Vec::new();
    // `<profile>` and `<target>/<profile>`.
    for first in names(root).iter().filter(|name| !name.starts_with("longshore")) {
        let dir = root.join(first);
        profiles.extend(names(&dir).iter().map(|second| dir.join(second)));
        profiles.push(dir);
    }
    let mut times = Vec::new();
    for dir in profiles {
        for location in [".fingerprint", "build"] {
            let units = dir.join(location);
            for unit in names(&units) {
                let package = unit.rsplit_once('-').map_or("", |(package, _)| package);
                if own.contains(package) {
                    let unit = units.join(unit);
                    let checked = |name: &&String| name.starts_with("dep-") || *name == "output";
                    let files = names(&unit);
                    let checked = files.iter().filter(checked);
                    times.extend(checked.filter_map(|name| tree::time(&unit.join(name))));
                }
            }
        }
    }
    times.sort_stable();
    times
}
