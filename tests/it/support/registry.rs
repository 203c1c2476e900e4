//! A real registry: CNCF Distribution (`docker-registry`).

use std::{fs, process::Command};

use tempfile::TempDir;

use super::{peer, server::Server};

/// A registry on the loopback interface, without TLS or authentication.
#[derive(Debug)]
pub(crate) struct Registry {
    /// Where it listens: `127.0.0.1:PORT`.
    pub(crate) address: String,
    _server: Server,
    _storage: TempDir,
}

impl Registry {
    /// Starts an empty one; nothing where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let program = peer::find("docker-registry")?;
        let storage = TempDir::new().unwrap();
        let root = storage.path().display();
        let config = storage.path().join("config.yml");
        // Port 0 is any free one, which the log then tells.
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: \"127.0.0.1:0\"}}\n"
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new(program);
        command.arg("serve").arg(&config);
        let (server, line) = Server::start(&mut command, "listening on");
        let (_, rest) = line.split_once("listening on ").unwrap();
        let address = rest.split(['"', ',', ' ']).next().unwrap().to_owned();
        Some(Registry { address, _server: server, _storage: storage })
    }

    /// `docker://ADDRESS/NAME`, as skopeo has it.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.address)
    }
}
