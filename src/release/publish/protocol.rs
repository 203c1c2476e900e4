//! The API of a kind of forge, as far as a release needs it.

use super::{
    Destination, Goal, ReleaseText, RemoteAsset, RemoteRelease, Transport, WriteError, forgejo,
    github, gitlab,
};
use crate::model::{error::Result, schema::publication::ForgeKind};

/// The releases of a repository.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    /// Those of the tag, drafts and others, by identifier.
    pub(super) of_tag: Vec<RemoteRelease>,
    /// The published ones of other tags.
    pub(super) others: Vec<OtherRelease>,
}

/// A published release of a different tag.
#[derive(Clone, Debug)]
pub(super) struct OtherRelease {
    pub(super) tag: String,
    pub(super) prerelease: bool,
    /// Its date, as the forge writes it.
    pub(super) date: Option<String>,
}

/// The place of a release among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rank {
    pub(super) latest: bool,
    /// The date of the release with the highest version, if that is higher.
    pub(super) before: Option<String>,
}

/// The API of a kind of forge.
pub(super) trait Protocol {
    /// Returns the commit that the tag points at; `None` if there is no such tag.
    fn tag_commit(&self, transport: &dyn Transport) -> Result<Option<String>>;

    /// Returns the releases of the repository. `created` is the identifier of a draft that was created here,
    /// which a list may lack for a while.
    fn list(&self, transport: &dyn Transport, created: Option<u64>) -> Result<Listing>;

    /// Creates a draft.
    fn create(&self, transport: &dyn Transport) -> Result<RemoteRelease, WriteError>;

    /// Sends a file to a draft.
    fn upload(
        &self,
        transport: &dyn Transport,
        release: &RemoteRelease,
        file: usize,
    ) -> Result<RemoteAsset, WriteError>;

    /// Deletes a file of a draft.
    fn delete_asset(
        &self,
        transport: &dyn Transport,
        release: &RemoteRelease,
        asset: &RemoteAsset,
    ) -> Result<(), WriteError>;

    /// Deletes a draft.
    fn delete_draft(&self, transport: &dyn Transport, id: u64) -> Result<(), WriteError>;

    /// Publishes a draft, in one request.
    fn publish(
        &self,
        transport: &dyn Transport,
        release: &RemoteRelease,
        text: &ReleaseText,
        rank: &Rank,
    ) -> Result<(), WriteError>;

    /// Returns whether a file that is sent again replaces the earlier one, so that none has to be deleted.
    fn replaces(&self) -> bool {
        false
    }
}

/// Returns the protocol of the destination.
pub(super) fn protocol<'a>(destination: &'a Destination, goal: &'a Goal) -> Box<dyn Protocol + 'a> {
    match destination.forge {
        ForgeKind::Github => Box::new(github::Github { destination, goal }),
        ForgeKind::Gitlab => Box::new(gitlab::Gitlab { destination, goal }),
        ForgeKind::Forgejo => Box::new(forgejo::Forgejo { destination, goal }),
    }
}
