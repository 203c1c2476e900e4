//! Tests of pipelines and files, without a machine.

use super::*;
use crate::{build::target::Targets, ci::pipeline::job::Pipeline};

/// Returns a workspace of one package with an xtask, with these settings (TOML).
fn workspace(settings: &str) -> Workspace {
    Workspace {
        root: "/w".into(),
        default_members: None,
        target_directory: "/w/target".into(),
        root_package: Some("hello".to_owned()),
        settings: crate::build::config::WorkspaceSettings {
            ci: toml::from_str(settings).unwrap(),
            ..Default::default()
        },
        xtask: true,
        packages: Vec::new(),
    }
}

pub(super) fn with<T>(
    settings: &str,
    targets: &Targets,
    use_it: impl FnOnce(&PipelineInputs<'_>) -> T,
) -> T {
    let workspace = workspace(settings);
    let targets: Vec<_> = targets.iter().collect();
    let images = ["hello".to_owned()];
    // `generate_files` rejects wrong settings.
    let tool = workspace.settings.ci.tool_source(workspace.xtask).unwrap_or(ToolSource::Xtask);
    use_it(&PipelineInputs {
        workspace: &workspace,
        targets: &targets,
        images: &images,
        toolchain_file: None,
        xtask_alias: false,
        tool: &tool,
    })
}

/// Returns the content of all files.
pub(super) fn all(settings: &str) -> Result<String> {
    let targets = Targets::new([]).unwrap();
    with(settings, &targets, |inputs| {
        let mut text = String::new();
        for provider in Provider::ALL {
            for file in generate_files(inputs, provider)? {
                assert!(is_generated(&file.text), "{}", file.path);
                text.push_str(&file.text);
            }
        }
        Ok(text)
    })
}

pub(super) fn rejected(settings: &str) -> String {
    let error = all(settings).unwrap_err();
    assert_eq!(error.status(), crate::model::error::Status::Usage);
    format!("{error:?}")
}

/// Checks that each job comes after those that it needs, and that names are unique.
fn check_order(pipeline: &Pipeline) {
    let mut known = Vec::new();
    for job in &pipeline.jobs {
        for need in &job.needs {
            assert!(known.contains(need), "{} needs {need}", job.id);
        }
        assert!(!known.contains(&job.id), "{}", job.id);
        known.push(job.id.clone());
    }
}

#[test]
fn platforms_need_the_plan_and_the_merge_needs_all_platforms() {
    let (_, spec) = crate::build::target::EMBEDDED[0];
    let own = (0..298).map(|at| {
        let spec = spec.replace("linux/arm64", &format!("linux/a{at}"));
        (format!("machine{at}-unknown-linux.musl"), "targets".to_owned(), spec)
    });
    let targets = Targets::new(own).unwrap();
    for provider in Provider::ALL {
        let pipeline = with("", &targets, |inputs| release::pipeline(inputs, provider));
        check_order(&pipeline);
        // Plan, the program for arm64, merge, publish.
        let publish = usize::from(provider != Provider::Circleci);
        assert_eq!(pipeline.jobs.len(), 303 + publish);
        let (builds, ends): (Vec<_>, Vec<_>) =
            pipeline.jobs.iter().partition(|job| job.id.starts_with("build-"));
        assert!(builds.iter().all(|job| job.needs[0] == "plan"));
        let merge = ends.iter().find(|job| job.id == "merge").unwrap();
        assert_eq!(merge.needs.len(), 301);
        let files = with("", &targets, |inputs| generate_files(inputs, provider)).unwrap();
        // GitHub's own limits are 256 jobs of one matrix, and none for jobs.
        assert!(!files.iter().any(|file| file.text.contains("matrix")));
        // GitLab takes no more than 50 `needs` of one job, and waits for all stages without any.
        let gitlab = provider == Provider::Gitlab;
        assert!(!gitlab || !files[0].text.contains("\n    - longshore-build-"));
    }
}

#[test]
fn configured_runners_override_those_of_targets() {
    let text = all("").unwrap();
    // The build, and the job that compiles longshore for it.
    for native in ["runs-on: ubuntu-24.04-arm\n", "- saas-linux-small-arm64\n", "arm.medium\n"] {
        assert_eq!(text.matches(native).count(), 2, "{native}: {text}");
    }
    let own = "[runners.aarch64-unknown-linux-musl]\ngithub = ['self-hosted', 'big']\n\
               [runners.default]\ngithub = 'ubuntu-latest'";
    let text = all(own).unwrap();
    assert!(text.contains("runs-on:\n      - self-hosted\n      - big\n"), "{text}");
    assert!(text.contains("runs-on: ubuntu-latest\n"), "{text}");
}

#[test]
fn unknown_runners_and_targets_are_rejected_with_the_nearest() {
    let text = rejected("[runners.default]\ngithub = 'ubuntu-24.04-amr'");
    assert!(text.contains("did you mean `ubuntu-24.04-arm`?"), "{text}");
    let text = rejected("[runners.aarch64-unknown-linux-mus]\ngithub = 'ubuntu-latest'");
    assert!(text.contains("did you mean `aarch64-unknown-linux-musl`?"), "{text}");
    let text = rejected("[runners.default]\ncircleci = ['a', 'b']");
    assert!(text.contains("runners.default.circleci"), "{text}");
}

#[test]
fn values_that_would_break_a_file_are_rejected() {
    for settings in [
        "secrets = ['A-B']",
        "secrets = ['']",
        "env = { '1A' = 'x' }",
        "secrets = ['A']\nenv = { A = 'x' }",
        "branches = []",
        "branches = ['a\" || true || \"']",
        "schedule = 'daily'",
        "schedule = '0 0 * * * '",
        "repository = 'ghcr.io/me/tool:latest'",
        "repository = 'ghcr.io/ME'",
        "gitlab-file = '../x.yml'",
        "gitlab-file = 'x.txt'",
        "image = ''",
        "environment = \"a\\nb\"",
        "toolchain = 'stable; true'",
        "test = [\"a\\u0007\"]",
        "limits = { build = 0 }",
        "command = ' '",
    ] {
        rejected(settings);
    }
}

#[test]
fn secrets_go_to_the_jobs_that_need_them_only() {
    let text = all("secrets = ['KEY']\nenvironment = 'release'\n[before]\npublish = ['sign']");
    let text = text.unwrap();
    // Signing gets the secret, and preflight whether it is set.
    assert_eq!(text.matches("KEY: ${{ secrets.KEY }}").count(), 1, "{text}");
    assert_eq!(text.matches("KEY: ${{ secrets.KEY != '' }}").count(), 1, "{text}");
    assert_eq!(text.matches("environment: release\n").count(), 2, "{text}");
    // Every job of GitLab and CircleCI would see secrets of the project.
    let text = all("secrets = ['KEY']\n[before]\npublish = ['sign']").unwrap();
    assert!(!text.contains("environment: release\n"), "{text}");
    assert_eq!(text.matches("environment:\n    name: release\n").count(), 2, "{text}");
    assert_eq!(text.matches("context:\n            - release\n").count(), 2, "{text}");
}

/// Calls `check` with every job of every provider's pipelines.
pub(super) fn each_job(settings: &str, check: impl Fn(Provider, &job::Job)) {
    let targets = Targets::new([]).unwrap();
    for provider in Provider::ALL {
        with(settings, &targets, |inputs| {
            for pipeline in [check::pipeline(inputs, provider), release::pipeline(inputs, provider)]
            {
                pipeline.jobs.iter().for_each(|job| check(provider, job));
            }
        });
    }
}

/// Variables of a GitLab project are seen by all jobs, unless they belong to an environment.
#[test]
fn the_token_for_comments_belongs_to_an_environment() {
    each_job("", |provider, job| {
        let own =
            (provider == Provider::Gitlab && job.id == "comment").then_some("longshore-comment");
        assert_eq!(job.environment.as_deref(), own, "{provider} {}", job.id);
    });
    let text = all("").unwrap();
    assert!(!text.contains("GITLAB_TOKEN"), "{text}");
    assert_eq!(text.matches("$LONGSHORE_COMMENT == \"true\"").count(), 2, "{text}");
}

#[test]
fn lines_that_compile_beside_secrets_are_rejected() {
    for line in [
        "cargo xtask sign",
        "cargo +nightly --locked run -p tool",
        "test -f x && (cargo build)",
        "$CARGO t",
        "FOO=1 /usr/bin/cargo install cosign",
        "cargo publish",
        "x=$(cargo clippy)",
    ] {
        for key in ["before", "after"] {
            let text = rejected(&format!("[{key}]\npublish = ['{line}']"));
            assert!(text.contains(&format!("{key}.publish")) && text.contains(line), "{text}");
        }
        assert!(all(&format!("[after]\nmerge = ['{line}']")).is_ok(), "{line}");
    }
    for line in
        ["cargo longshore sign", "cargo publish --no-verify", "cargo --version", "echo cargo"]
    {
        all(&format!("[before]\npublish = ['{line}']")).unwrap();
    }
}

#[test]
fn attestations_need_no_other_permission() {
    let attest = |provider| {
        let targets = Targets::new([]).unwrap();
        with("attest = true", &targets, |inputs| release::pipeline(inputs, provider))
    };
    let pipeline = attest(Provider::Github);
    let job = pipeline.jobs.iter().find(|job| job.id == "attest").unwrap();
    let scopes: Vec<_> = job.permissions.iter().map(|entry| (entry.scope, entry.write)).collect();
    assert_eq!(scopes, [("contents", false), ("attestations", true)]);
    assert!(job.id_token && job.environment.is_none());
    let publish = pipeline.jobs.iter().find(|job| job.id == "publish").unwrap();
    assert!(publish.needs.contains(&"attest".to_owned()) && !publish.id_token);
    let text = all("attest = true").unwrap();
    for line in [
        "subject-checksums: target/dist/archives/SHA256SUMS\n",
        "subject-checksums: target/dist/archives/digests.txt\n",
        "RUNNER_GENERATE_ARTIFACTS_METADATA: 'true'\n",
    ] {
        assert_eq!(text.matches(line).count(), 1, "{line}: {text}");
    }
    let without = all("").unwrap();
    assert!(!without.contains("attest") && !without.contains("ARTIFACTS_METADATA"), "{without}");
}

#[test]
fn releases_are_built_with_an_exact_version_of_rust() {
    let text = all("").unwrap();
    assert!(text.contains(&format!("RUSTUP_TOOLCHAIN: '{RUST}'\n")), "{text}");
    assert!(text.contains(&format!("image: rust:{RUST}-bookworm\n")), "{text}");
    assert!(!text.contains("stable") && !text.contains("rust:1-"), "{text}");
    let text = all("toolchain = '1.90.0'").unwrap();
    assert!(text.contains("image: rust:1.90.0-bookworm\n"), "{text}");
    let targets = Targets::new([]).unwrap();
    for (file, expected) in [("1.91.1", "1.91.1"), ("1.91", RUST), ("nightly", RUST), ("", RUST)] {
        let pipeline = with("", &targets, |inputs| {
            let inputs = PipelineInputs { toolchain_file: Some(file), ..*inputs };
            release::pipeline(&inputs, Provider::Gitlab)
        });
        assert_eq!(pipeline.image, format!("rust:{expected}-bookworm"), "{file}");
        assert!(!pipeline.env.contains_key("RUSTUP_TOOLCHAIN"));
    }
}

#[test]
fn releases_are_built_without_a_cache_by_default() {
    let targets = Targets::new([]).unwrap();
    let steps = |settings: &str| {
        let pipeline =
            with(settings, &targets, |inputs| release::pipeline(inputs, Provider::Github));
        let steps = pipeline.jobs.into_iter().flat_map(|job| job.steps);
        steps.filter(|step| matches!(step, JobStep::Restore(_) | JobStep::Save(_))).count()
    };
    assert_eq!(steps(""), 0);
    assert_eq!(steps("release-cache = true"), 4);
    // Nothing is restored that an untrusted job could have written.
    let text = all("release-cache = true\ncommand = 'cargo xtask'").unwrap();
    let secret = "LONGSHORE_CACHE_SECRET: ${{ secrets.LONGSHORE_CACHE_SECRET }}";
    assert_eq!(text.matches(secret).count(), 4, "{text}");
    let restores = text.matches("cache restore target/ci-cache").count();
    let checked = text.matches("cache restore target/ci-cache --authenticated").count();
    assert!(checked == 6 && restores == checked + 3, "{text}");
}

/// Branches that are not protected can save under any key: a release restores none of theirs.
#[test]
fn a_release_cache_is_not_filled_by_branches() {
    let text = all("release-cache = true").unwrap();
    // GitLab: caches of protected tags are separate, and for others nothing is used.
    assert_eq!(text.matches("unprotect: false\n").count(), 3, "{text}");
    let guard = "if [ \"${CI_COMMIT_REF_PROTECTED-}\" = true ]; then\n";
    assert_eq!(text.matches(guard).count(), 4, "{text}");
    assert_eq!(text.matches("key: longshore-release-build-").count(), 2 * 2 + 2 + 2, "{text}");
    // CircleCI: keys of the tag, in jobs that only tags start.
    let tag = "-{{ .Environment.CIRCLE_TAG }}-";
    assert_eq!(text.matches(&format!("musl{tag}")).count(), 4, "{text}");
    let circleci = &text[text.find("version: 2.1").unwrap()..];
    for (at, _) in circleci.match_indices("longshore-release-build-") {
        let line = circleci[at..].lines().next().unwrap();
        assert!(line.contains(tag), "{line}");
    }
    // The secret is in no environment with others.
    assert!(text.contains("environment: longshore-cache\n"), "{text}");
    assert!(text.contains("context:\n            - longshore-cache\n"), "{text}");
}

#[test]
fn shell_lines_are_unchanged() {
    let line = "cat <<EOF\\n  a: b\\n\\nEOF";
    let text = all(&format!("[before]\nbuild = [\"{line}\"]")).unwrap();
    assert!(text.contains("cat <<EOF\n            a: b\n\n          EOF\n"), "{text}");
    // CircleCI takes `<<` for its own.
    assert!(text.contains("cat \\<<EOF\n"), "{text}");
}

#[test]
fn several_images_have_names_below_the_repository() {
    let workspace = workspace("repository = 'ghcr.io/me/all'");
    let targets = Targets::new([]).unwrap();
    let targets: Vec<_> = targets.iter().collect();
    let images = ["one".to_owned(), "two".to_owned()];
    let inputs = PipelineInputs {
        workspace: &workspace,
        targets: &targets,
        images: &images,
        toolchain_file: Some("1.92.0"),
        xtask_alias: false,
        tool: &ToolSource::Xtask,
    };
    let text = generate_files(&inputs, Provider::Github).unwrap().remove(1).text;
    let line = "push ghcr.io/me/all/two --package two --tags release --github-token";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("packages: write # pushes the image"), "{text}");
}
