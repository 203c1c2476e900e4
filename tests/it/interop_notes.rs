//! The notes of `docs/interoperability.md`: why a reader rejects an image, or how it differs from the
//! one that longshore makes.

/// A reason why a cell is not `yes` or `equal`.
pub(crate) struct Note {
    /// Its name in rows; the page has its position.
    pub(crate) name: &'static str,
    /// The exit status of longshore; 0 where another program rejects the image, or for a difference.
    pub(crate) status: i32,
    /// Parts of the message; or the differences that it explains, each of them.
    pub(crate) prints: &'static [&'static str],
    /// The explanation.
    pub(crate) why: &'static str,
}

/// Returns the note that rows call `name`.
pub(crate) fn note(name: &str) -> &'static Note {
    NOTES.iter().find(|note| note.name == name).unwrap_or_else(|| panic!("no note `{name}`"))
}

/// The notes, in the order of the page.
pub(crate) const NOTES: [Note; 22] = [
    Note {
        name: "no-manifest",
        status: 2,
        prints: &["has no manifest: it has the old form of `docker save`"],
        why: "Status 2: the archive has a configuration and layers, but no manifest that could be pushed unchanged. `skopeo copy docker-archive:FILE oci:DIRECTORY:TAG` creates one.",
    },
    Note {
        name: "registry",
        status: 2,
        prints: &["there is no `"],
        why: "Status 2: `--from` is a layout or an archive. `skopeo copy docker://… docker://…` copies between registries; [`merge`](merge.md) creates one index from several.",
    },
    Note {
        name: "dir",
        status: 1,
        prints: &["in the form of `dir:`, which is not read"],
        why: "Status 1: `dir:` is a private format of the library in skopeo, podman and buildah (containers-transports(5)), without an index and with a flat list of blobs. `skopeo copy dir:… oci:…` converts it to a layout.",
    },
    Note {
        name: "files",
        status: 1,
        prints: &["it is an archive of something else"],
        why: "Status 1: it contains the files of the image without its configuration. `verify` reads it as an archive of programs.",
    },
    Note {
        name: "files-peers",
        status: 0,
        prints: &["manifest.json: file does not exist"],
        why: "It is not an image.",
    },
    Note {
        name: "sparse",
        status: 1,
        prints: &["is not in the layout"],
        why: "Status 1: the index names a platform that was not pulled. `push --from PATH@DIGEST` pushes the other one.",
    },
    Note {
        name: "several-peers",
        status: 0,
        prints: &["more than one image in oci"],
        why: "skopeo 1.9 and podman 4.3 require a name if an index has several entries, for one manifest or for several.",
    },
    Note {
        name: "gzip",
        status: 0,
        prints: &["unexpected EOF"],
        why: "skopeo 1.9 and podman 4.3 of Debian 12 read archives with xz and zstd, and fail on gzip: `unexpected EOF`. `docker load` accepts it.",
    },
    Note {
        name: "umoci-zstd",
        status: 0,
        prints: &["blob is not correct mediatype"],
        why: "umoci 0.4 does not support zstd.",
    },
    Note {
        name: "umoci-index",
        status: 0,
        prints: &["tag is ambiguous"],
        why: "umoci 0.4 requires that a tag references one manifest; the tag of an index references one for each platform.",
    },
    Note {
        name: "umoci-name",
        status: 0,
        prints: &["tag is not found"],
        why: "umoci requires the annotation `org.opencontainers.image.ref.name` as a tag.",
    },
    Note {
        name: "history",
        status: 0,
        prints: &["history"],
        why: "Builders write the instructions in the history differently.",
    },
    Note {
        name: "working-dir",
        status: 0,
        prints: &["working-dir"],
        why: "longshore and BuildKit write the working directory `/`; these builders leave it out, which means `/`.",
    },
    Note {
        name: "path",
        status: 0,
        prints: &["env PATH"],
        why: "longshore and BuildKit write the default `PATH` into every image; crane and umoci do not.",
    },
    Note {
        name: "one-layer",
        status: 0,
        prints: &["layers"],
        why: "buildah with `--layers=false` makes one layer of all instructions. The files are equal.",
    },
    Note {
        name: "umoci-layers",
        status: 0,
        prints: &["layers"],
        why: "`umoci insert` writes no entries for the directories above a file; longshore and BuildKit write them in each layer. The files are equal.",
    },
    Note {
        name: "umoci-root",
        status: 0,
        prints: &["+ /", "layers"],
        why: "`umoci repack` writes an entry for the root directory, too.",
    },
    Note {
        name: "buildah-label",
        status: 0,
        prints: &["labels io.buildah.version"],
        why: "buildah adds its version.",
    },
    Note {
        name: "buildah-base",
        status: 0,
        prints: &[
            "annotations org.opencontainers.image.base.digest",
            "annotations org.opencontainers.image.base.name",
        ],
        why: "buildah names the base image; of `scratch`, with empty values.",
    },
    Note {
        name: "no-platform",
        status: 0,
        prints: &["+ unknown/unknown", "- linux/amd64"],
        why: "`crane append` without a base writes no platform into the configuration.",
    },
    Note {
        name: "platform-missing",
        status: 0,
        prints: &["- linux/arm64"],
        why: "The index names a platform that was not pulled.",
    },
    Note {
        name: "docker-v1",
        status: 0,
        prints: &[
            "other config.Image",
            "other container",
            "other container_config",
            "other docker_version",
        ],
        why: "Docker 20.10 describes the container in which the last layer was made.",
    },
];
