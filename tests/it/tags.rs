//! Tags that a policy gives: what they become in a real registry, alone and in a race.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    sync::{Arc, Barrier, Mutex, mpsc::channel},
    thread,
    time::Duration,
};

use longshore::{
    image::tags::PushKind,
    model::{event::Silent, schema::push::TagOutcome},
    ops::push::{PushRequest, PushSource, TagOptions, push},
    sys::{Context, registry::Settings},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    push::{labelled, layout, pair, run},
    schema::valid,
    support::{
        command::Test,
        dist::{Dist, digest},
        program,
        proxy::{Act, Asked, Proxy, status},
        registry::Registry,
    },
};

/// Returns an image of that version; `content` makes it another one.
fn image(version: &str, content: &str) -> TempDir {
    let labels = json!({ "org.opencontainers.image.version": version,
        "org.opencontainers.image.revision": "0123456789abcdef0123456789abcdef01234567" });
    labelled(&[version.as_bytes(), content.as_bytes()], &labels)
}

/// Returns the target of a tag of `x`.
fn points(registry: &str, tag: &str) -> Option<String> {
    at(registry, "x", tag)
}

/// Returns the target of a tag of a repository.
fn at(registry: &str, name: &str, tag: &str) -> Option<String> {
    let mut stream = TcpStream::connect(registry).unwrap();
    let ask = format!(
        "HEAD /v2/{name}/manifests/{tag} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         accept: application/vnd.oci.image.manifest.v1+json, \
         application/vnd.oci.image.index.v1+json\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let digest = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("docker-content-digest").then(|| value.to_owned())
    };
    answer.starts_with("HTTP/1.1 200").then(|| answer.lines().find_map(digest).unwrap())
}

/// Returns the command `push HOST/x ARGS` of a layout.
fn pushes(home: &TempDir, host: &str, from: &Path, args: &str) -> Test {
    run(home.path(), &format!("push {host}/x --from {} {args}", from.display()))
}

#[test]
fn moving_tags_only_rise_and_versions_are_immutable() {
    let Some(registry) = Registry::start() else { return };
    let home = TempDir::new().unwrap();
    let host = &registry.address;
    let push = |version: &str| {
        let image = image(version, "");
        let ran = pushes(&home, host, image.path(), "--tags release").run();
        let is = digest(image.path());
        assert_eq!(ran.stdout, format!("{host}/x@{is}\n"));
        (is, ran.stderr)
    };
    let at = |expected: &[(&str, &str)]| {
        for (tag, is) in expected {
            assert_eq!(points(host, tag).as_deref(), Some(*is), "{tag}");
        }
    };
    let (first, said) = push("1.2.3");
    at(&[("1.2.3", &first), ("1.2", &first), ("1", &first), ("latest", &first)]);
    assert!(said.contains(&format!("Tagged {host}/x:latest: it is new\n")), "{said}");
    // Once more.
    let (_, said) = push("1.2.3");
    assert_eq!(said.matches("Kept").count(), 4, "{said}");
    assert!(!said.contains("Tagged"), "{said}");
    // A late one of before.
    let (old, said) = push("1.2.2");
    at(&[("1.2.2", &old), ("1.2", &first), ("1", &first), ("latest", &first)]);
    let why = format!("Kept {host}/x:latest: it is `1.2.3`, which is higher\n");
    assert!(said.contains(&why), "{said}");
    let (next, said) = push("2.0.0");
    let why = format!(
        "Tagged {host}/x:latest (it was {first}): `1.2.3` was there, a lower \
                       version\n"
    );
    assert!(said.contains(&why), "{said}");
    // A mended one of an older line.
    let (mended, _) = push("1.2.10");
    at(&[("1.2", &mended), ("1", &mended), ("2.0", &next), ("2", &next), ("latest", &next)]);
    let (early, _) = push("3.0.0-rc.2");
    let (earlier, _) = push("3.0.0-rc.1");
    at(&[("latest", &next), ("next", &early), ("3.0.0-rc.1", &earlier)]);
    assert_eq!(points(host, "3"), None);
    let (zero, _) = push("0.4.0");
    at(&[("0.4", &zero), ("latest", &next)]);
    assert_eq!(points(host, "0"), None);
}

fn writes(asked: &[Asked]) -> usize {
    asked.iter().filter(|asked| !["GET", "HEAD"].contains(&asked.method.as_str())).count()
}

#[test]
fn existing_versions_are_rejected_before_anything_is_sent() {
    let Some(registry) = Registry::start() else { return };
    let proxy = Proxy::start(&registry.address, |_| Act::Pass);
    let (home, host) = (TempDir::new().unwrap(), &proxy.address);
    let (one, two) = (image("1.0.0", "one"), image("1.0.0", "two"));
    pushes(&home, host, one.path(), "--tags release").run();
    proxy.asked();
    let ran = pushes(&home, host, two.path(), "--tags release").status(1);
    ran.stderr("1.0.0 is sha256:").hint("release another version").run();
    assert_eq!(writes(&proxy.asked()), 0);
    // Beside another repository, which gets nothing either.
    let more = format!("{host}/y --tags release");
    assert_eq!(pushes(&home, host, two.path(), &more).status(1).run().stdout, "");
    assert_eq!(writes(&proxy.asked()), 0);
    let dry = pushes(&home, host, two.path(), "--tags release --dry-run").status(1);
    dry.stdout("  reject tag 1.0.0: it is a different image, and version tags are immutable\n")
        .run();
    // Builds make no other version.
    let build = image("1.0.0+b2", "");
    let ran = pushes(&home, host, build.path(), "--tags release").status(1);
    ran.stderr("it is `1.0.0`, and `1.0.0+b2` is the same version").run();
    assert_eq!(points(&registry.address, "1.0.0"), Some(digest(one.path())));
}

#[test]
fn a_dry_run_lists_each_tag_and_writes_nothing() {
    let Some(registry) = Registry::start() else { return };
    let proxy = Proxy::start(&registry.address, |_| Act::Pass);
    let (home, host) = (TempDir::new().unwrap(), &proxy.address);
    let (one, two, three) = (image("1.0.0", ""), image("1.1.0", ""), image("1.0.1", ""));
    let table = |temp_dir: &TempDir| {
        let ran = pushes(&home, host, temp_dir.path(), "--tags release --dry-run").run();
        let tags = ran.stdout.lines().filter(|line| line.contains(" tag "));
        tags.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let new = ["1.0.0", "1.0", "1", "latest"].map(|tag| format!("write tag {tag}: it is new"));
    assert_eq!(table(&one), new);
    assert_eq!(writes(&proxy.asked()), 0);
    pushes(&home, host, one.path(), "--tags release").run();
    let from = digest(one.path());
    let lower = "`1.0.0` was there, a lower version";
    let expected = [
        "write tag 1.1.0: it is new".to_owned(),
        "write tag 1.1: it is new".to_owned(),
        format!("move  tag 1 from {from}: {lower}"),
        format!("move  tag latest from {from}: {lower}"),
    ];
    assert_eq!(table(&two), expected);
    let told = pushes(&home, host, two.path(), "--tags release --message-format json").run();
    assert_ne!(valid("push.v1", &told.stdout), Some(false));
    let tags = told.json()["tags"].clone();
    assert_eq!(tags[3]["outcome"], "moved");
    assert_eq!((&tags[3]["was"], &tags[3]["is"]), (&json!(from), &json!(digest(two.path()))));
    assert_eq!(
        table(&three)[2..],
        ["1", "latest"].map(|tag| { format!("keep  tag {tag}: it is `1.1.0`, which is higher") })
    );
}

#[test]
fn incomparable_tags_are_left_unless_named() {
    let Some(registry) = Registry::start() else { return };
    let (home, host) = (TempDir::new().unwrap(), &registry.address);
    let (unknown, one) = (layout(&[b"unknown"]), image("1.0.0", ""));
    run(home.path(), &format!("push {host}/x:latest --from {}", unknown.path().display())).run();
    let ran = pushes(&home, host, one.path(), "--tags release").run();
    assert!(
        ran.stderr.contains("x:latest: the current image declares no version"),
        "{}",
        ran.stderr
    );
    assert_eq!(points(host, "latest"), Some(digest(unknown.path())));
    assert_eq!(points(host, "1"), Some(digest(one.path())));
    let named = "--tags release --move-tag latest";
    pushes(&home, host, one.path(), named).run();
    assert_eq!(points(host, "latest"), Some(digest(one.path())));
    // Back to a lower one, too.
    let two = image("2.0.0", "");
    pushes(&home, host, two.path(), "--tags release").run();
    assert_eq!(points(host, "latest"), Some(digest(two.path())));
    pushes(&home, host, one.path(), named).run();
    assert_eq!(points(host, "latest"), Some(digest(one.path())));
    let wrong = |args: &str, why: &str| {
        pushes(&home, host, one.path(), args).status(2).stderr(why).run();
    };
    wrong("--tags release --move-tag 1.0.0", "`1.0.0` is a version's tag: it never moves");
    wrong("--tags release --move-tag next", "`next` is none of the tags of this image");
    wrong("--move-tag latest", "--tags");
    let args = |name: &str, temp_dir: &TempDir| {
        format!("push {host}/{name} --from {} --tags release", temp_dir.path().display())
    };
    run(home.path(), &args("x:1", &one)).status(2).stderr("names a tag or a digest").run();
    run(home.path(), &args("x", &unknown)).status(2).stderr("declares no version").run();
    let calendar = image("2026.1", "");
    let ran = run(home.path(), &args("x", &calendar)).status(2);
    ran.stderr("its version `2026.1` is none that can be released").run();
}

/// Returns a release of that version, whose manifest says `more` of it, with the recipe's keys `recipe`.
fn release(version: &str, more: Value, recipe: Value) -> Dist {
    let label = json!({ "org.opencontainers.image.version": version });
    let mut keys = json!({ "tag": version, "labels": label });
    keys.as_object_mut().unwrap().extend(recipe.as_object().cloned().unwrap());
    let programs = [("linux/arm64", &program::arm64()[..]), ("linux/amd64", &program::amd64())];
    let dist = Dist::new(&programs, keys);
    dist.image(&[]);
    let mut of = crate::sign::manifest(&dist);
    of["release"].as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    std::fs::write(dist.root().join("dist.json"), of.to_string()).unwrap();
    dist
}

#[test]
fn releases_snapshots_and_branches_of_a_workspace() {
    let Some(registry) = Registry::start() else { return };
    let (home, host) = (TempDir::new().unwrap(), &registry.address);
    let revision = "89abcdef0123456789abcdef0123456789abcdef";
    let push = |dist: &Dist, args: &str| {
        run(home.path(), &format!("push {host}/x --dist {} {args}", dist.root().display()))
    };
    let image_digest = |dist: &Dist| Some(digest(&dist.root().join("image/hello")));
    let dirty = release("1.0.0", json!({ "revision": revision, "dirty": true }), json!({}));
    push(&dirty, "--tags release").status(1).hint("commit and build again").run();
    let changes = json!({ "count": 4, "files": ["a.rs", "b"] });
    let more = json!({ "revision": revision, "dirty": true, "changes": changes });
    let named = release("1.0.0", more, json!({}));
    let ran = push(&named, "--tags release").status(1);
    ran.stderr("differ from their commit: `a.rs`, `b` and 2 more").run();
    assert_eq!(points(host, "1.0.0"), None);
    push(&dirty, "--tags snapshot --branch feature/x").run();
    assert_eq!(points(host, "sha-89abcdef0123-dirty"), image_digest(&dirty));
    assert_eq!(points(host, "feature-x"), image_digest(&dirty));
    assert_eq!(points(host, "latest"), None);
    push(&dirty, "--tags release --allow-dirty").run();
    assert_eq!(points(host, "latest"), image_digest(&dirty));
    // The version is read from the index's annotation; the policy is the package's.
    let tags = json!({ "tags": { "release": ["version", "latest", "sha"] } });
    let clean = release("1.1.0", json!({ "revision": revision, "dirty": false }), tags);
    push(&clean, "--tags release --branch main").run();
    for tag in ["1.1.0", "latest", "sha-89abcdef0123", "main"] {
        assert_eq!(points(host, tag), image_digest(&clean), "{tag}");
    }
    assert_eq!((points(host, "1.1"), points(host, "1")), (None, image_digest(&dirty)));
    push(&clean, "--tags snapshot --branch latest")
        .status(2)
        .stderr("has the form of a release tag")
        .run();
}

#[test]
fn a_release_of_an_unknown_commit_is_rejected() {
    let Some(registry) = Registry::start() else { return };
    let (home, host) = (TempDir::new().unwrap(), &registry.address);
    let push = |dist: &Dist, args: &str| {
        run(home.path(), &format!("push {host}/x --dist {} {args}", dist.root().display()))
    };
    // As older versions wrote it, with the reason, and with a state that is not known.
    let reason = json!({ "no-revision": "not in a git repository" });
    for (more, text) in [
        (json!({}), "is built from is unknown"),
        (reason, "is unknown: not in a git repository"),
        (json!({ "revision": "0123" }), "is built from is unknown"),
    ] {
        let dist = release("1.0.0", more, json!({}));
        let hint = "build in a git repository with all changes committed; `--allow-dirty`";
        push(&dist, "--tags release").status(1).stderr(text).hint(hint).run();
        push(&dist, "--tags release --dry-run").status(1).run();
        assert_eq!(points(host, "1.0.0"), None);
    }
    let dist = release("1.0.0", json!({}), json!({}));
    push(&dist, "--tags release --allow-dirty").run();
    assert!(points(host, "1.0.0").is_some());
    // The same for an image without `dist.json`.
    let layout = labelled(&[], &json!({ "org.opencontainers.image.version": "2.0.0" }));
    pushes(&home, host, layout.path(), "--tags release").status(1).stderr("is unknown").run();
    pushes(&home, host, layout.path(), "--tags release --allow-dirty").run();
}

#[test]
fn pushed_images_are_verified_in_the_registry() {
    let Some(registry) = Registry::start() else { return };
    let home = TempDir::new().unwrap();
    let dist = release("1.0.0", json!({ "revision": "0123", "dirty": false }), json!({}));
    let args = |host: &str| {
        format!("push {host}/x --dist {} --tags release --verify", dist.root().display())
    };
    let ran = run(home.path(), &args(&registry.address)).run();
    assert!(ran.stderr.contains("Verified sha256:"), "{}", ran.stderr);
    assert!(ran.stderr.contains(": 4 verdicts\n"), "{}", ran.stderr);
    let json = run(home.path(), &format!("{} --message-format json", args(&registry.address)));
    let json = json.run();
    assert_ne!(valid("push.v1", &json.stdout), Some(false));
    assert_eq!(json.json()["verification"]["checked"].as_array().map(Vec::len), Some(4));
    // A layer that comes back as another.
    let proxy = Proxy::start(&registry.address, |asked| match asked.is("GET", "/blobs/sha256:") {
        true => Act::Change,
        false => Act::Pass,
    });
    run(home.path(), &args(&proxy.address)).status(1).stderr("rejected in the registry").run();
    // Something that is no program.
    let dist = pair();
    dist.image(&[]);
    let args = format!("push {}/y --dist {} --verify", registry.address, dist.root().display());
    run(home.path(), &args).run();
}

#[test]
fn lists_in_pages_and_registries_without_lists() {
    let Some(registry) = Registry::start() else { return };
    let (home, host) = (TempDir::new().unwrap(), &registry.address);
    let (one, two) = (image("1.0.0", ""), image("1.1.0", ""));
    pushes(&home, host, two.path(), "--tags release").run();
    let proxy = Proxy::start(&registry.address, move |asked| {
        let next = ("link", "</v2/x/tags/list?last=b>; rel=\"next\"".to_owned());
        match asked.path.contains("last=b") {
            true => Act::Answer(200, vec![], body(&["1.1.0"])),
            _ if asked.path.contains("/tags/list") => Act::Answer(200, vec![next], body(&["b"])),
            // As if nobody had written them.
            _ if ["/manifests/1", "/manifests/latest"]
                .iter()
                .any(|tag| asked.path.ends_with(tag)) =>
            {
                status(404)
            }
            _ => Act::Pass,
        }
    });
    let ran = pushes(&home, &proxy.address, one.path(), "--tags release").run();
    assert!(ran.stderr.contains("x:latest: `1.1.0` exists, which is higher"), "{}", ran.stderr);
    assert_eq!(points(host, "latest"), Some(digest(two.path())));
    // Without a list, what stands there is all that is known.
    for code in [403, 404, 405] {
        let proxy =
            Proxy::start(&registry.address, move |asked| match asked.path.contains("/tags/list") {
                true => status(code),
                false => Act::Pass,
            });
        let ran = pushes(&home, &proxy.address, one.path(), "--tags release").run();
        assert!(ran.stderr.contains("does not list its tags"), "{}", ran.stderr);
        assert!(ran.stderr.contains("x:latest: it is `1.1.0`"), "{}", ran.stderr);
    }
    for (what, act) in [
        ("no end", Act::Answer(200, vec![("link", "<?n=1>; rel=next".into())], body(&["a"]))),
        ("elsewhere", Act::Answer(200, vec![("link", "<//h/>; rel=next".into())], body(&["a"]))),
        ("not JSON", Act::Answer(200, vec![], b"<html>".to_vec())),
        ("long", Act::Answer(200, vec![], vec![b' '; (16 << 20) + 1])),
    ] {
        let proxy = Proxy::start(&registry.address, move |asked| {
            match asked.path.contains("/tags/list") || asked.path.contains("?n=") {
                true => act.clone(),
                false => Act::Pass,
            }
        });
        let ran = pushes(&home, &proxy.address, one.path(), "--tags release").status(5);
        ran.stderr("cannot list the tags of `x`").run();
        assert!(!what.is_empty());
    }
}

fn body(tags: &[&str]) -> Vec<u8> {
    json!({ "name": "x", "tags": tags }).to_string().into_bytes()
}

/// The lower one has decided to write `latest` when the higher comes, and writes it after that.
#[test]
fn a_lower_version_restores_overwritten_tags() {
    let Some(registry) = Registry::start() else { return };
    let home = TempDir::new().unwrap();
    let ((sender, reached), (go, gone)) = (channel(), channel::<()>());
    let held = Mutex::new(Some((sender, gone)));
    let proxy = Proxy::start(&registry.address, move |asked| {
        if asked.is("PUT", "/manifests/latest")
            && let Some((sender, gone)) = held.lock().unwrap().take()
        {
            sender.send(()).unwrap();
            let _ = gone.recv_timeout(Duration::from_secs(60));
        }
        Act::Pass
    });
    let (low, high) = (image("1.0.0", ""), image("1.1.0", ""));
    let lower = thread::scope(|scope| {
        let lower = scope.spawn(|| {
            pushes(&home, &proxy.address, low.path(), "--tags release --message-format json").run()
        });
        reached.recv_timeout(Duration::from_secs(60)).unwrap();
        pushes(&home, &registry.address, high.path(), "--tags release").run();
        assert_eq!(points(&registry.address, "latest"), Some(digest(high.path())));
        go.send(()).unwrap();
        lower.join().unwrap()
    });
    for (tag, of) in [("latest", &high), ("1", &high), ("1.0", &low), ("1.0.0", &low)] {
        assert_eq!(points(&registry.address, tag), Some(digest(of.path())), "{tag}");
    }
    let why = "x:latest` was written, and now has another image: `1.1.0` came meanwhile";
    assert!(lower.stderr.contains(why), "{}", lower.stderr);
    let tags = lower.json()["tags"].clone();
    assert_eq!((&tags[3]["tag"], &tags[3]["outcome"]), (&json!("latest"), &json!("lost")));
    assert_eq!(tags[3]["is"], digest(high.path()));
}

#[test]
fn concurrent_pushes_of_one_version_are_detected() {
    let Some(registry) = Registry::start() else { return };
    let home = TempDir::new().unwrap();
    let (one, two) = (image("1.0.0", "one"), image("1.0.0", "two"));
    let (host, other) = (registry.address.clone(), two.path().to_owned());
    let once = Mutex::new(Some(TempDir::new().unwrap()));
    // The other one writes all its tags while this is about to write `latest`.
    let proxy = Proxy::start(&registry.address, move |asked| {
        if asked.is("PUT", "/manifests/latest")
            && let Some(home) = once.lock().unwrap().take()
        {
            let from = other.display();
            run(home.path(), &format!("push {host}/x:1.0.0 {host}/x:latest --from {from}")).run();
        }
        Act::Pass
    });
    let ran = pushes(&home, &proxy.address, one.path(), "--tags release").status(5);
    ran.stderr("x:1.0.0` was written as").hint("another client wrote the tag").run();
    for tag in ["1.0.0", "latest"] {
        assert_eq!(points(&registry.address, tag), Some(digest(two.path())), "{tag}");
    }
}

/// Both begin at once, 200 times, in each order: whoever is higher has the tags that both want, each
/// version's own tag stays, and the lower one never says that it has what it has not.
#[test]
fn concurrent_pushes_leave_the_higher_version() {
    const ROUNDS: usize = 200;
    let Some(registry) = Registry::start() else { return };
    // Without layers: it is tags that race.
    let images = ["1.0.0", "1.0.1"].map(|version| {
        let labels = json!({ "org.opencontainers.image.version": version,
            "org.opencontainers.image.revision": "0123456789abcdef" });
        (version, labelled(&[], &labels))
    });
    let mut lost = 0;
    for round in 0..ROUNDS {
        let name = format!("{}/race{round}", registry.address);
        let barrier = Arc::new(Barrier::new(2));
        let pushed: Vec<_> = thread::scope(|scope| {
            let both = images.iter().map(|(_, image)| {
                let (barrier, name) = (barrier.clone(), name.clone());
                scope.spawn(move || {
                    let request = PushRequest {
                        source: PushSource::Path(image.path().to_str().unwrap().to_owned()),
                        references: vec![name.parse().unwrap()],
                        mount_from: Vec::new(),
                        dry_run: false,
                        attach: false,
                        tagging: Some(TagOptions {
                            release_kind: PushKind::Release,
                            branch: None,
                            moves: Vec::new(),
                            allow_dirty: false,
                        }),
                        verify: false,
                        registry: Settings::default(),
                    };
                    let cx = Context::new(Arc::new(Silent)).unwrap();
                    barrier.wait();
                    push(&cx, &request).unwrap()
                })
            });
            let both: Vec<_> = both.collect();
            both.into_iter().map(|push| push.join().unwrap()).collect()
        });
        let path = format!("race{round}");
        let high = digest(images[1].1.path());
        for tag in ["1.0", "1", "latest"] {
            assert_eq!(at(&registry.address, &path, tag), Some(high.clone()), "{round}: {tag}");
        }
        for (version, image) in &images {
            assert_eq!(at(&registry.address, &path, version), Some(digest(image.path())));
        }
        lost += usize::from(pushed[0].tags.iter().any(|tag| tag.outcome == TagOutcome::Lost));
        assert!(pushed[1].tags.iter().all(|tag| tag.is == Some(pushed[1].digest)), "{pushed:?}");
    }
    eprintln!("{ROUNDS} rounds; in {lost} of them the lower one wrote first or last, and lost");
}
