//! What zig builds once for each target is built while cargo compiles, and not after it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    sync::mpsc,
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    command::Command,
    error::{Error, Result},
    oci::Digest,
    ops::{plan::Planned, stage::Stage},
    schema::plan::Build,
    sys::{Context, fs, process::Children, warm},
};

/// The environment of a build's command.
type Env = BTreeMap<String, Option<String>>;

/// One target whose links need something of zig's.
#[derive(Debug)]
struct Part {
    name: String,
    target: String,
    command: Command,
}

/// The parts of zig's cache that the links of `builds` need, by their names.
#[derive(Debug)]
pub(super) struct Warm {
    parts: Vec<Part>,
}

impl Warm {
    /// What the links of `build` need, started with `env`.
    pub(super) fn new(planned: &Planned, build: &Build, env: &Env) -> Self {
        let part = |target: &String| {
            let job = planned.plan.jobs.iter().find(|job| job.target == *target)?;
            let upper = target.to_uppercase().replace(['-', '.'], "_");
            let linker = env.get(&format!("CARGO_TARGET_{upper}_LINKER"))?.clone()?;
            let flags: Vec<&str> = job.rustflags.iter().map(|flag| flag.flag.as_str()).collect();
            // Names of directories and of the result change nothing of what zig builds.
            let counts =
                |flag: &&&str| !flag.contains("-path-prefix") && !flag.contains("build-id");
            let counting: Vec<&str> = flags.iter().filter(counts).copied().collect();
            let key = Digest::of(format!("{counting:?} {}", planned.rust.version).as_bytes());
            let zig = planned.zig.as_ref()?;
            let command = Command { env: env.clone(), ..Command::new(&planned.rust.rustc) }
                .args(["--crate-name", "longshore_warm", "--crate-type", "bin", "--target"])
                .args([target.as_str(), "--edition", "2021", "-Copt-level=3", "-"])
                .arg(format!("-Clinker={linker}"))
                .args(flags);
            let name = format!("{}-{target}-{}", zig.version, key.short());
            Some(Part { name, target: target.clone(), command })
        };
        Warm { parts: build.targets.iter().filter_map(part).collect() }
    }

    /// The names.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.parts.iter().map(|part| part.name.clone()).collect()
    }

    /// Runs `work`, and builds what is missing beside it, from when `work` calls what it is given:
    /// links wait for it then. What was not finished when `work` ends is stopped. Nothing of this
    /// can fail a build: a link builds what is missing by itself.
    pub(super) fn beside<T>(
        &self,
        cx: &Context,
        stage: &Stage,
        work: impl FnOnce(&Env, &(dyn Fn() + Sync)) -> T,
    ) -> T {
        let zig_cache = warm::zig_cache(cx);
        let cold = |part: &&Part| zig_cache.as_ref().is_some_and(|c| !warm::is_warm(c, &part.name));
        let cold: Vec<&Part> = self.parts.iter().filter(cold).collect();
        let path = cx.env.cache.join(format!("zig-warm/lock.{}", std::process::id()));
        // Only this process locks it.
        let lock = (!cold.is_empty()).then(|| fs::lock(&path, || {}).ok()).flatten();
        let (Some(zig_cache), Some(lock)) = (zig_cache, lock) else {
            return work(&Env::new(), &|| {});
        };
        let env = Env::from([(warm::WAIT.to_owned(), Some(path.to_string()))]);
        let children = Children::default();
        let (begin, begun) = mpsc::channel();
        let (children_of, zig_cache) = (&children, &zig_cache);
        let result = std::thread::scope(|scope| {
            scope.spawn(move || {
                if begun.recv().is_ok() {
                    let log = stage.path("logs/warm.log");
                    for part in cold {
                        if let Err(error) = one(cx, children_of, zig_cache, part, &log) {
                            note(&log, &format!("{}: {error}\n", part.target));
                        }
                    }
                }
                drop(lock);
            });
            let begin = std::sync::Mutex::new(Some(begin));
            let result = work(&env, &|| {
                let begin = begin.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
                if let Some(begin) = begin {
                    // The thread waits for it until it ends.
                    let _ = begin.send(());
                }
            });
            drop(begin);
            children.interrupt();
            result
        });
        // A left-over of no size.
        let _ = fs::remove_file(&path);
        result
    }
}

/// Builds what the part needs, unless it is kept from before, and gives it to zig's cache.
fn one(
    cx: &Context,
    children: &Children,
    zig_cache: &Utf8Path,
    part: &Part,
    log: &Utf8Path,
) -> Result<()> {
    let place = warm::place(cx, &part.name);
    if !place.exists() {
        let dir = Utf8PathBuf::from(format!("{place}.{}.tmp", std::process::id()));
        let made = make(children, part, &dir, log)
            .and_then(|()| warm::keep(cx, &dir.join("cache"), &part.name));
        fs::remove_dir_all(&dir)?;
        made?;
    }
    warm::merge(cx, zig_cache, &part.name)
}

/// Links the smallest program with the build's own flags, with an empty cache.
fn make(children: &Children, part: &Part, dir: &Utf8Path, log: &Utf8Path) -> Result<()> {
    fs::remove_dir_all(dir)?;
    fs::create_dir_all(&dir.join("cache"))?;
    let cache = dir.join("cache");
    let command = part.command.clone().args(["-o", dir.join("warm").as_str()]);
    let command = command.env("ZIG_GLOBAL_CACHE_DIR", cache.as_str());
    note(log, &format!("$ {command}\n"));
    let mut said = Vec::new();
    let source = b"fn main() {}\n".to_vec();
    let output = children.stream(&command, Some(source), |_, line| said.extend_from_slice(line))?;
    note(log, &String::from_utf8_lossy(&said));
    if output.success() {
        return Ok(());
    }
    Err(Error::build(format!("rustc ended with {}", output.ending())))
}

/// Writes to the log, which is only for who looks there.
fn note(log: &Utf8Path, text: &str) {
    let _ = fs::append(log).map(|mut file| file.write_all(text.as_bytes()));
}
