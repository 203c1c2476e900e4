//! Packages for Arch Linux, installed by pacman.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    schema::valid,
    support::{
        command::{longshore, plain},
        dist::Dist,
        peer, program,
        repository::{PLATFORMS, archive, command, release},
        workspace::{Workspace, manifest},
    },
};

/// Returns a release of `hello` with a package for both platforms.
fn packages() -> Dist {
    let dist = release("1.2.3-rc.1", "1.2.3~rc.1", "Greeter");
    let path = dist.root().join("dist.json");
    let mut json: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for plan in json["packages"].as_array_mut().unwrap() {
        let platform = plan["platform"].as_str().unwrap().to_owned();
        let (.., architecture) = PLATFORMS.iter().find(|(name, ..)| *name == platform).unwrap();
        plan["arch"] = json!({
            "name": "hello", "version": "1.2.3rc.1", "release": "1", "architecture": architecture,
            "description": "Greeter", "license": "MIT", "url": "https://example.org/hello",
            "packager": "Releases <releases@example.org>",
            "relations": { "provides": ["greeter=1"], "conflicts": ["goodbye<2"] },
        });
    }
    fs::write(&path, json.to_string()).unwrap();
    let output = command(&dist, "package", &[]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    dist
}

/// A root directory of pacman.
struct PacmanRoot {
    pacman: std::path::PathBuf,
    dir: TempDir,
}

impl PacmanRoot {
    fn new(architecture: &str) -> Option<Self> {
        let (pacman, ()) = (peer::find("pacman")?, peer::root()?);
        let dir = TempDir::new().unwrap();
        for name in ["var/lib/pacman", "cache", "gpg"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let config =
            format!("[options]\nArchitecture = {architecture}\nLocalFileSigLevel = Never\n");
        fs::write(dir.path().join("pacman.conf"), config).unwrap();
        Some(PacmanRoot { pacman, dir })
    }

    /// Returns the output of pacman, which must succeed.
    #[track_caller]
    fn run(&self, args: &[&str]) -> String {
        let (ended_well, text) = self.output(args);
        assert!(ended_well, "{args:?}: {text}");
        text
    }

    /// Returns whether pacman succeeded, and its output.
    fn output(&self, args: &[&str]) -> (bool, String) {
        let path = |name: &str| self.dir.path().join(name).to_str().unwrap().to_owned();
        let mut command = plain(&self.pacman);
        command.env("LC_ALL", "C").args(["--noconfirm", "--root", &path("")]);
        for (flag, name) in [
            ("--config", "pacman.conf"),
            ("--dbpath", "var/lib/pacman"),
            ("--cachedir", "cache"),
            ("--gpgdir", "gpg"),
            ("--logfile", "pacman.log"),
        ] {
            command.args([flag, &path(name)]);
        }
        let output = command.args(args).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }
}

#[test]
fn pacman_installs_checks_and_removes_it() {
    let dist = packages();
    for (platform, _, architecture) in PLATFORMS {
        let file = archive(&dist, &format!("-{architecture}.pkg.tar.zst"));
        let name = format!("hello-1.2.3rc.1-1-{architecture}.pkg.tar.zst");
        assert_eq!(file.file_name().unwrap().to_str(), Some(name.as_str()));
        let Some(root) = PacmanRoot::new(architecture) else { return };
        let file = file.to_str().unwrap();
        let fields = root.run(&["--query", "--info", "--file", file]);
        for (field, value) in [
            ("Version", "1.2.3rc.1-1"),
            ("Description", "Greeter"),
            ("Architecture", architecture),
            ("URL", "https://example.org/hello"),
            ("Licenses", "MIT"),
            ("Provides", "greeter=1"),
            ("Depends On", "None"),
            ("Conflicts With", "goodbye<2"),
            ("Packager", "Releases <releases@example.org>"),
        ] {
            let lines = fields.lines().filter_map(|line| line.split_once(':'));
            let found = lines.map(|(name, value)| (name.trim(), value.trim()));
            assert!(found.into_iter().any(|pair| pair == (field, value)), "{field}: {fields}");
        }
        root.run(&["--upgrade", file]);
        let installed = root.dir.path().join("usr/bin/hello");
        let built = fs::read(dist.root().join(format!("{platform}/bin/hello"))).unwrap();
        assert_eq!(fs::read(&installed).unwrap(), built);
        assert_eq!(fs::metadata(&installed).unwrap().permissions().mode() & 0o7777, 0o755);
        // Modes, owners, sizes, times and SHA-256 of every file. pacman before 6.1 requires MD5, too.
        let check = || {
            let (_, text) = root.output(&["--query", "--check", "--check", "hello"]);
            assert!(text.contains("hello: ") && text.contains(" total files, "), "{text}");
            let is_fault = |line: &&str| line.starts_with("warning") && !line.contains("(MD5 ");
            text.lines().filter(is_fault).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(check(), Vec::<String>::new());
        if platform == "linux/amd64" && cfg!(target_arch = "x86_64") {
            let output = plain(&installed).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), program::TEXT);
        }
        let mut changed = built;
        changed[100] ^= 1;
        fs::write(&installed, changed).unwrap();
        assert!(check().iter().any(|fault| fault.contains("SHA256 checksum mismatch")));
        root.run(&["--remove", "hello"]);
        assert!(!root.dir.path().join("usr").exists());
    }
}

#[test]
fn versions_sort_as_pacman_compares_them() {
    let Some(vercmp) = peer::find("vercmp") else { return };
    let ascending = [
        "1.2.3-0.3.7",
        "1.2.3-alpha",
        "1.2.3-alpha.1",
        "1.2.3-beta.2",
        "1.2.3-rc.1",
        "1.2.3-rc.10",
        "1.2.3",
        "1.2.3+build",
        "1.2.10",
    ];
    let versions = ascending.map(|text| {
        let workspace = Workspace::hello();
        let more = "description = \"Greeter\"\nlicense = \"MIT\"\n\
                    [package.metadata.longshore]\narch = true\n";
        let text = manifest("hello", more)
            .replace("version = \"0.1.0\"", &format!("version = \"{text}\""));
        workspace.write("Cargo.toml", &text);
        let plan = longshore(&workspace, "plan --no-locked --message-format json").run();
        assert_ne!(valid("plan.v1", &plan.stdout), Some(false));
        plan.json()["archives"][0]["arch"]["version"].as_str().unwrap().to_owned()
    });
    for pair in versions.windows(2) {
        assert_eq!(peer::run(&vercmp, pair).trim(), "-1", "{pair:?}");
    }
}

#[test]
fn verify_and_list_read_it() {
    let dist = packages();
    let file = archive(&dist, "-x86_64.pkg.tar.zst");
    let file = file.to_str().unwrap();
    let listed = plain(crate::support::command::LONGSHORE).args(["package", "list", file]).output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    for path in [".MTREE", ".PKGINFO", "usr/bin/hello", "usr/share/licenses/hello/LICENSE-MIT"] {
        assert!(listed.contains(path), "{path}: {listed}");
    }
    let verified = command(&dist, "verify", &[]).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    // A program in it that was not built here.
    fs::write(Path::new(file), b"not an archive").unwrap();
    let verified = command(&dist, "verify", &[]).output().unwrap();
    assert_eq!(verified.status.code(), Some(1));
}

#[test]
fn wrong_settings_are_rejected_by_name() {
    let workspace = Workspace::hello();
    let plan = |settings: &str| {
        let more = format!(
            "description = \"Greeter\"\nlicense = \"MIT\"\n[package.metadata.longshore]\n{settings}"
        );
        workspace.write("Cargo.toml", &manifest("hello", &more));
        longshore(&workspace, "plan")
    };
    plan("arch = true").stdout("arch").run();
    for (settings, expected) in [
        ("arch.name = 'Hello'", "`Hello` is not a valid package name"),
        ("arch.release = '1-1'", "`1-1` is not a valid release"),
        ("arch.depends = ['git >= 2']", "`git >= 2` of `arch.depends` is not a dependency"),
        ("arch.nmae = 'x'", "nmae"),
    ] {
        plan(settings).status(2).stderr(expected).run();
    }
}
