//! Targets: rustc's name, the OCI platform, and the expected properties of the binaries. Each target has one
//! TOML file; the files of `targets/` are embedded, and a workspace's own `targets/` adds to or replaces them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    model::{
        error::{Error, Result, Status},
        machine::{Elf, Endian, Linkage, Machine, RunEnvironment, TargetFacts},
        platform::Platform,
        provider::Runners,
        schema::{allocator, linker::LinkerSetting, memory::MemoryFunctions, profile::Preset},
        suggest::nearest,
    },
    verify::{POLICY_KEYS, Policy, Settings},
};

/// The embedded target files: name and text. A tidy test compares this list with the directory.
pub const EMBEDDED: &[(&str, &str)] = &[
    ("aarch64-unknown-linux-musl", include_str!("../../targets/aarch64-unknown-linux-musl.toml")),
    ("x86_64-unknown-linux-musl", include_str!("../../targets/x86_64-unknown-linux-musl.toml")),
];

/// One target, as its file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name in rustc; the file's name.
    pub name: String,
    /// The origin of the description: `built in`, or the path of the file.
    pub origin: String,
    /// The file's content.
    pub spec: Spec,
}

/// The content of a target file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Spec {
    /// Its OCI platform.
    pub platform: Platform,
    /// Whether it is built when no target is requested.
    #[serde(default)]
    pub default: bool,
    /// The linkage of its binaries.
    pub linkage: Linkage,
    /// Flags for rustc, added to the user's own.
    #[serde(default)]
    pub rustflags: Vec<String>,
    /// Arguments for the linker, added to those of `rustflags`.
    #[serde(default)]
    pub link_args: Vec<String>,
    /// `static`: code for a fixed address, which makes a linkage `static-pie` a `static` one.
    #[serde(default)]
    pub relocation_model: Option<RelocationModel>,
    /// The baseline CPU, in rustc's spelling; the first of the target when absent.
    #[serde(default)]
    pub cpu: Option<String>,
    /// The same with the preset `speed`.
    #[serde(default)]
    pub speed_cpu: Option<String>,
    /// Whether functions keep frame pointers, so that profilers can walk the stack cheaply.
    #[serde(default)]
    pub frame_pointers: bool,
    /// The allocator of its binaries; takes precedence over the workspace's setting.
    #[serde(default)]
    pub allocator: Option<allocator::AllocatorSetting>,
    /// The implementation of memory functions; comes before the workspace's own setting.
    #[serde(default)]
    pub memory_functions: Option<MemoryFunctions>,
    /// The linker of its binaries; takes precedence over the workspace's setting.
    #[serde(default)]
    pub linker: Option<LinkerSetting>,
    /// The header values that an ELF file for it must have.
    pub elf: Elf,
    /// The way to run its binaries.
    #[serde(default)]
    pub run: RunEnvironment,
    /// The policy for its binaries; see `docs/policy.md`.
    #[serde(default)]
    pub verify: Settings,
    /// The runners of its CI jobs; the default ones if absent.
    #[serde(default)]
    pub ci: Runners,
}

/// The address at which code is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelocationModel {
    /// At a fixed address.
    Static,
    /// Anywhere.
    Pie,
}

impl Target {
    /// Returns the facts that checks of its binaries need.
    pub fn facts(&self) -> TargetFacts {
        TargetFacts {
            name: self.name.clone(),
            platform: self.spec.platform.clone(),
            linkage: self.spec.linkage,
            elf: self.spec.elf.clone(),
            run: self.spec.run.clone(),
        }
    }

    /// Returns the policy for its binaries: machine, linkage, page size, and `[verify]` of its file.
    pub fn policy(&self) -> Policy {
        Policy::for_target(self.facts(), &self.spec.verify)
    }

    /// Returns the baseline CPU with `preset`, if the file sets one.
    pub fn cpu(&self, preset: Option<Preset>) -> Option<&str> {
        let speed = self.spec.speed_cpu.as_deref().filter(|_| preset == Some(Preset::Speed));
        speed.or(self.spec.cpu.as_deref())
    }

    /// Returns whether it is x86-64 or arm64, for which longshore has assembly and vectors, and rust-lld is tested.
    pub fn is_amd64_or_arm64(&self) -> bool {
        let elf = &self.spec.elf;
        matches!(elf.machine, Machine::X86_64 | Machine::Aarch64)
            && elf.class == 64
            && elf.endian == Endian::Little
    }
}

/// The known targets by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets(BTreeMap<String, Target>);

impl Targets {
    /// Returns the embedded targets, with `files` (file name, path for messages, text) added to or replacing
    /// them.
    ///
    /// # Errors
    /// A file that is not TOML of the documented form, named with its path.
    pub fn new(files: impl IntoIterator<Item = (String, String, String)>) -> Result<Self> {
        let embedded = EMBEDDED
            .iter()
            .map(|&(name, text)| (name.to_owned(), "built in".to_owned(), text.to_owned()));
        let mut targets = BTreeMap::new();
        for (name, origin, text) in embedded.chain(files) {
            let spec = parse(&text).map_err(|error| with_origin(error, &name, &origin))?;
            targets.insert(name.clone(), Target { name, origin, spec });
        }
        Ok(Targets(targets))
    }

    /// Returns every target, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Target> {
        self.0.values()
    }

    /// Returns the target called `name`; an error names the nearest known one.
    ///
    /// # Errors
    /// There is none; the nearest name is in the hint.
    pub fn get(&self, name: &str) -> Result<&Target> {
        self.0.get(name).ok_or_else(|| {
            let known = self.0.keys().map(String::as_str);
            let hint = match nearest(name, known.clone()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!(
                    "known targets: {}; a file `targets/{name}.toml` in the workspace adds one",
                    known.collect::<Vec<_>>().join(", ")
                ),
            };
            Error::usage(format!("unknown target `{name}`")).hint(hint)
        })
    }
}

fn with_origin(error: Error, name: &str, origin: &str) -> Error {
    let what = match origin {
        "built in" => format!("built-in target `{name}`"),
        path => format!("target file `{path}`"),
    };
    let error = error.context(format!("{what} is broken")).with_status(Status::Usage);
    error.or_hint("docs/targets.md lists every key")
}

/// The keys of a target file with their tables, to suggest the nearest one for an unknown key.
const KEYS: &[&str] = &[
    "platform",
    "default",
    "linkage",
    "rustflags",
    "link-args",
    "relocation-model",
    "cpu",
    "speed-cpu",
    "frame-pointers",
    "allocator",
    "memory-functions",
    "linker",
    "elf",
    "machine",
    "class",
    "endian",
    "page-size",
    "run",
    "native",
    "emulators",
    "verify",
    "ci",
    "github",
    "gitlab",
    "circleci",
];

fn parse(text: &str) -> Result<Spec> {
    let keys: Vec<_> = KEYS.iter().chain(&POLICY_KEYS).copied().collect();
    let mut spec: Spec =
        toml::from_str(text).map_err(|error| crate::model::suggest::toml_error(&error, &keys))?;
    spec.verify.check()?;
    if !matches!(spec.elf.class, 32 | 64) {
        return Err(Error::usage(format!("`class` is {}, and not 32 or 64", spec.elf.class)));
    }
    if !spec.elf.page_size.is_power_of_two() {
        let size = spec.elf.page_size;
        return Err(Error::usage(format!("`page-size` is {size}, and not a power of two")));
    }
    for (key, cpu) in [("cpu", &spec.cpu), ("speed-cpu", &spec.speed_cpu)] {
        if cpu.as_deref() == Some("native") {
            return Err(Error::usage(format!("`{key}` is `native`, the CPU of the build machine"))
                .hint("name a CPU, such as `x86-64-v2`: `rustc --print=target-cpus` lists them"));
        }
    }
    match (spec.relocation_model, spec.linkage) {
        (Some(RelocationModel::Static), Linkage::StaticPie) => spec.linkage = Linkage::Static,
        (Some(RelocationModel::Static), Linkage::Dynamic)
        | (Some(RelocationModel::Pie), Linkage::Static) => {
            return Err(Error::usage(format!(
                "`relocation-model` contradicts `linkage = \"{}\"`",
                spec.linkage
            )));
        }
        _ => {}
    }
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Targets> {
        Targets::new([("mine".to_owned(), "targets/mine.toml".to_owned(), text.to_owned())])
    }

    #[test]
    fn embedded_targets_parse_and_two_are_default() {
        let targets = Targets::new([]).unwrap();
        let default: Vec<_> = targets
            .iter()
            .filter(|target| target.spec.default)
            .map(|target| target.name.as_str())
            .collect();
        assert_eq!(default, ["aarch64-unknown-linux-musl", "x86_64-unknown-linux-musl"]);
    }

    #[test]
    fn unknown_target_names_the_nearest() {
        let error = Targets::new([]).unwrap().get("x86_64-unknown-linux-musk").unwrap_err();
        assert_eq!(error.hint_text(), Some("did you mean `x86_64-unknown-linux-musl`?"));
    }

    #[test]
    fn unknown_key_names_the_nearest_and_the_file() {
        let text = EMBEDDED[0].1.replace("linkage", "linkag");
        let error = file(&text).unwrap_err();
        assert!(error.to_string().contains("targets/mine.toml"), "{error}");
        assert_eq!(error.hint_text(), Some("did you mean `linkage`?"));
    }

    #[test]
    fn a_static_relocation_model_is_linkage_static() {
        let text = format!("relocation-model = \"static\"\n{}", EMBEDDED[0].1);
        let targets = file(&text).unwrap();
        assert_eq!(targets.get("mine").unwrap().spec.linkage, Linkage::Static);
        let error = file(&text.replace("static-pie", "dynamic")).unwrap_err();
        assert!(error.to_string().contains("linkage = \"dynamic\""), "{error}");
    }

    #[test]
    fn a_workspace_file_replaces_an_embedded_one() {
        let (name, text) = EMBEDDED[0];
        let text = text.replace("static-pie", "static");
        let targets = Targets::new([(name.to_owned(), "t".to_owned(), text)]).unwrap();
        assert_eq!(targets.get(name).unwrap().spec.linkage, Linkage::Static);
        assert_eq!(targets.iter().count(), EMBEDDED.len());
    }
}
