//! A real registry: CNCF Distribution (`docker-registry`).

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use super::{peer, server::Server};

/// A registry on the loopback interface.
#[derive(Debug)]
pub(crate) struct Registry {
    /// Its address: `127.0.0.1:PORT`.
    pub(crate) address: String,
    _server: Server,
    storage: TempDir,
    _more: Option<TempDir>,
}

impl Registry {
    /// Starts an empty one; nothing where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with("", "")
    }

    /// As [`Registry::start`], whose `Location`s have no host in them.
    pub(crate) fn start_with_relative_locations() -> Option<Self> {
        Self::start_with(", relativeurls: true", "")
    }

    /// As [`Registry::start`], which wants the password `hunter2` of `me`.
    pub(crate) fn start_with_password() -> Option<Self> {
        // bcrypt, with the lowest cost there is.
        const LINE: &str = "me:$2b$04$1Gjc5Vc2gQG9mbOxM64D2uSn.4.qSlL2sF93qEDoildMcDfhcAgye\n";
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("htpasswd");
        fs::write(&file, LINE).unwrap();
        let auth = format!("auth: {{htpasswd: {{realm: it, path: {}}}}}\n", file.display());
        let mut registry = Self::start_with("", &auth)?;
        registry._more = Some(dir);
        Some(registry)
    }

    /// As [`Registry::start`], with that certificate and key.
    pub(crate) fn start_with_tls(certificate: &Path, key: &Path) -> Option<Self> {
        let (certificate, key) = (certificate.display(), key.display());
        Self::start_with(&format!(", tls: {{certificate: {certificate}, key: {key}}}"), "")
    }

    fn start_with(http: &str, more: &str) -> Option<Self> {
        let program = peer::find("docker-registry")?;
        let storage = TempDir::new().unwrap();
        let root = storage.path().display();
        let config = storage.path().join("config.yml");
        // Port 0 is any free one, which the log then tells.
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: \"127.0.0.1:0\"{http}}}\n{more}"
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new(program);
        command.arg("serve").arg(&config);
        let (server, line) = Server::start(&mut command, "listening on");
        let (_, rest) = line.split_once("listening on ").unwrap();
        let address = rest.split(['"', ',', ' ']).next().unwrap().to_owned();
        Some(Registry { address, _server: server, storage, _more: None })
    }

    /// Returns the size in bytes of the layers and configurations in a repository.
    pub(crate) fn size(&self, name: &str) -> u64 {
        // https://distribution.github.io/distribution/about/configuration/#filesystem
        let root = self.storage.path().join("docker/registry/v2");
        let links = root.join("repositories").join(name).join("_layers/sha256");
        let size = |digest: String| {
            let blob = root.join("blobs/sha256").join(&digest[..2]).join(&digest);
            fs::metadata(blob.join("data")).map_or(0, |data| data.len())
        };
        let links = fs::read_dir(links).into_iter().flatten().flatten();
        links.map(|link| size(link.file_name().into_string().unwrap())).sum()
    }

    /// Returns `docker://ADDRESS/NAME`, as skopeo has it.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.address)
    }
}
