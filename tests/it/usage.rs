//! Bad input: each kind gets a clear error, a hint, and status 2, before anything is built.

use crate::support::{
    command::{Test, longshore},
    workspace::{Workspace, manifest},
};

/// Returns the command `dist` refuses before it makes anything.
fn rejected(workspace: &Workspace, args: &str) -> Test {
    longshore(workspace, &format!("dist {args}")).status(2).absent("Building")
}

#[test]
fn unknown_names_have_a_suggestion() {
    let hello = Workspace::hello();
    rejected(&hello, "--target x86_64-unknown-linux-mus")
        .stderr("error: unknown target `x86_64-unknown-linux-mus`")
        .hint("did you mean `x86_64-unknown-linux-musl`?")
        .run();
    rejected(&hello, "--target zzz").hint("known targets: aarch64-unknown-linux-musl, ").run();
    rejected(&hello, "--preset balance").stderr("'balanced'").run();
    rejected(&hello, "--profile releas")
        .stderr("profile `releas` is not defined")
        .hint("did you mean `release`?")
        .run();
    rejected(&hello, "--package hallo")
        .stderr("no package `hallo`")
        .hint("did you mean `hello`?")
        .run();
    rejected(&hello, "--bin helo").stderr("no binary `helo`").hint("did you mean `hello`?").run();
    rejected(&hello, "--package hello@9.9.9").stderr("no package `hello@9.9.9`").run();
    rejected(&hello, "--exclude hallo").hint("did you mean `hello`?").run();
    longshore(&hello, "dits").status(2).stderr("'dist'").run();
    assert!(!hello.path("target").exists());
}

#[test]
fn unknown_metadata_keys_have_a_suggestion_and_a_location() {
    let workspace = Workspace::empty()
        .package("hello", "[workspace.metadata.longshore]\ntarget = [\"x\"]\n[workspace]\n");
    rejected(&workspace, "")
        .stderr("`[workspace.metadata.longshore]` in `")
        .stderr("`target`")
        .hint("did you mean `targets`?")
        .run();
    let metadata = "[package.metadata.longshore.image]\nentry-point = \"x\"\n";
    let workspace = Workspace::empty().package("hello", metadata);
    rejected(&workspace, "")
        .stderr("`[package.metadata.longshore]` in `")
        .hint("did you mean `entrypoint`?")
        .run();
    let metadata = "[package.metadata.longshore]\nsmoke = 1\n";
    let workspace = Workspace::empty().package("hello", metadata);
    rejected(&workspace, "").stderr("`smoke` is `true`, `false` or a list of arguments").run();
    let metadata = "[workspace.metadata.longshore]\ntargets = [\"aarch64-unknown-linux-mus\"]\n";
    let workspace = Workspace::empty().package("hello", metadata);
    rejected(&workspace, "").hint("did you mean `aarch64-unknown-linux-musl`?").run();
}

#[test]
fn a_broken_target_file_is_named() {
    let name = "targets/mips-unknown-linux-musl.toml";
    let good = "platform = \"linux/mips\"\nlinkage = \"static\"\n[elf]\nmachine = \"arm\"\n\
        class = 32\nendian = \"big\"\npage-size = 4096\n";
    let with = |text: &str| Workspace::hello().file(name, text);
    longshore(&with(good), "plan").run();
    let broken = |text: &str, said: &str| {
        rejected(&with(text), "").stderr("target file `").stderr(name).stderr(said).run();
    };
    broken(&good.replace("linkage", "linkag"), "\nhint: did you mean `linkage`?");
    broken(&good.replace("= 32", "= 31"), "`class` is 31, and not 32 or 64");
    broken(&good.replace("4096", "4095"), "not a power of two");
    broken("platform = [", "\nhint: docs/targets.md");
    broken(&good.replace("linux/mips", "mips"), "`mips`");
}

#[test]
fn no_workspace() {
    let empty = Workspace::empty();
    rejected(&empty, "")
        .stderr("could not find `Cargo.toml`")
        .hint("run this inside a cargo workspace, or name one with `--manifest-path`")
        .run();
    rejected(&empty, "--manifest-path no/Cargo.toml").stderr("no/Cargo.toml").run();
    rejected(&Workspace::empty().file("Cargo.toml", "[package"), "").stderr("Cargo.toml").run();
}

#[test]
fn nothing_to_build() {
    let library = Workspace::hello();
    library.remove("src/main.rs");
    library.write("src/lib.rs", "");
    rejected(&library, "")
        .stderr("no binary to build in the workspace `")
        .hint("its packages are libraries; longshore ships programs")
        .run();
    let none = Workspace::empty().file("Cargo.toml", "[workspace]\nmembers = []\n");
    rejected(&none, "").stderr("no binary to build").run();
    let two = Workspace::members(&["app", "lib"], "");
    two.remove("lib/src/main.rs");
    two.write("lib/src/lib.rs", "");
    longshore(&two, "plan").stdout("app 0.1.0").run();
    rejected(&two, "--package lib").stderr("no binary to build").run();
    let off = Workspace::empty().package(
        "hello",
        "[features]\nextra = []\n[[bin]]\nname = \"hello\"\npath = \"src/main.rs\"\n\
         required-features = [\"extra\"]\n",
    );
    rejected(&off, "").hint("`hello` was left out: it requires the feature `extra`").run();
    rejected(&off, "--bin hello").stderr("binary `hello` is not built").run();
}

#[test]
fn flags_that_contradict_the_target_are_rejected_with_both_names() {
    let hello = Workspace::hello();
    rejected(&hello, "")
        .env("RUSTFLAGS", "-C target-feature=-crt-static")
        .stderr("`-C target-feature=-crt-static` from RUSTFLAGS")
        .stderr("`linkage = \"static-pie\"` of target `x86_64-unknown-linux-musl`")
        .hint("remove the flag")
        .run();
    let config = "[target.aarch64-unknown-linux-musl]\n\
        rustflags = [\"-Ctarget-feature=+lse,-crt-static\"]\n";
    let workspace = Workspace::hello().file(".cargo/config.toml", config);
    rejected(&workspace, "")
        .stderr("cargo's configuration contradicts")
        .stderr("of target `aarch64-unknown-linux-musl`")
        .run();
    longshore(&workspace, "plan --target x86_64-unknown-linux-musl").run();
}

#[test]
fn two_targets_of_one_platform_are_rejected() {
    let other = "platform = \"linux/amd64\"\nlinkage = \"dynamic\"\n[elf]\nmachine = \"x86_64\"\n\
        class = 64\nendian = \"little\"\npage-size = 4096\n";
    let workspace = Workspace::hello().file("targets/x86_64-unknown-linux-gnu.toml", other);
    rejected(&workspace, "--target x86_64-unknown-linux-gnu --target x86_64-unknown-linux-musl")
        .stderr("are both for platform `linux/amd64`")
        .run();
}

#[test]
fn wrong_values_are_named() {
    let hello = Workspace::hello();
    rejected(&hello, "").env("SOURCE_DATE_EPOCH", "today").stderr("`SOURCE_DATE_EPOCH`").run();
    rejected(&hello, "--rust-src src").stderr("`--rust-src src` has no `library").run();
    rejected(&hello, "--profile release --preset quick").stderr("takes no preset").run();
    rejected(&hello, "--locked --frozen --no-locked").stderr("--frozen").run();
    let workspace = Workspace::hello().file(".cargo/config.toml", "[build]\nrustflags = 1\n");
    rejected(&workspace, "").stderr("configuration").run();
    let members = Workspace::members(&["alpha"], "")
        .file("alpha/Cargo.toml", &manifest("alpha", "[package.metadata.longshore]\ndist = 1\n"));
    rejected(&members, "").stderr("alpha/Cargo.toml").run();
}
