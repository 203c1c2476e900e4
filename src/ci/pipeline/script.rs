//! The scripts of the pipelines, for a POSIX shell. Differences between providers are read from the
//! environment, or are in a script for that provider only.

use super::{
    PipelineInputs,
    job::{EnvValue, Run},
    tool::Tool,
};
use crate::model::{command::quote, provider::Provider, reference::Reference};

/// The directory of parts, before they are merged.
pub(super) const PARTS: &str = "target/parts";
/// The file in which a job stores longshore's events.
pub(super) const LOGS: &str = "target/job-logs";
/// The directory of reports.
pub(super) const REPORT: &str = "target/report";
/// The directory with the sizes of the branch that a pull request is for.
const BASE: &str = "target/base";
/// The directory of the cache.
pub(super) const CACHE: &str = "target/ci-cache";

/// Returns a step with that script, which ends at the first command that fails.
pub(super) fn run(name: &str, lines: impl AsRef<str>) -> Run {
    let script = format!("set -eu\n{}\n", lines.as_ref().trim_end());
    Run { name: name.to_owned(), script, env: Vec::new(), output: None }
}

impl Run {
    /// Adds these secrets.
    pub(super) fn secrets(mut self, names: &[String]) -> Self {
        self.env.extend(names.iter().map(|name| (name.clone(), EnvValue::Secret(name.clone()))));
        self
    }

    /// Adds the job's token under this name.
    pub(super) fn token(mut self, name: &str) -> Self {
        self.env.push((name.to_owned(), EnvValue::Token));
        self
    }
}

/// Installs the Rust toolchain, and pip, which fetches zig.
pub(super) fn toolchain(inputs: &PipelineInputs<'_>) -> Run {
    let name = inputs.toolchain();
    let moving =
        name.starts_with("stable") || name.starts_with("beta") || name.starts_with("nightly");
    let install = format!("rustup toolchain install --profile minimal --no-self-update {name}");
    let install = match (inputs.toolchain_file.is_some(), moving) {
        // Most versions of rustup install what the file names when it is first used.
        (true, _) => "  rustc --version || rustup toolchain install --no-self-update\n".to_owned(),
        // What is on the machine may be of another day than on the next machine.
        (false, true) => format!("  {install}\n"),
        (false, false) => {
            format!("  rustup run {name} rustc --version >/dev/null 2>&1 || {install}\n")
        }
    };
    let pip = "\
if ! command -v uv >/dev/null && ! python3 -m pip --version >/dev/null 2>&1; then
  apt-get update -qq
  apt-get install -qq --no-install-recommends python3-pip >/dev/null
fi
";
    run(
        "Set up Rust",
        format!("if command -v rustup >/dev/null; then\n{install}fi\n{pip}cargo --version"),
    )
}

/// Returns the configured lines before or after a stage. `cargo longshore` in them is the job's program, if the job has a
/// file of it.
pub(super) fn configured_lines(
    when: &str,
    stage: &str,
    lines: &[String],
    tool: &Tool,
) -> Option<Run> {
    let path = |directory: String| format!("PATH=$PWD/{}:$PATH\nexport PATH\n", quote(&directory));
    let lines = (!lines.is_empty()).then(|| lines.join("\n"))?;
    let path = tool.directory().map_or_else(String::new, path);
    Some(run(&format!("{when} {stage}"), path + &lines))
}

/// Runs the checks before anything is built; a separate job checks the secrets.
pub(super) fn preflight(tool: &str) -> Run {
    run("Check tag and platforms", format!("{tool} ci preflight --without-secrets"))
}

/// Reports every secret that is not set. GitHub's step gets only whether each is set, and the job runs
/// nothing else.
pub(super) fn check_secrets(provider: Provider, secrets: &[String]) -> Run {
    let check = |name: &String| {
        let test = match provider {
            Provider::Github => format!("[ \"${name}\" = true ]"),
            Provider::Gitlab | Provider::Circleci => format!("[ -n \"${{{name}-}}\" ]"),
        };
        format!("{test} || missing=\"$missing {name}\"\n")
    };
    let mut run = run(
        "Check secrets",
        format!(
            "missing=\n{}if [ -n \"$missing\" ]; then\n  \
             echo \"these secrets are not set:$missing\" >&2\n  exit 2\nfi",
            secrets.iter().map(check).collect::<String>()
        ),
    );
    run.env.extend(secrets.iter().map(|name| (name.clone(), EnvValue::IsSet(name.clone()))));
    run
}

/// Builds one platform.
pub(super) fn build(tool: &str, target: &str) -> Run {
    run("Build, verify, smoke-test", format!("{tool} dist --target {}", quote(target)))
}

/// Restores or saves the cache of a release. Other branches may be able to write it, so only what was saved
/// with the secret is restored. GitLab separates the caches of protected tags and branches from all others
/// (<https://docs.gitlab.com/ci/caching/#cache-key-names>); for an unprotected tag nothing is used.
pub(super) fn release_cache(provider: Provider, tool: &str, verb: &str) -> Run {
    let flag = if verb == "restore" { " --authenticated" } else { "" };
    let line = format!("{tool} cache {verb} {CACHE}{flag}");
    let line = match provider {
        Provider::Github | Provider::Circleci => line,
        Provider::Gitlab => format!(
            "if [ \"${{CI_COMMIT_REF_PROTECTED-}}\" = true ]; then\n  {line}\nelse\n  \
             rm -rf {CACHE}\n  echo \"the tag is not protected: no cache is used\"\nfi"
        ),
    };
    run(&format!("Cache: {verb}"), line)
}

/// Moves the output to a directory that no other job's part has.
pub(super) fn move_part(target: &str) -> Run {
    let part = quote(&format!("{PARTS}/{target}"));
    run("Move the part", format!("rm -rf {PARTS}\nmkdir -p {PARTS}\nmv target/dist {part}"))
}

/// Merges all parts to one release.
pub(super) fn merge(tool: &str, targets: &[&str]) -> Run {
    let parts =
        targets.iter().map(|target| format!("  {} \\\n", quote(&format!("{PARTS}/{target}"))));
    run("Merge", format!("{tool} merge \\\n{}  --into target/dist", parts.collect::<String>()))
}

/// Verifies everything again.
pub(super) fn verify(tool: &str) -> Run {
    run("Verify", format!("{tool} verify target/dist"))
}

/// Verifies everything again, with a report for providers that can display one.
pub(super) fn verify_with_report(tool: &str) -> Run {
    run(
        "Verify",
        format!(
            "mkdir -p {REPORT}\n\
             # The second line prints the findings, and fails.\n\
             {tool} verify target/dist --message-format junit >{REPORT}/verify.xml || true\n\
             {tool} verify target/dist"
        ),
    )
}

/// Pushes the images to `repository`, each with `flags`, in the order of the flags.
pub(super) fn push(
    inputs: &PipelineInputs<'_>,
    provider: Provider,
    repository: &str,
    tool: &str,
    (name, flags): (&str, &[&str]),
) -> Run {
    let ghcr = provider == Provider::Github && repository.starts_with("ghcr.io/");
    let login = if ghcr { " --github-token" } else { "" };
    let one = |image: Option<&String>, flags: &str| match image {
        None => format!("{tool} push {} {flags}{login}\n", quote(repository)),
        Some(image) => format!(
            "{tool} push {} --package {} {flags}{login}\n",
            quote(&format!("{repository}/{image}")),
            quote(image)
        ),
    };
    let lines = |flags: &&str| match inputs.images {
        [_] => one(None, flags),
        all => all.iter().map(|image| one(Some(image), flags)).collect::<String>(),
    };
    let lines: String = flags.iter().map(lines).collect();
    let host = registry(repository);
    let settings = inputs.settings();
    let named = settings.secrets.iter().chain(settings.env.keys()).any(|name| name == HOST);
    let password = settings.secrets.iter().any(|name| name == PASSWORD);
    let mut login = String::new();
    if !named && (password || !ghcr) {
        // The password goes to this registry and to no other.
        login = format!("export {HOST}={}\n", quote(&host));
    }
    if provider == Provider::Gitlab {
        login += &gitlab_login(&host);
    }
    let lines = login + &lines;
    let run = run(name, lines).secrets(&inputs.settings().secrets);
    if ghcr { run.token("GITHUB_TOKEN") } else { run }
}

/// The variable for the registry that user and password are for.
const HOST: &str = "LONGSHORE_REGISTRY_HOST";
/// The variable for the password.
const PASSWORD: &str = "LONGSHORE_REGISTRY_PASSWORD";

/// Returns the registry of a repository.
fn registry(repository: &str) -> String {
    repository.parse::<Reference>().map_or_else(|_| String::new(), |reference| reference.registry)
}

/// Returns the lines that log in with the job's token, if no other password is set, and only to the registry
/// that it is for.
fn gitlab_login(host: &str) -> String {
    let host = quote(host);
    format!(
        "if [ \"${{CI_REGISTRY-}}\" = {host} ] && [ -n \"${{CI_REGISTRY_PASSWORD-}}\" ] \\\n  \
         && [ -z \"${{{PASSWORD}-}}\" ]; then\n  \
         export {HOST}={host}\n  \
         export LONGSHORE_REGISTRY_USER=\"$CI_REGISTRY_USER\"\n  \
         export {PASSWORD}=\"$CI_REGISTRY_PASSWORD\"\n\
         fi\n"
    )
}

/// Publishes the release at the provider, if it has releases; a second run completes it.
pub(super) fn release(provider: Provider, tool: &str) -> Option<Run> {
    let run = run("Release", format!("{tool} release --from target/dist --verify"));
    match provider {
        Provider::Github => Some(run.token("GITHUB_TOKEN")),
        // The job's token is a variable of the job.
        Provider::Gitlab => Some(run),
        Provider::Circleci => None,
    }
}

/// Looks for the sizes of the branch that a pull request is for: the report of the last run of that branch,
/// else its revision.
pub(super) fn base(inputs: &PipelineInputs<'_>, provider: Provider) -> Run {
    let body = match provider {
        Provider::Github => GITHUB_BASE.to_owned(),
        Provider::Gitlab => GITLAB_BASE.to_owned(),
        Provider::Circleci => {
            let main = inputs.settings().branches().swap_remove(0);
            format!("main={}\n{CIRCLECI_BASE}", quote(&main))
        }
    };
    let run = run("Find the sizes of the base", format!("mkdir -p {BASE}\n{body}"));
    if provider == Provider::Github { run.token("GH_TOKEN") } else { run }
}

const GITHUB_BASE: &str = r#"if [ -n "${GITHUB_BASE_REF-}" ]; then
  # The checkout is a merge commit: its first parent is the base.
  git rev-parse --verify HEAD^1 >target/base/revision
  last=$(gh run list --repo "$GITHUB_REPOSITORY" --workflow longshore-check.yml \
    --branch "$GITHUB_BASE_REF" --event push --status success --limit 1 \
    --json databaseId --jq '.[0].databaseId // empty' || true)
  if [ -n "$last" ]; then
    gh run download "$last" --repo "$GITHUB_REPOSITORY" --name longshore-sizes \
      --dir target/base || true
  fi
fi"#;

const GITLAB_BASE: &str = r#"if [ -n "${CI_MERGE_REQUEST_TARGET_BRANCH_NAME-}" ]; then
  echo "$CI_MERGE_REQUEST_DIFF_BASE_SHA" >target/base/revision
  branch=$(printf %s "$CI_MERGE_REQUEST_TARGET_BRANCH_NAME" | sed 's,/,%2F,g')
  artifacts="$CI_API_V4_URL/projects/$CI_PROJECT_ID/jobs/artifacts/$branch/raw"
  url="$artifacts/target/dist/dist.json?job=longshore-check"
  # The token is for this server alone: a storage that the response names gets none.
  next=$(printf 'JOB-TOKEN: %s\n' "$CI_JOB_TOKEN" |
    curl --fail --silent --header @- --output target/base/dist.json \
      --write-out '%{redirect_url}' "$url") || rm -f target/base/dist.json
  if [ -n "$next" ]; then
    curl --fail --silent --output target/base/dist.json "$next" || rm -f target/base/dist.json
  fi
fi"#;

const CIRCLECI_BASE: &str = r#"if [ -n "${CIRCLE_BRANCH-}" ] && [ "$CIRCLE_BRANCH" != "$main" ]; then
  git merge-base HEAD "origin/$main" >target/base/revision || rm -f target/base/revision
fi"#;

/// Reports the sizes; fails if a budget is exceeded, after the report is written.
pub(super) fn size(tool: &str) -> Run {
    run(
        "Sizes",
        format!(
            r#"mkdir -p {REPORT}
set -- {tool} size target/dist/dist.json
if [ -f {BASE}/dist.json ]; then
  set -- "$@" --base {BASE}/dist.json
elif [ -f {BASE}/revision ]; then
  set -- "$@" --base "$(cat {BASE}/revision)"
fi
status=0
"$@" --message-format json >{REPORT}/report.json || status=$?
"$@" --message-format markdown >{REPORT}/report.md || status=$?
cat {REPORT}/report.md
if [ -n "${{GITHUB_STEP_SUMMARY-}}" ]; then
  cat {REPORT}/report.md >>"$GITHUB_STEP_SUMMARY"
fi
exit "$status""#
        ),
    )
}

/// Comments with the report, if there is one.
pub(super) fn comment(tool: &str) -> Run {
    run(
        "Comment",
        format!(
            "if [ -f {REPORT}/report.md ]; then\n  {tool} ci comment --file {REPORT}/report.md \\\n    \
             --unless-unchanged {REPORT}/report.json\n\
             else\n  echo \"there is no report\"\nfi"
        ),
    )
    .token("GITHUB_TOKEN")
}
