//! The pipeline of a release: plan, one job for each platform, one that merges, and one that publishes. Jobs that
//! see secrets or tokens compile nothing: they run a program that was compiled before.

use super::{
    PipelineInputs,
    job::{
        Artifact, ArtifactName, Cache, CheckoutSource, Download, Job, JobStage, JobStep,
        Permission, Pipeline, StoreCondition, Trigger,
    },
    script,
    tool::{Tool, Tools},
};
use crate::{
    build::{cache::SECRET, target::Target},
    model::provider::Provider,
};

/// Returns the pipeline for `provider`.
pub(super) fn pipeline(inputs: &PipelineInputs<'_>, provider: Provider) -> Pipeline {
    let ids = ids(inputs.targets);
    let tools = Tools::new(inputs, provider, PLAN);
    let builds = inputs.targets.iter().zip(&ids);
    let mut jobs = vec![plan(inputs, provider, &tools)];
    jobs.extend(preflight(inputs, provider));
    jobs.extend(tools.jobs(inputs));
    jobs.extend(builds.map(|(target, id)| build(inputs, provider, &tools, target, id)));
    jobs.push(merge(inputs, provider, tools.default(), &ids));
    jobs.extend(attest(inputs, provider));
    jobs.extend(publish(inputs, provider, tools.default()));
    Pipeline { trigger: Trigger::Release, env: inputs.env(), image: inputs.image(), jobs }
}

/// Returns the jobs' names: those of the targets, in characters that all providers accept.
fn ids(targets: &[&Target]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for target in targets {
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let name = target.name.chars().map(|c| if fine(c) { c } else { '-' });
        let mut id = format!("build-{}", name.collect::<String>());
        while ids.contains(&id) {
            id.push('-');
        }
        ids.push(id);
    }
    ids
}

pub(super) const READ: Permission =
    Permission { scope: "contents", write: false, why: "reads the source" };

fn plan(inputs: &PipelineInputs<'_>, provider: Provider, tools: &Tools) -> Job {
    let tool = tools.default();
    let command = tool.command();
    let mut steps = tool.first_steps(inputs, provider, CheckoutSource::Commit);
    steps.push(JobStep::Run(script::preflight(&command)));
    steps.extend(inputs.before("plan", tool));
    steps.push(JobStep::Run(script::run("Plan", format!("{command} plan"))));
    steps.extend(inputs.after("plan", tool));
    let permissions = vec![READ];
    Job { stage: JobStage::Build, permissions, steps, ..inputs.job(provider, PLAN, "Plan") }
}

/// The first job.
const PLAN: &str = "plan";

/// The job that checks the secrets.
const PREFLIGHT: &str = "preflight";

/// Returns the job that checks that all secrets are set. It has no source and no program: it is the only job
/// before the one that publishes that could read them.
fn preflight(inputs: &PipelineInputs<'_>, provider: Provider) -> Option<Job> {
    let secrets = &inputs.settings().secrets;
    (!secrets.is_empty()).then(|| Job {
        stage: JobStage::Build,
        // Secrets of an environment are seen by its jobs only.
        environment: inputs.settings().secret_environment(provider),
        steps: vec![JobStep::Run(script::check_secrets(provider, secrets))],
        ..inputs.job(provider, PREFLIGHT, "Check secrets")
    })
}

/// The environment, or context, of jobs that use a cache: it has [`SECRET`] and nothing else.
const CACHE_ENVIRONMENT: &str = "longshore-cache";

fn build(
    inputs: &PipelineInputs<'_>,
    provider: Provider,
    tools: &Tools,
    target: &Target,
    id: &str,
) -> Job {
    let settings = inputs.settings();
    let runner = settings.runner(provider, Some(target));
    let tool = tools.get(&runner);
    let command = tool.command();
    let cache = Cache { key: format!("longshore-release-{id}"), path: script::CACHE.to_owned() };
    let cached = |step: JobStep, verb: &str| {
        let run = script::release_cache(provider, &command, verb);
        let run = JobStep::Run(run.secrets(&[SECRET.to_owned()]));
        let both = if verb == "restore" { [step, run] } else { [run, step] };
        both.into_iter().filter(|_| settings.release_cache)
    };
    let mut steps = inputs.first_steps(CheckoutSource::Commit);
    steps.extend(tool.fetch(provider));
    steps.extend(cached(JobStep::Restore(cache.clone()), "restore"));
    steps.extend(inputs.before("build", tool));
    steps.push(JobStep::Run(script::build(&command, &target.name)));
    steps.extend(inputs.after("build", tool));
    steps.extend(cached(JobStep::Save(cache), "save"));
    steps.push(JobStep::Run(script::move_part(&target.name)));
    steps.push(JobStep::Upload(Artifact {
        name: part(id),
        path: script::PARTS.to_owned(),
        days: 7,
        when: StoreCondition::Success,
        handed_on: true,
    }));
    steps.extend(logs(id));
    let mut needs = vec![PLAN.to_owned()];
    needs.extend(tool.job().filter(|job| *job != PLAN).map(str::to_owned));
    needs.extend((!settings.secrets.is_empty()).then(|| PREFLIGHT.to_owned()));
    Job {
        stage: JobStage::Build,
        needs,
        runner,
        minutes: settings.limits.build,
        permissions: vec![READ],
        environment: settings.release_cache.then(|| CACHE_ENVIRONMENT.to_owned()),
        steps,
        ..inputs.job(provider, id, &format!("Build {}", target.spec.platform))
    }
}

/// Returns the name of a job's part.
fn part(id: &str) -> String {
    format!("longshore-part-{}", id.trim_start_matches("build-"))
}

/// Returns the steps that store the events of a job, and the complete logs of its children if it failed: those
/// of a successful job are in the release.
pub(super) fn logs(id: &str) -> [JobStep; 2] {
    let artifact = |name: &str, path: &str, when| {
        let name = format!("longshore-{name}-{id}");
        JobStep::Upload(Artifact { name, path: path.to_owned(), days: 14, when, handed_on: false })
    };
    [
        artifact("log", script::LOGS, StoreCondition::Always),
        artifact("logs", "target/dist.failed/logs", StoreCondition::Failure),
    ]
}

/// The artifact with archives, checksums and documents.
fn archives() -> Artifact {
    Artifact {
        name: "longshore-archives".to_owned(),
        path: ARCHIVES.to_owned(),
        days: 30,
        when: StoreCondition::Success,
        handed_on: false,
    }
}

/// The release, as the job that merges leaves it.
const RELEASE: &str = "longshore-release";
const DIST: &str = "target/dist";
const ARCHIVES: &str = "target/dist/archives";

fn merge(inputs: &PipelineInputs<'_>, provider: Provider, tool: &Tool, builds: &[String]) -> Job {
    let settings = inputs.settings();
    let command = tool.command();
    let names: Vec<&str> = inputs.targets.iter().map(|target| target.name.as_str()).collect();
    // Nothing is downloaded between the check of the program and its first run.
    let parts = Download {
        name: ArtifactName::Start("longshore-part-".to_owned()),
        path: script::PARTS.to_owned(),
        optional: false,
    };
    let mut steps = vec![JobStep::Checkout(CheckoutSource::Commit), JobStep::Download(parts)];
    steps.extend(tool.fetch(provider));
    steps.extend(inputs.before("merge", tool));
    steps.push(JobStep::Run(script::merge(&command, &names)));
    steps.push(JobStep::Run(script::verify(&command)));
    steps.extend(inputs.after("merge", tool));
    steps.push(JobStep::Upload(archives()));
    if publishes(inputs, provider) {
        steps.push(JobStep::Upload(Artifact {
            name: RELEASE.to_owned(),
            path: DIST.to_owned(),
            days: 7,
            when: StoreCondition::Success,
            handed_on: true,
        }));
    }
    steps.extend(logs("merge"));
    Job {
        needs: [PLAN.to_owned()].into_iter().chain(builds.iter().cloned()).collect(),
        needs_stages: true,
        minutes: settings.limits.merge,
        permissions: vec![READ],
        provenance: settings.attest,
        steps,
        ..inputs.job(provider, "merge", "Merge")
    }
}

/// The job that attests.
const ATTEST: &str = "attest";

/// Returns the job that attests archives and images, before anything is published. It runs nothing but the
/// provider's own action. GitLab's runner describes the artifacts of the job that merges instead.
fn attest(inputs: &PipelineInputs<'_>, provider: Provider) -> Option<Job> {
    let attests = inputs.settings().attest && provider == Provider::Github;
    let mut steps = vec![JobStep::Download(Download {
        name: ArtifactName::Whole(archives().name),
        path: ARCHIVES.to_owned(),
        optional: false,
    })];
    let lists: &[&str] =
        if inputs.images.is_empty() { &["SHA256SUMS"] } else { &["SHA256SUMS", "digests.txt"] };
    steps.extend(lists.iter().map(|name| JobStep::Attest(format!("{ARCHIVES}/{name}"))));
    let why = "stores the attestations";
    attests.then(|| Job {
        stage: JobStage::Deploy,
        needs: vec!["merge".to_owned()],
        permissions: vec![READ, Permission { scope: "attestations", write: true, why }],
        id_token: true,
        steps,
        ..inputs.job(provider, ATTEST, "Attest")
    })
}

/// Returns whether anything is published.
fn publishes(inputs: &PipelineInputs<'_>, provider: Provider) -> bool {
    let settings = inputs.settings();
    let lines = [&settings.before.publish, &settings.after.publish];
    settings.repository(provider).is_some()
        || makes_release(inputs, provider)
        || lines.iter().any(|lines| !lines.is_empty())
}

/// Returns whether a release is created at the provider.
fn makes_release(inputs: &PipelineInputs<'_>, provider: Provider) -> bool {
    inputs.settings().release.unwrap_or(true) && provider != Provider::Circleci
}

/// Returns the job that publishes: the only one that sees secrets, and that has a token with write access.
fn publish(inputs: &PipelineInputs<'_>, provider: Provider, tool: &Tool) -> Option<Job> {
    let settings = inputs.settings();
    let secret = |step: JobStep| match step {
        JobStep::Run(run) => JobStep::Run(run.secrets(&settings.secrets)),
        step => step,
    };
    let command = tool.command();
    let release = Download {
        name: ArtifactName::Whole(RELEASE.to_owned()),
        path: DIST.to_owned(),
        optional: false,
    };
    let mut steps = vec![JobStep::Checkout(CheckoutSource::Commit), JobStep::Download(release)];
    steps.extend(tool.fetch(provider));
    let before = inputs.before("publish", tool).map(secret);
    // With the signatures that those lines add.
    let signed = before.is_some().then(|| JobStep::Upload(archives()));
    steps.extend(before.into_iter().chain(signed));
    let repository = settings.repository(provider);
    let release = makes_release(inputs, provider);
    let push = |name: &str, flags: &[&str]| {
        let run = |to| script::push(inputs, provider, to, &command, (name, flags));
        repository.map(|to| JobStep::Run(run(to)))
    };
    if release {
        // Content, then files, then tags: what can be pulled or downloaded is complete.
        steps.extend(push("Push without tags", &["--by-digest", "--tags release --dry-run"]));
        steps.extend(script::release(provider, &command).map(JobStep::Run));
    }
    steps.extend(push("Push", &["--tags release"]));
    steps.extend(inputs.after("publish", tool).map(secret));
    steps.extend(logs("publish"));
    let mut permissions = vec![match release {
        true => Permission { scope: "contents", write: true, why: "creates the release" },
        false => READ,
    }];
    if repository.is_some_and(|name| name.starts_with("ghcr.io/")) {
        permissions.push(Permission { scope: "packages", write: true, why: "pushes the image" });
    }
    let mut needs = vec![PLAN.to_owned(), "merge".to_owned()];
    needs.extend((!settings.secrets.is_empty()).then(|| PREFLIGHT.to_owned()));
    needs.extend(attest(inputs, provider).map(|job| job.id));
    publishes(inputs, provider).then(|| Job {
        stage: JobStage::Deploy,
        needs,
        minutes: settings.limits.merge,
        permissions,
        id_token: settings.id_token,
        environment: settings.secret_environment(provider),
        steps,
        ..inputs.job(provider, "publish", "Publish")
    })
}
