//! The pipeline as workflows of GitHub Actions
//! (<https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax>).

use super::{
    job::{
        Artifact, ArtifactName, Audience, Cache, CheckoutSource, Download, EnvValue, Job, JobStep,
        Permission, Pipeline, Run, StoreCondition, TIME_LIMIT, Trigger,
    },
    yaml::{Yaml, map, strings, text},
};
use crate::model::provider::Runner;

/// Actions by their commits: a tag can be moved, a commit cannot.
const CHECKOUT: [&str; 2] = ["actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd", "v6.0.2"];
const UPLOAD: [&str; 2] =
    ["actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a", "v7.0.1"];
const DOWNLOAD: [&str; 2] =
    ["actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c", "v8.0.1"];
const RESTORE: [&str; 2] =
    ["actions/cache/restore@668228422ae6a00e4ad889ee87cd7109ec5666a7", "v5.0.4"];
const ATTEST: [&str; 2] = ["actions/attest@1e69f48acb82d1966a394da916b4c1698aa569d6", "v4.2.2"];
const SAVE: [&str; 2] = ["actions/cache/save@668228422ae6a00e4ad889ee87cd7109ec5666a7", "v5.0.4"];

/// Returns the workflow.
pub(super) fn render(pipeline: &Pipeline) -> Vec<(String, Yaml)> {
    let (name, on, newer_ends_older) = match &pipeline.trigger {
        Trigger::Release => {
            ("release", map([("push", map([("tags", strings(["v*"]))]))]), Yaml::Bool(false))
        }
        Trigger::Check { branches, schedule } => {
            let push = map([("branches", strings(branches.clone()))]);
            let on = map([("pull_request", Yaml::Null), ("push", push)]);
            let cron = |cron: &String| Yaml::List(vec![map([("cron", text(cron))])]);
            // Each push to a branch stores the sizes that pull requests are compared with.
            let pulls = text("${{ github.event_name == 'pull_request' }}");
            ("check", on.with_some("schedule", schedule.as_ref().map(cron)), pulls)
        }
    };
    let env = pipeline.env.iter().map(|(name, value)| (name.clone(), text(value)));
    let env: Vec<_> = env.collect();
    let jobs = pipeline.jobs.iter().map(|entry| (entry.id.clone(), job(entry))).collect();
    let group = text("${{ github.workflow }}-${{ github.ref }}");
    let concurrency = map([("group", group), ("cancel-in-progress", newer_ends_older)]);
    let mut pairs = vec![
        ("name".to_owned(), text(format!("longshore {name}"))),
        ("on".to_owned(), on),
        ("permissions".to_owned(), Yaml::Map(Vec::new())),
        ("concurrency".to_owned(), concurrency),
    ];
    if !env.is_empty() {
        pairs.push(("env".to_owned(), Yaml::Map(env)));
    }
    pairs.push(("jobs".to_owned(), Yaml::Map(jobs)));
    pairs
}

fn job(job: &Job) -> Yaml {
    let mut permissions: Vec<_> = job.permissions.iter().map(permission).collect();
    if job.id_token {
        let why = "identifies the job to registries and signers";
        permissions.push(permission(&Permission { scope: "id-token", write: true, why }));
    }
    let runner = match &job.runner {
        Runner::Hosted(name) => text(name),
        Runner::SelfHosted(labels) => strings(labels.clone()),
    };
    let own = "${{ !cancelled() && github.event_name == 'pull_request' && \
               github.event.pull_request.head.repo.full_name == github.repository }}";
    let own = (job.audience == Audience::OwnPullRequests).then(|| text(own));
    let needs = (!job.needs.is_empty()).then(|| strings(job.needs.clone()));
    map([("name", text(&job.title))])
        .with_some("needs", needs)
        .with_some("continue-on-error", own.as_ref().map(|_| Yaml::Bool(true)))
        .with_some("if", own)
        .with("runs-on", runner)
        .with("timeout-minutes", Yaml::Number(job.minutes))
        .with("permissions", Yaml::Map(permissions))
        .with("env", map([(TIME_LIMIT, text(job.minutes.to_string()))]))
        .with_some("environment", job.environment.as_ref().map(text))
        .with_some("outputs", outputs(&job.steps))
        .with("steps", Yaml::List(job.steps.iter().filter_map(step).collect()))
}

/// Returns the values that steps hand to later jobs.
fn outputs(steps: &[JobStep]) -> Option<Yaml> {
    let outputs = steps.iter().filter_map(|step| match step {
        JobStep::Run(Run { output: Some(id), .. }) => {
            Some(((*id).to_owned(), text(format!("${{{{ steps.{id}.outputs.value }}}}"))))
        }
        _ => None,
    });
    let outputs: Vec<_> = outputs.collect();
    (!outputs.is_empty()).then_some(Yaml::Map(outputs))
}

fn permission(permission: &Permission) -> (String, Yaml) {
    let access = if permission.write { "write" } else { "read" };
    (permission.scope.to_owned(), text(access).with_comment(permission.why))
}

fn uses([action, version]: [&str; 2], condition: Option<&str>) -> Yaml {
    map([("uses", text(action).with_comment(version))]).with_some("if", condition.map(text))
}

fn step(step: &JobStep) -> Option<Yaml> {
    Some(match step {
        JobStep::Checkout(source) => {
            let with = map([("persist-credentials", Yaml::Bool(false))]);
            uses(CHECKOUT, None).with(
                "with",
                match source {
                    CheckoutSource::Commit => with,
                    // The checkout of a pull request is a merge commit; its first parent is the base.
                    CheckoutSource::History => with.with("fetch-depth", Yaml::Number(2)),
                    CheckoutSource::Base => {
                        with.with("ref", text("${{ github.event.pull_request.base.sha }}"))
                    }
                },
            )
        }
        JobStep::Run(run) => script(run),
        JobStep::Upload(artifact) => upload(artifact),
        JobStep::Download(artifact) => download(artifact),
        JobStep::Restore(cache) => uses(RESTORE, None)
            .with("with", cache_step(cache).with("restore-keys", text(format!("{}-", cache.key)))),
        JobStep::Save(cache) => uses(SAVE, None).with("with", cache_step(cache)),
        // Without a predicate it is a provenance of SLSA's, and the registry is not written to.
        JobStep::Attest(list) => {
            uses(ATTEST, None).with("with", map([("subject-checksums", text(list))]))
        }
        // GitHub shows no such reports.
        JobStep::Tests(_) => return None,
    })
}

fn script(run: &Run) -> Yaml {
    let value = |(name, value): &(String, EnvValue)| {
        let text = match value {
            EnvValue::Secret(secret) => text(format!("${{{{ secrets.{secret} }}}}")),
            EnvValue::IsSet(secret) => text(format!("${{{{ secrets.{secret} != '' }}}}")),
            EnvValue::Output(job, name) => text(format!("${{{{ needs.{job}.outputs.{name} }}}}")),
            EnvValue::Token => text("${{ github.token }}"),
        };
        (name.clone(), text)
    };
    let env: Vec<_> = run.env.iter().map(value).collect();
    map([("name", text(&run.name))])
        .with_some("id", run.output.map(text))
        .with_some("env", (!env.is_empty()).then_some(Yaml::Map(env)))
        .with("shell", text("sh"))
        .with("run", text(&run.script))
}

fn upload(artifact: &Artifact) -> Yaml {
    let (condition, absent) = match artifact.when {
        StoreCondition::Success => (None, "error"),
        StoreCondition::Failure => (Some("${{ failure() }}"), "ignore"),
        StoreCondition::Always => (Some("${{ !cancelled() }}"), "ignore"),
    };
    let with = map([
        ("name", text(&artifact.name)),
        ("path", text(&artifact.path)),
        ("if-no-files-found", text(absent)),
        // A job that is run again has made them before.
        ("overwrite", Yaml::Bool(true)),
        ("retention-days", Yaml::Number(artifact.days)),
    ]);
    uses(UPLOAD, condition).with("with", with)
}

fn download(artifact: &Download) -> Yaml {
    let with = match &artifact.name {
        ArtifactName::Whole(name) => map([("name", text(name))]),
        ArtifactName::Start(start) => {
            map([("pattern", text(format!("{start}*"))), ("merge-multiple", Yaml::Bool(true))])
        }
    };
    let with = with.with("path", text(&artifact.path));
    let optional = artifact.optional.then_some(Yaml::Bool(true));
    uses(DOWNLOAD, None).with_some("continue-on-error", optional).with("with", with)
}

fn cache_step(cache: &Cache) -> Yaml {
    let key = format!("{}-${{{{ github.sha }}}}", cache.key);
    map([("path", text(&cache.path)), ("key", text(key))])
}
