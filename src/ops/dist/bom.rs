//! The components of the binaries: lists of crates, in the binaries and as documents beside them.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use camino::Utf8Path;
use cargo_metadata::Metadata;

use crate::{
    build::{allocator::MIMALLOC, cargo::message::BuildReport, linker::musl::bundled},
    model::{
        collect::CollectOrdered as _,
        digest::Digest,
        error::Result,
        schema::{
            allocator::Allocator,
            dist::{Artifact, Document, DocumentKind, Image},
            linker::Linker,
            memory::MemoryFunctions,
            plan::Job,
            size::Dependency,
        },
    },
    ops::{dist::planned::Planned, output::stage::Stage},
    release::bom::{
        Component, CrateUse, Graph, Platform, Sbom, SbomBinary, Subject, SubjectKind, audit,
        cyclonedx, spdx,
    },
    sys::{Context, cargo, fs, parallel},
};

/// The SBOM of each package and target, and the list for the binaries that carry one.
#[derive(Debug, Default)]
pub(in crate::ops) struct Sboms(BTreeMap<(String, String), SbomWithList>);

/// An SBOM, and the dependency list for binaries that is derived from it.
#[derive(Debug)]
struct SbomWithList {
    bill: Sbom,
    section: Option<Vec<u8>>,
}

impl Sboms {
    fn get(&self, package: &str, target: &str) -> Option<&Sbom> {
        let key = (package.to_owned(), target.to_owned());
        self.0.get(&key).map(|made| &made.bill)
    }

    /// Returns the crates in the job's binary.
    pub(in crate::ops) fn dependencies(&self, job: &Job) -> Vec<Dependency> {
        let bill = self.get(&job.package, &job.target);
        let crates = bill.into_iter().flat_map(|bill| &bill.crates);
        crates
            .filter(|one| one.kind == CrateUse::Runtime)
            .map(|one| Dependency {
                name: one.id.name.clone(),
                version: one.id.version.to_string(),
            })
            .collect()
    }

    /// Returns the content of the section `.dep-v0` that the job's binary gets.
    pub(in crate::ops) fn section(&self, job: &Job) -> Option<&[u8]> {
        let key = (job.package.clone(), job.target.clone());
        self.0.get(&key).and_then(|made| made.section.as_deref())
    }
}

/// Returns the components of the binaries of a build.
///
/// # Errors
/// Cargo cannot say what it resolved, or rustc what its targets are.
pub(in crate::ops) fn sboms(
    cx: &Context,
    planned: &Planned,
    report: &BuildReport,
) -> Result<Sboms> {
    let plan = &planned.plan;
    // With the flags for rustc: conditions on dependencies can ask for what they switch on.
    let flags: BTreeMap<&str, Vec<&str>> = plan
        .jobs
        .iter()
        .map(|job| {
            let flags = job.rustflags.iter().map(|flag| flag.flag.as_str());
            (job.target.as_str(), flags.collect())
        })
        .collect_map();
    let root = Utf8Path::new(&plan.workspace);
    let rust = &planned.rust;
    let mut names: BTreeSet<&str> = flags.keys().copied().collect_set();
    names.insert(&rust.host);
    let manifest = root.join("Cargo.toml");
    let unstable = !plan.profile.unstable.is_empty();
    let platform = |name: &str, flags: &[&str]| -> Result<Platform> {
        Platform::new(name, &cargo::cfgs(cx, &rust.rustc, name, flags, unstable)?)
    };
    // Each waits for a process.
    let queries: Vec<(&str, &[&str])> = std::iter::once((rust.host.as_str(), &[][..]))
        .chain(flags.iter().map(|(name, flags)| (*name, flags.as_slice())))
        .collect();
    let platforms = || {
        parallel::map_on(queries.len(), queries.len(), |index| {
            let (name, flags) = queries[index];
            platform(name, flags)
        })
    };
    let (platforms, metadata) = parallel::join(platforms, || {
        cargo::resolved_metadata(cx, &manifest, &names, &planned.resolution)
    });
    let mut targets = platforms.into_iter().collect::<Result<Vec<Platform>>>()?;
    let host = targets.remove(0);
    let metadata: Metadata = metadata?;
    let lock = fs::read_to_string_if_exists(&root.join("Cargo.lock"))?.unwrap_or_default();
    let done = (&report.compiled[..], &report.scripts[..]);
    let graph = Graph::new(&metadata, &lock, done, &host, &targets)?;
    let mut bills = BTreeMap::new();
    for job in &plan.jobs {
        let key = (job.package.clone(), job.target.clone());
        if let Entry::Vacant(location) = bills.entry(key) {
            let bill = graph.sbom(&job.manifest, &job.target)?;
            let section = job.audit.then(|| audit::encode_section(&bill)).transpose()?;
            location.insert(SbomWithList { bill, section });
        }
    }
    Ok(Sboms(bills))
}

/// Writes the documents of each package and target, and of each image, to the stage.
///
/// # Errors
/// One cannot be written.
pub(in crate::ops) fn write_documents(
    stage: &Stage,
    planned: &Planned,
    bills: &Sboms,
    artifacts: &[Artifact],
    images: &[Image],
) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    for (package, target) in bills.0.keys() {
        let belongs =
            |artifact: &&Artifact| artifact.package == *package && artifact.target == *target;
        let binaries: Vec<&Artifact> = artifacts.iter().filter(belongs).collect();
        let Some(first) = binaries.first() else { continue };
        let what = SubjectKind::Binaries { target: target.clone() };
        let named = (package.as_str(), first.version.as_str());
        let subject = subject(planned, bills, named, what, &binaries);
        let name = format!("{package}-{}-{target}", first.version);
        let directory = first.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        documents.extend(write_pair(stage, &name, directory, &subject)?);
    }
    for image in images {
        let digest = |digest: &Digest| digest.hex();
        let platforms = image.platforms.iter();
        let what = SubjectKind::Image {
            digest: digest(&image.digest),
            platforms: platforms
                .map(|one| (one.platform.to_string(), digest(&one.manifest)))
                .collect(),
        };
        // A recipe may take binaries of any package.
        let inside: BTreeSet<&Digest> =
            image.platforms.iter().flat_map(|one| one.binaries.values()).collect_set();
        let binaries: Vec<&Artifact> =
            artifacts.iter().filter(|artifact| inside.contains(&artifact.sha256)).collect();
        let named = (image.name.as_str(), image.tag.as_str());
        let subject = subject(planned, bills, named, what, &binaries);
        let name = format!("{}-{}.image", image.name.replace('/', "-"), image.tag);
        documents.extend(write_pair(stage, &name, &image.path, &subject)?);
    }
    Ok(documents)
}

fn subject(
    planned: &Planned,
    bills: &Sboms,
    (name, version): (&str, &str),
    what: SubjectKind,
    binaries: &[&Artifact],
) -> Subject {
    let release = &planned.plan.release;
    let keys: BTreeSet<(&str, &str)> =
        binaries.iter().map(|one| (one.package.as_str(), one.target.as_str())).collect_set();
    let bills = keys.iter().filter_map(|(package, target)| bills.get(package, target));
    let binary = |artifact: &&Artifact| SbomBinary {
        path: artifact.path.clone(),
        package: artifact.package.clone(),
        target: artifact.target.clone(),
        sha256: artifact.sha256.hex(),
    };
    // The provider of `malloc` is not a tool.
    let tools = release.tools.iter().filter(|(name, _)| *name != "mimalloc");
    Subject {
        name: name.to_owned(),
        version: version.to_owned(),
        what,
        epoch: release.source_date_epoch,
        tools: tools.map(|(name, version)| (name.clone(), version.clone())).collect_map(),
        binaries: binaries.iter().map(binary).collect(),
        others: other_components(planned, binaries),
        bill: Sbom::merge(bills),
    }
}

/// Returns the components of the binaries that are not crates known to cargo.
fn other_components(planned: &Planned, binaries: &[&Artifact]) -> Vec<Component> {
    let mut all = vec![Component::std(&planned.rust.version.to_string())];
    let of_musl = |one: &&&Artifact| one.target.split('-').any(|part| part.starts_with("musl"));
    let linked_by = |one: &Artifact, linker| {
        one.linker.as_ref().map_or(Linker::Zig, |choice| choice.linker) == linker
    };
    let has_musl = |linker| binaries.iter().filter(of_musl).any(|one| linked_by(one, linker));
    if has_musl(Linker::Zig) {
        let zig = planned.plan.release.tools.get("zig").map_or("", String::as_str);
        all.push(Component::musl(None, &format!("zig {zig}")));
    }
    if has_musl(Linker::RustLld) {
        let rustc = &planned.rust.version;
        let version =
            bundled(rustc).map(|(major, minor, patch)| format!("{major}.{minor}.{patch}"));
        all.push(Component::musl(version.as_deref(), &format!("the target of rustc {rustc}")));
    }
    if binaries.iter().any(|one| one.allocator.allocator == Allocator::Mimalloc) {
        all.push(Component::mimalloc(MIMALLOC));
    }
    let is_fast = |one: &&Artifact| {
        let choice = one.memory_functions.as_ref();
        choice.is_some_and(|choice| choice.functions == MemoryFunctions::Fast)
    };
    if binaries.iter().any(is_fast) {
        all.push(Component::memory_functions());
    }
    all
}

/// Writes both documents of a subject.
fn write_pair(stage: &Stage, name: &str, title: &str, subject: &Subject) -> Result<[Document; 2]> {
    let write = |kind, suffix: &str, text: String| -> Result<Document> {
        let path = format!("archives/{name}.{suffix}.json");
        let (size, sha256) = (text.len() as u64, Digest::sha256(text.as_bytes()));
        if !stage.reuse(&path, &sha256, size)? {
            fs::write_mode(&stage.path(&path), text.as_bytes(), 0o644)?;
        }
        Ok(Document { kind, subject: Some(title.to_owned()), path, size, sha256 })
    };
    Ok([
        write(DocumentKind::Cyclonedx, "cdx", cyclonedx::document(subject))?,
        write(DocumentKind::Spdx, "spdx", spdx::document(subject))?,
    ])
}
