//! A build is made of the files that are there, whatever their times are.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use crate::support::{
    command::{Test, longshore, plain},
    peer,
    workspace::{Workspace, lock, manifest},
};

const TARGET: &str = "--target x86_64-unknown-linux-musl";

fn run(workspace: &Workspace, verb: &str) -> Test {
    longshore(workspace, &format!("{verb} --preset quick --message-format json {TARGET}"))
        .env("CARGO_PROFILE_DIST_LTO", "off")
        .env("CARGO_PROFILE_DIST_OPT_LEVEL", "0")
}

fn printed(workspace: &Workspace, name: &str) -> String {
    let file = workspace.dist().join("linux/amd64/bin").join(name);
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        return String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
    }
    String::from_utf8(Command::new(file).output().unwrap().stdout).unwrap().trim().to_owned()
}

fn compiled(json: &Value) -> u64 {
    json["units"]["compiled"].as_u64().unwrap()
}

/// Makes the file as old as files of old archives are, as `cp -p`, `rsync -t` and `tar x` do.
fn age(path: &Path) {
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::open(path).unwrap().set_modified(old).unwrap();
}

/// Exchanges two paths, as two calls of `mv` do; the files keep their times.
fn exchange(a: &Path, b: &Path) {
    let aside = a.with_extension("aside");
    fs::rename(a, &aside).unwrap();
    fs::rename(b, a).unwrap();
    fs::rename(aside, b).unwrap();
}

const MEMBERS: [&str; 8] =
    ["app", "bare", "dirs", "dynamic", "env", "include", "listed", "swapped"];

/// `app` prints what each of the others read at its compilation, each by another way.
fn write(workspace: &Workspace, outside: &Workspace) {
    let all = |text: &str| format!("[workspace]\nmembers = {MEMBERS:?}\nresolver = \"3\"\n{text}");
    workspace.write("Cargo.toml", &all(""));
    let names: Vec<&str> = MEMBERS.iter().copied().chain(["outside"]).collect();
    let depends: String = names[1..].iter().map(|name| format!(" \"{name}\",\n")).collect();
    let app = "name = \"app\"\nversion = \"0.1.0\"\n";
    let text = lock(&names).replace(app, &format!("{app}dependencies = [\n{depends}]\n"));
    workspace.write("Cargo.lock", &text);
    let path = |name: &&str| match *name {
        "outside" => format!("outside = {{ path = {:?} }}\n", outside.root()),
        name => format!("{name} = {{ path = \"../{name}\" }}\n"),
    };
    let dependencies: String = names[1..].iter().map(path).collect();
    let printed = names[1..].iter().map(|name| format!("    println!(\"{{}}\", {name}::X);\n"));
    workspace.write("app/Cargo.toml", &manifest("app", &format!("[dependencies]\n{dependencies}")));
    let main = format!("fn main() {{\n{}}}\n", printed.collect::<String>());
    workspace.write("app/src/main.rs", &main);
    let package = |name: &str, library: &str| {
        let more = if name == "dynamic" { "[lib]\ncrate-type = [\"lib\", \"cdylib\"]" } else { "" };
        workspace.write(&format!("{name}/Cargo.toml"), &manifest(name, more));
        workspace.write(&format!("{name}/src/lib.rs"), library);
    };
    let script = |name: &str, lines: &str| {
        package(name, "pub const X: &str = env!(\"X\");\n");
        workspace.write(&format!("{name}/build.rs"), &format!("fn main() {{\n{lines}}}\n"));
    };
    let read = |path: &str| {
        format!(
            "let x = std::fs::read_to_string({path:?}).unwrap();\n\
             println!(\"cargo::rustc-env=X={{}}\", x.trim());\n"
        )
    };
    script("bare", &read("in/x.txt"));
    workspace.write("bare/in/x.txt", "bare 1");
    script("env", &format!("println!(\"cargo::rerun-if-changed=.env\");\n{}", read(".env")));
    workspace.write("env/.env", "env 1");
    let list = "println!(\"cargo::rerun-if-changed=in\");\n\
        let mut names: Vec<_> = std::fs::read_dir(\"in\").unwrap()\n\
        .map(|e| e.unwrap().file_name().into_string().unwrap()).collect();\nnames.sort();\n\
        println!(\"cargo::rustc-env=X={}\", names.join(\" \"));\n";
    script("listed", list);
    workspace.write("listed/in/a", "");
    package("include", "pub const X: &str = include_str!(\"x.txt\");\n");
    workspace.write("include/src/x.txt", "include 1");
    package("dynamic", "pub const X: &str = \"dynamic 1\";\n");
    let modules = "mod a;\nmod b;\npub const X: &str = a::X;\npub const Y: &str = b::X;\n";
    package("swapped", modules);
    package("dirs", modules);
    for (name, number) in [("a", 1), ("b", 2)] {
        let text = |item: &str| format!("pub const X: &str = \"{item} {number}\";\n");
        workspace.write(&format!("swapped/src/{name}.rs"), &text("swapped"));
        workspace.write(&format!("dirs/src/{name}/mod.rs"), &text("dirs"));
    }
    outside.write("Cargo.toml", &manifest("outside", "[workspace]"));
    outside.write("src/lib.rs", "pub const X: &str = \"outside 1\";\n");
}

#[test]
fn inputs_with_older_times_are_detected_by_content() {
    let (workspace, outside) = (Workspace::empty(), Workspace::empty());
    write(&workspace, &outside);
    let first = run(&workspace, "build").run().json();
    assert_ne!(compiled(&first), 0);
    let lines = |number: u8, listed: &str| {
        let rest = ["include", "swapped", "outside"].map(|name| format!("{name} {number}"));
        let [include, swapped, outside] = rest;
        let start = ["bare", "dirs", "dynamic", "env"].map(|name| format!("{name} {number}"));
        let all = [&start[..], &[include, listed.into(), swapped, outside]].concat();
        all.join("\n")
    };
    assert_eq!(printed(&workspace, "app"), lines(1, "a"));
    let again = run(&workspace, "build").run().json();
    assert_eq!(compiled(&again), 0, "{again}");

    let source = |name: &str| format!("pub const X: &str = \"{name} 2\";\n");
    for (path, text) in [
        ("bare/in/x.txt", "bare 2".to_owned()),
        ("env/.env", "env 2".to_owned()),
        ("include/src/x.txt", "include 2".to_owned()),
        ("dynamic/src/lib.rs", source("dynamic")),
        ("listed/in/b", String::new()),
    ] {
        workspace.write(path, &text);
        age(&workspace.path(path));
    }
    age(&workspace.path("listed/in"));
    outside.write("src/lib.rs", &source("outside"));
    age(&outside.path("src/lib.rs"));
    exchange(&workspace.path("swapped/src/a.rs"), &workspace.path("swapped/src/b.rs"));
    exchange(&workspace.path("dirs/src/a"), &workspace.path("dirs/src/b"));
    run(&workspace, "build").stderr("changed without a newer time").run();
    assert_eq!(printed(&workspace, "app"), lines(2, "a b"));
    let again = run(&workspace, "build").absent("changed without").run().json();
    assert_eq!(compiled(&again), 0, "{again}");

    // Files with other times and the same content cost nothing but being read.
    age(&workspace.path("app/src/main.rs"));
    let again = run(&workspace, "build").run().json();
    assert_eq!(compiled(&again), 0, "{again}");

    // A build script may be older than the one before, too; and a failed build keeps what it made.
    let script = fs::read_to_string(workspace.path("env/build.rs")).unwrap();
    workspace.write("env/build.rs", &script.replace("x.trim()", "x.trim().to_uppercase()"));
    age(&workspace.path("env/build.rs"));
    let main = fs::read_to_string(workspace.path("app/src/main.rs")).unwrap();
    workspace.write("app/src/main.rs", &main.replace("fn main()", "fn mian()"));
    run(&workspace, "build").status(4).run();
    workspace.write("app/src/main.rs", &main);
    age(&workspace.path("app/src/main.rs"));
    let last = run(&workspace, "build").run().json();
    assert_eq!(compiled(&last), 1, "{last}");
    assert!(printed(&workspace, "app").contains("ENV 2"));
}

#[test]
fn a_release_is_made_of_the_source_of_its_commit() {
    let Some(git) = peer::find("git") else { return };
    let workspace = Workspace::hello().file(".gitignore", "/target\n");
    let git = |args: &[&str]| {
        let mut command = plain(&git);
        command.args(["-c", "user.name=x", "-c", "user.email=x@example.org"]).args(args);
        let output = command.current_dir(workspace.root()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let source = |text: &str| format!("fn main() {{\n    println!(\"hello {text}\");\n}}\n");
    git(&["init", "--quiet"]);
    for (number, text) in ["TWO", "THREE", "TWO"].into_iter().enumerate() {
        workspace.write("src/main.rs", &source(text));
        if number > 0 {
            age(&workspace.path("src/main.rs"));
        }
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--message", text]);
        let dist = run(&workspace, "dist").run().json();
        assert_eq!(dist["release"]["revision"], git(&["rev-parse", "HEAD"]).as_str());
        assert_eq!(printed(&workspace, "hello"), format!("hello {text}"), "{number}");
        assert_eq!(compiled(&dist), 1, "{number}");
    }
}

#[test]
fn units_without_a_record_are_compiled_again() {
    let workspace = Workspace::hello();
    run(&workspace, "build").run();
    let record = workspace.path("target/longshore/longshore-inputs.json");
    let text = fs::read_to_string(&record).unwrap();
    // As after a build that was killed, a power loss, or a build by another program.
    for damage in ["", "{", &text[..text.len() / 2]] {
        fs::write(&record, damage).unwrap();
        assert_eq!(compiled(&run(&workspace, "build").run().json()), 1);
        assert_eq!(compiled(&run(&workspace, "build").run().json()), 0);
    }
}
