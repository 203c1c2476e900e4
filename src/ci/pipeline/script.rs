//! The scripts of the pipelines, for a POSIX shell. Differences between providers are read from the
//! environment, or are in a script for that provider only.

use super::{
    PipelineInputs,
    job::{EnvValue, Run},
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
    Run { name: name.to_owned(), script, env: Vec::new() }
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
    let install = match (inputs.toolchain_file, moving) {
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

/// Installs longshore, if it is not a part of the workspace.
pub(super) fn install(inputs: &PipelineInputs<'_>) -> Option<Run> {
    let version = env!("CARGO_PKG_VERSION");
    let line = format!(
        "command -v cargo-longshore >/dev/null || cargo install longshore --locked --version {version}"
    );
    inputs.needs_install().then(|| run("Install longshore", line))
}

/// Returns the configured lines before or after a stage.
pub(super) fn configured_lines(when: &str, stage: &str, lines: &[String]) -> Option<Run> {
    (!lines.is_empty()).then(|| run(&format!("{when} {stage}"), lines.join("\n")))
}

/// Runs the checks before anything is built.
pub(super) fn preflight(tool: &str) -> Run {
    run("Check tag, secrets and platforms", format!("{tool} ci preflight"))
}

/// Builds one platform.
pub(super) fn build(tool: &str, target: &str) -> Run {
    run("Build, verify, smoke-test", format!("{tool} dist --target {}", quote(target)))
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

/// Pushes the images, with the tags of a release.
pub(super) fn push(inputs: &PipelineInputs<'_>, provider: Provider, repository: &str) -> Run {
    let tool = inputs.tool();
    let ghcr = provider == Provider::Github && repository.starts_with("ghcr.io/");
    let login = if ghcr { " --github-token" } else { "" };
    let one = |image: Option<&String>| match image {
        None => format!("{tool} push {} --tags release{login}\n", quote(repository)),
        Some(image) => format!(
            "{tool} push {} --package {} --tags release{login}\n",
            quote(&format!("{repository}/{image}")),
            quote(image)
        ),
    };
    let lines: String = match inputs.images {
        [_] => one(None),
        all => all.iter().map(|image| one(Some(image))).collect(),
    };
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
    let run = run("Push", lines).secrets(&inputs.settings().secrets);
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

/// Creates the release at the provider, if it has releases; a second run completes it.
pub(super) fn release(inputs: &PipelineInputs<'_>, provider: Provider) -> Option<Run> {
    match provider {
        Provider::Github => Some(run("Release", GITHUB_RELEASE).token("GH_TOKEN")),
        Provider::Gitlab => {
            let package = quote(inputs.workspace.name());
            Some(run("Release", format!("package={package}\n{GITLAB_RELEASE}")))
        }
        Provider::Circleci => None,
    }
}

const GITHUB_RELEASE: &str = r#"tag=$GITHUB_REF_NAME
set --
case $tag in *-*) set -- --prerelease ;; esac
if ! gh release view "$tag" --repo "$GITHUB_REPOSITORY" >/dev/null 2>&1; then
  gh release create "$tag" --repo "$GITHUB_REPOSITORY" --verify-tag --title "$tag" \
    --generate-notes "$@"
fi
gh release upload "$tag" --repo "$GITHUB_REPOSITORY" --clobber target/dist/archives/*"#;

const GITLAB_RELEASE: &str = r#"tag=$CI_COMMIT_TAG
project=$CI_API_V4_URL/projects/$CI_PROJECT_ID
api() {
  curl --fail --silent --show-error --retry 3 --header "JOB-TOKEN: $CI_JOB_TOKEN" "$@"
}
if ! api --output /dev/null "$project/releases/$tag" 2>/dev/null; then
  api --output /dev/null --data-urlencode "tag_name=$tag" --data-urlencode "name=$tag" \
    "$project/releases"
fi
known=$(api "$project/releases/$tag/assets/links?per_page=100")
for file in target/dist/archives/*; do
  name=${file##*/}
  url=$project/packages/generic/$package/${tag#v}/$name
  api --output /dev/null --upload-file "$file" "$url"
  case $known in
    *"\"name\":\"$name\""*) ;;
    *) api --output /dev/null --data-urlencode "name=$name" --data-urlencode "url=$url" \
      "$project/releases/$tag/assets/links" ;;
  esac
done"#;

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
  if ! curl --fail --silent --location --header "JOB-TOKEN: $CI_JOB_TOKEN" \
    --output target/base/dist.json "$url"; then
    rm -f target/base/dist.json
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
