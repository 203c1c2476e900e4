//! Images of every writer that can be had, in every form that it writes, read by `image inspect`,
//! `verify`, `image diff` and `push --from`, and by skopeo, podman and umoci. What each of them makes
//! of each form is in `interop_rows`, and from there in `docs/interoperability.md`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output},
};

use longshore::model::digest::Digest;
use serde_json::{Value, json};

use crate::{
    interop_notes::note,
    interop_rows::{Kind, ROWS, Reader, Row},
    push::run,
    support::{dist::Dist, peer, program, registry::Registry},
};

/// The recipe of the image: two layers, and something of each kind in the configuration.
const RECIPE: &str = "FROM scratch
ARG TARGETPLATFORM
COPY etc /etc/
COPY ${TARGETPLATFORM}/bin/hello /usr/local/bin/hello
ENV GREETING=hello
LABEL org.opencontainers.image.title=hello
USER 65532:65532
ENTRYPOINT [\"/usr/local/bin/hello\"]
";

/// The path of the program in the image.
const PROGRAM: &str = "/usr/local/bin/hello";

/// One form that a writer wrote.
pub(crate) struct Written {
    /// The command of its row.
    pub(crate) command: &'static str,
    /// A path in the directory, or a name without tag in a registry.
    pub(crate) path: String,
    /// The name or tag of the image in it, where readers need one.
    pub(crate) name: Option<String>,
    /// The image of longshore that it is compared with.
    pub(crate) original: &'static str,
}

impl Written {
    /// Returns a form whose image needs no name.
    pub(crate) fn new(command: &'static str, path: &str, original: &'static str) -> Self {
        Written { command, path: path.to_owned(), name: None, original }
    }

    /// Returns the same with the name of the image.
    pub(crate) fn named(self, name: &str) -> Self {
        Written { name: Some(name.to_owned()), ..self }
    }
}

/// A directory with the image that longshore makes, and the programs that read images.
pub(crate) struct Bench {
    pub(crate) dist: Dist,
    pub(crate) registry: Registry,
    pub(crate) skopeo: PathBuf,
    pub(crate) podman: PathBuf,
    pub(crate) umoci: PathBuf,
}

impl Bench {
    /// Makes the images that all others are compared with: `one`, for linux/amd64, and `two`, for
    /// linux/arm64, too. `None` where a reader is not installed.
    pub(crate) fn new() -> Option<Self> {
        peer::root()?;
        let programs = [("linux/amd64", &program::amd64()[..]), ("linux/arm64", &program::arm64())];
        let dist = Dist::new(&programs, json!({ "labels": {} }));
        let bench = Bench {
            registry: Registry::start()?,
            skopeo: peer::find("skopeo")?,
            podman: peer::find("podman")?,
            umoci: peer::find("umoci")?,
            dist,
        };
        fs::create_dir(bench.dist.root().join("etc")).unwrap();
        fs::write(bench.dist.root().join("etc/hello.conf"), "greeting = hello\n").unwrap();
        fs::write(bench.path("Dockerfile"), RECIPE).unwrap();
        bench.longshore(&["--platform=linux/amd64", &bench.write("oci", "one")]);
        bench.longshore(&[&bench.write("oci", "two")]);
        Some(bench)
    }

    /// Returns the path of `name` in the directory.
    pub(crate) fn path(&self, name: &str) -> String {
        self.dist.beside(name).to_str().unwrap().to_owned()
    }

    /// Returns `--output` of `longshore image`.
    pub(crate) fn write(&self, form: &str, name: &str) -> String {
        format!("--output={form}={}", self.path(name))
    }

    /// Makes the image with longshore.
    pub(crate) fn longshore(&self, args: &[&str]) {
        let recipe = self.path("Dockerfile");
        self.dist.image(&[&["-f", &recipe][..], args].concat());
    }

    /// Returns the name of a repository in the registry.
    pub(crate) fn repository(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.address)
    }

    /// Returns the arguments of podman and buildah for a storage in the directory.
    pub(crate) fn storage(&self, name: &str) -> Vec<String> {
        let (root, runs) = (self.path(name), self.path(&format!("{name}.run")));
        ["--root", &root, "--runroot", &runs, "--storage-driver=vfs"].map(str::to_owned).to_vec()
    }

    /// Runs a program that stores images in the directory.
    pub(crate) fn stored(&self, program: &Path, storage: &str, args: &[&str]) -> String {
        let storage = self.storage(storage);
        let args = storage.iter().map(String::as_str).chain(args.iter().copied());
        peer::run(program, args)
    }

    /// Runs `skopeo copy`.
    pub(crate) fn copy(&self, args: &[&str]) {
        let all = ["copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"];
        peer::run(&self.skopeo, [&all, args].concat());
    }

    /// Runs a program in the directory.
    fn output(&self, program: &Path, args: &[&str]) -> Output {
        Command::new(program).args(args).current_dir(self.dist.beside("")).output().unwrap()
    }
}

/// Keeps what differs from the table.
struct Judge<'a> {
    bench: &'a Bench,
    row: &'a Row,
    written: &'a Written,
    wrong: String,
}

/// Compares what every reader makes of what `writer` wrote with the table.
#[track_caller]
pub(crate) fn check(bench: &Bench, writer: &str, written: &[Written]) {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| row.writer == writer).collect();
    let commands: Vec<_> = rows.iter().map(|row| row.command).collect();
    let made: Vec<_> = written.iter().map(|written| written.command).collect();
    assert_eq!(made, commands, "the rows of {writer}");
    let mut wrong = String::new();
    for (number, (row, written)) in rows.into_iter().zip(written).enumerate() {
        let mut check_output = Judge { bench, row, written, wrong: String::new() };
        let inspected = check_output.inspect();
        check_output.verify();
        check_output.diff();
        check_output.push(number, inspected.as_ref());
        check_output.skopeo(inspected.as_ref());
        check_output.podman(number, inspected.as_ref());
        check_output.umoci(number, inspected.as_ref());
        if !check_output.wrong.is_empty() {
            wrong += &format!(
                "== {writer}, {}, {}:\n{}",
                row.command,
                row.kind.name(),
                check_output.wrong
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn text(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

impl Judge<'_> {
    /// Returns longshore's name of the image.
    fn source(&self) -> String {
        let Written { path, name, .. } = self.written;
        name.as_ref().map_or_else(|| path.clone(), |name| format!("{path}:{name}"))
    }

    /// Returns the name of the image for skopeo, podman and buildah.
    fn transport(&self) -> String {
        format!("{}{}", self.row.kind.transport(), self.source())
    }

    /// Adds to what differs from the table.
    fn wrong(&mut self, reader: Reader, found: &str) {
        self.wrong += &format!("{reader:?}: {found}\n");
    }

    /// Compares an exit status and a message with the table. Returns whether the image was accepted.
    fn check_output(&mut self, reader: Reader, output: &Output) -> bool {
        let accepted = output.status.success();
        let name = self.row.rejected.iter().find(|(by, _)| *by == reader).map(|(_, name)| *name);
        let text = text(output);
        let expected = match name.map(note) {
            None => accepted,
            Some(note) => {
                let status = note.status == 0 || output.status.code() == Some(note.status);
                let ours = note.status != 0;
                !accepted
                    && status
                    && ours == reader.is_ours()
                    && note.prints.iter().all(|part| text.contains(part))
            }
        };
        if !expected {
            let found = format!("expected {name:?}, got {}\n{text}", output.status);
            self.wrong(reader, &found);
        }
        accepted
    }

    fn longshore(&self, args: &str) -> Output {
        run(&self.bench.dist.beside(""), args).command.output().unwrap()
    }

    /// Returns what `image inspect` prints of each platform.
    fn inspect(&mut self) -> Option<Vec<Value>> {
        let source = self.source();
        let output = self.longshore(&format!("image inspect --message-format json {source}"));
        if !self.check_output(Reader::Inspect, &output) {
            return None;
        }
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let images = found["sources"][0]["sets"][0]["images"].as_array().unwrap().clone();
        let program = Digest::sha256(&program::amd64()).to_string();
        for image in &images {
            let files = image["files"].as_array().unwrap();
            let file = files.iter().find(|file| file["path"] == PROGRAM).unwrap();
            if (image["platform"] != "linux/arm64") != (file["sha256"] == program.as_str()) {
                self.wrong(Reader::Inspect, &format!("{}: {file}", image["platform"]));
            }
        }
        Some(images)
    }

    fn verify(&mut self) {
        let output = self.longshore(&format!("verify {}", self.source()));
        self.check_output(Reader::Verify, &output);
    }

    /// Compares the differences from the original with those that the row explains, each of them.
    fn diff(&mut self) {
        let (original, source) = (self.written.original, self.source());
        let args = format!("image diff --message-format json {original} {source}");
        let mut output = self.longshore(&args);
        let Ok(found) = serde_json::from_slice::<Value>(&output.stdout) else {
            self.check_output(Reader::Diff, &output);
            return;
        };
        // 1 is the status of a difference, too; those are compared one by one.
        let explained: BTreeSet<String> = self
            .row
            .differs
            .iter()
            .flat_map(|name| note(name).prints.iter().map(|part| (*part).to_owned()))
            .collect();
        let differences = differences(&found);
        let equal = differences.is_empty();
        assert_eq!(output.status.code(), Some(i32::from(!equal)), "{found:#}");
        output.status = ExitStatus::default();
        self.check_output(Reader::Diff, &output);
        if differences != explained {
            let new: Vec<_> = differences.difference(&explained).collect();
            let gone: Vec<_> = explained.difference(&differences).collect();
            self.wrong(Reader::Diff, &format!("not explained {new:#?}, missing {gone:#?}"));
        }
    }

    /// Pushes the image, and compares what skopeo finds in the registry.
    fn push(&mut self, number: usize, inspected: Option<&Vec<Value>>) {
        let name = self.bench.repository(&format!("pushed/{number}"));
        let output = self.longshore(&format!("push {name}:1 --from {}", self.source()));
        if !self.check_output(Reader::Push, &output) {
            return;
        }
        let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let url = format!("docker://{name}:1");
        let skopeo = &self.bench.skopeo;
        let raw = peer::run(skopeo, ["inspect", "--tls-verify=false", "--raw", &url]);
        let digest = Digest::sha256(raw.as_bytes());
        if printed != format!("{name}@{digest}") {
            self.wrong(Reader::Push, &format!("{printed} is {digest} in the registry"));
        }
        self.configurations(Reader::Push, &url, inspected);
        // Every blob of every platform.
        self.bench.copy(&["--all", &url, &format!("dir:{}", self.bench.path("pulled"))]);
    }

    /// Compares each platform's configuration with what skopeo prints of it.
    fn configurations(&mut self, reader: Reader, url: &str, inspected: Option<&Vec<Value>>) {
        for image in inspected.into_iter().flatten() {
            let platform = image["platform"].as_str().unwrap();
            let [os, architecture] = platform.split('/').collect::<Vec<_>>()[..2] else { continue };
            // Of an archive for `docker load`, skopeo reads the first image.
            if url.starts_with("docker-archive:") && architecture != "amd64" {
                continue;
            }
            let args = [
                "inspect",
                "--tls-verify=false",
                "--config",
                &format!("--override-os={os}"),
                &format!("--override-arch={architecture}"),
                url,
            ];
            let output = self.bench.output(&self.bench.skopeo, &args);
            let Ok(config) = serde_json::from_slice::<Value>(&output.stdout) else {
                self.wrong(reader, &text(&output));
                continue;
            };
            let (ours, theirs) = (summary(image), configuration(&config, "rootfs", "diff_ids"));
            if ours != theirs {
                self.wrong(reader, &format!("longshore {ours:#}\nskopeo {theirs:#}"));
            }
        }
    }

    fn skopeo(&mut self, inspected: Option<&Vec<Value>>) {
        let url = self.transport();
        let args = ["inspect", "--tls-verify=false", "--raw", &url];
        let output = self.bench.output(&self.bench.skopeo, &args);
        if self.check_output(Reader::Skopeo, &output) {
            self.configurations(Reader::Skopeo, &url, inspected);
        }
    }

    /// Loads the image with podman, and compares its configuration and its program.
    fn podman(&mut self, number: usize, inspected: Option<&Vec<Value>>) {
        let storage = self.bench.storage(&format!("podman{number}"));
        let podman = |args: &[&str]| {
            let storage = storage.iter().map(String::as_str);
            let args: Vec<_> = storage.chain(args.iter().copied()).collect();
            self.bench.output(&self.bench.podman, &args)
        };
        let pulled = podman(&["pull", "--quiet", "--tls-verify=false", &self.transport()]);
        // Once for each name.
        let ids = String::from_utf8_lossy(&pulled.stdout).into_owned();
        let id = ids.lines().next().unwrap_or_default().to_owned();
        let mut output = None;
        if pulled.status.success() {
            let shown = podman(&["image", "inspect", &id]);
            let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
            let mounted = text(&podman(&["image", "mount", &id])).trim().to_owned();
            // The driver `vfs` mounts nothing: it prints a directory.
            let file = fs::read(format!("{mounted}{PROGRAM}")).unwrap_or_default();
            output = Some((configuration(&shown[0], "RootFS", "Layers"), file));
        }
        self.check_output(Reader::Podman, &pulled);
        let Some((theirs, file)) = output else { return };
        if file != program::amd64() {
            self.wrong(Reader::Podman, &format!("the program has {} bytes", file.len()));
        }
        let amd64 = |image: &&Value| image["platform"] == "linux/amd64";
        if let Some(image) = inspected.and_then(|images| images.iter().find(amd64)) {
            let ours = summary(image);
            if ours != theirs {
                self.wrong(Reader::Podman, &format!("longshore {ours:#}\npodman {theirs:#}"));
            }
        }
    }

    /// Unpacks a layout with umoci, and compares what its runtime configuration starts.
    fn umoci(&mut self, number: usize, inspected: Option<&Vec<Value>>) {
        if self.row.kind != Kind::Layout {
            return;
        }
        let name = format!("bundle{number}");
        let bundle = self.bench.dist.beside(&name);
        let args = ["unpack", "--image", &self.source(), &name];
        let output = self.bench.output(&self.bench.umoci, &args);
        let accepted = self.check_output(Reader::Umoci, &output);
        let (true, Some([image])) = (accepted, inspected.map(Vec::as_slice)) else { return };
        let runs: Value =
            serde_json::from_slice(&fs::read(bundle.join("config.json")).unwrap()).unwrap();
        let process = &runs["process"];
        let user = format!("{}:{}", process["user"]["uid"], process["user"]["gid"]);
        let config = &image["config"];
        let env: Vec<_> = process["env"].as_array().into_iter().flatten().collect();
        let same = process["args"] == config["entrypoint"]
            && user == config["user"]
            && config["env"].as_array().is_none_or(|list| list.iter().all(|v| env.contains(&v)));
        let file = fs::read(bundle.join("rootfs").join(&PROGRAM[1..])).unwrap();
        if !same || file != program::amd64() {
            self.wrong(Reader::Umoci, &format!("longshore {config:#}\numoci {process:#}"));
        }
    }
}

/// Returns the differences in what `image diff` prints, each as one line without its values.
fn differences(found: &Value) -> BTreeSet<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut lines = BTreeSet::new();
    let mut change = |lead: &str, change: &Value| {
        let field = change["field"].as_str().unwrap();
        let key = change["key"].as_str().filter(|_| field != "history");
        let key = key.map(|key| format!(" {key}")).unwrap_or_default();
        lines.insert(format!("{lead}{field}{key}"));
    };
    list(&found["annotations"]).iter().for_each(|item| change("index ", item));
    for platform in list(&found["platforms"]) {
        for field in ["config", "annotations", "history"] {
            list(&platform[field]).iter().for_each(|item| change("", item));
        }
        for file in list(&platform["files"]["changed"]) {
            let path = file["path"].as_str().unwrap();
            list(&file["changes"]).iter().for_each(|item| change(&format!("{path} "), item));
        }
    }
    for platform in list(&found["platforms"]) {
        for (field, sign) in [("added", '+'), ("removed", '-')] {
            for file in list(&platform["files"][field]) {
                lines.insert(format!("{sign} {}", file["path"].as_str().unwrap()));
            }
        }
        let layers = &platform["layers"];
        if layers["before"] != layers["after"] || layers["after"] != layers["equal"] {
            lines.insert("layers".to_owned());
        }
    }
    for (field, sign) in [("only-after", '+'), ("only-before", '-')] {
        lines.extend(
            list(&found[field]).iter().map(|item| format!("{sign} {}", item.as_str().unwrap())),
        );
    }
    lines
}

/// Returns `null`, an empty list and an absent field mean the same.
fn filled(value: &Value) -> Value {
    let empty = value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(serde_json::Map::is_empty)
        || value.as_str() == Some("");
    if empty { Value::Null } else { value.clone() }
}

/// Returns the output of `image inspect` in the form of [`configuration`].
fn summary(image: &Value) -> Value {
    let config = &image["config"];
    let layers = image["layers"].as_array().unwrap();
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer["diff-id"].clone()).collect();
    json!({
        "platform": image["platform"],
        "entrypoint": filled(&config["entrypoint"]),
        "env": filled(&config["env"]),
        "user": filled(&config["user"]),
        "labels": filled(&config["labels"]),
        "diff-ids": diff_ids,
    })
}

/// Returns the fields of a configuration of the OCI image specification, or of podman's form of it.
fn configuration(found: &Value, root: &str, layers: &str) -> Value {
    let field = |name: &str| {
        let upper = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
        found.get(name).or_else(|| found.get(upper)).and_then(Value::as_str).unwrap_or("")
    };
    let config = found.get("config").or_else(|| found.get("Config")).unwrap_or(&Value::Null);
    json!({
        "platform": format!("{}/{}", field("os"), field("architecture")),
        "entrypoint": filled(&config["Entrypoint"]),
        "env": filled(&config["Env"]),
        "user": filled(&config["User"]),
        "labels": filled(&config["Labels"]),
        "diff-ids": found[root][layers],
    })
}
