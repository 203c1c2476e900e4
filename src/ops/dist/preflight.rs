//! Checks for conditions that would fail a build later, before anything is fetched or compiled.

use camino::Utf8Path;

use crate::{
    model::{
        error::{Error, Result},
        schema::Plan,
    },
    sys::{
        Context,
        access::{self, can_be_written},
        fs::{self, TempDir},
    },
};

/// The directories in longshore's cache that a build writes to.
const CACHE_DIRECTORIES: [&str; 6] = ["allocator", "linker", "memory", "pgo", "zig", "zig-warm"];

/// The minimum space for temporary files, in bytes.
const MIN_TEMPORARY_SPACE: usize = 1 << 20;

/// Checks the directories of `plan`; before a build, also that caches and temporary files can be written.
///
/// # Errors
/// A build would fail: the directory, the reason, and the variable or option that names another.
pub(in crate::ops) fn check(cx: &Context, plan: &Plan, builds: bool) -> Result<()> {
    check_target_directory(&plan.target_directory)?;
    check_formats(plan)?;
    if builds {
        check_caches(cx)?;
        check_temporary(cx, plan)?;
    }
    Ok(())
}

/// Checks that this build of longshore can write every format of `plan`.
fn check_formats(plan: &Plan) -> Result<()> {
    let layers = plan.images.iter().map(|image| image.compression.require());
    let archives = plan.archives.iter().flat_map(|archive| &archive.formats);
    layers.chain(archives.map(|format| format.require())).collect()
}

/// Characters that a target directory cannot have in its path, with the reason.
const UNUSABLE_CHARACTERS: [(char, &str); 2] = [
    (':', "cargo joins directories below it in `LD_LIBRARY_PATH`, where `:` separates them"),
    ('%', "the linker lld replaces each `%` in the path of its output with a random digit"),
];

fn check_target_directory(path: &str) -> Result<()> {
    let Some((character, reason)) = UNUSABLE_CHARACTERS.iter().find(|(of, _)| path.contains(*of))
    else {
        return Ok(());
    };
    Err(Error::usage(format!(
        "the target directory `{path}` has a `{character}` in its path: {reason}"
    ))
    .hint("`--target-dir DIR` or `CARGO_TARGET_DIR` names a directory without it"))
}

/// Checks longshore's cache and zig's.
fn check_caches(cx: &Context) -> Result<()> {
    let cache = &cx.env.cache;
    let hint = "set `LONGSHORE_CACHE_DIR` to a directory that can be written";
    let failed = |path: &Utf8Path| {
        Error::usage(format!("the cache directory `{path}` cannot be written")).hint(hint)
    };
    let probe = cache.join(format!("probe.{}.tmp", std::process::id()));
    let probed = fs::create_dir_all(cache)
        .and_then(|()| fs::write(&probe, b"longshore"))
        .and_then(|()| fs::remove_file(&probe));
    if let Err(error) = probed {
        return Err(failed(cache).because(error));
    }
    for name in CACHE_DIRECTORIES {
        let path = cache.join(name);
        if !can_be_written(&path) {
            return Err(failed(&path));
        }
    }
    for (variable, dir) in [
        ("ZIG_GLOBAL_CACHE_DIR", cx.env.zig_cache()),
        ("ZIG_LOCAL_CACHE_DIR", cx.env.zig_local_cache()),
    ] {
        if !can_be_written(&dir) {
            return Err(Error::usage(format!("the cache of zig `{dir}` cannot be written"))
                .hint(format!("set `{variable}` to a directory that can be written")));
        }
    }
    Ok(())
}

/// Checks that the directory for temporary files, which rustc and the smoke test use, has space and can execute
/// programs.
fn check_temporary(cx: &Context, plan: &Plan) -> Result<()> {
    let dir = cx.env.temporary();
    let hint = "set `TMPDIR` to a directory that can be written and has free space";
    let failed = |error: Error| {
        Error::usage(format!("the directory for temporary files `{dir}` cannot be used"))
            .because(error)
            .hint(hint)
    };
    let made = TempDir::new("longshore-check").map_err(failed)?;
    fs::write(&made.path.join("probe"), &vec![0xa5; MIN_TEMPORARY_SPACE]).map_err(failed)?;
    let runs = plan.jobs.iter().any(|job| job.smoke.args.is_some());
    if runs && access::is_noexec(&made.path) {
        return Err(Error::usage(format!(
            "the smoke test cannot run in the directory for temporary files `{dir}`: its file \
             system is mounted `noexec`"
        ))
        .hint("set `TMPDIR` to a directory on another file system, or leave the test out with `--no-smoke`"));
    }
    Ok(())
}
