//! The credentials that `push` finds, and those that it rejects.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    push::{layout, run},
    support::{command::Test, peer, registry::Registry},
};

/// The locations of credentials, each with its owner.
#[test]
fn passwords_are_found_where_docker_and_podman_keep_them() {
    let Some(registry) = Registry::start_with_password() else { return };
    let image = layout(&[b"one"]);
    let address = &registry.address;
    let args = format!("push {address}/x:1 --from {}", image.path().display());
    // base64 of `me:hunter2`.
    let auths = json!({ "auths": { address: { "auth": "bWU6aHVudGVyMg==" } } });
    let place = |path: &str, content: &Value| {
        let home = TempDir::new().unwrap();
        let file: PathBuf = home.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content.to_string()).unwrap();
        home
    };
    let none = TempDir::new().unwrap();
    run(none.path(), &args)
        .status(5)
        .stderr("401 unauthorized")
        .hint(&format!("there are no credentials for `{address}`: `docker login {address}`"))
        .run();
    for path in [".docker/config.json", ".config/containers/auth.json"] {
        run(place(path, &auths).path(), &args).run();
    }
    let home = place("d/config.json", &auths);
    run(home.path(), &args).env("DOCKER_CONFIG", home.path().join("d")).run();
    run(home.path(), &args).env("REGISTRY_AUTH_FILE", home.path().join("d/config.json")).run();
    let home = place("containers/auth.json", &auths);
    run(home.path(), &args).env("XDG_RUNTIME_DIR", home.path()).run();
    let both = |test: Test, password: &str| {
        test.env("LONGSHORE_REGISTRY_HOST", address)
            .env("LONGSHORE_REGISTRY_USER", "me")
            .env("LONGSHORE_REGISTRY_PASSWORD", password)
    };
    both(run(none.path(), &args), "hunter2").run();
    let wrong = both(run(none.path(), &args), "wrong-word").status(5);
    let hint = "rejected the credentials of `LONGSHORE_REGISTRY_USER`";
    wrong.stderr(hint).absent("wrong-word").run();
    run(none.path(), &args)
        .env("LONGSHORE_REGISTRY_USER", "me")
        .status(2)
        .stderr("`LONGSHORE_REGISTRY_PASSWORD` is not")
        .run();
    // A token of GitHub's is for its own registry.
    let github = format!("{args} --github-token");
    run(none.path(), &github)
        .env("GITHUB_TOKEN", "hunter2")
        .status(5)
        .stderr("no credentials")
        .run();
    helpers(&args, address, &place);
}

fn helpers(args: &str, address: &str, place: &dyn Fn(&str, &Value) -> TempDir) {
    let script = format!(
        "#!/bin/sh\nread server\ntest \"$1 $server\" = 'get {address}' || exit 1\n\
         echo '{{\"ServerURL\":\"x\",\"Username\":\"me\",\"Secret\":\"hunter2\"}}'\n"
    );
    for kind in [json!({ "credsStore": "it" }), json!({ "credHelpers": { address: "it" } })] {
        let home = place(".docker/config.json", &kind);
        let bin = home.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let program = bin.join("docker-credential-it");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let test = || run(home.path(), args).env("PATH", &path);
        let missing = test();
        match kind.get("credsStore") {
            Some(_) => missing.status(5).stderr("which is not installed").run(),
            None => missing.status(3).stderr("`docker-credential-it` is not installed").run(),
        };
        fs::write(&program, &script).unwrap();
        peer::run(Path::new("chmod"), [Path::new("+x"), &program]);
        test().run();
        fs::write(&program, "#!/bin/sh\necho hunter2\necho hunter2 >&2\nexit 1\n").unwrap();
        test().status(5).stderr("gave no credentials").absent("hunter2").run();
        fs::write(&program, "#!/bin/sh\necho credentials not found in native keychain\nexit 1\n")
            .unwrap();
        test().status(5).stderr("there are no credentials for").run();
    }
}
