//! `image`: its arguments and its output.

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};

use super::{args::Format, json, print};
use crate::{
    model::{
        collect::CollectOrdered as _,
        error::{Error, Result, Status},
        platform::Platform,
        schema::packaging::{Compressor, Extra},
    },
    ops::{
        image::{self, ImageRequest, Output},
        output::manifest,
    },
    sys::Context,
};

#[derive(Debug, Args)]
pub(super) struct AssembleArgs {
    /// Directory with `dist.json` [default: `target/dist` here or in a parent directory]
    #[arg(value_name = "DIST")]
    dist: Option<Utf8PathBuf>,
    /// Build only this image; repeatable
    #[arg(short, long = "package", value_name = "NAME")]
    packages: Vec<String>,
    /// Build from this Dockerfile
    #[arg(short = 'f', long, value_name = "FILE")]
    recipe: Option<Utf8PathBuf>,
    /// Build only for this platform, such as linux/arm64; repeatable
    #[arg(long = "platform", value_name = "OS/ARCH")]
    platforms: Vec<Platform>,
    /// Set a build argument (ARG of the Dockerfile); repeatable
    #[arg(long = "build-arg", value_name = "NAME=VALUE", value_parser = pair)]
    build_args: Vec<(String, String)>,
    /// Add a label; repeatable
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// Add an annotation to the index and the manifests; repeatable
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = pair)]
    annotations: Vec<(String, String)>,
    /// Add these files; repeatable
    #[arg(long = "extra", value_name = "NAME")]
    extras: Vec<Extra>,
    /// Compression of layers
    #[arg(long, value_name = "NAME")]
    compression: Option<Compressor>,
    /// Destination of the image, instead of `image/` in DIST: oci=DIR, oci-archive=FILE,
    /// docker-archive=FILE, docker-daemon, podman; repeatable
    #[arg(short, long = "output", value_name = "FORM")]
    outputs: Vec<Output>,
    /// Output on stdout: each image by digest, or its entry in dist.json
    #[arg(long, value_name = "FMT", default_value = "human")]
    message_format: Format,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("there has to be a name, `=` and a value".to_owned()),
    }
}

impl ValueEnum for Extra {
    fn value_variants<'a>() -> &'a [Self] {
        &Extra::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.name()))
    }
}

impl ValueEnum for Compressor {
    fn value_variants<'a>() -> &'a [Self] {
        &Compressor::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.name()))
    }
}

pub(super) fn run(cx: &Context, args: &AssembleArgs) -> Result<Status> {
    let map = |pairs: &[(String, String)]| pairs.iter().cloned().collect_map();
    let request = ImageRequest {
        dist: dist(cx, args.dist.as_deref())?,
        names: args.packages.clone(),
        recipe: args.recipe.clone(),
        args: map(&args.build_args),
        labels: map(&args.labels),
        annotations: map(&args.annotations),
        extras: args.extras.clone(),
        compression: args.compression,
        platforms: args.platforms.clone(),
        outputs: args.outputs.clone(),
    };
    let images = image::rebuild_images(cx, &request)?;
    match args.message_format {
        Format::Json => json(&images)?,
        Format::Human => {
            let line = |image: &crate::model::schema::dist::Image| {
                format!("{}@{}\n", image.name, image.digest)
            };
            print(&images.iter().map(line).collect::<String>())?;
        }
    }
    Ok(Status::Done)
}

/// Returns the output of an earlier `build` or `dist`, searching the parent directories as cargo does for
/// `Cargo.toml`.
pub(super) fn dist(cx: &Context, given: Option<&Utf8Path>) -> Result<Utf8PathBuf> {
    if let Some(dir) = given {
        return Ok(cx.env.dir.join(dir));
    }
    if let Some(dir) = cx.env.var("CARGO_TARGET_DIR") {
        return Ok(cx.env.dir.join(dir).join("dist"));
    }
    let mut locations = cx.env.dir.ancestors().map(|dir| dir.join("target/dist"));
    locations.find(|dir| manifest::manifest_path(dir).is_some()).ok_or_else(|| {
        Error::check(format!("there is no `target/dist` in `{}` or above", cx.env.dir))
            .hint("`cargo longshore build` makes one; images are made from its binaries")
    })
}
