//! The shell around the core: each effect is in one module here. It imports only value types.

pub mod access;
pub mod auth;
pub mod beneath;
pub mod cache;
pub mod cargo;
pub mod clock;
pub mod confine;
pub mod digests;
pub mod directory;
pub mod durable;
pub mod env;
pub mod file;
#[cfg_attr(not(feature = "registry"), path = "forge/without.rs")]
pub mod forge;
pub mod fs;
pub mod git;
pub mod host;
pub mod lock;
pub mod parallel;
pub mod process;
pub mod reentry;
#[cfg_attr(not(feature = "registry"), path = "registry/without.rs")]
pub mod registry;
pub mod replace;
pub mod roots;
pub mod sccache;
pub mod seal;
pub mod signal;
pub mod targets;
pub mod temporary;
pub mod terminal;
pub mod toolchain;
pub mod tree;
pub mod warm;
pub mod zig;

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    build::cargo::progress,
    model::{
        command::Command,
        event::{Event, Events},
    },
};

/// The context of an operation: the environment as it was at the start, a sink for events, and the
/// children that have to end with it.
#[derive(Clone, Debug)]
pub struct Context {
    /// The environment, read once.
    pub env: env::Env,
    /// The sink for events.
    pub events: Arc<dyn Events>,
    /// The running children.
    pub children: process::Children,
}

impl Context {
    /// Returns the context of this process.
    ///
    /// # Errors
    /// The current directory cannot be read, or is not UTF-8.
    pub fn new(events: Arc<dyn Events>) -> crate::model::error::Result<Self> {
        Ok(Context::with_env(env::Env::read()?, events))
    }

    /// Returns one with this environment.
    pub fn with_env(env: env::Env, events: Arc<dyn Events>) -> Self {
        Context { env, events, children: process::Children::default() }
    }

    /// Returns a context in which `variables` are set, in the directory `dir`; children get them, too.
    #[must_use]
    pub fn with_variables(
        &self,
        dir: camino::Utf8PathBuf,
        variables: &BTreeMap<String, String>,
    ) -> Self {
        let mut env = self.env.clone();
        env.set(variables);
        env.dir = dir;
        let children = self.children.with_variables(variables);
        Context { env, events: self.events.clone(), children }
    }

    /// Begins a stage; the one before it ends.
    pub fn stage(&self, name: &'static str) {
        self.emit(Event::Stage { name });
    }

    /// Emits a step.
    pub fn status(&self, verb: &'static str, message: impl Into<String>) {
        self.events.status(verb, message);
    }

    /// Emits a warning.
    pub fn warn(&self, message: impl Into<String>) {
        self.events.warn(message);
    }

    /// Runs a long command to its end, with any exit status. The command, without its variables, and each line
    /// of its output are reported immediately.
    ///
    /// # Errors
    /// It could not be started, or an interrupt came.
    pub fn run_reported(&self, command: &Command) -> crate::model::error::Result<process::Output> {
        let shown = Command { env: Default::default(), ..command.clone() };
        self.emit(Event::Output { line: format!("$ {shown}") });
        self.children.stream(command, None, |_, bytes| {
            let text = String::from_utf8_lossy(bytes);
            if !progress::is_bar(&text) {
                let line = progress::strip_control_sequences(&text).trim_end().to_owned();
                self.emit(Event::Output { line });
            }
        })
    }

    /// Emits any event.
    pub fn emit(&self, event: Event) {
        self.events.emit(event);
    }
}
