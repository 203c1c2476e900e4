//! `ci generate`, `ci check` and `ci preflight`, and the files that come out.

use std::{fs, path::Path};

use crate::{
    support::{
        ci::{faults, peers},
        command::{Test, longshore, plain},
        tool::{TOOL, write_crate},
        workspace::Workspace,
    },
    tidy::{files, repository},
};

const ALL: &str = "--provider github --provider gitlab --provider circleci";

const FILES: [(&str, &str); 4] = [
    ("github", ".github/workflows/longshore-check.yml"),
    ("github", ".github/workflows/longshore-release.yml"),
    ("gitlab", ".gitlab-ci.yml"),
    ("circleci", ".circleci/config.yml"),
];

/// Every key of the settings.
const EVERYTHING: &str = r##"
[workspace.metadata.longshore.ci]
providers = ["circleci", "gitlab", "github"]
tool.archive."linux/amd64" = "https://example.org/amd64/longshore.tar.gz"
tool.archive."linux/arm64" = "https://example.org/arm64/longshore.tar.gz"
tool.version = "0.1.0"
tool.sha256."linux/amd64" = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
tool.sha256."linux/arm64" = "a3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
branches = ["main", "release/1.x"]
schedule = "17 4 * * 1"
toolchain = "1.89.0"
image = "rust:1.89-bookworm"
repository = { github = "ghcr.io/me/hello", gitlab = "registry.example.org/me/hello" }
release = true
release-cache = true
id-token = true
attest = true
environment = "release"
secrets = ["LONGSHORE_MINISIGN_PASSWORD", "SIGNING_KEY"]
gitlab-file = ".gitlab/longshore.yml"
test = ["cargo test --workspace", "", "# done"]
env = { CARGO_TERM_COLOR = "always", ODD = "yes: 'no' <<\"$HOME\" # {", ON = "on" }
limits = { plan = 1, build = 2, merge = 3, check = 4, test = 5 }

[workspace.metadata.longshore.ci.runners]
default = { github = ["ubuntu-22.04"], gitlab = ["mine"], circleci = ["me/machines"] }
x86_64-unknown-linux-musl = { github = "ubuntu-22.04", circleci = "large" }

[workspace.metadata.longshore.ci.before]
plan = ["echo before the plan"]
build = ["if true; then", "  echo one", "fi", "cat <<EOF\n  a: b\nEOF"]
merge = ["echo \"$HOME\""]
publish = ["cargo longshore sign --help"]
check = ["echo é 'it''s'"]

[workspace.metadata.longshore.ci.after]
plan = ["echo after the plan"]
build = ["ls target/dist"]
merge = ["ls target/dist"]
publish = ["ls target/dist"]
check = ["ls target/dist"]
"##;

/// Returns a workspace with these settings, and a source of longshore.
fn with_settings(settings: &str) -> Workspace {
    let table = format!("[workspace.metadata.longshore.ci]\n{TOOL}{settings}\n");
    Workspace::empty().package("hello", &table)
}

/// Returns a workspace with no other setting than a source of longshore.
fn hello() -> Workspace {
    with_settings("")
}

fn preflight(workspace: &Workspace, args: &str) -> Test {
    // What the tests themselves are run by has no say.
    let mut test = longshore(workspace, &format!("ci preflight {args}"));
    for name in ["GITHUB_REF_NAME", "GITHUB_REF_TYPE", "CI_COMMIT_TAG", "CIRCLE_TAG"] {
        test = test.env_remove(name);
    }
    test
}

#[test]
fn ci_files_of_longshore_are_up_to_date() {
    let ran = longshore(&Workspace::at(Path::new(env!("CARGO_MANIFEST_DIR"))), "ci check").run();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
}

/// Other sources of longshore than an archive and an xtask.
const SOURCES: [&str; 5] = [
    "tool = { wheel = \"https://a.b/longshore-{machine}.whl\", version = \"0.1.0\", sha256 = { \
     \"linux/amd64\" = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\", \
     \"linux/arm64\" = \"a3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\" } }",
    "tool = { npm = \"https://a.b/longshore-{architecture}.tgz\", version = \"0.1.0\", sha256 = { \
     \"linux/amd64\" = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\", \
     \"linux/arm64\" = \"a3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\" } }",
    "tool = { deb = \"https://a.b/longshore_{architecture}.deb\", version = \"0.1.0\", sha256 = { \
     \"linux/amd64\" = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\", \
     \"linux/arm64\" = \"a3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\" } }",
    "tool = { git = \"https://a.b/longshore\", rev = \"0123456789abcdef0123456789abcdef01234567\" }",
    "tool = { path = \"vendor/longshore\" }",
];

#[test]
fn linters_accept_generated_files() {
    let Some(peers) = peers() else { return };
    let ours = Workspace::at(Path::new(env!("CARGO_MANIFEST_DIR")));
    let plain = hello();
    longshore(&plain, &format!("ci generate {ALL}")).run();
    let everything = Workspace::empty().package("hello", EVERYTHING);
    longshore(&everything, "ci generate").run();
    let others = SOURCES.map(|source| {
        let table = format!("[workspace.metadata.longshore.ci]\n{source}\n");
        let workspace = Workspace::empty().package("hello", &table);
        write_crate(&workspace.path("vendor/longshore"));
        longshore(&workspace, &format!("ci generate {ALL}")).run();
        workspace
    });
    for workspace in [&ours, &plain, &everything].into_iter().chain(&others) {
        for (provider, path) in FILES {
            let path = match workspace.path(path) {
                path if path.exists() => path,
                _ => workspace.path(".gitlab/longshore.yml"),
            };
            assert_eq!(faults(&peers, provider, &path), "", "{}", path.display());
        }
    }
    // And each of them looks.
    let path = plain.path(FILES[1].1);
    let good = fs::read_to_string(&path).unwrap();
    for (from, to, told) in [
        ("runs-on: ubuntu-24.04\n", "run-on: ubuntu-24.04\n", "'runs-on' is a required property"),
        ("runs-on: ubuntu-24.04\n", "runs-on: ubuntu-0\n", "\"ubuntu-0\" is unknown"),
        ("persist-credentials: false", "persist-credentials: true", "artipacked"),
        ("mv \"$program\"", "mv $program", "SC2086"),
    ] {
        assert!(good.contains(from), "{from}: {good}");
        fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let found = faults(&peers, "github", &path);
        assert!(found.contains(told), "{told}: {found}");
    }
}

#[test]
fn edited_files_are_reported_with_the_difference() {
    let workspace = hello();
    let missing = "--- /dev/null\n+++ b/.github/workflows/longshore-check.yml\n@@ -0,0 +1,";
    longshore(&workspace, "ci check").status(1).stdout(missing).stderr("is missing").run();
    longshore(&workspace, "ci generate")
        .stderr("Wrote `.github/workflows/longshore-check.yml`")
        .run();
    assert!(!workspace.path(".gitlab-ci.yml").exists());
    let ran = longshore(&workspace, "ci check").run();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    longshore(&workspace, "ci generate").stderr("Fresh every file").run();

    let path = workspace.path(FILES[1].1);
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replace("contents: write", "contents: read")).unwrap();
    let ran = longshore(&workspace, "ci check")
        .status(1)
        .stdout("--- a/.github/workflows/longshore-release.yml\n")
        .stderr("`.github/workflows/longshore-release.yml` differs from the generated file")
        .hint("run `ci generate`")
        .run();
    let changed =
        |sign: char| ran.stdout.lines().filter(move |line| line.starts_with(sign)).count();
    assert_eq!((changed('-'), changed('+')), (2, 2), "{}", ran.stdout);
    longshore(&workspace, "ci generate").run();
    assert_eq!(fs::read_to_string(&path).unwrap(), good);
}

/// Returns the lines of a generated file that push, with something else in place of longshore: what that gets.
fn pushes(workspace: &Workspace, file: &str, vars: &[(&str, &str)]) -> String {
    let text = fs::read_to_string(workspace.path(file)).unwrap();
    let lines: Vec<_> = text.lines().map(str::trim_start).collect();
    let push = lines.iter().position(|line| line.contains(" push ")).unwrap();
    let start = lines[..push].iter().rposition(|line| *line == "set -eu").unwrap();
    let mut script = lines[start..push].join("\n");
    script += "\necho \"${LONGSHORE_REGISTRY_HOST-} ${LONGSHORE_REGISTRY_USER-} \
               ${LONGSHORE_REGISTRY_PASSWORD-}\"";
    let mut command = plain("sh");
    command.arg("-c").arg(script).env_remove("LONGSHORE_REGISTRY_PASSWORD");
    command.env_remove("LONGSHORE_REGISTRY_USER").env_remove("LONGSHORE_REGISTRY_HOST");
    let output = command.envs(vars.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Credentials are for the registry of `repository`: GitLab's own only where it is GitLab's.
#[test]
fn the_step_that_pushes_names_the_registry() {
    let workspace = |repository: &str| {
        let workspace = with_settings(&format!("repository = \"{repository}\""));
        longshore(&workspace, &format!("ci generate {ALL}")).run();
        workspace
    };
    let job = [
        ("CI_REGISTRY", "registry.example.org:5050"),
        ("CI_REGISTRY_USER", "gitlab-ci-token"),
        ("CI_REGISTRY_PASSWORD", "job-token"),
    ];
    let mine = [("LONGSHORE_REGISTRY_USER", "me"), ("LONGSHORE_REGISTRY_PASSWORD", "hunter2")];
    let both: Vec<_> = job.into_iter().chain(mine).collect();
    let own = workspace("registry.example.org:5050/me/hello");
    let host = "registry.example.org:5050";
    assert_eq!(pushes(&own, ".gitlab-ci.yml", &job), format!("{host} gitlab-ci-token job-token"));
    assert_eq!(pushes(&own, ".gitlab-ci.yml", &both), format!("{host} me hunter2"));
    for (repository, host) in [
        ("registry.example.org/me/hello", "registry.example.org"),
        ("127.0.0.1:5901/me/hello", "127.0.0.1:5901"),
        ("me/hello", "docker.io"),
    ] {
        let other = workspace(repository);
        let alone = pushes(&other, ".gitlab-ci.yml", &job);
        assert_eq!(alone.trim_end(), host, "{repository}");
        for file in [".gitlab-ci.yml", ".circleci/config.yml", FILES[1].1] {
            assert_eq!(pushes(&other, file, &both), format!("{host} me hunter2"), "{file}");
        }
    }
}

#[test]
fn files_of_others_are_never_overwritten() {
    for (provider, path) in FILES {
        let workspace = hello().file(path, "# mine\n");
        longshore(&workspace, &format!("ci generate {ALL}"))
            .status(2)
            .stderr(&format!("`{path}` is there, and was not generated"))
            .run();
        assert_eq!(fs::read_to_string(workspace.path(path)).unwrap(), "# mine\n");
        let others = FILES.iter().filter(|(_, other)| *other != path);
        let written: Vec<_> = others.filter(|(_, path)| workspace.path(path).exists()).collect();
        assert!(written.is_empty(), "{provider}: {written:?}");
    }
    let workspace =
        with_settings("gitlab-file = \".gitlab/longshore.yml\"").file(".gitlab-ci.yml", "# mine\n");
    longshore(&workspace, "ci generate --provider gitlab").run();
    let text = fs::read_to_string(workspace.path(".gitlab/longshore.yml")).unwrap();
    // Whoever includes it says when there are pipelines.
    assert!(!text.contains("workflow:") && !text.contains("stages:"), "{text}");
}

#[test]
fn the_default_providers_are_those_with_files() {
    let workspace = hello();
    longshore(&workspace, "ci generate --provider circleci").run();
    longshore(&workspace, "ci generate").stderr("Fresh").run();
    longshore(&workspace, "ci check").run();
    assert!(!workspace.path(".github").exists());
}

#[test]
fn jobs_call_the_xtask_if_it_has_longshore() {
    let manifest = "[package]\nname = \"xtask\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
                    [dependencies]\nlongshore = \"0.1\"\n";
    let workspace = Workspace::members(&["hello"], "")
        .file("Cargo.toml", "[workspace]\nmembers = [\"hello\", \"xtask\"]\nresolver = \"3\"\n")
        .file("xtask/Cargo.toml", manifest)
        .file("xtask/src/main.rs", "fn main() {}\n");
    let text = |workspace: &Workspace| {
        longshore(workspace, "ci generate").run();
        fs::read_to_string(workspace.path(FILES[1].1)).unwrap()
    };
    assert!(text(&workspace).contains("(cargo run --quiet --package xtask -- ci tool --into "));
    workspace.write(".cargo/config.toml", "[alias]\nxtask = \"run --package xtask --\"\n");
    assert!(text(&workspace).contains("(cargo xtask ci tool --into "));
    workspace.write("xtask/Cargo.toml", &manifest.replace("longshore = \"0.1\"", ""));
    longshore(&workspace, "ci generate").status(2).stderr("names no source").run();
}

#[test]
fn wrong_settings_and_arguments_are_rejected() {
    let ci = with_settings;
    longshore(&ci(""), "ci generate --provider jenkins")
        .status(2)
        .stderr("possible values: github, gitlab, circleci")
        .run();
    let wrong = ci("providers = [\"githb\"]");
    longshore(&wrong, "ci check").status(2).hint("did you mean `github`?").run();
    let wrong = ci("secret = []");
    longshore(&wrong, "ci check").status(2).hint("did you mean `secrets`?").run();
    let wrong = ci("runners.default.gitlab = \"saas-linux-small-arm\"");
    longshore(&wrong, "ci check").status(2).hint("did you mean `saas-linux-small-arm64`?").run();
    let wrong = Workspace::empty().package("hello", "").file(
        "targets/x86_64-unknown-linux-musl.toml",
        "platform = \"linux/amd64\"\n[ci]\ngithb = 1",
    );
    longshore(&wrong, "ci check").status(2).hint("did you mean `github`?").run();
    // No platforms: nothing is default.
    let embedded = longshore::build::target::EMBEDDED;
    let none = embedded.iter().fold(hello(), |all, (name, text)| {
        all.file(&format!("targets/{name}.toml"), &text.replace("default = true", ""))
    });
    for verb in ["ci check", "ci generate", "ci preflight"] {
        longshore(&none, verb)
            .status(2)
            .stderr("no target is requested, and none is a default")
            .run();
    }
}

#[test]
fn preflight_checks_run_before_the_build() {
    let settings = "[workspace.metadata.longshore.ci]\nsecrets = [\"ONE\", \"TWO\", \"THREE\"]";
    let workspace = Workspace::empty().package("hello", settings);
    preflight(&workspace, "--tag v0.1.0")
        .env("TWO", "hunter2")
        .env("THREE", "")
        .status(2)
        .stderr("the secrets `ONE`, `THREE` are not set")
        .absent("hunter2")
        .run();
    preflight(&workspace, "--tag v0.1.0 --without-secrets").stderr("Checked v0.1.0 for").run();
    let workspace = hello();
    preflight(&workspace, "--tag v0.1.0")
        .stderr("Checked v0.1.0 for linux/amd64, linux/arm64")
        .run();
    for (name, kind) in
        [("GITHUB_REF_NAME", "GITHUB_REF_TYPE"), ("CI_COMMIT_TAG", "X"), ("CIRCLE_TAG", "X")]
    {
        preflight(&workspace, "").env(kind, "tag").env(name, "v0.1.0").run();
        preflight(&workspace, "")
            .env(kind, "tag")
            .env(name, "v0.2.0")
            .status(1)
            .stderr(&format!("`v0.2.0` (`{name}`) is not the version of `hello`, which is `0.1.0`"))
            .hint("set the version in `Cargo.toml`, or tag that commit `v0.1.0`")
            .run();
    }
    preflight(&workspace, "").status(1).stderr("this run is not for a tag").run();
    let branch = preflight(&workspace, "").env("GITHUB_REF_NAME", "v0.1.0");
    branch.env("GITHUB_REF_TYPE", "branch").status(1).stderr("not for a tag").run();
}

/// A checkout may have other line ends, and an editor may have added a byte order mark.
#[test]
fn line_ends_of_a_checkout_are_ignored() {
    let workspace = hello();
    longshore(&workspace, "ci generate").run();
    let path = workspace.path(FILES[1].1);
    let text = fs::read_to_string(&path).unwrap();
    let windows = text.replace('\n', "\r\n");
    for checkout in [windows.clone(), format!("\u{feff}{text}"), format!("\u{feff}{windows}")] {
        fs::write(&path, &checkout).unwrap();
        longshore(&workspace, "ci check").run();
        longshore(&workspace, "ci generate").run();
        assert_eq!(fs::read_to_string(&path).unwrap(), checkout, "nothing is written again");
    }
    // A real difference is shown alone, and written with the line ends of the checkout.
    fs::write(&path, windows.replacen("name:", "nome:", 1)).unwrap();
    let ran = longshore(&workspace, "ci check").status(1).stdout("-nome").run();
    let changed = ran.stdout.lines().chain(ran.stderr.lines());
    let changed = changed.filter(|line| line.starts_with("-nome") || line.starts_with("+name"));
    assert_eq!(changed.count(), 2, "{}{}", ran.stdout, ran.stderr);
    longshore(&workspace, "ci generate").run();
    assert_eq!(fs::read_to_string(&path).unwrap(), windows);
}

/// The script of the job that checks secrets, on each provider, with one that is not set.
#[test]
fn the_job_that_checks_secrets_names_those_that_are_not_set() {
    let workspace = with_settings("secrets = [\"ONE\", \"TWO\", \"THREE\"]");
    longshore(&workspace, &format!("ci generate {ALL}")).run();
    for (provider, path) in [FILES[1], FILES[2], FILES[3]] {
        let text = fs::read_to_string(workspace.path(path)).unwrap();
        let start = text.find("missing=\n").unwrap();
        let end = start + text[start..].find("exit 2").unwrap();
        let script = format!("set -eu\n{}exit 2\nfi\n", &text[start..end]);
        let github = provider == "github";
        let (set, unset) = if github { ("true", "false") } else { ("hunter2", "") };
        let run = |two: &str| {
            let mut command = plain("sh");
            command.arg("-c").arg(&script).env("ONE", set).env("TWO", two).env("THREE", set);
            command.output().unwrap()
        };
        assert!(run(set).status.success(), "{provider}: {script}");
        let output = run(unset);
        assert_eq!(output.status.code(), Some(2), "{provider}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(told, "these secrets are not set: TWO\n", "{provider}");
    }
}

#[test]
fn ci_tool_copies_the_running_program_and_prints_its_digest() {
    let workspace = hello();
    let ran = longshore(&workspace, "ci tool --into a/b").run();
    let copy = workspace.path("a/b/cargo-longshore");
    let digest = longshore::model::digest::Digest::sha256(&fs::read(&copy).unwrap());
    assert_eq!(ran.stdout, format!("{}\n", digest.hex()));
    let mut again = plain(&copy);
    let again = again.args(["ci", "tool", "--into", "c"]).current_dir(workspace.root());
    assert_eq!(String::from_utf8(again.output().unwrap().stdout).unwrap(), ran.stdout);
    // Something else is in the way.
    workspace.write("d", "");
    longshore(&workspace, "ci tool --into d").status(4).stderr("cannot create directory").run();
    assert_eq!(fs::read_to_string(workspace.path("d")).unwrap(), "");
}

#[test]
fn a_toolchain_that_changes_is_reported() {
    let file = |channel: &str| {
        let text = format!("[toolchain]\nchannel = \"{channel}\"\n");
        hello().file("rust-toolchain.toml", &text)
    };
    let changes = "names a toolchain that changes";
    longshore(&file("stable"), "ci generate").stderr(changes).run();
    for channel in ["1.90.0", "nightly-2026-01-01"] {
        let workspace = file(channel);
        let ran = longshore(&workspace, "ci generate --provider gitlab").run();
        assert!(!ran.stderr.contains(changes), "{}", ran.stderr);
        let text = fs::read_to_string(workspace.path(".gitlab-ci.yml")).unwrap();
        assert_eq!(text.contains("image: rust:1.90.0-bookworm\n"), channel == "1.90.0");
        assert!(!text.contains("RUSTUP_TOOLCHAIN"), "{text}");
    }
}

/// A file that cannot work is not written.
#[test]
fn a_workspace_without_a_source_of_longshore_is_rejected_with_the_choices() {
    let workspace = Workspace::hello();
    for verb in ["ci generate", "ci check"] {
        longshore(&workspace, verb)
            .status(2)
            .stderr("jobs cannot get longshore: the workspace names no source of it")
            .stderr("archive = \"https://HOST/v{version}/longshore-{version}-{target}.tar.gz\"")
            .stderr("rev = \"COMMIT\"")
            .run();
    }
    assert!(!workspace.path(".github").exists());
    // The lines of the hint are accepted.
    let lines = TOOL.replace("0.1.0", "0.0.1");
    let table = format!("[workspace.metadata.longshore.ci]\n{lines}");
    let workspace = Workspace::empty().package("hello", &table);
    longshore(&workspace, "ci generate")
        .stderr("warning: jobs will run longshore 0.0.1 (`ci.tool.version`), and this is 0.1.0")
        .run();
    let path = |path: &str| {
        let table = format!("[workspace.metadata.longshore.ci]\ntool.path = \"{path}\"\n");
        Workspace::empty().package("hello", &table)
    };
    longshore(&path("vendor"), "ci generate")
        .status(2)
        .stderr("expected the package `longshore`, found no package")
        .run();
    let other = path("src").file("src/Cargo.toml", "[package]\nname = \"other\"\n");
    longshore(&other, "ci generate").status(2).stderr("found `other`").run();
}

/// The owner of a name in the registry of crates could run code in release jobs.
#[test]
fn no_text_installs_longshore_by_its_name() {
    let mut texts = files("src", &["rs"]);
    texts.extend(files("docs", &["md"]));
    texts.extend(files("tests/it/snapshots", &["txt"]));
    for name in ["README.md", "CONTRIBUTING.md", ".gitlab-ci.yml"] {
        texts.push((name.to_owned(), fs::read_to_string(repository().join(name)).unwrap()));
    }
    let found: Vec<_> = texts
        .iter()
        .filter(|(name, text)| !name.ends_with("tests.rs") && text.contains("install longshore"))
        .map(|(name, _)| name)
        .collect();
    assert!(found.is_empty(), "{found:?}");
}
