//! The pipelines as the configuration of CircleCI
//! (<https://circleci.com/docs/reference/configuration-reference/>).

use super::{
    job::{Artifact, Cache, Job, JobStep, Pipeline, Run, StoreCondition, TIME_LIMIT, Trigger},
    yaml::{Yaml, map, strings, text},
};
use crate::model::provider::Runner;

/// Returns the content of the file.
pub(super) fn render(pipelines: &[Pipeline]) -> Vec<(String, Yaml)> {
    let jobs = pipelines.iter().flat_map(|pipeline| {
        pipeline.jobs.iter().map(|entry| (entry.id.clone(), job(entry, pipeline)))
    });
    let jobs = jobs.collect();
    let workflows = pipelines.iter().flat_map(workflows).collect();
    vec![
        ("version".to_owned(), Yaml::Plain("2.1")),
        ("jobs".to_owned(), Yaml::Map(jobs)),
        ("workflows".to_owned(), Yaml::Map(workflows)),
    ]
}

fn workflows(pipeline: &Pipeline) -> Vec<(String, Yaml)> {
    let jobs = |filters: Option<Yaml>| {
        let job = |job: &Job| {
            let needs = (!job.needs.is_empty()).then(|| strings(job.needs.clone()));
            let context = job.environment.as_ref().map(|name| strings([name]));
            let how = Yaml::Map(Vec::new())
                .with_some("requires", needs)
                .with_some("context", context)
                .with_some("filters", filters.clone());
            match &how {
                Yaml::Map(pairs) if pairs.is_empty() => text(&job.id),
                _ => Yaml::Map(vec![(job.id.clone(), how)]),
            }
        };
        map([("jobs", Yaml::List(pipeline.jobs.iter().map(job).collect()))])
    };
    match &pipeline.trigger {
        Trigger::Release => {
            let tags = map([("only", text("/^v.*/"))]);
            let branches = map([("ignore", text("/.*/"))]);
            let filters = map([("tags", tags), ("branches", branches)]);
            vec![("release".to_owned(), jobs(Some(filters)))]
        }
        Trigger::Check { branches, schedule } => {
            let mut all = vec![("check".to_owned(), jobs(None))];
            if let Some(cron) = schedule {
                let only = map([("branches", map([("only", strings(branches.iter().take(1)))]))]);
                let when = map([("cron", text(cron)), ("filters", only)]);
                let triggers = Yaml::List(vec![map([("schedule", when)])]);
                let timed = map([("triggers", triggers)]);
                let Yaml::Map(more) = jobs(None) else { return all };
                let timed = more.into_iter().fold(timed, |all, (key, value)| all.with(&key, value));
                all.push(("check-on-schedule".to_owned(), timed));
            }
            all
        }
    }
}

fn job(job: &Job, pipeline: &Pipeline) -> Yaml {
    let (location, class) = match &job.runner {
        Runner::Hosted(name) => {
            let image = Yaml::List(vec![map([("image", text(&pipeline.image))])]);
            (("docker", image), name.clone())
        }
        Runner::SelfHosted(labels) => (("machine", Yaml::Bool(true)), labels.concat()),
    };
    let env = pipeline.env.iter().map(|(name, value)| (name.clone(), text(escape(value))));
    let limit = (TIME_LIMIT.to_owned(), text(job.minutes.to_string()));
    let env: Vec<_> = env.chain([limit]).collect();
    // One `attach_workspace` gets everything that earlier jobs handed on.
    let first = job.steps.iter().position(|step| matches!(step, JobStep::Download(_)));
    let steps = job
        .steps
        .iter()
        .enumerate()
        .filter(|(at, step)| !matches!(step, JobStep::Download(_)) || Some(*at) == first);
    let release = pipeline.trigger == Trigger::Release;
    let steps = steps.flat_map(|(_, step)| self::step(step, job.minutes, release)).collect();
    map([location, ("resource_class", text(class))])
        .with("environment", Yaml::Map(env))
        .with("steps", Yaml::List(steps))
}

/// Escapes `<<`, which begins a parameter.
fn escape(text: &str) -> String {
    text.replace("<<", "\\<<")
}

/// The keys of a release have its tag: jobs of branches, which anyone who may push can change, save under other
/// keys, and no key of a different tag is restored.
fn cache_key(cache: &Cache, release: bool) -> String {
    let tag = if release { "{{ .Environment.CIRCLE_TAG }}-" } else { "" };
    format!("{}-{tag}", cache.key)
}

fn step(step: &JobStep, minutes: u32, release: bool) -> Option<Yaml> {
    let one = |name: &str, how: Yaml| map([(name, how)]);
    Some(match step {
        JobStep::Checkout(_) => text("checkout"),
        JobStep::Run(run) => script(run, minutes),
        JobStep::Upload(artifact) => upload(artifact),
        // The workspace is all that jobs before this one handed on.
        JobStep::Download(_) => one("attach_workspace", map([("at", text("."))])),
        JobStep::Restore(cache) => {
            one("restore_cache", map([("keys", strings([cache_key(cache, release)]))]))
        }
        JobStep::Save(cache) => {
            let key = text(format!("{}{{{{ .Revision }}}}", cache_key(cache, release)));
            one("save_cache", map([("key", key), ("paths", strings([&cache.path]))]))
        }
        // It has nothing that attests.
        JobStep::Attest(_) => return None,
        JobStep::Tests(path) => one("store_test_results", map([("path", text(path))])),
    })
}

/// Returns a `run` step. The system limits the time without output of a step; a file cannot limit that of a
/// job.
fn script(run: &Run, minutes: u32) -> Yaml {
    let how = map([
        ("name", text(&run.name)),
        ("shell", text("/bin/sh -e")),
        ("no_output_timeout", text(format!("{minutes}m"))),
        ("command", text(escape(&run.script))),
    ]);
    map([("run", how)])
}

fn upload(artifact: &Artifact) -> Yaml {
    // What is there on failure, too, is for people: a job after this one does not come then.
    match artifact.handed_on && artifact.when == StoreCondition::Success {
        true => {
            let how = map([("root", text(".")), ("paths", strings([&artifact.path]))]);
            map([("persist_to_workspace", how)])
        }
        false => map([("store_artifacts", map([("path", text(&artifact.path))]))]),
    }
}
