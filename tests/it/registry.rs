//! Registries that are slow, broken, careful or false, and images that are read from them.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use longshore::{
    model::event::Silent,
    sys::{
        Context,
        registry::{Session, Settings},
    },
};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    push::{layout, pair, run},
    schema::valid,
    support::{
        dist::digest,
        proxy::{Act, Asked, Proxy, status},
        registry::Registry,
    },
};

#[test]
fn transient_failures_are_retried() {
    let Some(registry) = Registry::start() else { return };
    let proxy = Proxy::start(&registry.address, |asked| {
        let busy = |code: u16| Act::Answer(code, vec![("retry-after", "1".into())], Vec::new());
        match (asked.method.as_str(), asked.nth) {
            ("POST", 0) => busy(503),
            ("POST", 1) => busy(429),
            ("POST", 2) => status(500),
            // In the middle of a blob, and after all of it.
            ("PUT", 0) if asked.path.contains("/blobs/") => Act::Cut(1000),
            ("PUT", 1) if asked.path.contains("/blobs/") => Act::Swallow,
            ("PUT", 0) if asked.path.contains("/manifests/1") => status(504),
            ("HEAD", 0) if asked.path.contains("/manifests/1") => Act::Cut(0),
            _ => Act::Pass,
        }
    });
    let image = layout(&[&[7; 100_000], &[8; 100_000]]);
    let home = TempDir::new().unwrap();
    let args = format!("push {}/x:1 --from {}", proxy.address, image.path().display());
    let ran = run(home.path(), &args).run();
    for told in ["503 service unavailable", "429 too many requests", "the connection broke"] {
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
    }
    // A new upload each time.
    let asked = proxy.asked();
    let count =
        |method: &str| asked.iter().filter(|asked| asked.is(method, "/blobs/uploads/")).count();
    assert!(count("POST") >= 3 + 3 + 2, "{asked:#?}");
    run(home.path(), &format!("image inspect {}/x:1", registry.address)).status(1).run();
}

#[test]
fn permanent_failures_are_reported_at_once() {
    let home = TempDir::new().unwrap();
    let image = layout(&[b"one"]);
    let refused = |code: u16, text: &str, hint: &str| {
        let body = json!({ "errors": [{ "code": "DENIED", "message": "not\u{1b}[31m you" }] });
        let proxy = Proxy::start("", move |asked| match asked.method.as_str() {
            "HEAD" => status(404),
            _ => Act::Answer(code, Vec::new(), body.to_string().into_bytes()),
        });
        let args = format!("push {}/x:1 --from {}", proxy.address, image.path().display());
        let ran =
            run(home.path(), &args).status(5).stderr(text).stderr("\nhint: ").stderr(hint).run();
        assert!(ran.stderr.contains("DENIED: not[31m you"), "{}", ran.stderr);
        assert!(ran.stderr.contains("cannot push the blob"), "{}", ran.stderr);
    };
    refused(403, "403 forbidden", "there are no credentials");
    refused(413, "413 content too large", "rejects uploads of this size");
    refused(405, "405 method not allowed", "may be a read-only mirror");
    // An hour is not waited for.
    let proxy =
        Proxy::start("", |_| Act::Answer(429, vec![("retry-after", "3600".into())], vec![]));
    let from = image.path().display();
    run(home.path(), &format!("push {}/x:1 --from {from}", proxy.address))
        .status(5)
        .stderr("429 too many requests")
        .hint("`127.0.0.1:")
        .run();
    assert_eq!(proxy.asked().iter().filter(|asked| asked.method == "HEAD").count(), 1);
    run(home.path(), &format!("push 127.0.0.1:1/x:1 --from {from}"))
        .status(5)
        .stderr("`127.0.0.1:1`: cannot talk to the registry: the connection is refused")
        .hint("is the name `127.0.0.1:1` right")
        .run();
    run(home.path(), &format!("push registry.invalid/x:1 --from {from}"))
        .env("NO_PROXY", "*")
        .status(5)
        .stderr("`registry.invalid`: cannot")
        .run();
}

/// Answers that no registry should give: each is an error, and nothing panics.
#[test]
fn noise_is_an_error() {
    let home = TempDir::new().unwrap();
    let image = layout(&[b"one"]);
    let huge = Arc::new(vec![b'x'; 5 << 20]);
    let answers: Vec<(&str, Act)> = vec![
        ("no location", status(202)),
        ("bad location", Act::Answer(202, vec![("location", "ftp://x/".into())], vec![])),
        ("empty location", Act::Answer(202, vec![("location", String::new())], vec![])),
        ("redirect", Act::Answer(307, vec![("location", "http://x/".into())], vec![])),
        ("teapot", Act::Answer(418, vec![], huge[..100_000].to_vec())),
        (
            "odd challenge",
            Act::Answer(401, vec![("www-authenticate", "Bearer realm=".into())], vec![]),
        ),
        (
            "no realm",
            Act::Answer(401, vec![("www-authenticate", "Bearer realm=\"::\"".into())], vec![]),
        ),
    ];
    for (name, act) in answers {
        let proxy = Proxy::start("", move |asked| match asked.method.as_str() {
            "HEAD" => status(404),
            _ => act.clone(),
        });
        let args = format!("push {}/x:1 --from {}", proxy.address, image.path().display());
        let ran = run(home.path(), &args).status(5).run();
        assert!(!ran.stderr.contains("panicked"), "{name}: {}", ran.stderr);
    }
    let bodies =
        [b"{}".to_vec(), b"[".repeat(100_000), huge.to_vec(), b"{\"manifests\":[]}".to_vec()];
    for body in bodies {
        let proxy = Proxy::start("", move |_| Act::Answer(200, vec![], body.clone()));
        let ran = run(home.path(), &format!("image inspect {}/x:1", proxy.address)).status(1).run();
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
}

/// A blob that is sent in pieces, some of which break.
#[test]
fn large_blobs_are_sent_in_chunks_that_resume() {
    const MIB: usize = 1 << 20;
    let Some(registry) = Registry::start() else { return };
    let mut layer = vec![0; 65 * MIB];
    for (n, block) in layer.chunks_mut(4096).enumerate() {
        block[..8].copy_from_slice(&n.to_le_bytes());
    }
    let image = layout(&[&layer]);
    let proxy = Proxy::start(&registry.address, |asked| match (asked.method.as_str(), asked.nth) {
        ("POST", _) => Act::With("OCI-Chunk-Min-Length", (20 * MIB).to_string()),
        // Nothing of it arrives; all of it does, and nobody says so; it is said not to fit.
        ("PATCH", 0) => Act::Cut(MIB as u64),
        ("PATCH", 2) => Act::Swallow,
        ("PATCH", 3) => Act::Answer(416, vec![], vec![]),
        _ => Act::Pass,
    });
    let home = TempDir::new().unwrap();
    let args = format!("push {}/x:1 --from {}", proxy.address, image.path().display());
    run(home.path(), &args).run();
    let asked = proxy.asked();
    let pieces: Vec<_> = asked.iter().filter(|asked| asked.method == "PATCH").collect();
    let ranges: Vec<_> = pieces.iter().map(|asked| asked.header("content-range")).collect();
    let range = |from: usize, to: usize| format!("{}-{}", from * MIB, to * MIB - 1);
    let expected = [
        range(0, 20),
        range(0, 20),
        range(20, 40),
        // This registry knows an upload only by its newest address, which nobody got: a new one.
        range(0, 20),
        range(0, 20),
        range(20, 40),
        range(40, 60),
        range(60, 65),
    ];
    assert_eq!(ranges, expected);
    // The small one goes whole.
    assert_eq!(asked.iter().filter(|asked| asked.method == "POST").count(), 1 + 2);
    // Where pieces are not understood, it goes whole.
    let proxy = Proxy::start(&registry.address, |asked| match asked.method.as_str() {
        "PATCH" => status(405),
        _ => Act::Pass,
    });
    let args = format!("push {}/y:1 --from {}", proxy.address, image.path().display());
    run(home.path(), &args).run();
    let asked = proxy.asked();
    assert!(asked.iter().any(|asked| asked.method == "PUT" && asked.length == 65 * MIB as u64));
}

#[test]
fn images_in_registries_are_inspected_like_layouts() {
    let Some(registry) = Registry::start() else { return };
    let dist = pair();
    dist.image(&[]);
    let home = TempDir::new().unwrap();
    let name = format!("{}/hello", registry.address);
    run(home.path(), &format!("push {name} --dist {}", dist.root().display())).run();
    let layout = dist.root().join("image/hello");
    let digest = digest(&layout);
    let of_layout =
        run(home.path(), "image inspect --message-format json").arg(&layout).run().json();
    for reference in
        [format!("{name}:1.0"), format!("{name}@{digest}"), format!("docker://{name}:1.0")]
    {
        let inspect = format!("image inspect --message-format json {reference}");
        let ran = run(home.path(), &inspect).run();
        assert_ne!(valid("image.v1", &ran.stdout), Some(false));
        let told = ran.json();
        let (own, other) = (&told["sources"][0], &of_layout["sources"][0]);
        assert_eq!(own["form"], "registry");
        assert_eq!(own["sets"][0]["digest"], digest.as_str());
        assert_eq!(own["sets"][0]["images"], other["sets"][0]["images"], "{reference}");
        let diff = run(home.path(), &format!("image diff {reference}")).arg(&layout).run();
        assert!(!diff.stdout.is_empty());
        let verified = run(home.path(), &format!("verify {reference}")).run();
        let of_file = run(home.path(), "verify").arg(&layout).run();
        let plain = |text: &str, name: &str| text.replace(name, "NAME");
        assert_eq!(
            plain(&verified.stdout, &reference),
            plain(&of_file.stdout, layout.to_str().unwrap())
        );
    }
    // A path that is there wins.
    fs::create_dir_all(home.path().join(&name)).unwrap();
    run(home.path(), &format!("image inspect {name}"))
        .status(1)
        .stderr("it is a directory with no layout in it")
        .run();
    run(home.path(), &format!("image inspect docker://{name}:gone"))
        .status(5)
        .stderr("has no `hello:gone`")
        .run();
}

/// Compares received content with its digest, whatever the registry sends.
#[test]
fn pulled_content_is_checked() {
    let Some(registry) = Registry::start() else { return };
    let dist = pair();
    dist.image(&[]);
    let home = TempDir::new().unwrap();
    let push = format!("push {}/hello --dist {}", registry.address, dist.root().display());
    run(home.path(), &push).run();
    let digest = digest(&dist.root().join("image/hello"));
    for part in ["/manifests/", "/blobs/"] {
        let proxy = Proxy::start(&registry.address, move |asked| match asked.is("GET", part) {
            true => Act::Change,
            false => Act::Pass,
        });
        for target in [":1.0".to_owned(), format!("@{digest}")] {
            let name = format!("{}/hello{target}", proxy.address);
            for verb in ["image inspect", "verify"] {
                let ran = run(home.path(), &format!("{verb} {name}")).status(1);
                let ran = if verb == "verify" {
                    ran.stdout("is corrupt")
                } else {
                    ran.stderr("is corrupt")
                };
                ran.run();
            }
        }
    }
    // What breaks goes on where it broke.
    let proxy =
        Proxy::start(&registry.address, |asked| match (asked.nth, asked.is("GET", "/blobs/")) {
            (0 | 2, true) => Act::CutAnswer(100),
            _ => Act::Pass,
        });
    run(home.path(), &format!("image inspect {}/hello:1.0", proxy.address)).run();
    let asked = proxy.asked();
    let ranges = asked.iter().filter(|asked| asked.header("range") == "bytes=100-").count();
    assert_eq!(ranges, 2, "{asked:#?}");
}

/// Returns a registry that wants tokens: `Basic` at its token server, or an identity token.
fn with_tokens(upstream: &str) -> Proxy {
    let served = Mutex::new(0);
    Proxy::start(upstream, move |asked| {
        let host = asked.header("host");
        let user = format!("Basic {}", STANDARD.encode("me:hunter2"));
        let json = |text: String| Act::Answer(200, vec![], text.into_bytes());
        if asked.path.starts_with("/token") {
            let mut served = served.lock().unwrap();
            *served += 1;
            let known = asked.header("authorization") == user || asked.method == "POST";
            return match known {
                true => json(format!("{{\"token\": \"token-{served}\", \"expires_in\": 60}}")),
                false => Act::Answer(401, vec![], b"{\"details\":\"who is hunter2?\"}".to_vec()),
            };
        }
        let token = asked.header("authorization").strip_prefix("Bearer token-");
        let number = token.and_then(|number| number.parse::<u32>().ok()).unwrap_or(0);
        // The first one is soon too old.
        let old = number == 1 && asked.method == "PUT";
        if number == 0 || old {
            let challenge = format!(
                "Bearer realm=\"http://{host}/token\",service=\"it\",scope=\"repository:x:pull\""
            );
            return Act::Answer(401, vec![("www-authenticate", challenge)], vec![]);
        }
        Act::Pass
    })
}

#[test]
fn tokens_are_requested_from_the_realm() {
    let Some(registry) = Registry::start() else { return };
    let proxy = with_tokens(&registry.address);
    let image = layout(&[b"one", b"two"]);
    let home = TempDir::new().unwrap();
    let args = format!("push {}/team/x:1 --from {}", proxy.address, image.path().display());
    run(home.path(), &args)
        .status(5)
        .stderr("cannot get a token: 401 unauthorized: who is hunter2?")
        .hint("there are no credentials for")
        .run();
    let login = |password: &str| {
        run(home.path(), &args)
            .env("LONGSHORE_REGISTRY_HOST", &proxy.address)
            .env("LONGSHORE_REGISTRY_USER", "me")
            .env("LONGSHORE_REGISTRY_PASSWORD", password)
    };
    proxy.asked();
    login("hunter2").run();
    let asked = proxy.asked();
    let tokens: Vec<_> = asked.iter().filter(|asked| asked.is("GET", "/token")).collect();
    let expected = "/token?service=it&scope=repository%3Ateam%2Fx%3Apull%2Cpush";
    assert!(tokens.iter().all(|asked| asked.path == expected), "{tokens:?}");
    // Passwords are for the token server, and not for each request.
    let basic = |asked: &&Asked| asked.header("authorization").starts_with("Basic");
    assert!(asked.iter().filter(basic).all(|asked| asked.path.starts_with("/token")));
    // An identity token is given in the body of a form.
    let auths = json!({ "auths": { &proxy.address: { "identitytoken": "id&1" } } });
    fs::write(home.path().join("config.json"), auths.to_string()).unwrap();
    run(home.path(), &args).env("DOCKER_CONFIG", home.path()).run();
    let asked = proxy.asked();
    assert!(
        asked.iter().any(|asked| asked.is("POST", "/token") && asked.length > 80),
        "{asked:#?}"
    );
}

/// The variables are for the registry that one of them names, and for no other host.
#[test]
fn a_password_goes_to_one_registry_and_to_no_other_host() {
    let Some(registry) = Registry::start() else { return };
    let challenge = || Act::Answer(401, vec![("www-authenticate", "Basic realm=x".into())], vec![]);
    let careful = move |asked: &Asked| match asked.header("authorization") {
        "" => challenge(),
        _ => Act::Pass,
    };
    let (one, two) =
        (Proxy::start(&registry.address, careful), Proxy::start(&registry.address, careful));
    let image = layout(&[b"one"]);
    let home = TempDir::new().unwrap();
    let from = image.path().display();
    let login = |host: &str, args: &str| {
        run(home.path(), args)
            .env("LONGSHORE_REGISTRY_HOST", host)
            .env("LONGSHORE_REGISTRY_USER", "me")
            .env("LONGSHORE_REGISTRY_PASSWORD", "hunter2")
    };
    login(&one.address, &format!("push {}/x:1 {}/x:1 --from {from}", one.address, two.address))
        .status(5)
        .stderr("401 unauthorized")
        .run();
    for verb in ["verify", "image inspect"] {
        let test = login("ghcr.io", &format!("{verb} {}/x:1", two.address));
        test.status(if verb == "verify" { 1 } else { 5 }).stdout("").run();
    }
    assert!(two.asked().iter().all(|asked| asked.header("authorization").is_empty()));
    login(&one.address, &format!("push {}/x:1 --from {from}", one.address)).run();
    // Where blobs and uploads are elsewhere, it does not go along.
    let store = Proxy::start(&registry.address, |_| Act::Pass);
    let (place, to) = (store.address.clone(), registry.address.clone());
    let moved = Proxy::start(&registry.address, move |asked| {
        let there = format!("http://{place}{}", asked.path);
        match asked.header("authorization") {
            "" => challenge(),
            _ if asked.is("GET", "/blobs/") => Act::Answer(307, vec![("location", there)], vec![]),
            _ => Act::Pass,
        }
    });
    login(&moved.address, &format!("push {}/y:1 --from {from}", moved.address)).run();
    login(&moved.address, &format!("image inspect {}/y:1", moved.address)).status(1).run();
    let asked = store.asked();
    assert!(
        !asked.is_empty() && asked.iter().all(|a| a.header("authorization").is_empty()),
        "{to}"
    );
}

/// Checks that programs print no variable of their values.
#[test]
fn no_variable_is_shown() {
    let cx = Context::new(Arc::new(Silent)).unwrap();
    let session = Session::new(&cx, &Settings::default());
    let repository = session.repository(&"ghcr.io/me/x".parse().unwrap()).unwrap();
    let shown = format!("{cx:?}{session:?}{repository:?}");
    let (name, value) = cx.env.vars().find(|(name, _)| *name == "CARGO_PKG_DESCRIPTION").unwrap();
    assert!(shown.contains(name) && !shown.contains(value), "{shown}");
}

/// Checks that no failure and no response of a registry prints a secret.
#[test]
fn no_secret_is_shown() {
    let secret = "hunter2-and-more";
    let basic = STANDARD.encode(format!("me:{secret}"));
    let image = layout(&[b"one"]);
    let home = TempDir::new().unwrap();
    let mut shown = String::new();
    // Registries that say what they were told.
    for kind in ["Basic realm=x", "Bearer realm=\"/token\"", "Bearer realm=\"/refuse\""] {
        for code in [401, 403, 400, 503] {
            let proxy = Proxy::start("", move |asked| {
                let said = asked.header("authorization").to_owned();
                let known = said.split(' ').nth(1).unwrap_or_default().to_owned();
                let plain = STANDARD.decode(&known).unwrap_or_default();
                let plain = String::from_utf8_lossy(&plain).into_owned();
                if asked.path.starts_with("/token") {
                    return Act::Answer(200, vec![], b"{\"token\":\"secret-token\"}".to_vec());
                }
                if said.is_empty() && !asked.path.starts_with("/refuse") {
                    return Act::Answer(401, vec![("www-authenticate", kind.into())], vec![]);
                }
                let text = json!({ "errors": [{ "code": said, "message": plain }] }).to_string();
                let headers = vec![
                    ("retry-after", "3600".into()),
                    ("location", format!("/?{known}")),
                    ("www-authenticate", kind.into()),
                ];
                Act::Answer(code, headers, text.into_bytes())
            });
            for args in [
                format!("push {}/x:1 --from {}", proxy.address, image.path().display()),
                format!("image inspect {}/x:1 -v", proxy.address),
                format!("verify {}/x:1", proxy.address),
            ] {
                let output = run(home.path(), &args)
                    .env("LONGSHORE_REGISTRY_HOST", &proxy.address)
                    .env("LONGSHORE_REGISTRY_USER", "me")
                    .env("LONGSHORE_REGISTRY_PASSWORD", secret)
                    .command
                    .output()
                    .unwrap();
                assert!(!output.status.success(), "{args}");
                shown += &String::from_utf8_lossy(&output.stdout);
                shown += &String::from_utf8_lossy(&output.stderr);
            }
        }
    }
    assert!(shown.contains("403 forbidden"), "{shown}");
    for secret in [secret, "hunter2", basic.as_str(), "secret-token"] {
        assert!(!shown.contains(secret), "`{secret}` in {shown}");
    }
}
