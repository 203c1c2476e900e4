//! Repositories, read by apt-get and dnf from a server on loopback.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    command::plain,
    dist::Dist,
    package_manager::{AptRoot, DnfRoot, text},
    peer, program,
    repository::{Keyring, archive, command, release},
    tree::tree,
    web::Web,
};

/// Returns the output of `package repo`, which must succeed.
#[track_caller]
fn add(dist: &Dist, key: Option<&Keyring>, args: &[&str]) -> Value {
    let output = repo(dist, key, args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn repo(dist: &Dist, key: Option<&Keyring>, args: &[&str]) -> Output {
    let mut command = command(dist, "package repo", args);
    command.args(["--message-format", "json"]);
    if let Some(key) = key {
        command.env("GNUPGHOME", key.home.path()).args(["--gpg-key", &key.fingerprint]);
    }
    command.output().unwrap()
}

#[test]
fn apt_installs_from_it_and_upgrades() {
    let (Some(key), Some(())) = (Keyring::new("ed25519", ""), peer::root()) else { return };
    let directory = TempDir::new().unwrap();
    let repository = directory.path().join("repository");
    let path = repository.to_str().unwrap();
    let candidate = release("1.2.3-rc.1", "1.2.3~rc.1", "greeter");
    let listed = add(&candidate, Some(&key), &["--apt", path]);
    assert_eq!(listed[0]["index"], "dists/stable/InRelease");
    assert_eq!(listed[0]["signed-by"], key.fingerprint.as_str());
    let web = Web::start(&repository);
    let Some(root) = AptRoot::new(&web.url, &repository.join("key.asc")) else { return };
    root.ok(&["update"]);
    root.ok(&["install", "hello"]);
    let installed = root.dir.path().join("usr/bin/hello");
    assert_eq!(fs::read(&installed).unwrap(), program::amd64());
    let status = || fs::read_to_string(root.dir.path().join("var/lib/dpkg/status")).unwrap();
    assert!(status().contains("Version: 1.2.3~rc.1-1\n"), "{}", status());
    // The second version is added, the first one stays.
    let listed = add(&release("1.2.3", "1.2.3", "greeter"), Some(&key), &["--apt", path]);
    let packages = listed[0]["packages"].as_array().unwrap();
    let added: Vec<_> = packages.iter().map(|package| package["added"] == true).collect();
    assert_eq!(added, [true, true, false, false], "{packages:?}");
    root.ok(&["update"]);
    root.ok(&["upgrade"]);
    assert!(status().contains("Version: 1.2.3-1\n"), "{}", status());
    root.ok(&["install", "--allow-downgrades", "hello=1.2.3~rc.1-1"]);
    assert!(status().contains("Version: 1.2.3~rc.1-1\n"), "{}", status());
    // apt fetches indexes by their digests, and those of the previous version are still there.
    let indexes = repository.join("dists/stable/main/binary-amd64/by-hash/SHA256");
    assert_eq!(fs::read_dir(indexes).unwrap().count(), 6);
}

#[test]
fn apt_rejects_changed_bytes() {
    let (Some(key), Some(())) = (Keyring::new("rsa3072", ""), peer::root()) else { return };
    let directory = TempDir::new().unwrap();
    let repository = directory.path().join("repository");
    let dist = release("1.2.3", "1.2.3", "greeter");
    add(&dist, Some(&key), &["--apt", repository.to_str().unwrap()]);
    let web = Web::start(&repository);
    let client = || AptRoot::new(&web.url, &repository.join("key.asc"));
    let Some(root) = client() else { return };
    root.ok(&["update"]);
    let package = repository.join("pool/main/h/hello/hello_1.2.3-1_amd64.deb");
    let good = fs::read(&package).unwrap();
    let mut bad = good.clone();
    bad[200] ^= 1;
    fs::write(&package, &bad).unwrap();
    let error = root.fails(&["install", "hello"]);
    assert!(error.contains("Hash Sum mismatch"), "{error}");
    // Nor is a changed file taken for a published one by the next run.
    let next = release("1.2.4", "1.2.4", "greeter");
    let before = tree(&repository);
    let output = repo(&next, Some(&key), &["--apt", repository.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("does not match the index"), "{}", text(&output));
    assert_eq!(tree(&repository), before);
    fs::write(&package, &good).unwrap();
    for (name, from, to) in [
        ("InRelease", "Suite: stable", "Suite: stabel"),
        ("main/binary-amd64/Packages", "Package: hello", "Package: hullo"),
    ] {
        let path = repository.join("dists/stable").join(name);
        let text = fs::read_to_string(&path).unwrap();
        let changed = text.replace(from, to);
        assert_ne!(text, changed);
        fs::write(&path, changed).unwrap();
        if name.ends_with("Packages") {
            // Whichever form of the index apt takes.
            for form in ["Packages.gz", "Packages.xz", "by-hash"] {
                let path = path.with_file_name(form);
                drop(fs::remove_file(&path));
                drop(fs::remove_dir_all(&path));
            }
        }
        client().unwrap().fails(&["update"]);
        fs::write(&path, text).unwrap();
    }
    // And a key that the user does not trust.
    let other = Keyring::new("ed25519", "").unwrap();
    let elsewhere = directory.path().join("other");
    add(&dist, Some(&other), &["--apt", elsewhere.to_str().unwrap()]);
    AptRoot::new(&web.url, &elsewhere.join("key.asc")).unwrap().fails(&["update"]);
}

#[test]
fn dnf_installs_from_it_and_upgrades() {
    let (Some(key), Some(())) = (Keyring::new("rsa3072", ""), peer::root()) else { return };
    let directory = TempDir::new().unwrap();
    let repository = directory.path().join("repository");
    let path = repository.to_str().unwrap();
    add(&release("1.2.3-rc.1", "1.2.3~rc.1", "Greeter"), Some(&key), &["--rpm", path]);
    let web = Web::start(&repository);
    let Some(root) = DnfRoot::new(&web.url) else { return };
    root.ok(&["install", "hello"]);
    let installed = root.dir.path().join("root/usr/bin/hello");
    assert_eq!(fs::read(&installed).unwrap(), program::amd64());
    let listed = add(&release("1.2.3", "1.2.3", "Greeter"), Some(&key), &["--rpm", path]);
    assert_eq!(listed[0]["packages"].as_array().unwrap().len(), 4);
    let query = ["repoquery", "--qf", "%{evr} %{arch} %{license} %{requires}", "hello"];
    let found = root.ok(&query);
    for version in ["1.2.3~rc.1-1", "1.2.3-1"] {
        assert!(found.contains(&format!("{version} x86_64 MIT")), "{found}");
    }
    root.ok(&["upgrade"]);
    let version = || root.ok(&["list", "--installed", "hello"]);
    assert!(version().contains("1.2.3-1"), "{}", version());
    root.ok(&["downgrade", "hello"]);
    assert!(version().contains("1.2.3~rc.1-1"), "{}", version());
    // Other tools find the same in the lists.
    let owner = root.ok(&["repoquery", "--file", "/usr/share/licenses/hello/LICENSE-MIT"]);
    assert!(owner.contains("hello-0:1.2.3-1.x86_64"), "{owner}");
}

#[test]
fn dnf_rejects_changed_bytes() {
    let (Some(key), Some(())) = (Keyring::new("rsa3072", ""), peer::root()) else { return };
    let directory = TempDir::new().unwrap();
    let repository = directory.path().join("repository");
    let dist = release("1.2.3", "1.2.3", "Greeter");
    add(&dist, Some(&key), &["--rpm", repository.to_str().unwrap()]);
    let web = Web::start(&repository);
    let client = || DnfRoot::new(&web.url);
    let Some(root) = client() else { return };
    let change = |path: &Path, at: usize| {
        let good = fs::read(path).unwrap();
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(path, bad).unwrap();
        good
    };
    let package = repository.join("packages/hello-1.2.3-1.x86_64.rpm");
    let good = change(&package, fs::read(&package).unwrap().len() - 20);
    root.fails(&["install", "hello"]);
    assert!(!root.dir.path().join("root/usr/bin/hello").exists());
    let next = release("1.2.4", "1.2.4", "Greeter");
    let output = repo(&next, Some(&key), &["--rpm", repository.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    fs::write(&package, good).unwrap();
    let index = repository.join("repodata/repomd.xml");
    let good = change(&index, 200);
    client().unwrap().fails(&["install", "hello"]);
    fs::write(&index, good).unwrap();
    client().unwrap().ok(&["install", "hello"]);
    let primary = fs::read_dir(repository.join("repodata"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_str().unwrap().ends_with("-primary.xml.gz"))
        .unwrap();
    change(&primary, 60);
    client().unwrap().fails(&["install", "hello"]);
}

#[test]
fn createrepo_makes_the_same_lists() {
    let Some(createrepo) = peer::find("createrepo_c") else { return };
    let directory = TempDir::new().unwrap();
    let path = directory.path().to_str().unwrap();
    add(&release("1.2.3", "1.2.3", "Greeter"), None, &["--rpm", path]);
    let ours = lists(directory.path());
    peer::run(&createrepo, ["--general-compress-type=gz", "--no-database", path]);
    let theirs = lists(directory.path());
    // Elements without a value are written in two ways, and files have the time at which they were copied.
    let normal = |text: &str| {
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines().map(str::trim) {
            if line.starts_with("<time ") || line.starts_with("<?xml") || line.is_empty() {
                continue;
            }
            let line = match line.split_once("></") {
                Some((open, _)) => format!("{open}/>"),
                None => line.to_owned(),
            };
            lines.push(line);
        }
        lines.sort();
        lines
    };
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(normal(ours), normal(theirs));
    }
}

/// Returns the three lists of a repository.
fn lists(root: &Path) -> [String; 3] {
    ["primary", "filelists", "other"].map(|kind| {
        let found = fs::read_dir(root.join("repodata")).unwrap().map(|entry| entry.unwrap().path());
        let ending = format!("{kind}.xml.gz");
        let mut found = found.filter(|path| path.to_str().unwrap().ends_with(&ending));
        let bytes = fs::read(found.next().unwrap()).unwrap();
        let mut text = String::new();
        let mut decoder = flate2::read::GzDecoder::new(&bytes[..]);
        std::io::Read::read_to_string(&mut decoder, &mut text).unwrap();
        text
    })
}

#[test]
fn the_same_release_changes_nothing_and_equals_another_repository() {
    let key = Keyring::new("ed25519", "");
    let dist = release("1.2.3", "1.2.3", "greeter");
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let both = [path("one"), path("two")];
    // Signed packages have the time of the signature.
    let add_to_first = || {
        let apt = add(&dist, key.as_ref(), &["--apt", &both[0]]);
        (apt, add(&dist, None, &["--rpm", &both[0]]))
    };
    add_to_first();
    let before = tree(directory.path().join("one").as_path());
    let inode = || {
        use std::os::unix::fs::MetadataExt as _;
        let of = |name: &str| fs::metadata(directory.path().join(name)).unwrap().ino();
        [of("one/dists/stable/Release"), of("one/repodata/repomd.xml")]
    };
    let first = inode();
    let (apt, rpm) = add_to_first();
    assert!([apt, rpm].iter().all(|one| one[0]["packages"][0]["added"] == false));
    assert_eq!((tree(directory.path().join("one").as_path()), inode()), (before, first));
    // Without the signatures, which have the time at which they were made; and the mask of the user has no
    // effect.
    let masked = command(&dist, "package repo", &["--apt", &both[1], "--rpm", &both[1]]);
    let mut shell = plain("sh");
    shell.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(masked.get_program());
    assert!(shell.args(masked.get_args()).output().unwrap().status.success());
    let files = |name: &str| {
        let root = directory.path().join(name);
        let mut files: BTreeMap<_, _> =
            tree(&root).into_iter().map(|(path, file)| (path, file.digest)).collect();
        for path in files.keys() {
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
            let path = root.join(path);
            assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o644, 0o755), "{path:?}");
        }
        files.retain(|path, _| {
            let name = path.file_name().unwrap().to_str().unwrap();
            !["InRelease", "Release.gpg", "key.asc"].contains(&name)
        });
        files
    };
    assert_eq!(files("one"), files("two"));
    // Nothing of a run is left: no lock, no directory.
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["one", "two"]);
}

#[test]
fn a_published_version_is_immutable() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("repository");
    let args = ["--apt", path.to_str().unwrap(), "--rpm", path.to_str().unwrap()];
    add(&release("1.2.3", "1.2.3", "greeter"), None, &args);
    let before = tree(&path);
    let other = release("1.2.3", "1.2.3", "different greeter");
    for flag in ["--apt", "--rpm"] {
        let output = repo(&other, None, &[flag, path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        let text = text(&output);
        assert!(text.contains("with other content") && text.contains("hint:"), "{text}");
        assert_eq!(tree(&path), before);
    }
    // An older release does not turn the date back, which apt would take for an attack.
    let release_of = || fs::read_to_string(path.join("dists/stable/Release")).unwrap();
    let date =
        |text: String| text.lines().find(|line| line.starts_with("Date:")).unwrap().to_owned();
    let first = date(release_of());
    let older = release("1.0.9", "1.0.9", "greeter");
    let file = older.root().join("dist.json");
    let json = fs::read_to_string(&file).unwrap().replace("1700000000", "1600000000");
    fs::write(&file, json).unwrap();
    add(&older, None, &["--apt", path.to_str().unwrap()]);
    assert_eq!(date(release_of()), first);
    assert!(release_of().contains("Architectures: amd64 arm64\n"));
}

#[test]
fn wrong_requests_and_damaged_repositories_are_rejected_by_name() {
    let dist = release("1.2.3", "1.2.3", "greeter");
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("repository");
    let path = path.to_str().unwrap();
    let fails = |args: &[&str], status: i32, expected: &str| {
        let output = repo(&dist, None, args);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {text}");
        assert!(text.contains(expected), "{args:?}: {text}");
    };
    fails(&[], 2, "`--apt DIR`, `--rpm DIR`, or both");
    fails(&["--apt", path, "--suite", "../x"], 2, "`--suite`");
    fails(&["--apt", path, "--component", "a b"], 2, "`--component`");
    fails(&["--apt", path, "-p", "helo"], 2, "did you mean `hello`?");
    assert!(!Path::new(path).exists());
    // Without gpg, and without the key.
    let empty = TempDir::new().unwrap();
    let mut without = command(&dist, "package repo", &["--apt", path, "--gpg-key", "x"]);
    let output = without.env("PATH", empty.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    if peer::find("gpg").is_some() {
        let mut without = command(&dist, "package repo", &["--apt", path, "--gpg-key", "x@y.z"]);
        let output = without.env("GNUPGHOME", empty.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains("no secret key `x@y.z`"), "{}", text(&output));
    }
    // A package that is not the one of the release.
    let file = archive(&dist, "amd64.deb");
    let good = fs::read(&file).unwrap();
    fs::write(&file, [&good[..], b"x"].concat()).unwrap();
    fails(&["--apt", path], 1, "does not match `dist.json`");
    fs::write(&file, &good).unwrap();
    // What an interrupted run left behind is replaced.
    fs::create_dir_all(Path::new(path).join("dists/.stable.partial/x")).unwrap();
    let pool = Path::new(path).join("pool/main/h/hello");
    fs::create_dir_all(&pool).unwrap();
    fs::write(pool.join("hello_1.2.3-1_amd64.deb"), "half").unwrap();
    add(&dist, None, &["--apt", path, "--rpm", path]);
    assert!(!Path::new(path).join("dists/.stable.partial").exists());
    for (name, from, to, flag) in [
        ("dists/stable/Release", "Date: Tue, ", "Date: ", "--apt"),
        ("dists/stable/Release", "main/binary-amd64/Packages\n", "../Packages\n", "--apt"),
        ("repodata/repomd.xml", "href=\"repodata/", "href=\"../", "--rpm"),
        ("repodata/repomd.xml", "sha256", "md5", "--rpm"),
    ] {
        let file = Path::new(path).join(name);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replacen(from, to, 1)).unwrap();
        fails(&[flag, path], 1, "cannot be read");
        fs::write(&file, text).unwrap();
    }
    fs::remove_file(pool.join("hello_1.2.3-1_amd64.deb")).unwrap();
    fails(&["--apt", path], 1, "is missing, and the index lists it");
}

#[test]
fn the_metadata_has_the_defaults_of_the_flags() {
    let dist = release("1.2.3", "1.2.3", "greeter");
    let directory = TempDir::new().unwrap();
    let root = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let path = dist.root().join("dist.json");
    let mut json: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let mut set = |repo: Value| {
        for plan in json["packages"].as_array_mut().unwrap() {
            plan["repo"] = repo.clone();
        }
        fs::write(&path, json.to_string()).unwrap();
    };
    set(json!({ "suite": "nightly", "component": "tools", "origin": "Hello", "gpg-key": "x@y.z" }));
    // The key is of the metadata, too, and not there.
    let output = repo(&dist, None, &["--apt", &root("unsigned")]);
    assert!(!output.status.success(), "{}", text(&output));
    assert!(
        text(&output).contains("x@y.z") || text(&output).contains("`gpg`"),
        "{}",
        text(&output)
    );
    set(json!({ "suite": "nightly", "component": "tools", "origin": "Hello" }));
    let listed = add(&dist, None, &["--apt", &root("a")]);
    assert_eq!(listed[0]["index"], "dists/nightly/Release");
    let lines = fs::read_to_string(directory.path().join("a/dists/nightly/Release")).unwrap();
    for line in ["Suite: nightly\n", "Components: tools\n", "Origin: Hello\n"] {
        assert!(lines.contains(line), "{lines}");
    }
    let listed = add(&dist, None, &["--apt", &root("b"), "--suite", "stable"]);
    assert_eq!(listed[0]["index"], "dists/stable/Release");
    // A package that is left out, unless it is named.
    set(json!({ "excluded": true }));
    let output = repo(&dist, None, &["--apt", &root("c")]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("has no `.deb` to add"), "{}", text(&output));
    add(&dist, None, &["--apt", &root("c"), "-p", "hello"]);
}

#[test]
fn a_passphrase_signs_and_is_never_shown() {
    const PASSPHRASE: &str = "correct horse battery";
    let Some(key) = Keyring::new("ed25519", PASSPHRASE) else { return };
    let dist = release("1.2.3", "1.2.3", "greeter");
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("repository");
    let run = |passphrase: &str| -> Output {
        let args = ["--apt", path.to_str().unwrap(), "--gpg-key", "releases@example.org"];
        let mut command: Command = command(&dist, "package repo", &args);
        command.env("GNUPGHOME", key.home.path()).env("LONGSHORE_GPG_PASSPHRASE", passphrase);
        command.output().unwrap()
    };
    let wrong = run("wrong horse");
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong));
    assert!(text(&wrong).contains("LONGSHORE_GPG_PASSPHRASE"), "{}", text(&wrong));
    assert!(!text(&wrong).contains("wrong horse"));
    // The files of packages are there already, and no index lists them.
    assert!(!path.join("dists/stable").exists());
    let right = run(PASSPHRASE);
    assert!(right.status.success(), "{}", text(&right));
    assert!(!text(&right).contains(PASSPHRASE));
    assert!(path.join("dists/stable/InRelease").is_file());
}
