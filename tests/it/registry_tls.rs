//! Whom `push` trusts, and with whom it speaks plain HTTP.

use std::process::Command;

use tempfile::TempDir;

use crate::{
    push::{layout, run},
    support::{peer, registry::Registry},
};

/// `127.1` is this machine, and not known to be: it stands for any other.
#[test]
fn plain_http_is_for_this_machine_and_for_those_that_are_named() {
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
    let (Some(openssl), home) = (peer::find("openssl"), TempDir::new().unwrap()) else { return };
    let (key, certificate) = (home.path().join("key.pem"), home.path().join("ca.pem"));
    let mut command = Command::new(openssl);
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    command.args(["-nodes", "-days", "2", "-subj", "/CN=it", "-addext"]);
    command.args(["subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]);
    command.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    let made = command.output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let Some(registry) = Registry::start_with_tls(&certificate, &key) else { return };
    let image = layout(&[b"one"]);
    let args = format!("push {}/x:1 --from {}", registry.address, image.path().display());
    run(home.path(), &args)
        .status(5)
        .stderr("TLS failed: invalid peer certificate")
        .hint("if the registry has a certificate of your own authority, name that with `--ca FILE`")
        .run();
    run(home.path(), &format!("{args} --ca {}", certificate.display())).run();
    run(home.path(), &args).env("SSL_CERT_FILE", &certificate).run();
    run(home.path(), &format!("{args} --ca {}", key.display()))
        .status(2)
        .stderr("is no file of certificates")
        .run();
}
