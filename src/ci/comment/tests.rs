use super::*;
use crate::model::{
    error::Status,
    http::{ApiResponse, Method},
};

const MARKER: &str = "<!-- longshore:size -->";

fn lookup<'a>(vars: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<&'a str> {
    move |name| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

const GITHUB: [(&str, &str); 4] = [
    ("GITHUB_ACTIONS", "true"),
    ("GITHUB_REPOSITORY", "me/hello"),
    ("GITHUB_REF", "refs/pull/7/merge"),
    ("GITHUB_TOKEN", "hunter2"),
];

const GITLAB: [(&str, &str); 5] = [
    ("GITLAB_CI", "true"),
    ("CI_API_V4_URL", "https://git.example.org/api/v4/"),
    ("CI_PROJECT_ID", "42"),
    ("CI_MERGE_REQUEST_IID", "7"),
    ("GITLAB_TOKEN", "hunter2"),
];

fn changed<'a>(
    vars: &[(&'a str, &'a str)],
    name: &str,
    value: Option<&'a str>,
) -> Vec<(&'a str, &'a str)> {
    let pair = |pair: &(&'a str, &'a str)| {
        if pair.0 == name { value.map(|value| (pair.0, value)) } else { Some(*pair) }
    };
    vars.iter().filter_map(pair).collect()
}

/// Returns an exchange in which the token's user is known.
fn identified<'a>(location: &'a Destination, body: &'a str, create: bool) -> Exchange<'a> {
    let mut talk = Exchange::new(location, MARKER, body, create);
    assert_eq!(talk.request().url, location.user);
    let step = talk.handle(&answer(200, r#"{"id": 7, "login": "me"}"#, None));
    assert!(matches!(step, NextStep::Ask(_)), "{step:?}");
    talk
}

fn answer(status: u16, body: &str, link: Option<&str>) -> ApiResponse {
    ApiResponse { status, link: link.map(str::to_owned), body: body.as_bytes().to_vec() }
}

#[test]
fn destinations_of_each_provider() {
    let github = destination(lookup(&GITHUB), None).unwrap().unwrap();
    assert_eq!(github.comments, "https://api.github.com/repos/me/hello/issues/7/comments");
    assert_eq!(github.one, "https://api.github.com/repos/me/hello/issues/comments");
    assert_eq!(github.name, "pull request #7 of me/hello");
    // The event has it if the ref does not.
    let branch = changed(&GITHUB, "GITHUB_REF", Some("refs/heads/main"));
    let event = r#"{"action": "opened", "pull_request": {"number": 9, "id": 1}}"#;
    assert!(
        destination(lookup(&branch), Some(event))
            .unwrap()
            .unwrap()
            .comments
            .ends_with("/9/comments")
    );
    let push = destination(lookup(&branch), Some(r#"{"ref": "refs/heads/main"}"#)).unwrap();
    assert_eq!(push.unwrap_err(), NoDestination::PullRequest);

    let gitlab = destination(lookup(&GITLAB), None).unwrap().unwrap();
    let notes = "https://git.example.org/api/v4/projects/42/merge_requests/7/notes";
    assert_eq!((gitlab.comments.as_str(), gitlab.one.as_str()), (notes, notes));
    let branch = changed(&GITLAB, "CI_MERGE_REQUEST_IID", None);
    assert_eq!(
        destination(lookup(&branch), None).unwrap().unwrap_err(),
        NoDestination::PullRequest
    );

    let circle = [
        ("CIRCLECI", "true"),
        ("GITHUB_TOKEN", "hunter2"),
        ("CIRCLE_PULL_REQUEST", "https://github.com/me/hello/pull/7"),
    ];
    assert_eq!(destination(lookup(&circle), None).unwrap().unwrap().comments, github.comments);
    assert_eq!(
        destination(lookup(&circle[..2]), None).unwrap().unwrap_err(),
        NoDestination::PullRequest
    );
}

#[test]
fn errors_name_variables_and_never_the_token() {
    let absent = destination(lookup(&GITHUB[..3]), None).unwrap().unwrap_err();
    assert_eq!(absent, NoDestination::Token("GITHUB_TOKEN"));
    let circle = |url| [("CIRCLECI", "true"), ("CIRCLE_PULL_REQUEST", url)];
    let cases: [(Vec<(&str, &str)>, &str); 8] = [
        (vec![], "this is not a job of"),
        (changed(&GITHUB, "GITHUB_REPOSITORY", None), "`GITHUB_REPOSITORY` is not set"),
        (changed(&GITHUB, "GITHUB_REPOSITORY", Some("../x/y")), "is not a repository"),
        (changed(&GITHUB, "GITHUB_TOKEN", Some("hunter2\n")), "`GITHUB_TOKEN` is not a token"),
        (changed(&GITHUB, "GITHUB_REF", Some("refs/pull/x/merge")), "`GITHUB_REF` has no number"),
        (
            changed(&GITLAB, "CI_API_V4_URL", Some("https://me:hunter2@x")),
            "not the address of an API",
        ),
        (changed(&GITLAB, "CI_MERGE_REQUEST_IID", Some("-1")), "`CI_MERGE_REQUEST_IID` has no"),
        (circle("https://bitbucket.org/me/hello/pull/7").to_vec(), "`CIRCLE_PULL_REQUEST` is"),
    ];
    for (vars, reported) in cases {
        let error = destination(lookup(&vars), None).unwrap_err();
        assert_eq!(error.status(), Status::Usage, "{error}");
        let text = format!("{error:?}");
        assert!(text.contains(reported) && !text.contains("hunter2"), "{text}");
    }
    assert!(!format!("{:?}", destination(lookup(&GITHUB), None)).contains("hunter2"));
    assert!(destination(lookup(&GITHUB), Some("{")).is_err());
}

#[test]
fn the_comment_is_found_on_a_later_page_and_changed() {
    let location = destination(lookup(&GITHUB), None).unwrap().unwrap();
    let text = body(MARKER, "new");
    let mut talk = identified(&location, &text, true);
    assert_eq!(talk.request().url, format!("{}?per_page=100", location.comments));
    let others = r#"[{"id": 1, "body": null}, {"id": 2, "body": "see <!-- longshore:size -->"}]"#;
    let link = format!("<{}?per_page=100&page=2>; rel=\"next\"", location.comments);
    let NextStep::Ask(second) = talk.handle(&answer(200, others, Some(&link))) else { panic!() };
    assert_eq!(second.url, format!("{}?per_page=100&page=2", location.comments));
    let own = r#"[{"id": 2, "body": "<!-- longshore:size -->", "user": {"id": 8}},
        {"id": 3, "body": "<!-- longshore:size -->\r\nold", "user": {"id": 7}}]"#;
    let NextStep::Ask(change) = talk.handle(&answer(200, own, None)) else { panic!() };
    assert_eq!((change.method, change.url), (Method::Patch, format!("{}/3", location.one)));
    assert_eq!(change.body.as_deref(), Some(r#"{"body":"<!-- longshore:size -->\nnew\n"}"#));
    assert_eq!(talk.handle(&answer(200, "{}", None)), NextStep::Done(CommentOutcome::Updated));
    // Unchanged text is not sent again, even if the server changed its line ends.
    let mut talk = identified(&location, &text, true);
    let same = r#"[{"id": 3, "body": "<!-- longshore:size -->\r\nnew", "user": {"id": 7}}]"#;
    assert_eq!(talk.handle(&answer(200, same, None)), NextStep::Done(CommentOutcome::Same));
}

#[test]
fn new_comments_are_made_for_changes_only() {
    let location = destination(lookup(&GITLAB), None).unwrap().unwrap();
    let system =
        r#"[{"id": 1, "system": true, "body": "<!-- longshore:size -->", "author": {"id": 7}}]"#;
    let mut talk = identified(&location, MARKER, true);
    let NextStep::Ask(create) = talk.handle(&answer(200, system, None)) else { panic!() };
    assert_eq!((create.method, &create.url), (Method::Post, &location.comments));
    assert_eq!(talk.handle(&answer(201, "{}", None)), NextStep::Done(CommentOutcome::Created));
    let mut talk = identified(&location, MARKER, false);
    assert_eq!(talk.handle(&answer(200, "[]", None)), NextStep::Done(CommentOutcome::Unchanged));
}

#[test]
fn responses_that_end_the_exchange() {
    let location = destination(lookup(&GITHUB), None).unwrap().unwrap();
    let first = |given: ApiResponse| identified(&location, MARKER, true).handle(&given);
    assert_eq!(first(answer(403, "", None)), NextStep::Done(CommentOutcome::Refused(403)));
    assert_eq!(first(answer(404, "", None)), NextStep::Done(CommentOutcome::Refused(404)));
    assert_eq!(first(answer(401, "", None)), NextStep::Unexpected);
    for (given, link) in [("{}", None), ("[]", Some("<https://x.example/a>; rel=next"))] {
        assert!(matches!(first(answer(200, given, link)), NextStep::Failed(_)), "{given}");
    }
}

#[test]
fn long_reports_are_truncated_at_a_line() {
    let line = "| 🦀 some/crate | 1,000 |\n";
    let open = "<details>\n<summary>all</summary>\n\n```text\n";
    let report = open.to_owned() + &line.repeat(10_000);
    let text = body(MARKER, &report);
    assert!(text.encode_utf16().count() <= MAX_LENGTH && text.len() > 60_000);
    assert!(text.starts_with(&format!("{MARKER}\n{open}{line}")));
    assert!(text.contains(&format!("{line}```\n</details>\n\nThe report is too long")), "{text}");
    // A report that just fits is complete, and one long line is kept or dropped completely.
    let fits = "x".repeat(MAX_LENGTH - MARKER.len() - 2);
    assert_eq!(body(MARKER, &fits), format!("{MARKER}\n{fits}\n"));
    let cut = body(MARKER, &format!("{fits}x"));
    assert!(cut.starts_with(&format!("{MARKER}\n\nThe report")), "{cut}");
}

#[test]
fn names_of_comments() {
    assert_eq!(marker("size").unwrap(), MARKER);
    for name in ["", "a b", "a-->", "a--b", "ä", &"x".repeat(65)] {
        assert_eq!(marker(name).unwrap_err().status(), Status::Usage, "{name}");
    }
}

#[test]
fn reports_without_changes_are_detected() {
    let report = |binaries: &str, more: &str| {
        let text = format!(
            r#"{{"schema": 1, "by": "crate", "accepted": true, "base": "main",
                 "binaries": [{binaries}], "archives": [], "images": [], "budgets": []{more}}}"#
        );
        is_unchanged("r.json", text.as_bytes())
    };
    let same = r#"{"name": "a", "size": 5, "base-size": 5, "rows": []}"#;
    assert!(report(same, "").unwrap());
    assert!(!report(r#"{"size": 5, "base-size": 6}"#, "").unwrap());
    assert!(!report(r#"{"size": 5}"#, "").unwrap());
    assert!(!report(r#"{"base-size": 5}"#, "").unwrap());
    let crates = r#"{"size": 5, "base-size": 5, "changed-crates": [{"name": "x"}]}"#;
    assert!(!report(crates, "").unwrap());
    let alone = r#"{"schema": 1, "accepted": true, "binaries": []}"#;
    assert!(!is_unchanged("r.json", alone.as_bytes()).unwrap());
    let broken = r#"{"schema": 1, "accepted": false, "base": "x", "binaries": []}"#;
    assert!(!is_unchanged("r.json", broken.as_bytes()).unwrap());
    for wrong in ["", "[]", r#"{"schema": 2, "accepted": true, "binaries": []}"#] {
        let error = is_unchanged("r.json", wrong.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("`r.json`"), "{error}");
    }
}
