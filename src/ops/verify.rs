//! `verify`: verdicts on files.

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::{
    elf::Facts,
    error::{Error, Result},
    oci::Digest,
    ops::{
        plan::{self, Planned},
        stage::Stage,
    },
    schema::{
        dist::{self, Artifact, Dist, Level},
        verify::{Checked, NotChecked, SCHEMA, Verification},
    },
    sys::{
        Context,
        fs::{self, Kind},
    },
    verify::{self, Mode, Policy, VerifiedArtifact},
};

/// What to verify, and how.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Files, directories, and `dist.json`.
    pub paths: Vec<Utf8PathBuf>,
    /// The target whose policy holds; else each file is judged by itself, and each artifact of a
    /// `dist.json` by the policy of its own.
    pub target: Option<String>,
    /// How much lints weigh, by their names.
    pub levels: Vec<(String, Level)>,
    /// Whether facts are wanted beside verdicts.
    pub facts: bool,
    /// Whether digests of files are wanted.
    pub digests: bool,
}

/// The largest file that is read: far above any program, and below what makes a machine swap.
const MOST: u64 = 1 << 30;

/// The largest `dist.json`.
const MOST_JSON: u64 = 64 << 20;

/// How much of a file its kind is told from.
const START: u64 = 512;

/// The deepest directory below one that was named.
const DEPTH: usize = 128;

/// Verdicts on all that was asked for. What cannot be looked at is refused, and all else is looked
/// at just the same.
///
/// # Errors
/// The target or a lint is unknown, or a file of the workspace's `targets` is broken.
pub fn verify(cx: &Context, request: &Request) -> Result<Verification> {
    let with_levels = |policy: Policy| -> Result<Policy> {
        let mut levels = request.levels.iter();
        levels.try_fold(policy, |policy, (id, level)| policy.with_level(id, *level))
    };
    let policy = match &request.target {
        Some(name) => Policy::for_target(plan::known_targets(&cx.env.dir)?.get(name)?),
        None => Policy::for_any(),
    };
    let policy = with_levels(policy)?;
    let mut found = Found::default();
    for path in &request.paths {
        match fs::kind(path, true) {
            Ok(Kind::Directory) => found.directory(path),
            Ok(Kind::File { .. }) if path.file_name() == Some("dist.json") => {
                let artifacts = match dist(path) {
                    Ok(artifacts) => artifacts,
                    Err(error) => {
                        found.refuse(path, &error);
                        continue;
                    }
                };
                let targets = plan::known_targets(&cx.env.dir)?;
                for artifact in artifacts {
                    let place = path.with_file_name("").join(&artifact.path);
                    match targets.get(&artifact.target) {
                        Ok(target) => {
                            let policy = with_levels(Policy::for_target(target))?;
                            found.jobs.push(Job::Artifact(place, Box::new((artifact, policy))));
                        }
                        Err(error) => found.refuse(&place, &error),
                    }
                }
            }
            Ok(_) => found.jobs.push(Job::Named(path.clone())),
            Err(error) => found.refuse(path, &error),
        }
    }
    let jobs = &found.jobs;
    let checked = in_parallel(jobs.len(), |index| match jobs.get(index)? {
        Job::Done(checked) => Some(Outcome::Checked(checked.clone())),
        Job::Named(path) => Some(Outcome::Checked(check(path, None, &policy, request).0)),
        Job::Listed(path) => Some(check_listed(path, &policy, request)),
        Job::Artifact(path, of) => {
            Some(Outcome::Checked(check(path, Some(&of.0), &of.1, request).0))
        }
    });
    let mut kept = Vec::new();
    for outcome in checked.into_iter().flatten() {
        match outcome {
            Outcome::Checked(checked) => kept.push(checked),
            Outcome::NotChecked(file) => found.not_checked.push(file),
        }
    }
    let checked = kept;
    let accepted = checked.iter().all(|checked| checked.verdict.accepted);
    Ok(Verification { schema: SCHEMA, accepted, checked, not_checked: found.not_checked })
}

/// One file to look at, or what is known of it without that.
enum Job {
    Done(Checked),
    /// A file that was named.
    Named(Utf8PathBuf),
    /// A file in a directory that was named.
    Listed(Utf8PathBuf),
    /// A file of a `dist.json`.
    Artifact(Utf8PathBuf, Box<(Artifact, Policy)>),
}

/// What became of a file.
enum Outcome {
    Checked(Checked),
    NotChecked(NotChecked),
}

/// What is below the given paths.
#[derive(Default)]
struct Found {
    jobs: Vec<Job>,
    not_checked: Vec<NotChecked>,
}

impl Found {
    fn refuse(&mut self, path: &Utf8Path, error: &Error) {
        self.jobs.push(Job::Done(refused(path, &error.to_string())));
    }

    fn skip(&mut self, path: &Utf8Path, reason: &str) {
        self.not_checked.push(NotChecked { path: path.to_string(), reason: reason.to_owned() });
    }

    /// Every program and shared library below a directory. One without any is refused: whoever
    /// names it expects something to be looked at.
    fn directory(&mut self, path: &Utf8Path) {
        let before = self.jobs.len();
        self.walk(path, 0);
        if self.jobs.len() == before {
            self.jobs.push(Job::Done(refused(path, "no program is in the directory")));
        }
    }

    fn walk(&mut self, directory: &Utf8Path, depth: usize) {
        if depth > DEPTH {
            let job = refused(directory, &format!("it is more than {DEPTH} directories deep"));
            self.jobs.push(Job::Done(job));
            return;
        }
        let names = match fs::names(directory) {
            Ok(names) => names,
            Err(error) => return self.refuse(directory, &error),
        };
        for name in names {
            let path = directory.join(name);
            match fs::kind(&path, false) {
                Ok(Kind::Directory) => self.walk(&path, depth + 1),
                Ok(Kind::File { .. }) => match fs::read_start(&path, START) {
                    Ok(start) => match verify::other_kind(&start) {
                        Some(reason) => self.skip(&path, reason),
                        None => self.jobs.push(Job::Listed(path)),
                    },
                    Err(error) => self.refuse(&path, &error),
                },
                Ok(Kind::Link) => self.skip(&path, "a symbolic link"),
                Ok(Kind::Other) => self.skip(&path, "neither a file nor a directory"),
                Err(error) => self.refuse(&path, &error),
            }
        }
    }
}

fn refused(path: &Utf8Path, why: &str) -> Checked {
    Checked {
        path: path.to_string(),
        target: None,
        sha256: None,
        verdict: verify::unreadable(why),
        facts: Vec::new(),
    }
}

/// The artifacts of a `dist.json`, each in its directory or below it.
fn dist(path: &Utf8Path) -> Result<Vec<Artifact>> {
    let bytes = read(path, MOST_JSON)?.0;
    let bad = |what: String| Error::check(format!("`{path}` is not a release manifest: {what}"));
    let dist: Dist = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
    if dist.schema != dist::SCHEMA {
        return Err(bad(format!("its schema is {}, and not {}", dist.schema, dist::SCHEMA)));
    }
    let outside = |artifact: &&Artifact| {
        let mut parts = Utf8Path::new(&artifact.path).components();
        !parts.all(|part| matches!(part, Utf8Component::Normal(_)))
    };
    if let Some(artifact) = dist.artifacts.iter().find(outside) {
        return Err(bad(format!("`{}` is outside its directory", artifact.path)));
    }
    if dist.artifacts.is_empty() {
        return Err(bad("it has no artifacts".to_owned()));
    }
    Ok(dist.artifacts)
}

/// The bytes of a regular file that is not too large, and its mode.
fn read(path: &Utf8Path, most: u64) -> Result<(Vec<u8>, Mode)> {
    let Kind::File { size, mode } = fs::kind(path, true)? else {
        return Err(Error::check(format!("`{path}` is not a regular file")));
    };
    // It may grow, or have no size, as files of /proc: one byte more than the most shows it.
    let bytes = if size > most { None } else { Some(fs::read_start(path, most + 1)?) };
    match bytes.filter(|bytes| bytes.len() as u64 <= most) {
        Some(bytes) => Ok((bytes, Mode { bits: mode, capabilities: fs::has_capabilities(path) })),
        None => Err(Error::check(format!("`{path}` has more than {most} bytes"))),
    }
}

/// Separate debug information belongs beside the programs of a directory, and is none.
fn check_listed(path: &Utf8Path, policy: &Policy, request: &Request) -> Outcome {
    let (checked, detached) = check(path, None, policy, request);
    if detached {
        let reason = "separate debug information".to_owned();
        return Outcome::NotChecked(NotChecked { path: path.to_string(), reason });
    }
    Outcome::Checked(checked)
}

/// The verdict on a file, and whether it is separate debug information.
fn check(
    path: &Utf8Path,
    artifact: Option<&Artifact>,
    policy: &Policy,
    request: &Request,
) -> (Checked, bool) {
    let (bytes, mode) = match read(path, MOST) {
        Ok(read) => read,
        Err(error) => return (refused(path, &error.to_string()), false),
    };
    let facts = Facts::read(&bytes);
    let verdict = match (artifact.and_then(|a| verify::mismatch(a, &bytes, policy)), &facts) {
        (Some(differs), _) => differs,
        (None, Ok(facts)) => verify::judge(&bytes, facts, Some(mode), policy),
        (None, Err(error)) => verify::unreadable(&error.to_string()),
    };
    let detached = facts.as_ref().is_ok_and(|facts| facts.detached);
    let checked = Checked {
        path: path.to_string(),
        target: policy.target().map(|target| target.name.clone()),
        sha256: request.digests.then(|| Digest::of(&bytes)),
        verdict,
        facts: match facts {
            Ok(facts) if request.facts => verify::fact::tell(&facts),
            _ => Vec::new(),
        },
    };
    (checked, detached)
}

/// The result of `work` for every number below `count`, in order, from as many threads as there
/// are processors.
fn in_parallel<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(count);
    if threads <= 1 {
        return (0..count).map(work).collect();
    }
    let next = std::sync::atomic::AtomicUsize::new(0);
    let results = std::sync::Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    let result = (index, work(index));
                    results.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(result);
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Verifies every artifact in the stage. The order is kept.
///
/// # Errors
/// At least one is refused: every finding on each, with evidence and hint.
pub fn artifacts(
    cx: &Context,
    planned: &Planned,
    stage: &Stage,
    artifacts: Vec<Artifact>,
) -> Result<Vec<VerifiedArtifact>> {
    let mut verified = Vec::new();
    let mut refused = Vec::new();
    for artifact in artifacts {
        let target = planned.targets.get(&artifact.target)?;
        let policy = Policy::for_target(target).with_build_paths(build_paths(cx, planned));
        let bytes = fs::read(&stage.path(&artifact.path))?;
        let name = format!("{} {}", artifact.platform, artifact.name);
        match VerifiedArtifact::new(artifact, &bytes, &policy) {
            Ok(artifact) => {
                let verdict = artifact.artifact().verdict.as_ref();
                for finding in verdict.into_iter().flat_map(|verdict| &verdict.findings) {
                    let found = &finding.evidence;
                    cx.warn(format!("{name}: {} ({}: {found})", finding.message, finding.lint));
                }
                let lints = verdict.map_or(0, |verdict| verdict.lints.len());
                cx.status("Verified", format!("{name}: {lints} checks"));
                verified.push(artifact);
            }
            Err(error) => refused.push(error.to_string()),
        }
    }
    if refused.is_empty() {
        return Ok(verified);
    }
    let count = refused.len();
    let of = verified.len() + count;
    Err(Error::check(format!("{count} of {of} binaries refused; nothing was packed"))
        .detail(refused.join("\n"))
        .hint(format!("what was built is in `{}`", stage.failed())))
}

/// Directories of this machine that have no business in a binary.
fn build_paths(cx: &Context, planned: &Planned) -> Vec<String> {
    let plan = &planned.plan;
    let mut paths = vec![
        plan.workspace.clone(),
        plan.target_directory.clone(),
        planned.rust.sysroot.to_string(),
    ];
    paths.extend(cx.env.cargo_home().map(Utf8PathBuf::into_string));
    // `/root` and the like are in many a binary for reasons of their own; a home of more than one
    // part is somebody's.
    let home = cx.env.home().filter(|home| home.components().count() > 2);
    paths.extend(home.map(Utf8Path::to_string));
    paths
}
