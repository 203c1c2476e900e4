//! Cargo's configuration: what cargo reads there, longshore reads, with the same meaning.

use std::process::Command;

use crate::support::{command::longshore, workspace::Workspace};

const TARGET: &str = "x86_64-unknown-linux-musl";

/// Returns the configuration of a workspace with one package.
fn configured(text: &str) -> Workspace {
    Workspace::hello().file(".cargo/config.toml", text)
}

#[test]
fn included_files_count() {
    let flags = "[build]\nrustflags = [\"--cfg\", \"from_include\"]\n\
                 [profile.dist]\ninherits = \"release\"\nopt-level = 1\n";
    let source = "fn main() {\n    println!(\"{}\", cfg!(from_include));\n}\n";
    let workspace = configured("include = [\"flags.toml\"]\n")
        .file(".cargo/flags.toml", flags)
        .file("src/main.rs", source);
    let plan = || longshore(&workspace, "plan");
    plan()
        .stdout("opt-level = 1  # [profile.dist] in .cargo/flags.toml")
        .stdout("from_include  # `build.rustflags` in cargo's configuration")
        .run();
    longshore(&workspace, &format!("build --preset quick --target {TARGET}")).run();
    let program = workspace.dist().join("linux/amd64/bin/hello");
    assert_eq!(Command::new(program).output().unwrap().stdout, b"true\n");
    // An optional file that is missing, and flags of a target that contradict the linkage.
    let optional =
        "include = [{ path = \"flags.toml\" }, { path = \"none.toml\", optional = true }]\n";
    workspace.write(".cargo/config.toml", optional);
    plan().stdout("from_include").run();
    let dynamic = format!("[target.{TARGET}]\nrustflags = [\"-Ctarget-feature=-crt-static\"]\n");
    workspace.write(".cargo/flags.toml", &dynamic);
    plan().status(2).stderr("contradicts `linkage = \"static-pie\"`").run();
    workspace.remove(".cargo/flags.toml");
    plan().status(2).stderr("`include`").run();
}

#[test]
fn flags_for_c_in_env_are_merged() {
    let build = "fn main() {\n    let flags = std::env::var(\"CFLAGS_x86_64_unknown_linux_musl\").unwrap();\n    \
                 assert!(flags.contains(\"-DFROM_CONFIG=1\"), \"{flags}\");\n    \
                 assert!(flags.contains(\"-ffile-prefix-map=\"), \"{flags}\");\n}\n";
    let text = "[env]\nCFLAGS_x86_64_unknown_linux_musl = \"-DFROM_CONFIG=1\"\n";
    let workspace = configured(text).file("build.rs", build);
    let command = format!("build --preset quick --no-smoke --target {TARGET}");
    longshore(&workspace, &command).run();
    // A variable of the process comes first, as with cargo.
    let flags = "-DFROM_CONFIG=1 -DOTHER";
    workspace.write(".cargo/config.toml", &text.replace("FROM_CONFIG", "IGNORED"));
    longshore(&workspace, &command).env("CFLAGS_x86_64_unknown_linux_musl", flags).run();
    let forced = "[env]\nCFLAGS_x86_64_unknown_linux_musl = { value = \"-DA\", force = true }\n";
    workspace.write(".cargo/config.toml", forced);
    longshore(&workspace, "plan").status(2).stderr("`force = true`").run();
    workspace.write(".cargo/config.toml", "[env]\nOTHER = { value = \"x\", force = true }\n");
    longshore(&workspace, "plan").run();
}

#[test]
fn epoch_and_tools_of_env_are_used_and_named() {
    let plan = |text: &str, epoch: Option<&str>| {
        let workspace = configured(text);
        let mut plan = longshore(&workspace, "plan --message-format json");
        if let Some(epoch) = epoch {
            plan = plan.env("SOURCE_DATE_EPOCH", epoch);
        }
        let plan = plan.run().json();
        let notes = plan["notes"].as_array().into_iter().flatten();
        let notes = notes.map(|note| note.as_str().unwrap().to_owned()).collect::<Vec<_>>();
        (plan["release"]["source-date-epoch"].as_u64().unwrap(), notes.join("\n"), plan)
    };
    let time = "[env]\nSOURCE_DATE_EPOCH = \"1000000000\"\n";
    let (epoch, notes, _) = plan(time, None);
    assert_eq!(epoch, 1_000_000_000);
    assert!(notes.contains("`SOURCE_DATE_EPOCH=1000000000` of `[env]` in `"), "{notes}");
    assert_eq!(plan(time, Some("7")).0, 7);
    let forced = "[env]\nSOURCE_DATE_EPOCH = { value = \"9\", force = true }\n";
    assert_eq!(plan(forced, Some("7")).0, 9);
    let wrong = configured("[env]\nSOURCE_DATE_EPOCH = \"soon\"\n");
    longshore(&wrong, "plan").status(2).stderr("`SOURCE_DATE_EPOCH` of `[env]` in `").run();
    let tools = "[env]\nAR_x86_64_unknown_linux_musl = { value = \"ar.sh\", relative = true }\n\
                 CMAKE_TOOLCHAIN_FILE = \"/c.cmake\"\nTZ = \"Asia/Tokyo\"\n\
                 LC_ALL = { value = \"de\", force = true }\n\
                 BINDGEN_EXTRA_CLANG_ARGS = \"-DX\"\n";
    let (_, notes, json) = plan(tools, None);
    for note in [
        "`AR_x86_64_unknown_linux_musl` is set: `/",
        "/ar.sh` is used for `x86_64-unknown-linux-musl`, and not zig's",
        "`CMAKE_TOOLCHAIN_FILE` is set: `/c.cmake` is used for `aarch64-unknown-linux-musl`",
        "`BINDGEN_EXTRA_CLANG_ARGS` is set: bindgen gets `-DX`",
        "`TZ=Asia/Tokyo` of `[env]` in `",
        "is not used: builds get `UTC`",
        "builds get `LC_ALL=de` of `[env]` in `",
    ] {
        assert!(notes.contains(note), "{note}: {notes}");
    }
    let ar = json["builds"][0]["env"]["AR_x86_64_unknown_linux_musl"].as_str().unwrap();
    assert!(ar.ends_with("/ar.sh"), "{ar}");
    // Only what longshore sets is rejected.
    for (name, status) in [
        ("AR_aarch64_unknown_linux_musl", 2),
        ("BINDGEN_EXTRA_CLANG_ARGS_x86_64-unknown-linux-musl", 2),
        ("LONGSHORE_C_PREFIX_MAP", 2),
        ("CFLAGS_x86_64_unknown_linux_gnu", 0),
        ("AR", 0),
    ] {
        let text = format!("[env]\n\"{name}\" = {{ value = \"x\", force = true }}\n");
        let workspace = configured(&text);
        let plan = longshore(&workspace, "plan").status(status);
        (if status == 2 { plan.stderr(name).stderr("`force = true`") } else { plan }).run();
    }
}

#[test]
fn the_plan_detects_other_linkers_and_cpus() {
    let of_target = |line: &str| format!("[target.{TARGET}]\n{line}\n");
    for (line, named) in [
        ("linker = \"gcc\"", "`linker = \"gcc\"` from `target."),
        ("rustflags = [\"-Clinker=gcc\"]", "`-C linker=gcc` from `target.*.rustflags`"),
        ("rustflags = [\"-C\", \"linker-flavor=ld.lld\"]", "`-C linker-flavor=ld.lld`"),
        ("rustflags = [\"-Clink-arg=-fuse-ld=mold\"]", "`-C link-arg=-fuse-ld=mold`"),
    ] {
        let workspace = configured(&of_target(line));
        longshore(&workspace, "plan").status(2).stderr(named).stderr("links with zig").run();
        longshore(&workspace, "plan --target aarch64-unknown-linux-musl").run();
    }
    let workspace = Workspace::hello();
    let variable = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER";
    longshore(&workspace, "plan").env(variable, "gcc").status(2).stderr(variable).run();
    let cpu = |cpu: &str| configured(&format!("[build]\nrustflags = [\"-Ctarget-cpu={cpu}\"]\n"));
    let amd64 = format!("plan --target {TARGET}");
    if cfg!(target_arch = "x86_64") {
        longshore(&cpu("native"), &amd64)
            .stderr("depend on the CPU of the machine that builds them")
            .run();
        longshore(&cpu("native"), "plan").status(2).stderr("the CPU of this host").run();
    }
    longshore(&cpu("x86-64-v4"), &amd64).stderr("need ").stderr("avx512f").run();
    longshore(&cpu("x86-64-v4"), "plan").status(2).stderr("aarch64-unknown-linux-musl").run();
    longshore(&cpu("x86-64-v9"), &amd64).status(2).hint("did you mean `x86-64-v").run();
}

#[test]
fn the_plan_detects_every_way_to_choose_a_newer_cpu() {
    let plan = format!("plan --message-format json --target {TARGET}");
    let features = |ran: &crate::support::command::Ran| {
        let found = ran.json()["jobs"][0]["cpu-flags"]["features"].clone();
        found.as_array().is_some_and(|found| found.iter().any(|name| name == "avx2"))
    };
    let hello = Workspace::hello();
    for (name, flags) in [
        ("RUSTFLAGS", "-C target_feature=+avx2"),
        ("CARGO_BUILD_RUSTFLAGS", "-Ctarget-cpu=haswell"),
        ("CARGO_ENCODED_RUSTFLAGS", "--codegen\u{1f}target-cpu=x86-64-v3"),
        ("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS", "-Ctarget-cpu=x86-64-v3"),
    ] {
        let ran = longshore(&hello, &plan).env(name, flags).stderr("(cpu-level)").run();
        assert!(features(&ran), "{name}={flags}");
    }
    // rustc reads more flags from a file.
    let workspace = Workspace::hello().file("flags.txt", "-Ctarget-cpu=x86-64-v3\n");
    assert!(features(&longshore(&workspace, &plan).env("RUSTFLAGS", "@flags.txt").run()));
    let profile = "[unstable]\nprofile-rustflags = true\n\
                   [profile.release]\nrustflags = [\"-Ctarget-feature=+avx2\"]\n";
    let ran = longshore(&configured(profile), &plan).env("RUSTC_BOOTSTRAP", "1").run();
    assert!(features(&ran), "{}", ran.stdout);
    let native = longshore(&hello, &plan).env("CFLAGS", "-O2 -march=native").run();
    assert_eq!(native.json()["jobs"][0]["cpu-flags"]["native"], true);
    assert!(native.stderr.contains("`-march=native` from CFLAGS"), "{}", native.stderr);

    // What the target declares, the presets, and flags without more instructions are no findings.
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::fs::read_to_string(file.join(format!("targets/{TARGET}.toml"))).unwrap();
    let path = format!("targets/{TARGET}.toml");
    let declared = Workspace::hello().file(&path, &format!("cpu = \"x86-64-v3\"\n{target}"));
    let v3 = "-Ctarget-cpu=x86-64-v3";
    longshore(&declared, &plan).env("RUSTFLAGS", v3).absent("cpu-level").run();
    longshore(&declared, &plan).env("RUSTFLAGS", "-Ctarget-cpu=x86-64-v4").stderr("avx512").run();
    longshore(&hello, &format!("{plan} --preset speed")).absent("cpu-level").run();
    let fewer = "-Ctarget-cpu=x86-64 -Ctarget-feature=+crt-static,-sse3";
    longshore(&hello, &plan).env("RUSTFLAGS", fewer).absent("cpu-level").run();
    declared.write(&path, &format!("cpu = \"native\"\n{target}"));
    longshore(&declared, &plan).status(2).stderr("`cpu` is `native`").run();
}

#[test]
fn a_release_for_a_newer_cpu_is_denied_unless_allowed() {
    let workspace = Workspace::hello();
    let avx2 =
        |command: &str| longshore(&workspace, command).env("RUSTFLAGS", "-Ctarget-feature=+avx2");
    let dist = format!("dist --preset quick --no-smoke --target {TARGET}");
    avx2(&dist)
        .status(1)
        .stderr("deny cpu-level: the program was built for a newer CPU")
        .stderr("`-Ctarget-feature=+avx2` from RUSTFLAGS may use ")
        .stderr("`allow = [\"cpu-level\"]` in `[workspace.metadata.longshore.verify]`")
        .run();
    assert!(!workspace.dist().exists());
    let manifest = std::fs::read_to_string(workspace.path("Cargo.toml")).unwrap();
    let allow = "[workspace]\n[workspace.metadata.longshore.verify]\nallow = [\"cpu-level\"]\n";
    workspace.write("Cargo.toml", &format!("{manifest}\n{allow}"));
    avx2(&dist).run();
    longshore(&workspace, "verify target/dist").run();
    let verify =
        |more: &str| longshore(&workspace, &format!("verify --no-workspace target/dist {more}"));
    verify("").status(1).stdout("deny cpu-level").run();
    verify("--warn cpu-level").stdout("warn cpu-level").run();
    verify("--allow cpu-level").run();
    workspace.write("v3.toml", "cpu = \"x86-64-v3\"\n");
    verify("--policy v3.toml").run();
    workspace.write("v3.toml", "cpu = \"x86-64-v2\"\n");
    verify("--policy v3.toml").status(1).stdout("avx2").run();
    // Packing a release again asks again.
    workspace.write("Cargo.toml", &manifest);
    longshore(&workspace, "image target/dist").status(1).stderr("cpu-level").run();
    // `native` is denied whatever the policy of the level is.
    let path = workspace.dist().join("dist.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"cpu-flags\""), "{text}");
    std::fs::write(&path, text.replace("\"cpu-flags\": {", "\"cpu-flags\": { \"native\": true,"))
        .unwrap();
    workspace.write("v3.toml", "cpu = \"x86-64-v4\"\n");
    verify("--policy v3.toml").status(1).stdout("depends on the CPU of the machine").run();
}

#[test]
fn another_c_compiler_is_named() {
    let workspace = Workspace::hello();
    let Some(gcc) = crate::support::peer::find("gcc") else { return };
    let ran = longshore(&workspace, "plan --message-format json")
        .env("CC_x86_64_unknown_linux_musl", &gcc)
        .run();
    let plan = ran.json();
    assert!(plan["release"]["tools"]["gcc"].is_string(), "{:#}", plan["release"]["tools"]);
    let note = plan["notes"][0].as_str().unwrap();
    assert!(note.contains("`CC_x86_64_unknown_linux_musl` is set"), "{note}");
    let flags = plan["builds"][0]["env"]["CFLAGS_x86_64_unknown_linux_musl"].as_str().unwrap();
    assert!(!flags.contains("-mevex512"), "{flags}");
}
