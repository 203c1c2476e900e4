//! Arguments of rustc, cc and CMake as `zig cc` accepts them. It rejects or misreads some that other C
//! compilers accept.

use std::mem;

use super::compiler::ZigRelease;

/// Translates arguments one by one: an argument may announce its operand.
#[allow(missing_debug_implementations, reason = "it has a closure")]
pub struct Filter<'a> {
    /// The target as zig calls it.
    target: &'a str,
    zig: ZigRelease,
    is_file: &'a dyn Fn(&str) -> bool,
    next: NextArgument,
    /// Whether the target was passed: later ones are those of rustc's and cc's own names.
    targeted: bool,
}

/// The treatment of the argument that comes next.
#[derive(Default)]
enum NextArgument {
    #[default]
    Translate,
    Keep,
    Drop,
    /// It is the symbol of a `-u`, which zig accepts only as one argument.
    Symbol,
}

impl<'a> Filter<'a> {
    /// Returns a filter for the `-target` in `args`, or for any target if there is none. `is_file`
    /// returns whether a path is that of a file.
    pub fn new(args: &'a [String], zig: ZigRelease, is_file: &'a dyn Fn(&str) -> bool) -> Self {
        let at = args.iter().position(|arg| arg == "-target");
        let target = at.and_then(|at| args.get(at + 1)).map_or("", String::as_str);
        Filter { target, zig, is_file, next: NextArgument::Translate, targeted: false }
    }

    /// Returns the arguments for zig that stand for `arg`.
    pub fn translate(&mut self, arg: &str) -> Vec<String> {
        let keep = || vec![arg.to_owned()];
        match mem::take(&mut self.next) {
            NextArgument::Translate => {}
            NextArgument::Keep => return keep(),
            NextArgument::Drop => return Vec::new(),
            NextArgument::Symbol => return vec![format!("-Wl,-u,{arg}")],
        }
        // Also where rustc adds the run-time library of profiles.
        if arg == "-u" {
            self.next = NextArgument::Symbol;
            return Vec::new();
        }
        if arg == "-target" && mem::replace(&mut self.targeted, true) {
            self.next = NextArgument::Drop;
            return Vec::new();
        }
        // The operand is for clang itself, in clang's own spelling.
        let lists = ["-Wl,-exported_symbols_list", "-Wl,--dynamic-list"];
        let list = lists.contains(&arg);
        if arg.starts_with("-Xarch_") || list && self.zig >= (0, 16) {
            self.next = NextArgument::Keep;
            return keep();
        }
        if list {
            self.next = NextArgument::Drop;
            return Vec::new();
        }
        if self.is_dropped(arg) {
            return Vec::new();
        }
        self.replacement(arg).unwrap_or_else(keep)
    }

    /// Returns whether zig rejects the argument, or links its own file instead.
    fn is_dropped(&self, arg: &str) -> bool {
        const REJECTED: [&str; 4] = [
            "-Wl,--no-undefined-version",
            "-Wl,-znostart-stop-gc",
            "-Wl,--fix-cortex-a53-843419",
            "-Wl,--no-rosegment",
        ];
        let starts = |start: &str| arg.starts_with(start);
        let lists = starts("-Wl,-exported_symbols_list,") || starts("-Wl,--dynamic-list,");
        // zig knows of the options for the preprocessor those that write dependencies.
        let preprocessor =
            starts("-Wp,") && !["-Wp,-MD", "-Wp,-MMD", "-Wp,-MT"].iter().any(|known| starts(known));
        // zig links its own libc, and its start files.
        let start_file =
            arg.ends_with(".o") && arg.contains("self-contained") && arg.contains("crt");
        let musl = self.target.contains("musl")
            && (start_file || ["-lc", "-Wl,-melf_i386"].contains(&arg));
        // The architectures are those of `-target`.
        let architecture = starts("-march=")
            && (self.target.starts_with("arm") || self.target.starts_with("i386"));
        REJECTED.contains(&arg)
            || starts("--target=")
            || starts("-Wl,-plugin-opt")
            || arg == "-Wl,-O1" && self.zig >= (0, 12)
            || lists && self.zig < (0, 16)
            || preprocessor
            || musl
            || architecture
    }

    /// Returns zig's equivalent of the argument, if that differs.
    fn replacement(&self, arg: &str) -> Option<Vec<String>> {
        let one = |text: String| Some(vec![text]);
        if arg == "-lgcc_s" {
            return one("-lunwind".to_owned());
        }
        if let Some(entry) = arg.strip_prefix("-e")
            && !entry.is_empty()
            && !entry.starts_with("xport")
        {
            return one(format!("-Wl,--entry={entry}"));
        }
        if let Some(symbol) = arg.strip_prefix("-Wl,--undefined=") {
            return one(format!("-Wl,-u,{symbol}"));
        }
        // A native library in an rlib with `+whole-archive`.
        if let Some(path) = arg.strip_prefix("-Wl,")
            && !path.starts_with('-')
            && (self.is_file)(path)
        {
            return one(path.to_owned());
        }
        let (flag, value) = arg.split_once('=')?;
        let aarch64 = self.target.starts_with("aarch64");
        match flag {
            "-march" if self.target.starts_with("riscv64") => one("-march=generic_rv64".to_owned()),
            "-march" if self.target.starts_with("riscv32") => one("-march=generic_rv32".to_owned()),
            "-march" if aarch64 && value.starts_with("armv") => {
                let mut args = vec![format!("-mcpu=generic{}", features(value))];
                if value.split('+').skip(1).any(|extension| extension == "crypto") {
                    args.extend(["-Xassembler".to_owned(), arg.to_owned()]);
                }
                Some(args)
            }
            "-mcpu" | "-mtune" if aarch64 => {
                let cpu = value.split('+').next().unwrap_or(value);
                one(format!("{flag}={}{}", self.cpu(cpu), features(value)))
            }
            "-march" | "-mcpu" | "-mtune" => one(format!("{flag}={}", self.cpu(value))),
            _ => None,
        }
    }

    /// Returns the name of zig for a CPU of clang: words are joined with `_`, since `-` removes a feature.
    /// The features after a `+` are returned unchanged.
    fn cpu(&self, value: &str) -> String {
        // `-` removes a feature there, in names that are for zig alone: clang's have none.
        if self.target.starts_with("s390x") {
            return value.to_owned();
        }
        let (cpu, features) = value.split_at(value.find('+').unwrap_or(value.len()));
        if !self.target.starts_with("powerpc") {
            return format!("{}{features}", cpu.replace('-', "_"));
        }
        let number = cpu.strip_prefix("power");
        let number = number.filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        match (number, cpu.strip_prefix("powerpc")) {
            (Some(number), _) => format!("pwr{number}{features}"),
            (None, Some(rest)) if ["", "64", "64le"].contains(&rest) => {
                format!("ppc{rest}{features}")
            }
            _ => value.to_owned(),
        }
    }
}

/// Returns the extensions of an AArch64 architecture or CPU, `armv8.2-a+sve+nofp16`, as zig writes
/// features: `+sve-fullfp16`. The names are those of `ExtensionWithMArch` in LLVM's
/// `AArch64Features.td`.
fn features(value: &str) -> String {
    const NAMES: [(&str, &str); 10] = [
        ("fp", "fp_armv8"),
        ("fp16", "fullfp16"),
        ("simd", "neon"),
        ("profile", "spe"),
        ("rng", "rand"),
        ("memtag", "mte"),
        ("pmuv3", "perfmon"),
        ("jscvt", "jsconv"),
        ("fcma", "complxnum"),
        ("predres2", "specres2"),
    ];
    let extensions = value.split('+').skip(1);
    let extensions = extensions.filter(|extension| !["", "none"].contains(extension));
    let feature = |extension: &str| {
        let removed = extension.strip_prefix("no").filter(|name| !name.is_empty());
        let name = removed.unwrap_or(extension);
        let known = NAMES.iter().find(|(clang, _)| *clang == name).map(|(_, zig)| *zig);
        let sign = if removed.is_some() { '-' } else { '+' };
        format!("{sign}{}", known.map_or_else(|| name.replace('-', "_"), str::to_owned))
    };
    extensions.map(feature).collect()
}

/// Returns whether `arg` names a file of arguments, which rustc writes if there are too many for a command
/// line.
pub fn is_response_file(arg: &str) -> bool {
    arg.starts_with('@') && arg.ends_with("linker-arguments")
}

/// Returns the arguments in a response file of rustc: one in each line, with a backslash before spaces and
/// backslashes.
pub fn read_response(text: &str) -> Vec<String> {
    let unescape = |line: &str| {
        let mut chars = line.chars();
        let mut arg = String::with_capacity(line.len());
        while let Some(c) = chars.next() {
            arg.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
        }
        arg
    };
    text.split_terminator('\n').map(unescape).collect()
}

/// Returns a response file for zig, which reads one as Windows splits a command line: white space separates,
/// and `"` quotes. An apostrophe is a quote as well and cannot be escaped.
pub fn write_response(args: &[String]) -> String {
    let quote = |arg: &String| {
        let special = |c: char| c.is_whitespace() || c == '"' || c == '\'';
        if !arg.is_empty() && !arg.starts_with('#') && !arg.contains(special) {
            return arg.clone();
        }
        // Backslashes are doubled before a quote, and nowhere else.
        let mut quoted = String::from("\"");
        let mut backslashes = 0;
        for c in arg.chars() {
            if c == '"' {
                quoted.push_str(&"\\".repeat(backslashes + 1));
            }
            backslashes = if c == '\\' { backslashes + 1 } else { 0 };
            quoted.push(c);
        }
        quoted.push_str(&"\\".repeat(backslashes));
        quoted + "\""
    };
    args.iter().map(quote).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(target: &str, zig: ZigRelease, text: &str) -> String {
        let args: Vec<String> =
            format!("-target {target} {text}").split(' ').map(str::to_owned).collect();
        let is_file = |path: &str| path == "/lib/there.a";
        let mut filter = Filter::new(&args, zig, &is_file);
        let out: Vec<String> = args.iter().flat_map(|arg| filter.translate(arg)).collect();
        assert_eq!(out[..2], ["-target", target]);
        out[2..].join(" ")
    }

    const AMD64: &str = "x86_64-linux-musl";
    const ARM64: &str = "aarch64-linux-musl";
    const ZIG: ZigRelease = (0, 15);

    #[test]
    fn arguments_that_zig_rejects_are_dropped() {
        let dropped = "--target=x86_64-unknown-linux-musl -Wl,--no-undefined-version \
                       -Wl,-znostart-stop-gc -Wl,--fix-cortex-a53-843419 -Wl,--no-rosegment \
                       -Wl,-plugin-opt=O3 -Wl,-O1 -Wp,-U_FORTIFY_SOURCE -lc \
                       /rust/self-contained/crt1.o -Wl,-melf_i386 -target x86_64-unknown-linux-musl \
                       -Wl,--dynamic-list -Wl,/tmp/list -Wl,--dynamic-list,/tmp/list";
        assert_eq!(filtered(AMD64, ZIG, &format!("{dropped} a.o")), "a.o");
        let kept = "-Wp,-MD,a.d -Wp,-MMD,a.d -Wp,-MT,a -Wl,-rpath,/lib -export-dynamic -e \
                    -Wl,/not/there.a -lgcc crt1.o self-contained/a.o";
        assert_eq!(filtered(AMD64, ZIG, kept), kept);
        let glibc = "-lc /rust/self-contained/crt1.o -Wl,-melf_i386";
        assert_eq!(filtered("x86_64-linux-gnu", ZIG, glibc), glibc);
    }

    #[test]
    fn versions_of_zig_differ() {
        let list = "-Wl,--dynamic-list -Wl,/lib/there.a -Wl,--dynamic-list,/tmp/list";
        assert_eq!(filtered(AMD64, (0, 16), list), list);
        assert_eq!(filtered(AMD64, (0, 11), "-Wl,-O1"), "-Wl,-O1");
    }

    #[test]
    fn arguments_get_their_names_in_zig() {
        for (arg, expected) in [
            ("-lgcc_s", "-lunwind"),
            ("-emain", "-Wl,--entry=main"),
            ("-Wl,--undefined=S", "-Wl,-u,S"),
            ("-u S", "-Wl,-u,S"),
            ("-Wl,/lib/there.a", "/lib/there.a"),
            ("-march=x86-64-v3", "-march=x86_64_v3"),
            ("-mtune=cascadelake", "-mtune=cascadelake"),
        ] {
            assert_eq!(filtered(AMD64, ZIG, arg), expected);
        }
        for (target, arg, expected) in [
            (ARM64, "-march=armv8.4-a", "-mcpu=generic"),
            (
                ARM64,
                "-march=armv8-a+crypto",
                "-mcpu=generic+crypto -Xassembler -march=armv8-a+crypto",
            ),
            (ARM64, "-march=armv8.2-a+sve+nofp16+none", "-mcpu=generic+sve-fullfp16"),
            (ARM64, "-mcpu=cortex-a53+sve2-aes+fp", "-mcpu=cortex_a53+sve2_aes+fp_armv8"),
            (ARM64, "-Xarch_arm64 -mcpu=apple-m1", "-Xarch_arm64 -mcpu=apple-m1"),
            ("arm-linux-musleabihf", "-march=armv7-a -mcpu=cortex-a7", "-mcpu=cortex_a7"),
            ("riscv64-linux-musl", "-march=rv64gc", "-march=generic_rv64"),
            ("riscv32-linux-musl", "-march=rv32gc", "-march=generic_rv32"),
            ("powerpc64le-linux-gnu", "-mcpu=power9", "-mcpu=pwr9"),
            ("powerpc64le-linux-gnu", "-mcpu=powerpc64le", "-mcpu=ppc64le"),
            ("s390x-linux-gnu", "-mcpu=z10-vector", "-mcpu=z10-vector"),
        ] {
            assert_eq!(filtered(target, ZIG, arg), expected, "{arg} for {target}");
        }
    }

    #[test]
    fn response_files_change_their_form() {
        let args = read_response("/a\\ b/c.o\n-L\n\\\\x\n/d\"e\\\n");
        assert_eq!(args, ["/a b/c.o", "-L", "\\x", "/d\"e\\"]);
        assert_eq!(write_response(&args), "\"/a b/c.o\"\n-L\n\\x\n\"/d\\\"e\\\\\"");
        let odd = ["", "#a", "a\\\"b", "it's"].map(str::to_owned);
        assert_eq!(write_response(&odd), "\"\"\n\"#a\"\n\"a\\\\\\\"b\"\n\"it's\"");
        assert!(is_response_file("@/tmp/rustcX/linker-arguments"));
        assert!(!is_response_file("@objects.rsp"));
    }
}
