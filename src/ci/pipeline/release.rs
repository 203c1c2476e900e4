//! The pipeline of a release: plan, one job for each platform, and one that merges and publishes.

use super::{
    PipelineInputs,
    job::{
        Artifact, ArtifactName, Audience, Cache, CheckoutSource, Download, Job, JobStage, JobStep,
        Permission, Pipeline, StoreCondition, Trigger,
    },
    script,
};
use crate::{
    build::{cache::SECRET, target::Target},
    model::provider::Provider,
};

/// Returns the pipeline for `provider`.
pub(super) fn pipeline(inputs: &PipelineInputs<'_>, provider: Provider) -> Pipeline {
    let ids = ids(inputs.targets);
    let builds = inputs.targets.iter().zip(&ids);
    let mut jobs = vec![plan(inputs, provider)];
    jobs.extend(builds.map(|(target, id)| build(inputs, provider, target, id)));
    jobs.push(merge(inputs, provider, &ids));
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

fn plan(inputs: &PipelineInputs<'_>, provider: Provider) -> Job {
    let settings = inputs.settings();
    let preflight = script::preflight(&inputs.tool()).secrets(&settings.secrets);
    let mut steps = inputs.first_steps(CheckoutSource::Commit);
    steps.push(JobStep::Run(preflight));
    steps.extend(inputs.before("plan", &settings.before.plan));
    steps.push(JobStep::Run(script::run("Plan", format!("{} plan", inputs.tool()))));
    steps.extend(inputs.after("plan", &settings.after.plan));
    Job {
        id: "plan".to_owned(),
        title: "Plan".to_owned(),
        stage: JobStage::Build,
        needs: Vec::new(),
        runner: settings.runner(provider, None),
        minutes: settings.limits.plan,
        permissions: vec![READ],
        id_token: false,
        // Secrets of an environment are seen by its jobs only.
        environment: settings.environment.clone().filter(|_| !settings.secrets.is_empty()),
        audience: Audience::All,
        steps,
    }
}

fn build(inputs: &PipelineInputs<'_>, provider: Provider, target: &Target, id: &str) -> Job {
    let settings = inputs.settings();
    let tool = inputs.tool();
    let cache = Cache { key: format!("longshore-{id}"), path: script::CACHE.to_owned() };
    let cached = |step: JobStep, verb: &str| {
        // Branches and pull requests may be able to write it, too.
        let flag = if verb == "restore" { " --authenticated" } else { "" };
        let line = format!("{tool} cache {verb} {}{flag}", script::CACHE);
        let run = script::run(&format!("Cache: {verb}"), line);
        let run = JobStep::Run(run.secrets(&[SECRET.to_owned()]));
        let both = if verb == "restore" { [step, run] } else { [run, step] };
        both.into_iter().filter(|_| settings.release_cache)
    };
    let mut steps = inputs.first_steps(CheckoutSource::Commit);
    if settings.release_cache && !inputs.needs_install() {
        // Without the secret of the next steps.
        steps.push(JobStep::Run(script::run(
            "Compile the tool",
            format!("{tool} --help >/dev/null"),
        )));
    }
    steps.extend(cached(JobStep::Restore(cache.clone()), "restore"));
    steps.extend(inputs.before("build", &settings.before.build));
    steps.push(JobStep::Run(script::build(&tool, &target.name)));
    steps.extend(inputs.after("build", &settings.after.build));
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
    Job {
        id: id.to_owned(),
        title: format!("Build {}", target.spec.platform),
        stage: JobStage::Build,
        needs: vec!["plan".to_owned()],
        runner: settings.runner(provider, Some(target)),
        minutes: settings.limits.build,
        permissions: vec![READ],
        id_token: false,
        // A context of CircleCI would pass all of its secrets to the build.
        environment: settings
            .environment
            .clone()
            .filter(|_| settings.release_cache && provider != Provider::Circleci),
        audience: Audience::All,
        steps,
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

fn merge(inputs: &PipelineInputs<'_>, provider: Provider, builds: &[String]) -> Job {
    let settings = inputs.settings();
    let tool = inputs.tool();
    let secrets = &settings.secrets;
    let names: Vec<&str> = inputs.targets.iter().map(|target| target.name.as_str()).collect();
    let mut steps = inputs.first_steps(CheckoutSource::Commit);
    steps.push(JobStep::Download(Download {
        name: ArtifactName::Start("longshore-part-".to_owned()),
        path: script::PARTS.to_owned(),
        optional: false,
    }));
    steps.extend(inputs.before("merge", &settings.before.merge));
    steps.push(JobStep::Run(script::merge(&tool, &names)));
    steps.push(JobStep::Run(script::verify(&tool)));
    steps.extend(inputs.after("merge", &settings.after.merge));
    let secret = |step: JobStep| match step {
        JobStep::Run(run) => JobStep::Run(run.secrets(secrets)),
        step => step,
    };
    steps.extend(inputs.before("publish", &settings.before.publish).map(secret));
    steps.push(JobStep::Upload(Artifact {
        name: "longshore-archives".to_owned(),
        path: "target/dist/archives".to_owned(),
        days: 30,
        when: StoreCondition::Success,
        handed_on: false,
    }));
    let repository = settings.repository(provider);
    steps.extend(repository.map(|name| JobStep::Run(script::push(inputs, provider, name))));
    let release = settings.release.unwrap_or(true);
    let script = script::release(inputs, provider).filter(|_| release);
    steps.extend(script.map(JobStep::Run));
    steps.extend(inputs.after("publish", &settings.after.publish).map(secret));
    steps.extend(logs("merge"));
    let mut permissions = vec![match release {
        true => Permission { scope: "contents", write: true, why: "creates the release" },
        false => READ,
    }];
    if repository.is_some_and(|name| name.starts_with("ghcr.io/")) {
        permissions.push(Permission { scope: "packages", write: true, why: "pushes the image" });
    }
    Job {
        id: "merge".to_owned(),
        title: "Merge and publish".to_owned(),
        stage: JobStage::Deploy,
        needs: ["plan".to_owned()].into_iter().chain(builds.iter().cloned()).collect(),
        runner: settings.runner(provider, None),
        minutes: settings.limits.merge,
        permissions,
        id_token: settings.id_token,
        environment: settings.environment.clone(),
        audience: Audience::All,
        steps,
    }
}
