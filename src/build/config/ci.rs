//! `[workspace.metadata.longshore.ci]`: the settings of generated files, which are preserved when they are
//! generated again.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::tool::{ToolSettings, ToolSource, config_error, no_source_error};
use crate::{
    build::target::Target,
    model::{
        error::Result,
        provider::{Provider, Runner, Runners},
        reference::Reference,
        suggest::nearest,
    },
};

/// The settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// The CI systems that files are generated for.
    pub providers: Vec<Provider>,
    /// The command that starts longshore, instead of a source.
    pub command: Option<String>,
    /// The source of longshore; an xtask that has it when absent.
    pub tool: Option<ToolSettings>,
    /// The branches to check on push, the default branch first; `main` when absent.
    pub branches: Option<Vec<String>>,
    /// The schedule of the check: five fields, as cron has them, in UTC.
    pub schedule: Option<String>,
    /// The Rust toolchain if no file `rust-toolchain.toml` names one; a pinned version when absent.
    pub toolchain: Option<String>,
    /// The image of jobs with providers that run jobs in images (GitLab, CircleCI).
    pub image: Option<String>,
    /// The repository that the release's image is pushed to; none when absent.
    pub repository: Option<Repository>,
    /// Whether a release is created at the provider; true when absent.
    pub release: Option<bool>,
    /// Whether a release build restores the cache of earlier builds.
    pub release_cache: bool,
    /// Whether archives and image digests are attested by the provider.
    pub attest: bool,
    /// Whether the job that publishes may request an identity token (OpenID Connect).
    pub id_token: bool,
    /// The provider's environment (CircleCI: context) of the jobs that see secrets.
    pub environment: Option<String>,
    /// The names of the secrets that publishing needs.
    pub secrets: Vec<String>,
    /// Variables of every job.
    pub env: BTreeMap<String, String>,
    /// Another file for GitLab than `.gitlab-ci.yml`, to be included there.
    pub gitlab_file: Option<String>,
    /// Lines of a separate job in the check of pull requests.
    pub test: Vec<String>,
    /// Minutes after which jobs are ended.
    pub limits: Limits,
    /// Runners: by target, and `default` for all other jobs.
    pub runners: BTreeMap<String, Runners>,
    /// Lines of shell before each stage.
    pub before: Lines,
    /// Lines of shell after each stage.
    pub after: Lines,
}

/// The repository of an image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "`repository` is a name, or a table with one for each provider")]
pub enum Repository {
    /// The same for every provider.
    One(String),
    /// One for each provider.
    Each(BTreeMap<Provider, String>),
}

/// Minutes for a job of each kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits {
    /// The checks before anything is built.
    pub plan: u32,
    /// One platform of a release.
    pub build: u32,
    /// Merging and publishing.
    pub merge: u32,
    /// A pull request.
    pub check: u32,
    /// The job of [`Settings::test`].
    pub test: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { plan: 15, build: 60, merge: 30, check: 60, test: 60 }
    }
}

/// Lines of shell for each stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Lines {
    /// The checks before a release is built.
    pub plan: Vec<String>,
    /// One platform of a release.
    pub build: Vec<String>,
    /// Parts become a release.
    pub merge: Vec<String>,
    /// The release is published.
    pub publish: Vec<String>,
    /// A pull request, or a push to a branch.
    pub check: Vec<String>,
}

impl Settings {
    /// Checks that the settings can be rendered, for a release for `targets`.
    ///
    /// # Errors
    /// The first value that is wrong, by its key.
    pub fn check(&self, targets: &[&Target]) -> Result<()> {
        self.check_runners(targets)?;
        for name in self.secrets.iter().chain(self.env.keys()) {
            let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !first || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                let message = format!("`{}` is not a valid variable name", name.escape_debug());
                return Err(config_error(&message, "letters, digits and `_`, with no digit first"));
            }
        }
        // Scripts rely on both.
        for (name, key) in [("RUSTUP_TOOLCHAIN", "toolchain"), ("CARGO_TARGET_DIR", "")] {
            if self.env.contains_key(name) {
                let hint = match key {
                    "" => "the generated files expect the directory `target`".to_owned(),
                    key => format!("set `{key}` instead"),
                };
                return Err(config_error(&format!("`{name}` is in `env`"), &hint));
            }
        }
        if let Some(name) = self.secrets.iter().find(|name| self.env.contains_key(*name)) {
            let message = format!("`{name}` is in `secrets` and in `env`");
            return Err(config_error(&message, "secrets must not be in `env`"));
        }
        let lines = [&self.before, &self.after].into_iter().flat_map(Lines::all);
        let lines = lines.chain(&self.test).chain(self.env.values());
        for line in lines {
            if line.chars().any(|c| c.is_control() && !"\n\t".contains(c)) {
                let message = format!("`{}` has a control character", line.escape_debug());
                return Err(config_error(&message, "files for people have none"));
            }
        }
        for (key, text) in self.unquoted_values() {
            let odd = |c: char| c.is_whitespace() || c.is_control() || "\"'`\\${}<>".contains(c);
            if text.is_empty() || text.contains(odd) {
                let message = format!("`{key}` is `{}`", text.escape_debug());
                return Err(config_error(&message, "it has to be one word without quotes"));
            }
        }
        self.check_publish_lines()?;
        self.check_locations()?;
        self.tool.as_ref().map(ToolSettings::source).transpose()?;
        if self.limits.all().contains(&0) {
            return Err(config_error("a limit is 0", "limits are minutes, and jobs need some"));
        }
        Ok(())
    }

    /// Rejects lines that compile where secrets and tokens can be read: build scripts and procedural macros of
    /// every dependency would see them.
    fn check_publish_lines(&self) -> Result<()> {
        for (key, lines) in [("before", &self.before.publish), ("after", &self.after.publish)] {
            if let Some((line, verb)) =
                lines.iter().find_map(|line| compiling_verb(line).map(|verb| (line, verb)))
            {
                let message = format!("`{key}.publish` has `{}`", line.trim().escape_debug());
                let hint = format!(
                    "`cargo {verb}` compiles third-party code, and secrets are readable there; call \
                     `cargo longshore`, which is not compiled in this job, or move the line to \
                     `after.merge`"
                );
                return Err(config_error(&message, &hint));
            }
        }
        Ok(())
    }

    /// Returns the environment of jobs that see secrets. Secrets of GitLab and CircleCI are in the environment
    /// of every job, unless they belong to an environment or context.
    pub fn secret_environment(&self, provider: Provider) -> Option<String> {
        let separate = provider != Provider::Github && !self.secrets.is_empty();
        self.environment.clone().or_else(|| separate.then(|| "release".to_owned()))
    }

    /// Returns the values that are written into files without quotes.
    fn unquoted_values(&self) -> Vec<(&'static str, &str)> {
        let one = [
            ("toolchain", self.toolchain.as_deref()),
            ("image", self.image.as_deref()),
            ("environment", self.environment.as_deref()),
            ("gitlab-file", self.gitlab_file.as_deref()),
        ];
        let mut words: Vec<_> =
            one.into_iter().filter_map(|(key, text)| Some((key, text?))).collect();
        words.extend(self.branches.iter().flatten().map(|name| ("branches", name.as_str())));
        words
    }

    fn check_locations(&self) -> Result<()> {
        if self.branches.as_ref().is_some_and(Vec::is_empty) {
            return Err(config_error(
                "`branches` is empty",
                "the default branch is the first of them",
            ));
        }
        if let Some(command) = &self.command
            && (command.trim().is_empty() || command.chars().any(char::is_control))
        {
            return Err(config_error("`command` is not a command", "such as `cargo xtask`"));
        }
        for provider in Provider::ALL {
            let Some(name) = self.repository(provider) else { continue };
            let reference: Reference = name.parse().map_err(|error| {
                config_error("`repository` is none", "such as `ghcr.io/me/tool`").because(error)
            })?;
            if reference.tag.is_some() || reference.digest.is_some() {
                let message = format!("`repository` is `{name}`, which has a tag or a digest");
                return Err(config_error(&message, "the version determines the tags"));
            }
        }
        if let Some(cron) = &self.schedule {
            let field =
                |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "*,/-".contains(c));
            let fields: Vec<_> = cron.split(' ').collect();
            if fields.len() != 5 || !fields.iter().all(|entry| !entry.is_empty() && field(entry)) {
                let message = format!("`schedule` is `{}`", cron.escape_debug());
                return Err(config_error(&message, "five fields, as cron has them: `17 4 * * 1`"));
            }
        }
        let inside = |path: &str| {
            let parts = path.split('/').all(|part| !["", ".", ".."].contains(&part));
            parts && (path.ends_with(".yml") || path.ends_with(".yaml"))
        };
        match self.gitlab_file.as_deref() {
            Some(path) if !inside(path) => Err(config_error(
                &format!("`gitlab-file` is `{path}`"),
                "a path in the workspace that ends with `.yml`, such as `.gitlab/longshore.yml`",
            )),
            _ => Ok(()),
        }
    }

    fn check_runners(&self, targets: &[&Target]) -> Result<()> {
        for (name, runners) in &self.runners {
            let location = format!("runners.{name}");
            let known = || targets.iter().map(|target| target.name.as_str()).chain(["default"]);
            if !known().any(|known| known == name) {
                let hint = match nearest(name, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("jobs: {}", known().collect::<Vec<_>>().join(", ")),
                };
                let message = format!("`{location}`: nothing is built for `{name}`");
                return Err(config_error(&message, &hint));
            }
            runners.check(&location.clone())?;
        }
        Ok(())
    }

    /// Returns the source from which jobs get longshore. `xtask` is whether the workspace's member `xtask` depends
    /// on it.
    ///
    /// # Errors
    /// There is none, or the settings name it in a wrong way.
    pub fn tool_source(&self, xtask: bool) -> Result<ToolSource> {
        let source = self.tool.as_ref().map(ToolSettings::source).transpose()?;
        match (source, &self.command) {
            (Some(_), Some(_)) => {
                Err(config_error("both `tool` and `command` are set", "set one of them"))
            }
            (Some(ToolSource::Xtask), None) if !xtask => Err(config_error(
                "`tool.xtask` is set, and no member `xtask` depends on `longshore`",
                "add `longshore` to the dependencies of `xtask`, or set a different source",
            )),
            (Some(source), None) => Ok(source),
            (None, Some(command)) => Ok(ToolSource::Command(command.trim().to_owned())),
            (None, None) if xtask => Ok(ToolSource::Xtask),
            (None, None) => Err(no_source_error()),
        }
    }

    /// Returns the repository that the release's image is pushed to.
    pub fn repository(&self, provider: Provider) -> Option<&str> {
        match self.repository.as_ref()? {
            Repository::One(name) => Some(name),
            Repository::Each(names) => names.get(&provider).map(String::as_str),
        }
    }

    /// Returns the branches to check on push.
    pub fn branches(&self) -> Vec<String> {
        self.branches.clone().unwrap_or_else(|| vec!["main".to_owned()])
    }

    /// Returns the runner of the job for `target`; the default runner if there is none.
    pub fn runner(&self, provider: Provider, target: Option<&Target>) -> Runner {
        let runners_of =
            |name: &str| self.runners.get(name).and_then(|runners| runners.get(provider));
        let own = target
            .and_then(|target| runners_of(&target.name).or_else(|| target.spec.ci.get(provider)));
        let runner = own.or_else(|| runners_of("default")).cloned();
        runner.unwrap_or_else(|| Runner::Hosted(provider.default_runner().to_owned()))
    }
}

impl Lines {
    /// Returns the lines of a stage.
    pub fn stage(&self, stage: &str) -> &[String] {
        match stage {
            "plan" => &self.plan,
            "build" => &self.build,
            "merge" => &self.merge,
            "publish" => &self.publish,
            "check" => &self.check,
            _ => &[],
        }
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        let all = [&self.plan, &self.build, &self.merge, &self.publish, &self.check];
        all.into_iter().flatten()
    }
}

impl Limits {
    fn all(&self) -> [u32; 5] {
        [self.plan, self.build, self.merge, self.check, self.test]
    }
}

/// Returns the command of cargo's in a line of shell that compiles.
fn compiling_verb(line: &str) -> Option<&str> {
    const VERBS: [&str; 19] = [
        "b", "bench", "build", "c", "check", "clippy", "d", "doc", "install", "package", "publish",
        "r", "run", "rustc", "rustdoc", "t", "test", "xtask", "zigbuild",
    ];
    let separator = |c: char| c.is_whitespace() || ";&|()`{}\"'".contains(c);
    let mut words = line.split(separator).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        if word != "cargo" && !word.ends_with("/cargo") && word != "$CARGO" {
            continue;
        }
        let mut rest = words.clone();
        let verb = rest.find(|word| !word.starts_with(['+', '-']));
        let unverified = rest.clone().any(|word| word == "--no-verify");
        let packs = verb.is_some_and(|verb| ["package", "publish"].contains(&verb));
        if let Some(verb) = verb.filter(|verb| VERBS.contains(verb) && !(packs && unverified)) {
            return Some(verb);
        }
    }
    None
}
