//! `ci comment`: a report as one comment on the pull request, which is updated.

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    ci::comment::{self, Absent, Done, Talk},
    model::error::{Error, Result},
    sys::{
        Context,
        forge::{self, Settings},
        fs,
    },
};

/// A request for a comment.
#[derive(Clone, Debug)]
pub struct Request {
    /// The report, in Markdown.
    pub file: Utf8PathBuf,
    /// The name of the comment, by which it is found again.
    pub marker: String,
    /// A report of sizes, as JSON: where it says that nothing changed, no new comment is made.
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
pub fn comment(cx: &Context, request: &Request) -> Result<()> {
    let marker = comment::marker(&request.marker)?;
    let report = fs::read(&request.file)?;
    let report = String::from_utf8(report)
        .map_err(|_| Error::usage(format!("`{}` is not UTF-8", request.file)))?;
    let unchanged = match &request.unless_unchanged {
        Some(path) => comment::unchanged(path.as_str(), &fs::read(path)?)?,
        None => false,
    };
    let event = match cx.env.var("GITHUB_EVENT_PATH") {
        Some(path) => fs::read_to_string_if_there(Utf8Path::new(path))?,
        None => None,
    };
    let place = match comment::place(|name| cx.env.var(name), event.as_deref())? {
        Ok(place) => place,
        Err(absent) => {
            cx.status(
                "Skipping",
                match absent {
                    Absent::PullRequest => "the comment: this job is of no pull request".to_owned(),
                    Absent::Token(name) => format!("the comment: `{name}` is not set"),
                },
            );
            return Ok(());
        }
    };
    let body = comment::body(&marker, &report);
    let begin = || Talk::new(&place, &marker, &body, !unchanged);
    let done = forge::comment(cx, &request.server, &place, begin)?;
    let name = &place.name;
    match done {
        Done::Created => cx.status("Commented", format!("on {name}")),
        Done::Updated => cx.status("Updated", format!("the comment on {name}")),
        Done::Same => cx.status("Kept", format!("the comment on {name}: it says this already")),
        Done::Unchanged => cx.status("Skipping", format!("the comment on {name}: nothing changed")),
        Done::Refused(status) => {
            let why = "the token may not write there, as in jobs of forks";
            cx.status("Skipping", format!("the comment on {name}: {why} (status {status})"));
        }
    }
    Ok(())
}
