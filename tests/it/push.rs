//! `push`: to a real registry, and what skopeo sees there.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex, mpsc::channel},
    time::{Duration, Instant},
};

use longshore::{
    model::{
        digest::Digest,
        event::{Event, Events},
    },
    ops::push::{PushRequest, PushSource, push},
    sys::{Context, registry::Settings},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    schema::valid,
    support::{
        command::{Test, longshore},
        dist::{Dist, digest},
        peer, program,
        proxy::{Act, Asked, Proxy, status},
        registry::Registry,
        workspace::Workspace,
    },
};

/// Returns the command `longshore ARGS` in an empty directory, without anybody's credentials and proxies.
pub(crate) fn run(home: &Path, args: &str) -> Test {
    let mut test = longshore(&Workspace::empty(), args).dir(home).env("HOME", home);
    for name in [
        "DOCKER_CONFIG",
        "REGISTRY_AUTH_FILE",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_HOME",
        "LONGSHORE_REGISTRY_HOST",
        "LONGSHORE_REGISTRY_USER",
        "LONGSHORE_REGISTRY_PASSWORD",
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
        "NO_PROXY",
        "no_proxy",
        "REQUEST_METHOD",
        "GITHUB_TOKEN",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "CARGO_TARGET_DIR",
    ] {
        test = test.env_remove(name);
    }
    test.env("LONGSHORE_CACHE_DIR", home.join("cache"))
}

pub(crate) fn pair() -> Dist {
    let programs = [("linux/arm64", &program::arm64()[..]), ("linux/amd64", &program::amd64())];
    Dist::new(&programs, json!({}))
}

/// Returns a layout with one image, whose layers are these bytes; they need not be tar.
pub(crate) fn layout(layers: &[&[u8]]) -> TempDir {
    labelled(layers, &json!({}))
}

/// As [`layout`], with labels.
pub(crate) fn labelled(layers: &[&[u8]], labels: &Value) -> TempDir {
    of_platform("linux/amd64", layers, labels)
}

/// As [`labelled`], for another platform.
pub(crate) fn of_platform(platform: &str, layers: &[&[u8]], labels: &Value) -> TempDir {
    let mut parts = platform.split('/').skip(1);
    let (architecture, variant) = (parts.next().unwrap(), parts.next());
    let dir = TempDir::new().unwrap();
    fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
    let blob = |kind: &str, bytes: &[u8]| {
        let digest = Digest::sha256(bytes);
        fs::write(dir.path().join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        let kind = format!("application/vnd.oci.image.{kind}");
        json!({ "mediaType": kind, "digest": digest, "size": bytes.len() })
    };
    let ids: Vec<_> = layers.iter().map(|layer| Digest::sha256(layer)).collect();
    let mut config = json!({ "architecture": architecture, "os": "linux",
        "config": { "Labels": labels }, "rootfs": { "type": "layers", "diff_ids": ids } });
    if let Some(variant) = variant {
        config["variant"] = variant.into();
    }
    let config = blob("config.v1+json", config.to_string().as_bytes());
    let layers: Vec<_> = layers.iter().map(|layer| blob("layer.v1.tar", layer)).collect();
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers,
        "mediaType": "application/vnd.oci.image.manifest.v1+json" });
    let mut manifest = blob("manifest.v1+json", manifest.to_string().as_bytes());
    manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "1.0" });
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs::write(dir.path().join("index.json"), index.to_string()).unwrap();
    fs::write(dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    dir
}

/// Returns the digest that skopeo finds under that name.
fn seen(registry: &Registry, name: &str) -> Option<String> {
    let skopeo = peer::find("skopeo")?;
    let url = registry.url(name);
    let raw = peer::run(&skopeo, ["inspect", "--tls-verify=false", "--raw", &url]);
    Some(Digest::sha256(raw.as_bytes()).to_string())
}

fn writes(asked: &[Asked]) -> Vec<&Asked> {
    asked.iter().filter(|asked| !["GET", "HEAD"].contains(&asked.method.as_str())).collect()
}

#[test]
fn layouts_and_archives_arrive_with_their_digest() {
    let Some(registry) = Registry::start() else { return };
    let dist = pair();
    dist.image(&[]);
    let archive = dist.write("oci-archive", "archive.tar");
    let every = dist.write("docker-archive", "every.tar");
    let layout = dist.root().join("image/hello");
    let digest = digest(&layout);
    let home = TempDir::new().unwrap();
    let of_dist = format!("--dist {}", dist.root().display());
    let sources = [of_dist]
        .into_iter()
        .chain([&layout, &archive, &every].map(|path| format!("--from {}", path.display())));
    for (n, source) in sources.enumerate() {
        // The tag is that of the image.
        let name = format!("{}/team/hello{n}", registry.address);
        let ran = run(home.path(), &format!("push {name} {source}")).run();
        assert_eq!(ran.stdout, format!("{name}@{digest}\n"));
        let at = format!("Tagged {name}:1.0\n");
        assert!(ran.stderr.contains(&at), "{}", ran.stderr);
        if let Some(seen) = seen(&registry, &format!("team/hello{n}:1.0")) {
            assert_eq!(seen, digest, "{source}");
        }
        if let Some(skopeo) = peer::find("skopeo") {
            // Every blob of every platform.
            let to = format!("oci:{}:x", home.path().join(format!("copy{n}")).display());
            let from = registry.url(&format!("team/hello{n}@{digest}"));
            peer::run(&skopeo, ["copy", "--all", "--src-tls-verify=false", &from, &to]);
        }
    }
}

#[test]
fn blobs_come_first_and_tags_last_and_nothing_is_sent_twice() {
    let Some(registry) = Registry::start() else { return };
    let proxy = Proxy::start(&registry.address, |_| Act::Pass);
    let dist = pair();
    dist.image(&[]);
    let home = TempDir::new().unwrap();
    let push = |args: &str| {
        run(home.path(), &format!("push --dist {} {args}", dist.root().display())).run()
    };
    let name = format!("{}/hello", proxy.address);
    let dry = push(&format!("{name}:1 --dry-run"));
    assert!(dry.stdout.contains("  write tag 1\n"), "{}", dry.stdout);
    assert!(dry.stdout.matches("  send  blob sha256:").count() >= 4, "{}", dry.stdout);
    assert_eq!(writes(&proxy.asked()).len(), 0);
    push(&format!("{name}:1 {name}:2"));
    let asked = proxy.asked();
    let writes_of = writes(&asked);
    let kinds: Vec<_> = writes_of
        .iter()
        .map(|asked| match asked.path.split("/manifests/").nth(1) {
            None => 0,
            Some(target) if target.starts_with("sha256:") => 1,
            Some(_) => 2,
        })
        .collect();
    assert!(kinds.is_sorted(), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == 1).count(), 3);
    assert_eq!(kinds.iter().filter(|kind| **kind == 2).count(), 2);
    // Each tag is looked at again after it was written.
    let last = asked.last().unwrap();
    assert!(last.is("HEAD", "/manifests/2"), "{last:?}");
    assert_eq!(last.header("accept").split(", ").count(), 4);
    let again = push(&format!("{name}:1 {name}:2"));
    assert_eq!(writes(&proxy.asked()).len(), 0);
    assert!(again.stderr.contains("Unchanged"), "{}", again.stderr);
    assert_eq!(again.stdout.lines().count(), 2);
    let third = push(&format!("{name}:3 --message-format json"));
    assert_ne!(valid("push.v1", &third.stdout), Some(false));
    let sent = writes(&proxy.asked()).len();
    assert_eq!((sent, third.json()["references"][0]["tag"].as_str()), (1, Some("3")));
}

/// Keeps what is told of progress.
#[derive(Default)]
struct RecordedEvents(Mutex<Vec<(u64, u64)>>);

impl Events for RecordedEvents {
    fn emit(&self, event: Event) {
        if let Event::Progress { verb: "Pushing", done, total, .. } = event {
            self.0.lock().unwrap().push((done, total));
        }
    }
}

#[test]
fn progress_is_reported_in_bytes() {
    let Some(registry) = Registry::start() else { return };
    // What breaks is counted once.
    let proxy = Proxy::start(&registry.address, |asked| match (asked.method.as_str(), asked.nth) {
        ("PUT", 0) if asked.length > 1000 => Act::Cut(500_000),
        _ => Act::Pass,
    });
    let image = layout(&[&[1; 1_000_000]]);
    let kept = Arc::new(RecordedEvents::default());
    let cx = Context::new(kept.clone()).unwrap();
    let request = PushRequest {
        source: PushSource::Path(image.path().to_str().unwrap().to_owned()),
        references: vec![format!("{}/x", proxy.address).parse().unwrap()],
        mount_from: Vec::new(),
        dry_run: false,
        attach: true,
        tagging: None,
        verify: false,
        registry: Settings::default(),
    };
    for _ in 0..2 {
        let pushed = push(&cx, &request).unwrap();
        assert_eq!(pushed.references[0].tag.as_deref(), Some("1.0"));
        let told = std::mem::take(&mut *kept.0.lock().unwrap());
        let (done, total) = *told.last().unwrap();
        assert_eq!(done, total);
        assert!(total > 1_000_000 && total < 1_001_000, "{total}");
        assert!(told.len() < 500 && told.iter().all(|(done, item)| done <= item && *item == total));
    }
}

#[test]
fn moved_tags_are_reported() {
    let Some(registry) = Registry::start() else { return };
    let (one, two) = (layout(&[b"one"]), layout(&[b"two"]));
    let home = TempDir::new().unwrap();
    let name = format!("{}/hello:1", registry.address);
    let push = |temp_dir: &TempDir, more: &str| {
        run(home.path(), &format!("push {name} --from {} {more}", temp_dir.path().display())).run()
    };
    push(&one, "");
    let was = digest(one.path());
    assert!(push(&two, "--dry-run").stdout.contains(&format!("  move  tag 1 from {was}")));
    assert!(push(&two, "").stderr.contains(&format!("{name} (it was {was})")));
}

#[test]
fn lost_races_are_reported() {
    let Some(registry) = Registry::start() else { return };
    let other = Digest::sha256(b"another");
    // After the tag was written, it is another.
    let proxy = Proxy::start(&registry.address, move |asked| {
        if asked.is("HEAD", "/manifests/1") && asked.nth == 1 {
            let digest = vec![("docker-content-digest", other.to_string())];
            return Act::Answer(200, digest, Vec::new());
        }
        Act::Pass
    });
    let image = layout(&[b"one"]);
    let home = TempDir::new().unwrap();
    let args = format!("push {}/x:1 --from {}", proxy.address, image.path().display());
    run(home.path(), &args)
        .status(5)
        .stderr(&format!("right after that it is `{other}`"))
        .hint("another client wrote the tag at the same time")
        .run();
}

#[test]
fn blobs_are_mounted_from_other_repositories() {
    let Some(registry) = Registry::start() else { return };
    let proxy = Proxy::start(&registry.address, |_| Act::Pass);
    let image = layout(&[b"one", b"two"]);
    let home = TempDir::new().unwrap();
    let push = |args: &str| {
        let from = image.path().display();
        run(home.path(), &format!("push {args} --from {from} --message-format json")).run().json()
    };
    let address = &proxy.address;
    let pushed = push(&format!("{address}/a/x:1 {address}/b/x:1"));
    assert_eq!(pushed["repositories"][0]["uploaded"].as_array().map(Vec::len), Some(3));
    assert_eq!(pushed["repositories"][1]["mounted"].as_array().map(Vec::len), Some(3));
    let asked = proxy.asked();
    assert_eq!(asked.iter().filter(|asked| asked.is("PUT", "/b/x/blobs/")).count(), 0);
    // One that does not have it: it is sent.
    let pushed = push(&format!("{address}/c/x:1 --mount-from none --mount-from a/x"));
    assert_eq!(pushed["repositories"][0]["mounted"].as_array().map(Vec::len), Some(3));
    let pushed = push(&format!("{address}/d/x:1 --mount-from none"));
    assert_eq!(pushed["repositories"][0]["uploaded"].as_array().map(Vec::len), Some(3));
}

/// Returns whether the registry has that blob of `x`.
fn has(registry: &Registry, blob: &[u8]) -> bool {
    let mut stream = TcpStream::connect(&registry.address).unwrap();
    let digest = Digest::sha256(blob);
    let ask = format!("HEAD /v2/x/blobs/{digest} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.starts_with("HTTP/1.1 200")
}

#[test]
fn a_killed_push_resumes() {
    let Some(registry) = Registry::start() else { return };
    let ((sender, reached), (go, gone)) = (channel(), channel::<()>());
    let held = Mutex::new(Some((sender, gone)));
    let (layer, other) = (b"the layer that never ends".as_slice(), b"another".as_slice());
    let digest = Digest::sha256(layer).to_string().replace(':', "%3A");
    let proxy = Proxy::start(&registry.address, move |asked| {
        if !asked.is("PUT", &digest) {
            return Act::Pass;
        }
        let Some((sender, gone)) = held.lock().unwrap().take() else { return Act::Pass };
        sender.send(()).unwrap();
        // Held until whoever asks is gone.
        let _ = gone.recv();
        Act::Cut(0)
    });
    let image = layout(&[layer, other]);
    let home = TempDir::new().unwrap();
    let args = format!("push {}/x:1 --from {}", proxy.address, image.path().display());
    let mut child = run(home.path(), &args).spawn();
    reached.recv_timeout(Duration::from_secs(60)).unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    // Asking is all the waiting that there is: each answer takes its time.
    while !has(&registry, other) {
        assert!(Instant::now() < end, "the other blob never came");
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    child.wait().unwrap();
    go.send(()).unwrap();
    assert!(!proxy.asked().iter().any(|asked| asked.is("PUT", "/manifests/")));
    let pushed = run(home.path(), &format!("{args} --message-format json")).run().json();
    let list = |name: &str| pushed["repositories"][0][name].as_array().unwrap().clone();
    assert_eq!(list("uploaded").len() + list("present").len(), 3, "{pushed}");
    assert!(list("uploaded").contains(&json!(Digest::sha256(layer))), "{pushed}");
    assert!(list("present").contains(&json!(Digest::sha256(other))), "{pushed}");
    if let Some(seen) = seen(&registry, "x:1") {
        assert_eq!(seen, pushed["digest"].as_str().unwrap());
    }
}

#[test]
fn an_interrupt_ends_it_at_once() {
    let (sender, reached) = channel();
    let sender = Mutex::new(sender);
    // A registry that asks to be left alone for a minute.
    let proxy = Proxy::start("", move |asked| {
        if asked.is("HEAD", "/blobs/") {
            let _ = sender.lock().unwrap().send(());
            return Act::Answer(503, vec![("retry-after", "60".into())], Vec::new());
        }
        status(404)
    });
    interrupted(&proxy.address, || reached.recv_timeout(Duration::from_secs(60)).unwrap());
    // One that says nothing at all.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let mut held = None;
    interrupted(&address, || held = Some(silent.accept().unwrap()));
}

/// A push that is interrupted once `there` was reached ends soon after, and as such.
fn interrupted(address: &str, there: impl FnOnce()) {
    let image = layout(&[b"one"]);
    let home = TempDir::new().unwrap();
    let args = format!("push {address}/x:1 --from {}", image.path().display());
    let child = run(home.path(), &args).spawn();
    there();
    let start = Instant::now();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn push_errors_are_reported_before_anything_is_sent() {
    let proxy = Proxy::start("", |_| status(404));
    let image = layout(&[b"one", b"two"]);
    let home = TempDir::new().unwrap();
    let name = format!("{}/x", proxy.address);
    let from = image.path().display().to_string();
    let other = Digest::sha256(b"other");
    let blob = image.path().join("blobs/sha256").join(Digest::sha256(b"two").hex());
    let refused = |status: i32, args: &str, error: &str, hint: &str| {
        run(home.path(), &format!("push {args}")).status(status).stderr(error).hint(hint).run();
    };
    refused(1, &format!("{name}@{other} --from {from}"), "and not `sha256:", "`127.0.0.1:");
    refused(2, &format!("{name} --from {from}:2.0"), "has no image `2.0`", "it has `1.0`");
    refused(2, &format!("{name} --from {from}/gone"), "there is no `", "name an OCI layout");
    refused(1, &format!("{name} --dist {from}"), "there is no `", "`cargo longshore dist`");
    fs::remove_file(&blob).unwrap();
    let missing = "is missing";
    refused(
        1,
        &format!("{name} --from {from}"),
        missing,
        "create the layout again, with all its platforms",
    );
    assert_eq!(proxy.asked().len(), 0);
    // One that is another is found while it is sent, and no manifest is.
    fs::write(&blob, b"owt").unwrap();
    let Some(registry) = Registry::start() else { return };
    let proxy = Proxy::start(&registry.address, |_| Act::Pass);
    let lies = "is corrupt: expected 3 bytes with that digest";
    refused(1, &format!("{}/x --from {from}", proxy.address), lies, "it is damaged");
    assert!(!proxy.asked().iter().any(|asked| asked.is("PUT", "/manifests/")));
    let text = run(home.path(), "push Hello --from x").status(2).run().stderr;
    assert!(text.contains("`Hello` is not an image reference: names are lowercase"), "{text}");
}
