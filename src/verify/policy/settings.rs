//! The contents of a policy file; the same keys are in `[workspace.metadata.longshore.verify]` and in
//! `[verify]` of a target's file. `docs/policy.md` describes each.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error as _};

use super::find_lint;
use crate::model::{
    bytes::{Growth, Size},
    error::{Error, Result, Status},
    machine::Linkage,
};

/// The expected properties of files. Every key is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// The expected linkage of programs.
    pub linkage: Option<Linkage>,
    /// The oldest glibc that programs have to start with.
    pub glibc: Option<GlibcVersion>,
    /// The shared libraries that programs may need; `*` stands for any text in a name.
    pub libraries: Option<Vec<String>>,
    /// The largest page size, in bytes, of the kernels they have to run on.
    pub page_size: Option<u64>,
    /// The level of x86-64 that processors have at least.
    pub cpu: Option<CpuLevel>,
    /// The maximum size of each.
    pub max_size: Limits<Size>,
    /// The maximum growth of each over the base.
    pub max_growth: Limits<Growth>,
    /// Lints with findings that reject a file.
    pub deny: Vec<String>,
    /// Lints with findings that are reported.
    pub warn: Vec<String>,
    /// Disabled lints.
    pub allow: Vec<String>,
    /// Findings that are known, and why they do not matter.
    pub waive: Vec<Waiver>,
}

/// A limit for each thing that has a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits<T> {
    /// Of a program or library.
    pub file: Option<T>,
    /// Of an archive.
    pub archive: Option<T>,
    /// Of what a pull of one platform's image transfers.
    pub image: Option<T>,
}

impl<T> Default for Limits<T> {
    fn default() -> Self {
        Limits { file: None, archive: None, image: None }
    }
}

/// A finding that is known, and why it does not matter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Waiver {
    /// The lint.
    pub lint: String,
    /// The reason, which is shown with the finding.
    pub reason: String,
    /// The files it applies to, all if there are none: their complete paths, in which `*` matches any
    /// text in one name, and `**` any text.
    #[serde(default)]
    pub paths: Vec<String>,
    /// The last day it holds, as `2026-12-31`; for ever where there is none.
    #[serde(default)]
    pub until: Option<Day>,
}

/// A version of glibc, such as `2.28`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GlibcVersion(u32, u32, u32);

impl FromStr for GlibcVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse_error =
            || format!("`{}` is not a version of glibc such as `2.28`", text.escape_debug());
        let parts: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
        match parts.map_err(|_| parse_error())?[..] {
            [major, minor] => Ok(GlibcVersion(major, minor, 0)),
            [major, minor, patch] => Ok(GlibcVersion(major, minor, patch)),
            _ => Err(parse_error()),
        }
    }
}

impl fmt::Display for GlibcVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GlibcVersion(major, minor, 0) => write!(f, "{major}.{minor}"),
            GlibcVersion(major, minor, patch) => write!(f, "{major}.{minor}.{patch}"),
        }
    }
}

/// A level of x86-64 (x86-64 psABI, "Micro-Architecture Levels").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum CpuLevel {
    /// The instructions that every x86-64 processor has.
    #[serde(rename = "x86-64", alias = "x86-64-v1")]
    V1,
    /// Up to SSE4.2: from 2009 on.
    #[serde(rename = "x86-64-v2")]
    V2,
    /// Up to AVX2: from 2013 on.
    #[serde(rename = "x86-64-v3")]
    V3,
    /// With AVX-512.
    #[serde(rename = "x86-64-v4")]
    V4,
}

impl CpuLevel {
    /// Returns the level's name.
    pub fn name(self) -> &'static str {
        match self {
            CpuLevel::V1 => "x86-64",
            CpuLevel::V2 => "x86-64-v2",
            CpuLevel::V3 => "x86-64-v3",
            CpuLevel::V4 => "x86-64-v4",
        }
    }

    /// Returns the features that such a processor has, as rustc calls them (x86-64 psABI,
    /// "Micro-Architecture Levels", with what they imply).
    pub(in crate::verify) fn features(self) -> &'static [&'static str] {
        const FEATURES: [&str; 24] = [
            "cmpxchg16b",
            "crc32",
            "lahfsahf",
            "popcnt",
            "sse3",
            "sse4.1",
            "sse4.2",
            "ssse3",
            "avx",
            "avx2",
            "bmi1",
            "bmi2",
            "f16c",
            "fma",
            "lzcnt",
            "movbe",
            "xsave",
            "avx512bw",
            "avx512cd",
            "avx512dq",
            "avx512f",
            "avx512vl",
            "evex512",
            "prfchw",
        ];
        match self {
            CpuLevel::V1 => &[],
            CpuLevel::V2 => FEATURES.get(..8).unwrap_or_default(),
            CpuLevel::V3 => FEATURES.get(..17).unwrap_or_default(),
            CpuLevel::V4 => &FEATURES,
        }
    }

    /// Returns the bits of `GNU_PROPERTY_X86_ISA_1_NEEDED` that such a processor has.
    pub(in crate::verify) fn bits(self) -> u32 {
        match self {
            CpuLevel::V1 => 0b1,
            CpuLevel::V2 => 0b11,
            CpuLevel::V3 => 0b111,
            CpuLevel::V4 => 0b1111,
        }
    }
}

/// A day of the calendar, as `2026-12-31`; days compare as their strings do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(String);

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let in_range = |part: &str, len: usize, most: u32| {
            let number = part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok());
            part.len() == len && number.flatten().is_some_and(|n: u32| (1..=most).contains(&n))
        };
        match text.split('-').collect::<Vec<_>>()[..] {
            [year, month, day]
                if in_range(year, 4, 9999) && in_range(month, 2, 12) && in_range(day, 2, 31) =>
            {
                Ok(Day(text.to_owned()))
            }
            _ => Err(format!("`{}` is not a day such as `2026-12-31`", text.escape_debug())),
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! from_text {
    ($($name:ty),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

from_text!(GlibcVersion, Day);

/// Every key, for the nearest known name of a wrong one.
pub const KEYS: [&str; 18] = [
    "linkage",
    "glibc",
    "libraries",
    "page-size",
    "cpu",
    "max-size",
    "max-growth",
    "file",
    "archive",
    "image",
    "deny",
    "warn",
    "allow",
    "waive",
    "lint",
    "reason",
    "paths",
    "until",
];

impl Settings {
    /// Reads a policy file.
    ///
    /// # Errors
    /// It is not TOML of the documented form, or contradicts itself; `path` is named.
    pub fn parse(path: &str, text: &str) -> Result<Self> {
        let named = |error: Error| {
            let error = error.context(format!("policy file `{path}` is wrong"));
            error.with_status(Status::Usage).or_hint("docs/policy.md lists every key")
        };
        let settings: Settings = toml::from_str(text)
            .map_err(|error| named(crate::model::suggest::toml_error(&error, &KEYS)))?;
        settings.check().map_err(named)?;
        Ok(settings)
    }

    /// Checks the rules that the types cannot express.
    ///
    /// # Errors
    /// A lint is unknown, a number or a reason is wrong.
    pub fn check(&self) -> Result<()> {
        for id in self.deny.iter().chain(&self.warn).chain(&self.allow) {
            find_lint(id)?;
        }
        for waiver in &self.waive {
            find_lint(&waiver.lint)?;
        }
        if let Some(size) = self.page_size.filter(|size| !size.is_power_of_two()) {
            let message = format!("`page-size` must be a power of two, not {size}");
            return Err(Error::usage(message));
        }
        if let Some(waiver) = self.waive.iter().find(|waiver| waiver.reason.trim().is_empty()) {
            let message = format!("the waiver of `{}` has no reason", waiver.lint);
            return Err(Error::usage(message).hint("set `reason` to why it is acceptable"));
        }
        Ok(())
    }
}
