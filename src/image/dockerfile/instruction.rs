//! Instructions by their kind, their flags and arguments taken apart, as
//! frontend/dockerfile/instructions/parse.go of BuildKit does it.

use std::ops::Range;

use super::{
    flag::{FlagKind, Flags},
    go,
    line::{Line, nearest_instruction},
    shell,
    source::{Problem, Span},
    word::{self, Word},
};
use crate::{image::oci::config::Healthcheck, model::collect::SortStable as _};

/// The hint for an instruction that would have to run something.
const BUILDX_HINT: &str = "an image that needs it is built by `docker buildx build`; this recipe only \
                      places files that were built before";

/// A name, and its value before expansion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NameValue {
    pub(super) key: Word,
    pub(super) value: Word,
}

/// `ARG name` or `ARG name=default`. Names are not expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arg {
    pub(super) name: String,
    pub(super) default: Option<Word>,
}

/// `COPY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CopyFiles {
    pub(super) from: Option<Word>,
    /// The index of the stage that `from` names.
    pub(super) stage: Option<usize>,
    pub(super) chown: Option<Word>,
    pub(super) chmod: Option<Word>,
    pub(super) link: bool,
    pub(super) parents: bool,
    pub(super) exclude: Vec<String>,
    pub(super) sources: Vec<Word>,
    pub(super) destination: Word,
}

/// `FROM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FromInstruction {
    pub(super) base: Word,
    pub(super) name: Option<Word>,
    pub(super) platform: Option<Word>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Instruction {
    Arg(Vec<Arg>),
    Cmd(Vec<String>),
    Copy(Box<CopyFiles>),
    Entrypoint(Vec<String>),
    Env(Vec<NameValue>),
    Expose(Vec<Word>),
    From(Box<FromInstruction>),
    Healthcheck(Healthcheck),
    Label(Vec<NameValue>),
    Maintainer(String),
    Shell(Vec<String>),
    StopSignal(Word),
    User(Word),
    Volume(Vec<Word>),
    Workdir(Word),
}

/// One instruction's text, taken apart.
pub(super) struct Statement<'a> {
    line: &'a Line,
    escape: char,
    name: String,
    at: Range<usize>,
    flags: Vec<(String, Range<usize>)>,
    rest: Range<usize>,
}

impl<'a> Statement<'a> {
    pub(super) fn new(line: &'a Line, escape: char) -> Self {
        let (at, rest) = word::command(&line.text);
        let (flags, rest) = word::flags(&line.text, rest, escape);
        let name = line.part(at.clone()).to_ascii_uppercase();
        Statement { line, escape, name, at, flags, rest }
    }

    /// Returns the location of the instruction's name.
    pub(super) fn span(&self) -> Span {
        self.line.span(self.at.clone())
    }

    /// Returns whether it begins a stage, right or wrong.
    pub(super) fn is_from(&self) -> bool {
        self.name == "FROM"
    }

    /// Returns the parsed instruction.
    pub(super) fn read(&self) -> Result<Instruction, Problem> {
        match self.name.as_str() {
            "ARG" => self.args().map(Instruction::Arg),
            "CMD" => self.exec().map(Instruction::Cmd),
            "COPY" => self.copy().map(|copy| Instruction::Copy(Box::new(copy))),
            "ENTRYPOINT" => self.exec().map(Instruction::Entrypoint),
            "ENV" => self.pairs().map(Instruction::Env),
            "EXPOSE" => self.expose().map(Instruction::Expose),
            "FROM" => self.from().map(|from| Instruction::From(Box::new(from))),
            "HEALTHCHECK" => self.healthcheck().map(Instruction::Healthcheck),
            "LABEL" => self.pairs().map(Instruction::Label),
            "MAINTAINER" => Ok(Instruction::Maintainer(self.single_word()?.text)),
            "SHELL" => self.shell().map(Instruction::Shell),
            "STOPSIGNAL" => self.single_word().map(Instruction::StopSignal),
            "USER" => self.single_word().map(Instruction::User),
            "VOLUME" => self.volumes().map(Instruction::Volume),
            "WORKDIR" => self.single_word().map(Instruction::Workdir),
            _ => Err(self.unsupported()),
        }
    }

    fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(self.span(), message)
    }

    /// Returns a problem with the arguments.
    fn argument_problem(&self, message: impl Into<String>) -> Problem {
        let range = if self.rest.is_empty() { self.at.clone() } else { self.rest.clone() };
        Problem::new(self.line.span(range), message)
    }

    /// Returns the problem of an instruction that is not supported.
    fn unsupported(&self) -> Problem {
        match self.name.as_str() {
            "RUN" => {
                self.problem("`RUN` needs a container, and none is started here").hint(BUILDX_HINT)
            }
            "ADD" => self.problem("`ADD` is not supported: it would fetch and unpack").hint(
                "use `COPY` for files; what comes from a URL is built by `docker buildx build`",
            ),
            "ONBUILD" => {
                self.problem("`ONBUILD` leaves instructions for another build").hint(BUILDX_HINT)
            }
            "" => self.problem("there is not an instruction here"),
            name => {
                let given = self.line.part(self.at.clone());
                let problem = self.problem(format!("`{given}` is not an instruction"));
                problem.did_you_mean(nearest_instruction(name))
            }
        }
    }

    fn text(&self) -> &str {
        self.line.part(self.rest.clone())
    }

    fn flags(&self, known: &'static [(&'static str, FlagKind)]) -> Result<Flags, Problem> {
        Flags::read(self.line, &self.name, &self.flags, known)
    }

    /// Rejects flags, and returns the arguments as one text.
    fn single_word(&self) -> Result<Word, Problem> {
        self.flags(&[])?;
        if self.rest.is_empty() {
            return Err(self.problem(format!("`{}` needs an argument", self.name)));
        }
        Ok(Word::new(self.line, self.text(), self.rest.clone()))
    }

    fn quoted(&self) -> Vec<(String, Range<usize>)> {
        word::quoted(&self.line.text, self.rest.clone(), self.escape)
    }

    fn words(&self, words: Vec<(String, Range<usize>)>) -> Vec<Word> {
        words.into_iter().map(|(text, at)| Word::new(self.line, text, at)).collect()
    }

    /// Returns a JSON array's strings, or `None` if it is not one.
    fn json(&self, range: Range<usize>) -> Result<Option<Vec<String>>, Problem> {
        match word::json(self.line.part(range.clone())) {
            None => Ok(None),
            Some(Ok(strings)) => Ok(Some(strings)),
            Some(Err(())) => {
                let span = self.line.span(range);
                Err(Problem::new(span, "a JSON array here can contain strings only"))
            }
        }
    }

    /// Returns a JSON array's strings, or the words between blanks.
    fn json_or_words(&self) -> Result<Vec<Word>, Problem> {
        let Some(strings) = self.json(self.rest.clone())? else {
            return Ok(self.words(word::plain(&self.line.text, self.rest.clone())));
        };
        let word = |text| Word::new(self.line, text, self.rest.clone());
        Ok(strings.into_iter().map(word).collect())
    }

    /// Returns the exec form. The shell form would need `/bin/sh`.
    fn exec(&self) -> Result<Vec<String>, Problem> {
        self.flags(&[])?;
        if self.rest.is_empty() {
            return Err(self.problem(format!("`{}` needs an argument", self.name)));
        }
        self.exec_at(self.rest.clone())
    }

    fn exec_at(&self, range: Range<usize>) -> Result<Vec<String>, Problem> {
        if let Some(words) = self.json(range.clone())? {
            return Ok(words);
        }
        let text = self.line.part(range.clone());
        let span = self.line.span(range);
        let name = &self.name;
        if text.starts_with('[') {
            return Err(Problem::new(
                span,
                format!("the argument of `{name}` is not a JSON array"),
            )
            .hint("strings are in double quotes, and there are commas between them"));
        }
        let form = if name == "HEALTHCHECK" { "HEALTHCHECK CMD" } else { name };
        let hint = match shell::words(text) {
            Some(words) => {
                let words: Vec<String> = words.into_iter().map(go::quote).collect();
                format!("write the exec form: `{form} [{}]`", words.join(", "))
            }
            None => format!(
                "only a shell understands this command; start the program itself, as \
                 `{form} [\"/program\", \"argument\"]`, or build an image with a shell by \
                 `docker buildx build`"
            ),
        };
        Err(Problem::new(span, format!("the shell form of `{form}` needs `/bin/sh`")).hint(hint))
    }

    /// Parses `name=value …`, or one name and the text that follows it.
    fn pairs(&self) -> Result<Vec<NameValue>, Problem> {
        self.flags(&[])?;
        let words = self.quoted();
        let name = &self.name;
        let Some((first, _)) = words.first() else {
            return Err(self.problem(format!("`{name}` needs an argument")));
        };
        let mut pairs = Vec::new();
        if !first.contains('=') {
            let Some((key, value)) = word::split_name_value(&self.line.text, self.rest.clone())
            else {
                return Err(self
                    .argument_problem(format!("`{name}` needs a value for the name"))
                    .hint(format!("write `{name} {first}=value`")));
            };
            let word =
                |range: Range<usize>| Word::new(self.line, self.line.part(range.clone()), range);
            return Ok(vec![NameValue { key: word(key), value: word(value) }]);
        }
        for (text, at) in words {
            let span = self.line.span(at.clone());
            let Some((key, value)) = text.split_once('=') else {
                return Err(Problem::new(span, format!("`{text}` has no `=`"))
                    .hint(format!("write `{name} name=value`, and quote a value with blanks")));
            };
            if key.is_empty() {
                return Err(Problem::new(span, "there is no name before the `=`"));
            }
            let middle = (at.start + key.len()).min(at.end);
            let key = Word::new(self.line, key, at.start..middle);
            let value = Word::new(self.line, value, (middle + 1).min(at.end)..at.end);
            pairs.push(NameValue { key, value });
        }
        Ok(pairs)
    }

    fn args(&self) -> Result<Vec<Arg>, Problem> {
        self.flags(&[])?;
        let mut args = Vec::new();
        for (text, at) in self.quoted() {
            let Some((name, default)) = text.split_once('=') else {
                args.push(Arg { name: text, default: None });
                continue;
            };
            if name.is_empty() {
                let span = self.line.span(at);
                return Err(Problem::new(span, "there is no name before the `=`"));
            }
            let start = (at.start + name.len() + 1).min(at.end);
            let default = Word::new(self.line, default, start..at.end);
            args.push(Arg { name: name.to_owned(), default: Some(default) });
        }
        if args.is_empty() {
            return Err(self.problem("`ARG` needs a name"));
        }
        Ok(args)
    }

    fn from(&self) -> Result<FromInstruction, Problem> {
        let mut flags = self.flags(&[("platform", FlagKind::One)])?;
        let mut words = self.words(word::plain(&self.line.text, self.rest.clone())).into_iter();
        let (base, keyword, name, more) = (words.next(), words.next(), words.next(), words.next());
        let form = "write `FROM scratch` or `FROM scratch AS name`";
        let name = match (&keyword, name, more) {
            (None, None, None) => None,
            (Some(keyword), Some(name), None) if keyword.text.eq_ignore_ascii_case("as") => {
                Some(stage_name(name)?)
            }
            _ => {
                return Err(self
                    .argument_problem("`FROM` takes one image and at most a name")
                    .hint(form));
            }
        };
        let Some(base) = base else {
            return Err(self.problem("`FROM` needs an image").hint(form));
        };
        Ok(FromInstruction { base, name, platform: flags.take_one("platform") })
    }

    fn copy(&self) -> Result<CopyFiles, Problem> {
        if let Some(at) = &self.line.heredoc {
            let span = self.line.span(at.clone());
            return Err(Problem::new(span, "a heredoc is not written to the image here")
                .hint("put the text in a file of the build context, and copy that"));
        }
        let mut flags = self.flags(&[
            ("from", FlagKind::One),
            ("chown", FlagKind::One),
            ("chmod", FlagKind::One),
            ("link", FlagKind::Bool),
            ("parents", FlagKind::Bool),
            ("exclude", FlagKind::Many),
        ])?;
        let mut sources = self.json_or_words()?;
        let destination = sources.pop();
        let Some(destination) = destination.filter(|_| !sources.is_empty()) else {
            return Err(self
                .argument_problem("`COPY` needs a source and a destination")
                .hint("write `COPY source destination`"));
        };
        let given = |word: &Word| !word.text.is_empty();
        Ok(CopyFiles {
            from: flags.take_one("from").filter(given),
            stage: None,
            chown: flags.take_one("chown").filter(given),
            chmod: flags.take_one("chmod").filter(given),
            link: flags.is_set("link"),
            parents: flags.is_set("parents"),
            exclude: flags.take_many("exclude").into_iter().map(|word| word.text).collect(),
            sources,
            destination,
        })
    }

    fn expose(&self) -> Result<Vec<Word>, Problem> {
        self.flags(&[])?;
        let mut ports = self.words(word::plain(&self.line.text, self.rest.clone()));
        if ports.is_empty() {
            return Err(self.problem("`EXPOSE` needs a port"));
        }
        ports.sort_stable_by(|a, b| a.text.cmp(&b.text));
        Ok(ports)
    }

    fn volumes(&self) -> Result<Vec<Word>, Problem> {
        self.flags(&[])?;
        let mut volumes = self.json_or_words()?;
        if volumes.is_empty() {
            return Err(self.problem("`VOLUME` needs a path"));
        }
        for volume in &mut volumes {
            volume.text = volume.text.trim().to_owned();
            if volume.text.is_empty() {
                return Err(Problem::new(volume.span, "a volume's path is empty"));
            }
        }
        Ok(volumes)
    }

    fn shell(&self) -> Result<Vec<String>, Problem> {
        self.flags(&[])?;
        match self.json(self.rest.clone())? {
            Some(words) if !words.is_empty() => Ok(words),
            _ => Err(self
                .argument_problem("`SHELL` needs a JSON array with the program")
                .hint("write `SHELL [\"/bin/sh\", \"-c\"]`")),
        }
    }

    fn healthcheck(&self) -> Result<Healthcheck, Problem> {
        let text = self.text();
        let (kind, command) = match word::split_name_value(&self.line.text, self.rest.clone()) {
            Some((kind, command)) => (kind, command),
            None => (self.rest.clone(), self.rest.end..self.rest.end),
        };
        if text.is_empty() {
            return Err(self.problem("`HEALTHCHECK` needs `CMD` or `NONE`"));
        }
        match self.line.part(kind.clone()).to_ascii_uppercase().as_str() {
            "NONE" if command.is_empty() => {
                self.flags(&[])?;
                Ok(Healthcheck { test: vec!["NONE".into()], ..Healthcheck::default() })
            }
            "NONE" => Err(self.argument_problem("`HEALTHCHECK NONE` takes no arguments")),
            "CMD" => self.check_command(command),
            _ => {
                let span = self.line.span(kind);
                Err(Problem::new(span, "`HEALTHCHECK` takes `CMD` or `NONE`"))
            }
        }
    }

    fn check_command(&self, command: Range<usize>) -> Result<Healthcheck, Problem> {
        let mut flags = self.flags(&[
            ("interval", FlagKind::One),
            ("timeout", FlagKind::One),
            ("start-period", FlagKind::One),
            ("start-interval", FlagKind::One),
            ("retries", FlagKind::One),
        ])?;
        if command.is_empty() {
            return Err(self.argument_problem("`HEALTHCHECK CMD` needs a command"));
        }
        let words = self.exec_at(command)?;
        if words.is_empty() {
            return Err(self.argument_problem("`HEALTHCHECK CMD` needs a command"));
        }
        let mut time = |name: &'static str| match flags.take_one(name) {
            None => Ok(0),
            Some(word) if word.text.is_empty() => Ok(0),
            // Docker's engine takes nothing shorter than a millisecond.
            Some(word) => go::parse_duration(&word.text)
                .filter(|time| *time == 0 || *time >= 1_000_000)
                .ok_or_else(|| {
                    let message = format!("`{}` is not a time that `--{name}` takes", word.text);
                    Problem::new(word.span, message)
                        .hint("write a number and a unit, such as `30s`, `1m30s` or `500ms`")
                }),
        };
        let mut check = Healthcheck {
            test: ["CMD".to_owned()].into_iter().chain(words).collect(),
            interval: time("interval")?,
            timeout: time("timeout")?,
            start_period: time("start-period")?,
            start_interval: time("start-interval")?,
            retries: 0,
        };
        if let Some(word) = flags.take_one("retries").filter(|word| !word.text.is_empty()) {
            let retries = word.text.parse::<i32>().ok().and_then(|n| u64::try_from(n).ok());
            check.retries = retries.ok_or_else(|| {
                Problem::new(word.span, format!("`{}` is not a number of retries", word.text))
            })?;
        }
        Ok(check)
    }
}

/// Returns a stage's name, in lower case: a letter, then letters, digits, `-`, `_` and `.`.
fn stage_name(mut name: Word) -> Result<Word, Problem> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    let lower = name.text.to_lowercase();
    if !lower.starts_with(|c: char| c.is_ascii_lowercase()) || !lower.bytes().all(plain) {
        return Err(Problem::new(name.span, format!("`{}` cannot be a stage's name", name.text))
            .hint("use a letter, then letters, digits, `-`, `_` and `.`"));
    }
    name.text = lower;
    Ok(name)
}
