//! The evaluation of a Dockerfile for one platform.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    expand::{Fuel, Variables, expand},
    file::Dockerfile,
    instruction::Instruction,
    run::{Context, State},
    source::{Problem, Span, nearest_short},
    word::Word,
};
use crate::{
    image::oci::config::Execution,
    model::{
        collect::CollectOrdered as _,
        error::{Error, Result},
        machine::Architecture,
        platform::Platform,
    },
};

/// The maximum number of warnings.
const MAX_WARNINGS: usize = 20;

/// The inputs of the evaluation of a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// `TARGETPLATFORM`: what the image runs on.
    pub platform: Platform,
    /// `BUILDPLATFORM`: where it is made.
    pub build_platform: Platform,
    /// `--build-arg`.
    pub values: BTreeMap<String, String>,
    /// `--target`: the name of the requested stage, or `None` for the last.
    pub target: Option<String>,
}

/// The result of evaluating a Dockerfile for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluated {
    /// The stages that are needed, each after those it needs. The last is the requested one.
    pub stages: Vec<Stage>,
    /// The names of build arguments that were given and that no `ARG` declares.
    pub unused: Vec<String>,
    /// Warnings about likely mistakes, such as a variable that is not set; lines to print, each
    /// beginning `NAME:LINE:COLUMN: `.
    pub warnings: Vec<String>,
}

impl Evaluated {
    /// Returns the steps that make the stage `index`, those of the stages below it first.
    pub fn steps(&self, index: usize) -> Vec<&Step> {
        let mut chain = Vec::new();
        let mut at = Some(index);
        while let Some(stage) = at.and_then(|at| self.stages.get(at)) {
            chain.push(stage);
            at = stage.base;
        }
        chain.iter().rev().flat_map(|stage| &stage.steps).collect()
    }
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its name, in lower case.
    pub name: Option<String>,
    /// The stage it is on top of, by its index in [`Evaluated::stages`]; nothing for `scratch`.
    pub base: Option<usize>,
    /// Its own steps, in order.
    pub steps: Vec<Step>,
    /// The configuration of its containers, including that of its base.
    pub execution: Execution,
    /// `MAINTAINER`, which BuildKit writes to the configuration's `author`.
    pub author: Option<String>,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The text that BuildKit writes to the history for it.
    pub created_by: String,
    /// Its effect on the files.
    pub action: Action,
    /// Its location.
    pub span: Span,
}

/// The effect of an instruction on an image's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: it changes the configuration, and makes no layer.
    Configure,
    /// Files are copied; one layer.
    Copy(Copy),
    /// A directory is made where there is none, with its parents, in mode 0755; one layer.
    WorkDir {
        /// Its absolute path.
        path: String,
        /// Its owner: the user that an earlier `USER` names.
        uid: u32,
        /// The group that owns it.
        gid: u32,
    },
}

/// `COPY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The stage to copy from, by its index in [`Evaluated::stages`]; nothing for the build
    /// context.
    pub from: Option<usize>,
    /// The files to copy: relative paths below the root of their source, cleaned, `.` for all of it.
    /// They can be patterns ([`super::pattern`]). With `parents`, a `/./` is preserved: the path after
    /// it is created again below the destination.
    pub sources: Vec<String>,
    /// The destination: an absolute path, cleaned, with a slash at its end if it has to be a directory.
    pub destination: String,
    /// `--chown`: user and group.
    pub chown: Option<(u32, u32)>,
    /// `--chmod`: the mode's lower twelve bits.
    pub chmod: Option<u32>,
    /// `--link`: the layer does not depend on the ones below it.
    pub link: bool,
    /// `--parents`: the sources' directories are kept.
    pub parents: bool,
    /// `--exclude`: patterns of what is left out ([`super::ignore::Ignore::new`]).
    pub exclude: Vec<String>,
    /// The location of the instruction.
    pub span: Span,
}

impl Dockerfile {
    /// Evaluates the file for `arguments`. Only the stages that the requested one needs are evaluated.
    ///
    /// # Errors
    /// Errors that depend on values: a variable that has to be set and is not, an invalid path, number
    /// or stage. The message begins `NAME:LINE:COLUMN: `, and the detail shows the line.
    pub fn evaluate(&self, arguments: &Arguments) -> Result<Evaluated> {
        let target = self.target_index(arguments.target.as_deref())?;
        let mut warnings = Vec::new();
        let stages = self.stages(arguments, target, &mut warnings);
        let stages = stages.map_err(|problem| self.source.error(vec![problem]))?;
        warnings.truncate(MAX_WARNINGS);
        let warnings = warnings.iter().map(|problem| self.source.title(problem)).collect();
        Ok(Evaluated { stages, unused: self.unused_arguments(&arguments.values), warnings })
    }

    /// Returns the index of the requested stage.
    fn target_index(&self, name: Option<&str>) -> Result<usize> {
        let Some(name) = name else { return Ok(self.stages.len().saturating_sub(1)) };
        let lower = name.to_lowercase();
        let named = self.stages.iter().map(|stage| stage.from.name.as_ref());
        let names: Vec<_> = named.map(|name| name.map_or("", |name| name.text.as_str())).collect();
        names.iter().rposition(|name| !name.is_empty() && **name == lower).ok_or_else(|| {
            let error = Error::usage(format!("there is no stage `{name}`"));
            match nearest_short(&lower, names.iter().copied()) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            }
        })
    }

    fn stages(
        &self,
        arguments: &Arguments,
        target: usize,
        warnings: &mut Vec<Problem>,
    ) -> Result<Vec<Stage>, Problem> {
        let mut fuel = Fuel::new();
        let globals = self.globals(arguments, target, &mut fuel)?;
        let bases = self.bases(&globals, &mut fuel)?;
        let needed = self.needed_stages(target, &bases);
        let mut context = Context {
            escape: self.escape,
            globals: &globals,
            values: &arguments.values,
            stage_indices: BTreeMap::new(),
            fuel: &mut fuel,
            warnings,
        };
        let mut stages = Vec::new();
        let mut states: BTreeMap<usize, State> = BTreeMap::new();
        for (index, stage) in self.stages.iter().enumerate() {
            if !needed.contains(&index) {
                continue;
            }
            let base = bases.get(index).copied().flatten();
            let below = base.and_then(|base| states.get(&base));
            let state = context.begin(below, stage.from.base.span)?;
            let (state, steps) = context.run(state, &stage.instructions)?;
            context.stage_indices.insert(index, stages.len());
            stages.push(Stage {
                name: stage.from.name.as_ref().map(|name| name.text.clone()),
                base: base.and_then(|base| context.stage_indices.get(&base).copied()),
                steps,
                execution: state.execution.clone(),
                author: state.author.clone(),
            });
            states.insert(index, state);
        }
        Ok(stages)
    }

    /// Returns the variables that are available to `FROM`, and to `ARG` without a default: the
    /// platforms (Dockerfile reference, "Automatic platform ARGs in the global scope"), then each `ARG`
    /// before the first `FROM`.
    fn globals(
        &self,
        arguments: &Arguments,
        target: usize,
        fuel: &mut Fuel,
    ) -> Result<Variables, Problem> {
        let name = self.stages.get(target).and_then(|stage| stage.from.name.as_ref());
        let name = arguments.target.as_deref().or(name.map(|name| name.text.as_str()));
        let mut variables = platform_variables(arguments);
        variables.insert("TARGETSTAGE".into(), name.unwrap_or("default").into());
        for (name, value) in &mut variables {
            if let Some(given) = arguments.values.get(name) {
                value.clone_from(given);
            }
        }
        for arg in &self.globals {
            let value = match (arguments.values.get(&arg.name), &arg.default) {
                (Some(given), _) => given.clone(),
                (None, Some(word)) => self.expand(word, &variables, fuel)?,
                (None, None) => continue,
            };
            variables.insert(arg.name.clone(), value);
        }
        Ok(variables)
    }

    fn expand(
        &self,
        word: &Word,
        variables: &Variables,
        fuel: &mut Fuel,
    ) -> Result<String, Problem> {
        match expand(&word.text, self.escape, variables, fuel) {
            Ok(expanded) => Ok(expanded.text),
            Err(fault) => Err(Problem::new(word.part(fault.at), fault.message)),
        }
    }

    /// Returns the base of each stage: `None` for `scratch`. `--platform` has to be a platform, and
    /// changes nothing: an empty image is the target's (BuildKit, dockerfile2llb/convert.go).
    fn bases(&self, globals: &Variables, fuel: &mut Fuel) -> Result<Vec<Option<usize>>, Problem> {
        let mut bases = Vec::new();
        for (index, stage) in self.stages.iter().enumerate() {
            let from = &stage.from;
            let mut base = from.base.clone();
            base.text = self.expand(&base, globals, fuel)?;
            if base.text.is_empty() {
                let message = format!("the base image `{}` is empty", from.base.text);
                return Err(Problem::new(base.span, message).hint(
                    "give the variable a default before the first `FROM`: `ARG NAME=value`",
                ));
            }
            if let Some(word) = &from.platform {
                let platform = self.expand(word, globals, fuel)?;
                if !is_platform(&platform) {
                    let message = format!("`{platform}` is not a platform such as `linux/arm64`");
                    return Err(Problem::new(word.span, message));
                }
            }
            bases.push(self.base_stage(index, &base)?);
        }
        Ok(bases)
    }

    /// Returns the stages that `target` is based on or copies from, and itself.
    fn needed_stages(&self, target: usize, bases: &[Option<usize>]) -> BTreeSet<usize> {
        let mut needed = BTreeSet::new();
        let mut open = vec![target];
        while let Some(index) = open.pop() {
            if !needed.insert(index) {
                continue;
            }
            open.extend(bases.get(index).copied().flatten());
            let instructions = self.stages.get(index).map(|stage| stage.instructions.as_slice());
            for (_, instruction) in instructions.unwrap_or_default() {
                if let Instruction::Copy(copy) = instruction {
                    open.extend(copy.stage);
                }
            }
        }
        needed
    }

    /// Returns the names of `values` that no `ARG` declares, without those that BuildKit itself reads.
    fn unused_arguments(&self, values: &BTreeMap<String, String>) -> Vec<String> {
        let mut declared: BTreeSet<&str> =
            self.globals.iter().map(|arg| arg.name.as_str()).collect_set();
        for (_, instruction) in self.stages.iter().flat_map(|stage| &stage.instructions) {
            if let Instruction::Arg(args) = instruction {
                declared.extend(args.iter().map(|arg| arg.name.as_str()));
            }
        }
        let names = values.keys().filter(|name| !declared.contains(name.as_str()));
        names.filter(|name| !is_predefined(name)).cloned().collect()
    }
}

/// Returns the platforms as variables. A missing part of a platform is empty.
fn platform_variables(arguments: &Arguments) -> Variables {
    let mut variables = Variables::new();
    for (lead, platform) in [("BUILD", &arguments.build_platform), ("TARGET", &arguments.platform)]
    {
        let variant = platform.variant.clone().unwrap_or_default();
        for (name, value) in [
            ("PLATFORM", platform.to_string()),
            ("OS", platform.os.clone()),
            ("OSVERSION", String::new()),
            ("ARCH", platform.architecture.clone()),
            ("VARIANT", variant),
        ] {
            variables.insert(format!("{lead}{name}"), value);
        }
    }
    variables
}

/// Returns whether `name` is a variable that is set without a default once an `ARG` names it.
pub(super) fn is_automatic(name: &str) -> bool {
    let part = name.strip_prefix("BUILD").or_else(|| name.strip_prefix("TARGET"));
    let parts = ["PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT"];
    name == "TARGETSTAGE" || part.is_some_and(|part| parts.contains(&part))
}

/// Returns whether a build argument means something without an `ARG` (Dockerfile reference, "Predefined
/// ARGs" and "BuildKit built-in build args").
fn is_predefined(name: &str) -> bool {
    let proxies = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];
    proxies.iter().any(|proxy| name.eq_ignore_ascii_case(proxy))
        || name.starts_with("BUILDKIT_")
        || name == "SOURCE_DATE_EPOCH"
        || is_automatic(name)
}

/// Returns whether `text` has the form of a platform; a part alone counts if containerd knows it.
fn is_platform(text: &str) -> bool {
    let known = |part: &str| {
        ["linux", "darwin", "windows", "freebsd"].contains(&part)
            || Architecture::from_goarch(part).is_some()
            || Architecture::from_alias(part).is_some()
    };
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    };
    let parts: Vec<&str> = text.split('/').collect();
    match parts[..] {
        [part] => known(&part.to_ascii_lowercase()),
        [_, _] | [_, _, _] => parts.iter().all(|part| word(part)),
        _ => false,
    }
}
