//! A real Docker Engine, started by hand.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use super::{peer, server::Server};

/// An engine with images, containers and a socket of its own. It leaves the network alone, so
/// containers need `--network none`.
#[derive(Debug)]
pub(crate) struct Engine {
    client: PathBuf,
    socket: String,
    _server: Server,
    _data: TempDir,
}

impl Engine {
    /// Starts an empty one; nothing where it is not installed, or this is not root.
    pub(crate) fn start() -> Option<Self> {
        peer::root()?;
        let program = peer::find("dockerd")?;
        // A client of another version may come first in PATH; this one belongs to the engine.
        let beside = PathBuf::from("/usr/bin/docker");
        let client = if beside.is_file() { beside } else { peer::find("docker")? };
        let data = TempDir::new().unwrap();
        let socket = format!("unix://{}/engine.sock", data.path().display());
        let mut command = in_own_mounts(&program)?;
        // It looks for containerd and runc, which may be outside of a user's PATH.
        command
            .env("PATH", "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin")
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none"])
            .args(["--storage-driver=vfs", "-H", &socket])
            .arg("--data-root")
            .arg(data.path().join("data"))
            .arg("--exec-root")
            .arg(data.path().join("exec"))
            .arg("--pidfile")
            .arg(data.path().join("pid"));
        let (server, _) = Server::start(&mut command, "API listen on");
        Some(Engine { client, socket, _server: server, _data: data })
    }

    /// Returns the value of `DOCKER_HOST` that reaches it, and the directory of its client.
    pub(crate) fn reach(&self) -> (&str, &Path) {
        (&self.socket, self.client.parent().unwrap())
    }

    /// Runs `docker` with `args` to its end.
    pub(crate) fn output(&self, args: &[&str]) -> Output {
        peer::output(&self.client, [&["-H", &self.socket], args].concat())
    }

    /// Returns the output of `docker`; it must succeed.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        peer::run(&self.client, [&["-H", &self.socket], args].concat())
    }
}

/// Returns the beginning of a command that runs `engine` so that what it mounts, and leaves behind, ends with
/// it: under `unshare`, which becomes the engine, so the process id is the engine's.
pub(crate) fn in_own_mounts(engine: &Path) -> Option<Command> {
    let mut command = Command::new(peer::find("unshare")?);
    command.args(["--mount", "--propagation=private"]).arg(engine);
    Some(command)
}
