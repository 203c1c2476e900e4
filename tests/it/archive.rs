//! Archives and packages, read by other programs.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use longshore::model::digest::Digest;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    dist::shared,
    support::{
        command::{LONGSHORE, longshore, plain},
        peer,
        tree::tree,
        workspace::Workspace,
    },
};

const STEM: &str = "hello-0.1.0-x86_64-unknown-linux-musl";

/// Returns the file of the shared `dist` with that ending, for amd64.
fn archive(ending: &str) -> PathBuf {
    shared().0.dist().join(format!("archives/{STEM}.{ending}"))
}

/// The files of every archive of the shared `dist`, with their modes.
const FILES: [(&str, u32); 10] = [
    ("CHANGELOG.md", 0o644),
    ("LICENSE-MIT", 0o644),
    ("README.md", 0o644),
    ("doc/guide.md", 0o644),
    ("examples/hello.conf", 0o644),
    ("hello", 0o755),
    ("share/bash-completion/completions/hello", 0o644),
    ("share/fish/vendor_completions.d/hello.fish", 0o644),
    ("share/man/man1/hello.1", 0o644),
    ("share/zsh/site-functions/_hello", 0o644),
];

/// Unpacks by `program`, and holds what came of it against [`FILES`].
fn unpacks(program: &str, args: &[&str], into: &str, archive: &Path) {
    let Some(program) = peer::find(program) else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let mut command = Command::new(&program);
    // The mask of whoever unpacks takes nothing away.
    command.env("TZ", "UTC").args(args).arg(archive);
    command.args([into, dir.path().to_str().unwrap()]);
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
    let files = tree(dir.path());
    let found: BTreeMap<_, _> = files
        .iter()
        .filter(|(path, _)| dir.path().join(path).is_file())
        .map(|(path, _)| {
            let meta = fs::metadata(dir.path().join(path)).unwrap();
            let time = meta.modified().unwrap().duration_since(std::time::UNIX_EPOCH);
            assert_eq!(time.unwrap().as_secs(), 1_700_000_000, "{}", path.display());
            (path.to_str().unwrap().to_owned(), meta.permissions().mode() & 0o7777)
        })
        .collect();
    let expected = FILES.map(|(path, mode)| (format!("{STEM}/{path}"), mode));
    assert_eq!(found, BTreeMap::from(expected), "{}", program.display());
    let binary = fs::read(dir.path().join(STEM).join("hello")).unwrap();
    assert_eq!(Digest::sha256(&binary).to_string(), shared().1["artifacts"][0]["sha256"]);
}

#[test]
fn gnu_tar_bsdtar_and_unzip_unpack_them() {
    for ending in ["tar.gz", "tar.zst", "tar.xz"] {
        unpacks("tar", &["-xpf"], "-C", &archive(ending));
        unpacks("bsdtar", &["-xpf"], "-C", &archive(ending));
    }
    unpacks("unzip", &["-q", "-X"], "-d", &archive("zip"));
    unpacks("bsdtar", &["-xpf"], "-C", &archive("zip"));
    let Some(tar) = peer::find("tar") else {
        return;
    };
    let listed = peer::run(&tar, ["--numeric-owner", "-tvf", archive("tar.gz").to_str().unwrap()]);
    let lines: Vec<_> = listed.lines().collect();
    assert!(lines.iter().all(|line| line.contains(" 0/0 ")), "{listed}");
    assert!(lines[0].ends_with(&format!(" {STEM}/")), "{listed}");
}

// Several programs, those made with flate2's `GzDecoder` for one, read no further than one member.
#[test]
fn a_gzip_archive_is_one_member_of_the_tar_itself() {
    let bytes = fs::read(archive("tar.gz")).unwrap();
    let mut decoder = flate2::bufread::GzDecoder::new(&bytes[..]);
    let mut tar = Vec::new();
    std::io::Read::read_to_end(&mut decoder, &mut tar).unwrap();
    assert_eq!(tar.len() % 512, 0);
    assert!(decoder.into_inner().is_empty());
}

#[test]
fn checksums_are_those_of_every_file() {
    let Some(sums) = peer::find("sha256sum") else {
        return;
    };
    let (workspace, json) = shared();
    let dir = workspace.dist().join("archives");
    let mut command = Command::new(&sums);
    let ran = command.args(["--check", "--strict", "SHA256SUMS"]).current_dir(&dir).output();
    let ran = ran.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let text = String::from_utf8(ran.stdout).unwrap();
    let mut names: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "SHA256SUMS")
        .collect();
    names.sort();
    let listed: Vec<_> = text.lines().map(|line| line.trim_end_matches(": OK")).collect();
    assert_eq!(listed, names);
    let one = format!("{STEM}.zip.sha256");
    assert!(names.contains(&one), "{names:?}");
    let mut command = Command::new(&sums);
    assert!(
        command.args(["--check", "--status", &one]).current_dir(&dir).status().unwrap().success()
    );
    let digests = fs::read_to_string(dir.join("digests.txt")).unwrap();
    let digest = json["images"][0]["digest"].as_str().unwrap();
    assert_eq!(format!("sha256:{digests}"), format!("{digest}  hello:0.1.0\n"));
    // What dist.json says of them is true, too.
    for kind in ["archives", "documents"] {
        for file in json[kind].as_array().unwrap() {
            let bytes = fs::read(workspace.dist().join(file["path"].as_str().unwrap())).unwrap();
            assert_eq!(file["sha256"], Digest::sha256(&bytes).to_string(), "{file}");
            assert_eq!(file["size"], bytes.len(), "{file}");
        }
    }
}

#[test]
fn listings_have_the_actual_contents() {
    let (workspace, json) = shared();
    let listed = longshore(workspace, "package list --message-format json").run().json();
    let archives = json["archives"].as_array().unwrap();
    let archives: Vec<_> = archives.iter().chain(json["channels"].as_array().unwrap()).collect();
    assert_eq!(listed.as_array().unwrap().len(), archives.len());
    for (listed, archive) in listed.as_array().unwrap().iter().zip(archives) {
        assert_eq!(listed["sha256"], archive["sha256"]);
        let names_and_digests = |array: &Value| -> Vec<(Value, Value)> {
            let entries = array.as_array().into_iter().flatten();
            entries.map(|e| (e["path"].clone(), e["sha256"].clone())).collect()
        };
        assert_eq!(names_and_digests(&listed["contents"]), names_and_digests(&archive["contents"]));
    }
    let text = longshore(workspace, "package list").run().stdout;
    assert!(text.contains(&format!("{STEM}/hello\n")) && text.contains("0755"), "{text}");
}

/// Returns a copy of the shared `dist` with its workspace.
fn copy() -> Workspace {
    let (workspace, _) = shared();
    let copy = Workspace::empty();
    let mut command = Command::new("cp");
    let from = format!("{}/.", workspace.root().display());
    assert!(command.args(["-a", &from]).arg(copy.root()).status().unwrap().success());
    copy
}

#[test]
fn package_is_reproducible_under_any_umask_and_directory() {
    let copy = copy();
    let (workspace, json) = shared();
    fs::remove_dir_all(copy.dist().join("archives")).unwrap();
    fs::remove_dir_all(copy.path("target/longshore")).unwrap();
    let script = format!("umask 077; exec {LONGSHORE} package");
    let mut command = plain("sh");
    let ran = command.args(["-c", &script]).current_dir(copy.root()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let archives = json["archives"].as_array().unwrap();
    let channels = json["channels"].as_array().unwrap();
    let all = archives.len() + channels.len();
    assert_eq!(String::from_utf8(ran.stdout).unwrap().lines().count(), all);
    for archive in archives.iter().chain(channels) {
        let path = archive["path"].as_str().unwrap();
        let bytes = |root: &Workspace| fs::read(root.dist().join(path)).unwrap();
        assert!(bytes(&copy) == bytes(workspace), "{path}");
    }
    // In another format, and the checksums follow.
    longshore(&copy, "package --format tar.gz --format tar.xz").run();
    let sums = fs::read_to_string(copy.dist().join("archives/SHA256SUMS")).unwrap();
    assert!(!sums.contains(".zip") && sums.contains(&format!("{STEM}.tar.xz")), "{sums}");
    longshore(&copy, "package --package helo").status(2).hint("did you mean `hello`?").run();
}

#[test]
fn the_same_archives_keep_their_provenance() {
    let copy = copy();
    let sums = || fs::read_to_string(copy.dist().join("archives/SHA256SUMS")).unwrap();
    let before = sums();
    longshore(&copy, "package").absent("described other archives").run();
    assert_eq!(sums(), before);
    // The script and the formula download this format.
    longshore(&copy, "package --format tar.xz")
        .status(2)
        .stderr("which `installer` and `homebrew` download")
        .run();
    assert_eq!(sums(), before);
    longshore(&copy, "package --format tar.gz").stderr("described other archives").run();
    assert_ne!(sums(), before);
    assert!(!sums().contains("intoto"), "{}", sums());
}

#[test]
fn verify_compares_archives_with_the_binaries() {
    let copy = copy();
    longshore(&copy, "verify target/dist").run();
    let place = copy.dist().join(format!("archives/{STEM}.tar.gz"));
    let other = STEM.replace("x86_64", "aarch64");
    let other = copy.dist().join(format!("archives/{other}.tar.gz"));
    fs::copy(other, &place).unwrap();
    longshore(&copy, "verify target/dist")
        .status(1)
        .stdout("`linux/amd64/bin/hello` is not in it, by its digest")
        .stdout("its digest is sha256:")
        .run();
    // And archives take no other binary than the one that was verified.
    let binary = copy.dist().join("linux/amd64/bin/hello");
    let mut bytes = fs::read(&binary).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&binary, bytes).unwrap();
    longshore(&copy, "package").status(1).stderr("linux/amd64/bin/hello").run();
}

#[test]
fn debian_packages_are_installed_and_lintian_finds_no_error() {
    let (workspace, json) = shared();
    let debs = json["archives"].as_array().unwrap().iter().filter(|a| a["kind"] == "deb");
    let debs: Vec<_> =
        debs.map(|deb| workspace.dist().join(deb["path"].as_str().unwrap())).collect();
    assert!(debs[0].ends_with("hello_0.1.0-1_amd64.deb") && debs.len() == 2, "{debs:?}");
    if let Some(lintian) = peer::find("lintian") {
        let user = if peer::root().is_some() { &["--allow-root"][..] } else { &[] };
        let ran = Command::new(lintian).args(user).args(["--fail-on=error"]).args(&debs).output();
        let ran = ran.unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    }
    let (Some(dpkg), Some(())) = (peer::find("dpkg"), peer::root()) else {
        return;
    };
    let root = TempDir::new().unwrap();
    for dir in ["var/lib/dpkg/updates", "var/lib/dpkg/info"] {
        fs::create_dir_all(root.path().join(dir)).unwrap();
    }
    fs::write(root.path().join("var/lib/dpkg/status"), "").unwrap();
    let at = format!("--root={}", root.path().display());
    peer::run(&dpkg, [at.as_str(), "--install", debs[0].to_str().unwrap()]);
    let program = root.path().join("usr/bin/hello");
    let digest = Digest::sha256(&fs::read(&program).unwrap()).to_string();
    assert_eq!(digest, json["artifacts"][0]["sha256"]);
    let state = peer::run(&dpkg, [&at, "--status", "hello"]);
    assert!(state.contains("Status: install ok installed"), "{state}");
    assert!(state.contains("Conffiles:\n /etc/hello.conf"), "{state}");
    assert!(state.contains("Description: says hello to everybody who starts it"), "{state}");
    assert!(root.path().join("usr/share/man/man1/hello.1.gz").is_file());
    peer::run(&dpkg, [&at, "--force-architecture", "--purge", "hello"]);
    assert!(!program.exists());
}

/// Returns the `plan` of a workspace with a package that has `metadata`.
fn rejected(workspace: &Workspace, metadata: &str) -> crate::support::command::Test {
    let more = format!("license = \"MIT\"\n[package.metadata.longshore]\n{metadata}");
    workspace.write("Cargo.toml", &crate::support::workspace::manifest("hello", &more));
    longshore(workspace, "plan").status(2)
}

#[test]
fn a_missing_license_is_a_warning_unless_required() {
    let workspace = Workspace::hello();
    let lacks = "lack the text of its licence, `MIT`; `archive.allow-missing = [\"license\"]`";
    rejected(&workspace, "").status(0).stderr(lacks).run();
    rejected(&workspace, "archive.allow-missing = ['license']").status(0).absent("lack").run();
    rejected(&workspace, "archive.require = ['license']")
        .stderr("`archive.require` requires its `license`, which does not exist")
        .hint("add a file such as `LICENSE` to the package or the workspace")
        .run();
    rejected(&workspace, "archive.require = ['readme']").stderr("its `readme`").run();
    rejected(&workspace, "archive.require = ['licence']").stderr("licence").run();
    let none = "archive.formats = []\narchive.require = ['license']\narchive.include = ['x']";
    rejected(&workspace, none).status(0).absent("lack").run();
    workspace.write("LICENSE", "text\n");
    rejected(&workspace, "archive.require = ['license']").status(0).absent("lack").run();
    let more = "license-file = \"none.txt\"\nreadme = \"none.md\"";
    workspace.write("Cargo.toml", &crate::support::workspace::manifest("hello", more));
    longshore(&workspace, "plan")
        .stderr("none.txt`, the file that `license-file` names")
        .stderr("none.md`, the file that `readme` names")
        .run();
}

/// `build` makes no archives, so it does not ask for their files; `package` does afterwards.
#[test]
fn build_requires_no_license() {
    let workspace = Workspace::hello();
    rejected(&workspace, "archive.require = ['license']").run();
    longshore(&workspace, "build --preset quick --target x86_64-unknown-linux-musl --no-smoke")
        .run();
    longshore(&workspace, "package").status(2).stderr("requires its `license`").run();
}

/// Returns the files of the archive of `package` in the plan, by their paths there.
fn planned_files(workspace: &Workspace, dir: &str, package: &str) -> Value {
    let ran = longshore(workspace, "plan --message-format json").dir(workspace.path(dir)).run();
    assert!(!ran.stderr.contains("lack"), "{}", ran.stderr);
    let archives = ran.json()["archives"].as_array().unwrap().clone();
    archives.into_iter().find(|archive| archive["package"] == package).unwrap()["files"].clone()
}

#[test]
fn files_above_the_workspace_are_packed_from_the_same_repository() {
    let more = "license = \"MIT\"\nreadme = \"../README.md\"";
    let top = Workspace::empty()
        .file("README.md", "readme\n")
        .file("LICENSE-MIT", "text\n")
        .file("cli/Cargo.toml", &crate::support::workspace::manifest("cli", more))
        .file("cli/Cargo.lock", &crate::support::workspace::lock(&["cli"]))
        .file("cli/src/main.rs", crate::support::workspace::HELLO);
    let plan = || longshore(&top, "plan").dir(top.path("cli"));
    plan().status(2).stderr("leads out of the workspace, to `").run();
    let Some(git) = peer::find("git") else { return };
    peer::run(&git, ["init", "--quiet", top.root().to_str().unwrap()]);
    let expected = serde_json::json!({
        "README.md": "../README.md", "LICENSE-MIT": "../LICENSE-MIT",
    });
    assert_eq!(planned_files(&top, "cli", "cli"), expected);
    // By a link, and by an include.
    std::os::unix::fs::symlink("../LICENSE-MIT", top.path("cli/LICENSE")).unwrap();
    let include =
        format!("{more}\n[package.metadata.longshore]\narchive.include = [\"../LICENSE-MIT\"]");
    top.write("cli/Cargo.toml", &crate::support::workspace::manifest("cli", &include));
    let expected = serde_json::json!({
        "README.md": "../README.md", "LICENSE": "../LICENSE-MIT", "LICENSE-MIT": "../LICENSE-MIT",
    });
    assert_eq!(planned_files(&top, "cli", "cli"), expected);
    // What is in the archive is what is above.
    let command = "dist --preset quick --target x86_64-unknown-linux-musl --no-smoke";
    longshore(&top, command).dir(top.path("cli")).run();
    let tar = "target/dist/archives/cli-0.1.0-x86_64-unknown-linux-musl.tar.gz";
    let list = longshore(&top, &format!("package list {tar}")).dir(top.path("cli")).run();
    assert!(list.stdout.contains("/LICENSE-MIT") && list.stdout.contains("/README.md"), "{list:?}");
    // The repository's own files are no files of the package.
    let git = include.replace("../LICENSE-MIT", "../.git/HEAD");
    top.write("cli/Cargo.toml", &crate::support::workspace::manifest("cli", &git));
    plan().status(2).stderr("leads out of the repository").run();
    std::os::unix::fs::symlink("/etc/hostname", top.path("cli/COPYING")).unwrap();
    top.write("cli/Cargo.toml", &crate::support::workspace::manifest("cli", more));
    plan().status(2).stderr("leads out of the repository").run();
}

#[test]
fn members_outside_the_root_have_separate_files() {
    let text = "[workspace]\nmembers = [\"../side\"]\nresolver = \"3\"\n";
    let more = "license = \"MIT\"\nworkspace = \"../ws\"";
    let top = Workspace::empty()
        .file("ws/Cargo.toml", text)
        .file("ws/Cargo.lock", &crate::support::workspace::lock(&["side"]))
        .file("side/Cargo.toml", &crate::support::workspace::manifest("side", more))
        .file("side/LICENSE", "text\n")
        .file("side/src/main.rs", crate::support::workspace::HELLO);
    let expected = serde_json::json!({ "LICENSE": "../side/LICENSE" });
    assert_eq!(planned_files(&top, "ws", "side"), expected);
}

#[test]
fn archive_errors_are_reported_before_the_build() {
    let workspace = Workspace::hello().file("LICENSE", "text\n");
    rejected(&workspace, "archive.include = ['doc/x.md']")
        .stderr("no file matches `doc/x.md` of `include`")
        .run();
    rejected(&workspace, "archive.include = ['doc/x.md']\narchive.allow-missing = ['doc/x.md']")
        .status(0)
        .run();
    rejected(&workspace, "archive.include = [{ from = 'LICENSE', to = '../LICENSE' }]")
        .stderr("`../LICENSE` is not a path in an archive")
        .run();
    rejected(&workspace, "archive.include = [{ from = 'Cargo.lock', to = 'LICENSE' }]")
        .stderr("`LICENSE` and `Cargo.lock` would both be `LICENSE` in it")
        .run();
    rejected(&workspace, "archive.include = [{ from = 'Cargo.lock', to = 'hello' }]")
        .stderr("`Cargo.lock` and the binary `hello` are both `hello`")
        .run();
    std::os::unix::fs::symlink("/etc/hostname", workspace.path("link")).unwrap();
    rejected(&workspace, "archive.include = ['link']")
        .stderr("leads out of the workspace, to `/etc/hostname`")
        .run();
    rejected(&workspace, "archive.formats = ['rar']").stderr("rar").run();
    rejected(&workspace, "deb = { name = 'a/b', maintainer = 'A <a@example.org>' }")
        .stderr("`a/b` is not a valid package name")
        .run();
    rejected(&workspace, "deb = true").stderr("it has no maintainer").run();
    rejected(&workspace, "completions = { run = ['completions'] }")
        .hint("write `{shell}` for the shell's name")
        .run();
    rejected(&workspace, "man = { run = ['man'], binary = 'helo' }")
        .stderr("names the binary `helo`")
        .run();
}

#[test]
fn programs_without_completions_are_an_error() {
    let main = r#"fn main() {
        match std::env::args().nth(1).as_deref() {
            Some("fails") => { eprintln!("no such shell"); std::process::exit(3) }
            Some("hangs") => loop { std::thread::park() },
            _ => {}
        }
    }"#;
    let workspace = Workspace::empty().package("hello", "").file("src/main.rs", main);
    let build = |how: &str| {
        let metadata =
            format!("[package.metadata.longshore]\nman = {{ run = ['{how}'] }}\nsmoke = false\n");
        let limit = "[workspace.metadata.longshore]\nsmoke-timeout = 1\n";
        let manifest = crate::support::workspace::manifest("hello", &metadata);
        workspace.write("Cargo.toml", &format!("{manifest}{limit}"));
        crate::dist::dist(&workspace, "--target x86_64-unknown-linux-musl").status(1)
    };
    build("fails")
        .stderr("`hello fails` of package `hello` ended with exit status 3")
        .stderr("no such shell")
        .run();
    build("hangs").stderr("`hello hangs` of package `hello` did not end within 1 s").run();
    build("silent").stderr("wrote nothing to stdout").run();
    assert!(!workspace.dist().exists());
}

#[test]
fn each_binary_can_have_a_separate_archive() {
    let bins = "[[bin]]\nname = 'one'\npath = 'src/main.rs'\n[[bin]]\nname = 'two'\n\
                path = 'src/main.rs'\n[package.metadata.longshore]\narchive.per-binary = true\n";
    let workspace = Workspace::empty().package("hello", bins);
    let json = longshore(&workspace, "plan --message-format json").run().json();
    let archives = json["archives"].as_array().unwrap().iter();
    let found: Vec<_> =
        archives.map(|a| (a["name"].as_str().unwrap(), a["binaries"].clone())).collect();
    let expected = ["x86_64", "aarch64"].map(|machine| {
        ["one", "two"].map(|name| {
            let binaries = serde_json::json!([name]);
            (format!("{name}-0.1.0-{machine}-unknown-linux-musl"), binaries)
        })
    });
    let expected: Vec<_> =
        expected.as_flattened().iter().map(|(n, b)| (n.as_str(), b.clone())).collect();
    assert_eq!(found, expected);
    let text = longshore(&workspace, "plan").run().stdout;
    assert!(text.contains("\narchive one-0.1.0-x86_64-unknown-linux-musl\n"), "{text}");
}
