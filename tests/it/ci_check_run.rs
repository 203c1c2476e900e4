//! The check of pull requests in each provider's file, run for real: against the revision that it is for,
//! with a budget that it keeps and one that it breaks.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::{
    ci_run::QUICK,
    support::{
        ci::{peers, yaml},
        command::{LONGSHORE, longshore, plain},
        pipeline::{Job, Run, circleci_jobs, github, gitlab_jobs},
        tool::{ToolServer, VERSION},
        workspace::Workspace,
    },
};

/// The check of a provider, and its start.
struct Provider {
    path: &'static str,
    read: fn(&Value) -> BTreeMap<String, Job>,
    job: &'static str,
    /// The path of the report in its output.
    report: &'static str,
    /// The variables of a run for a pull request; `BASE` stands for the base revision.
    variables: &'static [(&'static str, &'static str)],
}

const PROVIDERS: [Provider; 3] = [
    Provider {
        path: ".github/workflows/longshore-check.yml",
        read: github,
        job: "check",
        report: "longshore-report",
        variables: &[("GITHUB_BASE_REF", "main"), ("GITHUB_REPOSITORY", "me/hello")],
    },
    Provider {
        path: ".gitlab-ci.yml",
        read: |file| gitlab_jobs(file, "$CI_PIPELINE_SOURCE == \"merge_request_event\""),
        job: "longshore-check",
        report: "longshore-check/target/report",
        variables: &[
            ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
            ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "BASE"),
            // Nobody answers there: the base is then built.
            ("CI_API_V4_URL", "http://127.0.0.1:9/api/v4"),
            ("CI_PROJECT_ID", "1"),
            ("CI_JOB_TOKEN", "none"),
        ],
    },
    Provider {
        path: ".circleci/config.yml",
        read: |file| circleci_jobs(file, "check"),
        job: "check",
        report: "store_artifacts/target/report",
        variables: &[("CIRCLE_BRANCH", "change")],
    },
];

fn git(workspace: &Workspace, args: &str) -> String {
    let who = ["-c", "user.name=me", "-c", "user.email=me@example.org"];
    let output =
        plain("git").args(who).args(args.split(' ')).current_dir(workspace.root()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Returns a repository whose last commit makes the program larger by 100 kB, which is `most` at most. `tool` is
/// the line of the settings with the source of longshore.
fn changed(most: &str, tool: &str) -> Workspace {
    let settings = format!(
        "{QUICK}[workspace.metadata.longshore.verify]\nmax-growth.file = \"{most}\"\n\
                 [workspace.metadata.longshore.ci]\n{tool}\
         after.check = [\"command -v cargo-longshore\"]\n"
    );
    let workspace = Workspace::empty()
        .package("hello", &settings)
        .file("rust-toolchain.toml", "[toolchain]\nchannel = \"stable\"\n")
        .file(".gitignore", "/target\n");
    let all = "ci generate --provider github --provider gitlab --provider circleci";
    longshore(&workspace, all).run();
    git(&workspace, "init --quiet --initial-branch=main");
    git(&workspace, "add --all");
    git(&workspace, "commit --quiet --message=first");
    git(&workspace, "checkout --quiet -b change");
    workspace.write(
        "src/main.rs",
        "static TABLE: [u8; 100_000] = [7; 100_000];\nfn main() {\n    let at = std::env::args().count();\n    \
         println!(\"hello {}\", TABLE[at]);\n}\n",
    );
    git(&workspace, "commit --quiet --all --message=second");
    workspace
}

#[test]
fn each_providers_check_reports_size_changes() {
    let (Some(peers), Some(server)) = (peers(), ToolServer::start()) else { return };
    let machine = server.variables();
    // Each with the path of the program in lines of the settings.
    let tools = [
        (server.archives(LONGSHORE.as_ref(), VERSION), "/work/target/ci-tool/cargo-longshore\n"),
        ("command = \"cargo longshore\"\n".to_owned(), LONGSHORE),
        (server.commit(), "/work/target/ci-tool/installed/bin/cargo-longshore\n"),
    ];
    for (at, provider) in PROVIDERS.iter().enumerate() {
        // The script is one and the same: that it fails is seen once.
        let broken = ("10 kB", false);
        for (most, kept) in [("1 MB", true), broken].into_iter().take(if at == 0 { 2 } else { 1 }) {
            let (tool, path) = &tools[at];
            let source = changed(most, tool);
            let base = git(&source, "rev-parse main");
            let jobs = (provider.read)(&yaml(&peers, &source.path(provider.path)));
            let mut run = Run::new(jobs, &source, &[]);
            let variables = provider.variables.iter();
            let variables = variables
                .map(|(name, value)| (*name, if *value == "BASE" { base.as_str() } else { value }));
            let machine = machine.iter().map(|(name, value)| (*name, value.as_str()));
            let variables: Vec<(&str, &str)> = variables.chain(machine).collect();
            let told = run.job(provider.job, &variables);
            assert_eq!(told.is_ok(), kept, "{}: {told:?}", provider.path);
            let (Ok(text) | Err(text)) = &told;
            assert!(text.contains(path), "{path}: {text}");
            let report = run.store.path().join(provider.report);
            let text = fs::read_to_string(report.join("report.md"))
                .unwrap_or_else(|error| panic!("{}: {error}: {told:?}", provider.path));
            assert!(text.starts_with("### Size, compared with "), "{text}");
            assert!(text.contains("| hello x86_64-unknown-linux-musl |"), "{text}");
            // The table, and the code that prints from it.
            assert!(text.contains(" +10"), "{text}");
            assert_eq!(text.contains("- ❌ hello "), !kept, "{text}");
            assert_eq!(
                text.contains("hello` grew most") || text.contains("hello\\` grew most"),
                !kept,
                "{text}"
            );
            let json: Value =
                serde_json::from_slice(&fs::read(report.join("report.json")).unwrap()).unwrap();
            assert_eq!(json["accepted"], kept);
        }
    }
}
