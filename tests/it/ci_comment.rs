//! The comment on a pull request, with servers that do as GitHub's and GitLab's documentation says.

use std::fs;

use crate::support::{
    command::{Test, longshore},
    forge::{Author, Fault, Forge, TOKEN},
    program,
    workspace::Workspace,
};

const MARKER: &str = "<!-- longshore:size -->";

/// A comment of somebody's who quotes ours.
const OTHER: &str = "Look at this: <!-- longshore:size -->";

/// Returns a directory with a report for people and one for machines.
fn reports(text: &str, base_size: u64) -> Workspace {
    let binary = format!(r#"{{"name": "hello", "size": 5, "base-size": {base_size}}}"#);
    let json =
        format!(r#"{{"schema": 1, "accepted": true, "base": "main", "binaries": [{binary}]}}"#);
    Workspace::empty().file("size.md", text).file("size.json", &json)
}

fn run(workspace: &Workspace, args: &str) -> Test {
    longshore(workspace, &format!("ci comment --file size.md {args}")).absent("hunter2")
}

fn github(workspace: &Workspace, forge: &Forge, args: &str) -> Test {
    run(workspace, args)
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_API_URL", &forge.url)
        .env("GITHUB_REPOSITORY", "me/hello")
        .env("GITHUB_REF", "refs/pull/7/merge")
        .env("GITHUB_TOKEN", TOKEN)
}

fn gitlab(workspace: &Workspace, forge: &Forge, args: &str) -> Test {
    run(workspace, args)
        .env("GITLAB_CI", "true")
        .env("CI_API_V4_URL", format!("{}/api/v4", forge.url))
        .env("CI_PROJECT_ID", "42")
        .env("CI_MERGE_REQUEST_IID", "7")
        .env("GITLAB_TOKEN", TOKEN)
}

fn circle(workspace: &Workspace, forge: &Forge, args: &str) -> Test {
    run(workspace, args)
        .env("CIRCLECI", "true")
        .env("GITHUB_API_URL", &forge.url)
        .env("CIRCLE_PULL_REQUEST", "https://github.com/me/hello/pull/7")
        .env("CIRCLE_PROJECT_USERNAME", "me")
        .env("CIRCLE_PROJECT_REPONAME", "hello")
        .env("GITHUB_TOKEN", TOKEN)
}

fn comment(text: &str) -> String {
    format!("{MARKER}\n{text}\n")
}

#[test]
fn one_comment_is_made_and_then_updated() {
    for job in [github, gitlab, circle] {
        let forge = Forge::start();
        forge.say(OTHER);
        let workspace = reports("| hello | 5 |\n", 6);
        job(&workspace, &forge, "").stderr("Commented on ").run();
        assert_eq!(forge.comments(), [OTHER.to_owned(), comment("| hello | 5 |")]);
        // The same again changes nothing.
        forge.asked();
        job(&workspace, &forge, "").stderr("Kept the comment on ").run();
        assert_eq!(forge.asked().len(), 2);
        workspace.write("size.md", "| hello | 4 |\n");
        job(&workspace, &forge, "").stderr("Updated the comment on ").run();
        assert_eq!(forge.comments(), [OTHER.to_owned(), comment("| hello | 4 |")]);
        // One of another name is another comment.
        job(&workspace, &forge, "--marker other").run();
        assert_eq!(forge.comments().len(), 3);
    }
}

/// Anybody can write a comment with the marker.
#[test]
fn only_a_comment_of_the_tokens_user_is_changed() {
    let workspace = reports("new", 6);
    let stranger = comment("of a stranger");
    let mine = comment("old");
    for (job, owner, others) in [
        (github as Job, Author::User, vec![Author::Stranger, Author::App("github-actions")]),
        (
            github,
            Author::App("github-actions"),
            vec![Author::Stranger, Author::App("evil"), Author::User],
        ),
        (github, Author::App("my-app"), vec![Author::Stranger, Author::App("github-actions")]),
        (github, Author::Hidden("github-actions"), vec![Author::Stranger, Author::App("evil")]),
        (circle, Author::User, vec![Author::Stranger]),
        (circle, Author::App("my-app"), vec![Author::Stranger]),
        (gitlab, Author::User, vec![Author::Stranger]),
    ] {
        let forge = Forge::start();
        forge.owner(owner);
        others.iter().for_each(|other| forge.say_as(*other, &stranger));
        let mut expected = vec![stranger.clone(); others.len()];
        job(&workspace, &forge, "").stderr("Commented on ").run();
        expected.push(comment("new"));
        assert_eq!(forge.comments(), expected, "{owner:?}");
        let forge = Forge::start();
        forge.owner(owner);
        others.iter().for_each(|other| forge.say_as(*other, &stranger));
        forge.say_as(owner, &mine);
        forge.say(&stranger);
        job(&workspace, &forge, "").stderr("Updated the comment on ").run();
        expected.push(stranger.clone());
        assert_eq!(forge.comments(), expected, "{owner:?}");
    }
    // Whose the token is cannot be found out: nothing is written.
    for job in [gitlab as Job, circle] {
        let forge = Forge::start();
        forge.owner(Author::Hidden("my-app"));
        forge.say(&stranger);
        job(&workspace, &forge, "").stderr("Skipping the comment").run();
        assert_eq!(forge.comments(), std::slice::from_ref(&stranger));
    }
}

type Job = fn(&Workspace, &Forge, &str) -> Test;

#[test]
fn comments_on_the_second_page_are_found() {
    for job in [github, gitlab] {
        let forge = Forge::start();
        (0..120).for_each(|_| forge.say(OTHER));
        forge.say_as(Author::User, &comment("old"));
        (0..120).for_each(|_| forge.say(OTHER));
        job(&reports("new", 5), &forge, "").stderr("Updated the comment").run();
        assert_eq!(forge.comments()[120], comment("new"));
        assert_eq!(forge.comments().len(), 241);
        let asked = forge.asked();
        let lists = asked.iter().filter(|asked| asked.starts_with("GET ")).count();
        // The token's user, and two pages.
        assert_eq!((lists, asked.len()), (3, 4), "{asked:?}");
    }
}

#[test]
fn no_new_comment_without_changes() {
    let forge = Forge::start();
    let (same, grown) = (reports("same", 5), reports("grown", 4));
    // What `size` says itself.
    fs::write(same.path("hello"), program::amd64()).unwrap();
    let made = longshore(&same, "size hello --base hello --message-format json").run();
    same.write("size.json", &made.stdout);
    let args = "--unless-unchanged size.json";
    github(&same, &forge, args).stderr("nothing changed").run();
    assert_eq!(forge.comments(), Vec::<String>::new());
    github(&grown, &forge, args).stderr("Commented on pull request #7 of me/hello").run();
    // That it is no more as it was is told.
    github(&same, &forge, args).stderr("Updated").run();
    assert_eq!(forge.comments(), [comment("same")]);
    // A report that is none is refused before anything is asked.
    forge.asked();
    grown.write("size.json", "{}");
    github(&grown, &forge, args).status(2).stderr("`size.json` is not a report of sizes").run();
    github(&grown, &forge, "--unless-unchanged none.json").status(4).stderr("`none.json`").run();
    assert_eq!(forge.asked(), Vec::<String>::new());
}

#[test]
fn missing_permissions_are_reported_and_not_an_error() {
    let workspace = reports("report", 5);
    for status in [403, 404] {
        for method in ["GET", "POST"] {
            let forge = Forge::start();
            let body = r#"{"message": "Resource not accessible by integration"}"#.to_owned();
            forge.fault(Fault { method, times: 9, status, headers: "", body, done: false });
            let said =
                format!("the token may not write there, as in jobs of forks (status {status})");
            github(&workspace, &forge, "").stderr(&said).run();
            gitlab(&workspace, &forge, "").stderr(&said).run();
            assert_eq!(forge.comments(), Vec::<String>::new());
        }
    }
    let forge = Forge::start();
    let job = || github(&workspace, &forge, "");
    job().env_remove("GITHUB_TOKEN").stderr("the comment: `GITHUB_TOKEN` is not set").run();
    job().env("GITHUB_REF", "refs/heads/main").stderr("this job is of no pull request").run();
    assert_eq!(forge.asked(), Vec::<String>::new());
}

#[test]
fn failures_of_the_server_are_retried_without_duplicates() {
    let workspace = reports("report", 5);
    let forge = Forge::start();
    let fault = Fault {
        method: "POST",
        times: 1,
        status: 502,
        headers: "",
        body: "oh".to_owned(),
        done: true,
    };
    forge.fault(fault.clone());
    // It was written although nothing said so.
    let said = "cannot write a comment: 502 bad gateway: oh";
    github(&workspace, &forge, "").stderr(said).stderr("Kept the comment").run();
    assert_eq!(forge.comments(), [comment("report")]);
    forge.fault(Fault { method: "GET", status: 500, times: 2, ..fault.clone() });
    gitlab(&workspace, &forge, "").stderr("Retrying").stderr("Kept the comment").run();
    // Too much was asked: that is no refusal.
    let headers = "Retry-After: 0\r\n";
    forge.fault(Fault { method: "GET", status: 403, headers, ..fault.clone() });
    github(&workspace, &forge, "").stderr("Retrying").stderr("Kept the comment").run();
    // Longer than anybody waits.
    let headers = "Retry-After: 3600\r\n";
    forge.fault(Fault { method: "GET", status: 429, headers, ..fault });
    github(&workspace, &forge, "").status(5).stderr("429 too many requests").run();
}

#[test]
fn other_failures_exit_with_5_without_the_token() {
    let workspace = reports("report", 5);
    let forge = Forge::start();
    let job = || github(&workspace, &forge, "");
    job().env("GITHUB_TOKEN", "hunter2-wrong").status(5).stderr("401 unauthorized").run();
    let echo = format!(r#"{{"message": "no: Bearer {TOKEN}"}}"#);
    let fault =
        Fault { method: "GET", times: 1, status: 422, headers: "", body: echo, done: false };
    forge.fault(fault.clone());
    job().status(5).stderr("no: Bearer ***").run();
    let body = "<html>".to_owned();
    forge.fault(Fault { status: 200, body, ..fault.clone() });
    job().status(5).stderr("is not a list of comments").run();
    // The token goes to no other server.
    let headers = "Location: http://127.0.0.1:1/x\r\n";
    forge.fault(Fault { status: 302, headers, ..fault.clone() });
    job().status(5).stderr("it leads to another server").run();
    let headers = "Link: <http://127.0.0.1:1/x>; rel=\"next\"\r\n";
    forge.fault(Fault { status: 200, headers, body: "[]".to_owned(), ..fault });
    job().status(5).stderr("continues at another server").run();
    job()
        .env("GITHUB_API_URL", "http://127.0.0.1:1")
        .status(5)
        .stderr("connection is refused")
        .run();
    job()
        .env("GITHUB_API_URL", "http://git.example.org")
        .status(2)
        .stderr("would get the token over plain HTTP")
        .hint("`--insecure git.example.org` allows that")
        .run();
    assert_eq!(forge.comments(), Vec::<String>::new());
}

#[test]
fn long_reports_are_truncated() {
    let workspace = Workspace::empty();
    fs::write(workspace.path("size.md"), "| crate | bytes |\n".repeat(10_000)).unwrap();
    let forge = Forge::start();
    github(&workspace, &forge, "").run();
    let [made] = &forge.comments()[..] else { panic!() };
    assert!(made.chars().count() < 65_536 && made.contains("| crate | bytes |\n\nThe report is"));
    // It is the same comment the next time.
    github(&workspace, &forge, "").stderr("Kept").run();
    workspace.remove("size.md");
    github(&workspace, &forge, "").status(4).stderr("`size.md`").run();
    fs::write(workspace.path("size.md"), b"\xff").unwrap();
    github(&workspace, &forge, "").status(2).stderr("`size.md` is not UTF-8").run();
    run(&workspace, "").status(2).stderr("is not UTF-8").run();
    workspace.write("size.md", "x");
    run(&workspace, "").status(2).stderr("this is not a job of GitHub Actions").run();
}
