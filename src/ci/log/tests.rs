use std::time::Duration;

use super::{DueLine, Heartbeat, Limit, Settings};
use crate::model::{error::Status, event::Event, provider::Provider};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn building(detail: &str) -> Event {
    Event::Progress { verb: "Building", done: 3, total: 9, detail: detail.to_owned() }
}

fn alive(text: &str) -> Vec<DueLine> {
    vec![DueLine::Alive(text.to_owned())]
}

#[test]
fn groups_of_each_provider() {
    let text =
        |provider: Provider| (provider.begin("smoke-test", 7), provider.end("smoke-test", 7, 9));
    assert_eq!(text(Provider::Github), ("::group::smoke-test\n".into(), "::endgroup::\n".into()));
    let (begin, end) = text(Provider::Gitlab);
    assert_eq!(
        begin,
        "\u{1b}[0Ksection_start:7:longshore_smoke_test_7[collapsed=true]\r\u{1b}[0Ksmoke-test\n"
    );
    assert_eq!(end, "\u{1b}[0Ksection_end:9:longshore_smoke_test_7\r\u{1b}[0K\n");
    assert_eq!(text(Provider::Circleci), (String::new(), String::new()));
}

#[test]
fn annotations_are_one_line() {
    assert_eq!(
        Provider::Github.annotation("error", "50% of `a:b`,\r\n::c"),
        "::error::50%25 of `a:b`,%0D%0A::c\n"
    );
    assert_eq!(crate::model::provider::escape_property("a:b,c%"), "a%3Ab%2Cc%25");
    assert_eq!(Provider::Gitlab.annotation("error", "x"), "");
}

#[test]
fn the_provider_of_the_job_is_detected() {
    let detect = |set: &'static str, value: &'static str| {
        Provider::detect(move |name| (name == set).then_some(value))
    };
    assert_eq!(detect("GITHUB_ACTIONS", "true"), Some(Provider::Github));
    assert_eq!(detect("GITLAB_CI", "true"), Some(Provider::Gitlab));
    assert_eq!(detect("CIRCLECI", "true"), Some(Provider::Circleci));
    assert_eq!(detect("GITHUB_ACTIONS", "false"), None);
    assert_eq!(detect("CI", "true"), None);
}

#[test]
fn a_heartbeat_is_due_after_silence() {
    let mut pulse = Heartbeat::new(Some(seconds(60)), None);
    pulse.note(&Event::Stage { name: "build" }, seconds(1));
    pulse.printed(seconds(10));
    assert_eq!(pulse.next_due(seconds(40)), Some(seconds(30)));
    assert_eq!(pulse.due(seconds(69)), []);
    pulse.note(&building("ring, syn(build)"), seconds(20));
    pulse.note(&building("ring, aws-lc-sys(build.rs)"), seconds(50));
    assert_eq!(
        pulse.due(seconds(70)),
        alive(
            "build, for 1 min 9 s; compiling ring (50 s), aws-lc-sys(build.rs) (20 s); 3 of 9 \
             units are done"
        )
    );
    // Again a minute later, and not before.
    assert_eq!(pulse.due(seconds(129)), []);
    assert_eq!(pulse.next_due(seconds(129)), Some(seconds(1)));
    pulse.note(&Event::Stage { name: "pack" }, seconds(129));
    assert_eq!(pulse.due(seconds(130)), alive("pack, for 1 s"));
    pulse.note(&Event::Status { verb: "Packed", message: "hello.deb".to_owned() }, seconds(140));
    assert_eq!(
        pulse.due(seconds(190)),
        alive("pack, for 1 min 1 s; the last step: packed hello.deb")
    );
    assert_eq!(
        Heartbeat::new(Some(seconds(1)), None).due(seconds(3700)),
        alive("for 1 h 1 min 40 s")
    );
}

#[test]
fn nothing_is_due_by_default() {
    let mut pulse = Heartbeat::new(None, None);
    assert_eq!(pulse.due(seconds(1 << 40)), []);
    assert_eq!(pulse.next_due(seconds(0)), None);
}

#[test]
fn same_named_units_are_distinguished() {
    let mut pulse = Heartbeat::new(Some(seconds(1)), None);
    pulse.note(&building("ring"), seconds(0));
    pulse.note(&building("ring, ring"), seconds(10));
    assert_eq!(
        pulse.due(seconds(12)),
        alive("for 12 s; compiling ring (12 s), ring (2 s); 3 of 9 units are done")
    );
    pulse.note(&building("ring"), seconds(14));
    assert_eq!(
        pulse.due(seconds(15)),
        alive("for 15 s; compiling ring (5 s); 3 of 9 units are done")
    );
}

#[test]
fn truncated_lists_end_no_unit() {
    let mut pulse = Heartbeat::new(Some(seconds(1)), None);
    pulse.note(&building("ring, zstd-sys"), seconds(0));
    pulse.note(&building("syn, rin..."), seconds(5));
    assert_eq!(
        pulse.due(seconds(6)),
        alive("for 6 s; compiling ring (6 s), zstd-sys (6 s), syn (1 s); 3 of 9 units are done")
    );
}

#[test]
fn the_time_limit_is_reported_once() {
    let limit = Limit { whole: seconds(1000), before: seconds(300) };
    let mut pulse = Heartbeat::new(None, Some(limit));
    pulse.note(&Event::Stage { name: "build" }, seconds(0));
    pulse.note(&building("ring, syn"), seconds(100));
    pulse.note(&building("ring, a, b, c, d, e"), seconds(190));
    pulse.note(&building("ring, b, c, d, e"), seconds(191));
    assert_eq!(pulse.due(seconds(499)), []);
    assert_eq!(pulse.next_due(seconds(499)), Some(seconds(1)));
    assert_eq!(
        pulse.due(seconds(500)),
        [DueLine::Late(
            "3 min 20 s left of the job's time limit of 16 min 40 s; running: build, for 8 min 20 \
             s; compiling ring (6 min 40 s), b (5 min 10 s), c (5 min 10 s), d (5 min 10 s), e (5 \
             min 10 s); the slowest that are done: syn (1 min 30 s), a (1 s)"
                .to_owned()
        )]
    );
    assert_eq!(pulse.due(seconds(5000)), []);
    // A limit that had passed before is reported immediately.
    let limit = Limit { whole: seconds(60), before: seconds(90) };
    let due = Heartbeat::new(None, Some(limit)).due(seconds(0));
    assert_eq!(due, [DueLine::Late("the job's time limit of 1 min has passed".to_owned())]);
}

#[test]
fn invalid_settings_are_rejected_by_name() {
    let read = |name: &'static str, value: &'static str| {
        Settings::read(move |requested| (requested == name).then_some(value), 10_000)
    };
    let none = Settings { heartbeat: Some(seconds(60)), limit: None };
    assert_eq!(read("", "").unwrap(), none);
    assert_eq!(read("LONGSHORE_HEARTBEAT", "0").unwrap().heartbeat, None);
    assert_eq!(read("LONGSHORE_HEARTBEAT", "5").unwrap().heartbeat, Some(seconds(5)));
    let limit = Limit { whole: seconds(90), before: seconds(0) };
    assert_eq!(read("LONGSHORE_TIME_LIMIT", "1.5").unwrap().limit, Some(limit));
    let both = |name: &str| match name {
        "LONGSHORE_TIME_LIMIT" => Some("60"),
        "LONGSHORE_JOB_STARTED" => Some("9000"),
        _ => None,
    };
    let limit = Limit { whole: seconds(3600), before: seconds(1000) };
    assert_eq!(Settings::read(both, 10_000).unwrap().limit, Some(limit));
    for (name, values) in [
        ("LONGSHORE_HEARTBEAT", &["-1", "1.5", "soon", "5s"][..]),
        ("LONGSHORE_TIME_LIMIT", &["0", "-5", "NaN", "inf", "1e300", "60m"]),
        ("LONGSHORE_JOB_STARTED", &["-1", "today", "99999999", "1e3"]),
    ] {
        for value in values {
            let error = read(name, value).unwrap_err();
            assert_eq!(error.status(), Status::Usage, "{name} {value}");
            assert!(error.to_string().contains(&format!("`{name}` is `{value}`")), "{error}");
        }
    }
}
