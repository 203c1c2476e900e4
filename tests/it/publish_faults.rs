//! Every fault at every request of a release, at each kind of forge: afterwards it is complete or not public.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use camino::Utf8PathBuf;
use longshore::{
    model::{
        error::{Result, Status},
        event::{Event, Events},
        schema::{
            Publication,
            publication::{ForgeKind, PublicationOutcome},
        },
        secret::Secret,
    },
    ops::release::{ReleaseRequest, release_to},
    release::publish::Destination,
    sys::{Context, forge::Settings, registry::ResponseLimits},
};

use crate::support::{
    command::longshore,
    finished::Finished,
    proxy::{Act, Asked, Proxy, status},
    random::random,
    release_forge::{ReleaseForge, TOKEN},
    workspace::Workspace,
};

#[derive(Debug)]
struct Silent;

impl Events for Silent {
    fn emit(&self, _: Event) {}
}

/// Returns a destination at `address`.
pub(crate) fn destination(kind: ForgeKind, address: &str) -> Destination {
    let repository = if kind == ForgeKind::Gitlab { "me/group/hello" } else { "me/hello" };
    Destination {
        forge: kind,
        api: ReleaseForge::api(kind, address),
        repository: repository.to_owned(),
        token: Some((Secret::new(TOKEN), "LONGSHORE_RELEASE_TOKEN")),
        job_tag: None,
    }
}

/// Returns a request to publish `dist`, with that limit on silence.
fn request(dist: &Finished, limit: Duration) -> ReleaseRequest {
    let notes = dist.above().join("notes.md");
    fs::write(&notes, "- new\n\n- fixed\n").unwrap();
    let limits = ResponseLimits { read: limit, written: limit, window: limit };
    ReleaseRequest {
        dist: Utf8PathBuf::from_path_buf(dist.root()).unwrap(),
        tag: Some("v1.2.3".to_owned()),
        notes: Some(Utf8PathBuf::from_path_buf(notes).unwrap()),
        server: Settings { limits, ..Settings::default() },
        ..ReleaseRequest::default()
    }
}

/// Publishes `dist` at `address`, in this process.
pub(crate) fn release(kind: ForgeKind, address: &str, dist: &Finished) -> Result<Publication> {
    release_within(Duration::from_secs(60), kind, address, dist)
}

fn release_within(
    limit: Duration,
    kind: ForgeKind,
    address: &str,
    dist: &Finished,
) -> Result<Publication> {
    let cx = Context::new(Arc::new(Silent)).unwrap();
    release_to(&cx, &request(dist, limit), &destination(kind, address))
}

/// The limit on silence where a server is silent.
const SHORT: Duration = Duration::from_millis(1500);

/// A fault of one request, and whether a retry succeeds.
type Fault = (&'static str, bool, fn(&Asked) -> Act);

const FAULTS: [Fault; 19] = [
    ("cut before it is read", true, |_| Act::Cut(0)),
    ("cut in the middle", true, |asked| Act::Cut(asked.length / 2)),
    ("cut before its last byte", true, |asked| Act::Cut(asked.length.saturating_sub(1))),
    ("cut before the answer", true, |_| Act::Swallow),
    ("cut after the answer's head", true, |_| Act::CutAnswer(0)),
    ("cut in the answer", true, |_| Act::CutAnswer(3)),
    ("silent, and not carried out", true, |_| {
        thread::sleep(2 * SHORT);
        Act::Cut(0)
    }),
    ("408", true, |_| status(408)),
    ("429 with a time to wait", true, |_| {
        Act::Answer(429, vec![("retry-after", "0".into())], Vec::new())
    }),
    // https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
    ("403 of a secondary rate limit", true, |_| {
        Act::Answer(403, vec![("retry-after", "0".into())], Vec::new())
    }),
    ("403 of the primary rate limit, for an hour", false, |_| {
        let reset = ("x-ratelimit-reset", "4102444800".into());
        Act::Answer(403, vec![("x-ratelimit-remaining", "0".into()), reset], Vec::new())
    }),
    ("500", true, |_| status(500)),
    ("502", true, |_| status(502)),
    ("504", true, |_| status(504)),
    ("401: the token has expired", false, |_| status(401)),
    ("403", false, |_| status(403)),
    ("404", false, |_| status(404)),
    ("422", false, |_| status(422)),
    ("a redirect to another server", false, |_| {
        Act::Answer(307, vec![("location", "http://127.0.0.1:1/".into())], Vec::new())
    }),
];

#[test]
fn after_every_fault_a_release_is_complete_or_not_public() {
    let dist = Finished::new("1.2.3");
    let files = dist.files();
    let mut cases = Vec::new();
    for kind in ForgeKind::ALL {
        let forge = ReleaseForge::start(kind);
        forge.with(|state| state.digests = false);
        let proxy = Proxy::start(&forge.address, |_| Act::Pass);
        release(kind, &proxy.address, &dist).unwrap();
        let requests = proxy.asked().len();
        assert!(requests >= 10, "{kind}: {requests}");
        for fault in 0..FAULTS.len() {
            cases.extend((0..requests).map(|at| (kind, fault, at)));
        }
    }
    let next = AtomicUsize::new(0);
    let ended: Mutex<BTreeMap<&str, (usize, usize)>> = Mutex::default();
    let work = || {
        while let Some(&(kind, fault, at)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (what, transient, act) = FAULTS[fault];
            let forge = ReleaseForge::start(kind);
            // Then files are downloaded and compared, too.
            forge.with(|state| state.digests = at % 2 == 0);
            let count = AtomicUsize::new(0);
            let proxy = Proxy::start(&forge.address, move |asked| {
                if count.fetch_add(1, Ordering::SeqCst) == at { act(asked) } else { Act::Pass }
            });
            let silent = what.starts_with("silent");
            let limit = if silent { SHORT } else { Duration::from_secs(60) };
            let done = release_within(limit, kind, &proxy.address, &dist);
            let case = format!("{kind}: {what}, at request {at}: {done:?}");
            let public = forge.public("v1.2.3");
            assert!(public.is_none_or(|public| public == files), "{case}");
            match &done {
                Ok(done) => {
                    assert_eq!(done.outcome, PublicationOutcome::Published, "{case}");
                    assert_eq!(forge.public("v1.2.3").as_ref(), Some(&files), "{case}");
                }
                Err(error) => {
                    assert!(!transient, "{case}");
                    // A tag that the forge does not have is an error of the release.
                    let no_tag = what == "404" && error.to_string().contains("has no tag");
                    assert!(no_tag || error.status() == Status::Registry, "{case}");
                    assert!(!format!("{error:?}").contains(TOKEN), "{case}");
                    // Run again, it resumes.
                    release(kind, &forge.address, &dist).unwrap();
                    assert_eq!(forge.public("v1.2.3").as_ref(), Some(&files), "{case}");
                }
            }
            forge.with(|state| {
                assert_eq!(state.wrong, Vec::<String>::new(), "{case}");
                assert_eq!(state.releases.len(), 1, "{case}");
                assert!(!state.releases[0].notes.contains("longshore"), "{case}");
            });
            let mut ended = ended.lock().unwrap();
            let counts = ended.entry(what).or_default();
            *(if done.is_ok() { &mut counts.0 } else { &mut counts.1 }) += 1;
        }
    };
    thread::scope(|scope| {
        // They wait more than they work.
        let threads: Vec<_> = (0..24).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
    let ended = ended.into_inner().unwrap();
    let sum = |item: fn(&(usize, usize)) -> usize| ended.values().map(item).sum::<usize>();
    eprintln!(
        "{} faults: {} releases went through, {} failed with status 5 and went through when run again; \
         of each, {ended:?}",
        cases.len(),
        sum(|item| item.0),
        sum(|item| item.1)
    );
}

#[test]
fn a_token_that_expires_at_any_request_leaves_nothing_half_public() {
    let dist = Finished::new("1.2.3");
    let files = dist.files();
    for kind in ForgeKind::ALL {
        for left in 0.. {
            let forge = ReleaseForge::start(kind);
            forge.with(|state| state.expires = Some(left));
            let done = release(kind, &forge.address, &dist);
            assert!(forge.public("v1.2.3").is_none_or(|public| public == files), "{kind} {left}");
            let Err(error) = done else { break };
            let hint = error.hint_text().unwrap_or_default();
            assert!(hint.contains("has expired"), "{kind} {left}: {error:?}");
            assert_eq!(error.status(), Status::Registry);
            forge.with(|state| {
                (state.expires, state.access) = (None, Default::default());
            });
            release(kind, &forge.address, &dist).unwrap();
            assert_eq!(forge.public("v1.2.3").as_ref(), Some(&files), "{kind} {left}");
            forge.with(|state| assert_eq!(state.wrong, Vec::<String>::new(), "{kind} {left}"));
        }
    }
}

#[test]
fn uploads_that_always_fail_end_and_leave_a_draft() {
    let dist = Finished::new("1.2.3");
    for kind in ForgeKind::ALL {
        let forge = ReleaseForge::start(kind);
        let proxy = Proxy::start(&forge.address, |asked| {
            let upload = asked.length > 0 && asked.path.contains("SHA256SUMS");
            if upload {
                Act::Answer(502, vec![("retry-after", "0".into())], Vec::new())
            } else {
                Act::Pass
            }
        });
        let error = release(kind, &proxy.address, &dist).unwrap_err();
        assert!(error.to_string().contains("cannot upload `SHA256SUMS`"), "{error}");
        assert_eq!(forge.public("v1.2.3"), None);
        release(kind, &forge.address, &dist).unwrap();
        assert_eq!(forge.public("v1.2.3"), Some(dist.files()));
    }
}

#[test]
fn a_forge_that_stores_other_bytes_gets_no_release() {
    let dist = Finished::new("1.2.3");
    for (kind, digests) in [
        (ForgeKind::Github, true),
        (ForgeKind::Github, false),
        (ForgeKind::Gitlab, true),
        (ForgeKind::Forgejo, false),
    ] {
        let forge = ReleaseForge::start(kind);
        forge.with(|state| (state.corrupt, state.digests) = (true, digests));
        let error = release(kind, &forge.address, &dist).unwrap_err();
        assert!(error.to_string().contains("the forge has different bytes"), "{error}");
        assert_eq!(forge.public("v1.2.3"), None);
        assert_eq!(forge.with(|state| state.wrong.clone()), Vec::<String>::new());
    }
}

#[test]
fn a_release_killed_at_any_moment_is_complete_or_not_public() {
    let dist = Finished::new("1.2.3");
    let files = dist.files();
    let workspace = Workspace::empty();
    let mut random = random(17);
    let (mut killed, mut public) = (0, 0);
    for round in 0..45 {
        let kind = ForgeKind::ALL[round % 3];
        let forge = ReleaseForge::start(kind);
        let repository = destination(kind, "").repository;
        let args = format!(
            "release --from {} --forge {} --api {} --repository {repository}",
            dist.root().display(),
            kind.name(),
            ReleaseForge::api(kind, &forge.address)
        );
        let run = || longshore(&workspace, &args).env("LONGSHORE_RELEASE_TOKEN", TOKEN);
        let mut child = run().spawn();
        // It ends after some number of requests.
        let after = random() % 14;
        while forge.with(|state| state.asked.len()) < after && child.try_wait().unwrap().is_none() {
            thread::yield_now();
        }
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().code().is_none());
        let found = forge.public("v1.2.3");
        public += usize::from(found.is_some());
        assert!(found.is_none_or(|found| found == files), "round {round}");
        run().run();
        assert_eq!(forge.public("v1.2.3").as_ref(), Some(&files), "round {round}");
        forge.with(|state| assert_eq!(state.wrong, Vec::<String>::new(), "round {round}"));
    }
    eprintln!(
        "45 rounds: {killed} were killed, {public} releases were public before the second run"
    );
    assert!(killed > 15, "{killed}");
}
