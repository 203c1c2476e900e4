//! Registries: the OCI distribution protocol 1.1 over HTTP. Its values are defined in
//! [`crate::image::distribution`]; here they are sent and received.

mod answer;
mod call;
mod connect;
mod download;
mod failure;
mod list;
mod origin;
mod pace;
mod pull;
mod push;
mod referrers;
mod settings;
mod tls;
mod token;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, atomic::AtomicBool},
};

pub use pull::Remote;
pub use settings::{Blob, BlobOutcome, ResponseLimits, Settings};

pub(super) use connect::{Connection, connect};
pub(super) use failure::{Cause, Failure, RequestError, cause};
pub(super) use pace::Paced;
pub(super) use tls::trust;

use super::{
    Context,
    auth::{self, FoundCredential},
    process::Hook,
};
use crate::{
    image::distribution::{Challenge, proxy::Proxies},
    model::{
        error::Result,
        reference::{DOCKER_REGISTRY, Reference},
        secret::Secret,
    },
};

/// The state that all registry requests of one command share.
#[derive(Debug)]
pub struct Session {
    cx: Context,
    settings: Settings,
    tls: OnceLock<Arc<rustls::ClientConfig>>,
    proxies: Proxies,
}

impl Session {
    /// Returns a session of one command.
    pub fn new(cx: &Context, settings: &Settings) -> Arc<Self> {
        Arc::new(Session {
            cx: cx.clone(),
            settings: settings.clone(),
            tls: OnceLock::new(),
            proxies: Proxies::new(|name| cx.env.var(name)),
        })
    }

    /// Returns the repository of a reference. No request is sent yet.
    ///
    /// # Errors
    /// longshore was built without registries.
    pub fn repository(self: &Arc<Self>, reference: &Reference) -> Result<Repository> {
        Ok(Repository {
            session: self.clone(),
            host: reference.registry.clone(),
            path: reference.repository.clone(),
            origin: OnceLock::new(),
            reached: AtomicBool::new(false),
            agents: Mutex::default(),
            found: Mutex::default(),
            challenge: Mutex::default(),
            tokens: Mutex::default(),
            secrets: Mutex::default(),
        })
    }
}

/// The operations in a repository: the scope that a token must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access<'a> {
    Pull,
    Push,
    /// Push, and pull from another repository.
    Mount(&'a str),
}

impl Access<'_> {
    /// Formats the scope for token servers ("Token Scope Documentation").
    fn scope(self, path: &str) -> String {
        match self {
            Access::Pull => format!("repository:{path}:pull"),
            Access::Push => format!("repository:{path}:pull,push"),
            Access::Mount(from) => format!("repository:{path}:pull,push repository:{from}:pull"),
        }
    }
}

/// Connections by TLS and proxy, each with the hook that ends it.
type Connections = HashMap<(bool, Option<String>), (Connection, Hook)>;

/// A repository in a registry. Used from several threads at once.
pub struct Repository {
    session: Arc<Session>,
    /// The registry, as references name it.
    host: String,
    path: String,
    /// Scheme and host of the registry, once known.
    origin: OnceLock<String>,
    /// A flag that is set once the registry has sent a response.
    reached: AtomicBool,
    /// The connections that were made.
    agents: Mutex<Connections>,
    /// The result of the search for credentials, once it was done.
    found: Mutex<Option<Option<FoundCredential>>>,
    /// The authentication scheme that the registry requires.
    challenge: Mutex<Option<Challenge>>,
    /// Tokens by scope.
    tokens: Mutex<HashMap<String, Secret>>,
    /// Everything that must not be shown.
    secrets: Mutex<Vec<Secret>>,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository").field("host", &self.host).field("path", &self.path).finish()
    }
}

impl Repository {
    /// Returns registry and path.
    pub fn name(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }

    /// Returns the registry, as references name it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the path in the registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns a tag or a digest of it, for people.
    fn display_target(&self, target: &str) -> String {
        let sign = if target.contains(':') { '@' } else { ':' };
        format!("{}{sign}{target}", self.path)
    }

    fn cx(&self) -> &Context {
        &self.session.cx
    }

    /// Returns the host to connect to: that of Docker's registry differs from its name.
    fn server(&self) -> &str {
        if self.host == DOCKER_REGISTRY { "registry-1.docker.io" } else { &self.host }
    }

    /// Returns the credentials, which are searched for once.
    fn credential(&self) -> Result<Option<FoundCredential>> {
        let mut known = lock(&self.found);
        if let Some(found) = &*known {
            return Ok(found.clone());
        }
        let github = self.session.settings.github_token;
        let found = auth::find_credential(self.cx(), github, &self.host, &self.path)?;
        if let Some(found) = &found {
            lock(&self.secrets).extend(found.credential.secrets());
        }
        *known = Some(found.clone());
        Ok(found)
    }

    /// Removes secrets from `text`.
    fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in lock(&self.secrets).iter().filter(|secret| !secret.reveal().is_empty()) {
            text = text.replace(secret.reveal(), "***");
        }
        text
    }
}

/// Locks, also after another thread's panic: each value is complete at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
