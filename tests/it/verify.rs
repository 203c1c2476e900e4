//! Facts, stripping and separate debug information of files that real linkers made, held against
//! readelf and gdb. A missing tool skips a test with a message, and fails it where `CI` is `true`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use longshore::{
    binary::elf::{Facts, Libc, Shape, StripOptions, split, strip},
    model::machine::machine_name,
};

use crate::support::peer;

const SOURCE: &str = r#"
#include <stdio.h>
int __attribute__((noinline)) compute(int n) {
    int total = 0;
    for (int i = 0; i < n; i++) total += i;
    return total;
}
int main(int argc, char **argv) { printf("sum %d\n", compute(argc + 9)); return 0; }
"#;

/// Returns the program of that name, or none after saying that the test is skipped.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    // Whatever there is of it, longshore finds it or fetches it.
    if name == "zig" { Some(peer::zig()) } else { peer::find(name) }
}

/// Returns the output of a command to stdout and stderr, and whether it succeeded.
fn outcome(program: impl AsRef<Path>, args: &[&str], directory: &Path) -> (String, String, bool) {
    let mut command = Command::new(program.as_ref());
    let output = command.args(args).current_dir(directory).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let success = output.status.success();
    (text(&output.stdout), text(&output.stderr), success)
}

/// Returns the output of a command to stdout; it must succeed.
#[track_caller]
fn run(program: impl AsRef<Path>, args: &[&str], directory: &Path) -> String {
    let (out, err, success) = outcome(program.as_ref(), args, directory);
    assert!(success, "{}: {out}{err}", program.as_ref().display());
    out
}

/// Returns an empty directory for one test.
fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("verify").join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("hello.c"), SOURCE).unwrap();
    directory
}

fn write_program(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Neither warnings nor errors from readelf, which reads every table.
#[track_caller]
fn clean(file: &str, directory: &Path) {
    let Some(readelf) = tool("readelf") else {
        return;
    };
    let (_, err, _) = outcome(readelf, &["-aW", file], directory);
    // Debug information has the header of the interpreter's path, and not the path; objcopy's too.
    let expected = "Unable to find program interpreter name";
    let rest: Vec<_> = err.lines().filter(|line| !line.contains(expected)).collect();
    assert!(rest.is_empty(), "{file}: {rest:#?}");
}

/// Strips and splits `hello`, checks what must hold of every program, and leaves `hello.stripped`,
/// `hello.split` and `hello.debug` beside it.
#[track_caller]
fn split_program(directory: &Path) -> Facts {
    let bytes = fs::read(directory.join("hello")).unwrap();
    let facts = Facts::read(&bytes).unwrap();
    assert!(facts.symbols && !facts.debug_sections.is_empty());
    let stripped = strip(&bytes, StripOptions::default()).unwrap();
    let again = strip(&stripped, StripOptions::default()).unwrap();
    assert!(again.bytes().unwrap() == stripped.bytes().unwrap());
    let split = split(
        &bytes,
        StripOptions { comment: true, build_id: false, dependencies: None },
        "hello.debug",
    )
    .unwrap();
    for (name, program) in [("hello.stripped", &stripped), ("hello.split", &split.stripped)] {
        let after = Facts::read(program).unwrap();
        assert!(!after.symbols && after.debug_sections.is_empty() && after.has_sections);
        let same = |facts: &Facts| {
            let loaded = (facts.segments.clone(), facts.entry, facts.shape, facts.stack);
            (loaded, facts.needed.clone())
        };
        assert_eq!(same(&after), same(&facts), "{name}");
        // It is that of the loaded bytes, whatever the linker made of the rest.
        assert_eq!(after.build_id.as_ref().map(Vec::len), Some(20), "{name}");
        assert_ne!(after.build_id, facts.build_id, "{name}");
        write_program(&directory.join(name), &program.bytes().unwrap());
        clean(name, directory);
    }
    let debug = Facts::read(&split.debug).unwrap();
    assert!(debug.detached && debug.symbols);
    assert_eq!(debug.debug_sections, facts.debug_sections);
    assert_eq!(debug.build_id, Facts::read(&split.stripped).unwrap().build_id);
    assert_eq!(debug.build_id, Facts::read(&stripped).unwrap().build_id);
    fs::write(directory.join("hello.debug"), split.debug.bytes().unwrap()).unwrap();
    clean("hello.debug", directory);
    facts
}

/// gdb finds the source line of `compute` through the debug link, and through the build id.
#[track_caller]
fn debuggers_find_lines(directory: &Path, facts: &Facts) {
    let Some(gdb) = tool("gdb") else { return };
    let ask = |program: &str, debug: &Path| {
        let debug = format!("set debug-file-directory {}", debug.display());
        let line = "info line compute";
        let args = ["-nx", "-batch", "-iex", &debug, "-ex", line, program];
        // It ends badly where it does not know the function.
        outcome(&gdb, &args, directory).0
    };
    let nowhere = directory.join("nowhere");
    let found = "Line 3 of \"hello.c\"";
    let text = ask("hello.split", &nowhere);
    assert!(text.contains(found), "{text}");
    let text = ask("hello.stripped", &nowhere);
    assert!(!text.contains(found), "{text}");

    let id = facts.build_id.as_ref().expect("linked with a build id");
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let (first, rest) = hex.split_at(2);
    let place = directory.join("debug/.build-id").join(first);
    fs::create_dir_all(&place).unwrap();
    fs::copy(directory.join("hello.debug"), place.join(format!("{rest}.debug"))).unwrap();
    let text = ask("hello.stripped", &directory.join("debug"));
    assert!(text.contains(found), "{text}");
}

/// Lints look for these texts in files; what has them in it for that reason alone would be
/// complained of, and longshore verifies itself.
#[test]
fn longshore_passes_its_text_lints() {
    let bytes = fs::read(env!("CARGO_BIN_EXE_cargo-longshore")).unwrap();
    let facts = Facts::read(&bytes).unwrap();
    let texts = ["<jemalloc>: Unsupported", "gconv", "UPX!", "No error information"];
    for part in facts.loaded(&bytes) {
        for text in texts {
            assert_eq!(memchr::memmem::find(part, text.as_bytes()), None, "{text}");
        }
        // A build with debug assertions has it from `core`, which goes on with a colon.
        let text = b"unsafe precondition(s) violated";
        for at in memchr::memmem::find_iter(part, text) {
            assert_eq!(part.get(at + text.len()), Some(&b':'));
        }
    }
}

#[test]
fn host_programs_are_split_and_run() {
    let Some(gcc) = tool("gcc") else { return };
    let kinds: [(&str, &[&str], Shape); 4] = [
        ("dynamic", &["-pie", "-fPIE"], Shape::Pie),
        ("static", &["-static"], Shape::Fixed),
        ("static-pie", &["-static-pie", "-fPIE"], Shape::StaticPie),
        ("emitted-relocations", &["-Wl,-q", "-static"], Shape::Fixed),
    ];
    for (name, flags, shape) in kinds {
        let directory = directory(name);
        let mut args = vec!["-g", "-O0", "-Wl,--build-id=sha1", "hello.c", "-o", "hello"];
        args.extend(flags);
        run(&gcc, &args, &directory);
        let facts = split_program(&directory);
        assert_eq!((facts.shape, facts.libc), (shape, Libc::Glibc), "{name}");
        let [whole, split] = ["hello", "hello.split"].map(|name| fs::read(directory.join(name)));
        let (whole, split) = (whole.unwrap(), split.unwrap());
        assert!(split.len() < whole.len());
        for program in ["./hello.stripped", "./hello.split"] {
            assert_eq!(run(directory.join(program), &[], &directory), "sum 45\n");
        }
        debuggers_find_lines(&directory, &Facts::read(&split).unwrap());
    }
}

#[test]
fn foreign_programs_are_split() {
    let Some(zig) = tool("zig") else { return };
    for (target, machine, class) in
        [("aarch64-linux-musl", "AARCH64", 64), ("arm-linux-musleabihf", "ARM", 32)]
    {
        let directory = directory(target);
        let args = ["cc", "-target", target, "-g", "-Wl,--build-id=sha1", "hello.c", "-o", "hello"];
        run(&zig, &args, &directory);
        let facts = split_program(&directory);
        assert_eq!(machine_name(facts.machine), machine);
        assert_eq!((facts.class, facts.libc), (class, Libc::Musl));
        assert_eq!((facts.interpreter, facts.needed.len()), (None, 0));
    }
}
