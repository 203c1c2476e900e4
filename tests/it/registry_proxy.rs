//! `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.

use std::{path::Path, process::Command};

use tempfile::TempDir;

use crate::{
    push::{layout, run},
    support::{
        command::{LONGSHORE, plain},
        peer,
        registry::Registry,
        tunnel::Tunnel,
    },
};

/// `127.1` is this machine, and not known to be: it stands for any other host.
#[test]
fn proxies_follow_the_variables() {
    let Some(registry) = Registry::start() else { return };
    let host = registry.address.replace("127.0.0.1", "127.1");
    let (_, port) = host.split_once(':').unwrap();
    let (image, home) = (layout(&[b"one"]), TempDir::new().unwrap());
    let args = format!("push {host}/x:1 --from {} --insecure {host}", image.path().display());
    let tunnel = Tunnel::start(Ok(&registry.address));
    let proxy = format!("http://me:hun%40ter2@{}", tunnel.address);
    let push = || run(home.path(), &args).absent("hun%40ter2").absent("hun@ter2");
    push().env("HTTP_PROXY", &proxy).env("HTTPS_PROXY", &proxy).run();
    let asked = tunnel.asked();
    // base64 of `me:hun@ter2`.
    let expected = format!("CONNECT {host} Basic bWU6aHVuQHRlcjI=");
    assert!(!asked.is_empty() && asked.iter().all(|line| *line == expected), "{asked:?}");
    for exception in [
        "*".to_owned(),
        "127.1".to_owned(),
        "localhost, 127.1 ".to_owned(),
        host.clone(),
        format!(".1:{port}"),
        "*.1".to_owned(),
    ] {
        push()
            .env("HTTP_PROXY", &proxy)
            .env("HTTPS_PROXY", &proxy)
            .env("NO_PROXY", &exception)
            .run();
        assert_eq!(tunnel.asked(), Vec::<String>::new(), "{exception}");
    }
    for exception in ["127.1:1", "27.1", "10.0.0.0/8"] {
        push()
            .env("http_proxy", &proxy)
            .env("https_proxy", &proxy)
            .env("no_proxy", exception)
            .run();
        assert!(!tunnel.asked().is_empty(), "{exception}");
    }
    // This machine by its own name is asked directly, whatever the variables say.
    let own = args.replace(&host, &registry.address);
    run(home.path(), &own).env("HTTP_PROXY", &proxy).env("HTTPS_PROXY", &proxy).run();
    assert_eq!(tunnel.asked(), Vec::<String>::new());
    // The registry does not speak TLS: only its greeting goes through this one.
    push().env("HTTPS_PROXY", &proxy).run();
    assert_eq!(tunnel.asked().len(), 1);
}

#[test]
fn an_error_through_a_proxy_names_variable_and_proxy() {
    let home = TempDir::new().unwrap();
    let inspect = |more: &str| {
        run(home.path(), &format!("image inspect registry.example/x:1{more}")).absent("hunter2")
    };
    for (variable, more) in [
        ("HTTPS_PROXY", ""),
        ("https_proxy", ""),
        ("ALL_PROXY", ""),
        ("HTTP_PROXY", " --insecure registry.example"),
    ] {
        let mut test = inspect(more).status(5);
        if variable == "HTTP_PROXY" {
            // Its TLS is refused, which leaves plain HTTP.
            test = test.env("HTTPS_PROXY", "http://127.0.0.1:1");
        }
        let said = match variable {
            "HTTP_PROXY" => "`http://127.0.0.1:1` of `HTTPS_PROXY`".to_owned(),
            _ => format!(
                "the connection is refused (through the proxy `http://127.0.0.1:1` of `{variable}`)"
            ),
        };
        test.env(variable, "http://me:hunter2@127.0.0.1:1").stderr(&said).run();
    }
    for (status, said) in [
        (407, "the proxy requires valid credentials (407)"),
        (403, "the proxy rejects the connection (403 forbidden)"),
    ] {
        let tunnel = Tunnel::start(Err(status));
        let proxy = format!("http://me:hunter2@{}", tunnel.address);
        let shown =
            format!("{said} (through the proxy `http://{}` of `HTTPS_PROXY`)", tunnel.address);
        inspect("").status(5).env("HTTPS_PROXY", proxy).stderr(&shown).run();
    }
    for (value, said) in [
        ("socks5://me:hunter2@127.0.0.1:1", "`HTTPS_PROXY` names a SOCKS proxy (`socks5://`)"),
        ("ftp://hunter2@x", "`HTTPS_PROXY` is not the address of a proxy"),
        ("http://hunter2@x:y", "`HTTPS_PROXY` is not the address of a proxy"),
        ("http://me:hunter2%ff@127.0.0.1:1", "`HTTPS_PROXY` is not the address of a proxy"),
    ] {
        inspect("").status(2).env("HTTPS_PROXY", value).stderr(said).run();
        inspect("").status(5).env("HTTPS_PROXY", value).env("NO_PROXY", ".example").run();
    }
}

/// Addresses and networks, with a registry that is not on the loopback interface.
#[test]
fn exceptions_of_networks() {
    let (Some(unshare), Some(registry), Some(_)) =
        (peer::find("unshare"), peer::find("docker-registry"), peer::root())
    else {
        return;
    };
    if peer::find("ip").is_none() {
        return;
    }
    let (image, home) = (layout(&[b"one"]), TempDir::new().unwrap());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/noproxy.sh");
    let mut command: Command = plain(unshare);
    command.args(["--net", "sh"]).arg(script).args([LONGSHORE.as_ref(), registry.as_os_str()]);
    command.arg(image.path()).current_dir(home.path()).env("HOME", home.path());
    for name in
        ["LONGSHORE_REGISTRY_HOST", "LONGSHORE_REGISTRY_PASSWORD", "LONGSHORE_REGISTRY_USER"]
    {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<_> = text.lines().collect();
    let expected = [
        "0 10.9.8.7",
        "0 localhost, 10.9.8.7",
        "0 localhost,10.9.8.7 ",
        "0 10.0.0.0/8",
        "0 10.9.8.7:5000",
        "5 10.9.8.7:5001",
        "5 11.0.0.0/8",
        "5 ",
        // `HTTPS_PROXY` is not for plain HTTP: the greeting ends at the dead proxy.
        "5 HTTPS_PROXY",
        "0 HTTP_PROXY",
    ];
    assert_eq!(lines, expected, "{}", String::from_utf8_lossy(&output.stderr));
}
