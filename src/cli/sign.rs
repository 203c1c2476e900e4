//! `sign`: its arguments and its output.

use camino::Utf8PathBuf;
use clap::Args;

use super::{args::Format, assemble, json, print};
use crate::{
    model::{
        error::{Error, Result, Status},
        reference::Reference,
        schema::dist::DocumentKind,
    },
    ops::sign::{self, Cosign, SignRequest},
    sys::Context,
};

#[derive(Debug, Args)]
pub(super) struct SignArgs {
    /// Directory with `dist.json` [default: `target/dist` here or in a parent directory]
    #[arg(long, value_name = "DIR")]
    dist: Option<Utf8PathBuf>,
    /// Sign with this minisign secret key; its password is in `LONGSHORE_MINISIGN_PASSWORD`, or is
    /// read from the terminal
    #[arg(long, value_name = "FILE", help_heading = MINISIGN)]
    minisign_key: Option<Utf8PathBuf>,
    /// File with that password
    #[arg(long, value_name = "FILE", help_heading = MINISIGN, requires = "minisign_key")]
    password_file: Option<Utf8PathBuf>,
    /// Sign with cosign: keyless, unless `--cosign-key` names a key
    #[arg(long, help_heading = COSIGN)]
    cosign: bool,
    /// Sign with this cosign key: a file, or the URI of a key management service
    #[arg(long, value_name = "KEY", help_heading = COSIGN)]
    cosign_key: Option<String>,
    /// Pass this argument to every call of cosign; repeatable
    #[arg(long = "cosign-arg", value_name = "ARG", help_heading = COSIGN, allow_hyphen_values = true)]
    cosign_args: Vec<String>,
    /// Also sign this pushed image with cosign: `HOST/NAME@DIGEST`; repeatable
    #[arg(long = "image", value_name = "REFERENCE", help_heading = COSIGN)]
    images: Vec<Reference>,
    /// Output on stdout: the signature files, or the updated release
    #[arg(long, value_name = "FMT", default_value = "human")]
    message_format: Format,
}

const MINISIGN: &str = "minisign";
const COSIGN: &str = "cosign";

pub(super) fn run(cx: &Context, args: &SignArgs) -> Result<Status> {
    let cosign = args.cosign || args.cosign_key.is_some();
    if args.minisign_key.is_none() && !cosign {
        return Err(Error::usage("no key is given")
            .hint("`--minisign-key FILE`, `--cosign-key KEY`, or `--cosign` without a key"));
    }
    let for_cosign = !args.images.is_empty() || !args.cosign_args.is_empty();
    if for_cosign && !cosign {
        return Err(Error::usage(
            "`--image` and `--cosign-arg` require `--cosign` or `--cosign-key`",
        )
        .hint("`--cosign`, or `--cosign-key KEY`"));
    }
    let request = SignRequest {
        dist: assemble::dist(cx, args.dist.as_deref())?,
        minisign: args.minisign_key.clone(),
        password_file: args.password_file.clone(),
        cosign: cosign
            .then(|| Cosign { key: args.cosign_key.clone(), args: args.cosign_args.clone() }),
        images: args.images.clone(),
    };
    let dist = sign::sign(cx, &request)?;
    match args.message_format {
        Format::Json => json(&dist)?,
        Format::Human => {
            let expected = |kind| match kind {
                DocumentKind::Minisign => request.minisign.is_some(),
                DocumentKind::Sigstore => cosign,
                _ => false,
            };
            let made = dist.documents.iter().filter(|document| expected(document.kind));
            let line = made.map(|item| format!("{}\n", request.dist.join(&item.path)));
            print(&line.collect::<String>())?;
        }
    }
    Ok(Status::Done)
}
