//! Tests of the ways in which jobs get longshore, without a machine.

use super::{
    tests::{all, each_job, rejected, with},
    *,
};
use crate::build::target::Targets;

const SHA256: [&str; 2] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "a3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

/// A commit.
const REV: &str = "0123456789abcdef0123456789abcdef01234567";

/// Returns the settings of a download.
fn download(format: &str, file: &str) -> String {
    let [amd64, arm64] = SHA256;
    format!(
        "tool = {{ {format} = 'https://example.org/v{{version}}/{file}', version = '1.2.3', \
         sha256 = {{ 'linux/amd64' = '{amd64}', 'linux/arm64' = '{arm64}' }} }}"
    )
}

/// Returns the settings of every source, and how often each architecture compiles longshore for a release.
fn sources() -> [(String, usize); 8] {
    let git = format!("tool = {{ git = 'https://example.org/longshore', rev = '{REV}' }}");
    [
        (download("archive", "longshore-{target}.tar.gz"), 0),
        (download("wheel", "longshore-{machine}.whl"), 0),
        (download("npm", "longshore-{architecture}.tgz"), 0),
        (download("deb", "longshore_{architecture}.deb"), 0),
        (git, 1),
        ("tool = { path = 'vendor/longshore' }".to_owned(), 1),
        ("tool = { xtask = true }".to_owned(), 1),
        ("command = 'cargo xtask'".to_owned(), 1),
    ]
}

/// Returns the scripts of a job.
fn runs(job: &Job) -> Vec<&job::Run> {
    let run = |step| if let &JobStep::Run(ref run) = step { Some(run) } else { None };
    job.steps.iter().filter_map(run).collect()
}

/// Returns whether a script compiles longshore.
fn compiles_longshore(run: &job::Run) -> bool {
    let lines = run.script.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
    lines.into_iter().any(|line| {
        ["cargo xtask", "cargo run", "cargo install"].iter().any(|word| line.contains(word))
    })
}

/// Returns the jobs that compile longshore for a release on GitLab and CircleCI, and on GitHub.
fn compiling(settings: &str, provider: Provider) -> Vec<String> {
    let targets = Targets::new([]).unwrap();
    let pipeline = with(settings, &targets, |inputs| release::pipeline(inputs, provider));
    let jobs = pipeline.jobs.into_iter();
    let compiles =
        |step: &JobStep| matches!(step, JobStep::Run(run) if run.output == Some(tool::OUTPUT));
    jobs.filter(|job| job.steps.iter().any(compiles)).map(|job| job.id).collect()
}

#[test]
fn longshore_is_compiled_once_for_each_kind_of_machine() {
    assert_eq!(compiling("", Provider::Github), ["plan", "tool-ubuntu-24-04-arm"]);
    for provider in [Provider::Gitlab, Provider::Circleci] {
        assert_eq!(compiling("", provider), ["plan", "tool-arm64"]);
    }
    let one = "[runners.aarch64-unknown-linux-musl]\ngithub = 'ubuntu-24.04'\n\
               gitlab = 'saas-linux-2xlarge-amd64'\ncircleci = '2xlarge+'";
    for provider in Provider::ALL {
        assert_eq!(compiling(one, provider), ["plan"], "{provider}");
    }
    // A different release of the system has a different C library; labels can mean anything.
    let other = "[runners.aarch64-unknown-linux-musl]\ngithub = 'ubuntu-22.04'\n\
                 gitlab = ['Mine & yours']\ncircleci = ['me/amd64']";
    assert_eq!(compiling(other, Provider::Github), ["plan", "tool-ubuntu-22-04"]);
    assert_eq!(compiling(other, Provider::Gitlab), ["plan", "tool-mine---yours"]);
    assert_eq!(compiling(other, Provider::Circleci), ["plan", "tool-me-amd64"]);
}

#[test]
fn a_release_compiles_longshore_at_most_once_for_each_architecture() {
    let targets = Targets::new([]).unwrap();
    for (source, expected) in sources() {
        for provider in Provider::ALL {
            let pipeline = with(&source, &targets, |inputs| release::pipeline(inputs, provider));
            let mut times: BTreeMap<String, usize> = BTreeMap::new();
            for job in &pipeline.jobs {
                let compiles = runs(job).into_iter().filter(|run| compiles_longshore(run)).count();
                *times.entry(job.runner.machine(provider)).or_default() += compiles;
            }
            assert_eq!(times.len(), 2, "{provider}: {times:?}");
            assert!(
                times.values().all(|times| *times == expected),
                "{source} {provider}: {times:?}"
            );
            let handed_on = pipeline.jobs.iter().any(|job| job.id.starts_with("tool-"));
            assert_eq!(handed_on, expected == 1, "{source} {provider}");
        }
    }
}

/// The owner of a name in the registry of crates can change, and a program on `PATH` can be any version.
#[test]
fn no_source_is_a_crate_or_a_program_on_path() {
    for (source, _) in sources() {
        let text = all(&source).unwrap();
        assert!(!text.contains("cargo install longshore"), "{text}");
        assert!(!text.contains("command -v cargo-longshore"), "{text}");
        let installs = text.lines().filter(|line| line.contains("cargo install"));
        assert!(installs.into_iter().all(|line| line.contains("cargo install --locked")), "{text}");
        let commits = text.matches(&format!("--rev {REV} longshore")).count();
        assert_eq!(text.matches("cargo install").count(), commits, "{text}");
        let called = text.lines().any(|line| {
            let line = line.trim_start();
            !line.starts_with('#') && line.contains("cargo longshore")
        });
        assert!(!called, "{text}");
    }
}

#[test]
fn commits_and_paths_are_compiled_before_they_are_handed_on() {
    let [.., (git, _), (path, _), _, _] = sources();
    let text = all(&git).unwrap();
    let install = format!(
        "cargo install --locked --no-track --root target/ci-tool/installed --bin cargo-longshore"
    );
    // The plan, the program for arm64 and that for comments, and the check; CircleCI has no comments.
    assert_eq!(text.matches(&install).count(), 4 + 4 + 3, "{text}");
    let export =
        "digest=$(target/ci-tool/installed/bin/cargo-longshore ci tool --into target/ci-tool/";
    assert_eq!(text.matches(export).count(), 3 + 3 + 2, "{text}");
    let dist = "target/ci-tool/installed/bin/cargo-longshore dist --preset quick";
    assert_eq!(text.matches(dist).count(), 3, "{text}");
    let text = all(&path).unwrap();
    let run = "cargo run --quiet --locked --manifest-path vendor/longshore/Cargo.toml --bin cargo-longshore --";
    assert_eq!(text.matches(&format!("digest=$({run} ci tool ")).count(), 3 + 3 + 2, "{text}");
    assert_eq!(text.matches(&format!("{run} dist --preset quick")).count(), 3, "{text}");
}

/// Checks that a script contains these strings in this order.
fn check_script_order(script: &str, texts: &[&str]) {
    let mut rest = script;
    for text in texts {
        let at = rest.find(text).unwrap_or_else(|| panic!("no `{text}` in the rest of: {script}"));
        rest = &rest[at + text.len()..];
    }
}

#[test]
fn a_download_is_compared_before_it_is_unpacked_and_run() {
    for (source, times) in sources() {
        if times > 0 {
            continue;
        }
        each_job(&source, |provider, job| {
            let runs = runs(job);
            let uses = |run: &&job::Run| run.script.contains("target/ci-tool/cargo-longshore");
            let Some(first) = runs.iter().position(|run| uses(run)) else {
                assert_eq!(job.id, "test");
                return;
            };
            assert_eq!(runs[first].name, "Download longshore", "{provider} {}", job.id);
            assert!(runs[first].env.is_empty());
            let [own, other] = match job.runner.platform(provider).unwrap().architecture.as_str() {
                "amd64" => SHA256,
                _ => [SHA256[1], SHA256[0]],
            };
            let script = &runs[first].script;
            assert!(!script.contains(other) && !script.contains("uname"), "{script}");
            check_script_order(
                script,
                &[
                    "url=https://example.org/v1.2.3/longshore",
                    &format!("expected={own}\n"),
                    "curl ",
                    "if [ \"${found%% *}\" != \"$expected\" ]",
                    "exit 1",
                    "target/ci-tool/unpacked",
                    "find target/ci-tool/unpacked -type f -name cargo-longshore",
                    "chmod +x target/ci-tool/cargo-longshore",
                    "found=$(target/ci-tool/cargo-longshore --version)",
                    "!= \"1.2.3\" ]",
                    "expected longshore 1.2.3, got",
                    "exit 1",
                ],
            );
            // Nothing that other jobs made comes after the check.
            let at = |text: &str| {
                job.steps.iter().position(|step| match step {
                    JobStep::Run(run) => run.name == text,
                    _ => false,
                })
            };
            let downloads = job.steps.iter().rposition(|step| matches!(step, JobStep::Download(_)));
            assert!(downloads < at("Download longshore"), "{provider} {}", job.id);
        });
    }
}

#[test]
fn each_format_is_unpacked_by_its_own_program() {
    let [(archive, _), (wheel, _), (npm, _), (deb, _), ..] = sources();
    for (source, line) in [
        (archive, "tar -xzf \"$file\" -C target/ci-tool/unpacked\n"),
        (wheel, "unzip -q \"$file\" -d target/ci-tool/unpacked\n"),
        (npm, "tar -xzf \"$file\" -C target/ci-tool/unpacked\n"),
        (deb, "dpkg-deb --extract \"$file\" target/ci-tool/unpacked\n"),
    ] {
        let text = all(&source).unwrap();
        assert_eq!(text.matches("name: Download longshore\n").count(), 7 + 5, "{text}");
        assert_eq!(text.matches(line).count(), 7 + 7 + 5, "{line}: {text}");
    }
}

#[test]
fn hosted_runners_have_a_digest_and_other_runners_choose_by_their_name() {
    let source = download("archive", "longshore-{target}.tar.gz");
    let one = source.replace(&format!(", 'linux/arm64' = '{}'", SHA256[1]), "");
    let text = rejected(&one);
    assert!(text.contains("no SHA-256 for `linux/arm64`, on which jobs run"), "{text}");
    assert!(text.contains("add `sha256.\"linux/arm64\" = "), "{text}");
    let own = "[runners]\ndefault.github = ['self-hosted']\ndefault.gitlab = ['mine']\n\
               default.circleci = ['me/machines']\n[runners.aarch64-unknown-linux-musl]\n\
               github = ['self-hosted']\ngitlab = ['mine']\ncircleci = ['me/machines']";
    let text = all(&format!("{one}\n{own}")).unwrap();
    assert!(!text.contains("Linux/aarch64)"), "{text}");
    assert!(
        text.contains("echo \"the settings name no longshore for $(uname -s)/$(uname -m)\""),
        "{text}"
    );
    let text = all(&format!("{source}\n{own}")).unwrap();
    assert!(text.contains("case \"$(uname -s)/$(uname -m)\" in\n"), "{text}");
    assert!(text.contains("Linux/x86_64)\n") && text.contains("Linux/aarch64)\n"), "{text}");
}

/// Returns every setting that gives a job a secret or a token, with a source of longshore.
fn powers(source: &str) -> String {
    format!(
        "{source}\nsecrets = ['KEY']\nrepository = 'ghcr.io/me/hello'\nid-token = true\n\
         attest = true\ntest = ['cargo test']\n[before]\n\
         publish = ['cargo longshore sign']\n[after]\npublish = ['echo done']"
    )
}

#[test]
fn jobs_with_a_secret_or_a_token_compile_nothing() {
    let compiles = |run: &job::Run| {
        let lines = run.script.lines().map(str::trim_start);
        let words =
            ["cargo xtask", "cargo run", "cargo install", "cargo build", "cargo test", "rustup"];
        let called = |line: &str| {
            words.iter().any(|word| line.contains(word)) || line.contains("cargo-longshore dist")
        };
        lines.filter(|line| !line.starts_with('#')).any(called)
    };
    let value =
        |value: &job::EnvValue| matches!(value, job::EnvValue::Secret(_) | job::EnvValue::IsSet(_));
    for (source, _) in sources() {
        each_job(&powers(&source), |provider, job| {
            let runs = runs(job);
            let secret = runs.iter().any(|run| run.env.iter().any(|(_, entry)| value(entry)));
            let writes = job.permissions.iter().any(|permission| permission.write);
            let powerful = secret || writes || job.id_token || job.environment.is_some();
            let compiling: Vec<_> =
                runs.iter().filter(|run| compiles(run)).map(|run| &run.name).collect();
            assert!(!powerful || compiling.is_empty(), "{provider} {}: {compiling:?}", job.id);
            // What runs there was made before, and is compared with a digest first.
            let first = runs.iter().position(|run| run.script.contains("cargo-longshore "));
            let checks = ["Check the digest of longshore", "Download longshore"];
            let checked = runs.iter().position(|run| checks.contains(&run.name.as_str()));
            if powerful && first.is_some() {
                assert!(checked.is_some() && checked <= first, "{provider} {}", job.id);
            }
            if job.id == "attest" {
                assert_eq!(runs.len(), 0);
                assert!(!job.steps.iter().any(|step| matches!(step, JobStep::Checkout(_))));
            }
        });
    }
}

#[test]
fn no_token_is_on_a_command_line_or_follows_a_redirect() {
    for (source, _) in sources() {
        each_job(&powers(&source), |provider, job| {
            for run in runs(job) {
                for line in run.script.lines() {
                    let named =
                        ["TOKEN", "PASSWORD", "SECRET"].iter().any(|word| line.contains(word));
                    // `printf`, `export` and `[` are commands of the shell itself.
                    let builtin =
                        |start| line.trim_start().starts_with(start) || line.contains("$(printf");
                    let inside = ["printf ", "export ", "if [", "&& [", "[", "expected="];
                    let fine = !named
                        || inside.into_iter().any(builtin)
                        || line.contains("--github-token");
                    assert!(fine, "{provider} {}: {line}", job.id);
                    assert!(!line.contains("curl -L"), "{line}");
                    // Only a request without credentials follows redirects, and only to `https`.
                    if line.contains("--location") {
                        assert_eq!(run.name, "Download longshore");
                        assert!(line.contains("--proto '=https' --proto-redir '=https'"), "{line}");
                        assert!(!run.script.contains("--header") && run.env.is_empty(), "{line}");
                    }
                }
            }
        });
    }
}
