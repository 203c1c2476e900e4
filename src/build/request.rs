//! The request on the command line, as values.

use camino::Utf8PathBuf;

use crate::{
    build::{pgo::PgoRequest, workspace::FeatureSelection},
    model::schema::{
        allocator,
        dist::RecordedRequest,
        linker::LinkerSetting,
        memory::MemoryFunctions,
        profile::{Preset, Unstable},
    },
};

/// The options of a build; the fields are cargo's flags of the same names.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildRequest {
    /// `--package`, each a name, or `name@version`.
    pub packages: Vec<String>,
    /// `--workspace`.
    pub workspace: bool,
    /// `--each`: one cargo command for each package.
    pub each: bool,
    /// `--exclude`.
    pub exclude: Vec<String>,
    /// `--bin`; every binary when empty.
    pub bins: Vec<String>,
    /// `--features`, `--all-features`, `--no-default-features`.
    pub features: FeatureSelection,
    /// `--profile`.
    pub profile: Option<String>,
    /// `--preset`.
    pub preset: Option<Preset>,
    /// `--allocator`.
    pub allocator: Option<allocator::AllocatorSetting>,
    /// The memory functions of a variant that `tune` compares; there is no flag.
    pub memory_functions: Option<MemoryFunctions>,
    /// `--linker`.
    pub linker: Option<LinkerSetting>,
    /// `--pgo` and `--pgo-profile`.
    pub pgo: PgoRequest,
    /// `--unstable`, added to those of the workspace.
    pub unstable: Vec<Unstable>,
    /// `--debug-files`.
    pub debug_files: bool,
    /// `--target`, repeatable; `[workspace.metadata.longshore] targets`, else the targets that are
    /// default in their files, when empty.
    pub targets: Vec<String>,
    /// `--target-dir`.
    pub target_dir: Option<Utf8PathBuf>,
    /// The directory in which cargo builds, if it is not that of the target directory: the program that `--pgo` chose
    /// was built there. No flag sets it.
    pub build_dir: Option<Utf8PathBuf>,
    /// `--manifest-path`.
    pub manifest_path: Option<Utf8PathBuf>,
    /// `--config`, each `KEY=VALUE` or the path of a file.
    pub config: Vec<String>,
    /// `--locked`, which is the default here.
    pub locked: bool,
    /// `--offline`.
    pub offline: bool,
    /// `--jobs`.
    pub jobs: Option<usize>,
    /// `--keep-going`.
    pub keep_going: bool,
    /// `--timings`.
    pub timings: bool,
    /// The number of `--verbose` flags.
    pub verbose: u8,
    /// Whether binaries are run once.
    pub smoke: bool,
    /// Whether images and archives are made of the binaries; `build` makes none.
    pub pack: bool,
    /// `--twice`: whether everything is built again, to compare.
    pub twice: bool,
    /// `--rust-src`: a directory with `library`, to build std from.
    pub rust_src: Option<Utf8PathBuf>,
}

impl Default for BuildRequest {
    fn default() -> Self {
        BuildRequest {
            packages: Vec::new(),
            workspace: false,
            each: false,
            exclude: Vec::new(),
            bins: Vec::new(),
            features: FeatureSelection::default(),
            profile: None,
            preset: None,
            allocator: None,
            memory_functions: None,
            linker: None,
            pgo: PgoRequest::Off,
            unstable: Vec::new(),
            debug_files: false,
            targets: Vec::new(),
            target_dir: None,
            build_dir: None,
            manifest_path: None,
            config: Vec::new(),
            locked: true,
            offline: false,
            jobs: None,
            keep_going: false,
            timings: false,
            verbose: 0,
            smoke: true,
            pack: true,
            twice: false,
            rust_src: None,
        }
    }
}

impl From<&BuildRequest> for RecordedRequest {
    fn from(request: &BuildRequest) -> Self {
        RecordedRequest {
            packages: request.packages.clone(),
            workspace: request.workspace,
            each: request.each,
            exclude: request.exclude.clone(),
            bins: request.bins.clone(),
            features: request.features.features.clone(),
            all_features: request.features.all_features,
            no_default_features: request.features.no_default_features,
            profile: request.profile.clone(),
            preset: request.preset,
            allocator: request.allocator,
            linker: request.linker,
            // The plan has read the file.
            pgo_profile: None,
            unstable: request.unstable.clone(),
            config: request.config.clone(),
            no_locked: !request.locked,
        }
    }
}

impl RecordedRequest {
    /// Adds the recorded options to `request`.
    #[must_use]
    pub fn apply_to(self, request: BuildRequest) -> BuildRequest {
        let features = FeatureSelection {
            features: self.features,
            all_features: self.all_features,
            no_default_features: self.no_default_features,
        };
        BuildRequest {
            packages: self.packages,
            workspace: self.workspace,
            each: self.each,
            exclude: self.exclude,
            bins: self.bins,
            features,
            profile: self.profile,
            preset: self.preset,
            allocator: self.allocator,
            linker: self.linker,
            unstable: self.unstable,
            config: self.config,
            locked: request.locked && !self.no_locked,
            ..request
        }
    }
}
