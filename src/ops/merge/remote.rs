//! Parts that are images in registries, by their digests. No layer is read: the registry of the index mounts
//! missing blobs itself, if it can.

use std::{collections::BTreeMap, io::Read, sync::Arc};

use super::{MergeOutcome, MergeRequest, merge_error};
use crate::{
    image::{
        distribution::Upload,
        oci::{
            Descriptor, Document, Manifest,
            layout::{self, INDEX, LAYOUT_FILE, blob_path},
        },
        read::image::Store,
    },
    model::{
        collect::CollectOrdered as _,
        digest::Digest,
        error::{Error, Result},
        reference::Reference,
    },
    ops::{image::store, push},
    release::merge::{self, IndexContents, JoinedImages, Reasons},
    sys::{
        Context,
        registry::{Remote, Session},
    },
};

/// Merges images in registries to one index, and pushes it.
pub(super) fn merge(cx: &Context, request: &MergeRequest) -> Result<MergeOutcome> {
    if request.push.is_empty() {
        return Err(Error::usage("images in registries are joined there")
            .hint("name it with `--push REPOSITORY:TAG`"));
    }
    let session = Session::new(cx, &request.registry);
    let (mut remotes, mut parts) = (Vec::new(), Vec::new());
    let (mut reasons, mut from) = (Reasons::default(), Vec::new());
    for part in &request.parts {
        cx.children.check()?;
        let reference = store::parse_reference(part)?;
        if reference.digest.is_none() {
            // A tag can be another image at each look.
            reasons.add(format!("`{part}` has no digest: name it as `REPOSITORY@sha256:…`"));
            continue;
        }
        let remote = Remote::open(&session, &reference)?;
        parts.push((part.clone(), contents(&remote)?));
        remotes.push(remote);
        let same_host = |entry: &Reference| entry.registry == reference.registry;
        if request.push.iter().any(same_host) && !from.contains(&reference.repository) {
            from.push(reference.repository);
        }
    }
    let joined =
        merge::join_registry_images(&parts, &request.options, reasons).map_err(merge_error)?;
    let store = JoinedStore::new(&joined, &remotes)?;
    let pushing = push::PushRequest {
        // Only for messages: the images come from the store that is passed beside it.
        source: push::PushSource::Path(request.parts.join(" and ")),
        references: request.push.clone(),
        mount_from: from,
        dry_run: false,
        attach: false,
        tagging: request.tagging.clone(),
        verify: request.verify,
        registry: request.registry.clone(),
    };
    let upload = Upload::collect(&store, &joined.descriptor)?;
    let name = "the index of the parts".into();
    let std_request = pushing.tagging.as_ref().map(|tagging| {
        push::RequestedTags::new(tagging, &request.push, (&store, name, &joined.descriptor), None)
    });
    let pusher = push::Pusher::new(
        cx,
        &pushing,
        &store,
        name,
        (&upload, &[], std_request.transpose()?),
        &joined.descriptor,
    )?;
    let mut pushed = pusher.run().map_err(|error| {
        // The reader of a stream of a registry sees only that it ended.
        remotes.iter().find_map(Remote::failure).unwrap_or(error)
    })?;
    if request.verify {
        pushed.verification = Some(push::check(cx, &pushing, &pushed)?);
    }
    Ok(MergeOutcome { dist: None, push: Some(pushed) })
}

/// Returns the objects below the digest, as far as documents list them.
fn contents(remote: &Remote) -> Result<IndexContents> {
    let root = Descriptor::new(remote.media_type(), remote.digest(), remote.size());
    let mut faults = Vec::new();
    let bytes = std::cell::RefCell::new(&mut faults);
    let get = |descriptor: &Descriptor| match document(remote, descriptor) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            bytes.borrow_mut().push(error);
            None
        }
    };
    let contents = merge::read(&root, &get);
    match faults.into_iter().next() {
        Some(error) => Err(remote.failure().unwrap_or(error)),
        None => Ok(contents),
    }
}

fn document(remote: &Remote, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let path = blob_path(descriptor.digest);
    let limit = Document::<Manifest>::LIMIT as u64;
    let missing = || Error::check(format!("`{}` is missing", descriptor.digest));
    let failed =
        |error| Error::check(format!("`{}` cannot be read", descriptor.digest)).because(error);
    let mut bytes = Vec::new();
    let stream = remote.open(&path)?.ok_or_else(missing)?;
    stream.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if Digest::sha256(&bytes) != descriptor.digest || bytes.len() as u64 != descriptor.size {
        let message = format!(
            "`{}` is corrupt: expected {} bytes with that digest",
            descriptor.digest, descriptor.size
        );
        return Err(Error::check(message));
    }
    Ok(bytes)
}

/// The parts, and the index that joins them, as one layout.
struct JoinedStore<'a> {
    index: Vec<u8>,
    documents: BTreeMap<Digest, Arc<[u8]>>,
    remotes: &'a [Remote],
}

impl<'a> JoinedStore<'a> {
    fn new(joined: &JoinedImages, remotes: &'a [Remote]) -> Result<Self> {
        let index = layout::index(joined.descriptor.clone(), None)?;
        let documents = joined.index.iter().map(|index| (index.digest(), index.bytes().into()));
        Ok(JoinedStore { index, documents: documents.collect_map(), remotes })
    }
}

impl Store for JoinedStore<'_> {
    fn open(&self, path: &str) -> Result<Option<Box<dyn Read + '_>>> {
        if path == LAYOUT_FILE.0 {
            return Ok(Some(Box::new(LAYOUT_FILE.1)));
        }
        if path == INDEX {
            return Ok(Some(Box::new(&self.index[..])));
        }
        for (digest, bytes) in &self.documents {
            if blob_path(*digest) == path {
                return Ok(Some(Box::new(&bytes[..])));
            }
        }
        for remote in self.remotes {
            if let Some(found) = remote.open(path)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}
