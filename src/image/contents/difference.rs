//! The differences between two images.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::model::{
    collect::{CollectOrdered as _, SortStable as _},
    schema::image::{
        Change, Config, File, FileChange, FileKind, FilesDiff, Image, Layer, LayersDiff, Mode,
        Notes, PlatformDiff,
    },
};

/// Compares the images of one platform. Times count only if `times` is set: those of files, of the
/// image, of its history, and with them the digests of layers.
pub fn compare_platform(before: &Image, after: &Image, times: bool) -> PlatformDiff {
    let mut config = compare_configuration(&before.config, &after.config);
    if times && before.created != after.created {
        config.insert(0, new_change("created", None, &before.created, &after.created));
    }
    let mut diff = PlatformDiff {
        platform: before.platform.clone(),
        equal: false,
        digests: (manifest_digest(before), manifest_digest(after)),
        config,
        annotations: compare_annotations(&before.annotations, &after.annotations),
        history: compare_history(before, after, times),
        layers: compare_layers(&before.layers, &after.layers, times),
        files: compare_files(&before.files, &after.files, times),
    };
    let FilesDiff { added, removed, changed } = &diff.files;
    let LayersDiff { before, after, equal, .. } = diff.layers;
    diff.equal =
        [&diff.config, &diff.annotations, &diff.history].iter().all(|list| list.is_empty())
            && added.is_empty()
            && removed.is_empty()
            && changed.is_empty()
            && before == after
            && after == equal;
    diff
}

fn manifest_digest(image: &Image) -> crate::model::digest::Digest {
    image.manifest.unwrap_or(image.config_digest)
}

/// Returns the annotations that differ.
pub fn compare_annotations(before: &Notes, after: &Notes) -> Vec<Change> {
    compare_by_key("annotations", before, after)
}

fn to_value(value: &impl Serialize) -> Option<Value> {
    serde_json::to_value(value).ok().filter(|value| !value.is_null())
}

fn new_change(field: &str, key: Option<&str>, a: &impl Serialize, b: &impl Serialize) -> Change {
    Change {
        field: field.to_owned(),
        key: key.map(ToOwned::to_owned),
        before: to_value(a),
        after: to_value(b),
    }
}

fn compare_by_key<K, V>(field: &str, before: &BTreeMap<K, V>, after: &BTreeMap<K, V>) -> Vec<Change>
where
    K: Ord + AsRef<str>,
    V: PartialEq + Serialize,
{
    let keys: BTreeSet<&K> = before.keys().chain(after.keys()).collect_set();
    let changed = keys.into_iter().filter(|key| before.get(key) != after.get(key));
    changed
        .map(|key| new_change(field, Some(key.as_ref()), &before.get(key), &after.get(key)))
        .collect()
}

fn compare_configuration(before: &Config, after: &Config) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut compare_field = |field: &str, a: Option<Value>, b: Option<Value>| {
        // A list that is empty and one that is absent say the same.
        let filled = |value: Option<Value>| {
            value.filter(|v| v.as_array().is_none_or(|v| !v.is_empty()) && v.as_str() != Some(""))
        };
        let (before, after) = (filled(a), filled(b));
        if before != after {
            changes.push(Change { field: field.to_owned(), key: None, before, after });
        }
    };
    compare_field("entrypoint", to_value(&before.entrypoint), to_value(&after.entrypoint));
    compare_field("cmd", to_value(&before.cmd), to_value(&after.cmd));
    compare_field("user", to_value(&before.user), to_value(&after.user));
    compare_field("working-dir", to_value(&before.working_dir), to_value(&after.working_dir));
    compare_field("exposed-ports", to_value(&before.exposed_ports), to_value(&after.exposed_ports));
    compare_field("volumes", to_value(&before.volumes), to_value(&after.volumes));
    compare_field("stop-signal", to_value(&before.stop_signal), to_value(&after.stop_signal));
    compare_field("healthcheck", to_value(&before.healthcheck), to_value(&after.healthcheck));
    changes.extend(compare_environment(&before.env, &after.env));
    changes.extend(compare_by_key("labels", &before.labels, &after.labels));
    changes.extend(compare_by_key("other", &before.other, &after.other));
    changes
}

/// Variables by their names; the entire list if only its order differs.
fn compare_environment(before: &[String], after: &[String]) -> Vec<Change> {
    let variables = |list: &[String]| -> BTreeMap<String, String> {
        let pair = |text: &String| {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            (name.to_owned(), value.to_owned())
        };
        list.iter().map(pair).collect_map()
    };
    let changes = compare_by_key("env", &variables(before), &variables(after));
    if changes.is_empty() && before != after {
        return vec![new_change("env", None, &before, &after)];
    }
    changes
}

/// Returns the instructions that differ, by their numbers from 1.
fn compare_history(before: &Image, after: &Image, times: bool) -> Vec<Change> {
    let instruction = |image: &Image, at: usize| {
        let mut step = image.history.get(at).cloned()?;
        if !times {
            step.created = None;
        }
        Some(step)
    };
    let steps = 0..before.history.len().max(after.history.len());
    let differs = steps.filter(|&at| instruction(before, at) != instruction(after, at));
    differs
        .map(|at| {
            let number = (at + 1).to_string();
            new_change("history", Some(&number), &instruction(before, at), &instruction(after, at))
        })
        .collect()
}

fn compare_layers(before: &[Layer], after: &[Layer], times: bool) -> LayersDiff {
    let same = |(a, b): &(&Layer, &Layer)| a.diff_id == b.diff_id;
    let equal = |pair: &(&Layer, &Layer)| same(pair) || !times && has_same_files(pair.0, pair.1);
    LayersDiff {
        before: before.len(),
        after: after.len(),
        equal: before.iter().zip(after).take_while(equal).count(),
        same: before.iter().zip(after).take_while(same).count(),
    }
}

/// Returns whether two layers have the same files except for their times and their order.
fn has_same_files(a: &Layer, b: &Layer) -> bool {
    let sorted = |layer: &Layer| {
        let mut files: Vec<File> = layer.files.clone();
        for file in &mut files {
            (file.mtime, file.layer) = (0, 0);
            if file.kind == FileKind::Symlink {
                file.mode = Mode(0);
            }
        }
        // The last of those with one path holds, so their order stays.
        files.sort_stable_by(|a, b| a.path.cmp(&b.path));
        files
    };
    a.files.len() == b.files.len() && sorted(a) == sorted(b)
}

fn compare_files(before: &[File], after: &[File], times: bool) -> FilesDiff {
    fn by_path(files: &[File]) -> BTreeMap<&str, &File> {
        files.iter().map(|file| (file.path.as_str(), file)).collect_map()
    }
    let (old, new) = (by_path(before), by_path(after));
    let mut diff = FilesDiff::default();
    for &path in old.keys().chain(new.keys()).collect_set() {
        match (old.get(path).copied(), new.get(path).copied()) {
            (Some(a), Some(b)) => {
                let changes = compare_file(a, b, times);
                if !changes.is_empty() {
                    diff.changed.push(FileChange { path: path.to_owned(), changes });
                }
            }
            (Some(a), None) => diff.removed.push(a.clone()),
            (None, Some(b)) => diff.added.push(b.clone()),
            (None, None) => {}
        }
    }
    diff
}

fn compare_file(a: &File, b: &File, times: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    if a.kind != b.kind {
        changes.push(new_change("kind", None, &a.kind, &b.kind));
    }
    if a.target != b.target {
        changes.push(new_change("target", None, &a.target, &b.target));
    }
    // The permissions of a symbolic link have no effect, and writers differ in them.
    let links = a.kind == FileKind::Symlink && b.kind == FileKind::Symlink;
    if a.mode != b.mode && !links {
        changes.push(new_change("mode", None, &a.mode, &b.mode));
    }
    let owner = |file: &File| format!("{}:{}", file.uid, file.gid);
    if owner(a) != owner(b) {
        changes.push(new_change("owner", None, &owner(a), &owner(b)));
    }
    if a.size != b.size {
        changes.push(new_change("size", None, &a.size, &b.size));
    }
    if a.sha256 != b.sha256 {
        changes.push(new_change("sha256", None, &a.sha256, &b.sha256));
    }
    if a.device != b.device {
        changes.push(new_change("device", None, &a.device, &b.device));
    }
    changes.extend(compare_by_key("xattrs", &a.xattrs, &b.xattrs));
    if times && a.mtime != b.mtime {
        changes.push(new_change("mtime", None, &a.mtime, &b.mtime));
    }
    changes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{image::contents::tree::tests::layer, model::digest::Digest};

    fn image(files: &[&str]) -> Image {
        let files = layer(1, files);
        Image {
            platform: "linux/amd64".parse().unwrap(),
            manifest: None,
            config_digest: Digest::sha256(b""),
            warnings: Vec::new(),
            size: None,
            created: None,
            config: Config::default(),
            annotations: Notes::new(),
            history: Vec::new(),
            layers: vec![Layer {
                digest: Digest::sha256(b""),
                diff_id: Digest::sha256(b""),
                media_type: None,
                size: 0,
                unpacked_size: 0,
                created_by: None,
                files: files.clone(),
            }],
            files,
        }
    }

    #[test]
    fn files_are_compared_one_by_one() {
        let before = image(&["d /a", "f /a/x", "f /b", "l /l x"]);
        let mut after = image(&["d /a", "f /a/x", "f /c", "l /l y"]);
        after.files[1].mode = Mode(0o644);
        after.files[1].uid = 7;
        after.files[1].mtime = 9;
        after.files[3].mode = Mode(0o777);
        after.layers[0].diff_id = Digest::sha256(b"x");
        let diff = compare_platform(&before, &after, false);
        assert!(!diff.equal);
        assert_eq!(diff.files.added[0].path, "/c");
        assert_eq!(diff.files.removed[0].path, "/b");
        let changed = serde_json::to_value(&diff.files.changed).unwrap();
        let expected = json!([
            { "path": "/a/x", "changes": [
                { "field": "mode", "before": "0755", "after": "0644" },
                { "field": "owner", "before": "0:0", "after": "7:0" },
            ]},
            { "path": "/l", "changes": [{ "field": "target", "before": "x", "after": "y" }] },
        ]);
        assert_eq!(changed, expected);
        assert_eq!(diff.layers, LayersDiff { before: 1, after: 1, equal: 0, same: 0 });
        let fields: Vec<_> = compare_platform(&before, &after, true).files.changed[0]
            .changes
            .iter()
            .map(|change| change.field.clone())
            .collect();
        assert_eq!(fields, ["mode", "owner", "mtime"]);
    }

    #[test]
    fn times_are_compared_only_if_requested() {
        let before = image(&["d /a", "f /a/x"]);
        let mut after = image(&["f /a/x", "d /a"]);
        after.files = before.files.clone();
        after.files[1].mtime = 1;
        after.layers[0].files[0].mtime = 1;
        after.layers[0].diff_id = Digest::sha256(b"other times");
        after.created = Some("2023-11-14T22:13:20Z".to_owned());
        let diff = compare_platform(&before, &after, false);
        assert!(diff.equal, "{diff:?}");
        assert_eq!(diff.layers, LayersDiff { before: 1, after: 1, equal: 1, same: 0 });
        let diff = compare_platform(&before, &after, true);
        assert!(!diff.equal && diff.layers.equal == 0);
        assert_eq!(diff.config[0].field, "created");
        assert!(compare_platform(&after, &after.clone(), true).equal);
    }

    #[test]
    fn configurations_are_compared_by_field_and_key() {
        let before = image(&[]);
        let mut after = image(&[]);
        after.config.env = vec!["A=1".into(), "B=2".into()];
        after.config.user = "0".into();
        after.config.labels.insert("l".into(), "v".into());
        after.annotations.insert("a".into(), "n".into());
        let diff = compare_platform(&before, &after, false);
        let fields = |changes: &[Change]| -> Vec<_> {
            let line = |c: &Change| (c.field.clone(), c.key.clone().unwrap_or_default());
            changes.iter().map(line).collect()
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let expected = [pair("user", ""), pair("env", "A"), pair("env", "B"), pair("labels", "l")];
        assert_eq!(fields(&diff.config), expected);
        assert_eq!(fields(&diff.annotations), [pair("annotations", "a")]);
        let mut turned = after.clone();
        turned.config.env.reverse();
        assert_eq!(fields(&compare_platform(&after, &turned, false).config), [pair("env", "")]);
    }
}
