//! The selection of policies for files. Those of a workspace are for the files in its own target
//! directory, and for no others: a download must not be verified by the settings in the current
//! directory.

use camino::{Utf8Path, Utf8PathBuf};

use super::{VerifyRequest, read_policy_file, release::BUILT_IN, today, workspace_settings};
use crate::{
    build::target::{Target, Targets},
    model::{
        digest::Digest,
        error::{Result, Status},
        platform::Platform,
        schema::{
            dist::{Artifact, FILE, Level},
            verify::PolicySource,
        },
        source::Source,
    },
    sys::{Context, cargo, fs, targets},
    verify::{Day, Inputs, Policy, Settings, VerifiedArtifact},
};

/// The table of the settings of a workspace.
pub(in crate::ops) const TABLE: &str = "[workspace.metadata.longshore.verify]";

/// The workspace in a directory, as far as it concerns verdicts.
struct Workspace {
    /// Its target directories, with all links resolved.
    outputs: Vec<Utf8PathBuf>,
    settings: Option<Settings>,
    targets: Targets,
}

/// The policies of one request.
pub(in crate::ops) struct PolicyRules<'a> {
    request: &'a VerifyRequest,
    root: &'a Utf8Path,
    /// Whether the settings of the workspace apply to every file in its target directories, and not to
    /// releases only.
    every_file: bool,
    /// `None` unless one of the files is its own.
    workspace: Option<Workspace>,
    targets: Targets,
    file: Option<Settings>,
    levels: &'a [(String, Level)],
    today: Day,
}

impl<'a> PolicyRules<'a> {
    /// Reads the policy file, and the settings of the workspace in the current directory if one of the files to
    /// verify is its own.
    ///
    /// # Errors
    /// One of them is wrong.
    pub(super) fn new(cx: &'a Context, request: &'a VerifyRequest) -> Result<Self> {
        let outputs = if request.no_workspace { Vec::new() } else { target_directories(cx) };
        Self::within(cx, request, outputs, false)
    }

    /// Does as [`PolicyRules::new`], for sizes: a target does not affect them, so the settings apply to every
    /// file in the target directory of the workspace, which is `named` if the user named it.
    ///
    /// # Errors
    /// One of the settings is wrong.
    pub(in crate::ops) fn for_sizes(
        cx: &'a Context,
        request: &'a VerifyRequest,
        named: Option<&Utf8Path>,
    ) -> Result<Self> {
        let outputs = match named {
            _ if request.no_workspace => Vec::new(),
            Some(dir) => resolve_links(&cx.env.dir.join(dir)).into_iter().collect(),
            None => target_directories(cx),
        };
        Self::within(cx, request, outputs, true)
    }

    fn within(
        cx: &'a Context,
        request: &'a VerifyRequest,
        outputs: Vec<Utf8PathBuf>,
        every_file: bool,
    ) -> Result<Self> {
        let root = cx.env.dir.as_path();
        let file = request.policy.as_deref().map(read_policy_file).transpose()?;
        let workspace = request
            .paths
            .iter()
            .any(|path| is_below(&outputs, path))
            .then(|| -> Result<Workspace> {
                let settings = workspace_settings(root)?;
                Ok(Workspace { outputs, settings, targets: targets::known(root)? })
            })
            .transpose()?;
        let targets = Targets::new([])?;
        Ok(PolicyRules {
            request,
            root,
            every_file,
            workspace,
            targets,
            file,
            levels: &request.levels,
            today: today()?,
        })
    }

    fn workspace(&self, path: &Utf8Path) -> Option<&Workspace> {
        self.workspace.as_ref().filter(|workspace| is_below(&workspace.outputs, path))
    }

    /// Returns the targets that are known for the file at `path`.
    pub(super) fn targets(&self, path: &Utf8Path) -> &Targets {
        self.workspace(path).map_or(&self.targets, |workspace| &workspace.targets)
    }

    /// Returns the policy for a binary of `target` that belongs to the release at `path`.
    ///
    /// # Errors
    /// A lint that was named lacks an input.
    pub(super) fn target_policy(&self, target: &Target, path: &Utf8Path) -> Result<Policy> {
        let root = path.parent().unwrap_or(Utf8Path::new(""));
        Ok(self.complete(target.policy(), self.workspace(path))?.with_root(root.as_str()))
    }

    /// Returns the policies for an image of the release at `path`: those of the targets that it was
    /// made of, by platform, and that for other platforms.
    ///
    /// # Errors
    /// A lint that was named lacks an input.
    pub(super) fn image_policies(
        &self,
        path: &Utf8Path,
        targets: impl IntoIterator<Item = Target>,
    ) -> Result<ImagePolicies> {
        let root = path.parent().unwrap_or(Utf8Path::new(""));
        let any = self.complete(Policy::for_any(), self.workspace(path))?.with_root(root.as_str());
        let policy =
            |target: Target| Ok((target.spec.platform.clone(), self.target_policy(&target, path)?));
        let platforms = targets.into_iter().map(policy).collect::<Result<_>>()?;
        Ok(ImagePolicies { any, platforms })
    }

    /// Returns the policy for the size of an item at `path` that was built for `target`.
    ///
    /// # Errors
    /// The settings contradict themselves.
    pub(in crate::ops) fn size_policy(
        &self,
        target: Option<&str>,
        path: &Utf8Path,
    ) -> Result<Policy> {
        let policy = match target.and_then(|name| self.targets(path).get(name).ok()) {
            Some(target) => target.policy(),
            None => Policy::for_any(),
        };
        self.with_settings(policy, self.workspace(path))
    }

    /// Returns the policy for the file at `path`, which was named or found in a directory.
    ///
    /// # Errors
    /// The target is unknown, or a lint that was named lacks an input.
    pub(super) fn file_policy(&self, path: &Utf8Path) -> Result<Policy> {
        let policy = match self.named_target(path)? {
            None => self.complete(Policy::for_any(), None),
            Some(target) => self.complete(target.policy(), self.workspace(path)),
        }?;
        let named = self.request.paths.iter().find(|named| path.starts_with(named));
        Ok(match named {
            Some(root) if root != path => policy.with_root(root.as_str()),
            _ => policy,
        })
    }

    /// Returns the target that was named in the request, as it applies to the file at `path`.
    fn named_target(&self, path: &Utf8Path) -> Result<Option<Target>> {
        let Some(name) = &self.request.target else {
            return Ok(None);
        };
        match self.targets(path).get(name) {
            Ok(target) => Ok(Some(target.clone())),
            Err(error) if self.request.no_workspace => Err(error),
            // It was named, so that the one file of the workspace that describes it is meant.
            Err(error) => targets::find(self.root, name)?.ok_or(error).map(Some),
        }
    }

    /// Returns the file that describes the target of the file at `path`, unless it is built in.
    ///
    /// # Errors
    /// The target is unknown.
    pub(super) fn origin(&self, path: &Utf8Path) -> Result<Option<String>> {
        let target = self.named_target(path)?;
        Ok(target.map(|target| target.origin).filter(|origin| origin != BUILT_IN))
    }

    /// Returns the file that describes `target` for the file at `path`, unless it is built in or
    /// unknown.
    pub(in crate::ops) fn target_origin(
        &self,
        target: Option<&str>,
        path: &Utf8Path,
    ) -> Option<String> {
        let target = self.targets(path).get(target?).ok()?;
        Some(target.origin.clone()).filter(|origin| origin != BUILT_IN)
    }

    fn with_settings(&self, policy: Policy, own: Option<&Workspace>) -> Result<Policy> {
        let workspace = own.and_then(|workspace| workspace.settings.as_ref());
        let policy = policy.with_today(self.today.clone());
        let mut all = workspace.into_iter().chain(&self.file);
        all.try_fold(policy, |policy, settings| policy.with_settings(settings))
    }

    fn complete(&self, policy: Policy, own: Option<&Workspace>) -> Result<Policy> {
        let mut policy = self.with_settings(policy, own)?;
        for (id, level) in self.levels {
            policy = policy.with_level(id, *level)?;
        }
        let inputs = Inputs { base: self.request.base.is_some(), run: self.request.run.is_some() };
        policy.check_inputs(inputs)?;
        Ok(policy)
    }

    /// Returns the files that policies were read from, and the paths that each applies to.
    pub(in crate::ops) fn sources(
        &self,
        used: &[(Utf8PathBuf, Option<String>)],
    ) -> Vec<PolicySource> {
        let mut sources: Vec<PolicySource> = Vec::new();
        let mut add = |from: String, path: &str| match sources
            .iter_mut()
            .find(|source| source.from == from)
        {
            Some(source) if source.paths.iter().any(|known| known == path) => {}
            Some(source) => source.paths.push(path.to_owned()),
            None => sources.push(PolicySource { from, paths: vec![path.to_owned()] }),
        };
        for (path, origin) in used {
            if let Some(origin) = origin {
                add(origin.clone(), path.as_str());
            }
            let settings = self.workspace(path).and_then(|workspace| workspace.settings.as_ref());
            if settings.is_some_and(|settings| *settings != Settings::default())
                && (self.every_file || self.request.target.is_some() || is_release(path))
            {
                add(format!("{TABLE} of {}", self.root.join("Cargo.toml")), path.as_str());
            }
            if let Some(file) = &self.request.policy {
                add(file.to_string(), path.as_str());
            }
        }
        sources
    }
}

/// The policies for the images of one layout.
pub(super) struct ImagePolicies {
    /// For a platform without a separate policy.
    any: Policy,
    platforms: Vec<(Platform, Policy)>,
}

impl ImagePolicies {
    /// Returns one for all platforms.
    pub(super) fn one(policy: Policy) -> Self {
        ImagePolicies { any: policy, platforms: Vec::new() }
    }

    /// Returns the policy for the programs in the image of `platform`.
    pub(super) fn policy(&self, platform: &Platform) -> Policy {
        let own = self.platforms.iter().find(|(known, _)| known == platform);
        own.map_or(&self.any, |(_, policy)| policy).clone().with_platform(platform)
    }

    /// Returns the policy for files that are not in an image.
    pub(super) fn any(&self) -> &Policy {
        &self.any
    }
}

/// The policies for packing a finished release again: those of the workspace that it belongs to, else the
/// built-in ones. Its `dist.json` is not trusted.
pub(in crate::ops) struct PackingPolicies {
    settings: Option<Settings>,
    targets: Targets,
    today: Day,
}

impl PackingPolicies {
    /// Returns the policies for the release in `directory`, which need not exist yet.
    ///
    /// # Errors
    /// The workspace's settings or targets are wrong.
    pub(in crate::ops) fn new(cx: &Context, directory: &Utf8Path) -> Result<Self> {
        let root = &cx.env.dir;
        let own = is_below(&target_directories(cx), directory);
        let settings = if own { workspace_settings(root)? } else { None };
        let targets = if own { targets::known(root)? } else { Targets::new([])? };
        Ok(PackingPolicies { settings, targets, today: today()? })
    }

    /// Checks that the file of `artifact` is the one of its record, and would be accepted again.
    ///
    /// # Errors
    /// Its target is unknown, or it is rejected.
    pub(in crate::ops) fn check(
        &self,
        artifact: &Artifact,
        source: Source<'_>,
        digest: Digest,
    ) -> Result<()> {
        let target = self.targets.get(&artifact.target).map_err(|error| {
            let hint = "pack it in the workspace that it was built in, below its target directory";
            let context = format!("`{}` cannot be verified", artifact.path);
            error.context(context).with_status(Status::CheckFailed).hint(hint)
        })?;
        let mut policy = target.policy().with_today(self.today.clone());
        if let Some(settings) = &self.settings {
            policy = policy.with_settings(settings)?;
        }
        VerifiedArtifact::new(artifact.clone(), source, digest, &policy)?;
        Ok(())
    }
}

fn is_release(path: &Utf8Path) -> bool {
    path.file_name() == Some(FILE)
}

/// Returns the target directories of the workspace in the current directory, with all links resolved:
/// that of the environment, else of cargo's configuration, else `target`. `None` if there is no
/// workspace.
fn target_directories(cx: &Context) -> Vec<Utf8PathBuf> {
    let root = &cx.env.dir;
    if !matches!(fs::file_type(&root.join("Cargo.toml"), true), Ok(fs::FileType::File { .. })) {
        return Vec::new();
    }
    let variables = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"];
    if let Some(dir) = variables.iter().find_map(|name| cx.env.var(name)) {
        return resolve_links(&root.join(dir)).into_iter().collect();
    }
    // A configuration that cannot be read is an error of the commands that build.
    let configured = cargo::Config::load(cx, &[]).ok().and_then(|config| config.target_dir());
    let dir = resolve_links(&root.join(configured.unwrap_or_else(|| "target".into())));
    // A directory of the workspace itself has more in it than what cargo writes.
    let real = fs::canonicalize(root);
    dir.into_iter().filter(|dir| real.as_ref().is_ok_and(|root| !root.starts_with(dir))).collect()
}

/// Returns the path with all links resolved. A missing file is resolved by its parent directory; `None`
/// if that cannot be decided.
fn resolve_links(path: &Utf8Path) -> Option<Utf8PathBuf> {
    let mut missing = Vec::new();
    let mut location = path;
    while fs::file_type(location, false).is_err() {
        let (parent, name) = (location.parent()?, location.file_name()?);
        missing.push(name);
        location = if parent == "" { Utf8Path::new(".") } else { parent };
    }
    let mut real = fs::canonicalize(location).ok()?;
    real.extend(missing.into_iter().rev());
    Some(real)
}

/// Returns whether the file or directory is in a directory below one of `outputs`, with all links
/// resolved.
fn is_below(outputs: &[Utf8PathBuf], path: &Utf8Path) -> bool {
    if outputs.is_empty() {
        return false;
    }
    let Some(mut real) = resolve_links(path) else { return false };
    if is_release(&real) {
        real.pop();
    }
    outputs.iter().any(|output| real.starts_with(output) && real != *output)
}
