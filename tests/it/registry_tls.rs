//! Whom `push` trusts, and with whom it speaks plain HTTP.

use tempfile::TempDir;

use crate::{
    push::{layout, run},
    support::{
        registry::Registry,
        tls::{Both, Front, Greeting, certificate, expire},
        tunnel::Tunnel,
    },
};

/// `127.1` is this machine, and not known to be: it stands for any other.
#[test]
fn plain_http_is_for_localhost_and_insecure_hosts() {
    let Some(registry) = Registry::start() else { return };
    let host = registry.address.replace("127.0.0.1", "127.1");
    let image = layout(&[b"one"]);
    let home = TempDir::new().unwrap();
    let args = format!("push {host}/x:1 --from {}", image.path().display());
    run(home.path(), &args)
        .env("NO_PROXY", "*")
        .status(5)
        .stderr("TLS failed")
        .hint(&format!("does `{host}` speak TLS? `--insecure {host}` allows plain HTTP"))
        .run();
    run(home.path(), &format!("{args} --insecure {host}")).env("NO_PROXY", "*").run();
}

#[test]
fn a_registry_with_tls_is_trusted_by_its_authority() {
    let home = TempDir::new().unwrap();
    let names = "IP:127.0.0.1";
    let Some(authority) = certificate(home.path(), "authority", "DNS:x", true, None) else {
        return;
    };
    let issuer = Some(&authority);
    let Some(issued) = certificate(home.path(), "issued", names, false, issuer) else { return };
    let image = layout(&[b"one"]);
    // With a certificate of an authority; with one that signed itself, and may sign others or not.
    let own =
        |name: &str, authority| certificate(home.path(), name, names, authority, None).unwrap();
    for (server, trusted) in [
        (&issued, vec![&authority, &issued]),
        (&own("may-sign", true), vec![]),
        (&own("may-not-sign", false), vec![]),
    ] {
        let Some(registry) = Registry::start_with_tls(&server.path, &server.key) else { return };
        let args = format!("push {}/x:1 --from {}", registry.address, image.path().display());
        run(home.path(), &args)
            .status(5)
            .stderr("TLS failed: invalid peer certificate")
            .hint(
                "if the registry has a certificate of a private authority, name that with `--ca FILE`",
            )
            .run();
        for trusted in trusted.into_iter().chain([server]) {
            run(home.path(), &format!("{args} --ca {}", trusted.path.display())).run();
            run(home.path(), &args).env("SSL_CERT_FILE", &trusted.path).run();
        }
        run(home.path(), &format!("{args} --ca {}", server.key.display()))
            .status(2)
            .stderr("is not a file of certificates")
            .run();
        // A different one of the same name is not that one.
        let other = own("may-sign", true);
        if other.path != server.path {
            let ca = other.path.display();
            run(home.path(), &format!("{args} --ca {ca}")).status(5).stderr("TLS failed").run();
        }
    }
}

/// A certificate that is trusted by itself is for its names and its time only.
#[test]
fn name_and_period_of_a_trusted_certificate_are_checked() {
    let home = TempDir::new().unwrap();
    for authority in [true, false] {
        let names = "DNS:registry.example,IP:127.0.0.2";
        let Some(other) = certificate(home.path(), "other", names, authority, None) else { return };
        let both = Both::start(&other, Greeting::Tls);
        let ca = other.path.display();
        // `Both` has plain HTTP, too, which this machine may use, so the host is another.
        let tunnel = Tunnel::start(Ok(&both.address));
        run(home.path(), &format!("image inspect other.example/x:1 --ca {ca}"))
            .env("HTTPS_PROXY", &tunnel.address)
            .status(5)
            .stderr(
                "TLS failed: invalid peer certificate: certificate not valid for name \"other.example\"",
            )
            .hint("use a name that the certificate is for")
            .run();
        assert_eq!(both.asked(), Vec::<String>::new());
        let old = certificate(home.path(), "old", "DNS:old.example", authority, None).unwrap();
        expire(&old.path);
        let both = Both::start(&old, Greeting::Tls);
        let tunnel = Tunnel::start(Ok(&both.address));
        run(home.path(), &format!("image inspect old.example/x:1 --ca {}", old.path.display()))
            .env("HTTPS_PROXY", &tunnel.address)
            .status(5)
            .stderr("TLS failed: invalid peer certificate")
            .hint("the certificate has to be renewed, unless the clock of this machine is wrong")
            .run();
        assert_eq!(both.asked(), Vec::<String>::new());
    }
}

/// A proxy that terminates TLS, and does not say so to the registry behind it.
#[test]
fn a_location_without_tls_behind_tls_is_explained() {
    let Some(registry) = Registry::start() else { return };
    let home = TempDir::new().unwrap();
    let Some(own) = certificate(home.path(), "own", "DNS:registry.example", true, None) else {
        return;
    };
    let front = Front::start(&own, &registry.address);
    let tunnel = Tunnel::start(Ok(&front.address));
    let (host, image) = ("registry.example", layout(&[b"one"]));
    let from = image.path().display();
    run(home.path(), &format!("push {host}/x:1 --from {from} --ca {}", own.path.display()))
        .env("HTTPS_PROXY", &tunnel.address)
        .status(5)
        .stderr("the registry is reached over TLS, and its `Location` is `http://`")
        .hint(&format!(
            "a proxy that terminates TLS for `{host}` must set `X-Forwarded-Proto: https`"
        ))
        .run();
}
