//! To whom credentials are sent, and to whom they are not.

use tempfile::TempDir;

use crate::{
    push::{layout, run},
    support::{
        command::Test,
        proxy::{Act, Asked, Proxy},
        registry::Registry,
        tls::{Both, Greeting, certificate},
        tunnel::Tunnel,
    },
};

/// base64 of `me:hunter2`.
const BASIC: &str = "Basic bWU6aHVudGVyMg==";

fn login(test: Test, host: &str) -> Test {
    test.env("LONGSHORE_REGISTRY_HOST", host)
        .env("LONGSHORE_REGISTRY_USER", "me")
        .env("LONGSHORE_REGISTRY_PASSWORD", "hunter2")
        .absent("hunter2")
}

/// A host that is not this machine, to which a proxy leads.
const HOST: &str = "registry.example";

/// Returns the command `test` with the proxy.
fn through(test: Test, tunnel: &Tunnel) -> Test {
    let proxy = format!("http://{}", tunnel.address);
    test.env("HTTPS_PROXY", &proxy).env("HTTP_PROXY", &proxy)
}

/// Checks that an attacker who can make TLS fail does not get the password.
#[test]
fn a_tls_error_under_insecure_sends_nothing_over_plain_http() {
    let (home, image) = (TempDir::new().unwrap(), layout(&[b"one"]));
    let Some(wrong) = certificate(home.path(), "other", "DNS:other.example", false, None) else {
        return;
    };
    for (greeting, said) in [
        (Greeting::Tls, "TLS failed: invalid peer certificate"),
        (Greeting::Alert, "TLS failed: received fatal alert"),
        (Greeting::End, "the connection broke"),
    ] {
        let both = Both::start(&wrong, greeting);
        let tunnel = Tunnel::start(Ok(&both.address));
        let push = format!("push {HOST}/x:1 --from {} --insecure {HOST}", image.path().display());
        for args in [push, format!("image inspect {HOST}/x:1 --insecure {HOST}")] {
            let test = login(through(run(home.path(), &args), &tunnel), HOST);
            test.status(5).stderr(said).run();
        }
        let asked = both.asked();
        assert!(asked.iter().all(|line| line.starts_with("tls")), "{greeting:?}: {asked:?}");
    }
    // The certificate is trusted, but for another name.
    let both = Both::start(&wrong, Greeting::Tls);
    let tunnel = Tunnel::start(Ok(&both.address));
    let ca = wrong.path.display();
    let args = format!("image inspect {HOST}/x:1 --insecure {HOST} --ca {ca}");
    login(through(run(home.path(), &args), &tunnel), HOST)
        .status(5)
        .hint("use a name that the certificate is for")
        .run();
    assert_eq!(both.asked(), Vec::<String>::new());
}

#[test]
fn plain_http_under_insecure_needs_an_answer_without_tls() {
    let home = TempDir::new().unwrap();
    let names = format!("DNS:{HOST}");
    let Some(own) = certificate(home.path(), "own", &names, false, None) else { return };
    let run = |both: &Both, more: &str| {
        let tunnel = Tunnel::start(Ok(&both.address));
        let args = format!("image inspect {HOST}/x:1 {more}");
        login(through(run(home.path(), &args), &tunnel), HOST).status(5).run();
        both.asked()
    };
    let plain = Both::start(&own, Greeting::Http);
    let asked = run(&plain, &format!("--insecure {HOST}"));
    assert!(asked.iter().all(|line| line.starts_with("http")), "{asked:?}");
    assert!(asked.iter().any(|line| line.ends_with(BASIC)), "{asked:?}");
    // Without being named it gets nothing.
    assert_eq!(run(&plain, ""), Vec::<String>::new());
    // A server with TLS that rejects the first request has TLS all the same.
    let rejects = Both::start(&own, Greeting::Rejects);
    let asked = run(&rejects, &format!("--insecure {HOST} --ca {}", own.path.display()));
    assert!(!asked.is_empty() && asked.iter().all(|line| line.starts_with("tls")), "{asked:?}");
}

#[test]
fn the_variables_name_their_registry() {
    let Some(registry) = Registry::start_with_password() else { return };
    let (home, image) = (TempDir::new().unwrap(), layout(&[b"one"]));
    let address = &registry.address;
    let args = format!("push {address}/x:1 --from {}", image.path().display());
    let with = |host: Option<&str>, user: &str, password: &str| {
        let test = run(home.path(), &args)
            .env("LONGSHORE_REGISTRY_USER", user)
            .env("LONGSHORE_REGISTRY_PASSWORD", password)
            .absent("hunter2");
        match host {
            Some(host) => test.env("LONGSHORE_REGISTRY_HOST", host),
            None => test,
        }
    };
    with(Some(address), "me", "hunter2").run();
    with(None, "me", "hunter2")
        .status(2)
        .stderr("`LONGSHORE_REGISTRY_PASSWORD` is set, and `LONGSHORE_REGISTRY_HOST` is not")
        .hint("set `LONGSHORE_REGISTRY_HOST` to the registry that the password is for")
        .run();
    // Those for another registry are as none; the hint says what to set.
    with(Some("ghcr.io"), "me", "hunter2")
        .status(5)
        .stderr("401 unauthorized")
        .stderr(&format!("set `LONGSHORE_REGISTRY_HOST` to `{address}`"))
        .run();
    for (host, user, password, said) in [
        ("a host", "me", "hunter2", "is `a host`, not a host"),
        ("ghcr.io/me", "me", "hunter2", "is `ghcr.io/me`, not a host"),
        ("ghcr.io\n", "me", "hunter2", "not a host"),
        (address, "me", "hunter2\n", "`LONGSHORE_REGISTRY_PASSWORD` cannot be used: it ends with"),
        (address, "me", "hunter2\r\n", "it ends with a line break"),
        (address, "me", "hun\u{7}ter2", "it contains a control character"),
        (address, "me\n", "hunter2", "`LONGSHORE_REGISTRY_USER` cannot be used"),
        (address, "a:b", "hunter2", "`LONGSHORE_REGISTRY_USER` contains a colon"),
    ] {
        with(Some(host), user, password).status(2).stderr(said).run();
    }
}

/// Returns a registry behind the name `registry.example`, which a proxy leads to, with that `realm`.
fn public(realm: String) -> (Proxy, Tunnel) {
    let registry = Proxy::start("", move |asked| {
        let challenge = format!("Bearer realm=\"{realm}\",service=\"s\"");
        match asked.path.starts_with("/token") {
            true => Act::Answer(200, vec![], b"{\"token\":\"token-1\"}".to_vec()),
            false => Act::Answer(401, vec![("www-authenticate", challenge)], vec![]),
        }
    });
    let tunnel = Tunnel::start(Ok(&registry.address));
    (registry, tunnel)
}

#[test]
fn realms_on_plain_http_or_localhost_get_no_credentials() {
    let home = TempDir::new().unwrap();
    let victim =
        Proxy::start("", |_| Act::Answer(200, vec![], b"{\"token\":\"token-1\"}".to_vec()));
    let port = victim.address.rsplit(':').next().unwrap().to_owned();
    for (realm, said) in [
        (format!("http://127.0.0.1:{port}/token"), "is on this machine or its network"),
        (format!("http://localhost:{port}/token"), "is on this machine or its network"),
        (format!("https://127.0.0.1:{port}/token"), "is on this machine or its network"),
        (format!("https://127.1:{port}/token"), "is on this machine or its network"),
        (format!("https://[::1]:{port}/token"), "is on this machine or its network"),
        ("https://10.1.2.3/token".to_owned(), "is on this machine or its network"),
        ("https://169.254.169.254/token".to_owned(), "is on this machine or its network"),
        ("http://auth.example/token".to_owned(), "`auth.example` uses plain HTTP"),
        ("http://me@auth.example/token".to_owned(), "cannot be used"),
        ("ftp://auth.example/token".to_owned(), "cannot be used"),
    ] {
        let (registry, tunnel) = public(realm.clone());
        let args = "image inspect registry.example/x:1 --insecure registry.example";
        let test = run(home.path(), args)
            // TLS with it fails as with a server that has none, and it is asked over plain HTTP.
            .env("HTTPS_PROXY", format!("http://{}", tunnel.address))
            .env("HTTP_PROXY", format!("http://{}", tunnel.address));
        login(test, "registry.example").status(5).stderr(said).run();
        let authorized = |asked: &Asked| !asked.header("authorization").is_empty();
        assert!(!registry.asked().iter().any(authorized), "{realm}");
        assert_eq!(victim.asked().len(), 0, "{realm}");
        let asked = tunnel.asked();
        assert!(asked.iter().all(|line| line.contains("registry.example:")), "{realm}: {asked:?}");
    }
    // One on the registry itself, or on a host that was named, is asked, with the password.
    for (realm, more) in [
        ("/token".to_owned(), ""),
        ("http://auth.example/token".to_owned(), " --insecure auth.example"),
    ] {
        let (registry, tunnel) = public(realm);
        let args = format!("image inspect registry.example/x:1 --insecure registry.example{more}");
        let proxy = format!("http://{}", tunnel.address);
        let test = run(home.path(), &args).env("HTTPS_PROXY", &proxy).env("HTTP_PROXY", &proxy);
        login(test, "registry.example").status(5).stderr("401 unauthorized").run();
        let asked = registry.asked();
        let token = asked.iter().find(|asked| asked.path.starts_with("/token")).unwrap();
        assert_eq!(token.header("authorization"), BASIC);
    }
}

/// Checks that responses of a registry reach the terminal without control characters.
#[test]
fn output_of_a_registry_cannot_control_the_terminal() {
    let home = TempDir::new().unwrap();
    let evil = "\u{1b}]0;x\u{7}\u{1b}[2K\u{9b}2J\u{202e}::error::no";
    let hex = "0".repeat(64);
    for body in [
        evil.to_owned(),
        format!("{{\"errors\":[{{\"code\":\"{evil}\",\"message\":\"{evil}\"}}]}}"),
        format!("{{\"token\":\"{evil}\"}}"),
        format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"{evil}\",\"config\":{{\"mediaType\":\"{evil}\",\
             \"digest\":\"sha256:{hex}\",\"size\":2,\"annotations\":{{\"{evil}\":\"{evil}\"}}}}}}"
        ),
    ] {
        for status in [200, 401, 403, 500] {
            let body = body.clone().into_bytes();
            let registry = Proxy::start("", move |_| {
                let headers = vec![
                    ("retry-after", "3600".to_owned()),
                    ("www-authenticate", "Bearer realm=\"/token\"".to_owned()),
                ];
                Act::Answer(status, headers, body.clone())
            });
            for args in ["image inspect", "verify", "image inspect --message-format json"] {
                let args = format!("{args} {}/x:1", registry.address);
                let mut test = run(home.path(), &args);
                let output = test.command.env("GITHUB_ACTIONS", "true").output().unwrap();
                assert!(!output.status.success(), "{args}");
                for text in [&output.stdout, &output.stderr] {
                    let text = String::from_utf8(text.clone()).unwrap();
                    let bad = |c: char| c.is_control() && !"\n\t".contains(c) || c == '\u{202e}';
                    assert!(!text.contains(bad), "{status}: {text:?}");
                    let commands = text.lines().filter(|line| line.trim_start().starts_with("::"));
                    let known = ["::error::", "::error file=", "::group::", "::endgroup::"];
                    let own = |line: &str| known.iter().any(|known| line.starts_with(known));
                    assert!(commands.into_iter().all(own), "{text}");
                }
            }
        }
    }
}
