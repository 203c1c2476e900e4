//! The same recipes by buildah, compared by the files that a container sees: its archives have bits
//! of their own in them.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use crate::{
    inspect::image,
    recipe::{SAME, context},
    support::{dist::Dist, peer},
};

/// The cases, by name, in which buildah 1.28 differs from BuildKit, or fails.
const OTHERWISE: &[(&str, &str)] = &[
    ("modes of files and directories", "it drops setuid and setgid"),
    ("escaped bracket", "it takes `\\[` and `[[]` for other patterns"),
    ("a link as the destination", "it makes a directory of a link that leads nowhere"),
    ("chmod of a directory", CREATED),
    ("chmod without x", CREATED),
    ("chmod of what has special bits", CREATED),
    ("chown and chmod", CREATED),
    ("owners and modes from a stage", CREATED),
    ("stage by name and case", "it looks for a stage by the very letters of its name"),
];

const CREATED: &str = "directories that COPY makes have mode 0755 whatever --chmod says";

/// Path to kind, mode, owner and size, of all files that a container sees.
fn files(dir: &Path, layout: &str) -> BTreeMap<String, String> {
    let told = image(dir, &format!("inspect --message-format json {layout}")).run().json();
    let files = told["sources"][0]["sets"][0]["images"][0]["files"].as_array().cloned();
    let line = |file: Value| {
        let path = file["path"].as_str().unwrap().to_owned();
        let field = |key: &str| file[key].to_string();
        (path, ["kind", "mode", "uid", "gid", "size", "target"].map(field).join(" "))
    };
    files.unwrap_or_default().into_iter().map(line).collect()
}

#[test]
fn buildah_makes_the_same_files() {
    let (Some(buildah), Some(())) = (peer::find("buildah"), peer::root()) else {
        return;
    };
    let dist = Dist::new(&[], json!({ "labels": {} }));
    context(&dist.root());
    let dir = dist.beside("");
    let (store, runs) = (dist.beside("b"), dist.beside("r"));
    let buildah = |args: &[&str]| {
        let (store, runs) = (store.to_str().unwrap(), runs.to_str().unwrap());
        let store = ["--root", store, "--runroot", runs, "--storage-driver=vfs"];
        let ran = peer::output(&buildah, [&store, args].concat());
        match ran.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&ran.stderr).into_owned()),
        }
    };
    let mut wrong = String::new();
    for (number, (name, text, more)) in SAME.iter().enumerate() {
        let copies = text.to_uppercase().contains("COPY") || text.contains("WORKDIR");
        if !copies || text.contains("--link") || !more.is_empty() {
            continue;
        }
        let recipe = dist.beside("Dockerfile");
        fs::write(&recipe, format!("FROM scratch\n{text}\n")).unwrap();
        let (recipe, root) = (recipe.to_str().unwrap(), dist.root());
        let ours = format!("{number}.ours");
        let output = format!("--output=oci={}", dist.beside(&ours).display());
        dist.image(&["-f", recipe, "--platform=linux/amd64", "--compression=none", &output]);
        let theirs = format!("{number}.theirs");
        let to = format!("oci:{}:1", dist.beside(&theirs).display());
        let made =
            buildah(&["bud", "--layers=false", "-t", "x", "-f", recipe, root.to_str().unwrap()])
                .and_then(|()| buildah(&["push", "x", &to]));
        let told = match made {
            Err(error) => error,
            Ok(()) => {
                let (ours, theirs) = (files(&dir, &ours), files(&dir, &theirs));
                let only = |a: &BTreeMap<String, String>,
                            b: &BTreeMap<String, String>,
                            who: &str| {
                    let differ = a.iter().filter(|(path, line)| b.get(*path) != Some(line));
                    differ.map(|(path, line)| format!("{who} {path} {line}\n")).collect::<String>()
                };
                only(&ours, &theirs, "ours") + &only(&theirs, &ours, "theirs")
            }
        };
        let explained = OTHERWISE.iter().any(|(other, _)| other == name);
        if told.is_empty() == explained {
            wrong += &format!("{name}: {text:?}\n{told}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
