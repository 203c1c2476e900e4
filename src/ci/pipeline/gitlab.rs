//! The pipelines as one file of GitLab CI (<https://docs.gitlab.com/ci/yaml/>). It has no `stages`: the jobs are
//! in the default stages, so that the file can be included.

use super::{
    job::{
        Artifact, Audience, Cache, CheckoutSource, Job, JobStage, JobStep, Pipeline, Run,
        StoreCondition, TIME_LIMIT, Trigger,
    },
    tool_script,
    yaml::{Yaml, map, strings, text},
};
use crate::model::provider::Runner;

/// The hidden job that the other jobs extend.
const COMMON: &str = ".longshore";

/// Renders the file. `whole` is whether it is the root file, and not included by one that decides when
/// pipelines run.
pub(super) fn render(pipelines: &[Pipeline], whole: bool) -> Vec<(String, Yaml)> {
    let mut pairs = Vec::new();
    if whole {
        let rules = pipelines.iter().flat_map(|pipeline| rules(&pipeline.trigger)).collect();
        pairs.push(("workflow".to_owned(), map([("rules", Yaml::List(rules))])));
    }
    if let Some(first) = pipelines.first() {
        let value =
            |(name, value): (&String, &String)| (name.clone(), text(value.replace('$', "$$")));
        let env: Vec<_> = first.env.iter().map(value).collect();
        let common = map([("image", text(&first.image))])
            .with_some("variables", (!env.is_empty()).then_some(Yaml::Map(env)));
        pairs.push((COMMON.to_owned(), common));
    }
    for pipeline in pipelines {
        pairs.extend(pipeline.jobs.iter().map(|entry| (id(&entry.id), job(entry, pipeline))));
    }
    pairs
}

/// Returns a name that is unique among all included jobs.
fn id(id: &str) -> String {
    format!("longshore-{id}")
}

fn rules(trigger: &Trigger) -> Vec<Yaml> {
    let rule = |condition: String| map([("if", text(condition))]);
    match trigger {
        Trigger::Release => vec![rule("$CI_COMMIT_TAG =~ /^v/".to_owned())],
        Trigger::Check { branches, .. } => {
            let pulls = rule("$CI_PIPELINE_SOURCE == \"merge_request_event\"".to_owned());
            // The schedule is in the project's settings, and not in files.
            let timed = rule("$CI_PIPELINE_SOURCE == \"schedule\"".to_owned());
            let pushed = |name: &String| rule(format!("$CI_COMMIT_BRANCH == \"{name}\""));
            [pulls, timed].into_iter().chain(branches.iter().map(pushed)).collect()
        }
    }
}

fn job(job: &Job, pipeline: &Pipeline) -> Yaml {
    let stage = match job.stage {
        JobStage::Build => "build",
        JobStage::Test => "test",
        JobStage::Deploy => "deploy",
    };
    // Rules do not see the variables of an environment (<https://docs.gitlab.com/ci/environments/>), and the
    // token must be seen by the job that comments alone.
    let own =
        "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID && $LONGSHORE_COMMENT == \"true\"";
    let optional = job.audience == Audience::OwnPullRequests;
    let rules = match optional {
        true => vec![map([("if", text(own)), ("when", text("always"))])],
        false => rules(&pipeline.trigger),
    };
    let tags = match &job.runner {
        Runner::Hosted(name) => vec![name.clone()],
        Runner::SelfHosted(labels) => labels.clone(),
    };
    // Without `needs`, a job waits for all stages before its own, and gets all of their artifacts; `needs`
    // could name no more than 50 (`ci_needs_size_limit`).
    let needs = (!job.needs_stages).then(|| strings(job.needs.iter().map(|need| id(need))));
    let environment = job.environment.as_ref();
    let environment =
        environment.map(|name| map([("name", text(name)), ("action", text("access"))]));
    let history = job.steps.contains(&JobStep::Checkout(CheckoutSource::History));
    let source = job.steps.iter().any(|step| matches!(step, JobStep::Checkout(_)));
    let variables = map([(TIME_LIMIT, text(job.minutes.to_string()))])
        .with_some("GIT_DEPTH", history.then(|| text("0")))
        .with_some("GIT_STRATEGY", (!source).then(|| text("none")))
        // The runner writes an in-toto statement about all artifacts, outside of the scripts
        // (<https://docs.gitlab.com/ci/runners/configure_runners/#artifact-provenance-metadata>).
        .with_some("RUNNER_GENERATE_ARTIFACTS_METADATA", job.provenance.then(|| text("true")));
    let token = map([("SIGSTORE_ID_TOKEN", map([("aud", text("sigstore"))]))]);
    map([("extends", text(COMMON)), ("stage", text(stage))])
        .with_some("needs", needs)
        .with("rules", Yaml::List(rules))
        .with_some("allow_failure", optional.then_some(Yaml::Bool(true)))
        .with("tags", strings(tags))
        .with("timeout", text(format!("{} minutes", job.minutes)))
        .with_some("environment", environment)
        .with_some("id_tokens", job.id_token.then_some(token))
        .with("variables", variables)
        .with_some("cache", cache(&job.steps))
        .with("script", Yaml::List(job.steps.iter().filter_map(line).collect()))
        .with_some("artifacts", artifacts(&job.steps))
}

/// Returns one line that runs a script in a separate shell, which it may exit: GitLab runs all lines in one.
fn line(step: &JobStep) -> Option<Yaml> {
    let JobStep::Run(run) = step else { return None };
    let title = crate::model::command::quote(&format!("==> {}", run.name));
    Some(text(format!("echo {title}\n(\n{})\n", run.script)))
}

fn cache(steps: &[JobStep]) -> Option<Yaml> {
    let cache: &Cache = steps.iter().find_map(|step| match step {
        JobStep::Restore(cache) => Some(cache),
        _ => None,
    })?;
    // Protected branches and tags have separate caches.
    let unprotect = ("unprotect", Yaml::Bool(false));
    Some(map([("key", text(&cache.key)), unprotect, ("paths", strings([&cache.path]))]))
}

/// Returns the artifacts of a job, which has only one set: stored as long as the longest of them, and on
/// failure, too, if one of them is.
fn artifacts(steps: &[JobStep]) -> Option<Yaml> {
    let all = || {
        steps.iter().filter_map(|step| match step {
            JobStep::Upload(artifact) => Some(artifact),
            _ => None,
        })
    };
    let days = all().map(|artifact| artifact.days).max()?;
    let always = all().any(|artifact: &Artifact| artifact.when != StoreCondition::Success);
    let reports = steps.iter().find_map(|step| match step {
        JobStep::Tests(path) => Some(map([("junit", text(path))])),
        JobStep::Run(Run { output: Some(name), .. }) => {
            Some(map([("dotenv", text(tool_script::dotenv(name)))]))
        }
        _ => None,
    });
    let when = if always { "always" } else { "on_success" };
    Some(
        map([
            ("when", text(when)),
            ("expire_in", text(format!("{days} days"))),
            ("paths", strings(all().map(|artifact| &artifact.path))),
        ])
        .with_some("reports", reports),
    )
}
