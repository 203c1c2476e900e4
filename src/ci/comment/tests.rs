use super::*;
use crate::model::error::Status;

const MARKER: &str = "<!-- longshore:size -->";

fn of<'a>(vars: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<&'a str> {
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

/// A conversation in which the token's user is known.
fn identified<'a>(place: &'a Place, body: &'a str, create: bool) -> Talk<'a> {
    let mut talk = Talk::new(place, MARKER, body, create);
    assert_eq!(talk.asked().url, place.user);
    let step = talk.answer(&answer(200, r#"{"id": 7, "login": "me"}"#, None));
    assert!(matches!(step, Step::Ask(_)), "{step:?}");
    talk
}

fn answer(status: u16, body: &str, link: Option<&str>) -> Answer {
    Answer { status, link: link.map(str::to_owned), body: body.as_bytes().to_vec() }
}

#[test]
fn places_of_each_provider() {
    let github = place(of(&GITHUB), None).unwrap().unwrap();
    assert_eq!(github.comments, "https://api.github.com/repos/me/hello/issues/7/comments");
    assert_eq!(github.one, "https://api.github.com/repos/me/hello/issues/comments");
    assert_eq!(github.name, "pull request #7 of me/hello");
    // The event has it if the ref does not.
    let branch = changed(&GITHUB, "GITHUB_REF", Some("refs/heads/main"));
    let event = r#"{"action": "opened", "pull_request": {"number": 9, "id": 1}}"#;
    assert!(place(of(&branch), Some(event)).unwrap().unwrap().comments.ends_with("/9/comments"));
    let push = place(of(&branch), Some(r#"{"ref": "refs/heads/main"}"#)).unwrap();
    assert_eq!(push.unwrap_err(), Absent::PullRequest);

    let gitlab = place(of(&GITLAB), None).unwrap().unwrap();
    let notes = "https://git.example.org/api/v4/projects/42/merge_requests/7/notes";
    assert_eq!((gitlab.comments.as_str(), gitlab.one.as_str()), (notes, notes));
    let branch = changed(&GITLAB, "CI_MERGE_REQUEST_IID", None);
    assert_eq!(place(of(&branch), None).unwrap().unwrap_err(), Absent::PullRequest);

    let circle = [
        ("CIRCLECI", "true"),
        ("GITHUB_TOKEN", "hunter2"),
        ("CIRCLE_PULL_REQUEST", "https://github.com/me/hello/pull/7"),
    ];
    assert_eq!(place(of(&circle), None).unwrap().unwrap().comments, github.comments);
    assert_eq!(place(of(&circle[..2]), None).unwrap().unwrap_err(), Absent::PullRequest);
}

#[test]
fn what_is_missing_or_wrong_is_named_and_never_the_token() {
    let absent = place(of(&GITHUB[..3]), None).unwrap().unwrap_err();
    assert_eq!(absent, Absent::Token("GITHUB_TOKEN"));
    let circle = |url| [("CIRCLECI", "true"), ("CIRCLE_PULL_REQUEST", url)];
    let cases: [(Vec<(&str, &str)>, &str); 8] = [
        (vec![], "this is no job of"),
        (changed(&GITHUB, "GITHUB_REPOSITORY", None), "`GITHUB_REPOSITORY` is not set"),
        (changed(&GITHUB, "GITHUB_REPOSITORY", Some("../x/y")), "is no repository"),
        (changed(&GITHUB, "GITHUB_TOKEN", Some("hunter2\n")), "`GITHUB_TOKEN` holds no token"),
        (changed(&GITHUB, "GITHUB_REF", Some("refs/pull/x/merge")), "`GITHUB_REF` has no number"),
        (changed(&GITLAB, "CI_API_V4_URL", Some("https://me:hunter2@x")), "no address of an API"),
        (changed(&GITLAB, "CI_MERGE_REQUEST_IID", Some("-1")), "`CI_MERGE_REQUEST_IID` has no"),
        (circle("https://bitbucket.org/me/hello/pull/7").to_vec(), "`CIRCLE_PULL_REQUEST` is"),
    ];
    for (vars, said) in cases {
        let error = place(of(&vars), None).unwrap_err();
        assert_eq!(error.status(), Status::Usage, "{error}");
        let text = format!("{error:?}");
        assert!(text.contains(said) && !text.contains("hunter2"), "{text}");
    }
    assert!(!format!("{:?}", place(of(&GITHUB), None)).contains("hunter2"));
    assert!(place(of(&GITHUB), Some("{")).is_err());
}

#[test]
fn the_comment_is_found_on_a_later_page_and_changed() {
    let place = place(of(&GITHUB), None).unwrap().unwrap();
    let text = body(MARKER, "new");
    let mut talk = identified(&place, &text, true);
    assert_eq!(talk.asked().url, format!("{}?per_page=100", place.comments));
    let others = r#"[{"id": 1, "body": null}, {"id": 2, "body": "see <!-- longshore:size -->"}]"#;
    let link = format!("<{}?per_page=100&page=2>; rel=\"next\"", place.comments);
    let Step::Ask(second) = talk.answer(&answer(200, others, Some(&link))) else { panic!() };
    assert_eq!(second.url, format!("{}?per_page=100&page=2", place.comments));
    let ours = r#"[{"id": 2, "body": "<!-- longshore:size -->", "user": {"id": 8}},
        {"id": 3, "body": "<!-- longshore:size -->\r\nold", "user": {"id": 7}}]"#;
    let Step::Ask(change) = talk.answer(&answer(200, ours, None)) else { panic!() };
    assert_eq!((change.method, change.url), (Method::Patch, format!("{}/3", place.one)));
    assert_eq!(change.body.as_deref(), Some(r#"{"body":"<!-- longshore:size -->\nnew\n"}"#));
    assert_eq!(talk.answer(&answer(200, "{}", None)), Step::Done(Done::Updated));
    // Unchanged text is not sent again, even if the server changed its line ends.
    let mut talk = identified(&place, &text, true);
    let same = r#"[{"id": 3, "body": "<!-- longshore:size -->\r\nnew", "user": {"id": 7}}]"#;
    assert_eq!(talk.answer(&answer(200, same, None)), Step::Done(Done::Same));
}

#[test]
fn a_new_comment_is_made_where_it_is_worth_it() {
    let place = place(of(&GITLAB), None).unwrap().unwrap();
    let system =
        r#"[{"id": 1, "system": true, "body": "<!-- longshore:size -->", "author": {"id": 7}}]"#;
    let mut talk = identified(&place, MARKER, true);
    let Step::Ask(create) = talk.answer(&answer(200, system, None)) else { panic!() };
    assert_eq!((create.method, &create.url), (Method::Post, &place.comments));
    assert_eq!(talk.answer(&answer(201, "{}", None)), Step::Done(Done::Created));
    let mut talk = identified(&place, MARKER, false);
    assert_eq!(talk.answer(&answer(200, "[]", None)), Step::Done(Done::Unchanged));
}

#[test]
fn answers_that_end_it() {
    let place = place(of(&GITHUB), None).unwrap().unwrap();
    let first = |given: Answer| identified(&place, MARKER, true).answer(&given);
    assert_eq!(first(answer(403, "", None)), Step::Done(Done::Refused(403)));
    assert_eq!(first(answer(404, "", None)), Step::Done(Done::Refused(404)));
    assert_eq!(first(answer(401, "", None)), Step::Unexpected);
    for (given, link) in [("{}", None), ("[]", Some("<https://x.example/a>; rel=next"))] {
        assert!(matches!(first(answer(200, given, link)), Step::Failed(_)), "{given}");
    }
}

#[test]
fn a_long_report_is_cut_at_a_line_and_says_so() {
    let line = "| 🦀 some/crate | 1,000 |\n";
    let open = "<details>\n<summary>all</summary>\n\n```text\n";
    let report = open.to_owned() + &line.repeat(10_000);
    let text = body(MARKER, &report);
    assert!(text.encode_utf16().count() <= MOST && text.len() > 60_000);
    assert!(text.starts_with(&format!("{MARKER}\n{open}{line}")));
    assert!(text.contains(&format!("{line}```\n</details>\n\nThe report is too long")), "{text}");
    // A report that just fits is complete, and one long line is kept or dropped completely.
    let fits = "x".repeat(MOST - MARKER.len() - 2);
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
fn reports_of_which_nothing_changed() {
    let report = |binaries: &str, more: &str| {
        let text = format!(
            r#"{{"schema": 1, "by": "crate", "accepted": true, "base": "main",
                 "binaries": [{binaries}], "archives": [], "images": [], "budgets": []{more}}}"#
        );
        unchanged("r.json", text.as_bytes())
    };
    let same = r#"{"name": "a", "size": 5, "base-size": 5, "rows": []}"#;
    assert!(report(same, "").unwrap());
    assert!(!report(r#"{"size": 5, "base-size": 6}"#, "").unwrap());
    assert!(!report(r#"{"size": 5}"#, "").unwrap());
    assert!(!report(r#"{"base-size": 5}"#, "").unwrap());
    let crates = r#"{"size": 5, "base-size": 5, "changed-crates": [{"name": "x"}]}"#;
    assert!(!report(crates, "").unwrap());
    let alone = r#"{"schema": 1, "accepted": true, "binaries": []}"#;
    assert!(!unchanged("r.json", alone.as_bytes()).unwrap());
    let broken = r#"{"schema": 1, "accepted": false, "base": "x", "binaries": []}"#;
    assert!(!unchanged("r.json", broken.as_bytes()).unwrap());
    for wrong in ["", "[]", r#"{"schema": 2, "accepted": true, "binaries": []}"#] {
        let error = unchanged("r.json", wrong.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("`r.json`"), "{error}");
    }
}
