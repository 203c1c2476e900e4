//! The output when system calls fail, when the program is killed, and when files belong to other users or are
//! mounted.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    os::unix::{
        fs::{PermissionsExt as _, chown, lchown},
        process::{CommandExt as _, ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use longshore::model::digest::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    merge::part_of,
    output::{check_files, names, packed},
    support::{
        command::{LONGSHORE, plain},
        dist::Dist,
        peer, program,
        tree::tree,
        workspace::Workspace,
    },
};

/// The files beside an output in a target directory when nothing runs.
const BESIDE: [&str; 2] = ["dist", "longshore"];

/// Returns the command `image` under strace with these options, which makes another image with each label.
fn traced(strace: &Path, dist: &Dist, options: &[&str], label: &str) -> Output {
    let log = dist.beside("strace.log");
    let mut command = plain(strace);
    command.args(["-f", "-qq", "-o"]).arg(log).args(options).arg(LONGSHORE);
    command.arg("image").arg(dist.root()).args(["--label", label]);
    command.output().unwrap()
}

fn files(root: &Path) -> BTreeMap<PathBuf, Digest> {
    tree(root).into_iter().map(|(path, entry)| (path, entry.digest)).collect()
}

#[track_caller]
fn text(output: &Output, status: i32) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{stderr}");
    stderr
}

#[test]
fn a_failed_exchange_leaves_the_old_output() {
    let Some(strace) = peer::find("strace") else { return };
    let dist = packed();
    dist.image(&[]);
    let partial = dist.beside("target/dist.partial").display().to_string();
    let no_exchange = ["-P", &partial, "-e", "inject=renameat2:error=ENOSYS"];
    let second_fails = [&no_exchange[..], &["-e", "inject=rename:error=EIO"]].concat();
    let before = tree(&dist.root());
    for options in [
        &["-e", "inject=renameat2:error=EIO"][..],
        &["-e", "inject=renameat2:error=ENOSPC"],
        &["-e", "inject=linkat:error=EIO"],
        &["-e", "inject=fsync:error=EIO"],
        &second_fails,
    ] {
        let stderr = text(&traced(&strace, &dist, options, "a=b"), 4);
        assert!(stderr.contains("error: cannot "), "{options:?}: {stderr}");
        assert_eq!(tree(&dist.root()), before, "{options:?}: {stderr}");
        assert_eq!(names(&dist.beside("target")), BESIDE, "{options:?}: {stderr}");
    }
    // What cannot be done at all is done in another way.
    for (count, options) in [
        &no_exchange[..],
        &["-e", "inject=renameat2:error=EINVAL"],
        &["-e", "inject=renameat2:error=EOPNOTSUPP"],
        &["-e", "inject=linkat:error=EXDEV"],
        &["-e", "inject=linkat:error=EPERM"],
        &["-e", "inject=linkat:error=EMLINK"],
        &["-e", "inject=linkat:error=EOPNOTSUPP"],
        &["-e", "inject=fsync:error=EINVAL"],
    ]
    .into_iter()
    .enumerate()
    {
        let before = files(&dist.root());
        text(&traced(&strace, &dist, options, &format!("a={count}")), 0);
        assert_ne!(files(&dist.root()), before, "{options:?}");
        assert_eq!(check_files(&dist.root()), 4);
        assert_eq!(names(&dist.beside("target")), BESIDE, "{options:?}");
    }
    // Without locks, too, with a word about it.
    let flock = ["-e", "inject=flock:error=EOPNOTSUPP"];
    let stderr = text(&traced(&strace, &dist, &flock, "a=z"), 0);
    assert!(stderr.contains("dist.lock` cannot be locked on this file system"), "{stderr}");
}

#[test]
fn a_kill_at_any_step_leaves_the_old_or_the_new_output() {
    let Some(strace) = peer::find("strace") else { return };
    let dist = packed();
    let [one, two] = ["a=one", "a=two"].map(|label| {
        dist.image(&["--label", label]);
        files(&dist.root())
    });
    assert_ne!(one, two);
    let no_exchange = "inject=renameat2:error=ENOSYS";
    let (mut seen, mut round) = (BTreeSet::new(), 0);
    // Each call, with so many left out between two kills; then renames in place of the exchange.
    for (call, stride, more) in [
        ("mkdir", 3, None),
        ("chmod", 4, None),
        ("linkat", 4, None),
        ("fsync", 5, None),
        ("rename", 1, None),
        ("renameat", 1, None),
        ("renameat2", 1, None),
        ("unlink", 1, None),
        ("unlinkat", 5, None),
        ("rename", 1, Some(no_exchange)),
    ] {
        for step in (1..).step_by(stride) {
            let kill = format!("inject={call}:signal=KILL:when={step}");
            let mut options = vec!["-e", &kill];
            options.extend(more.into_iter().flat_map(|more| ["-e", more]));
            round += 1;
            let (label, goal) = if round % 2 == 0 { ("a=two", &two) } else { ("a=one", &one) };
            let output = traced(&strace, &dist, &options, label);
            let old = dist.beside("target/dist.old");
            // Between two renames, the old output has another name until the next run.
            let is = match more.is_some() && !fs::exists(dist.root()).unwrap() {
                true => files(&old),
                false => files(&dist.root()),
            };
            assert!([&one, &two].contains(&&is), "{call} {step}: {is:#?}");
            if output.status.success() {
                assert!(step > 1, "{call} was not called");
                break;
            }
            seen.insert(is == one);
            assert_eq!(output.status.signal(), Some(9), "{call} {step}: {output:?}");
            dist.image(&["--label", label]);
            assert_eq!(files(&dist.root()), *goal, "{call} {step}");
            assert_eq!(names(&dist.beside("target")), BESIDE, "{call} {step}");
        }
    }
    assert_eq!(seen.len(), 2, "both outputs were left");
}

#[test]
fn a_kill_between_two_renames_is_recovered() {
    let Some(strace) = peer::find("strace") else { return };
    let dist = packed();
    dist.image(&[]);
    let before = tree(&dist.root());
    let partial = dist.beside("target/dist.partial").display().to_string();
    let options = ["-P", &partial, "-e", "inject=renameat2:error=ENOSYS"];
    let options = [&options[..], &["-e", "inject=rename:error=EIO:signal=KILL"]].concat();
    assert_eq!(traced(&strace, &dist, &options, "a=b").status.signal(), Some(9));
    assert_eq!(
        names(&dist.beside("target")),
        ["dist.lock", "dist.old", "dist.partial", "longshore"]
    );
    // A run that fails brings it back, too.
    dist.fails(2, &["-p", "nobody"]);
    assert_eq!(tree(&dist.root()), before);
    assert_eq!(names(&dist.beside("target")), BESIDE);
}

#[test]
fn everything_is_on_the_disk_before_the_exchange() {
    let Some(strace) = peer::find("strace") else { return };
    let dist = packed();
    let output = traced(&strace, &dist, &["-y", "-e", "trace=fsync,renameat2"], "a=b");
    text(&output, 0);
    let log = fs::read_to_string(dist.beside("strace.log")).unwrap();
    let target = fs::canonicalize(dist.beside("target")).unwrap().display().to_string();
    let (first, then) = log.split_once("RENAME_EXCHANGE").unwrap();
    for path in files(&dist.root()).keys() {
        let line = format!("<{target}/dist.partial/{}>", path.display());
        // `dist.json` is written under another name, last of all.
        assert!(first.contains(&line) || path == Path::new("dist.json"), "{line}\n{log}");
    }
    let last: Vec<&str> = first.lines().rev().filter(|line| line.contains("fsync(")).collect();
    assert!(last[0].contains("/dist.partial>"), "{log}");
    assert!(last[1].contains("/dist.partial/") && last[1].contains(".tmp>"), "{log}");
    assert!(then.contains(&format!("<{target}>")), "{log}");
}

#[test]
fn a_failure_changes_no_time_in_the_old_output() {
    let Some(strace) = peer::find("strace") else { return };
    let made = part_of("linux/amd64", &program::amd64());
    let home = TempDir::new().unwrap();
    let merge = |program: &Path, options: &[&str]| {
        let mut command = plain(program);
        command.args(options).arg("merge").arg(made.root()).args(["--into", "m"]);
        command.current_dir(home.path()).output().unwrap()
    };
    text(&merge(Path::new(LONGSHORE), &[]), 0);
    let before = tree(&home.path().join("m"));
    let path = made.root().join("dist.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json["release"]["source-date-epoch"] = json!(1_600_000_000);
    fs::write(&path, json.to_string()).unwrap();
    let fault = ["-f", "-qq", "-e", "inject=renameat2:error=EIO", LONGSHORE];
    text(&merge(&strace, &fault), 4);
    assert_eq!(tree(&home.path().join("m")), before);
    text(&merge(Path::new(LONGSHORE), &[]), 0);
    let program = fs::metadata(home.path().join("m/linux/amd64/bin/hello")).unwrap();
    let time = program.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(time.as_secs(), 1_600_000_000);
}

/// Somebody who is not root.
const NOBODY: u32 = 65534;

/// An output that belongs to somebody else than root, and that user's command for an image of it.
struct ForeignOutput {
    dist: Dist,
    program: PathBuf,
}

impl ForeignOutput {
    fn new() -> Self {
        let dist = packed();
        let program = dist.beside("program");
        fs::copy(LONGSHORE, &program).unwrap();
        let mut open = vec![dist.beside("")];
        while let Some(path) = open.pop() {
            lchown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
            if fs::symlink_metadata(&path).unwrap().is_dir() {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        ForeignOutput { dist, program }
    }

    fn image(&self, label: &str) -> String {
        let mut command: Command = plain(&self.program);
        command.arg("image").arg(self.dist.root()).args(["--label", label]);
        command.env("HOME", self.dist.beside("")).current_dir("/").uid(NOBODY).gid(NOBODY);
        text(&command.output().unwrap(), 0)
    }
}

#[test]
fn undeletable_files_are_moved_aside() {
    let Some(()) = peer::root() else { return };
    let theirs = ForeignOutput::new();
    let root = theirs.dist.root();
    let left = || {
        let all = names(&theirs.dist.beside("target"));
        all.into_iter().filter(|name| !BESIDE.contains(&name.as_str())).collect::<Vec<_>>()
    };
    for (round, root_owned) in [(1, false), (2, true)] {
        fs::create_dir(root.join("x")).unwrap();
        fs::write(root.join("x/f"), "f").unwrap();
        if !root_owned {
            chown(root.join("x"), Some(NOBODY), None).unwrap();
            fs::set_permissions(root.join("x"), fs::Permissions::from_mode(0o555)).unwrap();
        }
        let stderr = theirs.image(&format!("a={round}"));
        assert_eq!(left().len(), round);
        let moved = left().iter().any(|name| stderr.contains(&format!("target/{name}` yourself")));
        assert!(stderr.contains("warning: ") && moved, "{stderr} {:?}", left());
        // It is in the new output, as a file of the user.
        assert_eq!(fs::read_to_string(root.join("x/f")).unwrap(), "f");
        for again in ["b=1", "b=2"] {
            let stderr = theirs.image(again);
            assert!(!stderr.contains("warning: "), "{stderr}");
            assert_eq!((left().len(), check_files(&root)), (round, 4));
        }
        fs::remove_file(root.join("x/f")).unwrap();
        fs::remove_dir(root.join("x")).unwrap();
    }
    // The whole output, of a run as root; and its lock file.
    chown(&root, Some(0), Some(0)).unwrap();
    fs::write(theirs.dist.beside("target/dist.lock"), "").unwrap();
    assert!(theirs.image("c=1").contains("warning: "));
    assert!(!theirs.image("c=2").contains("warning: "));
    assert_eq!(check_files(&root), 4);
}

#[test]
fn removed_lock_files_are_not_locks() {
    let dist = packed();
    let path = dist.beside("target/dist.lock");
    let held = File::create(&path).unwrap();
    held.lock().unwrap();
    let mut command = plain(LONGSHORE);
    command.arg("image").arg(dist.root()).stderr(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("Waiting") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it did not wait");
    }
    // Removed and made anew by a third run, which holds it.
    fs::remove_file(&path).unwrap();
    let other = File::create(&path).unwrap();
    other.lock().unwrap();
    drop(held);
    assert!(child.try_wait().unwrap().is_none());
    assert!(path.exists());
    drop(other);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    assert_eq!(check_files(&dist.root()), 4);
}

/// A shell script for a mount name space of its own: $1 is a directory with an output, $2 the program.
/// First it is a mount point, then a directory of an overlay's lower layer.
const MOUNTED: &str = r#"
set -e
cd "$1"
mkdir m lower upper work merged space
mount -t tmpfs none m
cp -a target/dist/. m
status=0; "$2" image m --label a=b 2>m.log || status=$?
echo "mounted $status"
diff -r target/dist m && ls | tr '\n' ' '
mount -t tmpfs none space
mkdir space/upper space/work
cp -a target/dist lower/dist
mount -t overlay -o "lowerdir=lower,upperdir=space/upper,workdir=space/work,redirect_dir=off" none merged
for label in 1 2; do
    status=0; "$2" image merged/dist --label "a=$label" >/dev/null 2>overlay.log || status=$?
    echo "overlay $status"
    (cd merged/dist/archives && sha256sum --quiet -c SHA256SUMS)
    ls merged
done
"#;

#[test]
fn mount_points_and_overlays_are_detected_first() {
    let (Some(unshare), Some(())) = (peer::find("unshare"), peer::root()) else { return };
    if cfg!(not(target_os = "linux")) {
        return peer::skip("it mounts file systems");
    }
    let dist = packed();
    let mut command = plain(unshare);
    command.args(["--mount", "--propagation=private", "sh", "-c", MOUNTED, "sh"]);
    let output = command.arg(dist.beside("")).arg(LONGSHORE).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let log = |name: &str| fs::read_to_string(dist.beside(name)).unwrap_or_default();
    let expected = "mounted 2\n\
        Cargo.toml LICENSE lower m m.log merged space src target upper work \
        overlay 0\ndist\noverlay 0\ndist\n";
    let (mounted, overlay) = (log("m.log"), log("overlay.log"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{stderr}{mounted}{overlay}");
    assert!(output.status.success(), "{stderr}");
    assert!(mounted.contains("it is a mount point"), "{mounted}");
}

/// A `dist` of many minutes must not end with an output that it cannot replace.
#[test]
fn a_mount_point_is_found_before_anything_is_built() {
    let (Some(unshare), Some(())) = (peer::find("unshare"), peer::root()) else { return };
    if cfg!(not(target_os = "linux")) {
        return peer::skip("it mounts a file system");
    }
    let workspace = Workspace::hello();
    fs::create_dir_all(workspace.path("target/dist")).unwrap();
    let script = "mount -t tmpfs none target/dist && exec \"$0\" dist --preset quick";
    let mut command = plain(unshare);
    command.args(["--mount", "--propagation=private", "sh", "-c", script, LONGSHORE]);
    let output = command.current_dir(workspace.root()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("it is a mount point"), "{stderr}");
    assert!(!stderr.contains("Compiling"), "{stderr}");
    assert!(!workspace.path("target/longshore").exists(), "{stderr}");
}
