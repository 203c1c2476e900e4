//! Arguments for linking objects.

/// The beginnings of clang's flags that allow instructions of one x86 extension each
/// (<https://clang.llvm.org/docs/ClangCommandLineReference.html#x86>).
const EXTENSIONS: [&str; 26] = [
    "sse", "ssse3", "avx", "evex512", "aes", "vaes", "pclmul", "vpclmul", "sha", "gfni", "bmi",
    "fma", "f16c", "lzcnt", "popcnt", "movbe", "adx", "rdrnd", "rdseed", "xsave", "cx16",
    "fsgsbase", "mmx", "prfchw", "amx", "abm",
];

/// Returns `args` of a compiler without the CPU extensions if it only links objects. They change
/// nothing in those, but zig compiles libc and compiler-rt again for each set of extensions that it
/// links for: CMake's tests for compiler flags would cause a dozen of these, a minute each. So does
/// `-mtune`, which zig uses as the CPU to compile for. Flags that select a CPU permanently (`-mcpu`,
/// `-march`) are the user's choice and are preserved.
pub fn without_cpu_extensions(args: Vec<String>) -> Vec<String> {
    if args.iter().any(|arg| compiles(arg)) {
        return args;
    }
    let extension = |arg: &String| {
        let name = arg.strip_prefix("-mno-").or_else(|| arg.strip_prefix("-m"));
        name.is_some_and(|name| EXTENSIONS.iter().any(|start| name.starts_with(start)))
    };
    let dropped = |arg: &String| extension(arg) || arg.starts_with("-mtune=");
    args.into_iter().filter(|arg| !dropped(arg)).collect()
}

/// Returns `args` of a compiler with flags that keep the directories of `maps`, the value of
/// [`super::PREFIX_MAP`], out of its output. The flags of the user come later and win.
pub fn with_prefix_map(args: Vec<String>, maps: &str) -> Vec<String> {
    if maps.is_empty() || !args.iter().any(|arg| compiles(arg)) {
        return args;
    }
    prefix_map_flags(maps).chain(args).collect()
}

fn prefix_map_flags(maps: &str) -> impl Iterator<Item = String> {
    let maps = maps.split(super::SEPARATOR).filter(|map| !map.is_empty());
    maps.map(|map| format!("-ffile-prefix-map={map}"))
}

/// Returns the arguments that add the assembly in the file `path` to a link. Its debug information names neither its
/// directory nor those of `maps`, and flags for C in the same call cause no warning.
pub fn assembly_args(path: &str, maps: &str) -> Vec<String> {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let mut args = vec![
        "-Wno-unused-command-line-argument".to_owned(),
        format!("-ffile-prefix-map={directory}=/longshore"),
    ];
    args.extend(prefix_map_flags(maps));
    args.push(path.to_owned());
    args
}

/// Returns whether a compiler with `args` only links objects, as rustc does.
pub fn only_links(args: &[String]) -> bool {
    !args.iter().any(|arg| compiles(arg) && !super::filter::is_response_file(arg))
}

/// Returns whether a compiler with the argument `arg` compiles, and does not only link objects.
fn compiles(arg: &str) -> bool {
    let stops = ["-c", "-S", "-E", "-M", "-MM", "-fsyntax-only", "-x", "-"];
    let sources = [".c", ".cc", ".cpp", ".cxx", ".C", ".m", ".mm", ".s", ".S", ".ll", ".bc"];
    // What a response file holds is not known here.
    stops.contains(&arg)
        || arg.starts_with('@')
        || !arg.starts_with('-') && sources.iter().any(|end| arg.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn cpu_extensions_are_removed_from_links_only() {
        let link = "-g -target x86_64-linux-musl -mavx2 -mno-sse4.2 -mevex512 -mcpu=x86_64_v3 \
                    -mtune=cascadelake -march=native -m64 -mcmodel=small -mllvm -x1 a.o -o a";
        let rest = "-g -target x86_64-linux-musl -mcpu=x86_64_v3 -march=native -m64 \
                    -mcmodel=small -mllvm -x1 a.o -o a";
        assert_eq!(without_cpu_extensions(words(link)), words(rest));
        assert!(only_links(&words(link)) && only_links(&words("@/t/linker-arguments -pie")));
        assert!(!only_links(&words("a.o b.c")) && !only_links(&words("@objects.rsp")));
        for compile in ["-mavx2 -c a.c -o a.o", "-mavx2 a.c -o a", "-mavx2 @args", "-mavx2 -E -"] {
            assert_eq!(without_cpu_extensions(words(compile)), words(compile));
        }
    }

    #[test]
    fn assembly_in_a_link_names_no_directory() {
        assert_eq!(
            assembly_args("/c/malloc.s", "/w=/workspace"),
            [
                "-Wno-unused-command-line-argument",
                "-ffile-prefix-map=/c=/longshore",
                "-ffile-prefix-map=/w=/workspace",
                "/c/malloc.s"
            ]
        );
        assert_eq!(assembly_args("/c/malloc.s", "").len(), 3);
    }

    #[test]
    fn directories_are_mapped_where_something_is_compiled() {
        let maps = "/a b=/workspace\u{1f}/c;d=/cargo";
        assert_eq!(
            with_prefix_map(words("-O2 -c a.c"), maps),
            [
                "-ffile-prefix-map=/a b=/workspace",
                "-ffile-prefix-map=/c;d=/cargo",
                "-O2",
                "-c",
                "a.c"
            ]
        );
        assert_eq!(with_prefix_map(words("a.o -o a"), maps), words("a.o -o a"));
        assert_eq!(with_prefix_map(words("-c a.c"), ""), words("-c a.c"));
    }
}
