//! Credentials stay out of builds.

use crate::support::{
    command::longshore,
    workspace::{HELLO, Workspace},
};

/// A build script that fails where it sees a credential, or misses what cargo needs.
const BUILD: &str = r#"fn main() {
    let mut wrong = Vec::new();
    for (name, value) in std::env::vars() {
        if value.contains("hunter2") && name != "CARGO_REGISTRIES_MINE_TOKEN" && name != "PASSED" {
            wrong.push(name);
        }
    }
    for name in ["CARGO_REGISTRIES_MINE_TOKEN", "PASSED"] {
        if std::env::var(name).is_err() {
            wrong.push(format!("no {name}"));
        }
    }
    if std::env::var("LONGSHORE_PASS_ENV").is_ok_and(|names| names.contains("GITHUB_TOKEN"))
        && std::env::var("GITHUB_TOKEN").is_ok()
    {
        wrong.retain(|name| name != "GITHUB_TOKEN");
    }
    assert!(wrong.is_empty(), "the build sees {wrong:?}");
}
"#;

const SECRETS: [&str; 18] = [
    "LONGSHORE_REGISTRY_PASSWORD",
    "LONGSHORE_REGISTRY_TOKEN",
    "LONGSHORE_MINISIGN_PASSWORD",
    "COSIGN_PASSWORD",
    "COSIGN_PRIVATE_KEY",
    "SIGSTORE_ID_TOKEN",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "GITLAB_TOKEN",
    "CI_JOB_TOKEN",
    "CI_REPOSITORY_URL",
    "CI_REGISTRY_PASSWORD",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "CIRCLE_OIDC_TOKEN",
    "CARGO_REGISTRY_TOKEN",
    "CARGO_REGISTRIES_CRATES_IO_TOKEN",
    "DOCKER_AUTH_CONFIG",
];

#[test]
fn builds_see_no_credential() {
    let workspace = Workspace::empty()
        .package("hello", "build = \"build.rs\"\n")
        .file("src/main.rs", HELLO)
        .file("build.rs", BUILD);
    crate::support::peer::lock(&workspace);
    let run = |args: &str| {
        let mut test = longshore(&workspace, &format!("{args} --target x86_64-unknown-linux-musl"))
            .env("CARGO_REGISTRIES_MINE_TOKEN", "hunter2")
            .env("PASSED", "hunter2")
            .absent("hunter2");
        for name in SECRETS {
            test = test.env(name, format!("hunter2-{name}"));
        }
        test
    };
    run("dist --preset quick").run();
    // The plan names what is taken away, and no value.
    let plan = run("plan --preset quick --message-format json").run();
    assert!(!plan.stdout.contains("hunter2"), "{}", plan.stdout);
    let mut withheld = SECRETS.to_vec();
    withheld.sort_unstable();
    assert_eq!(plan.json()["withheld"], serde_json::json!(withheld));
    run("plan").stdout("not inherited by builds: ACTIONS_ID_TOKEN_REQUEST_TOKEN, ").run();
    // One that a build needs is passed by name.
    workspace.write("build.rs", &BUILD.replace("let mut wrong", "/* again */ let mut wrong"));
    run("build --preset quick").env("LONGSHORE_PASS_ENV", "GITHUB_TOKEN").run();
    workspace.write("build.rs", "fn main() { std::env::var(\"GITHUB_TOKEN\").unwrap(); }\n");
    run("build --preset quick").env("LONGSHORE_PASS_ENV", "GITHUB_TOKEN").run();
    workspace
        .write("build.rs", "fn main() { assert!(std::env::var(\"GITHUB_TOKEN\").is_ok()); }\n");
    run("build --preset quick").status(4).run();
}
