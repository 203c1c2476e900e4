//! Forges: the comments on pull requests, and releases, over HTTP. The requests, and the handling of the
//! answers, are in [`crate::ci::comment`] and [`crate::release::publish`]; here they are sent.

mod client;
mod release;

use camino::Utf8PathBuf;

use self::client::{Call, Client, Payload};
pub use self::release::release_transport;
use super::{
    Context,
    registry::{RequestError, ResponseLimits},
};
use crate::{
    ci::comment::{CommentOutcome, Destination, Exchange, NextStep},
    image::distribution::retry,
    model::{error::Result, secret::Secret},
};

/// The settings for connections to servers.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Files of certificates that are trusted besides the system's.
    pub ca: Vec<Utf8PathBuf>,
    /// Hosts that may be connected to without TLS.
    pub insecure: Vec<String>,
    /// The limits on slow answers.
    pub limits: ResponseLimits,
}

/// Runs the exchange that `begin` returns, and repeats it from the start as long as a retry may help: a comment
/// that was written before its response was lost is then found, and not written again.
///
/// # Errors
/// The server rejects the request, cannot be reached, or gives an unexpected answer; or the operation
/// was interrupted.
pub fn comment<'t>(
    cx: &Context,
    settings: &Settings,
    destination: &Destination,
    begin: impl Fn() -> Exchange<'t>,
) -> Result<CommentOutcome> {
    let client = Client::new(cx, settings, &destination.comments)?
        .with_token(comment_headers(destination), destination.token.clone());
    let mut tried = 0;
    loop {
        cx.children.check()?;
        tried += 1;
        let trouble = match run(&client, begin()) {
            Ok(done) => return Ok(done),
            Err(trouble) => trouble,
        };
        // An interrupted request fails in many ways.
        cx.children.check()?;
        let (error, after) = trouble.retry(tried)?;
        let Some(time) = retry::wait_time(tried, after, u64::from(std::process::id())) else {
            return Err(error);
        };
        cx.status("Retrying", format!("in {:.1} s: {error}", time.as_secs_f64()));
        cx.children.pause(time)?;
    }
}

/// Returns the headers that have the token, and those that the API expects.
fn comment_headers(destination: &Destination) -> Vec<(&'static str, Secret)> {
    let token = destination.token.reveal();
    if destination.gitlab {
        vec![("private-token", Secret::new(token))]
    } else {
        vec![
            ("x-github-api-version", Secret::new("2022-11-28")),
            ("authorization", Secret::new(format!("Bearer {token}"))),
        ]
    }
}

fn run(client: &Client<'_>, mut talk: Exchange<'_>) -> Result<CommentOutcome, RequestError> {
    loop {
        client.cx.children.check()?;
        let request = talk.request();
        let what = request.what;
        let accept = if client.has_header("private-token") {
            "application/json"
        } else {
            "application/vnd.github+json"
        };
        let call = Call {
            method: request.method,
            url: &request.url,
            accept,
            payload: request.body.as_deref().map_or(Payload::Empty, Payload::Json),
            what,
        };
        let answer = client.call(call)?;
        match talk.handle(&answer) {
            NextStep::Ask(_) => {}
            NextStep::Done(done) => return Ok(done),
            NextStep::Failed(why) => return Err(client.error(what, why).into()),
            NextStep::Unexpected => {
                let error = client.status_error(what, &answer);
                let hint = "the token is wrong, or its time is up";
                return Err(if answer.status == 401 { error.hint(hint) } else { error }.into());
            }
        }
    }
}
