//! A Dockerfile, read and checked as far as that needs no values.

use std::collections::BTreeMap;

use super::{
    instruction::{Arg, CopyFiles, FromInstruction, Instruction, Statement},
    line,
    source::{Problem, SourceText, Span, nearest_short},
    word::Word,
};
use crate::model::error::{Error, Result};

/// The maximum number of problems in references to stages that are reported.
const MAX_PROBLEMS: usize = 100;

/// A Dockerfile with instructions that can all be carried out here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    pub(super) source: SourceText,
    pub(super) escape: char,
    /// `ARG` before the first `FROM`.
    pub(super) globals: Vec<Arg>,
    pub(super) stages: Vec<ParsedStage>,
    /// The index of each stage with a name.
    names: Names,
}

/// The index of each stage by its name, in lower case.
type Names = BTreeMap<String, usize>;

/// `FROM` and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ParsedStage {
    pub(super) from: FromInstruction,
    pub(super) instructions: Vec<(Span, Instruction)>,
}

/// Reads `text`, which errors call `name`.
///
/// # Errors
/// The file is not a Dockerfile, or needs something to run; all problems are reported at once. The
/// message begins `NAME:LINE:COLUMN: `, and the detail shows the lines.
pub fn parse(name: &str, text: &str) -> Result<Dockerfile> {
    let source = SourceText::new(name, text);
    let mut problems = Vec::new();
    let lines = line::read(&source, &mut problems);
    let mut reader = Reader { globals: Vec::new(), stages: Vec::new(), problems, begun: false };
    for line in &lines.lines {
        reader.read(&Statement::new(line, lines.escape));
    }
    let Reader { globals, mut stages, mut problems, begun } = reader;
    if !begun && problems.is_empty() {
        let problem = Problem::new(source.line_span(1), "there is no `FROM` in it");
        problems.push(problem.hint("begin the image with `FROM scratch`"));
    }
    let names = stage_names(&stages, &mut problems);
    resolve_stages(&mut stages, &names, lines.escape, &mut problems);
    if !problems.is_empty() {
        return Err(source.error(problems));
    }
    Ok(Dockerfile { source, escape: lines.escape, globals, stages, names })
}

impl Dockerfile {
    /// Adds the location in this file to `error`, such as that of a `COPY` that finds nothing.
    pub fn located(&self, span: Span, error: &Error) -> Error {
        let problem = Problem::new(span, error.to_string());
        self.source.error(vec![match error.hint_text() {
            Some(hint) => problem.hint(hint),
            None => problem,
        }])
    }

    /// Returns a line about the location `span` of this file: `NAME:LINE:COLUMN: message`.
    pub fn note(&self, span: Span, message: &str) -> String {
        self.source.title(&Problem::new(span, message))
    }

    /// Returns the stage that `FROM name` refers to: `None` for `scratch`.
    pub(super) fn base_stage(&self, index: usize, name: &Word) -> Result<Option<usize>, Problem> {
        base_stage(&self.names, index, name)
    }
}

struct Reader {
    globals: Vec<Arg>,
    stages: Vec<ParsedStage>,
    problems: Vec<Problem>,
    /// Whether there was a `FROM`, right or wrong.
    begun: bool,
}

impl Reader {
    fn read(&mut self, statement: &Statement<'_>) {
        let span = statement.span();
        let before = self.begun;
        self.begun |= statement.is_from();
        match statement.read() {
            Err(problem) => self.problems.push(problem),
            Ok(Instruction::From(from)) => {
                self.stages.push(ParsedStage { from: *from, instructions: Vec::new() });
            }
            Ok(Instruction::Arg(args)) if !before => self.globals.extend(args),
            Ok(instruction) => match self.stages.last_mut() {
                Some(stage) => stage.instructions.push((span, instruction)),
                // After a wrong `FROM` there is one error already.
                None if before => {}
                None => {
                    let problem = Problem::new(span, "only `ARG` can be before the first `FROM`");
                    self.problems.push(problem.hint("begin the image with `FROM scratch`"));
                }
            },
        }
    }
}

/// Returns the index of each stage with a name.
fn stage_names(stages: &[ParsedStage], problems: &mut Vec<Problem>) -> Names {
    let mut names = Names::new();
    for (index, stage) in stages.iter().enumerate() {
        let Some(name) = &stage.from.name else { continue };
        if names.insert(name.text.clone(), index).is_some() {
            let message = format!("there are two stages `{}`", name.text);
            problems.push(Problem::new(name.span, message));
        }
    }
    names
}

/// Finds the stages that `COPY --from` names, and those of `FROM` where they need no values.
fn resolve_stages(
    stages: &mut [ParsedStage],
    names: &Names,
    escape: char,
    problems: &mut Vec<Problem>,
) {
    let expands = |c: char| matches!(c, '$' | '"' | '\'') || c == escape;
    let count = stages.len();
    for (index, stage) in stages.iter_mut().enumerate() {
        // Each of them compares all the names.
        if problems.len() > MAX_PROBLEMS {
            return;
        }
        let name = &stage.from.base;
        if !name.text.contains(expands) {
            problems.extend(base_stage(names, index, name).err());
        }
        for (_, instruction) in &mut stage.instructions {
            let Instruction::Copy(copy) = instruction else { continue };
            let CopyFiles { from: Some(from), .. } = &**copy else { continue };
            match copied_stage(names, count, index, from) {
                Ok(stage) => copy.stage = Some(stage),
                Err(problem) if problems.len() <= MAX_PROBLEMS => problems.push(problem),
                Err(_) => return,
            }
        }
    }
}

/// Returns the stage that `FROM name` of the stage `index` refers to: `None` for `scratch`. Stages are
/// searched first, and by their lower-case names (BuildKit, dockerfile2llb/convert.go).
fn base_stage(names: &Names, index: usize, name: &Word) -> Result<Option<usize>, Problem> {
    let text = &name.text;
    match names.get(text) {
        Some(stage) if *stage < index => return Ok(Some(*stage)),
        _ if text == "scratch" => return Ok(None),
        Some(_) => {
            let message = format!("the stage `{text}` is not there before this line");
            return Err(Problem::new(name.span, message).hint("put it before those made of it"));
        }
        None => {}
    }
    let problem = Problem::new(name.span, format!("the base image `{text}` is not fetched here"));
    let near = nearest_short(text, names.keys().map(String::as_str).chain(["scratch"]));
    Err(match near {
        Some(near) => problem.did_you_mean(Some(near)),
        None => problem.hint(
            "begin with `FROM scratch`; an image on top of another is built by \
             `docker buildx build`",
        ),
    })
}

/// Returns the stage that `COPY --from` in the stage `index` refers to: a number from 0, or a name in
/// any case. Variables in it are not expanded.
fn copied_stage(names: &Names, count: usize, index: usize, from: &Word) -> Result<usize, Problem> {
    let text = &from.text;
    let problem = |message: String| Problem::new(from.span, message);
    if text.contains('$') {
        return Err(problem("variables are not expanded in `--from`".into())
            .hint("give the stage's name, and use the variable in a `FROM`"));
    }
    let stage = match text.parse::<i64>() {
        Ok(number) => usize::try_from(number).ok().filter(|number| *number < count),
        Err(_) => names.get(&text.to_lowercase()).copied(),
    };
    match stage {
        Some(stage) if stage < index => Ok(stage),
        Some(stage) if stage == index => Err(problem("a stage cannot copy from itself".into())),
        Some(_) => Err(problem(format!("the stage `{text}` is not there before this line"))
            .hint("put it before those that copy from it")),
        None => {
            let problem =
                problem(format!("there is no stage `{text}`, and images are not fetched"));
            let near = nearest_short(text, names.keys().map(String::as_str));
            Err(match near {
                Some(near) => problem.did_you_mean(Some(near)),
                None => problem.hint(
                    "copy from the build context or an earlier stage; copying from an image is \
                     done by `docker buildx build`",
                ),
            })
        }
    }
}
