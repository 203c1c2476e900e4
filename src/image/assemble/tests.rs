//! The results of recipes for a few files. Integration tests compare many more with BuildKit.

use std::collections::{BTreeMap, BTreeSet};

use super::{Assembly, assemble};
use crate::{
    archive::{
        tar::Meta,
        tree::{Content, Node, Tree, TreeEntry},
    },
    image::dockerfile::{self, Arguments},
    model::{error::Result, schema::packaging::Extra},
};

const EPOCH: u64 = 9;

fn context() -> Tree {
    let meta = Meta { mode: 0o755, uid: 0, gid: 0, mtime: 1 };
    let mut tree = Tree::default();
    for path in ["/a", "/b.txt", "/d/e/f", "/d/g"] {
        let file = Meta { mode: 0o640, ..meta };
        tree.add_file(path, meta, file, Content::bytes(path.as_bytes())).unwrap();
    }
    let link = TreeEntry { meta, node: Node::Symlink("d/e".into()) };
    tree.insert(vec!["l".into()], link);
    tree
}

fn assembly(text: &str, extras: &[Extra]) -> Result<Assembly> {
    let recipe = dockerfile::parse("Dockerfile", &format!("FROM scratch\n{text}\n"))?;
    let arguments = Arguments {
        platform: "linux/amd64".parse().unwrap(),
        build_platform: "linux/amd64".parse().unwrap(),
        values: BTreeMap::new(),
        target: None,
    };
    let evaluated = recipe.evaluate(&arguments)?;
    let extras: BTreeSet<Extra> = extras.iter().copied().collect();
    assemble(&recipe, &evaluated, &context(), &extras, EPOCH)
}

/// Returns the warnings about the programs that containers start.
fn start_warnings(text: &str, extras: &[Extra]) -> Result<Vec<String>> {
    let recipe = dockerfile::parse("Dockerfile", &format!("FROM scratch\n{text}\n"))?;
    let assembly = assembly(text, extras)?;
    let arguments = Arguments {
        platform: "linux/amd64".parse().unwrap(),
        build_platform: "linux/amd64".parse().unwrap(),
        values: BTreeMap::new(),
        target: None,
    };
    assembly.check_start(&recipe, &recipe.evaluate(&arguments)?)
}

#[test]
fn programs_that_cannot_start_are_reported() {
    let x = "COPY --chmod=755 a /usr/bin/app\n";
    for valid in [
        "ENTRYPOINT [\"/usr/bin/app\"]",
        "ENTRYPOINT [\"app\"]\nCMD [\"--help\"]",
        "CMD [\"app\"]",
        "WORKDIR /usr\nENTRYPOINT [\"bin/app\"]",
        "WORKDIR /usr\nENTRYPOINT [\"./bin/../bin/app\"]\nUSER 7",
        "ENV PATH=/nowhere:/usr/bin\nENTRYPOINT [\"app\"]",
        "COPY --chmod=644 a /usr/local/bin/app\nENTRYPOINT [\"app\"]",
        "ENTRYPOINT [\"/none\"]\nENTRYPOINT [\"app\"]",
        "HEALTHCHECK NONE",
        "HEALTHCHECK CMD [\"app\", \"-q\"]",
        "COPY --chown=7:8 --chmod=700 a /b\nUSER 7\nCMD [\"/b\"]",
        "COPY --chown=0:8 --chmod=710 a /b\nUSER 7:8\nCMD [\"/b\"]",
        "CMD []",
    ] {
        assert_eq!(start_warnings(&format!("{x}{valid}"), &[]).unwrap(), [""; 0], "{valid}");
    }
    for (text, expected) in [
        ("ENTRYPOINT [\"/usr/bin/ap\"]", "3:1: `/usr/bin/ap` is not a file in the image"),
        ("CMD [\"x\"]\nENTRYPOINT [\"/usr/bin\"]", "4:1: `/usr/bin` is not a file in the image"),
        ("ENTRYPOINT [\"ap\"]", "3:1: `ap` is not in a directory of `PATH` (/usr/local/sbin:"),
        ("ENV PATH=/bin\nCMD [\"app\"]", "4:1: `app` is not in a directory of `PATH` (/bin)"),
        ("COPY --chmod=644 a /b\nCMD [\"/b\"]", "4:1: `/b` is not executable by root"),
        ("COPY --chmod=700 a /b\nUSER 7\nCMD [\"/b\"]", "5:1: `/b` is not executable by user `7`"),
        ("COPY --chmod=700 a /s/b\nUSER 7\nCMD [\"/s/b\"]", "5:1: `/s/b` is not executable"),
        ("HEALTHCHECK CMD [\"/none\"]", "3:1: `/none` is not a file in the image"),
    ] {
        let warnings = start_warnings(&format!("{x}{text}"), &[]).unwrap();
        assert_eq!(warnings.len(), 1, "{text}: {warnings:?}");
        assert!(warnings[0].starts_with(&format!("Dockerfile:{expected}")), "{warnings:?}");
    }
}

#[test]
fn users_by_name_need_a_passwd() {
    for valid in ["USER 7:8", "USER root:root", "USER 7", "USER daemon\nUSER 1"] {
        start_warnings(valid, &[]).unwrap();
    }
    start_warnings("COPY a /etc/passwd\nCOPY a /etc/group\nUSER /a:/a", &[]).unwrap();
    for (text, expected) in [
        ("USER daemon", "2:1: user `daemon` is a name, and no `/etc/passwd`"),
        ("USER 7:staff", "2:1: group `staff` is a name, and no `/etc/group`"),
        ("COPY a /etc/passwd\nUSER daemon", "3:1: user `daemon`"),
    ] {
        let error = start_warnings(text, &[]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("Dockerfile:{expected}")), "{error}");
    }
    start_warnings("USER daemon", &[Extra::User]).unwrap_err();
}

/// Returns each layer's entries, as mode, owner, time and path.
fn layers(text: &str) -> Vec<Vec<String>> {
    let line = |(path, entry): (&Vec<String>, &TreeEntry)| {
        let Meta { mode, uid, gid, mtime } = entry.meta;
        format!("{mode:o} {uid}:{gid} {mtime} {}", path.join("/"))
    };
    let steps = assembly(text, &[]).unwrap().steps.into_iter();
    steps.filter_map(|step| step.layer).map(|layer| layer.iter().map(line).collect()).collect()
}

#[test]
fn copies() {
    for (text, expected) in [
        ("COPY a /x", &["640 0:0 1 x"][..]),
        (
            "COPY a b.txt /x/y/",
            &["755 0:0 9 x", "755 0:0 9 x/y", "640 0:0 1 x/y/a", "640 0:0 1 x/y/b.txt"],
        ),
        ("COPY d /x", &["755 0:0 1 x", "755 0:0 1 x/e", "640 0:0 1 x/e/f", "640 0:0 1 x/g"]),
        ("COPY l/f /x", &["640 0:0 1 x"]),
        ("COPY *.txt /", &["640 0:0 1 b.txt"]),
        ("COPY --chown=1:2 --chmod=777 a /x/", &["755 1:2 9 x", "777 1:2 1 x/a"]),
        (
            "COPY --parents d/e/f /x/",
            &["755 0:0 9 x", "755 0:0 1 x/d", "755 0:0 1 x/d/e", "640 0:0 1 x/d/e/f"],
        ),
        ("COPY --exclude=e d /x", &["755 0:0 1 x", "640 0:0 1 x/g"]),
        ("WORKDIR /x/y", &["755 0:0 9 x", "755 0:0 9 x/y"]),
    ] {
        assert_eq!(layers(text), [expected], "{text}");
    }
}

#[test]
fn layers_contain_changes_and_their_parents() {
    let two = layers("COPY --chown=7 d /x\nCOPY a /x/e/");
    assert_eq!(two[1], ["755 7:7 9 x", "755 7:7 9 x/e", "640 0:0 1 x/e/a"]);
    // As if nothing lay below.
    let linked = layers("COPY --chown=7 d /x\nCOPY --link a /x/e/");
    assert_eq!(linked[1], ["755 0:0 9 x", "755 0:0 9 x/e", "640 0:0 1 x/e/a"]);
    assert_eq!(layers("COPY d /x\nCOPY d /x")[1], [""; 0]);
    let stages = layers("COPY --chown=7 d /x\nFROM scratch\nCOPY --from=0 /x/e /y");
    assert_eq!(stages, [["755 0:0 1 y", "640 7:7 1 y/f"]]);
}

#[test]
fn extras_are_the_lowest_layers_in_a_fixed_order() {
    let made = assembly("COPY a /x", &[Extra::User, Extra::Tmp]).unwrap();
    let by: Vec<_> = made.steps.iter().map(|step| step.created_by.as_str()).collect();
    assert_eq!(by, ["longshore extra: tmp", "longshore extra: user", "COPY a /x # buildkit"]);
    let paths: Vec<_> = made.root.iter().map(|(path, _)| path.join("/")).collect();
    assert_eq!(paths, ["etc", "etc/group", "etc/passwd", "tmp", "x"]);
}

#[test]
fn inaccessible_directories_are_reported() {
    let warnings = assembly("COPY --chmod=0644 a /x/y/", &[]).unwrap().warnings;
    let expected = "the directory `/x` gets mode 0644 too, and only root can enter it";
    assert_eq!(warnings, [format!("Dockerfile:2:1: {expected}")]);
    assert!(assembly("COPY --chmod=0644 a /x", &[]).unwrap().warnings.is_empty());
}

#[test]
fn conflicts_are_reported_with_their_location() {
    for (text, message) in [
        ("COPY z /x", "Dockerfile:2:1: there is no `z` in the build context"),
        ("COPY z* /x", "Dockerfile:2:1: `z*` matches nothing in the build context"),
        ("COPY a /x\nCOPY d /x", "Dockerfile:3:1: `/x` in the image is a file, not a directory"),
        (
            "COPY a /g\nFROM scratch\nCOPY --from=0 /h /",
            "Dockerfile:4:1: there is no `h` in stage `0`",
        ),
    ] {
        assert_eq!(assembly(text, &[]).unwrap_err().to_string(), message, "{text}");
    }
}
