//! Arguments for bindgen, which reads headers with its own libclang
//! (<https://rust-lang.github.io/rust-bindgen/command-line-usage.html>): with them it reads those of zig,
//! as zig's compiler does.

use super::compiler::shell_word;
use crate::model::error::{Error, Result};

/// The end of a line that names a directory of frameworks.
const FRAMEWORK: &str = " (framework directory)";

/// The header search paths that a compiler prints with `-v`.
struct Headers<'a> {
    directories: Vec<&'a str>,
    /// The minor version of glibc, which zig defines.
    glibc: Option<&'a str>,
}

impl<'a> Headers<'a> {
    /// Reads the output of a compiler with `-v`.
    fn new(text: &'a str) -> Option<Self> {
        let (_, list) = text.split_once("#include <...> search starts here:")?;
        let (list, _) = list.split_once("End of search list.")?;
        let lines = list.lines().map(str::trim).filter(|line| !line.is_empty());
        let directories = lines.filter(|line| !line.ends_with(FRAMEWORK)).collect();
        let glibc = text.split_once("__GLIBC_MINOR__=").map(|(_, rest)| {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            &rest[..end]
        });
        Some(Headers { directories, glibc: glibc.filter(|minor| !minor.is_empty()) })
    }
}

/// The definitions that zig compiles its C++ library with (`addCxxArgs` in `src/libs/libcxx.zig`), of every
/// version: a name that one does not know does nothing.
const LIBCXX: [&str; 19] = [
    "_LIBCPP_DISABLE_VISIBILITY_ANNOTATIONS",
    "_LIBCPP_HAS_NO_VENDOR_AVAILABILITY_ANNOTATIONS",
    "_LIBCXXABI_DISABLE_VISIBILITY_ANNOTATIONS",
    "_LIBCPP_PSTL_CPU_BACKEND_SERIAL",
    "_LIBCPP_ABI_VERSION=1",
    "_LIBCPP_ABI_NAMESPACE=__1",
    "_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_FAST",
    "_LIBCPP_HAS_LOCALIZATION=1",
    "_LIBCPP_HAS_WIDE_CHARACTERS=1",
    "_LIBCPP_HAS_UNICODE=1",
    "_LIBCPP_HAS_THREADS=1",
    "_LIBCPP_HAS_MONOTONIC_CLOCK",
    "_LIBCPP_ASSERTION_SEMANTIC_DEFAULT=_LIBCPP_ASSERTION_SEMANTIC_ENFORCE",
    "_LIBCPP_PSTL_BACKEND_SERIAL",
    "_LIBCPP_HAS_VENDOR_AVAILABILITY_ANNOTATIONS=0",
    "_LIBCPP_HAS_TERMINAL",
    "_LIBCPP_HAS_RANDOM_DEVICE",
    "_LIBCPP_HAS_NO_STD_MODULES",
    "_LIBCPP_HAS_FILESYSTEM=1",
];

/// Returns the arguments for `target`, from what zig's C and C++ compilers print with `-v`.
///
/// # Errors
/// The output is not that of clang.
pub fn arguments(target: &str, c: &str, cxx: &str) -> Result<Vec<String>> {
    let headers = |text, language: &str| {
        let unread = || {
            Error::tool(format!(
                "zig's {language} compiler for `{target}` prints no header directories"
            ))
        };
        Headers::new(text).ok_or_else(unread)
    };
    let (c, cxx) = (headers(c, "C")?, headers(cxx, "C++")?);
    // The directories of C are among those of C++: some are before them, and some behind.
    let at = |directory: Option<&&str>| cxx.directories.iter().position(|d| Some(d) == directory);
    let start = at(c.directories.first()).unwrap_or(0);
    let end = at(c.directories.last()).map_or(cxx.directories.len(), |last| last + 1);
    let mut args = vec!["-nostdinc".to_owned()];
    let mut define = |name: &str| args.push(format!("-D{name}"));
    if target.contains("musl") {
        define("_LIBCPP_HAS_MUSL_LIBC");
        define("_LARGEFILE64_SOURCE");
    }
    LIBCXX.iter().for_each(|name| define(name));
    define("_LIBCPP_HAS_TIME_ZONE_DATABASE");
    if let Some(minor) = c.glibc {
        define(&format!("__GLIBC_MINOR__={minor}"));
    }
    let mut add = |words: &[&str]| args.extend(words.iter().map(|word| (*word).to_owned()));
    cxx.directories[..start].iter().for_each(|directory| add(&["-cxx-isystem", directory]));
    for directory in &c.directories {
        // `-isystem` alone would come before `-cxx-isystem`, whatever their order.
        add(&["-Xclang", "-c-isystem", "-Xclang", directory, "-cxx-isystem", directory]);
    }
    cxx.directories[end..].iter().for_each(|directory| add(&["-cxx-isystem", directory]));
    Ok(args)
}

/// Returns the value of a variable with the arguments of the user, if any, before `args`.
pub fn joined(user: Option<&str>, args: &[String]) -> String {
    // bindgen takes text with an unclosed quote for one argument.
    let user = user
        .filter(|text| !text.is_empty())
        .map(|text| if is_closed(text) { text.to_owned() } else { shell_word(text) });
    let words = args.iter().map(|arg| shell_word(arg));
    user.into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

/// Returns whether each quote of `text` is closed, and each backslash is followed by a character.
fn is_closed(text: &str) -> bool {
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' && quote != Some('\'') && chars.next().is_none() {
            return false;
        }
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    quote.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(directories: &[&str]) -> String {
        let list: String = directories.iter().map(|directory| format!(" {directory}\n")).collect();
        format!(
            "clang -cc1 -D __GLIBC_MINOR__=17 -v\n#include \"...\" search starts here:\n\
             #include <...> search starts here:\n{list}End of search list.\n"
        )
    }

    #[test]
    fn each_language_reads_its_own_directories() {
        let c = output(&["/zig/include", "/zig/libc/musl"]);
        let cxx = output(&["/zig/libcxx", "/zig/include", "/zig/libc/musl", "/zig/last"]);
        let args = arguments("x86_64-unknown-linux-musl", &c, &cxx).unwrap();
        assert_eq!(args[..2], ["-nostdinc", "-D_LIBCPP_HAS_MUSL_LIBC"]);
        assert!(args.contains(&"-D__GLIBC_MINOR__=17".to_owned()));
        let at = args.iter().position(|arg| !arg.starts_with("-D") && arg != "-nostdinc").unwrap();
        assert_eq!(
            args[at..].join(" "),
            "-cxx-isystem /zig/libcxx \
             -Xclang -c-isystem -Xclang /zig/include -cxx-isystem /zig/include \
             -Xclang -c-isystem -Xclang /zig/libc/musl -cxx-isystem /zig/libc/musl \
             -cxx-isystem /zig/last"
        );
        assert!(arguments("x86_64-unknown-linux-musl", "no clang", &cxx).is_err());
    }

    #[test]
    fn the_arguments_of_the_user_come_first() {
        let args = ["-nostdinc", "/a b"].map(str::to_owned);
        assert_eq!(joined(None, &args), "-nostdinc '/a b'");
        assert_eq!(joined(Some(""), &args), "-nostdinc '/a b'");
        assert_eq!(joined(Some("-DA='b c'"), &args), "-DA='b c' -nostdinc '/a b'");
        assert_eq!(joined(Some("-DA='b"), &args), r"'-DA='\''b' -nostdinc '/a b'");
    }
}
