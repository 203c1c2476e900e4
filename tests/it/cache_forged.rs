//! Archives of a cache that were made to write elsewhere, or to be more than they declare.

use std::{
    fs,
    io::Read,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use serde_json::{Value, json};
use tar::EntryType;

use crate::support::{
    command::{Test, longshore, plain},
    tree::tree,
    workspace::Workspace,
};

const TARGET: &str = "x86_64-unknown-linux-musl";

pub(crate) fn build(workspace: &Workspace) -> Test {
    let args = format!("build --preset quick --message-format json --target {TARGET}");
    longshore(workspace, &args)
        .env("CARGO_PROFILE_DIST_LTO", "off")
        .env("CARGO_PROFILE_DIST_OPT_LEVEL", "0")
}

/// A workspace that was built and its cache; a directory beside it, with a file that must not change.
pub(crate) struct Saved {
    pub(crate) root: Workspace,
    pub(crate) cache: Workspace,
    outside: Workspace,
}

/// For one test at a time.
pub(crate) fn saved() -> MutexGuard<'static, Saved> {
    static SAVED: OnceLock<Mutex<Saved>> = OnceLock::new();
    let saved = SAVED.get_or_init(|| {
        let (root, cache) = (Workspace::hello(), Workspace::empty());
        build(&root).run();
        longshore(&root, "cache save").arg(cache.root()).run();
        let outside = Workspace::empty().file("victim", "precious");
        fs::set_permissions(outside.path("victim"), fs::Permissions::from_mode(0o600)).unwrap();
        Mutex::new(Saved { root, cache, outside })
    });
    saved.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One entry of a forged archive.
pub(crate) struct Entry {
    name: Vec<u8>,
    kind: EntryType,
    mode: u32,
    link: String,
    pub(crate) data: Vec<u8>,
}

fn entry(name: &str, kind: EntryType, link: &str, data: &[u8]) -> Entry {
    Entry { name: name.into(), kind, mode: 0o644, link: link.into(), data: data.into() }
}

fn file(name: &str) -> Entry {
    entry(name, EntryType::Regular, "", b"PAYLOAD\n")
}

fn symlink(name: &str, link: &str) -> Entry {
    entry(name, EntryType::Symlink, link, b"")
}

fn hard_link(name: &str, link: &str) -> Entry {
    entry(name, EntryType::Link, link, b"")
}

const MANIFEST: &str = r#"{"times":{},"inputs":{},"links":{},"packages":{},"units":{}}"#;

impl Saved {
    /// Returns a copy of the header with an archive of `entries`, after the change.
    pub(crate) fn forge(
        &self,
        manifest: &str,
        entries: &[Entry],
        change: impl FnOnce(&mut Value),
    ) -> Workspace {
        let mut tar = tar::Builder::new(zstd::Encoder::new(Vec::new(), 1).unwrap());
        let first = entry("manifest.json", EntryType::Regular, "", manifest.as_bytes());
        for entry in std::iter::once(&first).chain(entries) {
            let mut header = tar::Header::new_gnu();
            // The crate would not write such names.
            let old = header.as_old_mut();
            old.name[..entry.name.len()].copy_from_slice(&entry.name);
            old.linkname[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
            header.set_entry_type(entry.kind);
            header.set_size(entry.data.len() as u64);
            header.set_mode(entry.mode);
            header.set_cksum();
            tar.append(&header, &entry.data[..]).unwrap();
        }
        let bytes = tar.into_inner().unwrap().finish().unwrap();
        let mut header = self.header();
        header["archive"] = "forged.tar.zst".into();
        header["size"] = bytes.len().into();
        header["sha256"] = longshore::model::digest::Digest::sha256(&bytes).to_string().into();
        let counted = |kind: EntryType| ![EntryType::GNULongName].contains(&kind);
        header["files"] = entries.iter().filter(|entry| counted(entry.kind)).count().into();
        let regular = entries.iter().filter(|entry| entry.kind == EntryType::Regular);
        header["bytes"] = regular.map(|entry| entry.data.len()).sum::<usize>().into();
        change(&mut header);
        let forged = Workspace::empty().file("longshore-cache.json", &header.to_string());
        fs::write(forged.path("forged.tar.zst"), bytes).unwrap();
        forged
    }

    pub(crate) fn header(&self) -> Value {
        let text = fs::read_to_string(self.cache.path("longshore-cache.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Returns the manifest of the saved archive, and its other entries.
    pub(crate) fn contents(&self) -> (Value, Vec<Entry>) {
        let archive = self.cache.path(self.header()["archive"].as_str().unwrap());
        let decoder = zstd::Decoder::new(fs::File::open(archive).unwrap()).unwrap();
        let (mut manifest, mut entries) = (Value::Null, Vec::new());
        for item in tar::Archive::new(decoder).entries().unwrap() {
            let mut item = item.unwrap();
            let mut data = Vec::new();
            item.read_to_end(&mut data).unwrap();
            let name = item.path_bytes().into_owned();
            if name == b"manifest.json" {
                manifest = serde_json::from_slice(&data).unwrap();
                continue;
            }
            let link = item.link_name_bytes().unwrap_or_default().into_owned();
            let (kind, mode) = (item.header().entry_type(), item.header().mode().unwrap());
            let link = String::from_utf8(link).unwrap();
            if name.len() > 100 {
                let long = [&name[..], b"\0"].concat();
                entries.push(entry("././@LongLink", EntryType::GNULongName, "", &long));
            }
            assert!(link.len() <= 100, "{link}");
            let name = name[..name.len().min(100)].to_vec();
            entries.push(Entry { name, kind, mode, link, data });
        }
        (manifest, entries)
    }

    /// Restores the cache into the workspace without its target directory.
    fn restore(&self, cache: &Workspace) -> Value {
        let _ = fs::remove_dir_all(self.root.path("target"));
        let args = "cache restore --message-format json";
        longshore(&self.root, args).arg(cache.root()).run().json()
    }

    /// As [`Saved::rejects`], before anything is locked.
    #[track_caller]
    fn rejects_untouched(&self, what: &str, cache: &Workspace, reason: &str) {
        let report = self.restore(cache);
        assert_eq!(report["outcome"], "refused", "{what}");
        let reasons = report["reasons"].to_string();
        assert!(reasons.contains(reason), "{what}: no `{reason}` in {reasons}");
        assert!(!self.root.path("target/longshore").exists(), "{what}");
    }

    /// Restoring is rejected for `reason`; nothing was written.
    #[track_caller]
    fn rejects(&self, what: &str, cache: &Workspace, reason: &str) {
        let before = tree(self.outside.root());
        let report = self.restore(cache);
        assert_eq!(report["outcome"], "refused", "{what}");
        let reasons = report["reasons"].to_string();
        assert!(reasons.contains(reason), "{what}: no `{reason}` in {reasons}");
        assert_eq!(tree(self.outside.root()), before, "{what}");
        let left: Vec<PathBuf> = tree(&self.root.path("target")).into_keys().collect();
        assert!(left.is_empty(), "{what}: {left:?}");
    }
}

#[test]
fn entries_that_lead_outside_are_rejected_and_write_nothing() {
    let saved = saved();
    let victim = saved.outside.path("victim").to_str().unwrap().to_owned();
    let directory = saved.outside.root().to_str().unwrap().to_owned();
    let mode = |mode| Entry { mode, ..file("target/a") };
    let raw = |name: &[u8]| Entry { name: name.to_vec(), ..file("") };
    let up = format!("{}etc", "../".repeat(20));
    let cases: Vec<(&str, Vec<Entry>, &str)> = vec![
        (
            "a hard link over a link to a file",
            vec![file("target/b"), symlink("target/a", &victim), hard_link("target/a", "target/b")],
            "leads outside",
        ),
        (
            "a link to a directory",
            vec![symlink(&format!("target/{TARGET}"), &directory)],
            "leads outside",
        ),
        ("a relative link", vec![symlink("target/a", &up)], "leads outside"),
        ("a link through a directory", vec![symlink("target/a", "b/../../x")], "leads outside"),
        ("a link to zig's part", vec![symlink("target/a", "../zig")], "leads outside"),
        ("a hard link to a file", vec![hard_link("target/a", &victim)], "not a regular file"),
        (
            "a file below a link",
            vec![symlink("target/d", "e"), file("target/d/x")],
            "is not a directory",
        ),
        (
            "a hard link to a link",
            vec![symlink("target/d", "e"), hard_link("target/x", "target/d")],
            "not a regular file",
        ),
        ("two files", vec![file("target/a"), file("target/a")], "twice"),
        ("`..`", vec![file("target/../../evil")], "leads outside"),
        ("an absolute name", vec![file(&victim)], "leads outside"),
        ("another directory", vec![file("elsewhere/evil")], "leads outside"),
        ("compressed layers", vec![file("target/layers/a.json")], "leads outside"),
        ("the record of inputs", vec![file("target/longshore-inputs.json")], "leads outside"),
        ("any file of zig's", vec![file("zig/evil.tar")], "leads outside"),
        ("a directory of zig's", vec![file("zig/0.15.2-0123456789ab.tar/o/x")], "leads outside"),
        (
            "a name with a NUL",
            vec![entry("././@LongLink", EntryType::GNULongName, "", b"target/a\0b\0"), file("x")],
            "leads outside",
        ),
        ("a name that is not UTF-8", vec![raw(b"target/a\xff")], "not UTF-8"),
        ("setuid", vec![mode(0o4755)], "with the mode 4755"),
        ("a link in the place of all", vec![symlink("target", "dist")], "leads outside"),
        ("a FIFO", vec![entry("target/a", EntryType::Fifo, "", b"")], "of a kind it cannot have"),
        ("a device", vec![entry("target/a", EntryType::Char, "", b"")], "of a kind it cannot have"),
        ("a sparse file", vec![entry("target/a", EntryType::GNUSparse, "", b"")], "of a kind"),
        (
            "an extended header",
            vec![entry("x", EntryType::XHeader, "", b"9 path=a\n")],
            "with a size",
        ),
        ("a link with data", vec![entry("target/a", EntryType::Symlink, "b", b"x")], "with a size"),
        (
            "a long name",
            vec![entry("././@LongLink", EntryType::GNULongName, "", &vec![b'a'; 1 << 20])],
            "a name that is too long",
        ),
    ];
    for (what, entries, reason) in cases {
        saved.rejects(what, &saved.forge(MANIFEST, &entries, |_| {}), reason);
        let other = saved.forge(MANIFEST, &entries, |header| {
            header["sha256"] = longshore::model::digest::Digest::sha256(b"").to_string().into();
        });
        saved.rejects(what, &other, "the digest differs");
    }
}

#[test]
fn archives_are_limited_to_the_size_in_the_header() {
    let saved = saved();
    let zeros = entry("target/a", EntryType::Regular, "", &vec![0; 200 << 20]);
    let bomb = |bytes: u64| {
        saved.forge(MANIFEST, std::slice::from_ref(&zeros), |header| header["bytes"] = bytes.into())
    };
    saved.rejects("more bytes", &bomb(3_400_000), "more than the 3400000 bytes of its header");
    saved.rejects("a bomb that is declared", &bomb(200 << 20), "its header declares");
    let three = [file("target/a"), file("target/b"), file("target/c")];
    let forged = saved.forge(MANIFEST, &three, |header| header["files"] = 2.into());
    saved.rejects("more entries", &forged, "more than the 2 entries of its header");
    let forged = saved.forge(MANIFEST, &three, |header| header["files"] = 4.into());
    saved.rejects("fewer entries", &forged, "its header says 4");
    let forged = saved.forge(r#"{"roots":["/"]}"#, &three, |_| {});
    saved.rejects("another manifest", &forged, "does not begin with `manifest.json`");
    // Neither is waited for.
    for (name, reason) in
        [("forged.tar.zst", "is not a regular file"), ("longshore-cache.json", "is not a regular")]
    {
        let forged = saved.forge(MANIFEST, &three, |_| {});
        fs::remove_file(forged.path(name)).unwrap();
        let made = plain("mkfifo").arg(forged.path(name)).status().unwrap();
        assert!(made.success());
        saved.rejects_untouched(name, &forged, reason);
    }
}

#[test]
fn times_are_set_in_packages_of_the_workspace_only() {
    let saved = saved();
    let (mut manifest, entries) = saved.contents();
    let root = saved.root.root();
    let link = root.join("link");
    std::os::unix::fs::symlink(saved.outside.root(), &link).unwrap();
    saved.root.write(".git/config", "[core]\n");
    let victim = saved.outside.path("victim");
    let through = format!(
        "{}/../{}/victim",
        root.display(),
        saved.outside.root().file_name().unwrap().display()
    );
    let git = root.join(".git/config");
    let state = |path: &str| json!({ "file": longshore::model::digest::Digest::sha256(&fs::read(path).unwrap()).to_string() });
    let paths = [
        victim.display().to_string(),
        link.join("victim").display().to_string(),
        through,
        git.display().to_string(),
    ];
    for path in &paths {
        manifest["inputs"][path] = json!({ "state": state(path), "time": [86400, 0], "units": [] });
        // Changed, and old: a file of the workspace would get a new time.
        let other =
            json!({ "file": longshore::model::digest::Digest::sha256(b"other").to_string() });
        manifest["inputs"][format!("{path}/../victim")] =
            json!({ "state": other, "time": [86400, 0], "units": [] });
    }
    let own = root.join("src/main.rs");
    let time = |path: &PathBuf| {
        (fs::metadata(path).unwrap().mtime(), fs::metadata(path).unwrap().mtime_nsec())
    };
    let before = (time(&victim), time(&git));
    fs::File::open(&own).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    let forged = saved.forge(&manifest.to_string(), &entries, |_| {});
    let report = saved.restore(&forged);
    fs::remove_file(link).unwrap();
    assert_eq!(report["outcome"], "restored", "{report}");
    assert_eq!((time(&victim), time(&git)), before);
    // The workspace's own file has the time of the archive.
    assert_eq!(
        json!([time(&own).0, time(&own).1]),
        manifest["inputs"][own.to_str().unwrap()]["time"]
    );
}

#[test]
fn zig_entries_of_a_cache_serve_its_workspace_only() {
    let saved = saved();
    let (manifest, mut entries) = saved.contents();
    entries.retain(|entry| !entry.name.starts_with(b"zig/"));
    let record = fs::read_to_string(saved.root.path("target/longshore/longshore-units.json"));
    // An earlier test may have removed it: any valid name will do then.
    let record: Value = record.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
    let name = record["zig"][0].as_str().unwrap_or("0.15.2-0123456789ab").to_owned();
    let mut part = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(6);
    header.set_mode(0o644);
    part.append_data(&mut header, "o/POISON/libc.a", &b"POISON"[..]).unwrap();
    let data = part.into_inner().unwrap();
    entries.push(entry(&format!("zig/{name}.tar"), EntryType::Regular, "", &data));
    let forged = saved.forge(&manifest.to_string(), &entries, |_| {});
    let (cache, zig) = (Workspace::empty(), Workspace::empty());
    let _ = fs::remove_dir_all(saved.root.path("target"));
    // The key has the path of the cache directory.
    let text = fs::read_to_string(forged.path("longshore-cache.json")).unwrap();
    let mut header: Value = serde_json::from_str(&text).unwrap();
    header["key"]["cache directory of longshore"] = cache.root().to_str().unwrap().into();
    forged.write("longshore-cache.json", &header.to_string());
    let report = longshore(&saved.root, "cache restore --message-format json")
        .arg(forged.root())
        .env("LONGSHORE_CACHE_DIR", cache.root())
        .env("ZIG_GLOBAL_CACHE_DIR", zig.root())
        .run()
        .json();
    assert_eq!(report["outcome"], "restored", "{report}");
    assert!(!cache.path("zig-warm").exists());
    assert!(tree(zig.root()).is_empty());
    let restored = saved.root.path(&format!("target/longshore/longshore-zig/{name}.tar"));
    assert_eq!(fs::read(restored).unwrap(), data);
}
