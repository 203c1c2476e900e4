//! A part that is a directory: a `target/dist`, from here or from another machine.

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde::Deserialize;

use crate::{
    binary::elf::Facts,
    image::oci::{
        Descriptor, Document, Index, check,
        layout::{INDEX, blob_path},
    },
    model::{
        error::{Error, Result},
        schema::{
            Dist,
            dist::{Artifact, SCHEMA},
        },
        source::{ReadAt as _, Source},
    },
    ops::verify::rules::Packing,
    release::merge::{self, File, Part, Reasons, Seen},
    sys::{
        Context, file,
        fs::{self, Kind},
    },
    verify::of_architecture,
};

/// The largest `dist.json`.
const MOST: u64 = 64 << 20;

/// Reads a part. What is wrong with it goes to `reasons`, so that the others are looked at, too; no
/// part where nothing of it can be read.
pub(super) fn read(
    cx: &Context,
    name: &str,
    place: &Utf8Path,
    packing: &Packing,
    reasons: &mut Reasons,
) -> Result<Option<Part>> {
    let dist = match dist(place) {
        Ok(dist) => dist,
        Err(why) => {
            reasons.add(format!("`{name}`: {why}"));
            return Ok(None);
        }
    };
    let outside = merge::unread(&dist);
    if !outside.is_empty() {
        for path in outside {
            reasons.add(format!("`{name}`: its dist.json speaks of `{path}`, outside of it"));
        }
        return Ok(None);
    }
    let mut files = BTreeMap::new();
    for path in Part::paths(&dist) {
        cx.children.check()?;
        match look(&place.join(path)) {
            Ok(file) => drop(files.insert(path.to_owned(), file)),
            Err(why) => reasons.add(format!("`{name}`: `{path}` {why}")),
        }
    }
    // One for another machine is reported with the others.
    let fits = |of: &&Artifact| {
        let machine = files.get(&of.path).and_then(|file| file.machine);
        machine.is_some() && machine == of_architecture(&of.platform.architecture)
    };
    for artifact in dist.artifacts.iter().filter(fits) {
        cx.children.check()?;
        let digest = files.get(&artifact.path).map(|file| file.sha256);
        let file = file::open(&place.join(&artifact.path))?;
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
        layouts.insert(image.path.clone(), layout(&place.join(&image.path)));
    }
    Ok(Some(Part { name: name.to_owned(), dist, files, layouts }))
}

/// The schema's number, whatever else there is.
#[derive(Deserialize)]
struct Numbered {
    schema: u32,
}

/// What a part says of itself, or why it cannot be read.
fn dist(place: &Utf8Path) -> Result<Dist, String> {
    let path = place.join("dist.json");
    if !path.exists() {
        let what =
            if place.exists() { "it has no dist.json" } else { "there is no such directory" };
        return Err(what.to_owned());
    }
    let bytes = fs::read_start(&path, MOST + 1).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MOST {
        return Err(format!("its dist.json has more than {MOST} bytes"));
    }
    let bad = |error: serde_json::Error| format!("its dist.json is no release manifest: {error}");
    let Numbered { schema } = serde_json::from_slice(&bytes).map_err(bad)?;
    if schema > SCHEMA {
        return Err(format!(
            "its dist.json has the schema {schema}, of a newer longshore; this one reads {SCHEMA}"
        ));
    }
    if schema != SCHEMA {
        return Err(format!(
            "its dist.json has the schema {schema}; this longshore reads {SCHEMA}"
        ));
    }
    serde_json::from_slice(&bytes).map_err(bad)
}

/// A file of a part, or what is wrong with it.
fn look(path: &Utf8Path) -> Result<File, String> {
    match fs::kind(path, false) {
        Ok(Kind::File { .. }) => {}
        Ok(_) => return Err("is no file".to_owned()),
        Err(_) if !path.exists() => return Err("is missing".to_owned()),
        Err(error) => return Err(format!("cannot be read: {error}")),
    }
    let unread = |error: Error| format!("cannot be read: {error}");
    let open = file::open(path).map_err(unread)?;
    let sha256 = Source::File(&open).digest().map_err(|why| format!("cannot be read: {why}"))?;
    let size = open.size();
    let facts = Facts::read(Source::File(&open)).ok();
    let machine = facts.map(|facts| (facts.machine, facts.class, facts.endian));
    Ok(File { size, sha256, machine })
}

/// What is in the layout, every byte of it.
fn layout(place: &Utf8Path) -> Seen {
    let read = |path: &str| fs::read(&place.join(path)).ok();
    let mut seen = Seen::default();
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
    // What is not there is told by `check`.
    let get = |of: &Descriptor| read(&blob_path(of.digest));
    seen.contents = merge::read(root, &get);
    seen
}
