//! Wheels: judged by Python's own tools, and installed from a real index.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use longshore::{archive::wheel, model::digest::Digest};
use semver::Version;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    dist::shared,
    support::{
        command::{longshore, plain},
        peer,
        server::{Server, free_port},
        workspace::{Workspace, manifest},
    },
};

const TAGS: &str = "manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64";

/// Python with the packages of `python-index.sh`.
struct Python {
    program: PathBuf,
    packages: PathBuf,
    home: TempDir,
}

impl Python {
    fn find() -> Option<Self> {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/python-index");
        if !peers.join("done").is_file() {
            peer::skip("run `sh tests/it/support/python-index.sh target/peers/python-index` first");
            return None;
        }
        let (program, home) = (peer::find("python3")?, TempDir::new().unwrap());
        Some(Python { program, packages: peers.join("python"), home })
    }

    /// Returns the command without settings of the machine, such as its proxies and indexes.
    fn isolated(&self, program: &Path) -> Command {
        let mut command = plain(program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().to_ascii_uppercase();
            let of_machine = ["PIP_", "UV_", "PYTHON", "VIRTUAL_ENV", "XDG_", "TWINE_"];
            if of_machine.iter().any(|start| text.starts_with(start)) || text.ends_with("_PROXY") {
                command.env_remove(&name);
            }
        }
        command.env("HOME", self.home.path()).env("PIP_CONFIG_FILE", "/dev/null");
        command.env("UV_NO_CONFIG", "1").env("UV_PYTHON_DOWNLOADS", "never");
        command.env("UV_CACHE_DIR", self.home.path().join("uv"));
        command.env("UV_TOOL_DIR", self.home.path().join("tools"));
        command.env("UV_TOOL_BIN_DIR", self.home.path().join("bin"));
        command
    }

    /// Returns the command `python3 -m MODULE`, which sees the packages.
    fn module(&self, module: &str) -> Command {
        let mut command = self.isolated(&self.program);
        command.env("PYTHONPATH", &self.packages).args(["-m", module]);
        command
    }

    /// Returns a new environment with pip.
    fn environment(&self, name: &str) -> PathBuf {
        let dir = self.home.path().join(name);
        good(self.module("virtualenv").args(["--quiet", "--no-download"]).arg(&dir));
        dir
    }

    /// Starts an index server with the files in `dir`, and returns it and its URL.
    fn index(&self, dir: &Path) -> (Server, String) {
        let port = free_port();
        let mut command = self.module("pypiserver");
        command.args(["run", "--interface", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--authenticate", ".", "--passwords", "."]).arg(dir);
        (Server::start_on(&mut command, port), format!("http://127.0.0.1:{port}"))
    }
}

/// Runs `command`, which must succeed, and returns its output to stdout.
#[track_caller]
fn good(command: &mut Command) -> String {
    let ran: Output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) =
        (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{command:?}: {}\n{stdout}{stderr}", ran.status);
    stdout.into_owned()
}

/// Returns the wheels of the shared `dist`, for amd64 and arm64.
fn wheels() -> [PathBuf; 2] {
    let (workspace, json) = shared();
    let wheels = json["archives"].as_array().unwrap().iter().filter(|one| one["kind"] == "wheel");
    let paths = wheels.map(|one| workspace.dist().join(one["path"].as_str().unwrap()));
    let mut paths: Vec<PathBuf> = paths.collect();
    paths.sort();
    let [arm64, amd64] = &paths[..] else { panic!("{paths:?}") };
    [amd64.clone(), arm64.clone()]
}

fn digest(path: &Path) -> Value {
    Digest::sha256(&fs::read(path).unwrap()).to_string().into()
}

#[test]
fn wheels_please_the_tools_of_indexes() {
    let Some(python) = Python::find() else { return };
    let wheels = wheels();
    let name = wheels[0].file_name().unwrap().to_str().unwrap();
    assert_eq!(name, format!("hello-0.1.0-py3-none-{TAGS}.whl"));
    good(python.module("twine").args(["check", "--strict"]).args(&wheels));
    good(python.module("check_wheel_contents").args(&wheels));
    // The archive has no data descriptors and no directories, and its files are regular ones.
    let script = "import sys, zipfile\n\
        z = zipfile.ZipFile(sys.argv[1])\n\
        assert z.testzip() is None\n\
        for i in z.infolist():\n    \
            assert i.flag_bits & 8 == 0 and not i.is_dir() and i.external_attr >> 28 == 8, i\n    \
            print(oct(i.external_attr >> 16 & 0o777), i.filename)\n\
        print(z.read('hello-0.1.0.dist-info/METADATA').decode())";
    let text = good(python.isolated(&python.program).args(["-c", script]).arg(&wheels[0]));
    let expected = "0o644 hello/__init__.py\n\
        0o644 hello/__main__.py\n\
        0o755 hello-0.1.0.data/scripts/hello\n\
        0o644 hello-0.1.0.dist-info/METADATA\n\
        0o644 hello-0.1.0.dist-info/RECORD\n\
        0o644 hello-0.1.0.dist-info/WHEEL\n\
        0o644 hello-0.1.0.dist-info/licenses/LICENSE-MIT\n";
    assert!(text.starts_with(expected), "{text}");
    for field in [
        "Metadata-Version: 2.4\nName: hello\nVersion: 0.1.0\nSummary: hello says hello to everybody",
        "\nAuthor-email: The authors of hello <hello@example.org>\n",
        "\nLicense-Expression: MIT\nLicense-File: LICENSE-MIT\n",
        "\nProject-URL: Source, https://example.org/hello\n",
        "\nDescription-Content-Type: text/markdown\n\n# hello\n",
    ] {
        assert!(text.contains(field), "no {field} in {text}");
    }
}

#[test]
fn pip_and_uv_install_from_an_index() {
    let Some(python) = Python::find() else { return };
    let (_, json) = shared();
    let files = TempDir::new().unwrap();
    let (_server, url) = python.index(files.path());
    let upload = ["upload", "--non-interactive", "--username", "x", "--password", "x"];
    let mut twine = python.module("twine");
    good(twine.args(upload).args(["--repository-url", &url]).args(wheels()));
    let simple = format!("{url}/simple/");
    let environment = python.environment("environment");
    let pip = ["-m", "pip", "--disable-pip-version-check"];
    let pip = || {
        let mut command = python.isolated(&environment.join("bin/python"));
        command.args(pip);
        command
    };
    if cfg!(target_arch = "x86_64") {
        good(pip().args(["install", "--quiet", "--index-url", &simple, "hello"]));
        let program = environment.join("bin/hello");
        assert_eq!(digest(&program), json["artifacts"][0]["sha256"]);
        assert_eq!(good(&mut python.isolated(&program)), "hello from a fixture\n");
        let module = ["-m", "hello", "an", "argument"];
        let ran = good(python.isolated(&environment.join("bin/python")).args(module));
        assert_eq!(ran, "hello from a fixture\n");
        good(pip().args(["uninstall", "--quiet", "--yes", "hello"]));
        assert!(!program.exists());
        // Where the module is not in an environment.
        let target = python.home.path().join("target");
        let into = target.to_str().unwrap();
        good(pip().args(["install", "--quiet", "--index-url", &simple, "--target", into, "hello"]));
        let mut module = python.isolated(&environment.join("bin/python"));
        module.env("PYTHONPATH", &target).args(["-m", "hello"]);
        assert_eq!(good(&mut module), "hello from a fixture\n");
        let uv = python.packages.join("bin/uv");
        let mut command = python.isolated(&uv);
        command.args(["tool", "install", "--quiet", "--default-index", &simple, "hello"]);
        good(command.arg("--python").arg(environment.join("bin/python")));
        assert_eq!(digest(&python.home.path().join("bin/hello")), json["artifacts"][0]["sha256"]);
    }
    // Every installer finds the one for its platform, with each C library.
    for platform in ["manylinux2014_aarch64", "manylinux_2_28_aarch64", "musllinux_1_2_aarch64"] {
        let into = python.home.path().join(platform);
        let mut command = pip();
        command.args(["download", "--quiet", "--only-binary", ":all:", "--no-deps"]);
        command.args(["--index-url", &simple, "--platform", platform, "--dest"]).arg(&into);
        // pip takes the name of a platform as it is; an installer there would list the older ones, too.
        if platform != "manylinux2014_aarch64" {
            command.args([
                "--platform",
                "manylinux_2_17_aarch64",
                "--platform",
                "musllinux_1_1_aarch64",
            ]);
        }
        good(command.arg("hello"));
        let name = wheels()[1].file_name().unwrap().to_owned();
        assert_eq!(digest(&into.join(name)), digest(&wheels()[1]));
    }
}

#[test]
fn python_sorts_versions_as_cargo_does() {
    let versions = [
        "0.9.0",
        "1.0.0-dev.1",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.2",
        "1.0.0-alpha.10",
        "1.0.0-beta.1",
        "1.0.0-rc.1",
        "1.0.0-rc.2+5",
        "1.0.0",
        "1.0.1-rc.1",
        "1.0.1",
        "1.10.0",
    ];
    let mapped: Vec<String> = versions
        .iter()
        .map(|version| wheel::version(&Version::parse(version).unwrap()).unwrap())
        .collect();
    let Some(python) = Python::find() else { return };
    let script = "import sys\nfrom packaging.version import Version\n\
        all = [Version(a) for a in sys.argv[1:]]\n\
        assert [str(v) for v in all] == sys.argv[1:], all\n\
        assert sorted(all) == all and len(set(all)) == len(all), sorted(all)";
    let mut command = python.isolated(&python.program);
    good(command.env("PYTHONPATH", &python.packages).args(["-c", script]).args(&mapped));
}

#[test]
fn verify_inspects_wheels() {
    let (workspace, json) = shared();
    let wheel = wheels()[0].clone();
    let relative = wheel.strip_prefix(workspace.root()).unwrap().to_str().unwrap().to_owned();
    longshore(workspace, &format!("verify {relative}"))
        .stdout("!hello-0.1.0.data/scripts/hello` accepted")
        .run();
    let listed = longshore(workspace, &format!("package list {relative} --message-format json"));
    let listed = listed.run().json();
    let program = &listed[0]["contents"][2];
    assert_eq!(program["path"], "hello-0.1.0.data/scripts/hello");
    assert_eq!(program["sha256"], json["artifacts"][0]["sha256"]);
}

/// Returns the command `plan` of a package with these lines in its `Cargo.toml`.
fn plan(name: &str, version: &str, more: &str) -> (Workspace, crate::support::command::Test) {
    let manifest = manifest(name, more).replace("0.1.0", version);
    let lock = crate::support::workspace::lock(&[name]).replace("0.1.0", version);
    let workspace = Workspace::empty()
        .file("Cargo.toml", &manifest)
        .file("Cargo.lock", &lock)
        .file("src/main.rs", crate::support::workspace::HELLO);
    let test = longshore(&workspace, "plan --message-format json");
    (workspace, test)
}

#[test]
fn bad_metadata_is_rejected_by_name() {
    let wheel = |more: &str| format!("description = \"x\"\n[package.metadata.longshore]\n{more}");
    let (_w, test) = plan("hello", "0.1.0", "[package.metadata.longshore]\nwheel = true");
    test.status(2)
        .stderr("package `hello` cannot be a wheel: it has no description")
        .hint("add `description` to its `Cargo.toml`")
        .run();
    let (_w, test) = plan("json", "0.1.0", &wheel("wheel = true"));
    test.status(2).stderr("`json` is a module of Python's standard library").run();
    let (_w, test) = plan("hello_", "0.1.0", &wheel("wheel = true"));
    test.status(2).stderr("`hello_` is not a valid name").run();
    let (_w, test) = plan("hello", "0.1.0-nightly.1", &wheel("wheel = true"));
    test.status(2).stderr("Python has no form of the version `0.1.0-nightly.1`").run();
    let (_w, test) = plan("hello", "0.1.0", &wheel("wheel = { module = 'class' }"));
    test.status(2).stderr("`class` is not a name of a Python module").run();
    let (_w, test) = plan("hello", "0.1.0", &wheel("wheel = { nmae = 'x' }"));
    test.status(2).stderr("unknown field `nmae`").hint("did you mean `name`?").run();
    let (_w, test) = plan("hello", "0.1.0", &wheel("wheel = 1"));
    test.status(2).stderr("expected `true`, `false` or a table").run();
    // Names and versions are in the forms of the index.
    let (_w, test) = plan("Hello_World", "1.2.3-rc.1+build", &wheel("wheel = true"));
    let json = test.stderr("PyPI accepts no version with build metadata").run().json();
    let planned = &json["archives"][0]["wheel"];
    assert_eq!(
        (&planned["name"], &planned["version"]),
        (&"Hello_World".into(), &"1.2.3rc1+build".into())
    );
    assert_eq!(planned["module"]["name"], "hello_world");
}

#[test]
fn names_that_an_index_takes_for_one_are_rejected() {
    let workspace = Workspace::members(&["hello-a", "hello_a"], "");
    for name in ["hello-a", "hello_a"] {
        let more = "description = \"x\"\n[package.metadata.longshore]\nwheel = true";
        workspace.write(&format!("{name}/Cargo.toml"), &manifest(name, more));
    }
    longshore(&workspace, "plan")
        .status(2)
        .stderr("packages `hello-a` and `hello_a` would both be `hello-a` by `wheel`")
        .hint("set a different name with `wheel.name`, or leave `wheel` out in one of them")
        .run();
}

#[test]
fn a_package_with_two_binaries_has_both() {
    let more =
        |metadata: &str| format!("description = \"x\"\n[package.metadata.longshore]\n{metadata}");
    let workspace = Workspace::hello()
        .file("src/bin/one.rs", crate::support::workspace::HELLO)
        .file("src/bin/two.rs", crate::support::workspace::HELLO);
    workspace.remove("src/main.rs");
    let plan = |metadata: &str| {
        workspace.write("Cargo.toml", &manifest("hello", &more(metadata)));
        longshore(&workspace, "plan --message-format json")
    };
    let json = plan("wheel = true\nnpm = true").run().json();
    let archive = &json["archives"][0];
    assert_eq!(archive["binaries"], serde_json::json!(["one", "two"]));
    assert_eq!(archive["wheel"]["module"], Value::Null);
    plan("wheel.module = true").status(2).stderr("no binary stands out for its module").run();
    // Each can also have a package of its name.
    let json = plan("wheel = true\nnpm = true\narchive.per-binary = true").run().json();
    for (archive, name) in json["archives"].as_array().unwrap().iter().zip(["one", "two"]) {
        assert_eq!(archive["wheel"]["name"], name);
        assert_eq!(archive["wheel"]["module"]["binary"], name);
        assert_eq!(archive["npm"]["name"], name);
    }
    // And one name for both is an error.
    plan("wheel.name = 'same'\narchive.per-binary = true")
        .status(2)
        .stderr("would both be `same` by `wheel`")
        .run();
}
