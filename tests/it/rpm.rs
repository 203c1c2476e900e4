//! RPM packages, read by rpm and rpmlint; and packages of rpmbuild, read here.

use std::{ffi::OsStr, fs, os::unix::fs::PermissionsExt as _, path::Path};

use longshore::model::digest::Digest;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    dist::shared,
    support::{
        command::{LONGSHORE, longshore, plain},
        peer, program,
        repository::{Keyring, PLATFORMS, archive, command, release},
        workspace::{Workspace, manifest},
    },
};

/// Returns the output of rpm with `args` and the file.
fn rpm(args: &[&str], file: &Path) -> Option<String> {
    let rpm = peer::find("rpm")?;
    let file = file.to_str().unwrap();
    Some(peer::run(&rpm, args.iter().copied().chain([file])))
}

#[test]
fn dist_makes_a_package_for_every_target() {
    let (workspace, json) = shared();
    let rpms = json["archives"].as_array().unwrap().iter().filter(|a| a["kind"] == "rpm");
    let rpms: Vec<&Value> = rpms.collect();
    assert_eq!(rpms.len(), json["artifacts"].as_array().unwrap().len());
    for rpm in &rpms {
        let artifacts = json["artifacts"].as_array().unwrap();
        let artifact = artifacts.iter().find(|one| one["target"] == rpm["target"]).unwrap();
        let contents = rpm["contents"].as_array().unwrap();
        let digest = |path: &str| {
            let found = contents.iter().find(|file| file["path"] == path);
            found.unwrap_or_else(|| panic!("{path} is not in {contents:?}"))["sha256"].clone()
        };
        assert_eq!(digest("usr/bin/hello"), artifact["sha256"]);
        for path in [
            "etc/hello.conf",
            "usr/share/bash-completion/completions/hello",
            "usr/share/doc/hello/CHANGELOG.md",
            "usr/share/fish/vendor_completions.d/hello.fish",
            "usr/share/licenses/hello/LICENSE-MIT",
            "usr/share/man/man1/hello.1.gz",
            "usr/share/zsh/site-functions/_hello",
        ] {
            digest(path);
        }
    }
    let file = workspace.dist().join(rpms[0]["path"].as_str().unwrap());
    assert!(file.ends_with("hello-0.1.0-1.x86_64.rpm"), "{}", file.display());
    let Some(rpm) = peer::find("rpm") else { return };
    let format = "%{SUMMARY}|%{LICENSE}|%{URL}";
    let args = ["-qp", "--queryformat", format, file.to_str().unwrap()];
    assert_eq!(
        peer::run(&rpm, args),
        "Says hello to everybody who starts it|MIT|https://example.org/hello"
    );
    let owned = peer::run(&rpm, ["-qpl", file.to_str().unwrap()]);
    // The directories of the distribution belong to its own packages.
    assert!(!owned.lines().any(|path| ["/usr/bin", "/etc", "/usr/share/man"].contains(&path)));
}

#[test]
fn what_rpm_forbids_is_rejected_before_the_build() {
    let workspace = Workspace::hello();
    let plan = |package: &str, settings: &str| {
        let more = format!("{package}\n[package.metadata.longshore]\n{settings}");
        workspace.write("Cargo.toml", &manifest("hello", &more));
        longshore(&workspace, "plan")
    };
    let about = "license = \"MIT\"\ndescription = \"Greeter\"";
    plan(about, "rpm = true").stdout("rpm").run();
    plan("license = \"MIT\"", "rpm = true").status(2).stderr("it has no description").run();
    plan("description = \"Greeter\"", "rpm = true")
        .status(2)
        .stderr("it has no licence")
        .hint("add `license` to its `Cargo.toml`, or `rpm.license`")
        .run();
    for (settings, expected) in [
        ("rpm.name = '-x'", "`-x` is not a valid package name"),
        ("rpm.name = 'a/b'", "`a/b` is not a valid package name"),
        ("rpm.release = '1-1'", "`1-1` is not a valid release"),
        ("rpm.requires = ['git => 2']", "`git => 2` of `rpm.requires` is not a dependency"),
        ("rpm.recommends = ['(a or b)']", "`(a or b)` of `rpm.recommends` is not a dependency"),
        ("rpm.files = { 'etc/x' = 'none' }", "for `rpm.files`"),
        ("rpm.nmae = 'x'", "nmae"),
        ("repo = true", "in a repository: it has neither a .deb nor an .rpm"),
        ("rpm = true\nrepo.suite = '../x'", "`repo.suite` is `../x`"),
    ] {
        plan(about, settings).status(2).stderr(expected).run();
    }
}

#[test]
fn rpm_installs_verifies_and_removes_it_in_a_root() {
    let (Some(rpm), Some(())) = (peer::find("rpm"), peer::root()) else { return };
    let dist = release("1.2.3", "1.2.3", "Greeter");
    for (platform, _, architecture) in PLATFORMS {
        let file = archive(&dist, &format!("{architecture}.rpm"));
        let root = TempDir::new().unwrap();
        let run = |args: &[&str]| {
            let root = ["--root", root.path().to_str().unwrap()];
            peer::run(&rpm, root.iter().chain(args).copied())
        };
        run(&["--install", "--ignorearch", file.to_str().unwrap()]);
        assert_eq!(run(&["--query", "--all"]).trim(), format!("hello-1.2.3-1.{architecture}"));
        let installed = root.path().join("usr/bin/hello");
        let built = fs::read(dist.root().join(format!("{platform}/bin/hello"))).unwrap();
        assert_eq!(fs::read(&installed).unwrap(), built);
        assert_eq!(fs::metadata(&installed).unwrap().permissions().mode() & 0o7777, 0o755);
        // Sizes, modes, digests, times, owners and links of every file.
        assert_eq!(run(&["--verify", "hello"]), "");
        if platform == "linux/amd64" && cfg!(target_arch = "x86_64") {
            let output = plain(&installed).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), program::TEXT);
        }
        // A configuration file that was changed survives, and everything else goes.
        fs::write(root.path().join("etc/hello/hello.conf"), "changed\n").unwrap();
        let changed =
            peer::output(&rpm, ["--root", root.path().to_str().unwrap(), "--verify", "hello"]);
        let changed = String::from_utf8(changed.stdout).unwrap();
        assert!(changed.contains("c /etc/hello/hello.conf"), "{changed}");
        run(&["--erase", "hello"]);
        assert!(!installed.exists() && !root.path().join("usr/share/licenses/hello").exists());
        assert!(root.path().join("etc/hello/hello.conf.rpmsave").exists());
    }
}

#[test]
fn rpm_accepts_its_digests_and_reads_its_fields() {
    let dist = release("1.2.3-rc.1", "1.2.3~rc.1", "Greeter");
    let file = archive(&dist, "x86_64.rpm");
    assert_eq!(file.file_name().unwrap(), "hello-1.2.3.rc.1-1.x86_64.rpm");
    let Some(checked) = rpm(&["--checksig", "--verbose"], &file) else { return };
    for digest in ["Header SHA256 digest: OK", "Payload SHA256 digest: OK"] {
        assert!(checked.contains(digest), "{checked}");
    }
    let format = "%{NEVRA}|%{SUMMARY}|%{LICENSE}|%{PACKAGER}|%{URL}|%{BUILDTIME}|%{BUILDHOST}";
    let fields = rpm(&["-qp", "--queryformat", format], &file).unwrap();
    assert_eq!(
        fields,
        "hello-1.2.3~rc.1-1.x86_64|Greeter|MIT|Releases <releases@example.org>|\
         https://example.org/hello|1700000000|reproducible"
    );
    let list = |what: &str| rpm(&["-qp", what], &file).unwrap();
    assert_eq!(
        list("-l").lines().collect::<Vec<_>>(),
        [
            "/etc/hello",
            "/etc/hello/hello.conf",
            "/usr/bin/hello",
            "/usr/share/doc/hello",
            "/usr/share/doc/hello/README.md",
            "/usr/share/licenses/hello",
            "/usr/share/licenses/hello/LICENSE-MIT",
        ]
    );
    assert_eq!(list("--licensefiles").trim(), "/usr/share/licenses/hello/LICENSE-MIT");
    assert_eq!(list("--configfiles").trim(), "/etc/hello/hello.conf");
    assert_eq!(list("--docfiles").trim(), "/usr/share/doc/hello/README.md");
    let requires = list("--requires");
    assert!(requires.lines().all(|line| line.starts_with("rpmlib(")), "{requires}");
    let provides = list("--provides");
    assert!(provides.contains("hello(x86-64) = 1.2.3~rc.1-1"), "{provides}");
    assert!(list("--changelog").contains("- Release 1.2.3~rc.1"));
}

#[test]
fn rpm_and_rpmlint_accept_the_signed_package_of_a_repository() {
    let dist = release("1.2.3", "1.2.3", "Greeter");
    for algorithm in ["rsa3072", "ed25519"] {
        let Some(key) = Keyring::new(algorithm, "") else { return };
        let directory = TempDir::new().unwrap();
        let repository = directory.path().join("repository");
        let args = ["--rpm", repository.to_str().unwrap(), "--gpg-key", &key.fingerprint];
        let mut command = command(&dist, "package repo", &args);
        let output = command.env("GNUPGHOME", key.home.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // A static program is what the package is for.
        let rules = directory.path().join("rpmlintrc");
        fs::write(&rules, "addFilter(\"statically-linked-binary\")\n").unwrap();
        for (_, _, architecture) in PLATFORMS {
            let file = repository.join(format!("packages/hello-1.2.3-1.{architecture}.rpm"));
            // rpmlint has no option for the database with the keys.
            let database = directory.path().join("database");
            let macros = format!("%_dbpath {}\n", database.display());
            fs::write(directory.path().join(".rpmmacros"), macros).unwrap();
            let run = |program: &Path, args: &[&OsStr]| {
                let mut command = plain(program);
                let output = command.env("HOME", directory.path()).args(args).output().unwrap();
                String::from_utf8(output.stdout).unwrap()
            };
            if let Some(rpm) = peer::find("rpm") {
                run(&rpm, &["--import".as_ref(), repository.join("key.asc").as_os_str()]);
                let args = ["--checksig".as_ref(), "--verbose".as_ref(), file.as_os_str()];
                let checked = run(&rpm, &args);
                let signed = checked.lines().find(|line| line.contains("Signature"));
                assert!(signed.is_some_and(|line| line.ends_with(": OK")), "{checked}");
            }
            if let Some(rpmlint) = peer::find("rpmlint") {
                let args = ["-r".as_ref(), rules.as_os_str(), file.as_os_str()];
                let text = run(&rpmlint, &args);
                assert!(text.contains("1 packages and 0 specfiles checked; 0 errors"), "{text}");
            }
            // The programs in it are the same, and are verified in the same way.
            let output = plain(LONGSHORE).args(["verify"]).arg(&file).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn two_releases_have_the_same_bytes() {
    let digest = |dist| Digest::sha256(&fs::read(archive(&dist, "aarch64.rpm")).unwrap());
    assert_eq!(
        digest(release("1.2.3", "1.2.3", "Greeter")),
        digest(release("1.2.3", "1.2.3", "Greeter"))
    );
}

#[test]
fn verify_and_list_read_what_rpm_installs() {
    let dist = release("1.2.3", "1.2.3", "Greeter");
    let file = archive(&dist, "x86_64.rpm");
    let run = |args: &[&str]| plain(LONGSHORE).args(args).arg(&file).output().unwrap();
    let listed = run(&["package", "list", "--message-format", "json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let contents = listed[0]["contents"].as_array().unwrap();
    let program = contents.iter().find(|entry| entry["path"] == "usr/bin/hello").unwrap();
    assert_eq!(program["sha256"], Digest::sha256(&program::amd64()).to_string());
    assert_eq!((program["mode"].clone(), contents.len()), (0o755.into(), 4));
    let verified = run(&["verify"]);
    let text = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success(), "{text}");
    let verified = run(&["verify", "--message-format", "json"]);
    assert!(String::from_utf8(verified.stdout).unwrap().contains("rpm!usr/bin/hello"));
    // The release with it is accepted, too.
    let release = command(&dist, "verify", &["--no-workspace"]).output().unwrap();
    assert!(release.status.success(), "{}", String::from_utf8_lossy(&release.stderr));
    // Each byte is covered by a digest, except for the lead, which nothing reads, and the digests' header.
    let bytes = fs::read(&file).unwrap();
    for at in [0, 104, 500, bytes.len() / 2, bytes.len() - 100, bytes.len() - 3] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&file, &changed).unwrap();
        let output = run(&["verify"]);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{at}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    fs::write(&file, &bytes[..bytes.len() - 10]).unwrap();
    assert_eq!(run(&["verify"]).status.code(), Some(1));
}

/// Returns a package that rpmbuild makes with that compression of its payload: a program under two names,
/// a link, a script, and a configuration file.
fn foreign(compression: &str, directory: &Path) -> Option<std::path::PathBuf> {
    let rpmbuild = peer::find("rpmbuild")?;
    let spec = directory.join("x.spec");
    fs::write(directory.join("program"), program::amd64()).unwrap();
    fs::write(
        &spec,
        "Name: other\nVersion: 1\nRelease: 1\nSummary: Other\nLicense: MIT\n%description\nOther.\n\
         %install\nmkdir -p %{buildroot}/usr/bin %{buildroot}/etc\n\
         cp %{_topdir}/program %{buildroot}/usr/bin/one\n\
         ln %{buildroot}/usr/bin/one %{buildroot}/usr/bin/two\n\
         ln -s one %{buildroot}/usr/bin/three\necho x >%{buildroot}/etc/other\n\
         %post\necho installed\n%files\n%attr(4755,root,root) /usr/bin/one\n\
         %attr(4755,root,root) /usr/bin/two\n/usr/bin/three\n%config /etc/other\n\
         %ghost /var/log/other\n",
    )
    .unwrap();
    let define = |text: String| ["--define".to_owned(), text];
    let defines = [
        define(format!("_topdir {}", directory.display())),
        define(format!("_binary_payload {compression}")),
        define("__os_install_post %{nil}".to_owned()),
        define("debug_package %{nil}".to_owned()),
        define("_build_id_links none".to_owned()),
    ];
    let args = defines.concat();
    let args = args.iter().map(String::as_str).chain(["-bb", spec.to_str().unwrap()]);
    peer::run(&rpmbuild, args);
    let made = fs::read_dir(directory.join("RPMS/x86_64")).unwrap().next().unwrap();
    Some(made.unwrap().path())
}

#[test]
fn packages_of_rpmbuild_are_read() {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    for compression in ["w9.gzdio", "w3.zstdio", "w6.xzdio", "w.ufdio"] {
        let directory = TempDir::new().unwrap();
        let Some(file) = foreign(compression, directory.path()) else { return };
        let run = |args: &[&str]| plain(LONGSHORE).args(args).arg(&file).output().unwrap();
        let listed = run(&["package", "list", "--message-format", "json"]);
        let error = String::from_utf8_lossy(&listed.stderr).into_owned();
        assert!(listed.status.success(), "{compression}: {error}");
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
        let contents = listed[0]["contents"].as_array().unwrap().iter();
        let mut found: Vec<String> = contents
            .map(|entry| match entry["link"].as_str() {
                Some(link) => format!("{} -> {link}", entry["path"].as_str().unwrap()),
                None => entry["path"].as_str().unwrap().to_owned(),
            })
            .collect();
        found.sort();
        let expected =
            ["etc/other", "usr/bin/one -> usr/bin/two", "usr/bin/three -> one", "usr/bin/two"];
        assert_eq!(found, expected, "{compression}");
        // The mode is that of the header, by which rpm installs it; the script is a file for the verdict.
        let verified = run(&["verify", "--message-format", "json"]);
        let text = String::from_utf8(verified.stdout).unwrap();
        assert!(text.contains("rpm!usr/bin/two") && text.contains("rpm!scripts/postin"), "{text}");
        assert_eq!(verified.status.code(), Some(1), "setuid: {text}");
    }
}

#[test]
fn versions_sort_as_rpm_and_dpkg_compare_them() {
    let ascending = [
        "1.2.3~alpha",
        "1.2.3~alpha.1",
        "1.2.3~beta.2",
        "1.2.3~rc.1",
        "1.2.3~rc.10",
        "1.2.3",
        "1.2.10",
    ];
    let (rpm, dpkg) = (peer::find("rpm"), peer::find("dpkg"));
    for pair in ascending.windows(2) {
        if let Some(rpm) = &rpm {
            let script = format!("%{{lua:print(rpm.vercmp('{}', '{}'))}}", pair[0], pair[1]);
            assert_eq!(peer::run(rpm, ["--eval", &script]).trim(), "-1", "{pair:?}");
        }
        if let Some(dpkg) = &dpkg {
            let [one, other] = [0, 1].map(|at| format!("{}-1", pair[at]));
            peer::run(dpkg, ["--compare-versions", &one, "lt", &other]);
        }
    }
}
