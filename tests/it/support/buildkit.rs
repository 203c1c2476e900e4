//! A real BuildKit that makes reproducible images, with the engine it lives in.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use super::{engine::in_own_mounts, peer, server::Server};

/// BuildKit in a Docker Engine with containerd's image store, as `buildkit.sh` unpacks it.
#[derive(Debug)]
pub(crate) struct BuildKit {
    root: PathBuf,
    tar: PathBuf,
    data: TempDir,
    // The engine ends before its containerd does.
    _engine: Server,
    _containerd: Server,
}

impl BuildKit {
    /// Starts it; nothing where it is not there, or this is not root.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(
            r#""features": {"containerd-snapshotter": true}, "storage-driver": "native""#,
        )
    }

    /// As [`BuildKit::start`], with Docker's classic store of images.
    pub(crate) fn start_classic() -> Option<Self> {
        Self::start_with(r#""storage-driver": "vfs""#)
    }

    fn start_with(store: &str) -> Option<Self> {
        peer::root()?;
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/buildkit");
        if !home.join("ready").is_file() {
            peer::skip("run `sh tests/it/support/buildkit.sh target/peers/buildkit` first");
            return None;
        }
        let tar = peer::find("tar")?;
        let root = home.join("root/usr");
        let data = TempDir::new().unwrap();
        let at = |name: &str| data.path().join(name).display().to_string();
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [{}]\n[grpc]\naddress = {:?}\n",
            at("containerd"),
            at("state"),
            r#""io.containerd.grpc.v1.cri", "io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.btrfs""#,
            at("containerd.sock"),
        );
        fs::write(at("containerd.toml"), config).unwrap();
        let config =
            format!("{{{store}, \"iptables\": false, \"ip6tables\": false, \"bridge\": \"none\"}}");
        fs::write(at("engine.json"), config).unwrap();
        let plugins = data.path().join("cli-plugins");
        fs::create_dir(&plugins).unwrap();
        let buildx = root.join("libexec/docker/cli-plugins/docker-buildx");
        std::os::unix::fs::symlink(buildx, plugins.join("docker-buildx")).unwrap();

        let mut containerd = in_own_mounts(&root.join("bin/containerd"))?;
        containerd.args(["-c", &at("containerd.toml")]);
        let (containerd, _) = Server::start(&mut containerd, "containerd successfully booted");
        // What it mounts for a container is looked for by what containerd starts.
        let mut engine = Command::new(peer::find("nsenter")?);
        engine.arg(format!("--mount=/proc/{}/ns/mnt", containerd.id()));
        engine.arg(root.join("sbin/dockerd"));
        let path = format!("{0}/bin:{0}/sbin:/usr/bin:/usr/sbin", root.display());
        engine
            .env("PATH", path)
            .args(["--config-file", &at("engine.json")])
            .args(["--containerd", &at("containerd.sock")])
            .args(["--data-root", &at("data"), "--exec-root", &at("exec")])
            .args(["--pidfile", &at("pid"), "-H"])
            .arg(format!("unix://{}", at("engine.sock")));
        let (engine, _) = Server::start(&mut engine, "API listen on");
        Some(BuildKit { root, tar, data, _engine: engine, _containerd: containerd })
    }

    /// Runs `docker` with `args` to its end, asking this engine.
    pub(crate) fn output(&self, args: &[&str]) -> Output {
        let socket = format!("unix://{}/engine.sock", self.data.path().display());
        let client = self.root.join("bin/docker");
        peer::output(&client, [&["-H", &socket], args].concat())
    }

    /// Returns the output of `docker` with this engine; it must succeed.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let output = self.output(args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {args:?}: {}\n{error}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs containerd's own client in the namespace of the engine.
    pub(crate) fn ctr(&self, args: &[&str]) {
        let address = self.data.path().join("containerd.sock").display().to_string();
        let args = [&["--address", &address, "--namespace=moby"], args].concat();
        peer::run(&self.root.join("bin/ctr"), args);
    }

    /// Returns the beginning of a `docker buildx build` by it.
    pub(crate) fn buildx(&self) -> Command {
        let mut command = Command::new(self.root.join("bin/docker"));
        command
            .env("DOCKER_CONFIG", self.data.path())
            .arg("-H")
            .arg(format!("unix://{}/engine.sock", self.data.path().display()))
            .args(["buildx", "build", "--provenance=false"]);
        command
    }

    /// As [`BuildKit::try_build`]; it must succeed.
    #[track_caller]
    pub(crate) fn build(
        &self,
        paths: (&Path, &Path, &Path),
        platforms: &str,
        epoch: u64,
        more: &[&str],
    ) {
        self.try_build(paths, platforms, epoch, more).unwrap();
    }

    /// Builds `dockerfile` with `context` for `platforms`, every time in it at most `epoch`, and
    /// unpacks the resulting layout to `out`. `more` are further arguments. What it says where it
    /// fails is the error.
    pub(crate) fn try_build(
        &self,
        (dockerfile, context, out): (&Path, &Path, &Path),
        platforms: &str,
        epoch: u64,
        more: &[&str],
    ) -> Result<(), String> {
        let archive = self.data.path().join("image.tar");
        let output = format!(
            "type=oci,dest={},rewrite-timestamp=true,oci-mediatypes=true",
            archive.display()
        );
        let mut command = self.buildx();
        command
            .env("SOURCE_DATE_EPOCH", epoch.to_string())
            .args(["--platform", platforms])
            .args(["--output", &output])
            .args(more)
            .arg("-f")
            .args([dockerfile, context]);
        let built = command.output().unwrap();
        let log = String::from_utf8_lossy(&built.stderr);
        if !built.status.success() {
            return Err(format!("{command:?}: {}\n{log}", built.status));
        }
        fs::create_dir_all(out).unwrap();
        let out = out.to_str().unwrap();
        peer::run(&self.tar, ["-xf", archive.to_str().unwrap(), "-C", out]);
        Ok(())
    }
}
