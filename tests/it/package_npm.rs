//! Packages for npm: published to a real registry, and installed by npm, pnpm and yarn.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use longshore::model::digest::Digest;
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

const OUTPUT: &str = "hello from a fixture\n";

/// Node.js and the programs of `npm.sh`, and a home directory for them.
struct Node {
    programs: PathBuf,
    home: TempDir,
}

impl Node {
    fn find() -> Option<Self> {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/npm");
        if !peers.join("done").is_file() {
            peer::skip("run `sh tests/it/support/npm.sh target/peers/npm` first");
            return None;
        }
        let node = Node { programs: peers.join("node"), home: TempDir::new().unwrap() };
        // Commands that scripts and installers find by their names.
        let bin = node.home.path().join("bin");
        fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(node.programs.join("node"), bin.join("node")).unwrap();
        let modules = node.programs.join("node_modules");
        for (name, script) in [
            ("npm", "npm/bin/npm-cli.js"),
            ("npx", "npm/bin/npx-cli.js"),
            ("pnpm", "pnpm/bin/pnpm.cjs"),
            ("yarn", "yarn/bin/yarn.js"),
            ("berry", "@yarnpkg/cli-dist/bin/yarn.js"),
        ] {
            node.script(name, &format!("exec node '{}' \"$@\"", modules.join(script).display()));
        }
        Some(node)
    }

    fn script(&self, name: &str, line: &str) {
        let path = self.home.path().join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{line}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Sets the variables that the installers need, in place of those of the machine.
    fn isolate(&self, command: &mut Command, registry: &str) {
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().to_ascii_lowercase();
            let of_machine = ["npm_", "pnpm_", "yarn_", "node_", "xdg_"];
            if of_machine.iter().any(|start| text.starts_with(start)) || text.ends_with("_proxy") {
                command.env_remove(&name);
            }
        }
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.home.path().join("bin").display()));
        command.env("HOME", self.home.path()).env("NPM_CONFIG_REGISTRY", registry);
        // Yarn's two lines.
        command.env("YARN_REGISTRY", registry).env("YARN_NPM_REGISTRY_SERVER", registry);
        command.env("YARN_UNSAFE_HTTP_WHITELIST", "127.0.0.1").env("YARN_ENABLE_TELEMETRY", "0");
        command.env("YARN_IGNORE_PATH", "1").env("NPM_CONFIG_UPDATE_NOTIFIER", "false");
        command.env("YARN_ENABLE_IMMUTABLE_INSTALLS", "false");
    }

    /// Returns the command `name` in a project.
    fn command(&self, name: &str, registry: &str, project: &Path) -> Command {
        let mut command = plain(self.home.path().join("bin").join(name));
        self.isolate(&mut command, registry);
        command.current_dir(project);
        command
    }

    /// Starts a registry, to which everybody may publish.
    fn registry(&self) -> (Server, String) {
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}/");
        let home = self.home.path();
        let config = home.join("verdaccio.yaml");
        let text = "storage: storage\nauth: {htpasswd: {file: ./htpasswd}}\nuplinks: {}\n\
                    packages: {'**': {access: $all, publish: $all}}\n\
                    log: {type: stdout, level: warn}\n";
        fs::write(&config, text).unwrap();
        fs::write(home.join(".npmrc"), format!("//127.0.0.1:{port}/:_authToken=token\n")).unwrap();
        let mut command = plain(self.programs.join("node"));
        self.isolate(&mut command, &url);
        command.arg(self.programs.join("node_modules/verdaccio/bin/verdaccio"));
        command.args(["--listen", &format!("127.0.0.1:{port}"), "--config"]).arg(config);
        (Server::start_on(&mut command, port), url)
    }

    /// Returns a directory with an empty project.
    fn project(&self, name: &str) -> PathBuf {
        let dir = self.home.path().join(name);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("package.json"), "{ \"name\": \"project\", \"private\": true }\n")
            .unwrap();
        dir
    }
}

/// Runs `command`, which must succeed, and returns its output to stdout.
#[track_caller]
fn good(command: &mut Command) -> String {
    let ran = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) =
        (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{command:?}: {}\n{stdout}{stderr}", ran.status);
    stdout.into_owned()
}

#[test]
fn packages_are_published_in_order_and_installed() {
    let Some(node) = Node::find() else { return };
    let (workspace, json) = shared();
    let (_server, url) = node.registry();
    let publish = |status: i32| {
        let mut test =
            longshore(workspace, "package publish-npm --registry").arg(&url).status(status);
        node.isolate(&mut test.command, &url);
        test
    };
    let project = node.project("npm-project");
    let there = |name: &str| {
        let mut command = node.command("npm", &url, &project);
        command.args(["view", name, "version"]).output().unwrap().status.success()
    };
    // The second package is not accepted at first: the main one is not published without it.
    let npm = fs::read_to_string(node.home.path().join("bin/npm")).unwrap();
    let fails = "case \"$*\" in *publish*arm64*) echo refused >&2; exit 1 ;; esac\n";
    node.script("npm", &(fails.to_owned() + npm.lines().nth(1).unwrap()));
    publish(5)
        .stderr("Published @fixture/hello-linux-x64@0.1.0")
        .stderr("npm did not publish `@fixture/hello-linux-arm64@0.1.0`")
        .stderr("refused")
        .run();
    assert!(there("@fixture/hello-linux-x64") && !there("hello"));
    node.script("npm", npm.lines().nth(1).unwrap());
    publish(0)
        .stderr("Unchanged @fixture/hello-linux-x64@0.1.0")
        .stderr("Published @fixture/hello-linux-arm64@0.1.0")
        .stderr("Published hello@0.1.0")
        .run();
    publish(0).stderr("Unchanged hello@0.1.0").absent("Published").run();
    // A version with different content is not taken for the same one.
    let tag = longshore(workspace, "package publish-npm --dry-run --registry").arg(&url);
    let mut tag = tag.stderr("Unchanged hello@0.1.0");
    node.isolate(&mut tag.command, &url);
    tag.run();
    let other = Workspace::empty();
    let from = format!("{}/.", workspace.root().display());
    assert!(Command::new("cp").args(["-a", &from]).arg(other.root()).status().unwrap().success());
    other.write("README.md", "# different\n");
    longshore(&other, "package").run();
    let mut test = longshore(&other, "package publish-npm --registry").arg(&url).status(5);
    node.isolate(&mut test.command, &url);
    test.stderr("the registry has a different `@fixture/hello-linux-x64@0.1.0`").run();
    if cfg!(target_arch = "x86_64") {
        install(&node, &url, &project, json);
    }
}

/// Installs the package by every installer, and starts it.
fn install(node: &Node, url: &str, project: &Path, json: &Value) {
    good(node.command("npm", url, project).args(["install", "--no-fund", "--no-audit", "hello"]));
    let own = project.join("node_modules/@fixture/hello-linux-x64/bin/hello");
    let digest = |path: &Path| Digest::sha256(&fs::read(path).unwrap()).to_string();
    assert_eq!(Value::from(digest(&own)), json["artifacts"][0]["sha256"]);
    assert!(!project.join("node_modules/@fixture/hello-linux-arm64").exists());
    let start = project.join("node_modules/.bin/hello");
    let mut command = plain(&start);
    node.isolate(&mut command, url);
    assert_eq!(good(&mut command), OUTPUT);
    assert_eq!(good(node.command("npx", url, project).arg("hello")), OUTPUT);
    // Without the optional dependency there is a hint.
    let bare = node.project("bare");
    let omit = ["install", "--no-fund", "--no-audit", "--omit=optional", "hello"];
    good(node.command("npm", url, &bare).args(omit));
    let mut command = plain(bare.join("node_modules/.bin/hello"));
    node.isolate(&mut command, url);
    let ran = command.output().unwrap();
    let error = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{error}");
    assert!(error.contains("the package @fixture/hello-linux-x64 is not installed"), "{error}");
    for (name, add, run) in [
        ("pnpm", &["add", "hello"][..], &["exec", "hello"][..]),
        ("yarn", &["add", "--silent", "hello"], &["run", "--silent", "hello"]),
        ("berry", &["add", "hello"], &["run", "hello"]),
    ] {
        let project = node.project(&format!("{name}-project"));
        fs::write(project.join("yarn.lock"), "").unwrap();
        good(node.command(name, url, &project).args(add));
        assert_eq!(good(node.command(name, url, &project).args(run)), OUTPUT, "{name}");
    }
}

/// The main package of the shared `dist`, unpacked, with a shell script in place of the program.
#[test]
fn the_script_ends_as_the_program_does() {
    let Some(node) = Node::find() else { return };
    if cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let (workspace, json) = shared();
    let modules = node.project("script").join("node_modules");
    let main =
        json["channels"].as_array().unwrap().iter().find(|one| one["kind"] == "npm").unwrap();
    fs::create_dir_all(&modules).unwrap();
    let mut tar = plain("tar");
    tar.args(["-xzf"]).arg(workspace.dist().join(main["path"].as_str().unwrap()));
    good(tar.args(["-C", modules.to_str().unwrap()]));
    fs::rename(modules.join("package"), modules.join("hello")).unwrap();
    let package: Value =
        serde_json::from_slice(&fs::read(modules.join("hello/package.json")).unwrap()).unwrap();
    assert!(package.get("dependencies").is_none() && package.get("scripts").is_none(), "{package}");
    assert_eq!(package["optionalDependencies"]["@fixture/hello-linux-arm64"], "0.1.0");
    let own = modules.join("@fixture/hello-linux-x64/bin");
    fs::create_dir_all(&own).unwrap();
    let run = |script: &str, args: &[&str]| {
        let program = own.join("hello");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = plain(modules.join("hello/bin/hello.js"));
        node.isolate(&mut command, "http://127.0.0.1:9/");
        command.args(args).output().unwrap()
    };
    let ran = run("printf '%s|' \"$@\"; echo error >&2; exit 7", &["a b", "", "--c"]);
    assert_eq!(ran.status.code(), Some(7));
    assert_eq!((&ran.stdout[..], &ran.stderr[..]), (&b"a b||--c|"[..], &b"error\n"[..]));
    let ran = run("kill -TERM $$", &[]);
    assert_eq!(ran.status.signal(), Some(15), "{ran:?}");
    // A signal to the script reaches the program, also the first thing that happens.
    let waits = "i=0; while [ $i -lt 600 ]; do i=$((i+1)); sleep 0.1; done; exit 9";
    let ran = run(&format!("trap 'echo got it; exit 3' TERM; kill -TERM $PPID; {waits}"), &[]);
    assert_eq!((ran.status.code(), &ran.stdout[..]), (Some(3), &b"got it\n"[..]), "{ran:?}");
}

/// Returns the command `plan` of a package `name` with these lines of metadata.
fn plan(name: &str, metadata: &str) -> (Workspace, crate::support::command::Test) {
    let more = format!("description = \"x\"\n[package.metadata.longshore]\n{metadata}");
    let workspace = Workspace::empty().package(name, &more);
    let test = longshore(&workspace, "plan --message-format json");
    (workspace, test)
}

#[test]
fn names_are_in_the_form_of_npm() {
    for (name, metadata, expected) in [
        ("Hello_World", "npm = true", ("hello_world", "hello_world")),
        ("hello", "npm.scope = '@acme'", ("@acme/hello", "@acme/hello")),
        ("hello", "npm.scope = 'acme'", ("@acme/hello", "@acme/hello")),
        ("hello", "npm.name = '@acme/cli'", ("@acme/cli", "@acme/cli")),
        ("hello", "npm = { name = 'cli', scope = 'acme' }", ("cli", "@acme/cli")),
    ] {
        let (_workspace, test) = plan(name, metadata);
        let test = test.stderr("its package for npm is `UNLICENSED`");
        let npm = &test.run().json()["archives"][0]["npm"];
        let expected = (Value::from(expected.0), Value::from(expected.1));
        assert_eq!((npm["name"].clone(), npm["platform-name"].clone()), expected, "{metadata}");
        assert_eq!(npm["license"], "UNLICENSED");
    }
    for (name, metadata, error) in [
        ("stream", "npm = true", "`stream` is not a valid name: npm reserves it"),
        ("hello", "npm.name = 'Hello'", "`Hello` is not a valid name: it has lower-case letters"),
        ("hello", "npm.scope = ''", "`@/hello` is not a valid name"),
        ("hello", "npm.acces = 'public'", "unknown field `acces`"),
    ] {
        let (_workspace, test) = plan(name, metadata);
        test.status(2).stderr(error).run();
    }
    let workspace = Workspace::members(&["a", "b"], "");
    for name in ["a", "b"] {
        let more = "description = \"x\"\n[package.metadata.longshore]\nnpm.name = 'same'";
        workspace.write(&format!("{name}/Cargo.toml"), &manifest(name, more));
    }
    longshore(&workspace, "plan").status(2).stderr("would both be `same` by `npm`").run();
}
