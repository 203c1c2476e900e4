//! What a linker of objects is told.

/// The beginnings of clang's flags that allow instructions of one x86 extension each
/// (<https://clang.llvm.org/docs/ClangCommandLineReference.html#x86>).
const EXTENSIONS: [&str; 26] = [
    "sse", "ssse3", "avx", "evex512", "aes", "vaes", "pclmul", "vpclmul", "sha", "gfni", "bmi",
    "fma", "f16c", "lzcnt", "popcnt", "movbe", "adx", "rdrnd", "rdseed", "xsave", "cx16",
    "fsgsbase", "mmx", "prfchw", "amx", "abm",
];

/// `args` of a compiler without the CPU extensions, where it only links objects. They change
/// nothing in those, but zig compiles libc and compiler-rt anew for each set of extensions that it
/// links for: CMake's tests for compiler flags would have it do that a dozen times, a minute each.
/// So does `-mtune`, which zig takes for the CPU to compile for. What names a CPU for good (`-mcpu`,
/// `-march`) is somebody's choice and stays.
pub fn for_any_cpu(args: Vec<String>) -> Vec<String> {
    let compiles = |arg: &String| {
        let stops = ["-c", "-S", "-E", "-M", "-MM", "-fsyntax-only", "-x", "-"];
        let sources = [".c", ".cc", ".cpp", ".cxx", ".C", ".m", ".mm", ".s", ".S", ".ll", ".bc"];
        // What a response file holds is not known here.
        stops.contains(&arg.as_str())
            || arg.starts_with('@')
            || !arg.starts_with('-') && sources.iter().any(|end| arg.ends_with(end))
    };
    if args.iter().any(compiles) {
        return args;
    }
    let extension = |arg: &String| {
        let name = arg.strip_prefix("-mno-").or_else(|| arg.strip_prefix("-m"));
        name.is_some_and(|name| EXTENSIONS.iter().any(|start| name.starts_with(start)))
    };
    let dropped = |arg: &String| extension(arg) || arg.starts_with("-mtune=");
    args.into_iter().filter(|arg| !dropped(arg)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn extensions_go_from_links_alone() {
        let link = "-g -target x86_64-linux-musl -mavx2 -mno-sse4.2 -mevex512 -mcpu=x86_64_v3 \
                    -mtune=cascadelake -march=native -m64 -mcmodel=small -mllvm -x1 a.o -o a";
        let rest = "-g -target x86_64-linux-musl -mcpu=x86_64_v3 -march=native -m64 \
                    -mcmodel=small -mllvm -x1 a.o -o a";
        assert_eq!(for_any_cpu(words(link)), words(rest));
        for compile in ["-mavx2 -c a.c -o a.o", "-mavx2 a.c -o a", "-mavx2 @args", "-mavx2 -E -"] {
            assert_eq!(for_any_cpu(words(compile)), words(compile));
        }
    }
}
