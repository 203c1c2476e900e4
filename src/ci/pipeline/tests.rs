//! Tests of pipelines and files, without a machine.

use super::*;
use crate::{build::target::Targets, ci::pipeline::job::Pipeline};

/// Returns a workspace of one package, with these settings (TOML).
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
        xtask: false,
        packages: Vec::new(),
    }
}

fn with<T>(settings: &str, targets: &Targets, use_it: impl FnOnce(&PipelineInputs<'_>) -> T) -> T {
    let workspace = workspace(settings);
    let targets: Vec<_> = targets.iter().collect();
    let images = ["hello".to_owned()];
    use_it(&PipelineInputs {
        workspace: &workspace,
        targets: &targets,
        images: &images,
        toolchain_file: false,
        xtask_alias: false,
    })
}

/// Returns the content of all files.
fn all(settings: &str) -> Result<String> {
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

fn rejected(settings: &str) -> String {
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
        assert_eq!(pipeline.jobs.len(), 302);
        let (builds, ends): (Vec<_>, Vec<_>) =
            pipeline.jobs.iter().partition(|job| job.id.starts_with("build-"));
        assert!(builds.iter().all(|job| job.needs == ["plan"]));
        assert_eq!(ends[1].needs.len(), 301);
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
    for native in ["runs-on: ubuntu-24.04-arm\n", "- saas-linux-small-arm64\n", "arm.medium\n"] {
        assert_eq!(text.matches(native).count(), 1, "{native}: {text}");
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
    // Preflight and signing.
    assert_eq!(text.matches("KEY: ${{ secrets.KEY }}").count(), 2, "{text}");
    assert_eq!(text.matches("environment: release\n").count(), 2, "{text}");
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
    assert!(checked >= 2 && restores > checked, "{text}");
    let (before, _) = text.split_once(secret).unwrap();
    assert!(before.contains("cargo xtask --help >/dev/null"), "{text}");
}

#[test]
fn a_workspace_without_xtask_installs_the_tool() {
    let text = all("").unwrap();
    assert!(text.contains("|| cargo install longshore --locked --version"), "{text}");
    assert!(text.contains("cargo longshore dist --target x86_64-unknown-linux-musl"), "{text}");
    let text = all("command = 'cargo xtask'").unwrap();
    assert!(!text.contains("cargo install"), "{text}");
    assert!(text.contains("cargo xtask dist --preset quick"), "{text}");
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
        toolchain_file: true,
        xtask_alias: false,
    };
    let text = generate_files(&inputs, Provider::Github).unwrap().remove(1).text;
    let line = "push ghcr.io/me/all/two --package two --tags release --github-token";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("packages: write # pushes the image"), "{text}");
}
