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
    /// The linkage of its binaries.
    pub linkage: Linkage,
    /// The ELF header of its binaries.
    pub elf: Elf,
    /// The environments that run its binaries.
    pub run: RunEnvironment,
}

/// The linkage of a binary.
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
    /// `EM_MIPS`, 8.
    Mips,
}

impl Machine {
    /// Returns the number in the ELF header.
    pub const fn number(self) -> u16 {
        match self {
            Machine::X86 => 3,
            Machine::Mips => 8,
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

/// Returns the name of an `e_machine` number in the System V ABI's registry, without `EM_`; the
/// number itself if it is not in this table.
pub fn machine_name(number: u16) -> Cow<'static, str> {
    match header::machine_to_str(number) {
        "EM_UNKNOWN" => number.to_string().into(),
        name => name.into(),
    }
}

/// An architecture, and what each tool calls it. This is the one table of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Architecture {
    /// `GOARCH` (<https://go.dev/doc/install/source>, "Environment variables"), which OCI uses.
    pub go: &'static str,
    /// Other names, such as that of `uname -m`, and the variant that is meant by each, whatever
    /// variant stands beside it (<https://github.com/containerd/platforms>, `database.go`).
    aliases: &'static [(&'static str, Option<&'static str>)],
    /// `e_machine`, class and byte order.
    elf: (Machine, u8, Endian),
    /// Debian's names (`dpkg-architecture --list`), each with the variants that it is for: all of
    /// them if none is named; an empty one stands for a platform without a variant.
    debian: &'static [(&'static str, &'static [&'static str])],
    /// rpm's names.
    rpm: &'static [RpmArchitecture],
    /// The names in Arch Linux and Arch Linux ARM, with their variants as for Debian
    /// (<https://archlinuxarm.org/platforms>).
    pacman: &'static [(&'static str, &'static [&'static str])],
    /// Names of `uname -m`, each with its variants as for Debian, which are also Python's
    /// (<https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/>).
    uname: &'static [(&'static str, &'static [&'static str])],
    /// Whether Python has the alias `manylinux2014` for it (PEP 599).
    pub manylinux2014: bool,
    /// `process.arch` of Node.js, which is also npm's `cpu`
    /// (<https://nodejs.org/api/process.html#processarch>); `None` if Node.js does not run there.
    pub node: Option<&'static str>,
    /// The name of qemu's user-mode emulator, behind `qemu-`.
    pub qemu: &'static str,
}

impl Architecture {
    /// All that are known.
    pub const ALL: [Architecture; 9] = [
        Architecture {
            go: "386",
            aliases: &[("i386", Some(""))],
            elf: (Machine::X86, 32, Endian::Little),
            debian: &[("i386", &[])],
            rpm: &[RpmArchitecture::new("i686", "x86-32", 1, &[])],
            pacman: &[],
            uname: &[("i686", &[])],
            manylinux2014: true,
            node: Some("ia32"),
            qemu: "i386",
        },
        Architecture {
            go: "amd64",
            aliases: &[("x86_64", None), ("x86-64", None)],
            elf: (Machine::X86_64, 64, Endian::Little),
            debian: &[("amd64", &[])],
            rpm: &[RpmArchitecture::new("x86_64", "x86-64", 1, &[])],
            pacman: &[("x86_64", &[""])],
            uname: &[("x86_64", &[])],
            manylinux2014: true,
            node: Some("x64"),
            qemu: "x86_64",
        },
        Architecture {
            go: "arm",
            aliases: &[("armhf", Some("v7")), ("armel", Some("v6"))],
            elf: (Machine::Arm, 32, Endian::Little),
            debian: &[("armhf", &["v7", ""]), ("armel", &["v5", "v6"])],
            rpm: &[
                RpmArchitecture::new("armv7hl", "armv7hl-32", 12, &["v7", ""]),
                RpmArchitecture::new("armv6hl", "armv6hl-32", 12, &["v6"]),
                RpmArchitecture::new("armv5tel", "armv5tel-32", 12, &["v5"]),
            ],
            pacman: &[("armv7h", &["v7", ""])],
            uname: &[("armv7l", &["v7", ""]), ("armv6l", &["v6"]), ("armv5tel", &["v5"])],
            manylinux2014: true,
            node: Some("arm"),
            qemu: "arm",
        },
        Architecture {
            go: "arm64",
            aliases: &[("aarch64", None)],
            elf: (Machine::Aarch64, 64, Endian::Little),
            debian: &[("arm64", &[])],
            rpm: &[RpmArchitecture::new("aarch64", "aarch-64", 19, &[])],
            pacman: &[("aarch64", &[])],
            uname: &[("aarch64", &[])],
            manylinux2014: true,
            node: Some("arm64"),
            qemu: "aarch64",
        },
        Architecture {
            go: "loong64",
            aliases: &[],
            elf: (Machine::Loongarch, 64, Endian::Little),
            debian: &[("loong64", &[])],
            rpm: &[RpmArchitecture::new("loongarch64", "loongarch-64", 23, &[])],
            pacman: &[],
            uname: &[("loongarch64", &[])],
            manylinux2014: false,
            node: Some("loong64"),
            qemu: "loongarch64",
        },
        Architecture {
            go: "mips64le",
            aliases: &[],
            elf: (Machine::Mips, 64, Endian::Little),
            debian: &[("mips64el", &[])],
            rpm: &[RpmArchitecture::new("mips64el", "mips-64", 11, &[])],
            pacman: &[],
            uname: &[("mips64", &[])],
            manylinux2014: false,
            node: None,
            qemu: "mips64el",
        },
        Architecture {
            go: "ppc64le",
            aliases: &[],
            elf: (Machine::Ppc64, 64, Endian::Little),
            debian: &[("ppc64el", &[])],
            rpm: &[RpmArchitecture::new("ppc64le", "ppc-64", 16, &[])],
            pacman: &[],
            uname: &[("ppc64le", &[])],
            manylinux2014: true,
            node: Some("ppc64"),
            qemu: "ppc64le",
        },
        Architecture {
            go: "riscv64",
            aliases: &[],
            elf: (Machine::Riscv, 64, Endian::Little),
            debian: &[("riscv64", &[])],
            rpm: &[RpmArchitecture::new("riscv64", "riscv-64", 22, &[])],
            pacman: &[],
            uname: &[("riscv64", &[])],
            manylinux2014: false,
            node: Some("riscv64"),
            qemu: "riscv64",
        },
        Architecture {
            go: "s390x",
            aliases: &[],
            elf: (Machine::S390, 64, Endian::Big),
            debian: &[("s390x", &[])],
            rpm: &[RpmArchitecture::new("s390x", "s390-64", 15, &[])],
            pacman: &[],
            uname: &[("s390x", &[])],
            manylinux2014: true,
            node: Some("s390x"),
            qemu: "s390x",
        },
    ];

    /// Returns the one that OCI calls `name`.
    pub fn from_goarch(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|known| known.go == name)
    }

    /// Returns the one that has `name` among its other names, and the variant that this means.
    pub fn from_alias(name: &str) -> Option<(&'static Self, Option<&'static str>)> {
        Self::ALL.iter().find_map(|known| {
            let (_, variant) = known.aliases.iter().find(|(alias, _)| *alias == name)?;
            Some((known, *variant))
        })
    }

    /// Returns the one with ELF files of this `e_machine`, class and byte order.
    pub fn from_elf(elf: (u16, u8, Endian)) -> Option<&'static Self> {
        Self::ALL.iter().find(|known| known.elf() == elf)
    }

    /// Returns `e_machine`, class and byte order of its ELF files.
    pub fn elf(&self) -> (u16, u8, Endian) {
        let (machine, class, endian) = self.elf;
        (machine.number(), class, endian)
    }

    /// Returns Debian's name of it; `None` if Debian has none for that variant.
    pub fn debian(&self, variant: Option<&str>) -> Option<&'static str> {
        name_of_variant(self.debian, variant)
    }

    /// Returns rpm's names of it; `None` if rpm has none for that variant.
    pub fn rpm(&self, variant: Option<&str>) -> Option<&'static RpmArchitecture> {
        self.rpm.iter().find(|known| is_variant(known.variants, variant))
    }

    /// Returns the name in Arch Linux; `None` if there is none for that variant.
    pub fn pacman(&self, variant: Option<&str>) -> Option<&'static str> {
        name_of_variant(self.pacman, variant)
    }

    /// Returns the name that `uname -m` prints for it; `None` if there is none for that variant.
    pub fn uname(&self, variant: Option<&str>) -> Option<&'static str> {
        name_of_variant(self.uname, variant)
    }
}

/// Returns the name that is for `variant`.
fn name_of_variant(
    names: &[(&'static str, &[&str])],
    variant: Option<&str>,
) -> Option<&'static str> {
    names.iter().find(|(_, variants)| is_variant(variants, variant)).map(|(name, _)| *name)
}

/// Returns whether a name for `variants` is for this variant.
fn is_variant(variants: &[&str], variant: Option<&str>) -> bool {
    variants.is_empty() || variants.contains(&variant.unwrap_or_default())
}

/// The names of an architecture in rpm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RpmArchitecture {
    /// The name of the architecture (`rpmrc`, "arch_canon").
    pub name: &'static str,
    /// The qualifier of dependencies on it (the macro `_isa`).
    pub isa: &'static str,
    /// Its number in the lead of a package (`rpmrc`, "arch_canon").
    pub number: u16,
    /// The variants that it is for, as those of Debian's names.
    variants: &'static [&'static str],
}

impl RpmArchitecture {
    const fn new(
        name: &'static str,
        isa: &'static str,
        number: u16,
        variants: &'static [&'static str],
    ) -> Self {
        RpmArchitecture { name, isa, number, variants }
    }

    /// Returns the one that rpm calls `name`.
    pub fn from_name(name: &str) -> Option<&'static Self> {
        Architecture::ALL.iter().flat_map(|known| known.rpm).find(|known| known.name == name)
    }
}

/// The environments that run binaries of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RunEnvironment {
    /// Architectures, as `uname -m` names them, of Linux hosts that run them natively.
    pub native: Vec<String>,
    /// Names of user-mode emulators, best first.
    pub emulators: Vec<String>,
    /// The baseline CPU of its binaries, as `qemu -cpu help` names it.
    pub cpu: Option<String>,
}
