//! Releases and a repository of longshore, on a server from which the jobs of a pipeline get it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use longshore::model::digest::Digest;
use tempfile::TempDir;

use super::{
    command::{LONGSHORE, plain},
    peer,
    tls::{Certificate, Front, certificate},
    web::Web,
    workspace::{lock, manifest},
};

/// The version of the program under test.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The source of jobs that run no job: a line of `[workspace.metadata.longshore.ci]`.
pub(crate) const TOOL: &str = "tool = { archive = \"https://example.org/v{version}/longshore-{target}.tar.gz\", \
     version = \"0.1.0\", sha256 = { \
     \"linux/amd64\" = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\", \
     \"linux/arm64\" = \"a3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\" } }\n";

/// A running server. Dropping it ends it.
pub(crate) struct ToolServer {
    dir: TempDir,
    certificate: Certificate,
    front: Front,
    _web: Web,
}

impl ToolServer {
    /// Starts a server; `None` where a peer for it is missing.
    pub(crate) fn start() -> Option<Self> {
        peer::find("curl")?;
        let dir = TempDir::new().unwrap();
        let certificate = certificate(dir.path(), "server", "IP:127.0.0.1", true, None)?;
        fs::create_dir(dir.path().join("files")).unwrap();
        let web = Web::start(&dir.path().join("files"));
        let front = Front::start(&certificate, web.url.trim_start_matches("http://"));
        Some(ToolServer { dir, certificate, front, _web: web })
    }

    /// Returns the URL of a file.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("https://{}/{name}", self.front.address)
    }

    /// Returns the path of a file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("files").join(name)
    }

    /// Changes a file.
    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&[u8]) -> Vec<u8>) {
        let path = self.path(name);
        let old = fs::read(&path).unwrap();
        fs::write(path, change(&old)).unwrap();
    }

    /// Returns the variables with which jobs accept the server.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let authority = self.certificate.path.to_str().unwrap().to_owned();
        // What cargo downloads of the repository does not stay on the machine.
        let home = self.dir.path().join("cargo").to_str().unwrap().to_owned();
        vec![
            ("CURL_CA_BUNDLE", authority.clone()),
            ("GIT_SSL_CAINFO", authority),
            ("CARGO_NET_GIT_FETCH_WITH_CLI", "true".to_owned()),
            ("CARGO_HOME", home),
        ]
    }

    /// Writes archives with this program for both platforms, and returns the settings for them, with `version`.
    pub(crate) fn archives(&self, program: &Path, version: &str) -> String {
        let name = format!("longshore-{version}");
        let root = self.dir.path().join("pack").join(&name);
        fs::create_dir_all(&root).unwrap();
        fs::copy(program, root.join("cargo-longshore")).unwrap();
        fs::set_permissions(root.join("cargo-longshore"), fs::Permissions::from_mode(0o755))
            .unwrap();
        let archive = |target: &str| self.path(&format!("{name}-{target}.tar.gz"));
        let amd64 = archive("x86_64-unknown-linux-musl");
        let tar = ["-czf".as_ref(), amd64.as_os_str(), "-C".as_ref()];
        let parent = root.parent().unwrap();
        peer::run(
            &peer::find("tar").unwrap(),
            tar.into_iter().chain([parent.as_os_str(), name.as_ref()]),
        );
        // Every machine of the tests is of one architecture.
        fs::copy(&amd64, archive("aarch64-unknown-linux-musl")).unwrap();
        let digest = Digest::sha256(&fs::read(&amd64).unwrap()).hex();
        let url = self.url("longshore-{version}-{target}.tar.gz");
        format!(
            "tool = {{ archive = \"{url}\", version = \"{version}\", \
             sha256 = {{ \"linux/amd64\" = \"{digest}\", \"linux/arm64\" = \"{digest}\" }} }}\n"
        )
    }

    /// Writes a repository with a crate `longshore` that starts the program under test, and returns the
    /// settings for its commit.
    pub(crate) fn commit(&self) -> String {
        let source = self.dir.path().join("source");
        write_crate(&source);
        let git = |dir: &Path, args: &[&str]| {
            let who = ["-c", "user.name=me", "-c", "user.email=me@example.org"];
            let output = plain("git").args(who).args(args).current_dir(dir).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        git(&source, &["init", "--quiet", "--initial-branch=main"]);
        git(&source, &["add", "--all"]);
        git(&source, &["commit", "--quiet", "--message=first"]);
        let bare = self.path("longshore.git");
        git(&source, &["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
        // For a server that knows files only.
        git(&bare, &["update-server-info"]);
        let rev = git(&source, &["rev-parse", "HEAD"]);
        format!("tool = {{ git = \"{}\", rev = \"{rev}\" }}\n", self.url("longshore.git"))
    }
}

/// The source of a program that starts the program under test.
pub(crate) fn starter() -> String {
    format!(
        "fn main() {{\n    let args = std::env::args_os().skip(1);\n    \
         let status = std::process::Command::new({LONGSHORE:?}).args(args).status().unwrap();\n    \
         std::process::exit(status.code().unwrap());\n}}\n"
    )
}

/// The lines of the manifest of a crate `longshore` that has the program.
pub(crate) const PROGRAM: &str =
    "[workspace]\n[[bin]]\nname = \"cargo-longshore\"\npath = \"src/main.rs\"\n";

/// Writes a crate `longshore` that starts the program under test.
pub(crate) fn write_crate(dir: &Path) {
    fs::create_dir_all(dir.join("src")).unwrap();
    fs::write(dir.join("Cargo.toml"), manifest("longshore", PROGRAM)).unwrap();
    fs::write(dir.join("Cargo.lock"), lock(&["longshore"])).unwrap();
    fs::write(dir.join("src/main.rs"), starter()).unwrap();
}
