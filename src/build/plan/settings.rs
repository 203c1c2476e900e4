//! The settings of a plan, resolved once from the request and the workspace's configuration.

use std::collections::BTreeMap;

use crate::{
    build::{
        allocator::AllocatorSettings,
        linker::LinkerSettings,
        profile,
        request::BuildRequest,
        target::{Target, Targets},
        workspace::{Package, Workspace},
    },
    model::{
        collect::SortStable as _,
        error::{Error, Result},
        platform::Platform,
        schema::{
            memory::MemoryFunctions,
            packaging::GzipLevel,
            plan::{Profile, Smoke},
            profile::Preset,
        },
        suggest::nearest,
    },
};

/// The settings that hold for a plan. The request takes precedence over `[workspace.metadata.longshore]`,
/// and that over the defaults.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// The targets to build for, by platform.
    pub targets: Vec<&'a Target>,
    /// The platforms of the complete release: the same in each of several jobs with `--target`.
    pub platforms: Vec<Platform>,
    /// The profile, with its preset and unstable flags.
    pub profile: Profile,
    /// The requested allocator; a target's file may set a different one.
    pub allocator: AllocatorSettings,
    /// The requested memory functions; a target's file may set different ones.
    pub memory_functions: Option<MemoryFunctions>,
    /// The requested linker; a target's file may set a different one.
    pub linker: LinkerSettings,
    /// Whether symbols and line numbers are kept in debug files.
    pub debug_files: bool,
    /// Whether each package is built by a separate cargo command.
    pub each: bool,
    /// The level of gzip in layers and archives.
    pub gzip_level: GzipLevel,
}

impl<'a> Settings<'a> {
    /// Resolves the settings of `request` in `workspace`; `profiles` has the user's own `[profile.*]`.
    ///
    /// # Errors
    /// An unknown target or profile (with the nearest known name), two targets for one platform, no
    /// target at all, or a profile that contradicts the linkage of a target.
    pub fn resolve(
        workspace: &Workspace,
        targets: &'a Targets,
        request: &BuildRequest,
        profiles: &BTreeMap<String, profile::UserProfile>,
    ) -> Result<Self> {
        let metadata = &workspace.settings;
        let debug_files = request.debug_files || metadata.debug_files;
        let profile = profile(workspace, request, profiles, debug_files)?;
        let level_of_preset = profile.preset.map(Preset::gzip_level);
        let settings = Settings {
            targets: chosen_targets(workspace, targets, &request.targets)?,
            platforms: platforms(workspace, targets),
            gzip_level: metadata.gzip_level.or(level_of_preset).unwrap_or_default(),
            profile,
            allocator: AllocatorSettings {
                option: request.allocator,
                metadata: metadata.allocator,
            },
            memory_functions: request.memory_functions.or(metadata.memory_functions),
            linker: LinkerSettings { option: request.linker, metadata: metadata.linker },
            debug_files,
            each: request.each || metadata.each,
        };
        let linkages: Vec<_> = settings.targets.iter().map(|target| target.spec.linkage).collect();
        profile::check(&settings.profile.settings, &linkages, debug_files)?;
        Ok(settings)
    }

    /// Returns the names of the targets.
    pub fn target_names(&self) -> Vec<&'a str> {
        self.targets.iter().map(|target| target.name.as_str()).collect()
    }
}

/// Returns the smoke test of the binaries of `package`, which runs nothing with `--no-smoke`.
pub(super) fn smoke(workspace: &Workspace, package: &Package, request: &BuildRequest) -> Smoke {
    let metadata = &workspace.settings;
    let setting = package.settings.smoke.as_ref().or(metadata.smoke.as_ref());
    let smoke = Smoke::new(setting, metadata.smoke_timeout);
    if request.smoke { smoke } else { Smoke { args: None, ..smoke } }
}

/// Returns the targets to build for: those of `requested`, else the workspace's, else the default ones; by
/// platform.
///
/// # Errors
/// An unknown name, two targets for one platform, or none at all.
pub fn chosen_targets<'a>(
    workspace: &Workspace,
    targets: &'a Targets,
    requested: &[String],
) -> Result<Vec<&'a Target>> {
    let requested = match requested {
        [] => workspace.settings.targets.as_deref().unwrap_or_default(),
        requested => requested,
    };
    let mut chosen: Vec<&Target> = if requested.is_empty() {
        targets.iter().filter(|target| target.spec.default).collect()
    } else {
        requested.iter().map(|name| targets.get(name)).collect::<Result<_>>()?
    };
    // By platform, as in the index, so that the order of flags does not matter.
    chosen.sort_stable_by(|a, b| (&a.spec.platform, &a.name).cmp(&(&b.spec.platform, &b.name)));
    chosen.dedup_by(|a, b| a.name == b.name);
    if let Some(pair) =
        chosen.windows(2).find(|pair| pair[0].spec.platform == pair[1].spec.platform)
    {
        return Err(Error::usage(format!(
            "targets `{}` and `{}` are both for platform `{}`",
            pair[0].name, pair[1].name, pair[0].spec.platform
        ))
        .hint(
            "an image index has one image for each platform: build one of them, or each in a \
             separate run",
        ));
    }
    if chosen.is_empty() {
        return Err(Error::usage("no target is requested, and none is a default")
            .hint("name one with `--target`"));
    }
    Ok(chosen)
}

/// Returns the platforms of the complete release, which `--target` does not change.
fn platforms(workspace: &Workspace, targets: &Targets) -> Vec<Platform> {
    let mut platforms: Vec<Platform> = match workspace.settings.targets.as_deref() {
        // An unknown name is rejected when it is built for.
        Some(names) if !names.is_empty() => {
            let known = names.iter().filter_map(|name| targets.get(name).ok());
            known.map(|target| target.spec.platform.clone()).collect()
        }
        _ => {
            let default = targets.iter().filter(|target| target.spec.default);
            default.map(|target| target.spec.platform.clone()).collect()
        }
    };
    platforms.sort_stable();
    platforms.dedup();
    platforms
}

fn profile(
    workspace: &Workspace,
    request: &BuildRequest,
    profiles: &BTreeMap<String, profile::UserProfile>,
    debug_files: bool,
) -> Result<Profile> {
    let metadata = &workspace.settings;
    let name = request.profile.clone().or(metadata.profile.clone());
    let name = name.unwrap_or_else(|| profile::DIST.to_owned());
    if name != profile::DIST && request.preset.is_some() {
        return Err(Error::usage(format!("profile `{name}` takes no preset"))
            .hint("a preset fills the profile `dist`; leave `--profile` or `--preset` out"));
    }
    let built_in = ["dev", "release", "test", "bench", profile::DIST];
    if !built_in.contains(&name.as_str()) && !profiles.contains_key(&name) {
        let known = profiles.keys().map(String::as_str).chain(built_in);
        let hint = match nearest(&name, known) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("add `[profile.{name}]` to `{}`", workspace.root.join("Cargo.toml")),
        };
        return Err(Error::usage(format!("profile `{name}` is not defined")).hint(hint));
    }
    let preset = request.preset.or(metadata.preset).unwrap_or_default();
    let mut unstable = [&metadata.unstable[..], &request.unstable].concat();
    unstable.sort_stable();
    unstable.dedup();
    Ok(Profile {
        settings: profile::settings(&name, preset, profiles.get(&name), debug_files),
        unstable,
        preset: (name == profile::DIST).then_some(preset),
        name,
    })
}
