//! The objects that zig builds once for each target are built while cargo compiles, and not after it.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Mutex, mpsc},
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    model::{
        command::Command,
        digest::Digest,
        error::{Error, Result},
        schema::{
            linker::Linker,
            plan::{Build, Via},
        },
    },
    ops::{dist::planned::Planned, output::stage::Stage},
    sys::{Context, fs, process::Children, warm},
};

/// The environment of a build's command.
type EnvChanges = BTreeMap<String, Option<String>>;

/// One target's smallest link.
#[derive(Debug)]
struct WarmupLink {
    target: String,
    command: Command,
}

/// The objects of zig that the links of one build need.
#[derive(Debug)]
pub(in crate::ops) struct Warm {
    name: String,
    parts: Vec<WarmupLink>,
}

impl Warm {
    /// Returns the objects that the links of `build` need, started with `env`.
    pub(in crate::ops) fn new(planned: &Planned, build: &Build, env: &EnvChanges) -> Self {
        let version = planned.zig.as_ref().map(|zig| zig.version.to_string()).unwrap_or_default();
        let mut key = format!("{}", planned.rust.version);
        let part = |target: &String| {
            let job = planned.plan.jobs.iter().find(|job| job.target == *target)?;
            if job.linker.linker != Linker::Zig {
                return None;
            }
            let upper = target.to_uppercase().replace(['-', '.'], "_");
            let linker = env.get(&format!("CARGO_TARGET_{upper}_LINKER"))?.clone()?;
            let all = job.rustflags.iter().map(|flag| flag.flag.as_str());
            let passed = job.rustflags.iter().filter(|flag| flag.via == Via::Rustflags);
            // Names of directories and of the result change nothing of what zig builds.
            let counts = |flag: &&str| !flag.contains("-path-prefix") && !flag.contains("build-id");
            let counting: Vec<&str> = all.filter(counts).collect();
            key.push_str(&format!("\n{target} {counting:?}"));
            let command = Command { env: env.clone(), ..Command::new(&planned.rust.rustc) }
                .args(["--crate-name", "longshore_warm", "--crate-type", "bin", "--target"])
                .args([target.as_str(), "--edition", "2021", "-Copt-level=3", "-"])
                .arg(format!("-Clinker={linker}"))
                .args(passed.map(|flag| flag.flag.as_str()));
            Some(WarmupLink { target: target.clone(), command })
        };
        let parts = build.targets.iter().filter_map(part).collect();
        Warm { name: format!("{version}-{}", Digest::sha256(key.as_bytes()).short()), parts }
    }

    /// Returns its name, if zig links anything.
    pub(in crate::ops) fn name(&self) -> Option<&str> {
        (!self.parts.is_empty()).then_some(self.name.as_str())
    }

    /// Returns the cache for zig that a restored cache brought to `target`, if one is needed.
    pub(in crate::ops) fn restored(&self, cx: &Context, target: &Utf8Path) -> Option<Utf8PathBuf> {
        warm::restored_cache(cx, target, &self.name).unwrap_or_else(|error| {
            cx.warn(format!("zig's part of the restored cache is not used: {error}"));
            None
        })
    }

    /// Runs `work`, and at the same time, from the moment at which `work` calls the given function, a link of
    /// the objects that are missing in `zig_cache` (zig's own if `None`). If `work` fails, this is stopped; if
    /// it succeeds, its own links have built the same objects, and little is left to do. No failure of this
    /// fails a build: a link builds missing objects itself.
    pub(in crate::ops) fn run_beside<T>(
        &self,
        cx: &Context,
        zig_cache: Option<Utf8PathBuf>,
        stage: &Stage,
        work: impl FnOnce(&(dyn Fn() + Sync)) -> Result<T>,
    ) -> Result<T> {
        let zig_cache = zig_cache.unwrap_or_else(|| cx.env.zig_cache());
        if self.parts.is_empty() || warm::is_warm(&zig_cache, &self.name) {
            return work(&|| {});
        }
        let children = cx.children.nested();
        let (begin, started) = mpsc::channel();
        let beside =
            WarmupThread { cx, children: &children, zig_cache, log: stage.path("logs/warm.log") };
        std::thread::scope(|scope| {
            let warm = move || {
                if started.recv().is_ok()
                    && let Err(error) = beside.warm(self)
                {
                    beside.append_log(&format!("{error}\n"));
                }
            };
            // Without a thread, the links of the build have it built.
            let _ = std::thread::Builder::new().spawn_scoped(scope, warm);
            let begin = Mutex::new(Some(begin));
            let result = work(&|| {
                let begin = begin.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
                if let Some(begin) = begin {
                    // The thread waits for it until it ends.
                    let _ = begin.send(());
                }
            });
            drop(begin);
            if result.is_err() {
                children.interrupt();
            }
            result
        })
    }
}

/// The inputs of the thread beside a build.
struct WarmupThread<'a> {
    cx: &'a Context,
    children: &'a Children,
    zig_cache: Utf8PathBuf,
    log: Utf8PathBuf,
}

impl WarmupThread<'_> {
    /// Builds the objects that each target needs, in zig's own cache; then stores them, once links with nothing
    /// else succeed. Objects that were stored earlier are only copied.
    fn warm(&self, warm: &Warm) -> Result<()> {
        let location = warm::archive_path(self.cx, &warm.name);
        if warm::is_intact(&location) {
            warm::merge(&location, &self.zig_cache)?;
            return warm::mark_warm(&self.zig_cache, &warm.name);
        }
        let before = warm::entries(&self.zig_cache)?;
        warm.parts.iter().try_for_each(|part| self.link(part, &self.zig_cache))?;
        warm::mark_warm(&self.zig_cache, &warm.name)?;
        let dir = Utf8PathBuf::from(format!("{location}.{}.new", std::process::id()));
        fs::remove_dir_all(&dir)?;
        let kept = warm::copy_new(&self.zig_cache, &before, &dir).and_then(|new| {
            if !new {
                return Ok(());
            }
            warm.parts.iter().try_for_each(|part| self.link(part, &dir))?;
            warm::store(&dir, &location)
        });
        fs::remove_dir_all(&dir)?;
        kept
    }

    /// Links the smallest program with the build's own flags.
    fn link(&self, part: &WarmupLink, zig_cache: &Utf8Path) -> Result<()> {
        let out = fs::TempDir::new("longshore-warm")?;
        let command = part.command.clone().args(["-o", out.path.join("warm").as_str()]);
        let command = command
            .env("ZIG_GLOBAL_CACHE_DIR", zig_cache.as_str())
            .env("ZIG_LOCAL_CACHE_DIR", zig_cache.as_str());
        self.append_log(&format!("$ {command}\n"));
        let mut reported = Vec::new();
        let source = b"fn main() {}\n".to_vec();
        let take = |_, line: &[u8]| reported.extend_from_slice(line);
        let output = self.children.stream(&command, Some(source), take)?;
        self.append_log(&String::from_utf8_lossy(&reported));
        if output.success() {
            return Ok(());
        }
        let target = &part.target;
        Err(Error::build(format!("{target}: rustc ended with {}", output.ending())))
    }

    /// Writes to the log, and to nothing else.
    fn append_log(&self, text: &str) {
        let _ = fs::append(&self.log).map(|mut file| file.write_all(text.as_bytes()));
    }
}
