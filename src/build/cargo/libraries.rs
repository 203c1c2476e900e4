//! Libraries and objects that flags add to a link.

use super::rustflags::{FlagGroup, UserFlags, codegen_options, flag_groups};
use crate::{build::target::Target, model::schema::plan::Flag};

/// Returns the first flag that adds a library, an object or a directory of them to the link of programs for `target`,
/// with its origin.
pub fn linked_library(user: &UserFlags, target: &Target, profile: &[Flag]) -> Option<String> {
    let groups = flag_groups(user, target, profile);
    let of_flags = groups.iter().find_map(|FlagGroup { flags, origin }| {
        library_flag(flags).map(|flag| format!("`{flag}` from {origin}"))
    });
    let words = target.spec.link_args.iter().map(String::as_str).collect::<Vec<_>>();
    let of_target = || {
        let argument = library_argument(&words)?;
        Some(format!("`{argument}` from `link-args` of {}", target.origin))
    };
    of_flags.or_else(of_target)
}

/// Returns the flag of rustc's that adds to a link.
fn library_flag(flags: &[String]) -> Option<String> {
    // `-L` and `-l` have their operand in the same or in the next argument.
    let own = flags.iter().find(|flag| flag.starts_with("-L") || flag.starts_with("-l"));
    let options: Vec<String> = codegen_options(flags).collect();
    let words = options.iter().filter_map(|setting| {
        let (key, value) = setting.split_once('=')?;
        match key {
            "link-arg" | "pre-link-arg" => Some(vec![value]),
            "link-args" | "pre-link-args" => Some(value.split_whitespace().collect()),
            _ => None,
        }
    });
    let words: Vec<&str> = words.flatten().collect();
    own.cloned().or_else(|| library_argument(&words).map(str::to_owned))
}

/// Returns the argument of a linker that names a library, a directory of libraries or a file. A linker script and an
/// operand are options.
fn library_argument<'a>(words: &[&'a str]) -> Option<&'a str> {
    let mut operand = false;
    words.iter().copied().find(|word| {
        if std::mem::take(&mut operand) {
            return false;
        }
        operand = ["-u", "-z", "-e", "-T", "-Xlinker"].contains(word);
        match word.strip_prefix("-Wl,") {
            Some(list) => list.split(',').any(is_library),
            None => !word.starts_with('-') || is_library(word),
        }
    })
}

fn is_library(word: &str) -> bool {
    word.starts_with("-l")
        || word.starts_with("-L")
        || [".a", ".o", ".so"].iter().any(|end| word.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_not_libraries() {
        let flag = |text: &str| {
            let flags: Vec<String> = text.split(' ').map(str::to_owned).collect();
            library_flag(&flags)
        };
        for (flags, expected) in [
            ("-Clink-arg=-lstdc++ -Copt-level=3", Some("-lstdc++")),
            ("-C link-args=-Wl,--gc-sections\u{a0}/a/b.o", Some("/a/b.o")),
            ("-L native=/opt/lib", Some("-L")),
            ("-lstatic=x", Some("-lstatic=x")),
            ("-Clink-arg=-Wl,--whole-archive,/a/b.a", Some("-Wl,--whole-archive,/a/b.a")),
            ("-Clink-arg=-Wl,-z,stack-size=8388608 -Clink-arg=-u -Clink-arg=name", None),
            ("-Clink-arg=-Wl,--icf=all -Clink-arg=-T -Clink-arg=x.ld -Clink-arg=-rdynamic", None),
            ("-Ctarget-cpu=native -Cdebuginfo=1", None),
        ] {
            assert_eq!(flag(flags).as_deref(), expected, "{flags}");
        }
    }
}
