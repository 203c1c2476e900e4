//! longshore's own cache directory repairs itself, and holds nothing of one workspace for others.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::support::{
    command::{self, Test, longshore},
    peer,
    tree::tree,
    workspace::Workspace,
};

const TARGET: &str = "x86_64-unknown-linux-musl";

/// Returns the smallest build with an object of the cache in it.
fn build(workspace: &Workspace, cache: &Workspace) -> Test {
    let args = format!("build --preset quick --allocator mimalloc --target {TARGET}");
    longshore(workspace, &args)
        .env("CARGO_PROFILE_DIST_LTO", "off")
        .env("CARGO_PROFILE_DIST_OPT_LEVEL", "0")
        .env("LONGSHORE_CACHE_DIR", cache.root())
}

/// Returns the user's cache directory, where other tests have fetched zig.
fn user_cache() -> PathBuf {
    longshore::sys::env::Env::read().unwrap().cache.into()
}

/// Returns a cache directory with the zig of the user's, which shares its files, for one test at a time; and a
/// directory of programs that stands for the network: its `uv` installs that zig. The path stays the same from
/// run to run, since zig builds libc anew for another one.
fn copy() -> Option<(MutexGuard<'static, ()>, Workspace, PathBuf)> {
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let package = user_cache().join("zig").join(longshore::build::zig::PINNED);
    if !package.join("ziglang/zig").is_file() {
        build(&Workspace::hello(), &Workspace::at(&user_cache())).run();
    }
    if !package.join("ziglang/zig").is_file() {
        peer::skip("another zig is used than the one that is fetched");
        return None;
    }
    let root = command::cache("repair");
    fs::remove_dir_all(&root).unwrap();
    let cache = Workspace::at(&root).file("zig/lock", "");
    let copied =
        Command::new("cp").arg("-al").arg(&package).arg(cache.path("zig")).status().unwrap();
    assert!(copied.success());
    let script = format!(
        "#!/bin/sh\nwhile [ \"$1\" != --target ]; do shift; done\necho fetched >> '{}'\n\
         cp -al '{}'/. \"$2\"\n",
        cache.path("fetched").display(),
        package.display()
    );
    cache.write("bin/uv", &script);
    let programs = cache.path("bin");
    fs::set_permissions(programs.join("uv"), fs::Permissions::from_mode(0o755)).unwrap();
    Some((one, cache, programs))
}

fn path_with(programs: &Path) -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(programs.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(all).unwrap()
}

/// Returns the regular files below `root`, without the directories and files called `other` in it.
fn files(root: &Path, other: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if other.iter().any(|name| entry.file_name() == *name) {
            continue;
        } else if kind.is_dir() {
            found.extend(files(&entry.path(), &[]));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// Another file in the place of this one: writing into it would damage those that share it.
fn replace(path: &Path, bytes: &[u8]) {
    let mode = fs::metadata(path).unwrap().permissions();
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, mode).unwrap();
}

#[test]
fn damaged_files_are_installed_again() {
    let Some((_one, cache, programs)) = copy() else { return };
    let workspace = Workspace::hello();
    let run = |test: Test| test.env("PATH", path_with(&programs)).run();
    run(build(&workspace, &cache));
    let fetched = || fs::read_to_string(cache.path("fetched")).unwrap_or_default().lines().count();
    assert_eq!(fetched(), 0);
    let package = Path::new("zig").join(longshore::build::zig::PINNED);
    let files = files(cache.root(), &["zig", "bin", "fetched"]);
    assert!(files.iter().any(|path| path.extension().is_some_and(|end| end == "o")), "{files:?}");
    for file in &files {
        let content = fs::read(file).unwrap();
        for damage in [Vec::new(), vec![0; content.len()]] {
            // Locks, which are empty anyway.
            if damage == content {
                continue;
            }
            replace(file, &damage);
            run(build(&workspace, &cache));
            if file.extension().is_some_and(|end| end == "o") {
                assert!(fs::read(file).unwrap() == content, "{}", file.display());
            }
        }
    }
    assert_eq!(fetched(), 0);
    // One by one of zig's thousands of files; `seal` has the others.
    type Damage = fn(Vec<u8>) -> Vec<u8>;
    let damage: [(&str, Damage); 3] = [
        ("zig", |_| Vec::new()),
        ("lib/std/std.zig", |content| content[..content.len() / 2].to_vec()),
        ("lib/libc/include/generic-musl/stdio.h", |content| vec![0; content.len()]),
    ];
    for (number, (name, damage)) in damage.into_iter().enumerate() {
        let path = cache.root().join(&package).join("ziglang").join(name);
        let content = fs::read(&path).unwrap();
        replace(&path, &damage(content.clone()));
        run(build(&workspace, &cache).stderr("passing over the zig that was fetched"));
        assert!(fs::read(&path).unwrap() == content, "{name}");
        assert_eq!(fetched(), number + 1, "{name}");
    }
    // Without a network, the reason is in the message.
    replace(&cache.path(package.join("ziglang/zig").to_str().unwrap()), b"");
    build(&workspace, &cache)
        .arg("--offline")
        .status(3)
        .stderr("ziglang/zig` has 0 bytes instead of")
        .hint("run once without `--offline`")
        .run();
}

/// Returns the objects of mimalloc in the cache.
fn objects(cache: &Workspace) -> Vec<PathBuf> {
    let names = tree(&cache.path("allocator")).into_keys();
    names.filter(|name| name.extension().is_some_and(|end| end == "o")).collect()
}

#[test]
fn settings_of_one_workspace_do_not_affect_others() {
    let Some((_one, cache, programs)) = copy() else { return };
    let clean = Workspace::hello();
    build(&clean, &cache).run();
    let [object] = &objects(&cache)[..] else { panic!("{:?}", objects(&cache)) };
    let expected = fs::read(cache.path("allocator").join(object)).unwrap();
    let again = || {
        fs::remove_dir_all(cache.path("allocator")).unwrap();
    };

    // A compiler of the workspace's own, and flags for it.
    again();
    let script = "#!/bin/sh\necho \"$@\" >> \"$0.log\"\nexit 1\n";
    let allow = "[workspace]\n[workspace.metadata.longshore.verify]\nallow = [\"cpu-level\"]\n";
    let own = Workspace::empty().package("hello", allow).file("cc.sh", script);
    fs::set_permissions(own.path("cc.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    build(&own, &cache)
        .env("CC_x86_64_unknown_linux_musl", own.path("cc.sh"))
        .env("CFLAGS_x86_64_unknown_linux_musl", "-DMARKER=1")
        .env("CPATH", own.root())
        .env("CCC_OVERRIDE_OPTIONS", "+-g3")
        .env("RUSTFLAGS", "-Ctarget-cpu=x86-64-v3")
        .run();
    // `plan` asks it for its version, and nothing is compiled by it.
    assert_eq!(fs::read_to_string(own.path("cc.sh.log")).unwrap(), "-dumpversion\n");
    assert_eq!(objects(&cache), std::slice::from_ref(object));
    assert_eq!(fs::read(cache.path("allocator").join(object)).unwrap(), expected);

    // The same zig behind a script compiles the same; another one of the same version may not.
    let zig = user_cache().join("zig").join(longshore::build::zig::PINNED).join("ziglang/zig");
    let planned = || {
        let args = format!(
            "plan --message-format json --preset quick --allocator mimalloc --target {TARGET}"
        );
        let plan = longshore(&clean, &args)
            .env("LONGSHORE_CACHE_DIR", cache.root())
            .env("PATH", path_with(&programs))
            .run()
            .stdout;
        let start = plan.find("/mimalloc-").unwrap();
        let end = plan[start..].find(".o").unwrap();
        PathBuf::from(&plan[start + 1..start + end + 2])
    };
    let install = |path: &Path, bytes: &[u8]| {
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    assert_eq!(planned(), *object);
    let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", zig.display());
    install(&programs.join("zig"), script.as_bytes());
    assert_eq!(planned(), *object);
    // Beside a `lib`, where zig looks for its own.
    let mut bytes = fs::read(&zig).unwrap();
    bytes.push(0);
    install(&programs.join("zig"), &bytes);
    std::os::unix::fs::symlink(zig.with_file_name("lib"), programs.join("lib")).unwrap();
    assert_ne!(planned(), *object);
}

/// Returns a directory of vendored sources, in which the source of mimalloc was changed.
fn vendored() -> Option<Workspace> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))?;
    let vendor = Workspace::empty();
    let lock = include_str!("../../src/sys/toolchain/mimalloc/lock.toml");
    let lock: toml::Table = lock.parse().unwrap();
    for package in lock["package"].as_array().unwrap() {
        let Some(checksum) = package.get("checksum").and_then(|value| value.as_str()) else {
            continue;
        };
        let name = format!("{}-{}", package["name"].as_str()?, package["version"].as_str()?);
        let sources = fs::read_dir(home.join("registry/src")).ok()?;
        let mut found = sources.map(|entry| entry.unwrap().path().join(&name));
        let Some(source) = found.find(|path| path.is_dir()) else {
            peer::skip(&format!("`{name}` was never downloaded"));
            return None;
        };
        let copied = Command::new("cp").arg("-r").args([&source, vendor.root()]).status().unwrap();
        assert!(copied.success());
        let text = format!("{{\"files\":{{}},\"package\":{checksum:?}}}");
        vendor.write(&format!("{name}/.cargo-checksum.json"), &text);
    }
    let changed = "libmimalloc-sys-0.1.49/c_src/mimalloc/v2/src/static.c";
    let mut text = fs::read_to_string(vendor.path(changed)).unwrap();
    text.push_str("\nconst char evil_marker[] __attribute__((used)) = \"EVIL-MARKER\";\n");
    vendor.write(changed, &text);
    Some(vendor)
}

#[test]
fn a_changed_source_of_mimalloc_is_not_compiled() {
    let Some((_one, cache, _)) = copy() else { return };
    let clean = Workspace::hello();
    // What is downloaded then is there to be vendored.
    build(&clean, &cache).run();
    let Some(vendor) = vendored() else { return };
    let config = format!(
        "[source.crates-io]\nreplace-with = \"vendored\"\n[source.vendored]\ndirectory = {:?}\n",
        vendor.root()
    );
    let own = Workspace::hello().file(".cargo/config.toml", &config);
    fs::remove_dir_all(cache.path("allocator")).unwrap();
    build(&own, &cache).run();
    for object in objects(&cache) {
        let bytes = fs::read(cache.path("allocator").join(object)).unwrap();
        assert!(!bytes.windows(11).any(|window| window == b"EVIL-MARKER"));
    }
    // With no other source, it is an error.
    let home = Workspace::empty().file("config.toml", &config);
    fs::remove_dir_all(cache.path("allocator")).unwrap();
    build(&own, &cache)
        .env("CARGO_HOME", home.root())
        .status(3)
        .stderr("was changed: expected the digest `c05a1a66")
        .hint("remove the directory and its copies; cargo fetches the source again")
        .run();
    assert_eq!(objects(&cache), Vec::<PathBuf>::new());
}
