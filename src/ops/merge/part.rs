//! A part in a directory: a `target/dist`, of this or another machine.

use std::collections::BTreeMap;

use camino::Utf8Path;

use crate::{
    binary::elf::Facts,
    image::oci::{
        Descriptor, Document, Index, check,
        layout::{INDEX, blob_path},
    },
    model::{
        error::{Error, Result},
        machine::Architecture,
        schema::dist::Artifact,
        source::{ReadAt as _, Source},
    },
    ops::{output::manifest, verify::rules::PackingPolicies},
    release::merge::{self, PartFile, PartLayout, Reasons, ReleasePart},
    sys::{
        Context, file,
        fs::{self, FileType},
    },
};

/// Reads a part. Its problems are added to `reasons`, so that the others are checked, too; `None` if
/// nothing of it can be read.
pub(super) fn read(
    cx: &Context,
    name: &str,
    location: &Utf8Path,
    packing: &PackingPolicies,
    reasons: &mut Reasons,
) -> Result<Option<ReleasePart>> {
    let dist = match manifest::read_in(location) {
        Ok(dist) => dist,
        Err(error) => {
            reasons.add(error.to_string());
            return Ok(None);
        }
    };
    let mut files = BTreeMap::new();
    for path in ReleasePart::paths(&dist) {
        cx.children.check()?;
        match read_file(&location.join(path)) {
            Ok(file) => drop(files.insert(path.to_owned(), file)),
            Err(why) => reasons.add(format!("`{name}`: `{path}` {why}")),
        }
    }
    // One for another machine is reported with the others.
    let fits = |artifact: &&Artifact| {
        let machine = files.get(&artifact.path).and_then(|file| file.machine);
        machine.is_some()
            && machine
                == Architecture::from_goarch(&artifact.platform.architecture).map(Architecture::elf)
    };
    for artifact in dist.artifacts.iter().filter(fits) {
        cx.children.check()?;
        let digest = files.get(&artifact.path).map(|file| file.sha256);
        let file = file::open(&location.join(&artifact.path))?;
        // A file that differs from its record is reported with the others.
        if digest == Some(artifact.sha256)
            && let Err(error) = packing.check(artifact, Source::File(&file), artifact.sha256)
        {
            reasons.add(format!("`{name}`: {error}"));
        }
    }
    let mut layouts = BTreeMap::new();
    for image in &dist.images {
        cx.children.check()?;
        layouts.insert(image.path.clone(), read_layout(&location.join(&image.path)));
    }
    Ok(Some(ReleasePart { name: name.to_owned(), dist, files, layouts }))
}

/// Returns a file of a part, or the problem with it.
fn read_file(path: &Utf8Path) -> Result<PartFile, String> {
    match fs::file_type(path, false) {
        Ok(FileType::File { .. }) => {}
        Ok(_) => return Err("is not a file".to_owned()),
        Err(_) if !path.exists() => return Err("is missing".to_owned()),
        Err(error) => return Err(format!("cannot be read: {error}")),
    }
    let unread = |error: Error| format!("cannot be read: {error}");
    let open = file::open(path).map_err(unread)?;
    let sha256 = Source::File(&open).digest().map_err(|why| format!("cannot be read: {why}"))?;
    let size = open.size();
    let facts = Facts::read(Source::File(&open)).ok();
    let machine = facts.map(|facts| (facts.machine, facts.class, facts.endian));
    Ok(PartFile { size, sha256, machine })
}

/// Returns the contents of the layout. Every byte of it is read.
fn read_layout(location: &Utf8Path) -> PartLayout {
    let read = |path: &str| fs::read(&location.join(path)).ok();
    let mut seen = PartLayout::default();
    let (_, faults) = check::check(&read);
    seen.faults = faults.iter().map(ToString::to_string).collect();
    let Some(index) = read(INDEX).and_then(|bytes| Document::<Index>::parse(bytes).ok()) else {
        return seen;
    };
    let [root] = &index.manifests[..] else {
        let count = index.manifests.len();
        seen.faults.push(format!("its `{INDEX}` points at {count} images, and not at one"));
        return seen;
    };
    seen.root = Some(root.digest);
    // Missing files are reported by `check`.
    let get = |descriptor: &Descriptor| read(&blob_path(descriptor.digest));
    seen.contents = merge::read(root, &get);
    seen
}
