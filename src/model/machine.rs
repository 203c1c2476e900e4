//! Machines and how programs for them are linked.

use std::{borrow::Cow, fmt};

use goblin::elf::header;
use serde::{Deserialize, Serialize};

use crate::model::platform::Platform;

/// The facts of a target that checks of its binaries need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetFacts {
    /// The name that rustc has for it.
    pub name: String,
    /// The platform that OCI has for it.
    pub platform: Platform,
    /// How its binaries are linked.
    pub linkage: Linkage,
    /// The ELF header of its binaries.
    pub elf: Elf,
    /// How its binaries can be run.
    pub run: Run,
}

/// How a binary is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Linkage {
    /// No interpreter and no needed library, loaded at a fixed address or not.
    Static,
    /// Static, and position independent, so that the kernel can place it anywhere.
    StaticPie,
    /// Linked to shared libraries.
    Dynamic,
}

impl fmt::Display for Linkage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Linkage::Static => "static",
            Linkage::StaticPie => "static-pie",
            Linkage::Dynamic => "dynamic",
        })
    }
}

/// The header values that an ELF file for a target must have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Elf {
    /// `e_machine`.
    pub machine: Machine,
    /// 32 or 64 (`EI_CLASS`).
    pub class: u8,
    /// `EI_DATA`.
    pub endian: Endian,
    /// The largest page size, in bytes, of the kernels it has to run on.
    pub page_size: u64,
}

/// `e_machine` by name (the System V ABI's registry of ELF machine numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Machine {
    /// `EM_X86_64`, 62.
    X86_64,
    /// `EM_AARCH64`, 183.
    Aarch64,
    /// `EM_386`, 3.
    X86,
    /// `EM_ARM`, 40.
    Arm,
    /// `EM_RISCV`, 243.
    Riscv,
    /// `EM_S390`, 22.
    S390,
    /// `EM_PPC64`, 21.
    Ppc64,
    /// `EM_LOONGARCH`, 258.
    Loongarch,
}

impl Machine {
    /// The number in the ELF header.
    pub fn number(self) -> u16 {
        match self {
            Machine::X86 => 3,
            Machine::Ppc64 => 21,
            Machine::S390 => 22,
            Machine::Arm => 40,
            Machine::X86_64 => 62,
            Machine::Aarch64 => 183,
            Machine::Riscv => 243,
            Machine::Loongarch => 258,
        }
    }
}

/// Byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// The name of an `e_machine` number in the System V ABI's registry, without `EM_`; the number
/// itself where it has no name here.
pub fn machine_name(number: u16) -> Cow<'static, str> {
    match header::machine_to_str(number) {
        "EM_UNKNOWN" => number.to_string().into(),
        name => name.into(),
    }
}

/// How binaries of a target can be run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Run {
    /// Architectures, as `uname -m` names them, of Linux hosts that run them natively.
    pub native: Vec<String>,
    /// Names of user-mode emulators, best first.
    pub emulators: Vec<String>,
    /// The baseline CPU of its binaries, as `qemu -cpu help` names it.
    pub cpu: Option<String>,
}
