//! The evaluation of a stage's instructions: the configuration, the history's text, and the files to
//! copy. The text is that of frontend/dockerfile/dockerfile2llb/convert.go of BuildKit.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    evaluate::{Action, Copy, Step, is_automatic},
    expand::{Expanded, Fuel, Variables, expand},
    expose::{is_signal, parse_ports},
    go,
    instruction::{Arg, CopyFiles, Instruction, NameValue},
    path,
    source::{Problem, Span, nearest_short},
    word::Word,
};
use crate::image::oci::config::{DEFAULT_PATH, Execution, Healthcheck};

/// `ARG`s that BuildKit keeps out of the variables.
const NOT_VARIABLES: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// A path on Linux is shorter; relative ones could grow without end.
const PATH_MAX: usize = 4096;

/// The state of a stage.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// `ENV` and `ARG`: the later of the two wins.
    variables: Variables,
    /// The index of a name in the environment.
    env_indices: BTreeMap<String, usize>,
    pub(super) execution: Execution,
    pub(super) author: Option<String>,
}

impl State {
    /// Returns an empty image.
    fn scratch() -> Self {
        let mut state = State {
            variables: Variables::new(),
            env_indices: BTreeMap::new(),
            execution: Execution { working_dir: "/".into(), ..Execution::default() },
            author: None,
        };
        let (name, value) = DEFAULT_PATH.split_once('=').unwrap_or((DEFAULT_PATH, ""));
        state.set_env(name.to_owned(), value.to_owned());
        state
    }

    /// Sets a variable; a name that exists keeps its index.
    fn set_env(&mut self, name: String, value: String) {
        let text = format!("{name}={value}");
        let env = &mut self.execution.env;
        match self.env_indices.get(&name).and_then(|at| env.get_mut(*at)) {
            Some(place) => *place = text,
            None => {
                self.env_indices.insert(name.clone(), env.len());
                env.push(text);
            }
        }
        self.variables.insert(name, value);
    }

    /// Returns about what a copy of it takes, in bytes.
    fn size(&self) -> usize {
        let variables = self.variables.iter().map(|(name, value)| name.len() + value.len() + 64);
        let labels =
            self.execution.labels.iter().map(|(name, value)| name.len() + value.len() + 64);
        let paths = self.execution.exposed_ports.iter().chain(&self.execution.volumes);
        let env = self.execution.env.iter();
        variables.chain(labels).chain(paths.chain(env).map(|text| text.len() + 64)).sum()
    }
}

/// The values that are the same for all stages of a file.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) escape: char,
    /// The values for `ARG` without a default.
    pub(super) globals: &'a Variables,
    /// `--build-arg`.
    pub(super) values: &'a BTreeMap<String, String>,
    /// The indices in the result of the stages that are done.
    pub(super) stage_indices: BTreeMap<usize, usize>,
    pub(super) fuel: &'a mut Fuel,
    pub(super) warnings: &'a mut Vec<Problem>,
}

impl Context<'_> {
    /// Returns the initial state of a stage on top of `base`: all of it, its `ARG`s too, over which its
    /// `ENV`s win again.
    pub(super) fn begin(&mut self, base: Option<&State>, span: Span) -> Result<State, Problem> {
        let Some(base) = base else { return Ok(State::scratch()) };
        if !self.fuel.spend(base.size()) {
            return Err(Problem::new(span, "the stages expand to more than a recipe can hold"));
        }
        let mut state = base.clone();
        for text in &base.execution.env {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            state.variables.insert(name.to_owned(), value.to_owned());
        }
        Ok(state)
    }

    /// Carries out `instructions`.
    pub(super) fn run(
        &mut self,
        mut state: State,
        instructions: &[(Span, Instruction)],
    ) -> Result<(State, Vec<Step>), Problem> {
        let mut steps = Vec::new();
        // `ENTRYPOINT` removes the `CMD` of the base, and not that of the same stage.
        let mut own_cmd = false;
        for (span, instruction) in instructions {
            let configure = |text: String| (text, Action::Configure);
            let config = &mut state.execution;
            let (created_by, action) = match instruction {
                Instruction::Arg(args) => configure(self.arg(&mut state, args)?),
                Instruction::Cmd(words) => {
                    own_cmd = true;
                    config.cmd = Some(words.clone()).filter(|words| !words.is_empty());
                    config.args_escaped = true;
                    configure(format!("CMD {}", go::quote_list(words)))
                }
                Instruction::Copy(copy) => self.copy(&state, copy, *span)?,
                Instruction::Entrypoint(words) => {
                    config.entrypoint = Some(words.clone()).filter(|words| !words.is_empty());
                    if !own_cmd {
                        config.cmd = None;
                    }
                    configure(format!("ENTRYPOINT {}", go::quote_list(words)))
                }
                Instruction::Env(pairs) => {
                    let pairs = self.pairs(&state, pairs)?;
                    let text = format_assignments("ENV", &pairs);
                    for (name, value) in pairs {
                        state.set_env(name, value);
                    }
                    configure(text)
                }
                Instruction::Expose(words) => configure(self.expose(&mut state, words)?),
                // It begins a stage, and is none of its instructions.
                Instruction::From(_) => continue,
                Instruction::Healthcheck(check) => {
                    config.healthcheck = Some(check.clone());
                    configure(format_healthcheck(check))
                }
                Instruction::Label(pairs) => {
                    let pairs = self.pairs(&state, pairs)?;
                    let text = format_assignments("LABEL", &pairs);
                    state.execution.labels.extend(pairs);
                    configure(text)
                }
                Instruction::Maintainer(author) => {
                    state.author = Some(author.clone());
                    configure(format!("MAINTAINER {author}"))
                }
                Instruction::Shell(words) => {
                    config.shell.clone_from(words);
                    configure(format!("SHELL {}", go::list(words)))
                }
                Instruction::StopSignal(word) => configure(self.stop_signal(&mut state, word)?),
                Instruction::User(word) => {
                    let user = self.expand(&state, word)?;
                    state.execution.user.clone_from(&user);
                    configure(format!("USER {user}"))
                }
                Instruction::Volume(words) => configure(self.volume(&mut state, words)?),
                Instruction::Workdir(word) => self.workdir(&mut state, word)?,
            };
            let cost = created_by.len() + state.execution.working_dir.len() + 64;
            if !self.fuel.spend(cost) {
                let message = "the file expands to more than a recipe can hold";
                return Err(Problem::new(*span, message));
            }
            steps.push(Step { created_by, action, span: *span });
        }
        Ok((state, steps))
    }

    fn expanded(&mut self, state: &State, word: &Word) -> Result<Expanded, Problem> {
        let expanded = expand(&word.text, self.escape, &state.variables, self.fuel);
        let mut expanded =
            expanded.map_err(|fault| Problem::new(word.part(fault.at), fault.message))?;
        for (name, at) in std::mem::take(&mut expanded.unset) {
            let message = if is_automatic(&name) {
                format!("`${name}` is not set in this stage: it needs an `ARG {name}` before")
            } else {
                match nearest_short(&name, state.variables.keys().map(String::as_str)) {
                    Some(near) => format!("`${name}` is not set; did you mean `${near}`?"),
                    None => format!("`${name}` is not set, so it is empty"),
                }
            };
            // Those that are not shown cost nothing.
            if self.warnings.len() < 100 {
                self.warnings.push(Problem::new(word.part(at), message));
            } else {
                break;
            }
        }
        Ok(expanded)
    }

    fn expand(&mut self, state: &State, word: &Word) -> Result<String, Problem> {
        Ok(self.expanded(state, word)?.text)
    }

    /// Sets variables: all of them are expanded before the first is set.
    fn pairs(
        &mut self,
        state: &State,
        pairs: &[NameValue],
    ) -> Result<Vec<(String, String)>, Problem> {
        let mut expanded = Vec::new();
        for pair in pairs {
            let key = self.expand(state, &pair.key)?;
            expanded.push((key, self.expand(state, &pair.value)?));
        }
        Ok(expanded)
    }

    /// Sets build arguments: a given value wins over the default, which wins over the global of the
    /// same name. Each is set before the next is expanded.
    fn arg(&mut self, state: &mut State, args: &[Arg]) -> Result<String, Problem> {
        let mut text = String::from("ARG");
        for Arg { name, default } in args {
            let value = match (self.values.get(name), default) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(word)) => Some(self.expand(state, word)?),
                (None, None) => self.globals.get(name).cloned(),
            };
            let _ = write!(text, " {name}");
            let Some(value) = value else { continue };
            let _ = write!(text, "={value}");
            if !NOT_VARIABLES.contains(&name.as_str()) {
                state.variables.insert(name.clone(), value);
            }
        }
        Ok(text)
    }

    fn expose(&mut self, state: &mut State, words: &[Word]) -> Result<String, Problem> {
        let mut all = Vec::new();
        for word in words {
            for text in self.expanded(state, word)?.words {
                let ports = parse_ports(&text).map_err(|message| {
                    Problem::new(word.span, message)
                        .hint("write `EXPOSE 80`, `EXPOSE 53/udp` or `EXPOSE 8000-8010`")
                })?;
                if !self.fuel.spend(64 * ports.len()) {
                    return Err(Problem::new(word.span, "there are too many ports"));
                }
                all.extend(ports);
            }
        }
        let text = format!("EXPOSE {}", go::list(&all));
        state.execution.exposed_ports.extend(all);
        Ok(text)
    }

    fn volume(&mut self, state: &mut State, words: &[Word]) -> Result<String, Problem> {
        let mut volumes = Vec::new();
        for word in words {
            let volume = self.expand(state, word)?;
            if volume.is_empty() {
                return Err(Problem::new(word.span, "a volume's path is empty"));
            }
            volumes.push(volume);
        }
        let text = format!("VOLUME {}", go::list(&volumes));
        state.execution.volumes.extend(volumes);
        Ok(text)
    }

    fn stop_signal(&mut self, state: &mut State, word: &Word) -> Result<String, Problem> {
        let signal = self.expand(state, word)?;
        if !is_signal(&signal) {
            let message = format!("`{signal}` is not a signal of Linux");
            return Err(Problem::new(word.span, message)
                .hint("write a name or a number, such as `SIGTERM` or `15`"));
        }
        let text = format!("STOPSIGNAL {signal}");
        state.execution.stop_signal = Some(signal);
        Ok(text)
    }

    /// Sets the working directory: an absolute path stays as it is written, a relative one is joined to
    /// the last (util/system/path.go of BuildKit). The root is there already.
    fn workdir(&mut self, state: &mut State, word: &Word) -> Result<(String, Action), Problem> {
        let path = self.expand(state, word)?;
        let current = &state.execution.working_dir;
        let path = match path.as_str() {
            "" => current.clone(),
            path if path.starts_with('/') => path.to_owned(),
            path => path::absolute(current, path),
        };
        if path.len() >= PATH_MAX {
            return Err(Problem::new(word.span, "the path is longer than Linux allows"));
        }
        state.execution.working_dir.clone_from(&path);
        let text = format!("WORKDIR {path}");
        if path == "/" {
            return Ok((text, Action::Configure));
        }
        let user = &state.execution.user;
        let Some((uid, gid)) = (if user.is_empty() { Some((0, 0)) } else { parse_owner(user) })
        else {
            let message = format!("the directory would belong to `{user}`, and there are no names");
            return Err(Problem::new(word.span, message)
                .hint("give `USER` numbers, such as `65532:65532`, or put `WORKDIR` before it"));
        };
        Ok((text, Action::WorkDir { path: path::clean(&path), uid, gid }))
    }

    fn copy(
        &mut self,
        state: &State,
        copy: &CopyFiles,
        span: Span,
    ) -> Result<(String, Action), Problem> {
        let mut text = String::from("COPY");
        if copy.parents {
            text.push_str(" --parents");
        }
        let chown = self.chown(state, copy, &mut text)?;
        let chmod = self.chmod(state, copy, &mut text)?;
        let mut sources = Vec::new();
        for word in &copy.sources {
            let source = self.expand(state, word).map_err(explain_blanks)?;
            if source.is_empty() {
                return Err(Problem::new(
                    word.span,
                    "there is nothing to copy: the source is empty",
                )
                .hint("write `.` for everything"));
            }
            let far = ["http://", "https://", "git://", "ssh://", "git@"];
            if far.iter().any(|lead| source.starts_with(lead)) {
                return Err(Problem::new(word.span, "`COPY` takes files, and no URL"));
            }
            let _ = write!(text, " {source}");
            sources.push(match source.split_once("/./").filter(|_| copy.parents) {
                Some((pivot, rest)) => {
                    format!("{}/./{}", path::from_root(pivot), path::from_root(rest))
                }
                None => path::from_root(&source),
            });
        }
        let destination = self.expand(state, &copy.destination).map_err(explain_blanks)?;
        let _ = write!(text, " {destination} # buildkit");
        let directory = matches!(destination.as_str(), "" | ".")
            || destination.ends_with('/')
            || destination.ends_with("/.");
        if sources.len() > 1 && !directory && !copy.parents {
            let message = "several files need a directory to go to";
            return Err(Problem::new(copy.destination.span, message)
                .hint(format!("end it with a slash: `{destination}/`")));
        }
        let mut destination = path::absolute(&state.execution.working_dir, &destination);
        if directory && destination != "/" {
            destination.push('/');
        }
        let copy = Copy {
            from: copy.stage.and_then(|stage| self.stage_indices.get(&stage).copied()),
            sources,
            destination,
            chown,
            chmod,
            link: copy.link,
            parents: copy.parents,
            exclude: copy.exclude.clone(),
            span,
        };
        Ok((text, Action::Copy(copy)))
    }

    fn chown(
        &mut self,
        state: &State,
        copy: &CopyFiles,
        text: &mut String,
    ) -> Result<Option<(u32, u32)>, Problem> {
        let Some(word) = &copy.chown else { return Ok(None) };
        let chown = self.expand(state, word)?;
        if chown.is_empty() {
            return Ok(None);
        }
        let _ = write!(text, " --chown={chown}");
        let problem = || {
            let message = format!("an empty image knows no user `{chown}`");
            Problem::new(word.span, message).hint("give numbers, such as `--chown=65532:65532`")
        };
        parse_owner(&chown).map(Some).ok_or_else(problem)
    }

    fn chmod(
        &mut self,
        state: &State,
        copy: &CopyFiles,
        text: &mut String,
    ) -> Result<Option<u32>, Problem> {
        let Some(word) = &copy.chmod else { return Ok(None) };
        let chmod = self.expand(state, word)?;
        if chmod.is_empty() {
            return Ok(None);
        }
        let _ = write!(text, " --chmod={chmod}");
        let octal = chmod.bytes().all(|b| (b'0'..=b'7').contains(&b));
        let mode = u32::from_str_radix(&chmod, 8).ok().filter(|mode| octal && *mode <= 0o7777);
        let problem = || {
            Problem::new(word.span, format!("the mode `{chmod}` is not octal"))
                .hint("give the mode as a number, such as `--chmod=0755`")
        };
        mode.map(Some).ok_or_else(problem)
    }
}

/// Parses `user` or `user:group` in numbers, of which `root` is one (client/llb/fileop.go of BuildKit).
/// A user alone is its group, too.
fn parse_owner(text: &str) -> Option<(u32, u32)> {
    let id = |text: &str| match text {
        "root" => Some(0),
        text if text.starts_with('+') => None,
        text => text.parse::<u32>().ok().filter(|id| i32::try_from(*id).is_ok()),
    };
    let (user, group) = text.split_once(':').unwrap_or((text, text));
    Some((id(user)?, id(group)?))
}

/// Returns the words of `COPY`, which end at blanks, in quotes too; a user who quotes a path does not
/// expect it.
fn explain_blanks(problem: Problem) -> Problem {
    if !problem.message().ends_with("is not closed") {
        return problem;
    }
    problem.hint("a path with blanks needs the JSON form: `COPY [\"a b\", \"/c\"]`")
}

/// Formats `ENV a=b c=d`.
fn format_assignments(name: &str, pairs: &[(String, String)]) -> String {
    let pairs = pairs.iter().map(|(key, value)| format!(" {key}={value}"));
    format!("{name}{}", pairs.collect::<String>())
}

/// Formats the health check like Go's `%q` of a pointer to the structure, with a number as its last
/// field and so a character. BuildKit after 0.26 writes `{Test:[CMD …] Interval:5s …}`.
fn format_healthcheck(check: &Healthcheck) -> String {
    let times = [check.interval, check.timeout, check.start_period, check.start_interval];
    let times = times.map(|time| go::quote(&go::format_duration(time))).join(" ");
    let retries = go::quote_number(check.retries);
    format!("HEALTHCHECK &{{{} {times} {retries}}}", go::quote_list(&check.test))
}
