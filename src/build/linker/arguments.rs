//! Arguments for rust-lld that stand for those that rustc and build scripts give to a C compiler that links. The
//! start files and the C library are added as that compiler would
//! (<https://gcc.gnu.org/onlinedocs/gcc/Link-Options.html>).

/// Libraries that other systems have beside their C library; those of musl are empty or missing
/// (<https://musl.libc.org/doc/1.1.24/manual.html>, "Libraries").
const IN_LIBC: [&str; 9] = ["c", "crypt", "dl", "m", "pthread", "resolv", "rt", "util", "xnet"];

/// Libraries of C++, which no toolchain of Rust has.
const CXX: [&str; 6] = ["c++", "c++_static", "c++abi", "stdc++", "stdc++fs", "supc++"];

/// Arguments of compilers that change nothing in a link.
const DROPPED: [&str; 12] = [
    "-m64",
    "-no-pie",
    "-nodefaultlibs",
    "-nolibc",
    "-nostartfiles",
    "-nostdlib",
    "-pie",
    "-pthread",
    "-static",
    "-static-pie",
    "-v",
    "-lgcc",
];

/// Arguments with an operand that rust-lld has, too.
const WITH_OPERAND: [&str; 7] = ["-L", "-T", "-e", "-l", "-o", "-u", "-z"];

/// Returns the arguments for rust-lld that link the same as `args`, those of a C compiler. `libraries` is the
/// directory with the start files and the C library.
///
/// # Errors
/// An argument is for something that rust-lld does not link.
pub fn translate(args: &[String], libraries: &str) -> Result<Vec<String>, String> {
    let has = |name: &str| args.iter().any(|arg| arg == name);
    if has("-shared") || has("-dynamiclib") {
        return Err("rust-lld links static programs, and this is a shared library".to_owned());
    }
    // Of several, the last one; for some targets rustc knows no static-pie, and longshore requests it.
    let kinds = ["-static-pie", "-pie", "-no-pie"];
    let kind = args.iter().rfind(|arg| kinds.contains(&arg.as_str()));
    let is_pie = kind.is_some_and(|kind| kind != "-no-pie");
    let mut translated = Translation::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        translated.add(arg, &mut args, libraries)?;
    }
    let Translation { output, own } = translated;
    let (kind, begin, end): (&[&str], _, _) = if is_pie {
        let kind = &["-static", "-pie", "--no-dynamic-linker", "-z", "text"];
        (kind, ["rcrt1.o", "crti.o", "crtbeginS.o"], ["crtendS.o", "crtn.o"])
    } else {
        (&["-static", "-no-pie"], ["crt1.o", "crti.o", "crtbegin.o"], ["crtend.o", "crtn.o"])
    };
    let file = |name: &str| format!("{libraries}/{name}");
    let mut all = vec!["-flavor".to_owned(), "gnu".to_owned()];
    all.extend(kind.iter().map(|arg| (*arg).to_owned()));
    all.extend(begin.iter().map(|name| file(name)));
    all.extend(output);
    // Before the C library, which defines what these replace.
    all.extend(own);
    all.extend([format!("-L{libraries}"), "-Bstatic".to_owned(), "-lunwind".to_owned()]);
    all.push("-lc".to_owned());
    all.extend(end.iter().map(|name| file(name)));
    Ok(all)
}

/// The separator of the arguments that longshore adds from those of rustc.
pub const OWN: &str = "--longshore";

#[derive(Default)]
struct Translation {
    output: Vec<String>,
    /// The objects among longshore's arguments.
    own: Vec<String>,
}

impl Translation {
    /// Adds what stands for `arg`; `rest` has those after it.
    fn add<'a>(
        &mut self,
        arg: &str,
        rest: &mut impl Iterator<Item = &'a String>,
        libraries: &str,
    ) -> Result<(), String> {
        let mut operand = || rest.next().cloned().unwrap_or_default();
        if let Some(list) = arg.strip_prefix("-Wl,") {
            self.output.extend(list.split(',').map(str::to_owned));
        } else if arg == "-Xlinker" {
            self.output.push(operand());
        } else if WITH_OPERAND.contains(&arg) {
            let operand = operand();
            match arg {
                "-l" => self.library(&operand)?,
                _ => self.output.extend([arg.to_owned(), operand]),
            }
        } else if ["-target", "-arch", "-x", "-Xclang", "-isysroot", "--sysroot"].contains(&arg) {
            let _ = operand();
        } else if let Some(name) = arg.strip_prefix("-l").filter(|_| arg != "-lgcc") {
            self.library(name)?;
        } else if arg == "-rdynamic" {
            self.output.push("--export-dynamic".to_owned());
        } else if let Some(object) = arg.strip_prefix(OWN).and_then(|rest| rest.strip_prefix('=')) {
            self.own.push(object.to_owned());
        } else if !is_dropped(arg, libraries) {
            self.output.push(arg.to_owned());
        }
        Ok(())
    }

    fn library(&mut self, name: &str) -> Result<(), String> {
        if CXX.contains(&name) {
            return Err(format!(
                "`-l{name}` requests a C++ library, which the Rust toolchain does not have and zig does"
            ));
        }
        // The unwinder comes at the end, where gcc has it.
        if !IN_LIBC.contains(&name) && !["gcc_s", "gcc_eh", "unwind"].contains(&name) {
            self.output.push(format!("-l{name}"));
        }
        Ok(())
    }
}

/// Returns whether the argument changes nothing, or is for a file that is added in any case.
fn is_dropped(arg: &str, libraries: &str) -> bool {
    let starts = ["-O", "-W", "-f", "-g", "-m", "-B", "--target=", "--sysroot=", "-std="];
    let start_file = arg.ends_with(".o")
        && arg.strip_prefix(libraries).is_some_and(|name| name.contains("crt"))
        || arg.ends_with(".o") && arg.contains("/self-contained/") && arg.contains("crt");
    DROPPED.contains(&arg) || starts.iter().any(|start| arg.starts_with(start)) || start_file
}

/// Returns a response file for rust-lld, which reads it as a POSIX shell splits words
/// (<https://llvm.org/docs/CommandLine.html#response-files>).
pub fn write_response(args: &[String]) -> String {
    let quote = |arg: &String| {
        let special = |c: char| c.is_whitespace() || "\\\"'".contains(c);
        if arg.is_empty() {
            return "\"\"".to_owned();
        }
        let mut quoted = String::with_capacity(arg.len());
        for c in arg.chars() {
            if special(c) {
                quoted.push('\\');
            }
            quoted.push(c);
        }
        quoted
    };
    args.iter().map(|arg| quote(arg) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIBRARIES: &str = "/rust/lib/self-contained";

    fn translated(text: &str) -> Result<String, String> {
        let args: Vec<String> = text.split(' ').map(str::to_owned).collect();
        translate(&args, LIBRARIES).map(|args| args.join(" "))
    }

    #[test]
    fn a_link_of_rustc_becomes_one_of_lld() {
        let args = "-m64 /rust/lib/self-contained/rcrt1.o /rust/lib/self-contained/crti.o \
                    /t/a.o -Wl,--as-needed -Wl,-Bstatic /t/libx.rlib -lunwind -lc -L /t -o /t/a \
                    -Wl,--gc-sections -static-pie -Wl,-z,relro,-z,now -Wl,-O1 -nodefaultlibs \
                    /rust/lib/self-contained/crtn.o -pie -Wl,--build-id=sha1 --longshore=/c/m.o";
        assert_eq!(
            translated(args).unwrap(),
            "-flavor gnu -static -pie --no-dynamic-linker -z text \
             /rust/lib/self-contained/rcrt1.o /rust/lib/self-contained/crti.o \
             /rust/lib/self-contained/crtbeginS.o /t/a.o --as-needed -Bstatic /t/libx.rlib -L /t \
             -o /t/a --gc-sections -z relro -z now -O1 --build-id=sha1 /c/m.o \
             -L/rust/lib/self-contained -Bstatic -lunwind -lc /rust/lib/self-contained/crtendS.o \
             /rust/lib/self-contained/crtn.o"
        );
    }

    #[test]
    fn arguments_of_build_scripts_keep_their_meaning() {
        let middle = |text: &str| {
            let all = translated(text).unwrap();
            let begin = format!(
                "-flavor gnu -static -no-pie {LIBRARIES}/crt1.o {LIBRARIES}/crti.o \
                 {LIBRARIES}/crtbegin.o "
            );
            let rest = all.strip_prefix(&begin).unwrap().to_owned();
            rest.split(&format!("-L{LIBRARIES}")).next().unwrap().trim().to_owned()
        };
        for (args, expected) in [
            ("-static -no-pie a.o", "a.o"),
            ("-lm -lpthread -l dl -lssl -l z", "-lssl -lz"),
            ("-u name -e start -z stack-size=1", "-u name -e start -z stack-size=1"),
            ("-Xlinker --wrap=f -rdynamic", "--wrap=f --export-dynamic"),
            ("-O2 -g -march=native -fuse-ld=lld -Wno-x -target x86_64-linux-musl a.o", "a.o"),
            (
                "-Wl,--whole-archive,/a/b.a,--no-whole-archive",
                "--whole-archive /a/b.a --no-whole-archive",
            ),
            ("/build/crt.o -T x.ld", "/build/crt.o -T x.ld"),
        ] {
            assert_eq!(middle(args), expected, "{args}");
        }
    }

    #[test]
    fn cxx_and_shared_libraries_are_rejected_by_name() {
        assert!(translated("-static a.o -pie").unwrap().contains("rcrt1.o"));
        for args in ["-static a.o -lstdc++", "-l c++"] {
            assert!(translated(args).unwrap_err().contains("C++ library"), "{args}");
        }
        assert!(translated("-shared a.o").unwrap_err().contains("shared library"));
    }

    #[test]
    fn response_files_are_quoted_as_for_a_shell() {
        let args = ["/a b", "", "c\"d'e\\f", "-l"].map(str::to_owned);
        assert_eq!(write_response(&args), "/a\\ b\n\"\"\nc\\\"d\\'e\\\\f\n-l\n");
    }
}
