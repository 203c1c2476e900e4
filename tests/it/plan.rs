//! `plan`: what would be done, for people and for machines, and that nothing is.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _};

use serde_json::Value;

use crate::support::{
    command::longshore,
    git, peer,
    workspace::{Workspace, lock, manifest},
};

const AMD64: &str = "x86_64-unknown-linux-musl";
const ARM64: &str = "aarch64-unknown-linux-musl";

/// Returns the plan for `args`.
#[track_caller]
fn plan(workspace: &Workspace, args: &str) -> Value {
    longshore(workspace, &format!("plan --message-format json {args}")).run().json()
}

/// Returns `package/binary` of every job, once.
fn binaries(plan: &Value) -> Vec<String> {
    let jobs = plan["jobs"].as_array().unwrap().iter();
    let name = |job: &Value| {
        format!("{}/{}", job["package"].as_str().unwrap(), job["binary"].as_str().unwrap())
    };
    let mut names: Vec<_> = jobs.map(name).collect();
    names.sort();
    names.dedup();
    names
}

/// Returns `flag <- origin` of every flag for the target.
fn flags(plan: &Value, target: &str) -> Vec<String> {
    let jobs = plan["jobs"].as_array().unwrap();
    let job = jobs.iter().find(|job| job["target"] == target).unwrap();
    let text = |flag: &Value, key: &str| flag[key].as_str().unwrap().to_owned();
    let flags = job["rustflags"].as_array().unwrap().iter();
    flags.map(|flag| format!("{} <- {}", text(flag, "flag"), text(flag, "origin"))).collect()
}

/// Returns the value and the origin of a profile key.
fn setting(plan: &Value, key: &str) -> (String, String) {
    let settings = plan["profile"]["settings"].as_array().unwrap();
    let found = settings.iter().find(|setting| setting["key"] == key).unwrap();
    let text = |name: &str| found[name].as_str().unwrap().to_owned();
    (text("value"), text("origin"))
}

#[test]
fn plan_changes_nothing_and_json_matches_text() {
    let workspace = Workspace::hello();
    let json = plan(&workspace, "");
    assert_eq!(json["schema"], 1);
    assert_eq!(json["profile"]["preset"], "balanced");
    assert_eq!(json["release"]["name"], "hello");
    assert!(json["release"].get("revision").is_none(), "{json:#}");
    let platforms: Vec<_> =
        json["jobs"].as_array().unwrap().iter().map(|job| job["platform"].clone()).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    // Targets that need the same flags share one cargo.
    assert_eq!(json["builds"].as_array().unwrap().len(), 1);
    assert_eq!(json["images"][0]["user"], "65532:65532");
    let human = longshore(&workspace, "plan").run();
    assert_eq!(human.stderr, "");
    for text in ["hello 0.1.0", AMD64, ARM64, "preset balanced", "crt-static", "image hello:0.1.0"]
    {
        assert!(human.stdout.contains(text), "no `{text}` in\n{}", human.stdout);
    }
    assert!(!workspace.path("target").exists());
}

#[test]
fn selection_is_cargos() {
    let workspace = Workspace::members(&["alpha", "beta", "gamma"], "")
        .file("beta/src/bin/second.rs", "fn main() {}\n")
        .file(
            "gamma/Cargo.toml",
            &manifest(
                "gamma",
                "[features]\nextra = []\nall = [\"extra\"]\n[[bin]]\nname = \"gamma\"\n\
                 path = \"src/main.rs\"\nrequired-features = [\"extra\"]\n",
            ),
        );
    let binaries_for = |args: &str| binaries(&plan(&workspace, args)).join(" ");
    assert_eq!(binaries_for(""), "alpha/alpha beta/beta beta/second");
    assert_eq!(binaries_for("--workspace --bins"), "alpha/alpha beta/beta beta/second");
    assert_eq!(binaries_for("-p beta"), "beta/beta beta/second");
    assert_eq!(binaries_for("-p beta@0.1.0 -p alpha"), "alpha/alpha beta/beta beta/second");
    assert_eq!(binaries_for("--bin second"), "beta/second");
    assert_eq!(binaries_for("--bin second --bin alpha"), "alpha/alpha beta/second");
    assert_eq!(binaries_for("-p beta --bin second"), "beta/second");
    assert_eq!(binaries_for("--workspace --exclude beta"), "alpha/alpha");
    assert_eq!(binaries_for("-p gamma -F extra"), "gamma/gamma");
    assert_eq!(binaries_for("-p gamma --features all"), "gamma/gamma");
    assert_eq!(binaries_for("--all-features"), "alpha/alpha beta/beta beta/second gamma/gamma");
    let skipped = plan(&workspace, "")["skipped"].clone();
    assert_eq!(skipped[0]["binary"], "gamma");
    assert!(skipped[0]["reason"].as_str().unwrap().contains("`extra`"), "{skipped:#}");
    // Every one of cargo's flags that changes a build reaches it.
    let json = plan(&workspace, "--no-default-features --frozen -j 3 --keep-going --timings");
    let args: Vec<_> =
        json["builds"][0]["args"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for flag in ["--no-default-features", "--locked", "--offline", "--keep-going", "--timings"] {
        assert!(args.contains(&flag), "no `{flag}` in {args:?}");
    }
    assert!(args.windows(2).any(|pair| pair == ["--jobs", "3"]), "{args:?}");
    let unlocked = plan(&workspace, "--no-locked");
    assert!(!unlocked["builds"][0]["args"].as_array().unwrap().contains(&"--locked".into()));
}

#[test]
fn manifest_path_and_target_dir_are_used() {
    let workspace = Workspace::hello();
    let other = Workspace::empty();
    let manifest = workspace.path("Cargo.toml").display().to_string();
    let json = plan(&other, &format!("--manifest-path {manifest} --target-dir out"));
    assert_eq!(json["workspace"], workspace.root().to_str().unwrap());
    assert_eq!(json["output"], other.path("out/dist").to_str().unwrap());
    // From below the root, as with cargo.
    let below = longshore(&workspace, "plan --message-format json").dir(workspace.path("src"));
    assert_eq!(below.run().json()["workspace"], workspace.root().to_str().unwrap());
}

#[test]
fn an_xtask_is_left_out_unless_requested() {
    let workspace = Workspace::members(&["app", "xtask"], "");
    assert_eq!(binaries(&plan(&workspace, "")), ["app/app"]);
    assert_eq!(binaries(&plan(&workspace, "-p xtask")), ["xtask/xtask"]);
}

#[test]
fn settings_of_workspace_and_package_count() {
    let metadata = "[workspace.metadata.longshore]\ntargets = [\"aarch64-unknown-linux-musl\"]\n\
        preset = \"quick\"\nsmoke-timeout = 3\naudit = false\n";
    let workspace = Workspace::members(&["app", "other"], metadata).file(
        "app/Cargo.toml",
        &manifest(
            "app",
            "license = \"MIT\"\n[package.metadata.longshore]\nsmoke = [\"--help\"]\n\
             [package.metadata.longshore.image]\nuser = \"1000:1000\"\nlabels = { a = \"b\" }\n",
        ),
    );
    workspace.write("LICENSE", "Do as you like.\n");
    workspace.write(
        "other/Cargo.toml",
        &manifest("other", "[package.metadata.longshore]\ndist = false\n"),
    );
    let json = plan(&workspace, "");
    assert_eq!(binaries(&json), ["app/app"]);
    assert_eq!(json["builds"][0]["targets"], serde_json::json!([ARM64]));
    assert_eq!(json["profile"]["preset"], "quick");
    let smoke = serde_json::json!({"args": ["--help"], "must-succeed": true, "timeout": 3});
    assert_eq!(json["jobs"][0]["smoke"], smoke);
    assert_eq!(json["jobs"][0]["audit"], false);
    assert_eq!(json["images"][0]["user"], "1000:1000");
    assert_eq!(json["images"][0]["labels"]["a"], "b");
    assert_eq!(json["images"][0]["labels"]["org.opencontainers.image.licenses"], "MIT");
    // The command line comes first.
    let asked = plan(&workspace, &format!("--target {AMD64} --preset balanced"));
    assert_eq!(asked["builds"][0]["targets"], serde_json::json!([AMD64]));
    assert_eq!(asked["profile"]["preset"], "balanced");
}

#[test]
fn a_workspaces_targets_add_and_replace() {
    let text = fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("targets/{AMD64}.toml")),
    );
    let text = text.unwrap();
    let replaced = format!("rustflags = [\"-Ctarget-cpu=x86-64-v2\"]\n{text}");
    let added = text
        .replace("linux/amd64", "linux/riscv64")
        .replace("machine = \"x86_64\"", "machine = \"riscv\"")
        .replace("default = true", "default = false");
    let workspace = Workspace::hello()
        .file(&format!("targets/{AMD64}.toml"), &replaced)
        .file("targets/riscv64gc-unknown-linux-musl.toml", &added)
        .file("targets/README.md", "not a target\n");
    let json = plan(&workspace, "");
    let flags = flags(&json, AMD64);
    let own = format!("targets/{AMD64}.toml)");
    assert!(
        flags.iter().any(|flag| flag.starts_with("-Ctarget-cpu=x86-64-v2 <- target x86_64")
            && flag.ends_with(&own)),
        "{flags:#?}"
    );
    // Other flags than the other target's, and still one cargo for both.
    let args = |json: &Value| json["builds"][0]["args"].to_string();
    assert_eq!(json["builds"].as_array().unwrap().len(), 1);
    assert!(args(&json).contains(&format!("target.{AMD64}.rustflags=")), "{}", args(&json));
    // The flags of a variable go to each target, in its stead.
    let with = || longshore(&workspace, "plan --message-format json").env("RUSTFLAGS", "--cfg=x");
    let one = with().run().json();
    assert_eq!(one["builds"].as_array().unwrap().len(), 1);
    assert_eq!(one["builds"][0]["env-remove"], serde_json::json!(["RUSTFLAGS"]));
    assert_eq!(args(&one).matches("rustflags=[\\\"--cfg=x\\\"").count(), 2, "{}", args(&one));
    // What it hides would come back without it, so there it takes two.
    let table = format!("[target.{AMD64}]\nrustflags = [\"--cfg=hidden\"]\n");
    workspace.write(".cargo/config.toml", &table);
    let hidden = with().run().json();
    assert_eq!(hidden["builds"].as_array().unwrap().len(), 2);
    for build in hidden["builds"].as_array().unwrap() {
        let encoded = build["env"]["CARGO_ENCODED_RUSTFLAGS"].as_str().unwrap();
        assert!(encoded.starts_with("--cfg=x\u{1f}"), "{encoded}");
    }
    let json = plan(&workspace, "--target riscv64gc-unknown-linux-musl");
    assert_eq!(json["jobs"][0]["platform"], "linux/riscv64");
}

#[test]
fn every_source_of_rustflags_is_shown_with_its_origin() {
    let cfg = "--cfg=of_the_user";
    let own = |test: crate::support::command::Test| {
        let json = test.arg("--message-format=json").run().json();
        let flags = flags(&json, AMD64);
        // In front of ours.
        let (flag, origin) = flags[0].split_once(" <- ").unwrap();
        assert_eq!(flag, cfg, "{flags:#?}");
        // And it is what rustc gets: from us, or from the place that cargo adds ours to.
        let build = &json["builds"][0];
        match build["env"]["CARGO_ENCODED_RUSTFLAGS"].as_str() {
            Some(encoded) => assert!(encoded.starts_with(&format!("{cfg}\u{1f}")), "{encoded}"),
            None => {
                let args = build["args"].to_string();
                assert_eq!(args.contains(cfg), !origin.contains("target.*"), "{args}");
                assert!(args.contains("rustflags="), "{args}");
            }
        }
        origin.to_owned()
    };
    let hello = Workspace::hello();
    assert_eq!(own(longshore(&hello, "plan").env("RUSTFLAGS", cfg)), "RUSTFLAGS");
    assert_eq!(
        own(longshore(&hello, "plan").env("CARGO_ENCODED_RUSTFLAGS", cfg)),
        "CARGO_ENCODED_RUSTFLAGS"
    );
    let of_config = |table: &str| {
        let text = format!("[{table}]\nrustflags = [{cfg:?}]\n");
        own(longshore(&Workspace::hello().file(".cargo/config.toml", &text), "plan"))
    };
    assert_eq!(of_config("build"), "`build.rustflags` in cargo's configuration");
    let of_target = "`target.*.rustflags` in cargo's configuration";
    assert_eq!(of_config(&format!("target.{AMD64}")), of_target);
    assert_eq!(of_config("target.'cfg(target_env = \"musl\")'"), of_target);
    let variable = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS";
    assert_eq!(own(longshore(&hello, "plan").env(variable, cfg)), of_target);
}

#[test]
fn profile_keys_are_shown_with_their_origin() {
    let workspace = Workspace::empty()
        .package("hello", "[profile.dist]\ninherits = \"release\"\nlto = \"thin\"\n");
    let json = plan(&workspace, "");
    let place = "[profile.dist] in Cargo.toml".to_owned();
    assert_eq!(setting(&json, "lto"), ("\"thin\"".to_owned(), place));
    assert_eq!(setting(&json, "codegen-units").1, "preset balanced");
    // What the user set is not passed again: cargo finds it.
    let args = json["builds"][0]["args"].to_string();
    assert!(!args.contains("profile.dist.lto"), "{args}");
    workspace.write(".cargo/config.toml", "[profile.dist]\nlto = \"off\"\n");
    let place = "[profile.dist] in .cargo/config.toml".to_owned();
    assert_eq!(setting(&plan(&workspace, ""), "lto"), ("\"off\"".to_owned(), place));
    let json = longshore(&workspace, "plan --message-format json")
        .env("CARGO_PROFILE_DIST_LTO", "fat")
        .run()
        .json();
    assert_eq!(setting(&json, "lto"), ("\"fat\"".to_owned(), "CARGO_PROFILE_DIST_LTO".to_owned()));
    // Another profile is the user's own affair, but for symbols.
    let release = plan(&workspace, "--profile release");
    assert_eq!(release["profile"].get("preset"), None);
    assert_eq!(setting(&release, "strip").0, "\"none\"");
}

#[test]
fn release_facts_come_from_git_and_source_date_epoch() {
    let Some(git) = crate::support::peer::find("git") else {
        return;
    };
    let workspace = Workspace::hello().file(".gitignore", "/target\n");
    let git = |args: &[&str]| {
        let mut command = crate::support::command::plain(&git);
        command
            .args(["-c", "user.name=x", "-c", "user.email=x@x.example"])
            .args(args)
            .env("GIT_COMMITTER_DATE", "1700000000 +0000")
            .env("GIT_AUTHOR_DATE", "1600000000 +0000")
            .current_dir(workspace.root());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(plan(&workspace, "")["release"]["source-date-epoch"], 0);
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--no-gpg-sign", "-m", "x"]);
    let release = plan(&workspace, "")["release"].clone();
    assert_eq!(release["revision"], git(&["rev-parse", "HEAD"]).as_str());
    assert_eq!(release["dirty"], false);
    assert_eq!(release["source-date-epoch"], 1_700_000_000);
    workspace.write("src/main.rs", "fn main() {}\n");
    let json = longshore(&workspace, "plan --message-format json")
        .env("SOURCE_DATE_EPOCH", "12")
        .run()
        .json();
    assert_eq!(json["release"]["dirty"], true);
    assert_eq!(json["release"]["source-date-epoch"], 12);
    let created = &json["images"][0]["labels"]["org.opencontainers.image.created"];
    assert_eq!(created, "1970-01-01T00:00:12Z");
}

#[test]
fn two_binaries_for_one_path_are_rejected() {
    let workspace = Workspace::members(&["alpha", "beta"], "")
        .file("beta/src/bin/alpha.rs", "fn main() {}\n")
        .file("Cargo.lock", &lock(&["alpha", "beta"]));
    longshore(&workspace, "plan")
        .status(2)
        .stderr("packages `alpha` and `beta` both have a binary `alpha`")
        .hint("select one with `--package`")
        .run();
    assert_eq!(binaries(&plan(&workspace, "-p alpha")), ["alpha/alpha"]);
}

#[test]
fn the_platforms_of_a_release_do_not_depend_on_the_request() {
    let release_of = |workspace: &Workspace| {
        plan(workspace, &format!("--target {ARM64}"))["release"]["platforms"].clone()
    };
    assert_eq!(release_of(&Workspace::hello()), serde_json::json!(["linux/amd64", "linux/arm64"]));
    let one = format!("[workspace.metadata.longshore]\ntargets = [{AMD64:?}]\n[workspace]\n");
    let workspace = Workspace::empty().package("hello", &one);
    assert_eq!(release_of(&workspace), serde_json::json!(["linux/amd64"]));
}

/// Cargo accepts such files, and so does git.
#[test]
fn names_that_are_not_utf8_are_no_obstacle() {
    if cfg!(not(target_os = "linux")) {
        return peer::skip("other systems have no such names");
    }
    let name = |start: &str| {
        std::path::PathBuf::from(OsStr::from_bytes(&[start.as_bytes(), b"caf\xe9.txt"].concat()))
    };
    let build = "fn main() {\n    println!(\"cargo::rustc-env=FILES={}\", std::fs::read_dir(\".\")\
                 .unwrap().count());\n}\n";
    let workspace = Workspace::hello().file("build.rs", build).file(".gitignore", "/target\n");
    for directory in ["", "src/", "targets/"] {
        let path = workspace.root().join(name(directory));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    longshore(&workspace, "plan").run();
    git::committed(&workspace);
    fs::write(workspace.root().join(name("src/")), "changed").unwrap();
    longshore(&workspace, "plan").stdout("(dirty: `src/caf").run();
    let dist = format!("build --preset quick --no-smoke --target {AMD64}");
    longshore(&workspace, &dist).stderr("1 file differs from commit").run();
    longshore(&workspace, &dist).run();
}
