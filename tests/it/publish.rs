//! `release`, with servers that do as the documentation of GitHub, GitLab and Forgejo says.

use std::fs;

use longshore::model::schema::publication::{ForgeKind, PublicationOutcome};

use crate::{
    publish_faults::{destination, release},
    push::{self, pair},
    schema::valid,
    support::{
        command::{Test, longshore},
        dist::digest,
        finished::Finished,
        git,
        proxy::{Act, Proxy},
        registry::Registry,
        release_forge::{Access, Asset, COMMIT, ReleaseForge, TOKEN},
        workspace::Workspace,
    },
};

/// Returns the command that publishes `dist` at a server, in an empty directory.
fn run(workspace: &Workspace, dist: &Finished, kind: ForgeKind, address: &str, args: &str) -> Test {
    let repository = destination(kind, address).repository;
    let api = ReleaseForge::api(kind, address);
    let words = format!(
        "release --from {} --forge {} --api {api} --repository {repository} {args}",
        dist.root().display(),
        kind.name()
    );
    longshore(workspace, &words).env("LONGSHORE_RELEASE_TOKEN", TOKEN).absent("hunter2")
}

fn nothing_wrong(forge: &ReleaseForge) {
    assert_eq!(forge.with(|state| state.wrong.clone()), Vec::<String>::new());
}

/// Returns whether all requests since the last call only read.
fn only_reads(forge: &ReleaseForge) -> bool {
    forge
        .with(|state| std::mem::take(&mut state.asked))
        .iter()
        .all(|asked| asked.starts_with("GET "))
}

#[test]
fn files_are_published_once_and_then_compared() {
    for kind in ForgeKind::ALL {
        let forge = ReleaseForge::start(kind);
        let dist = Finished::new("1.2.3");
        let workspace = Workspace::empty().file(
            "CHANGELOG.md",
            "# Changelog\n\n## [1.2.3] - 2026-01-31\n\n- a bug\n\n## 1.2.2\n",
        );
        let ran = run(&workspace, &dist, kind, &forge.address, "--verify")
            .stderr("Published v1.2.3 of me/")
            .stderr("Verified 5 downloads\n")
            .run();
        assert!(ran.stdout.contains("v1.2.3\n"), "{}", ran.stdout);
        assert_eq!(forge.public("v1.2.3"), Some(dist.files()));
        forge.with(|state| {
            let release = &state.releases[0];
            assert_eq!((&*release.title, &*release.notes), ("v1.2.3", "- a bug"));
            assert!(!release.prerelease);
            if kind != ForgeKind::Forgejo {
                assert_eq!(state.latest.as_deref(), Some("v1.2.3"));
            }
        });
        nothing_wrong(&forge);
        // The same again changes nothing.
        only_reads(&forge);
        let again = run(&workspace, &dist, kind, &forge.address, "--message-format json")
            .stderr("Unchanged v1.2.3 of me/")
            .run()
            .json();
        assert_eq!(again["outcome"], "unchanged");
        assert!(valid("release.v1", &again.to_string()).is_none_or(|valid| valid));
        assert_eq!(again["files"][0]["uploaded"], false, "{again}");
        assert!(only_reads(&forge));
    }
}

#[test]
fn a_published_release_with_different_files_is_not_changed() {
    for kind in ForgeKind::ALL {
        let forge = ReleaseForge::start(kind);
        release(kind, &forge.address, &Finished::new("1.2.3")).unwrap();
        let before = forge.public("v1.2.3");
        only_reads(&forge);
        let other: [(&str, &[u8]); 2] =
            [("hello-x86_64.tar.gz", b"another archive for x"), ("hello-riscv64.tar.gz", b"new")];
        let other = Finished::with_files("1.2.3", &other);
        run(&Workspace::empty(), &other, kind, &forge.address, "")
            .status(1)
            .stderr("error: the release `v1.2.3` is published with different files; nothing was changed")
            .stderr("\n  hello-x86_64.tar.gz: expected sha256:")
            .stderr("hello-riscv64.tar.gz: it is missing\n")
            .stderr("hello-aarch64.tar.gz: `dist.json` does not name it")
            .run();
        assert!(only_reads(&forge));
        assert_eq!(forge.public("v1.2.3"), before);
        nothing_wrong(&forge);
    }
}

#[test]
fn interrupted_drafts_are_completed() {
    let dist = Finished::new("1.2.3");
    for kind in [ForgeKind::Github, ForgeKind::Forgejo] {
        let forge = ReleaseForge::start(kind);
        run(&Workspace::empty(), &dist, kind, &forge.address, "--draft")
            .stderr("Drafted v1.2.3 of me/hello: it is not public")
            .run();
        assert_eq!(forge.public("v1.2.3"), None);
        // One upload was interrupted, one sent other bytes, one is there twice, one is missing.
        forge.with(|state| {
            let id = state.id();
            let assets = &mut state.releases[0].assets;
            assets[0].bytes = b"old".to_vec();
            if kind == ForgeKind::Github {
                (assets[1].state, assets[1].bytes) = ("starter", Vec::new());
            } else {
                let twice = Asset { id, ..assets[1].clone() };
                assets.push(twice);
            }
            assets.remove(2);
        });
        only_reads(&forge);
        let done = release(kind, &forge.address, &dist).unwrap();
        assert_eq!(done.outcome, PublicationOutcome::Published);
        assert_eq!(forge.public("v1.2.3"), Some(dist.files()));
        let kept = done.files.iter().filter(|file| !file.uploaded).count();
        assert_eq!(kept, if kind == ForgeKind::Github { 2 } else { 3 }, "{done:?}");
        nothing_wrong(&forge);
    }
    // GitLab has no drafts: the files are there, and no release.
    let forge = ReleaseForge::start(ForgeKind::Gitlab);
    run(&Workspace::empty(), &dist, ForgeKind::Gitlab, &forge.address, "--draft")
        .stderr("GitLab has no drafts, and there is no release yet")
        .run();
    assert_eq!(forge.public("v1.2.3"), None);
    forge.with(|state| {
        assert_eq!(state.packages.len(), 5);
        state.packages[0].bytes = b"old".to_vec();
    });
    let done = release(ForgeKind::Gitlab, &forge.address, &dist).unwrap();
    assert_eq!(done.files.iter().filter(|file| file.uploaded).count(), 1);
    assert_eq!(forge.public("v1.2.3"), Some(dist.files()));
}

#[test]
fn failed_uploads_of_github_are_deleted_and_repeated() {
    let dist = Finished::new("1.2.3");
    let forge = ReleaseForge::start(ForgeKind::Github);
    forge.with(|state| state.starters = 3);
    run(&Workspace::empty(), &dist, ForgeKind::Github, &forge.address, "")
        .stderr("its upload is incomplete (`starter`)")
        .run();
    assert_eq!(forge.public("v1.2.3"), Some(dist.files()));
    nothing_wrong(&forge);
}

#[test]
fn only_own_drafts_are_touched() {
    let dist = Finished::new("1.2.3");
    for kind in [ForgeKind::Github, ForgeKind::Forgejo] {
        let forge = ReleaseForge::start(kind);
        forge.with(|state| state.add("v1.2.3", true, &[("notes.pdf", b"x")]));
        run(&Workspace::empty(), &dist, kind, &forge.address, "")
            .status(1)
            .stderr("error: there is a draft of `v1.2.3` that longshore did not create")
            .hint("delete that draft; `--title` and `--notes` set the text")
            .run();
        assert!(only_reads(&forge));
        // A file that somebody adds to the draft is not published.
        let forge = ReleaseForge::start(kind);
        run(&Workspace::empty(), &dist, kind, &forge.address, "--draft").run();
        forge.with(|state| {
            let id = state.id();
            let asset = Asset { id, name: "notes.pdf".into(), state: "uploaded", bytes: vec![1] };
            state.releases[0].assets.push(asset);
        });
        only_reads(&forge);
        run(&Workspace::empty(), &dist, kind, &forge.address, "")
            .status(1)
            .stderr("the draft of `v1.2.3` has files that `dist.json` does not name: `notes.pdf`")
            .run();
        assert!(only_reads(&forge));
        // A text that somebody edits is.
        forge.with(|state| {
            state.releases[0].assets.pop();
            let release = &mut state.releases[0];
            release.notes = release.notes.replacen("built from", "made from", 1);
            release.title = "A title".to_owned();
        });
        run(&Workspace::empty(), &dist, kind, &forge.address, "")
            .stderr("Kept the edited text of the draft of v1.2.3")
            .run();
        forge.with(|state| {
            let release = &state.releases[0];
            assert_eq!(release.title, "A title");
            assert!(release.notes.contains("made from"), "{}", release.notes);
            assert!(!release.notes.contains("longshore:draft"), "{}", release.notes);
        });
        nothing_wrong(&forge);
    }
}

#[test]
fn a_second_draft_is_deleted() {
    let dist = Finished::new("1.2.3");
    let forge = ReleaseForge::start(ForgeKind::Github);
    run(&Workspace::empty(), &dist, ForgeKind::Github, &forge.address, "--draft").run();
    forge.with(|state| {
        let id = state.id();
        let mut second = state.releases[0].clone();
        (second.id, second.assets) = (id, Vec::new());
        state.releases.push(second);
    });
    release(ForgeKind::Github, &forge.address, &dist).unwrap();
    assert_eq!(forge.with(|state| state.releases.len()), 1);
    assert_eq!(forge.public("v1.2.3"), Some(dist.files()));
    nothing_wrong(&forge);
}

#[test]
fn tokens_without_permission_are_distinguished() {
    let dist = Finished::new("1.2.3");
    for kind in ForgeKind::ALL {
        for (access, hint) in [
            (Access::Expired, "the token in `LONGSHORE_RELEASE_TOKEN` is wrong or has expired"),
            (Access::Read, "the token in `LONGSHORE_RELEASE_TOKEN` lacks permission: it needs "),
            (Access::None, " right? The token in `LONGSHORE_RELEASE_TOKEN` may lack access to it"),
        ] {
            let forge = ReleaseForge::start(kind);
            forge.with(|state| (state.access, state.private) = (access, access == Access::None));
            run(&Workspace::empty(), &dist, kind, &forge.address, "").status(5).stderr(hint).run();
            assert_eq!(forge.public("v1.2.3"), None);
        }
    }
}

#[test]
fn the_tag_has_to_be_that_of_the_files() {
    let dist = Finished::new("1.2.3");
    for kind in ForgeKind::ALL {
        let forge = ReleaseForge::start(kind);
        let workspace = Workspace::empty();
        let run = |args: &str| run(&workspace, &dist, kind, &forge.address, args);
        run("--tag v1.2.4")
            .status(1)
            .stderr("the tag `v1.2.4` (`--tag`) is not the version 1.2.3 of the files")
            .run();
        assert!(forge.with(|state| state.asked.is_empty()));
        run("--tag 1.2.3")
            .status(1)
            .stderr("error: the forge has no tag `1.2.3`")
            .hint("`git push origin 1.2.3` sends it")
            .run();
        forge.with(|state| state.tags.insert("v1.2.3".into(), ("f".repeat(40), false)));
        run("").status(1).stderr(&format!("and the files were built from `{COMMIT}`")).run();
        assert!(only_reads(&forge));
    }
}

#[test]
fn files_that_do_not_belong_to_the_release_are_rejected() {
    let forge = ReleaseForge::start(ForgeKind::Github);
    let check = |dist: &Finished, status: i32, message: &str| {
        run(&Workspace::empty(), dist, ForgeKind::Github, &forge.address, "")
            .status(status)
            .stderr(message)
            .run();
        assert!(forge.with(|state| state.asked.is_empty()), "{message}");
    };
    let archives = |dist: &Finished| dist.root().join("archives");
    let dist = Finished::new("1.2.3");
    fs::write(archives(&dist).join("old.tar.gz"), "x").unwrap();
    check(&dist, 1, "has files that `dist.json` does not name: `archives/old.tar.gz`");
    let dist = Finished::new("1.2.3");
    fs::write(archives(&dist).join("hello-x86_64.tar.gz"), "x").unwrap();
    check(
        &dist,
        1,
        "hello-x86_64.tar.gz` does not match `dist.json`: expected 21 bytes with sha256:",
    );
    let dist = Finished::new("1.2.3");
    let archive = archives(&dist).join("hello-x86_64.tar.gz");
    fs::rename(&archive, dist.above().join("x")).unwrap();
    check(&dist, 1, "there is no file `");
    std::os::unix::fs::symlink(dist.above().join("x"), &archive).unwrap();
    check(&dist, 1, "there is no file `");
    let dist = Finished::with_files("1.2.3", &[("hello_1.2.3~rc.1_amd64.deb", b"x" as &[u8])]);
    check(
        &dist,
        2,
        "GitHub renames these file names, and they would differ from `SHA256SUMS`: `hello_1.2.3~rc.1_amd64.deb`",
    );
    let mut dist = Finished::new("1.2.3");
    dist.manifest["release"]["dirty"] = true.into();
    dist.manifest["release"]["changes"] =
        serde_json::json!({ "count": 1, "files": ["src/main.rs"] });
    dist.write();
    check(&dist, 1, "was built from files that differ from their commit: `src/main.rs`");
    dist.manifest["release"].as_object_mut().unwrap().remove("dirty");
    dist.write();
    check(&dist, 1, "does not record whether files differed from their commit");
    dist.manifest["release"].as_object_mut().unwrap().remove("revision");
    dist.manifest["release"]["no-revision"] = "not in a git repository".into();
    dist.write();
    check(&dist, 1, "was built from is unknown: not in a git repository");
    let mut dist = Finished::new("1.2.3");
    dist.manifest["archives"][0]["version"] = "1.2.4".into();
    dist.write();
    check(&dist, 2, "has version 1.2.");
}

#[test]
fn latest_is_the_highest_version() {
    for (kind, version, prerelease, latest) in [
        (ForgeKind::Github, "1.2.3", false, "v2.0.0"),
        (ForgeKind::Gitlab, "1.2.3", false, "v2.0.0"),
        (ForgeKind::Github, "2.0.1-rc.1", true, "v2.0.0"),
        (ForgeKind::Forgejo, "2.0.1-rc.1", true, "v2.0.0"),
        (ForgeKind::Github, "2.0.1", false, "v2.0.1"),
        (ForgeKind::Gitlab, "2.0.1", false, "v2.0.1"),
    ] {
        let forge = ReleaseForge::start(kind);
        forge.with(|state| {
            state.tags.insert(format!("v{version}"), (COMMIT.to_owned(), true));
            // More than a page.
            for minor in 0..130 {
                state.add(&format!("v0.{minor}.0"), false, &[]);
            }
            state.add("v2.0.0", false, &[]);
            state.add("nightly", false, &[]);
            state.add("v9.0.0", true, &[]);
            if kind == ForgeKind::Gitlab {
                state.releases.pop();
            }
            state.latest = Some("v2.0.0".to_owned());
        });
        let (workspace, dist) = (Workspace::empty(), Finished::new(version));
        let done = run(&workspace, &dist, kind, &forge.address, "--message-format json");
        let done = done.run().json();
        assert_eq!(done["latest"], latest != "v2.0.0", "{kind} {version}: {done}");
        assert_eq!(done["prerelease"], prerelease, "{kind} {version}");
        forge.with(|state| {
            assert_eq!(state.latest.as_deref(), Some(latest), "{kind} {version}");
            let own = state.releases.iter().find(|one| one.tag == format!("v{version}")).unwrap();
            assert_eq!(own.prerelease, prerelease, "{kind} {version}");
            if (kind, version) == (ForgeKind::Gitlab, "1.2.3") {
                assert_eq!(own.date, "2025-12-31T23:59:59Z");
            }
        });
        nothing_wrong(&forge);
    }
}

#[test]
fn a_dry_run_writes_nothing() {
    let dist = Finished::new("1.2.3");
    for kind in ForgeKind::ALL {
        let forge = ReleaseForge::start(kind);
        let workspace = Workspace::empty();
        run(&workspace, &dist, kind, &forge.address, "--dry-run")
            .stdout(&format!(" at {kind}, commit {COMMIT}\n"))
            .stdout("  upload sha256:")
            .stdout("  publish \"v1.2.3\" as the latest release\n")
            .run();
        assert!(only_reads(&forge));
        release(kind, &forge.address, &dist).unwrap();
        only_reads(&forge);
        run(&workspace, &dist, kind, &forge.address, "--dry-run")
            .stdout("  keep   sha256:")
            .stdout("  nothing: it is published with these files\n")
            .run();
        assert!(only_reads(&forge));
    }
}

#[test]
fn downloads_are_verified() {
    let dist = Finished::new("1.2.3");
    let forge = ReleaseForge::start(ForgeKind::Github);
    let changed = Proxy::start(&forge.address, |asked| {
        if asked.path.contains("/download/v1.2.3/hello-x86") {
            Act::Answer(200, Vec::new(), b"an error page".to_vec())
        } else {
            Act::Pass
        }
    });
    run(&Workspace::empty(), &dist, ForgeKind::Github, &changed.address, "--verify")
        .status(1)
        .stderr("error: downloads of `v1.2.3` differ from `dist.json`")
        .stderr("hello-x86_64.tar.gz: expected 21 bytes with sha256:")
        .run();
    // The token is not sent to public addresses.
    let public = changed.asked().into_iter().filter(|asked| asked.path.contains("/download/"));
    assert!(public.into_iter().all(|asked| asked.header("authorization").is_empty()));
    // Files of a private repository are read with the token.
    for kind in ForgeKind::ALL {
        let forge = ReleaseForge::start(kind);
        forge.with(|state| state.private = true);
        run(&Workspace::empty(), &dist, kind, &forge.address, "--verify")
            .stderr("Verified 5 downloads; 5 are not public, and were read with the token")
            .run();
        nothing_wrong(&forge);
    }
}

#[test]
fn jobs_and_remotes_name_the_destination() {
    let dist = Finished::new("1.2.3");
    let above = Workspace::at(&dist.above());
    let job = |kind: ForgeKind, address: &str| {
        let api = ReleaseForge::api(kind, address);
        let test = longshore(&above, "release").absent("hunter2");
        match kind {
            ForgeKind::Github => test
                .env("GITHUB_ACTIONS", "true")
                .env("GITHUB_API_URL", api)
                .env("GITHUB_REPOSITORY", "me/hello")
                .env("GITHUB_REF_TYPE", "tag")
                .env("GITHUB_REF_NAME", "v1.2.3")
                .env("GH_TOKEN", TOKEN),
            ForgeKind::Gitlab => test
                .env("GITLAB_CI", "true")
                .env("CI_API_V4_URL", api)
                .env("CI_PROJECT_PATH", "me/group/hello")
                .env("CI_COMMIT_TAG", "v1.2.3")
                .env("CI_COMMIT_SHA", COMMIT)
                .env("CI_JOB_TOKEN", TOKEN),
            ForgeKind::Forgejo => test
                .env("GITHUB_ACTIONS", "true")
                .env("FORGEJO_ACTIONS", "true")
                .env("GITHUB_API_URL", api)
                .env("GITHUB_REPOSITORY", "me/hello")
                .env("GITHUB_REF_TYPE", "tag")
                .env("GITHUB_REF_NAME", "v1.2.3")
                .env("GITHUB_TOKEN", TOKEN),
        }
    };
    for kind in ForgeKind::ALL {
        let forge = ReleaseForge::start(kind);
        job(kind, &forge.address).run();
        assert_eq!(forge.public("v1.2.3"), Some(dist.files()), "{kind}");
        nothing_wrong(&forge);
        job(kind, &forge.address)
            .env("GITHUB_REF_NAME", "v1.2.4")
            .env("CI_COMMIT_TAG", "v1.2.4")
            .status(1)
            .stderr("the tag `v1.2.4` (")
            .run();
    }
    longshore(&above, "release").status(2).stderr("error: the forge is unknown").run();
    git::git(&dist.above(), ["init", "--quiet"]);
    git::git(&dist.above(), ["remote", "add", "origin", "https://git.example.org/me/hello.git"]);
    longshore(&above, "release")
        .status(2)
        .stderr("error: the kind of forge of `git.example.org` is unknown")
        .hint("name it: `--forge github`, `gitlab` or `forgejo`")
        .run();
    longshore(&above, "release --forge gitea")
        .status(2)
        .stderr("error: there is no token for Forgejo")
        .hint("set `FORGEJO_TOKEN` or `LONGSHORE_RELEASE_TOKEN`, with `write:repository`")
        .run();
    longshore(&above, "release --forge gitea --api http://git.example.org/api/v1")
        .env("GITEA_TOKEN", TOKEN)
        .status(2)
        .stderr("error: `git.example.org` would get the token over plain HTTP")
        .run();
}

/// The content first, then the files, and tags last.
#[test]
fn images_are_pushed_by_digest_before_the_files() {
    let Some(registry) = Registry::start() else { return };
    let dist = pair();
    dist.image(&[]);
    let home = tempfile::TempDir::new().unwrap();
    let name = format!("{}/hello", registry.address);
    let push = |args: &str| {
        push::run(home.path(), &format!("push {args} --dist {}", dist.root().display()))
    };
    let digest = digest(&dist.root().join("image/hello"));
    let by_digest = push(&format!("{name} --by-digest")).run();
    assert_eq!(by_digest.stdout, format!("{name}@{digest}\n"));
    assert!(!by_digest.stderr.contains("Tagged"), "{}", by_digest.stderr);
    let tagged = push(&format!("{name}:1 --message-format json")).run().json();
    assert_eq!(tagged["repositories"][0]["uploaded"], serde_json::json!([]), "{tagged}");
    push(&format!("{name}:2 --by-digest"))
        .status(2)
        .stderr("` names a tag, which is not written")
        .run();
}
