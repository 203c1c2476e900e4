//! zig as the C compiler and linker of a target: zig's name of the target, and the files that make it a
//! compiler for cc, CMake and bindgen.

use camino::Utf8Path;
use semver::Version;

use crate::model::error::{Error, Result};

/// The major and minor version of a zig, by which its behaviour differs.
pub type ZigRelease = (u64, u64);

/// Returns the major and minor version.
pub fn zig_release(version: &Version) -> ZigRelease {
    (version.major, version.minor)
}

/// The parts of a Linux target's name.
#[derive(Clone, Copy, Debug)]
struct TargetParts<'a> {
    arch: &'a str,
    env: &'a str,
}

impl<'a> TargetParts<'a> {
    fn new(target: &'a str) -> Result<Self> {
        let parts = target.split_once('-').and_then(|(arch, rest)| {
            let (_, env) = rest.split_once("linux-")?;
            Some(TargetParts { arch, env })
        });
        parts.ok_or_else(|| {
            Error::usage(format!("zig cannot compile for `{target}`: it is not a Linux target"))
        })
    }

    /// Returns the name that zig has for the target.
    fn triple(self, zig: ZigRelease) -> String {
        let is_mips32 = self.arch.starts_with("mips") && !self.arch.starts_with("mips64");
        let arch = match self.arch {
            "armv5te" | "armv7" | "thumbv7neon" => "arm",
            "i586" | "i686" if zig >= (0, 11) => "x86",
            "i586" | "i686" => "i386",
            "riscv64gc" | "riscv64a23" => "riscv64",
            arch => arch,
        };
        let env = match self.env {
            "gnu" if is_mips32 || self.arch == "powerpc" => "gnueabihf",
            "musl" if is_mips32 => "musleabi",
            "gnullvm" => "gnu",
            env => env,
        };
        format!("{arch}-linux-{env}")
    }

    /// Returns the CPU that rustc compiles for if no flag chooses one, in zig's syntax of CPUs and features.
    fn cpu(self, zig: ZigRelease) -> Option<&'static str> {
        let renamed = zig >= (0, 18);
        let is_eabi = ["gnueabi", "musleabi"].contains(&self.env);
        let is_eabihf = ["gnueabihf", "musleabihf"].contains(&self.env);
        Some(match self.arch {
            "arm" if is_eabi && renamed => "generic+v6+no_unaligned_access",
            "arm" if is_eabi => "generic+v6+strict_align",
            "arm" if is_eabihf && renamed => "generic+v6+no_unaligned_access+vfp2-d32",
            "arm" if is_eabihf => "generic+v6+strict_align+vfp2-d32",
            "armv5te" if renamed => "generic+v5te+no_unaligned_access",
            "armv5te" => "generic+v5te+soft_float+strict_align",
            "armv7" => "generic+v7a+vfp3-d32+thumb2-neon",
            "thumbv7neon" => "generic+v7a+vfp3+thumb2+neon",
            "i586" => "pentium",
            "i686" => "pentium4",
            "riscv64gc" => "generic_rv64+m+a+f+d+c",
            "riscv64a23" => "generic_rv64+rva23u64",
            "s390x" => "z10-vector",
            _ => return None,
        })
    }
}

/// The compiler of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiler {
    /// The target as zig calls it.
    pub triple: String,
    /// The arguments before those of a call.
    pub args: Vec<String>,
}

impl Compiler {
    /// Returns the compiler for `target`, and for `cpu` if rustc's flags choose one.
    ///
    /// # Errors
    /// The target is not a Linux target.
    pub fn new(target: &str, cpu: Option<&str>, zig: ZigRelease) -> Result<Self> {
        let parts = TargetParts::new(target)?;
        let triple = parts.triple(zig);
        // Debug information stays, which zig strips from release builds, and so do the semantics of C:
        // sanitizers would abort programs that other compilers let run.
        let mut args = vec!["-g".to_owned(), "-fno-sanitize=all".to_owned()];
        let chosen = cpu.filter(|cpu| !cpu.is_empty()).map(|cpu| cpu.replace('-', "_"));
        if let Some(cpu) = chosen.or_else(|| parts.cpu(zig).map(str::to_owned)) {
            args.push(format!("-mcpu={cpu}"));
        }
        args.extend(["-target".to_owned(), triple.clone()]);
        Ok(Compiler { triple, args })
    }
}

/// Returns the name and the text of the file that the links of rustc for `target` need, if any.
pub fn link_file(target: &str) -> Option<(&'static str, &'static str)> {
    target.starts_with("arm").then_some(("aeabi_unaligned.c", UNALIGNED))
}

/// Returns arguments for every link of rustc for `target`; their files are in `dir`.
pub fn link_args(target: &str, dir: &Utf8Path) -> Vec<String> {
    let mut args = Vec::new();
    // Position-independent code of 32-bit MIPS has relocations in read-only sections.
    if target.starts_with("mips") && !target.starts_with("mips64") {
        args.push("-Wl,-z,notext".to_owned());
    }
    if let Some((name, _)) = link_file(target) {
        // The file is compiled with arguments that are for the link alone.
        args.push("-Wno-unused-command-line-argument".to_owned());
        args.push(dir.join(name).into_string());
    }
    args
}

/// The functions for unaligned memory of the run-time ABI for the Arm architecture (IHI 0043, 4.3.3).
/// Rust's std calls them for processors that cannot read it; libgcc has them, and compiler-rt does not.
const UNALIGNED: &str = "\
#define WEAK __attribute__((weak))
WEAK int __aeabi_uread4(void *at) { int v; __builtin_memcpy(&v, at, 4); return v; }
WEAK int __aeabi_uwrite4(int v, void *at) { __builtin_memcpy(at, &v, 4); return v; }
WEAK long long __aeabi_uread8(void *at) { long long v; __builtin_memcpy(&v, at, 8); return v; }
WEAK long long __aeabi_uwrite8(long long v, void *at) { __builtin_memcpy(at, &v, 8); return v; }
";

/// Returns a shell script that starts `words` with its arguments and then `last`.
pub fn script<T: AsRef<str>>(words: &[T], last: &[String]) -> String {
    let before = words.iter().map(|word| shell_word(word.as_ref()) + " ").collect::<String>();
    let after = last.iter().map(|word| format!(" {}", shell_word(word))).collect::<String>();
    format!("#!/bin/sh\nexec {before}\"$@\"{after}\n")
}

/// Returns `text` as one word of any POSIX shell (XCU 2.2.2).
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The tools for one target, by their paths.
#[derive(Clone, Debug)]
pub struct Tools<'a> {
    /// The C compiler and linker.
    pub cc: &'a Utf8Path,
    /// The C++ compiler.
    pub cxx: &'a Utf8Path,
    /// The archiver.
    pub ar: &'a Utf8Path,
    /// The indexer of archives.
    pub ranlib: &'a Utf8Path,
}

/// Returns a toolchain file of CMake (<https://cmake.org/cmake/help/latest/manual/cmake-toolchains.7.html>)
/// for `target`. Nothing is searched for on the machine but programs.
pub fn cmake_toolchain_file(target: &str, tools: &Tools<'_>) -> String {
    let arch = target.split('-').next().unwrap_or(target);
    let processor = match arch {
        "powerpc" => "ppc",
        "powerpc64" => "ppc64",
        "powerpc64le" => "ppc64le",
        arch => arch,
    };
    let Tools { cc, cxx, ar, ranlib } = tools;
    let pairs = [
        ("SYSTEM_NAME", "Linux"),
        ("SYSTEM_PROCESSOR", processor),
        ("C_COMPILER", cc.as_str()),
        ("CXX_COMPILER", cxx.as_str()),
        ("RANLIB", ranlib.as_str()),
        ("C_LINKER_DEPFILE_SUPPORTED", "FALSE"),
        ("CXX_LINKER_DEPFILE_SUPPORTED", "FALSE"),
        ("AR", ar.as_str()),
        ("FIND_ROOT_PATH_MODE_PROGRAM", "NEVER"),
        ("FIND_ROOT_PATH_MODE_LIBRARY", "ONLY"),
        ("FIND_ROOT_PATH_MODE_INCLUDE", "ONLY"),
        ("FIND_ROOT_PATH_MODE_PACKAGE", "ONLY"),
    ];
    pairs.iter().map(|(name, value)| format!("set(CMAKE_{name} {value})\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_names_and_cpus_of_zig() {
        let args =
            |target: &str, zig| Compiler::new(target, None, zig).unwrap().args[2..].join(" ");
        for (target, expected) in [
            ("x86_64-unknown-linux-musl", "-target x86_64-linux-musl"),
            ("aarch64-unknown-linux-gnu", "-target aarch64-linux-gnu"),
            ("i686-unknown-linux-musl", "-mcpu=pentium4 -target x86-linux-musl"),
            (
                "armv7-unknown-linux-musleabihf",
                "-mcpu=generic+v7a+vfp3-d32+thumb2-neon -target arm-linux-musleabihf",
            ),
            (
                "arm-unknown-linux-musleabi",
                "-mcpu=generic+v6+strict_align -target arm-linux-musleabi",
            ),
            (
                "riscv64gc-unknown-linux-musl",
                "-mcpu=generic_rv64+m+a+f+d+c -target riscv64-linux-musl",
            ),
            ("powerpc-unknown-linux-gnu", "-target powerpc-linux-gnueabihf"),
            ("mipsel-unknown-linux-musl", "-target mipsel-linux-musleabi"),
            ("loongarch64-unknown-linux-musl", "-target loongarch64-linux-musl"),
        ] {
            assert_eq!(args(target, (0, 15)), expected);
        }
        assert!(args("i686-unknown-linux-gnu", (0, 10)).ends_with("-target i386-linux-gnu"));
        assert!(args("armv5te-unknown-linux-musleabi", (0, 18)).contains("+no_unaligned_access "));
        let chosen = Compiler::new("i686-unknown-linux-musl", Some("x86-64-v3"), (0, 15)).unwrap();
        assert_eq!(chosen.args[2], "-mcpu=x86_64_v3");
        assert!(Compiler::new("x86_64-apple-darwin", None, (0, 15)).is_err());
    }

    #[test]
    fn arm_links_get_the_functions_of_libgcc() {
        let args = link_args("armv7-unknown-linux-musleabihf", "/c".into());
        assert_eq!(args, ["-Wno-unused-command-line-argument", "/c/aeabi_unaligned.c"]);
        assert_eq!(link_args("mips-unknown-linux-musl", "/c".into()), ["-Wl,-z,notext"]);
        assert_eq!(link_args("x86_64-unknown-linux-musl", "/c".into()), [""; 0]);
    }

    #[test]
    fn scripts_pass_every_word() {
        let text = script(&["/it's/here", "cc"], &["a b".to_owned()]);
        assert_eq!(text, "#!/bin/sh\nexec '/it'\\''s/here' cc \"$@\" 'a b'\n");
    }
}
