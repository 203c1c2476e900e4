//! `ci comment`: a report as one comment on the pull request, which is updated.

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    ci::comment::{self, CommentOutcome, Exchange, NoDestination},
    model::error::{Error, Result},
    sys::{
        Context,
        forge::{self, Settings},
        fs,
    },
};

/// A request for a comment.
#[derive(Clone, Debug)]
pub struct CommentRequest {
    /// The report, in Markdown.
    pub file: Utf8PathBuf,
    /// The name of the comment, by which it is found again.
    pub marker: String,
    /// A report of sizes, as JSON: if it has no changes, no new comment is made.
    pub unless_unchanged: Option<Utf8PathBuf>,
    /// The settings for connections to the server.
    pub server: Settings,
}

/// Writes the comment. If the job does not belong to a pull request, or its token may not write, that
/// is reported, and it is not an error: the result of the check does not depend on the comment.
///
/// # Errors
/// A file cannot be read or is not a report, a variable is missing, or the server rejects the request
/// for another reason or cannot be reached.
pub fn comment(cx: &Context, request: &CommentRequest) -> Result<()> {
    let marker = comment::marker(&request.marker)?;
    let report = fs::read(&request.file)?;
    let report = String::from_utf8(report)
        .map_err(|_| Error::usage(format!("`{}` is not UTF-8", request.file)))?;
    let unchanged = match &request.unless_unchanged {
        Some(path) => comment::is_unchanged(path.as_str(), &fs::read(path)?)?,
        None => false,
    };
    let event = match cx.env.var("GITHUB_EVENT_PATH") {
        Some(path) => fs::read_to_string_if_exists(Utf8Path::new(path))?,
        None => None,
    };
    let location = match comment::destination(|name| cx.env.var(name), event.as_deref())? {
        Ok(location) => location,
        Err(absent) => {
            cx.status(
                "Skipping",
                match absent {
                    NoDestination::PullRequest => {
                        "the comment: this job is of no pull request".to_owned()
                    }
                    NoDestination::Token(name) => format!("the comment: `{name}` is not set"),
                },
            );
            return Ok(());
        }
    };
    let body = comment::body(&marker, &report);
    let begin = || Exchange::new(&location, &marker, &body, !unchanged);
    let done = forge::comment(cx, &request.server, &location, begin)?;
    let name = &location.name;
    match done {
        CommentOutcome::Created => cx.status("Commented", format!("on {name}")),
        CommentOutcome::Updated => cx.status("Updated", format!("the comment on {name}")),
        CommentOutcome::Same => cx.status("Kept", format!("the comment on {name}: unchanged")),
        CommentOutcome::Unchanged => {
            cx.status("Skipping", format!("the comment on {name}: nothing changed"))
        }
        CommentOutcome::Refused(status) => {
            let why = "the token may not write there, as in jobs of forks";
            cx.status("Skipping", format!("the comment on {name}: {why} (status {status})"));
        }
    }
    Ok(())
}
