//! `ci comment`: its arguments.

use camino::Utf8PathBuf;
use clap::Args;

use crate::{
    model::error::{Result, Status},
    ops,
    sys::{Context, forge::Settings},
};

#[derive(Debug, Args)]
pub(super) struct CommentArgs {
    /// Report in Markdown
    #[arg(long, value_name = "FILE")]
    file: Utf8PathBuf,
    /// Name of the comment; an existing comment with this name is updated
    #[arg(long, value_name = "NAME", default_value = "size")]
    marker: String,
    /// Create no comment if nothing changed in this report of `size --message-format json`
    #[arg(long, value_name = "FILE")]
    unless_unchanged: Option<Utf8PathBuf>,
    /// Also trust the certificates in this file; repeatable
    #[arg(long = "ca", value_name = "FILE")]
    ca: Vec<Utf8PathBuf>,
    /// Allow plain HTTP with this server; repeatable
    #[arg(long = "insecure", value_name = "HOST")]
    insecure: Vec<String>,
}

/// Writes the comment.
pub(super) fn run(cx: &Context, args: &CommentArgs) -> Result<Status> {
    ops::ci::comment::comment(
        cx,
        &ops::ci::comment::CommentRequest {
            file: args.file.clone(),
            marker: args.marker.clone(),
            unless_unchanged: args.unless_unchanged.clone(),
            server: Settings {
                ca: args.ca.clone(),
                insecure: args.insecure.clone(),
                ..Settings::default()
            },
        },
    )?;
    Ok(Status::Done)
}
