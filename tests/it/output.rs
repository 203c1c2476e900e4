//! The files that an output replaces and those that it keeps: directories of the user, inputs, checksums, and
//! files beside it.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink},
    path::{Path, PathBuf},
};

use longshore::model::digest::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    dist::dist,
    merge::{PLATFORMS, part, part_of},
    push::run,
    support::{
        command::{LONGSHORE, Ran, Test, longshore, plain},
        dist::Dist,
        peer, program,
        tool::TOOL,
        tree::tree,
        workspace::Workspace,
    },
};

/// One target is enough.
const ONE: &str = "--target x86_64-unknown-linux-musl";

/// Returns an output with an image and an archive, and checksums of both.
pub(crate) fn packed() -> Dist {
    let dist = part_of("linux/amd64", &program::amd64());
    dist.packages();
    fs::write(dist.beside("LICENSE"), "license\n").unwrap();
    package(&dist).run();
    dist
}

fn package(dist: &Dist) -> Test {
    run(&dist.beside(""), &format!("package {}", dist.root().display()))
}

/// Returns every path in `dir`, with what is there.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Checks every file that `dist.json` names against its size and digest, and `SHA256SUMS` with the
/// program of that name. Returns the number of files.
#[track_caller]
pub(crate) fn check_files(root: &Path) -> usize {
    let json: Value = serde_json::from_slice(&fs::read(root.join("dist.json")).unwrap()).unwrap();
    let mut count = 0;
    for key in ["documents", "archives", "artifacts"] {
        for file in json[key].as_array().into_iter().flatten() {
            let bytes = fs::read(root.join(file["path"].as_str().unwrap())).unwrap();
            assert_eq!(file["size"], bytes.len(), "{file}");
            assert_eq!(file["sha256"], Digest::sha256(&bytes).to_string(), "{file}");
            count += 1;
        }
    }
    let sums = root.join("archives/SHA256SUMS");
    if sums.exists() {
        let mut command = plain("sha256sum");
        command.args(["--strict", "-c", "SHA256SUMS"]).current_dir(root.join("archives"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!output.stdout.is_empty());
    }
    count
}

/// Runs `test`, which is rejected with status 2, and checks that nothing below `dir` has changed.
#[track_caller]
fn rejected(dir: &Path, test: Test) -> String {
    let before = everything(dir);
    let Ran { stderr, .. } = test.status(2).run();
    assert_eq!(everything(dir), before, "{stderr}");
    assert!(stderr.contains("\nhint: "), "{stderr}");
    stderr
}

/// Returns every path below `dir`, directories and links among them, with mode, inode, time and content.
fn everything(dir: &Path) -> BTreeMap<PathBuf, (u32, u64, i64, Vec<u8>)> {
    let (mut open, mut all) = (vec![dir.to_owned()], BTreeMap::new());
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
            let (path, meta) = (entry.path(), entry.metadata().unwrap());
            let content = match meta.file_type() {
                kind if kind.is_file() => fs::read(&path).unwrap(),
                kind if kind.is_symlink() => {
                    fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
                }
                _ => Vec::new(),
            };
            if meta.is_dir() {
                open.push(path.clone());
            }
            all.insert(path, (meta.mode(), meta.ino(), meta.mtime_nsec(), content));
        }
    }
    all
}

#[test]
fn every_command_keeps_documents_as_recorded() {
    let dist = packed();
    let root = dist.root();
    // The archive, its checksums, the digests of images, and the program.
    assert_eq!(check_files(&root), 4);
    for _ in 0..2 {
        dist.image(&[]);
        assert_eq!(check_files(&root), 4);
    }
    for _ in 0..2 {
        package(&dist).run();
        assert_eq!(check_files(&root), 4);
    }
    dist.image(&["--label", "a=b"]);
    assert_eq!(check_files(&root), 4);
    let home = TempDir::new().unwrap();
    for _ in 0..2 {
        run(home.path(), &format!("merge {}", root.display())).run();
        assert_eq!(check_files(&home.path().join("target/dist")), 4);
    }
    for _ in 0..2 {
        run(home.path(), "image target/dist").run();
        assert_eq!(check_files(&home.path().join("target/dist")), 4);
    }
    // The part shares its files with the release.
    assert_eq!(check_files(&root), 4);
    let before = tree(&root);
    dist.fails(2, &["--recipe", "nowhere"]);
    assert_eq!(tree(&root), before);
}

#[test]
fn merge_replaces_nothing_of_the_user() {
    let dir = TempDir::new().unwrap();
    let at = |path: &str| dir.path().join(path);
    let source = part_of("linux/amd64", &program::amd64());
    peer::run(Path::new("mkdir"), ["-p", at("parts/precious").to_str().unwrap()]);
    peer::run(Path::new("cp"), [Path::new("-a"), &source.root(), &at("parts/one")]);
    fs::write(at("parts/precious/notes"), "mine").unwrap();
    fs::write(at("afile"), "mine").unwrap();
    fs::create_dir_all(at("mine/.git")).unwrap();
    fs::write(at("mine/Cargo.toml"), "[workspace]\n").unwrap();
    // A source tree with a manifest of ours is a source tree.
    fs::copy(at("parts/one/dist.json"), at("mine/dist.json")).unwrap();
    fs::create_dir_all(at("web/js")).unwrap();
    fs::write(at("web/dist.json"), r#"{"schema": 1, "files": ["js/a.js"]}"#).unwrap();
    fs::create_dir_all(at("broken")).unwrap();
    fs::write(at("broken/dist.json"), "").unwrap();
    fs::create_dir_all(at("here/inner")).unwrap();
    fs::create_dir_all(at("other")).unwrap();
    fs::copy(at("parts/one/dist.json"), at("here/dist.json")).unwrap();
    symlink(at("parts"), at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    // Not in the directory that is compared, since a pipe cannot be read.
    let pipes = TempDir::new().unwrap();
    let pipe = pipes.path().join("pipe");
    peer::run(Path::new("mkfifo"), [&pipe]);
    let merge = |into: &str| {
        let part = at("parts/one");
        let args = format!("merge {} --platform linux/amd64 --into {into}", part.display());
        run(&at("other"), &args).dir(at("here/inner"))
    };
    for (into, why) in [
        ("../../afile", "expected a directory, found a file"),
        (pipe.to_str().unwrap(), "it is not a directory"),
        ("../../parts", "it would overwrite the part"),
        ("../../parts/", "it would overwrite the part"),
        ("../../parts/one", "it would overwrite the part"),
        ("../../parts/one/archives", "it would overwrite the part"),
        ("../../parts/one/new/er", "it would overwrite the part"),
        ("../../link", "it would overwrite the part"),
        ("../../link/one/image", "it would overwrite the part"),
        ("../../parts/precious", "was not made by longshore"),
        ("../../web", "was not made by longshore"),
        ("../../broken", "was not made by longshore"),
        ("../../mine", "it is a source directory, with `Cargo.toml`"),
        ("../../mine/../mine/.", "it is a source directory, with `Cargo.toml`"),
        (".", "it is the current directory"),
        ("./", "it is the current directory"),
        ("..", "the current directory is in it"),
        ("../..", "the current directory is in it"),
        ("/", "it is the root directory"),
        ("../../dangling", "which does not exist"),
        ("../../dangling/below", "which does not exist"),
    ] {
        let stderr = rejected(dir.path(), merge(into));
        assert!(stderr.contains(why), "{into}: {stderr}");
    }
    let before = everything(dir.path());
    merge("../../afile/below").status(4).run();
    assert_eq!(everything(dir.path()), before);
    // What is empty, what is missing, and what is ours.
    fs::create_dir(at("empty")).unwrap();
    for into in ["../../empty", "../../new/deep", "../../empty", "../../empty/"] {
        merge(into).run();
        assert_eq!(check_files(&dir.path().join("here/inner").join(into)), 3);
    }
    assert_eq!(names(&at("new")), ["deep"]);
}

#[test]
fn files_beside_the_output_are_kept() {
    let made = part_of("linux/amd64", &program::amd64());
    let merge = |dir: &Path| {
        let args = format!("merge {} --platform linux/amd64 --into src", made.root().display());
        run(dir, &args)
    };
    for name in ["partial", "failed", "old"] {
        let dir = TempDir::new().unwrap();
        let beside = dir.path().join(format!("src.{name}"));
        fs::create_dir_all(beside.join("logs")).unwrap();
        fs::write(beside.join("logs/mine"), "mine").unwrap();
        let stderr = rejected(dir.path(), merge(dir.path()));
        assert!(stderr.contains(&format!("src.{name}` is in the way")), "{stderr}");
        // A copy of an output, as people make before a new one.
        peer::run(Path::new("cp"), [Path::new("-a"), &made.root(), &beside.join("copy")]);
        fs::copy(made.root().join("dist.json"), beside.join("dist.json")).unwrap();
        rejected(dir.path(), merge(dir.path()));
        // A file, and a link to a directory of the user.
        fs::rename(&beside, dir.path().join("moved")).unwrap();
        fs::write(&beside, "mine").unwrap();
        rejected(dir.path(), merge(dir.path()));
        fs::remove_file(&beside).unwrap();
        symlink("moved", &beside).unwrap();
        rejected(dir.path(), merge(dir.path()));
        // One that is empty can be used.
        fs::remove_file(&beside).unwrap();
        fs::create_dir(&beside).unwrap();
        merge(dir.path()).run();
        assert_eq!(names(dir.path()), ["moved", "src"]);
    }
    // `Cargo.lock`, if somebody calls the output `Cargo`.
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("src.lock"), "version = 4\n").unwrap();
    let stderr = rejected(dir.path(), merge(dir.path()));
    assert!(stderr.contains("it was not written by longshore"), "{stderr}");
    fs::remove_file(dir.path().join("src.lock")).unwrap();
    fs::create_dir(dir.path().join("src.lock")).unwrap();
    rejected(dir.path(), merge(dir.path()));
    fs::remove_dir(dir.path().join("src.lock")).unwrap();
    symlink("elsewhere", dir.path().join("src.lock")).unwrap();
    rejected(dir.path(), merge(dir.path()));
    fs::remove_file(dir.path().join("src.lock")).unwrap();
    // One of another program, which is empty, stays as it is.
    fs::write(dir.path().join("src.lock"), "").unwrap();
    merge(dir.path()).run();
    assert_eq!(names(dir.path()), ["src", "src.lock"]);
    assert_eq!(fs::metadata(dir.path().join("src.lock")).unwrap().len(), 0);
}

#[test]
fn a_path_can_be_written_in_any_form() {
    let dist = packed();
    let (root, home) = (dist.root(), dist.beside(""));
    let link = dist.beside("link");
    symlink(&root, &link).unwrap();
    let inside = root.join("archives");
    for form in ["target/dist/", "target/dist/.", "./target//dist", "link", "link/", "link/."] {
        for verb in ["image", "package"] {
            run(&home, &format!("{verb} {form}")).run();
            check_files(&root);
            assert_eq!(names(&dist.beside("target")), ["dist", "longshore"], "{verb} {form}");
            assert_eq!(fs::read_link(&link).unwrap(), root, "{verb} {form}");
        }
    }
    for (dir, form) in [(&root, "."), (&root, "./"), (&inside, ".."), (&inside, "../.")] {
        for verb in ["image", "package --manifest-path ../../Cargo.toml"] {
            let verb = verb.replace("../..", home.to_str().unwrap());
            let stderr = rejected(&home, run(&home, &format!("{verb} {form}")).dir(dir));
            assert!(stderr.contains("cannot be replaced: "), "{stderr}");
        }
    }
    assert!(fs::read_dir(&root).unwrap().all(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        !name.starts_with('.')
    }));
}

#[test]
fn no_files_are_left_beside_an_output() {
    let made = part("linux/amd64");
    let dir = TempDir::new().unwrap();
    let release = dir.path().join("release");
    peer::run(Path::new("cp"), [Path::new("-a"), &made.root(), &release]);
    fs::create_dir(dir.path().join("longshore")).unwrap();
    fs::write(dir.path().join("longshore/mine"), "mine").unwrap();
    run(dir.path(), "image release").run();
    run(dir.path(), "image release --output oci=layout --output oci-archive=x.tar").run();
    run(dir.path(), "image release --recipe nowhere").status(2).run();
    run(dir.path(), "image missing").status(1).run();
    run(dir.path(), "sign --dist missing --minisign-key x").status(1).run();
    assert_eq!(names(dir.path()), ["layout", "longshore", "release", "x.tar"]);
    assert_eq!(names(&dir.path().join("longshore")), ["mine"]);
    assert_eq!(names(&release), ["dist.json", "image", "linux"]);
    // A manifest from elsewhere that names paths outside of its directory.
    let path = release.join("dist.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json["recipes"][0]["path"] = json!("../../outside");
    fs::write(&path, json.to_string()).unwrap();
    let before = everything(dir.path());
    run(dir.path(), "image release")
        .status(1)
        .stderr("it names `../../outside`, which is outside its directory")
        .run();
    assert_eq!(everything(dir.path()), before);
}

#[test]
fn images_replace_only_their_own_files() {
    let made = part_of("linux/amd64", &program::amd64());
    let dir = TempDir::new().unwrap();
    let image = |output: &str| {
        run(dir.path(), &format!("image {} --output {output}", made.root().display()))
    };
    let layout = dir.path().join("layout");
    image("oci=layout").run();
    image("oci=layout/").run();
    assert_eq!(names(dir.path()), ["layout"]);
    fs::write(layout.join("notes"), "mine").unwrap();
    let stderr = rejected(dir.path(), image("oci=layout"));
    assert!(stderr.contains("it holds `notes`"), "{stderr}");
    fs::remove_file(layout.join("notes")).unwrap();
    // A second image that somebody put there.
    let index = layout.join("index.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
    let mut second = json["manifests"][0].clone();
    second["annotations"] = json!({ "org.opencontainers.image.ref.name": "other" });
    json["manifests"].as_array_mut().unwrap().push(second);
    fs::write(&index, json.to_string()).unwrap();
    let stderr = rejected(dir.path(), image("oci=layout"));
    assert!(stderr.contains("it holds an image without a name"), "{stderr}");
    rejected(dir.path(), image("oci=.").dir(&layout));
    fs::create_dir_all(dir.path().join("fresh.partial/mine")).unwrap();
    rejected(dir.path(), image("oci=fresh"));
    // Neither a device nor a pipe is replaced by a file.
    let pipes = TempDir::new().unwrap();
    let pipe = pipes.path().join("pipe");
    peer::run(Path::new("mkfifo"), [&pipe]);
    for output in ["oci-archive", "docker-archive"] {
        rejected(dir.path(), image(&format!("{output}={}", pipe.display())));
    }
    rejected(dir.path(), image("oci-archive=layout"));
    assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
}

#[test]
fn temporary_names_cannot_be_guessed() {
    let made = part_of("linux/amd64", &program::amd64());
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("victim"), "mine").unwrap();
    // The process id of the shell is that of the program which it becomes.
    let script = "for number in 0 1 2 3 4 5 6 7 8 9; do
        ln -s victim $$.$number.tmp; ln -s victim x.tar.$$.$number.tmp; done
        ln -s victim x.tar.$$.tmp; ln -s victim $$.tmp; exec \"$@\"";
    let mut command = plain("sh");
    command.args(["-c", script, "sh", LONGSHORE, "image"]).arg(made.root());
    command.args(["--output", "docker-archive=x.tar"]).current_dir(dir.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_to_string(dir.path().join("victim")).unwrap(), "mine");
    assert!(fs::symlink_metadata(dir.path().join("x.tar")).unwrap().is_file());
    let left = names(dir.path()).into_iter().filter(|name| name.ends_with(".tmp"));
    assert_eq!(left.count(), 22);
}

/// Runs the program with this umask.
fn masked(dir: &Path, umask: &str, args: &str) -> String {
    let mut command = plain("sh");
    command.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh", LONGSHORE]);
    command.args(args.split(' ')).current_dir(dir).env("HOME", dir);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_umask_reaches_neither_outputs_nor_images() {
    let parts = PLATFORMS.map(part);
    let mut seen = Vec::new();
    for umask in ["022", "002", "077", "027"] {
        let dir = TempDir::new().unwrap();
        let places = parts.each_ref().map(|part| part.root().display().to_string());
        masked(dir.path(), umask, &format!("merge {} {} --into m", places[0], places[1]));
        fs::write(dir.path().join("recipe"), "FROM scratch\nCOPY linux/amd64 /x\n").unwrap();
        let image = "image m --platform linux/amd64 --recipe recipe";
        let printed = masked(dir.path(), umask, image);
        let archive = masked(dir.path(), umask, &format!("{image} --output oci-archive=x.tar"));
        assert_eq!(printed, archive);
        let tar = Digest::sha256(&fs::read(dir.path().join("x.tar")).unwrap());
        let all = everything(&dir.path().join("m")).into_iter();
        let modes: Vec<_> = all
            .map(|(path, (mode, ..))| {
                (path.strip_prefix(dir.path()).unwrap().to_owned(), mode & 0o7777)
            })
            .collect();
        assert!(modes.iter().all(|(_, mode)| [0o755, 0o644].contains(mode)), "{modes:?}");
        seen.push((printed, tar, modes));
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:#?}");
}

#[test]
fn dist_replaces_nothing_of_the_user() {
    let workspace = Workspace::hello();
    let root = workspace.root().canonicalize().unwrap();
    let build = |more: &str| dist(&workspace, &format!("{ONE} --no-smoke {more}"));
    let none = |test: Test| {
        let stderr = rejected(&root, test.absent("Building"));
        assert!(!stderr.contains("Fetch"), "{stderr}");
        stderr
    };
    // Of a web project, in the place of `target/dist`.
    workspace.write("dist/js/a.js", "mine");
    workspace.write("ui/dist/index.html", "mine");
    assert!(none(build("--target-dir .")).contains("was not made by longshore"));
    assert!(none(build("--target-dir ui/")).contains("was not made by longshore"));
    none(build("").env("CARGO_TARGET_DIR", "."));
    none(longshore(&workspace, &format!("build {ONE}")).env("CARGO_TARGET_DIR", "ui/../ui"));
    // The workspace itself.
    let inner = root.join("up/dist");
    fs::create_dir_all(inner.join("src")).unwrap();
    for file in ["Cargo.toml", "Cargo.lock", "src/main.rs"] {
        fs::copy(root.join(file), inner.join(file)).unwrap();
    }
    assert!(none(build("--target-dir ..").dir(&inner)).contains("it is the current directory"));
    let manifest =
        format!("--manifest-path {} --target-dir up", inner.join("Cargo.toml").display());
    assert!(none(build(&manifest)).contains("the workspace"));
    // A file, and what `cargo build --profile dist` writes.
    workspace.write("target/dist", "mine");
    assert!(none(build("")).contains("expected a directory, found a file"));
    workspace.remove("target/dist");
    let mut cargo = plain("cargo");
    cargo.args(["build", "--offline", "--config", "profile.dist.inherits='dev'"]);
    cargo.args(["--profile", "dist", "--target-dir", "target"]).current_dir(&root);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stderr = none(build(""));
    assert!(stderr.contains("a profile named `dist`"), "{stderr}");
    assert!(stderr.contains("cargo clean --profile dist"), "{stderr}");
    // The directory of the second build.
    workspace.write("free/longshore-again/mine", "mine");
    let stderr = none(build("--twice --target-dir free"));
    assert!(stderr.contains("longshore-again"), "{stderr}");
}

#[test]
fn ci_files_stay_in_the_workspace() {
    let dir = TempDir::new().unwrap();
    let settings = format!("[workspace.metadata.longshore.ci]\n{TOOL}");
    let workspace = Workspace::empty().package("hello", &settings);
    fs::create_dir(workspace.path(".github")).unwrap();
    symlink(dir.path(), workspace.path(".github/workflows")).unwrap();
    let generate = || longshore(&workspace, "ci generate --provider github --provider gitlab");
    let stderr = rejected(workspace.root(), generate());
    assert!(stderr.contains("outside of the workspace"), "{stderr}");
    assert_eq!(names(dir.path()), Vec::<String>::new());
    // A link within the workspace is followed.
    fs::remove_file(workspace.path(".github/workflows")).unwrap();
    fs::create_dir(workspace.path("ci")).unwrap();
    symlink("../ci", workspace.path(".github/workflows")).unwrap();
    generate().run();
    assert!(!names(&workspace.path("ci")).is_empty());
}
