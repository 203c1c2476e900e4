//! The destinations of images beside `target/dist`: files for loaders, and local engines.

use std::{collections::BTreeSet, fmt, io::Read, str::FromStr};

use camino::{Utf8Path, Utf8PathBuf};

use super::{BuiltImage, LayerCache, assemble::host_platform, image_name};
use crate::{
    image::oci::{
        archive,
        layout::{self, FileContent, ImageName, LayoutFile},
    },
    model::{
        command::Command,
        digest::Digest,
        error::{Error, Result},
        platform::Platform,
        schema::plan,
        suggest::nearest,
    },
    ops::output::guard,
    sys::{Context, durable, file, fs, lock, replace},
};

/// The destination of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A directory in the OCI image layout.
    Layout(Utf8PathBuf),
    /// The same as a tar.
    OciArchive(Utf8PathBuf),
    /// The layout as tar, with the files that `docker load` needs; podman and skopeo read it, too.
    DockerArchive(Utf8PathBuf),
    /// The Docker Engine that `docker` talks to.
    DockerDaemon,
    /// podman's storage.
    Podman,
}

impl Output {
    /// The prefix of each on the command line.
    const NAMES: [&'static str; 5] =
        ["oci", "oci-archive", "docker-archive", "docker-daemon", "podman"];
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, path) = match text.split_once(['=', ':']) {
            Some((kind, path)) => (kind, Some(path).filter(|path| !path.is_empty())),
            None => (text, None),
        };
        match (kind, path) {
            ("oci", Some(path)) => Ok(Output::Layout(path.into())),
            ("oci-archive", Some(path)) => Ok(Output::OciArchive(path.into())),
            ("docker-archive", Some(path)) => Ok(Output::DockerArchive(path.into())),
            ("docker-daemon", None) => Ok(Output::DockerDaemon),
            ("podman", None) => Ok(Output::Podman),
            ("oci" | "oci-archive" | "docker-archive", None) => {
                Err(format!("`{kind}` needs a path: `{kind}=PATH`"))
            }
            ("docker-daemon" | "podman", Some(_)) => Err(format!("`{kind}` takes no path")),
            _ => Err(match nearest(kind, Output::NAMES) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", Output::NAMES.join(", ")),
            }),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Layout(path) => write!(f, "oci={path}"),
            Output::OciArchive(path) => write!(f, "oci-archive={path}"),
            Output::DockerArchive(path) => write!(f, "docker-archive={path}"),
            Output::DockerDaemon => f.write_str("docker-daemon"),
            Output::Podman => f.write_str("podman"),
        }
    }
}

/// Writes the files of a layout to `dir`, except those that `kept` has put there: it is called with the
/// path of each and its bytes. A layer that is the store's own file costs no copy.
pub(super) fn write_files(
    files: Vec<LayoutFile<'_>>,
    dir: &Utf8Path,
    store: &LayerCache<'_>,
    kept: impl Fn(&str, &[u8]) -> Result<bool>,
) -> Result<()> {
    for file in files {
        let path = dir.join(&file.path);
        match file.content {
            FileContent::Bytes(bytes) if kept(&file.path, &bytes)? => {}
            FileContent::Bytes(bytes) => fs::write(&path, &bytes)?,
            FileContent::Layer(digest, _) => fs::link(&store.path(digest), &path)?,
        }
    }
    Ok(())
}

/// Writes or loads the image. `epoch` is every time in an archive.
pub(super) fn write(
    cx: &Context,
    output: &Output,
    made: &BuiltImage,
    plan: &plan::Image,
    store: &LayerCache<'_>,
    epoch: u64,
) -> Result<()> {
    let (tag, full) = image_name(plan);
    let name = ImageName { tag: &tag, image: Some(&full) };
    match output {
        Output::Layout(dir) => {
            write_layout(cx, layout::files(&made.set, Some(name))?, dir, &full, store)?;
        }
        Output::OciArchive(path) => {
            write_archive(&layout::files(&made.set, Some(name))?, path, store, epoch)?;
        }
        Output::DockerArchive(path) => {
            let files = archive::files(&made.set, Some(name), &loadable_platform(made)?)?;
            write_archive(&files, path, store, epoch)?;
        }
        Output::DockerDaemon | Output::Podman => {
            let files = archive::files(&made.set, Some(name), &loadable_platform(made)?)?;
            let dir = fs::TempDir::new("longshore-image")?;
            let path = dir.path.join("image.tar");
            write_archive(&files, &path, store, epoch)?;
            load_into_engine(cx, output, &path)?;
        }
    }
    cx.status("Wrote", format!("{full} to {output}"));
    Ok(())
}

/// Returns the image for loaders without platforms: that of the host, else the only one.
fn loadable_platform(made: &BuiltImage) -> Result<Platform> {
    let host = host_platform()?;
    let mut platforms = made.set.images().iter().map(|image| image.platform());
    match (platforms.clone().find(|platform| **platform == host), platforms.next()) {
        (Some(platform), _) => Ok(platform.clone()),
        (None, Some(only)) if made.set.images().len() == 1 => Ok(only.clone()),
        _ => Err(Error::usage(format!("there is no image for `{host}` among several"))
            .hint("choose one with `--platform`")),
    }
}

/// Checks that the image can be written there, before it is made.
///
/// # Errors
/// The output would replace something else.
pub(super) fn check(cx: &Context, output: &Output, plan: &plan::Image) -> Result<()> {
    match output {
        Output::Layout(dir) => {
            let dir = fs::resolve(&cx.env.dir.join(dir))?;
            check_layout(cx, &dir, &image_name(plan).1)
        }
        Output::OciArchive(path) | Output::DockerArchive(path) => {
            fs::check_replaceable(&cx.env.dir.join(path))
        }
        Output::DockerDaemon | Output::Podman => Ok(()),
    }
}

/// Checks that a directory is missing, empty, or a layout of the same image and nothing else.
fn check_layout(cx: &Context, dir: &Utf8Path, full: &str) -> Result<()> {
    const HINT: &str = "choose another directory, or remove it yourself";
    let reject =
        |what: String| Err(Error::usage(format!("`{dir}` cannot be replaced: {what}")).hint(HINT));
    if cx.env.dir.starts_with(dir) {
        return reject("the current directory is in it".to_owned());
    }
    if dir.symlink_metadata().is_err() {
        return Ok(());
    }
    if fs::file_type(dir, false)? != fs::FileType::Directory {
        return reject("expected a directory, found a file".to_owned());
    }
    if fs::is_empty_dir(dir)? {
        return Ok(());
    }
    if !dir.join(layout::LAYOUT_FILE.0).exists() {
        return reject("it is not empty, and is not an OCI layout".to_owned());
    }
    let own = [layout::LAYOUT_FILE.0, layout::INDEX, "blobs"];
    if let Some(other) = fs::names(dir)?.into_iter().find(|name| !own.contains(&name.as_str())) {
        return reject(format!("it holds `{other}`, which is not part of an OCI layout"));
    }
    let repository = |name: &str| name.rsplit_once(':').map_or(name, |(name, _)| name).to_owned();
    match image_names(dir)?.into_iter().find(|name| repository(name) != repository(full)) {
        Some(name) if name.is_empty() => reject("it holds an image without a name".to_owned()),
        Some(name) => reject(format!("it holds the image `{name}`, expected `{full}`")),
        None => Ok(()),
    }
}

/// Returns the complete names of the images in a layout; empty for one without a name.
fn image_names(dir: &Utf8Path) -> Result<Vec<String>> {
    let path = dir.join(layout::INDEX);
    let wrong = || Error::usage(format!("`{path}` is not an index of images"));
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(&path)?).map_err(|error| wrong().because(error))?;
    let manifests = index.get("manifests").and_then(|item| item.as_array()).ok_or_else(wrong)?;
    let name = |value: &serde_json::Value| {
        let name = value.get("annotations").and_then(|all| all.get(layout::IMAGE_NAME)?.as_str());
        name.unwrap_or_default().to_owned()
    };
    Ok(manifests.iter().map(name).collect())
}

/// Writes a layout instead of an earlier one. Nothing is added to the earlier one: files of another run
/// would stay in it.
fn write_layout(
    cx: &Context,
    files: Vec<LayoutFile<'_>>,
    dir: &Utf8Path,
    full: &str,
    store: &LayerCache<'_>,
) -> Result<()> {
    const OPTION: &str = "`--output oci=DIR`";
    let dir = fs::resolve(&cx.env.dir.join(dir))?;
    let mut lock = fs::lock_output(cx, &dir)?;
    let [partial, old] = ["partial", "old"].map(|suffix| lock::sibling(&dir, suffix));
    if !lock.was_interrupted() {
        guard::check_beside(&partial, OPTION)?;
    }
    if !lock.was_replacing() {
        guard::check_beside(&old, OPTION)?;
    } else if dir.symlink_metadata().is_err() && old.join(layout::LAYOUT_FILE.0).exists() {
        // Killed between two renames; see `replace::exchange`.
        fs::rename(&old, &dir)?;
    }
    // Another process may have changed it meanwhile.
    check_layout(cx, &dir, full)?;
    lock.mark()?;
    replace::discard(cx, &partial);
    replace::discard(cx, &old);
    let made = replace::create_dir(&partial).and_then(|()| {
        write_files(files, &partial, store, |_, _| Ok(false))?;
        durable::sync_tree(&partial)?;
        lock.mark_old()?;
        replace::exchange(&partial, &dir, &old)
    });
    replace::discard(cx, &partial);
    made
}

fn write_archive(
    files: &[LayoutFile<'_>],
    path: &Utf8Path,
    store: &LayerCache<'_>,
    epoch: u64,
) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_str().is_empty());
    let parent = parent.unwrap_or(Utf8Path::new("."));
    fs::create_dir_all(parent)?;
    let mut draft = fs::draft(parent)?;
    let mut open = |digest: Digest| -> Result<Box<dyn Read>> {
        Ok(Box::new(file::open_watched(&store.path(digest), None)?))
    };
    archive::write(files, epoch, &mut open, &mut draft)?;
    draft.persist(path)
}

/// Loads the archive into an engine.
fn load_into_engine(cx: &Context, output: &Output, path: &Utf8Path) -> Result<()> {
    let (program, variable) = match output {
        Output::Podman => ("podman", "CONTAINER_HOST"),
        _ => ("docker", "DOCKER_HOST"),
    };
    let found = cx.env.which(program).ok_or_else(|| {
        Error::tool(format!("`{program}` is not installed"))
            .hint("`--output docker-archive=FILE` writes a file for it instead")
    })?;
    let command = Command::new(found).args(["load", "--input", path.as_str()]);
    let done = cx.children.output(&command)?;
    if done.success() {
        return Ok(());
    }
    let mut seen = BTreeSet::new();
    let lines = done.tail(20);
    let lines: Vec<&str> = lines.lines().filter(|line| seen.insert(*line)).collect();
    Err(Error::build(format!("`{command}` {}", done.ending()))
        .detail(lines.join("\n"))
        .hint(format!("is the engine running? `{variable}` names its address")))
}
