//! Every fault at every request of a push, kills at any moment, and another registry.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use longshore::model::digest::Digest;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    push::{layout, of_platform, pair, run},
    support::{
        dist::{digest, found},
        peer,
        proxy::{Act, Asked, Proxy, status},
        random::random,
        registry::Registry,
        server::Server,
    },
};

/// A fault of one request, and whether a retry succeeds.
type Fault = (&'static str, bool, fn(&Asked) -> Act);

const FAULTS: [Fault; 19] = [
    ("cut before it is read", true, |_| Act::Cut(0)),
    ("cut in its first byte", true, |_| Act::Cut(1)),
    ("cut in the middle", true, |asked| Act::Cut(asked.length / 2)),
    ("cut before its last byte", true, |asked| Act::Cut(asked.length.saturating_sub(1))),
    ("cut before the answer", true, |_| Act::Swallow),
    ("cut after the answer's head", true, |_| Act::CutAnswer(0)),
    ("cut in the answer", true, |_| Act::CutAnswer(3)),
    ("408", true, |_| status(408)),
    ("429", true, |_| status(429)),
    ("429 with a time to wait", true, |_| {
        Act::Answer(429, vec![("retry-after", "0".into())], Vec::new())
    }),
    ("500", true, |_| status(500)),
    ("502", true, |_| status(502)),
    ("503", true, |_| status(503)),
    ("504", true, |_| status(504)),
    ("401: the token is no longer good", false, |_| status(401)),
    ("403", false, |_| status(403)),
    ("404: the session is lost", false, |_| status(404)),
    ("a redirect to nowhere", false, |_| {
        Act::Answer(307, vec![("location", "http://127.0.0.1:1/".into())], Vec::new())
    }),
    ("another digest", false, |_| {
        Act::With("docker-content-digest", Digest::sha256(b"x").to_string())
    }),
];

/// Returns the answer to one request, head and body.
fn get(address: &str, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    let kinds =
        "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json";
    let ask =
        format!("GET {path} HTTP/1.1\r\nhost: x\r\naccept: {kinds}\r\nconnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let body = answer.split_off(head);
    (String::from_utf8(answer).unwrap(), body)
}

/// Returns the content of the tag, with everything below it compared with its digest; `None` if there is no
/// such tag.
fn pulled(address: &str, name: &str, tag: &str) -> Option<String> {
    let (head, body) = get(address, &format!("/v2/{name}/manifests/{tag}"));
    if head.contains(" 404 ") {
        return None;
    }
    assert!(head.contains(" 200 "), "{name}: {head}");
    let mut open = vec![body.clone()];
    while let Some(bytes) = open.pop() {
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let below = ["manifests", "layers"].map(|key| json[key].as_array().cloned());
        let config = json["config"].as_object().map(|config| config["digest"].clone());
        let digests = below.into_iter().flatten().flatten().map(|item| item["digest"].clone());
        for digest in digests.chain(config) {
            let digest = digest.as_str().unwrap();
            let kind = if json["manifests"].is_array() { "manifests" } else { "blobs" };
            let (head, body) = get(address, &format!("/v2/{name}/{kind}/{digest}"));
            assert!(head.contains(" 200 "), "{name}: a tag without its {kind} {digest}: {head}");
            assert_eq!(Digest::sha256(&body).to_string(), digest, "{name}");
            if kind == "manifests" {
                open.push(body);
            }
        }
    }
    Some(Digest::sha256(&body).to_string())
}

#[test]
fn every_fault_at_every_request_is_handled_or_reported() {
    let Some(registry) = Registry::start() else { return };
    let dist = pair();
    dist.image(&[]);
    let layout = dist.root().join("image/hello");
    let expected = digest(&layout);
    let home = TempDir::new().unwrap();
    let push = |address: &str, name: &str| {
        let args = format!("push {address}/{name}:1 --from {}", layout.display());
        run(home.path(), &args).command.output().unwrap()
    };
    let clean = Proxy::start(&registry.address, |_| Act::Pass);
    assert!(push(&clean.address, "clean").status.success());
    let requests = clean.asked().len();
    assert!(requests > 15, "{requests}");
    let cases: Vec<(usize, usize)> =
        (0..FAULTS.len()).flat_map(|fault| (0..requests).map(move |at| (fault, at))).collect();
    let next = AtomicUsize::new(0);
    let ended: Mutex<BTreeMap<&str, (usize, usize)>> = Mutex::default();
    let work = || {
        while let Some(&(fault, at)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (what, transient, act) = FAULTS[fault];
            let count = AtomicUsize::new(0);
            let proxy = Proxy::start(&registry.address, move |asked| {
                match count.fetch_add(1, Ordering::SeqCst) == at {
                    true => act(asked),
                    false => Act::Pass,
                }
            });
            let name = format!("f{fault}/n{at}");
            let ran = push(&proxy.address, &name);
            let error = String::from_utf8_lossy(&ran.stderr).into_owned();
            let case = format!("{what}, at request {at}: {}\n{error}", ran.status);
            let found = pulled(&registry.address, &name, "1");
            let went = ran.status.success();
            match went {
                true => assert_eq!(found.as_deref(), Some(&*expected), "{case}"),
                false => {
                    assert_eq!(ran.status.code(), Some(5), "{case}");
                    assert!(error.contains("error: ") && !transient, "{case}");
                    assert!(found.is_none_or(|found| found == expected), "{case}");
                    // Run again, it goes on from what is there.
                    assert!(push(&registry.address, &name).status.success(), "{case}");
                    let found = pulled(&registry.address, &name, "1");
                    assert_eq!(found.as_deref(), Some(&*expected), "{case}");
                }
            }
            let mut ended = ended.lock().unwrap();
            let counts = ended.entry(what).or_default();
            *(if went { &mut counts.0 } else { &mut counts.1 }) += 1;
        }
    };
    std::thread::scope(|scope| {
        // They wait more than they work.
        let threads: Vec<_> = (0..12).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
    let ended = ended.into_inner().unwrap();
    let sum = |item: fn(&(usize, usize)) -> usize| ended.values().map(item).sum::<usize>();
    eprintln!(
        "{} faults: {} pushes went through, {} were told with status 5 and went through when run \
         again; of each, {ended:?}",
        cases.len(),
        sum(|item| item.0),
        sum(|item| item.1)
    );
}

#[test]
fn a_push_killed_at_any_moment_leaves_no_tag_without_its_image() {
    let Some(registry) = Registry::start() else { return };
    let noise: Vec<u8> = {
        let mut random = random(11);
        std::iter::repeat_with(|| random() as u8).take(3 << 20).collect()
    };
    let home = TempDir::new().unwrap();
    let (mut killed, mut tagged) = (0, 0);
    let mut took = Duration::ZERO;
    let mut random = random(13);
    for round in 0..101_u32 {
        // Content of its own, so that there is something to send.
        let mut layer = noise.clone();
        layer[..4].copy_from_slice(&round.to_le_bytes());
        let image = layout(&[&layer, &round.to_le_bytes()]);
        let name = format!("r{round}");
        let args = format!("push {}/{name}:1 --from {}", registry.address, image.path().display());
        let expected = digest(image.path());
        let start = Instant::now();
        let mut child = run(home.path(), &args).spawn();
        // The first one says how long it takes.
        if round == 0 {
            assert!(child.wait().unwrap().success());
            took = start.elapsed();
            continue;
        }
        let moment = took.mul_f64((random() % 1000) as f64 / 1000.0);
        while start.elapsed() < moment {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().code().is_none());
        let found = pulled(&registry.address, &name, "1");
        tagged += usize::from(found.is_some());
        assert!(found.is_none_or(|found| found == expected), "round {round}");
        run(home.path(), &args).run();
        assert_eq!(pulled(&registry.address, &name, "1"), Some(expected), "round {round}");
    }
    eprintln!(
        "100 rounds: {killed} pushes were killed, {tagged} tags were there before the second"
    );
    assert!(killed > 30, "{killed}");
}

#[test]
fn locations_without_a_host_are_of_the_same_one() {
    let Some(registry) = Registry::start_with_relative_locations() else { return };
    let image = layout(&[&[7; 100_000], b"two"]);
    let home = TempDir::new().unwrap();
    let push = format!("push {}/a/b:1 --from {}", registry.address, image.path().display());
    run(home.path(), &push).run();
    let expected = digest(image.path());
    assert_eq!(pulled(&registry.address, "a/b", "1"), Some(expected));
}

/// crane's own registry, which has nothing in common with docker-registry.
#[test]
fn another_registry_implementation_agrees() {
    let Some(crane) = peer::crane() else { return };
    let mut command = Command::new(crane);
    command.args(["registry", "serve", "--address", "127.0.0.1:0"]);
    let (_server, line) = Server::start(&mut command, "serving on ");
    let port = line.rsplit([' ', ':']).next().unwrap();
    let address = format!("127.0.0.1:{port}");
    let home = TempDir::new().unwrap();
    let dist = pair();
    dist.image(&[]);
    let expected = digest(&dist.root().join("image/hello"));
    let push = format!("push {address}/a:1 {address}/b/c:2 --dist {}", dist.root().display());
    let pushed = run(home.path(), &push).run().stdout;
    assert_eq!(pushed, format!("{address}/a@{expected}\n{address}/b/c@{expected}\n"));
    assert_eq!(pulled(&address, "a", "1").as_deref(), Some(&*expected));
    assert_eq!(pulled(&address, "b/c", "2").as_deref(), Some(&*expected));
    let again = run(home.path(), &format!("{push} --message-format json")).run().json();
    for repository in again["repositories"].as_array().unwrap() {
        assert_eq!(repository["uploaded"], serde_json::json!([]), "{again}");
    }
    let there = format!("image inspect {address}/a:1 --message-format json");
    let inspected = run(home.path(), &there).run().json();
    assert!(inspected.to_string().contains(&expected), "{inspected}");
    run(home.path(), &format!("image diff {address}/a:1 {address}/b/c:2")).run();
}

#[test]
fn ten_parts_are_merged_without_reading_layers() {
    const TEN: [&str; 10] = [
        "linux/386",
        "linux/amd64",
        "linux/arm/v6",
        "linux/arm/v7",
        "linux/arm64",
        "linux/loong64",
        "linux/mips64le",
        "linux/ppc64le",
        "linux/riscv64",
        "linux/s390x",
    ];
    let Some(registry) = Registry::start() else { return };
    let home = TempDir::new().unwrap();
    let mut layers = Vec::new();
    let parts = TEN.map(|platform| {
        let part = of_platform(platform, &[platform.as_bytes()], &json!({}));
        let layout = part.path();
        layers.extend(found(layout)[0].manifest.layers.iter().map(|layer| layer.digest.hex()));
        let digest = digest(layout);
        let name = format!("{}/parts@{digest}", registry.address);
        run(home.path(), &format!("push {name} --from {}", layout.display())).run();
        digest
    });
    let proxy = Proxy::start(&registry.address, |_| Act::Pass);
    let names = parts.map(|digest| format!("{}/parts@{digest}", proxy.address)).join(" ");
    // Into the same repository, and into another one of the same registry, which mounts them.
    for name in ["parts", "release"] {
        run(home.path(), &format!("merge {names} --push {}/{name}:1", proxy.address)).run();
        let asked = proxy.asked();
        let moved = asked.iter().filter(|asked| {
            let layer = layers.iter().any(|hex| asked.path.contains(hex.as_str()));
            layer && asked.method != "HEAD" && !asked.path.contains("mount=")
        });
        assert_eq!(moved.count(), 0, "{asked:#?}");
        assert!(pulled(&registry.address, name, "1").is_some());
    }
}
