//! Caches that are authenticated with a secret: what anyone else wrote is not restored.

use std::fs;

use serde_json::Value;

use crate::{
    cache_forged::{Saved, build, saved},
    support::{
        command::{LONGSHORE, Test, longshore, plain},
        peer,
        workspace::Workspace,
    },
};

const SECRET: &str = "LONGSHORE_CACHE_SECRET";
const VALUE: &str = "0123456789abcdef0123456789abcdef";

/// The output of the program, and of the poisoned one.
const GREETING: [&[u8]; 2] = [b"hello from a fixture", b"EVIL! from a fixture"];

fn restore(saved: &Saved, cache: &Workspace, args: &str) -> Test {
    let _ = fs::remove_dir_all(saved.root.path("target"));
    let args = format!("cache restore {args} --message-format json");
    longshore(&saved.root, &args).arg(cache.root())
}

/// Saves the build with the secret; a cache with a program that prints something else, and a header
/// that matches the archive.
fn poisoned(saved: &mut Saved) -> Workspace {
    let _ = fs::remove_dir_all(saved.root.path("target"));
    build(&saved.root).run();
    let save = longshore(&saved.root, "cache save --message-format json").arg(saved.cache.root());
    assert_eq!(save.env(SECRET, VALUE).run().json()["authenticated"], true);
    let (manifest, mut entries) = saved.contents();
    let mut count = 0;
    for entry in entries.iter_mut().filter(|entry| entry.data.starts_with(b"\x7fELF")) {
        let at = entry.data.windows(GREETING[0].len()).position(|bytes| bytes == GREETING[0]);
        if let Some(at) = at {
            entry.data[at..][..GREETING[0].len()].copy_from_slice(GREETING[1]);
            count += 1;
        }
    }
    assert!(count > 0);
    saved.forge(&manifest.to_string(), &entries, |_| {})
}

/// Returns the next build: how many units it compiles, and whether its program is the poisoned one.
fn next_build(saved: &Saved) -> (u64, bool) {
    let report = build(&saved.root).run().json();
    let path = report["artifacts"][0]["path"].as_str().unwrap();
    let program = fs::read(saved.root.path(&format!("target/dist/{path}"))).unwrap();
    let has = |text: &[u8]| program.windows(text.len()).any(|bytes| bytes == text);
    assert_ne!(has(GREETING[0]), has(GREETING[1]));
    (report["units"]["compiled"].as_u64().unwrap(), has(GREETING[1]))
}

#[track_caller]
fn rejects(saved: &Saved, test: Test, reason: &str) {
    let report = test.run().json();
    assert_eq!(report["outcome"], "refused", "{report}");
    assert!(report["reasons"].to_string().contains(reason), "no `{reason}` in {report}");
    assert!(!saved.root.path("target/longshore").exists());
}

#[test]
fn caches_of_other_writers_are_rejected() {
    let mut saved = saved();
    let evil = poisoned(&mut saved);
    // What is prevented: without a secret, a cache is trusted.
    let report = restore(&saved, &evil, "").run().json();
    assert_eq!((&report["outcome"], &report["authenticated"]), (&"restored".into(), &false.into()));
    assert_eq!(next_build(&saved), (0, true));

    let changed = "it was changed, or was saved with a different `LONGSHORE_CACHE_SECRET`";
    rejects(&saved, restore(&saved, &evil, "").env(SECRET, VALUE), changed);
    let (compiled, is_evil) = next_build(&saved);
    assert!(compiled > 0 && !is_evil);

    let report = restore(&saved, &saved.cache, "--authenticated").env(SECRET, VALUE).run().json();
    assert_eq!((&report["outcome"], &report["authenticated"]), (&"restored".into(), &true.into()));
    assert_eq!(next_build(&saved), (0, false));
}

#[test]
fn the_complete_header_is_authenticated() {
    let mut saved = saved();
    let evil = poisoned(&mut saved);
    let header = |change: &dyn Fn(&mut Value)| {
        let mut header = saved.header();
        change(&mut header);
        saved.cache.write("longshore-cache.json", &header.to_string());
    };
    let original = saved.header();
    let changed = "it was changed, or was saved with a different";
    for (field, value) in [
        ("size", 7.into()),
        ("files", 7.into()),
        ("bytes", 7.into()),
        ("units", 7.into()),
        ("inputs", 7.into()),
        ("saved", serde_json::json!([1, 1])),
        ("sha256", evil_digest(&evil)),
        ("archive", "other.tar.zst".into()),
        ("mac", evil_digest(&evil)),
    ] {
        header(&|header| header[field] = value.clone());
        rejects(&saved, restore(&saved, &saved.cache, "").env(SECRET, VALUE), changed);
        header(&|header| *header = original.clone());
    }
    header(&|header| header["key"]["other"] = "x".into());
    rejects(&saved, restore(&saved, &saved.cache, "").env(SECRET, VALUE), changed);
    header(&|header| *header = original.clone());
    let other = format!("{VALUE}x");
    rejects(&saved, restore(&saved, &saved.cache, "").env(SECRET, other), changed);
    // Without a code, and without a secret where one is needed.
    header(&|header| drop(header.as_object_mut().unwrap().remove("mac")));
    let none = "it was saved without `LONGSHORE_CACHE_SECRET`";
    rejects(&saved, restore(&saved, &saved.cache, "").env(SECRET, VALUE), none);
    header(&|header| *header = original.clone());
    let unset = "`LONGSHORE_CACHE_SECRET` is not set";
    for value in [None, Some("")] {
        let test = restore(&saved, &saved.cache, "--authenticated");
        let test = match value {
            Some(value) => test.env(SECRET, value),
            None => test,
        };
        rejects(&saved, test, unset);
    }
}

fn evil_digest(evil: &Workspace) -> Value {
    let text = fs::read_to_string(evil.path("longshore-cache.json")).unwrap();
    let header: Value = serde_json::from_str(&text).unwrap();
    header["sha256"].clone()
}

#[test]
fn short_secrets_are_an_error() {
    let saved = saved();
    for verb in ["save", "restore"] {
        let test = longshore(&saved.root, &format!("cache {verb}")).arg(saved.cache.root());
        let error = "`LONGSHORE_CACHE_SECRET` has 5 bytes, expected at least 16";
        test.env(SECRET, "short").status(2).stderr(error).run();
    }
}

/// From a later one on, each call that starts a thread or a process fails. All that is needed to
/// save without threads of the compressor has been started once saving succeeds.
#[test]
fn a_cache_is_saved_without_threads_of_the_compressor() {
    let Some(strace) = peer::find("strace") else { return };
    let saved = saved();
    let _ = fs::remove_dir_all(saved.root.path("target"));
    build(&saved.root).run();
    let log = saved.cache.path("strace.log");
    let mut without = 0;
    for count in 1.. {
        let mut command = plain(&strace);
        command.args(["-f", "-qq", "-o"]).arg(&log).args(["-e", "trace=clone,clone3"]);
        command.args(["-e", &format!("inject=clone3:error=EAGAIN:when={count}+"), LONGSHORE]);
        command.args(["cache", "save"]).arg(saved.cache.root()).current_dir(saved.root.root());
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        let failed = fs::read_to_string(&log).unwrap().contains("(INJECTED)");
        assert!(!text.contains("panicked"), "{count}: {text}");
        if output.status.success() {
            without += usize::from(failed);
        } else {
            assert!(failed && text.contains("error: "), "{count}: {text}");
            assert_eq!(without, 0, "{count}: it was saved with fewer threads: {text}");
        }
        if !failed {
            break;
        }
    }
    assert!(without > 0, "the threads of the compressor could always be started");
    let report = restore(&saved, &saved.cache, "").run().json();
    assert_eq!(report["outcome"], "restored");
}
