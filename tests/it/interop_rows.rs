//! The table of `docs/interoperability.md`: each writer, each form that it writes, and what each
//! reader makes of it.

/// A program that reads images, by the column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    Inspect,
    Verify,
    Diff,
    Push,
    Skopeo,
    Podman,
    Umoci,
}

impl Reader {
    pub(crate) const ALL: [Self; 7] = [
        Reader::Inspect,
        Reader::Verify,
        Reader::Diff,
        Reader::Push,
        Reader::Skopeo,
        Reader::Podman,
        Reader::Umoci,
    ];

    /// Returns the head of its column.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reader::Inspect => "`image inspect`",
            Reader::Verify => "`verify`",
            Reader::Diff => "`image diff`",
            Reader::Push => "`push --from`",
            Reader::Skopeo => "skopeo",
            Reader::Podman => "podman",
            Reader::Umoci => "umoci",
        }
    }

    /// Returns whether it is a command of longshore.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Reader::Inspect | Reader::Verify | Reader::Diff | Reader::Push)
    }
}

/// The form in which an image is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A directory (OCI image specification, image-layout.md).
    Layout,
    /// A layout in a tar archive.
    OciArchive,
    /// A tar archive with a `manifest.json`, for `docker load`.
    DockerArchive,
    /// A repository of a registry.
    Registry,
    /// skopeo's directory of blobs.
    Dir,
    /// A tar archive of the files.
    Files,
}

impl Kind {
    /// Returns its name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Layout => "OCI layout",
            Kind::OciArchive => "OCI archive",
            Kind::DockerArchive => "Docker archive",
            Kind::Registry => "registry",
            Kind::Dir => "`dir:`",
            Kind::Files => "root file system",
        }
    }

    /// Returns the prefix of its names for skopeo and podman (containers-transports(5)).
    pub(crate) fn transport(self) -> &'static str {
        match self {
            Kind::Layout => "oci:",
            Kind::OciArchive => "oci-archive:",
            Kind::DockerArchive | Kind::Files => "docker-archive:",
            Kind::Registry => "docker://",
            Kind::Dir => "dir:",
        }
    }
}

/// One form of one writer.
pub(crate) struct Row {
    pub(crate) writer: &'static str,
    /// The command that writes it.
    pub(crate) command: &'static str,
    pub(crate) kind: Kind,
    /// The readers that reject it, each with the note that says why.
    pub(crate) rejected: &'static [(Reader, &'static str)],
    /// The notes that explain how it differs from the image that longshore makes.
    pub(crate) differs: &'static [&'static str],
}

pub(crate) const LONGSHORE: &str = "longshore";
pub(crate) const SKOPEO: &str = "skopeo 1.9";
pub(crate) const BUILDAH: &str = "buildah 1.28";
pub(crate) const PODMAN: &str = "podman 4.3";
pub(crate) const UMOCI: &str = "umoci 0.4";
pub(crate) const CRANE: &str = "crane 0.20";
pub(crate) const BUILDKIT: &str = "BuildKit 0.26";
pub(crate) const CONTAINERD: &str = "Docker 28.5, containerd store";
pub(crate) const CLASSIC: &str = "Docker 28.5, classic store";
pub(crate) const OLD: &str = "Docker 20.10";
pub(crate) const COSIGN: &str = "cosign 2.5, 3.1";
pub(crate) const OTHERS: &str = "documented form";

const fn row(
    writer: &'static str,
    command: &'static str,
    kind: Kind,
    rejected: &'static [(Reader, &'static str)],
    differs: &'static [&'static str],
) -> Row {
    Row { writer, command, kind, rejected, differs }
}

use Kind::{Dir, DockerArchive, Files, Layout, OciArchive, Registry};
use Reader::{Diff, Inspect, Podman, Push, Skopeo, Umoci, Verify};

/// The table, sorted by writer.
pub(crate) const ROWS: [Row; 75] = [
    row(LONGSHORE, "`image --output oci=`", Layout, &[], &[]),
    row(LONGSHORE, "`--compression zstd`", Layout, &[(Umoci, "umoci-zstd")], &[]),
    row(LONGSHORE, "`--compression none`", Layout, &[], &[]),
    row(LONGSHORE, "`--output oci-archive=`", OciArchive, &[], &[]),
    row(LONGSHORE, "`--output docker-archive=`", DockerArchive, &[], &[]),
    row(LONGSHORE, "two platforms", Layout, &[(Umoci, "umoci-index")], &[]),
    row(LONGSHORE, "two platforms, `oci-archive=`", OciArchive, &[], &[]),
    row(LONGSHORE, "two platforms, `docker-archive=`", DockerArchive, &[], &[]),
    row(LONGSHORE, "`push`", Registry, &[(Push, "registry")], &[]),
    row(SKOPEO, "`copy … oci:`", Layout, &[], &[]),
    row(SKOPEO, "`copy --dest-compress-format zstd`", Layout, &[(Umoci, "umoci-zstd")], &[]),
    row(SKOPEO, "`copy --dest-oci-accept-uncompressed-layers`", Layout, &[], &[]),
    row(SKOPEO, "`copy … oci-archive:`", OciArchive, &[], &[]),
    row(SKOPEO, "`copy … docker-archive:`", DockerArchive, &[(Push, "no-manifest")], &[]),
    row(SKOPEO, "`copy --additional-tag`", DockerArchive, &[(Push, "no-manifest")], &[]),
    row(
        SKOPEO,
        "`copy … dir:`",
        Dir,
        &[(Inspect, "dir"), (Verify, "dir"), (Diff, "dir"), (Push, "dir")],
        &[],
    ),
    row(SKOPEO, "`copy … docker://`", Registry, &[(Push, "registry")], &[]),
    row(SKOPEO, "`copy --format v2s2`", Registry, &[(Push, "registry")], &[]),
    row(SKOPEO, "`copy --all`", Layout, &[(Umoci, "umoci-index")], &[]),
    row(SKOPEO, "`copy --all … docker://`", Registry, &[(Push, "registry")], &[]),
    row(
        BUILDAH,
        "`push … oci:`",
        Layout,
        &[],
        &["history", "working-dir", "one-layer", "buildah-label", "buildah-base"],
    ),
    row(
        BUILDAH,
        "`push … oci-archive:`",
        OciArchive,
        &[],
        &["history", "working-dir", "one-layer", "buildah-label", "buildah-base"],
    ),
    row(
        BUILDAH,
        "`push … docker-archive:`",
        DockerArchive,
        &[(Push, "no-manifest")],
        &["history", "working-dir", "one-layer", "buildah-label"],
    ),
    row(
        BUILDAH,
        "`push … dir:`",
        Dir,
        &[(Inspect, "dir"), (Verify, "dir"), (Diff, "dir"), (Push, "dir")],
        &[],
    ),
    row(
        BUILDAH,
        "`push … docker://`",
        Registry,
        &[(Push, "registry")],
        &["history", "working-dir", "one-layer", "buildah-label", "buildah-base"],
    ),
    row(
        BUILDAH,
        "`manifest push --all … oci:`",
        Layout,
        &[(Umoci, "umoci-index")],
        &["history", "working-dir", "one-layer", "buildah-label", "buildah-base"],
    ),
    row(
        BUILDAH,
        "`manifest push --all … docker://`",
        Registry,
        &[(Push, "registry")],
        &["history", "working-dir", "one-layer", "buildah-label", "buildah-base"],
    ),
    row(PODMAN, "`save`", DockerArchive, &[(Push, "no-manifest")], &[]),
    row(PODMAN, "`save -m`, several images", DockerArchive, &[(Push, "no-manifest")], &[]),
    row(PODMAN, "`save --format oci-archive`", OciArchive, &[], &[]),
    row(PODMAN, "`save --format oci-dir`", Layout, &[(Umoci, "umoci-name")], &[]),
    row(
        PODMAN,
        "`save --format docker-dir`",
        Dir,
        &[(Inspect, "dir"), (Verify, "dir"), (Diff, "dir"), (Push, "dir")],
        &[],
    ),
    row(PODMAN, "`push`", Registry, &[(Push, "registry")], &[]),
    row(PODMAN, "`push --compression-format zstd`", Registry, &[(Push, "registry")], &[]),
    row(PODMAN, "`push --compression-format zstd:chunked`", Registry, &[(Push, "registry")], &[]),
    row(UMOCI, "`insert`", Layout, &[], &["history", "working-dir", "path", "umoci-layers"]),
    row(UMOCI, "`repack`", Layout, &[], &["history", "working-dir", "path", "umoci-root"]),
    row(CRANE, "`pull`", DockerArchive, &[(Push, "no-manifest")], &[]),
    row(CRANE, "`pull`, several images", DockerArchive, &[(Push, "no-manifest")], &[]),
    row(CRANE, "`pull --format legacy`", DockerArchive, &[(Push, "no-manifest")], &[]),
    row(CRANE, "`pull --format oci`", Layout, &[(Umoci, "umoci-name")], &[]),
    row(CRANE, "`pull --format oci --annotate-ref`", Layout, &[(Umoci, "umoci-name")], &[]),
    row(CRANE, "`pull --format oci`, two platforms", Layout, &[(Umoci, "umoci-name")], &[]),
    row(CRANE, "`append --output`", DockerArchive, &[(Push, "no-manifest")], &["no-platform"]),
    row(
        CRANE,
        "`append`, `mutate`",
        Registry,
        &[(Push, "registry")],
        &["history", "working-dir", "path"],
    ),
    row(CRANE, "`index append`, two compressions", Registry, &[(Push, "registry")], &[]),
    row(
        CRANE,
        "`export`",
        Files,
        &[
            (Inspect, "files"),
            (Diff, "files"),
            (Push, "files"),
            (Skopeo, "files-peers"),
            (Podman, "files-peers"),
        ],
        &[],
    ),
    row(BUILDKIT, "`--output type=oci`", OciArchive, &[], &[]),
    row(BUILDKIT, "`type=oci,tar=false,compression=zstd`", Layout, &[(Umoci, "umoci-zstd")], &[]),
    row(BUILDKIT, "`type=oci,compression=uncompressed`", OciArchive, &[], &[]),
    row(BUILDKIT, "`type=docker`", DockerArchive, &[], &[]),
    row(BUILDKIT, "`type=oci` with `--provenance=true`", OciArchive, &[], &[]),
    row(BUILDKIT, "`type=oci`, two platforms", OciArchive, &[], &[]),
    row(
        BUILDKIT,
        "`type=oci`, two names",
        OciArchive,
        &[(Skopeo, "several-peers"), (Podman, "several-peers")],
        &[],
    ),
    row(BUILDKIT, "two platforms, `--provenance=true`", OciArchive, &[], &[]),
    row(BUILDKIT, "`type=image,push=true`", Registry, &[(Push, "registry")], &[]),
    row(
        BUILDKIT,
        "`type=tar`",
        Files,
        &[
            (Inspect, "files"),
            (Diff, "files"),
            (Push, "files"),
            (Skopeo, "files-peers"),
            (Podman, "files-peers"),
        ],
        &[],
    ),
    row(CONTAINERD, "`docker save`", DockerArchive, &[], &[]),
    row(CONTAINERD, "`docker save`, several images", DockerArchive, &[], &[]),
    row(
        CONTAINERD,
        "`docker save` of one platform of two",
        DockerArchive,
        &[(Push, "sparse")],
        &["platform-missing"],
    ),
    row(CONTAINERD, "`ctr images export`", DockerArchive, &[], &[]),
    row(CONTAINERD, "`docker push`", Registry, &[(Push, "registry")], &[]),
    row(CLASSIC, "`docker save`", DockerArchive, &[], &[]),
    row(CLASSIC, "`docker push`", Registry, &[(Push, "registry")], &[]),
    row(
        OLD,
        "`docker save`",
        DockerArchive,
        &[(Push, "no-manifest")],
        &["history", "working-dir", "docker-v1"],
    ),
    row(
        OLD,
        "`docker save`, several images",
        DockerArchive,
        &[(Push, "no-manifest")],
        &["history", "working-dir", "docker-v1"],
    ),
    row(
        OLD,
        "`docker save \\| gzip`",
        DockerArchive,
        &[(Push, "no-manifest"), (Skopeo, "gzip"), (Podman, "gzip")],
        &["history", "working-dir", "docker-v1"],
    ),
    row(
        OLD,
        "`docker save \\| xz`",
        DockerArchive,
        &[(Push, "no-manifest")],
        &["history", "working-dir", "docker-v1"],
    ),
    row(
        OLD,
        "`docker save \\| zstd`",
        DockerArchive,
        &[(Push, "no-manifest")],
        &["history", "working-dir", "docker-v1"],
    ),
    row(
        OLD,
        "`docker push`",
        Registry,
        &[(Push, "registry")],
        &["history", "working-dir", "docker-v1"],
    ),
    row(
        COSIGN,
        "`cosign 2.5 save`",
        Layout,
        &[(Skopeo, "several-peers"), (Podman, "several-peers"), (Umoci, "umoci-name")],
        &[],
    ),
    row(COSIGN, "`cosign 3.1 save`", Layout, &[(Umoci, "umoci-name")], &[]),
    row(OTHERS, "jib, `buildTar`", DockerArchive, &[(Push, "no-manifest")], &[]),
    row(OTHERS, "rules_oci, `oci_load`", DockerArchive, &[(Push, "no-manifest")], &[]),
    row(OTHERS, "Nix, `streamLayeredImage`", DockerArchive, &[(Push, "no-manifest")], &[]),
];
