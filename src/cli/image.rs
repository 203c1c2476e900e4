//! `image inspect` and `image diff`.

use clap::{Args, Subcommand};

use super::{
    args::{Format, FormatArgs},
    assemble::{self, AssembleArgs},
    json, print, print_all,
    registry::RegistryArgs,
};
use crate::{
    image::contents,
    model::{
        error::{Result, Status},
        platform::Platform,
    },
    ops::image::inspect::{self, DiffRequest, InspectRequest},
    sys::Context,
};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct ImageArgs {
    #[command(subcommand)]
    verb: Option<ImageVerb>,
    #[command(flatten)]
    make: AssembleArgs,
}

#[derive(Debug, Subcommand)]
enum ImageVerb {
    /// Print the configuration, layers and files of images
    Inspect {
        /// OCI layouts, OCI archives and archives of `docker save`; `PATH:TAG` or `PATH@DIGEST`
        /// selects one of several images; or images in registries: `HOST/NAME:TAG`, `docker://NAME`
        #[arg(required = true, value_name = "PATH")]
        images: Vec<String>,
        /// Print the files of each layer, including whiteouts, instead of the merged files
        #[arg(long)]
        layers: bool,
        #[command(flatten)]
        which: PlatformArgs,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Print the differences of two images by platform and file; status 0 if they are equal, 1 if
    /// they differ
    Diff {
        /// First image: a path or name, as for `inspect`
        #[arg(value_name = "A")]
        before: String,
        /// Second image
        #[arg(value_name = "B")]
        after: String,
        /// Also compare times of files, image and history, and the digests of layers
        #[arg(long)]
        times: bool,
        #[command(flatten)]
        which: PlatformArgs,
        #[command(flatten)]
        format: FormatArgs,
    },
}

#[derive(Debug, Args)]
struct PlatformArgs {
    /// Read only the image for this platform, such as `linux/arm64`
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(super) fn run(cx: &Context, args: &ImageArgs) -> Result<Status> {
    match &args.verb {
        None => assemble::run(cx, &args.make),
        Some(ImageVerb::Inspect { images, layers, which, format }) => {
            let request = InspectRequest {
                images: images.clone(),
                platform: which.platform.clone(),
                registry: which.registry.settings(),
            };
            let inspection = inspect::inspect(cx, &request)?;
            match format.message_format {
                Format::Json => json(&inspection)?,
                Format::Human => {
                    print_all(&|text| contents::write_inspection(text, &inspection, *layers))?;
                }
            }
            Ok(Status::Done)
        }
        Some(ImageVerb::Diff { before, after, times, which, format }) => {
            let request = DiffRequest {
                before: before.clone(),
                after: after.clone(),
                platform: which.platform.clone(),
                times: *times,
                registry: which.registry.settings(),
            };
            let diff = inspect::diff(cx, &request)?;
            match format.message_format {
                Format::Json => json(&diff)?,
                Format::Human => print(&contents::format_difference(&diff))?,
            }
            Ok(if diff.equal { Status::Done } else { Status::CheckFailed })
        }
    }
}
