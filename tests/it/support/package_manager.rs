//! apt and dnf with separate roots, which have one repository as their only source.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use tempfile::TempDir;

use super::{command::plain, peer};

/// A root of apt and dpkg, with the repository as its only source.
#[derive(Debug)]
pub(crate) struct AptRoot {
    /// The directory with its files.
    pub(crate) dir: TempDir,
    apt_get: PathBuf,
}

impl AptRoot {
    /// Returns one that trusts the key in that file; `None` if apt is missing.
    pub(crate) fn new(url: &str, key: &Path) -> Option<Self> {
        let apt_get = peer::find("apt-get")?;
        peer::find("dpkg")?;
        peer::find("gpgv")?;
        let dir = TempDir::new().unwrap();
        for path in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "etc/apt/sources.list.d",
            "etc/apt/trusted.gpg.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/lib/dpkg/info",
            "var/lib/dpkg/updates",
            "var/log/apt",
        ] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        fs::write(dir.path().join("var/lib/dpkg/status"), "").unwrap();
        let root = dir.path().display();
        // Read before any configuration of the machine. apt's own user could not read the directory.
        let config = format!(
            "Dir \"{root}/\";\nDir::State::status \"{root}/var/lib/dpkg/status\";\n\
             DPkg::Options {{ \"--root={root}\"; }};\nAPT::Architecture \"amd64\";\n\
             APT::Architectures {{ \"amd64\"; }};\nAPT::Sandbox::User \"root\";\n\
             Acquire::Retries \"0\";\nAcquire::http::Proxy \"DIRECT\";\nDPkg::Use-Pty \"0\";\n"
        );
        fs::write(dir.path().join("apt.conf"), config).unwrap();
        let source = format!(
            "Types: deb\nURIs: {url}\nSuites: stable\nComponents: main\nArchitectures: amd64\n\
             Signed-By: {}\n",
            key.display()
        );
        fs::write(dir.path().join("etc/apt/sources.list.d/hello.sources"), source).unwrap();
        Some(AptRoot { dir, apt_get })
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = plain(&self.apt_get);
        command.env("APT_CONFIG", self.dir.path().join("apt.conf")).env("LC_ALL", "C.UTF-8");
        command.arg("--yes").args(args);
        command.output().unwrap()
    }

    /// Returns its output, which must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let text = text(&output);
        assert!(output.status.success() && !text.contains("W: "), "{args:?}: {text}");
        text
    }

    /// Returns the error, since it must fail.
    #[track_caller]
    pub(crate) fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let text = text(&output);
        // `apt-get update` warns of what it ignores, and keeps the previous index.
        assert!(!output.status.success() || text.contains("W: "), "{args:?}: {text}");
        text
    }
}

/// A root of dnf, with the repository as its only source.
#[derive(Debug)]
pub(crate) struct DnfRoot {
    /// The directory with its files.
    pub(crate) dir: TempDir,
    dnf: PathBuf,
}

impl DnfRoot {
    /// Returns one that trusts the key of the repository; `None` if dnf is missing.
    pub(crate) fn new(url: &str) -> Option<Self> {
        let dnf = peer::find("dnf")?;
        let dir = TempDir::new().unwrap();
        fs::create_dir_all(dir.path().join("repos")).unwrap();
        fs::create_dir_all(dir.path().join("log")).unwrap();
        fs::create_dir_all(dir.path().join("root/etc")).unwrap();
        // Debian has no release package of Fedora's, which would name the version.
        let main = "[main]\nkeepcache=0\nplugins=0\n";
        fs::write(dir.path().join("dnf.conf"), main).unwrap();
        let source = format!(
            "[hello]\nname=hello\nbaseurl={url}\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\n\
             gpgkey={url}/key.asc\nproxy=_none_\nretries=1\n"
        );
        fs::write(dir.path().join("repos/hello.repo"), source).unwrap();
        Some(DnfRoot { dir, dnf })
    }

    fn run(&self, args: &[&str]) -> Output {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        let mut command = plain(&self.dnf);
        // Lists that were downloaded in the same second are not expired for `metadata_expire=0`.
        command.args(["--assumeyes", "--refresh", "--releasever=1", "--forcearch=x86_64"]);
        command.args([format!("--config={}", path("dnf.conf"))]);
        command.args([format!("--installroot={}", path("root"))]);
        for (name, value) in [
            ("reposdir", "repos"),
            ("cachedir", "cache"),
            ("logdir", "log"),
            ("persistdir", "state"),
        ] {
            command.arg(format!("--setopt={name}={}", path(value)));
        }
        command.env("HOME", self.dir.path()).env("LC_ALL", "C.UTF-8").args(args);
        command.output().unwrap()
    }

    /// Returns its output, which must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        text(&output)
    }

    /// Returns the error, since it must fail.
    #[track_caller]
    pub(crate) fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(!output.status.success(), "{args:?}: {}", text(&output));
        text(&output)
    }
}

/// Returns what a program wrote.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
