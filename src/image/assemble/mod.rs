//! The layers of one platform's image, from a recipe and the files of its build context: the effect
//! of each instruction on the file system, as values.

mod copy;
mod extra;
mod start;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use self::copy::Copy;
use self::copy::{make_directories, parts, pattern_error};
use crate::{
    archive::{
        tar::Meta,
        tree::{Node, Tree},
    },
    image::{
        dockerfile::{self, Action, Dockerfile, Evaluated, ignore::Ignore},
        oci::config::Execution,
    },
    model::{
        error::{Error, Result},
        schema::packaging::Extra,
    },
};

/// One platform's image, without its bytes.
#[derive(Clone, Debug)]
pub struct Assembly {
    /// The effect of each instruction, extras first.
    pub steps: Vec<AssemblyStep>,
    /// The configuration of its containers.
    pub execution: Execution,
    /// `MAINTAINER`.
    pub author: Option<String>,
    /// All files together.
    pub root: Tree,
    /// Warnings about likely mistakes; lines to print.
    pub warnings: Vec<String>,
}

/// The effect of one instruction.
#[derive(Clone, Debug)]
pub struct AssemblyStep {
    /// Its text in the history.
    pub created_by: String,
    /// The layer that it made, where it makes one.
    pub layer: Option<Tree>,
}

/// Carries out the recipe. `context` is the build context, `extras` go below the recipe's own
/// layers, and what is made has the time `epoch`, in seconds since 1970.
///
/// # Errors
/// A source is not there, or a destination is in the way of something; the message begins with the
/// place in the recipe.
pub fn assemble(
    recipe: &Dockerfile,
    evaluated: &Evaluated,
    context: &Tree,
    extras: &BTreeSet<Extra>,
    epoch: u64,
) -> Result<Assembly> {
    let mut work =
        Assembler { recipe, evaluated, context, epoch, roots: Vec::new(), warnings: Vec::new() };
    let Some((requested, others)) = evaluated.stages.split_last() else {
        return Err(Error::usage("the recipe has no stage"));
    };
    for stage in others {
        let mut root = stage.base.and_then(|at| work.roots.get(at).cloned()).unwrap_or_default();
        for step in &stage.steps {
            work.step(step, &mut root)?;
        }
        work.roots.push(root);
    }
    let mut root = Tree::default();
    let mut steps = Vec::new();
    for extra in Extra::ALL.into_iter().filter(|extra| extras.contains(extra)) {
        let layer = extra.layer(&requested.execution.user, epoch)?;
        root.apply_layer(&layer);
        steps.push(AssemblyStep { created_by: extra.created_by(), layer: Some(layer) });
    }
    // Warnings of a base's steps came with the base.
    work.warnings.clear();
    for step in evaluated.steps(others.len()) {
        let layer = work.step(step, &mut root)?;
        steps.push(AssemblyStep { created_by: step.created_by.clone(), layer });
    }
    let mut warnings = evaluated.warnings.clone();
    warnings.append(&mut work.warnings);
    Ok(Assembly {
        steps,
        execution: requested.execution.clone(),
        author: requested.author.clone(),
        root,
        warnings,
    })
}

struct Assembler<'a> {
    recipe: &'a Dockerfile,
    evaluated: &'a Evaluated,
    context: &'a Tree,
    epoch: u64,
    roots: Vec<Tree>,
    warnings: Vec<String>,
}

impl Assembler<'_> {
    /// Applies one step to `root`, and returns the layer that it made.
    fn step(&mut self, step: &dockerfile::Step, root: &mut Tree) -> Result<Option<Tree>> {
        let before = root.clone();
        match &step.action {
            Action::Configure => return Ok(None),
            Action::WorkDir { path, uid, gid } => {
                let meta = Meta { mode: 0o755, uid: *uid, gid: *gid, mtime: self.epoch };
                let path = root.resolve(&parts(path), true)?;
                make_directories(root, &path, meta)
                    .map_err(|error| self.recipe.located(step.span, &error))?;
            }
            Action::Copy(copy) => {
                let done = self.copy(copy, root);
                let layer = done.map_err(|error| self.recipe.located(step.span, &error))?;
                if let Some(layer) = layer {
                    root.apply_layer(&layer);
                    return Ok(Some(layer));
                }
            }
        }
        let layer = root.difference_from(&before, self.epoch);
        self.warn_of_closed_directories(step, &before, &layer);
        Ok(Some(layer))
    }

    /// Copies into `root`; or, with `--link`, returns the layer to put on top of it.
    fn copy(&self, copy: &dockerfile::Copy, root: &mut Tree) -> Result<Option<Tree>> {
        let (from, origin) = match copy.from {
            None => (Some(self.context), "the build context".to_owned()),
            Some(at) => {
                let name = self.evaluated.stages.get(at).and_then(|stage| stage.name.clone());
                (self.roots.get(at), format!("stage `{}`", name.unwrap_or_else(|| at.to_string())))
            }
        };
        let from = from.ok_or_else(|| Error::usage(format!("{origin} has no files")))?;
        let exclude = match copy.exclude.as_slice() {
            [] => None,
            patterns => {
                Some(Ignore::new(patterns.iter().map(String::as_str)).map_err(pattern_error)?)
            }
        };
        let what = Copy {
            sources: &copy.sources,
            destination: &copy.destination,
            owner: copy.chown,
            mode: copy.chmod,
            parents: copy.parents,
            exclude: exclude.as_ref(),
            mtime: self.epoch,
        };
        // With `--chmod`, BuildKit does not take `--link` at its word (dockerfile2llb/convert.go,
        // `dispatchCopy`).
        if copy.link && copy.chmod.is_none() {
            // As if nothing lay below it.
            let mut alone = Tree::default();
            what.apply(from, &origin, &mut alone)?;
            return Ok(Some(alone));
        }
        what.apply(from, &origin, root)?;
        Ok(None)
    }

    /// Sets the mode of directories, too, that `COPY` makes on its way (moby/buildkit#5943).
    fn warn_of_closed_directories(&mut self, step: &dockerfile::Step, before: &Tree, layer: &Tree) {
        let Action::Copy(dockerfile::Copy { chmod: Some(mode), .. }) = step.action else { return };
        let closed = |mode: u32| mode & 0o111 == 0;
        let made = layer.iter().find(|(path, entry)| {
            entry.node == Node::Directory && closed(entry.meta.mode) && before.get(path).is_none()
        });
        if let Some((path, _)) = made
            && closed(mode)
        {
            self.warnings.push(self.recipe.note(
                step.span,
                &format!(
                    "the directory `/{}` gets mode {mode:04o} too, and only root can enter it",
                    path.join("/")
                ),
            ));
        }
    }
}
