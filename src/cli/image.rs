//! `image inspect` and `image diff`.

use clap::{Args, Subcommand};

use super::{
    args::{Format, Formatted},
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
    /// Show what is in images: what a container runs, the layers, and every file
    Inspect {
        /// OCI layouts, OCI archives, and what `docker save` wrote; `PATH:TAG` or `PATH@DIGEST` for
        /// one image of several; or images in registries: `HOST/NAME:TAG`, or `docker://NAME`
        #[arg(required = true, value_name = "PATH")]
        images: Vec<String>,
        /// Show the files of each layer, whiteouts too, instead of those that a container sees
        #[arg(long)]
        layers: bool,
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        format: Formatted,
    },
    /// Show in what two images differ, platform by platform and file by file; ends with status 0
    /// where they do not, and with 1 where they do
    Diff {
        /// The first: a path or a name as `inspect` has it
        #[arg(value_name = "A")]
        before: String,
        /// The second
        #[arg(value_name = "B")]
        after: String,
        /// Compare times, too: of files, of the image and of its history; and the digests of layers
        #[arg(long)]
        times: bool,
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        format: Formatted,
    },
}

#[derive(Debug, Args)]
struct Which {
    /// Look at the image for this platform only, such as `linux/arm64`
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
                    print_all(&|text| contents::inspection(text, &inspection, *layers))?;
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
                Format::Human => print(&contents::difference(&diff))?,
            }
            Ok(if diff.equal { Status::Done } else { Status::CheckFailed })
        }
    }
}
