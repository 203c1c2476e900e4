//! What is wrong with commands of a training, with profiles, and with the tools for them.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, path::PathBuf};

use crate::{
    pgo::{NATIVE, build, program},
    support::{
        command::longshore,
        peer,
        workspace::{Workspace, manifest},
    },
};

#[test]
fn what_is_wrong_with_a_training_is_reported() {
    let without = Workspace::hello();
    build(&without, "--pgo").status(2).stderr("no package has any").hint("set `train = [[").run();
    let misnamed = program("train = [[\"helo\"]]\n");
    build(&misnamed, "--pgo").status(2).stderr("starts `helo`").hint("did you mean `hello`?").run();
    let workspace = program("train = [[\"hello\", \"fail\"]]\ntimeout = 2\n")
        .file("src/bin/extra.rs", "fn main() {}\n");
    let again = |command: &str| {
        let text = format!(
            "[workspace]\n[features]\nmore = []\n[[bin]]\nname = \"extra\"\nrequired-features = [\"more\"]\n\
             [package.metadata.longshore.pgo]\ntrain = [[{command}]]\ntimeout = 2\n"
        );
        workspace.write("Cargo.toml", &manifest("hello", &text));
        build(&workspace, "--pgo")
    };
    again("\"hello\", \"fail\"").status(1).stderr("exit status: 3").stderr("it fails").run();
    again("\"hello\", \"loop\"")
        .status(1)
        .stderr("ended with a timeout")
        .hint("`timeout` in")
        .run();
    again("\"hello\", \"abort\"").status(1).stderr("signal: 6").run();
    for silent in ["_exit", "exec"] {
        again(&format!("\"hello\", \"{silent}\""))
            .status(1)
            .stderr(&format!("the training `hello {silent}` wrote no profile for `{NATIVE}`"))
            .hint("a profile is written when the program returns from `main`")
            .run();
    }
    again("\"hello\", \"copy\"")
        .status(4)
        .stderr("the profiles of the training cannot be merged")
        .stderr("raw profile format version = 8; expected version = ")
        .hint("a program that another compiler instrumented")
        .run();
    again("\"extra\"").status(2).stderr("`extra` was not built").hint("features have to").run();
    // A binary that is not built needs no training.
    again("\"extra\"").arg("--bin").arg("hello").status(2).stderr("no package has any").run();
}

/// A profile that the rustc of this machine made, in `dir`; nothing after saying that the test is skipped.
fn make_profile(dir: &Path) -> Option<PathBuf> {
    let profdata = profdata()?;
    let rustc = peer::find("rustc")?;
    let path = |name: &str| dir.join(name).display().to_string();
    fs::write(path("a.rs"), "fn main() { println!(\"{}\", std::env::args().count()) }").unwrap();
    let sources = ["-Cprofile-generate", "-o", &path("a"), &path("a.rs")];
    peer::run(&rustc, sources);
    let mut command = std::process::Command::new(path("a"));
    assert!(command.env("LLVM_PROFILE_FILE", path("a.profraw")).status().unwrap().success());
    peer::run(&profdata, ["merge", "-o", &path("a.profdata"), &path("a.profraw")]);
    Some(dir.join("a.profdata"))
}

/// `llvm-profdata` of the toolchain.
fn profdata() -> Option<PathBuf> {
    let sysroot = sysroot()?;
    let host = host()?;
    let path = sysroot.join("lib/rustlib").join(host).join("bin/llvm-profdata");
    if !path.is_file() {
        peer::skip("`rustup component add llvm-tools` first");
        return None;
    }
    Some(path)
}

fn sysroot() -> Option<PathBuf> {
    Some(peer::run(&peer::find("rustc")?, ["--print=sysroot"]).trim().into())
}

fn host() -> Option<String> {
    let text = peer::run(&peer::find("rustc")?, ["-vV"]);
    Some(text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned())
}

#[test]
fn what_is_wrong_with_a_profile_is_reported() {
    let workspace = Workspace::hello().file("text", "not a profile");
    fs::write(workspace.path("raw"), b"\x81rforpl\xff and more").unwrap();
    fs::create_dir(workspace.path("directory")).unwrap();
    let with = |file: &str| {
        build(&workspace, "--pgo-profile").arg(file).absent("Compiling").absent("Building")
    };
    with("missing").status(2).stderr("missing` does not exist").run();
    with("directory").status(2).stderr("directory` is not a regular file").run();
    with("text").status(2).stderr("expected LLVM's indexed format, found something else").run();
    with("raw").status(2).stderr("found the raw format").hint("`llvm-profdata merge").run();
    // It can be opened, and not read.
    if cfg!(target_os = "linux") {
        with("/proc/self/mem").status(4).stderr("cannot read `/proc/self/mem`").run();
    }
    let both = build(&workspace, "--pgo --pgo-profile text");
    both.status(2).stderr("cannot be used with").run();
    let Some(profile) = make_profile(workspace.root()) else { return };
    let good = fs::read(profile).unwrap();
    let unreadable = |name: &str, content: &[u8], found: &str| {
        fs::write(workspace.path(name), content).unwrap();
        with(name)
            .status(2)
            .stderr("cannot read the profile `")
            .stderr(found)
            .hint("it is damaged, or of a newer rustc: train again with `--pgo`")
            .run();
    };
    unreadable("short", &good[..good.len() - 1], "truncated profile data");
    unreadable("half", &good[..good.len() / 2], "malformed instrumentation profile data");
    let mut newer = good;
    newer[8] = 99;
    unreadable("newer", &newer, "unsupported instrumentation profile format version");
}

#[test]
fn llvm_tools_that_cannot_be_provided_are_reported_before_a_build() {
    let workspace = program("train = [[\"hello\"]]\n");
    let (Some(sysroot), Some(host), Some(rustc)) = (sysroot(), host(), peer::find("rustc")) else {
        return;
    };
    // A toolchain without the component, and without rustup.
    let bare = workspace.path("toolchain");
    let libraries = bare.join("lib/rustlib").join(&host);
    fs::create_dir_all(&libraries).unwrap();
    let real = sysroot.join("lib/rustlib").join(&host);
    std::os::unix::fs::symlink(real.join("lib"), libraries.join("lib")).unwrap();
    let script = format!(
        "#!/bin/sh\nexec {} --sysroot {} \"$@\"\n",
        sysroot.join("bin").join(rustc.file_name().unwrap()).display(),
        bare.display()
    );
    workspace.write("rustc", &script);
    let wrapper = workspace.path("rustc");
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    let tools = workspace.path("tools");
    fs::create_dir(&tools).unwrap();
    let without = |args: &str| {
        longshore(&workspace, &format!("build --preset quick --target {NATIVE} --pgo {args}"))
            .env("RUSTC", &wrapper)
            .env("PATH", &tools)
            .status(3)
            .absent("Building")
            .absent("Profiling")
    };
    without("")
        .stderr("`--pgo` needs `llvm-profdata` of LLVM ")
        .stderr("toolchain/lib/rustlib/")
        .stderr("`rustup component add llvm-tools`: ")
        .stderr("`PATH` has no `llvm-profdata`")
        .hint("`rustup component add llvm-tools` installs it for rustup's toolchains")
        .run();
    without("--offline").stderr("needs the network, and this is `--offline`").run();
    // That of another LLVM is not used.
    workspace.write("tools/llvm-profdata", "#!/bin/sh\necho LLVM version 3.9.0\n");
    let other = workspace.path("tools/llvm-profdata");
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    without("").stderr("tools/llvm-profdata` is of another LLVM: expected ").run();
    // The one of this LLVM is; what is missing next is the standard library of the target.
    let Some(profdata) = profdata() else { return };
    fs::remove_file(&other).unwrap();
    std::os::unix::fs::symlink(profdata, &other).unwrap();
    longshore(&workspace, &format!("build --preset quick --target {NATIVE} --pgo --offline"))
        .env("RUSTC", &wrapper)
        .env("PATH", &tools)
        .status(3)
        .absent("llvm-profdata")
        .stderr("Profiling the program: instrumented build")
        .stderr("no standard library for")
        .run();
}
