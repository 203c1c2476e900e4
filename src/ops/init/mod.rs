//! `init`: the settings, the CI files and the xtask of a workspace that has none of them. What is there is kept.

mod launcher;
mod origin;
mod plan;
mod source;
mod state;
mod write;

use camino::{Utf8Path, Utf8PathBuf};

pub use self::{
    plan::plan,
    state::{InitState, inspect},
    write::write,
};
use crate::{
    build::config::tool::RequestedTool,
    model::{
        provider::Provider,
        schema::{
            Init,
            init::{InitAction, InitFile, SCHEMA},
        },
    },
    ops::ci,
    sys::registry::Settings,
};

/// A request for the files of a workspace.
#[derive(Clone, Debug)]
pub struct InitRequest {
    /// The CI systems; when empty, those with files here, else the detected one.
    pub providers: Vec<Provider>,
    /// Whether files for CI systems are written.
    pub ci: bool,
    /// Whether the xtask is written.
    pub xtask: bool,
    /// The source of longshore; the one that it was installed from when absent.
    pub tool: Option<RequestedTool>,
    /// The version of longshore in that source; that of this program when absent.
    pub tool_version: Option<String>,
    /// Whether `Dockerfile.release` is written.
    pub image: bool,
    /// The repository that the release's image is pushed to.
    pub repository: Option<String>,
    /// The settings for connections to servers.
    pub server: Settings,
}

/// The files that are to be written, and those that are kept.
#[derive(Clone, Debug)]
pub struct InitPlan {
    /// The directory of the workspace.
    root: Utf8PathBuf,
    files: Vec<PlannedFile>,
    notes: Vec<String>,
}

/// A file of the plan.
#[derive(Clone, Debug)]
struct PlannedFile {
    path: String,
    action: InitAction,
    reason: String,
    /// The content on which the plan is based; `None` if there is no such file.
    old: Option<String>,
    new: String,
}

impl PlannedFile {
    fn is_written(&self) -> bool {
        matches!(self.action, InitAction::Create | InitAction::Extend)
    }
}

impl InitPlan {
    /// Returns whether nothing has to be written.
    pub fn is_done(&self) -> bool {
        !self.files.iter().any(PlannedFile::is_written)
    }

    /// Returns the plan as a report.
    pub fn report(&self, dry_run: bool) -> Init {
        let files = self.files.iter().map(|file| InitFile {
            path: file.path.clone(),
            action: file.action,
            reason: file.reason.clone(),
            difference: file.is_written().then(|| file.difference()),
        });
        Init {
            schema: SCHEMA,
            dry_run,
            root: self.root.to_string(),
            files: files.collect(),
            notes: self.notes.clone(),
        }
    }
}

impl PlannedFile {
    fn difference(&self) -> String {
        ci::unified_diff(&self.path, self.old.as_deref().unwrap_or_default(), &self.new)
    }
}

/// Returns a path relative to the root.
fn relative<'a>(root: &Utf8Path, path: &'a Utf8Path) -> Option<&'a Utf8Path> {
    path.strip_prefix(root).ok().filter(|path| !path.as_str().is_empty())
}
