//! The table of lints.

use super::{
    expected, leftover, linkage,
    lint::{Lint, always},
    memory, mode, run,
};
use crate::model::schema::dist::Level;

/// Every lint, in the order in which they are told.
pub static LINTS: [Lint; 29] = [
    Lint {
        id: "program",
        level: Level::Deny,
        holds: "is a program",
        means: "The file can be started, or loaded as a library: it is not an object file, a \
                  core dump, or the separate debug information of a program.",
        detected: "`e_type`, at least one `PT_LOAD`, and bytes in the file where the program \
                  headers place code. Where a target is given, a shared object without an \
                  interpreter is refused, too.",
        unknown: "Whether it works. Start files for another kind of linking (`rcrt1.o` in a \
                  program for a fixed address) crash at once, and leave no trace once the file \
                  is stripped: only running it tells.",
        scope: always,
        check: linkage::program,
    },
    Lint {
        id: "machine",
        level: Level::Deny,
        holds: "is for the target's machine, class, byte order and system",
        means: "The file runs on the target's processors under Linux.",
        detected: "`e_machine`, `EI_CLASS`, `EI_DATA`, `EI_OSABI` (0 or 3) and `EI_ABIVERSION` \
                  (0), against the target, or the platform in the configuration of the image \
                  that the file is in.",
        unknown: "Which instructions are in it; see `cpu-level`.",
        scope: linkage::machine_scope,
        check: linkage::machine,
    },
    Lint {
        id: "float-abi",
        level: Level::Deny,
        holds: "passes floating-point numbers as the target does",
        means: "On ARM and RISC-V, code that passes floating-point numbers in other \
                  registers than the rest of the system cannot call it.",
        detected: "`e_flags`: `EF_ARM_ABI_FLOAT_HARD` and `_SOFT` against the `hf` at the end \
                  of the target's name; `EF_RISCV_FLOAT_ABI` against the `g` in it.",
        unknown: "ARM files that carry neither flag: some linkers write none, so they pass.",
        scope: linkage::float_abi_scope,
        check: linkage::float_abi,
    },
    Lint {
        id: "static",
        level: Level::Deny,
        holds: "needs no interpreter and no shared library",
        means: "The program needs no other file to start, so that it runs on any \
                  distribution and in an empty image.",
        detected: "No `PT_INTERP` and no `DT_NEEDED`. A dynamic section alone is normal in \
                  static-pie. Without a target or a policy, this is expected of musl programs \
                  only, unless the lint is named.",
        unknown: "What it opens at run time: files, or with `dlopen` libraries.",
        scope: linkage::static_scope,
        check: linkage::is_static,
    },
    Lint {
        id: "static-pie",
        level: Level::Deny,
        holds: "is static and can be loaded at any address",
        means: "The kernel can load the program at an address that nobody can guess.",
        detected: "`ET_DYN` with `DF_1_PIE`, and what `static` asks for. `ET_DYN` without the \
                  flag is a shared object.",
        unknown: "Whether the kernel it runs under does so.",
        scope: linkage::static_pie_scope,
        check: linkage::static_pie,
    },
    Lint {
        id: "dynamic",
        level: Level::Deny,
        holds: "is linked to shared libraries",
        means: "A program for systems with glibc that was linked statically finds no users and \
                  no host names there, and gets no security updates of its libraries.",
        detected: "`PT_INTERP` or `DT_NEEDED`, where the policy or the target says `linkage = \
                  \"dynamic\"`.",
        unknown: "Whether the libraries are on the system it runs on.",
        scope: expected::dynamic_scope,
        check: expected::dynamic,
    },
    Lint {
        id: "glibc",
        level: Level::Deny,
        holds: "starts with the oldest glibc of the policy",
        means: "A program does not start with a glibc that lacks one of the symbol versions it \
                  names.",
        detected: "The newest `GLIBC_*` among the versions that it needs (`DT_VERNEED`), against \
                  `glibc` of the policy. Relative relocations need 2.36.",
        unknown: "What it looks up at run time with `dlsym`, and what its libraries need \
                  themselves.",
        scope: expected::glibc_scope,
        check: expected::glibc,
    },
    Lint {
        id: "libraries",
        level: Level::Deny,
        holds: "needs no shared library but those of the policy",
        means: "What is not in every distribution has to be shipped with the program, or \
                  linked statically.",
        detected: "Each `DT_NEEDED` against `libraries` of the policy.",
        unknown: "What it opens at run time with `dlopen`.",
        scope: expected::libraries_scope,
        check: expected::libraries,
    },
    Lint {
        id: "stripped",
        level: Level::Deny,
        holds: "has no symbol table and no debug information",
        means: "Symbols and debug information are most of an unstripped file, and are of use \
                  to its developers only. When a file is judged by itself this is a warning.",
        detected: "No `SHT_SYMTAB`, and no `.debug_*` or `.zdebug_*` section that is not \
                  loaded. A file without section headers has neither. `.debug_gdb_scripts` is \
                  loaded, survives every strip, and is fine.",
        unknown: "Symbols of a dynamic program that the dynamic linker needs are no part of \
                  it, and stay.",
        scope: always,
        check: leftover::stripped,
    },
    Lint {
        id: "nx-stack",
        level: Level::Deny,
        holds: "asks for a stack that is not executable",
        means: "An overflow of the stack cannot bring its own code.",
        detected: "`PT_GNU_STACK` without `PF_X`. One assembly file without a note about its \
                  stack makes linkers ask for an executable one. A file without the header \
                  gets one from older kernels.",
        unknown: "A program can make its stack executable later, with `mprotect`.",
        scope: memory::nx_stack_scope,
        check: memory::nx_stack,
    },
    Lint {
        id: "w-x",
        level: Level::Deny,
        holds: "has no memory that is both writable and executable",
        means: "What can be written cannot be run, and the other way round.",
        detected: "No `PT_LOAD` with both `PF_W` and `PF_X`.",
        unknown: "Memory that the program maps while it runs, as compilers at run time do.",
        scope: always,
        check: memory::w_x,
    },
    Lint {
        id: "text-relocations",
        level: Level::Deny,
        holds: "needs no relocation of read-only segments",
        means: "Code that has to be patched when it is loaded is writable for a while, and \
                  shared with no other process.",
        detected: "No `DT_TEXTREL` and no `DF_TEXTREL`.",
        unknown: "Nothing: linkers have to say it.",
        scope: always,
        check: memory::text_relocations,
    },
    Lint {
        id: "relro",
        level: Level::Warn,
        holds: "has its tables of addresses made read-only once they are filled",
        means: "An overflow cannot redirect calls through the tables that the dynamic linker \
                  fills.",
        detected: "`PT_GNU_RELRO`, and with it `DT_BIND_NOW`, `DF_BIND_NOW` or `DF_1_NOW`: \
                  without these the table of functions stays writable.",
        unknown: "Of static programs only glibc's start-up code does what the header asks for. \
                  musl's never does, so the header is no protection there, and this lint is \
                  silent where other tools say \"full\"; `--facts` says \"asked for, not \
                  enforced\". Static programs of musl do not pass where it is named.",
        scope: memory::relro_scope,
        check: memory::relro,
    },
    Lint {
        id: "page-size",
        level: Level::Deny,
        holds: "can be loaded by kernels with the target's largest pages",
        means: "arm64 kernels may have pages of 64 KiB. They cannot load a program whose \
                  segments are aligned to less.",
        detected: "The `p_align` of every `PT_LOAD` is at least the target's page size, and its \
                  address and offset agree below that.",
        unknown: "What allocators in it assume; see `allocator-page-size`.",
        scope: memory::page_size_scope,
        check: memory::page_size,
    },
    Lint {
        id: "allocator-page-size",
        level: Level::Warn,
        holds: "has no allocator that is built for one page size",
        means: "jemalloc is built for one page size. Under a kernel with a larger one it \
                  aborts, though the program is loaded.",
        detected: "The text that jemalloc writes before it aborts is in the file, and the \
                  target's page size is above 4 KiB.",
        unknown: "Which page size it was built for: that is not in the file. Where it was \
                  built for large ones, allow this lint.",
        scope: memory::allocator_scope,
        check: memory::allocator_page_size,
    },
    Lint {
        id: "cpu-level",
        level: Level::Deny,
        holds: "runs on the oldest processor of its target",
        means: "A program built for a newer processor dies of an illegal instruction on older ones.",
        detected: "`GNU_PROPERTY_X86_ISA_1_NEEDED` names no level above that of the policy, which is \
                  the first unless it says another. In a release, also the flags that `dist.json` \
                  records (`cpu-flags`): `-C target-cpu` and `-C target-feature`, wherever they were \
                  set, enable nothing that rustc does not enable for the target's CPU (`cpu` and \
                  `speed-cpu` of its file) or the level of the policy. `native` depends on the build \
                  machine, and is always found, in flags for C compilers too.",
        unknown: "Of a file without a release nearly everything: `-C target-cpu=x86-64-v3` leaves no \
                  mark in it, and newer instructions behind a check at run time are fine. Only a run \
                  on the oldest processor shows it; see `runs`.",
        scope: memory::cpu_level_scope,
        check: memory::cpu_level,
    },
    Lint {
        id: "run-path",
        level: Level::Warn,
        holds: "has no search path for shared libraries",
        means: "Search paths name directories of the machine that built it, or let somebody \
                  place a library there. In a static program they mean nothing.",
        detected: "`DT_RPATH` and `DT_RUNPATH`.",
        unknown: "Whether the directories exist, and who may write to them.",
        scope: always,
        check: leftover::run_path,
    },
    Lint {
        id: "leftovers",
        level: Level::Warn,
        holds: "has no profiling, coverage or debug assertions left in it",
        means: "Instrumentation and debug assertions make the program larger and slower, and \
                  profiling writes files where it runs.",
        detected: "Sections `__llvm_prf_*` and `__llvm_cov*`, and the text that `core` shows \
                  when a debug assertion on an unsafe function fails. Both survive strip.",
        unknown: "A program that holds the text for another reason; debug assertions where no \
                  unsafe function of `core` is used.",
        scope: always,
        check: leftover::leftovers,
    },
    Lint {
        id: "build-path",
        level: Level::Warn,
        holds: "names no directory of the machine that built it",
        means: "Such a path tells others the name of a user, and makes the same source give \
                  other bytes on another machine.",
        detected: "The directories of the build, where they are known, and paths in anybody's \
                  home directory, in what is loaded. `/rustc/<hash>/` and `/checkout/` are made up by \
                  the compiler, and fine.",
        unknown: "Paths in compressed or encrypted data, and, of a file from \
                  elsewhere, paths outside home directories.",
        scope: always,
        check: leftover::build_path,
    },
    Lint {
        id: "static-glibc",
        level: Level::Warn,
        holds: "loads no glibc modules at run time",
        means: "A glibc that is linked statically still loads modules for host names, users \
                  and character sets from the system it runs on, and these must be of the same \
                  version.",
        detected: "glibc's ABI note or one of its names, and the name of its modules for \
                  character sets, in a program without an interpreter.",
        unknown: "Whether the program calls what needs the modules.",
        scope: linkage::static_glibc_scope,
        check: linkage::static_glibc,
    },
    Lint {
        id: "build-id",
        level: Level::Warn,
        holds: "has a build id",
        means: "Debuggers and crash reports find the separate debug information by it.",
        detected: "A note `NT_GNU_BUILD_ID`.",
        unknown: "Whether debug information of that id is kept anywhere.",
        scope: linkage::build_id_scope,
        check: leftover::build_id,
    },
    Lint {
        id: "privileges",
        level: Level::Deny,
        holds: "gives nobody more rights than who starts it has",
        means: "A release holds no file that runs with the rights of its owner, and none \
                  with capabilities.",
        detected: "The file's mode has neither setuid nor setgid, and there is no \
                  `security.capability` attribute.",
        unknown: "Rights that a package gives it when it is installed, and attributes that the \
                  file system does not keep.",
        scope: mode::scope,
        check: mode::privileges,
    },
    Lint {
        id: "mode",
        level: Level::Warn,
        holds: "can be run by everybody and written by its owner only",
        means: "A file that others can write to can be replaced by them; one that is not \
                  executable does not start.",
        detected: "The bits of the file's mode: executable for its owner, where it is a \
                  program; not writable for others.",
        unknown: "Access lists, and the mode of a file in a zip archive that was not made by Unix' \
                  programs.",
        scope: mode::scope,
        check: mode::mode,
    },
    Lint {
        id: "size",
        level: Level::Deny,
        holds: "is no larger than the policy allows",
        means: "A file that grows unseen is pulled and stored a thousand times before somebody \
                  looks.",
        detected: "The size of the file, of the archive, and of what a pull of one platform's \
                  image transfers, against `max-size` of the policy.",
        unknown: "What made it large.",
        scope: expected::size_scope,
        check: expected::size,
    },
    Lint {
        id: "growth",
        level: Level::Deny,
        holds: "did not grow by more than the policy allows",
        means: "A limit on growth sees what a limit on size sees too late.",
        detected: "The size against that of the same file in the `dist.json` given with `--base`, \
                  and `max-growth` of the policy. A file that is not in the base is new, and not \
                  grown.",
        unknown: "What made it grow.",
        scope: expected::growth_scope,
        check: expected::growth,
    },
    Lint {
        id: "runs",
        level: Level::Deny,
        holds: "runs on the oldest processor it is for, with nothing else in its file system",
        means: "No header says which instructions a program needs, or which files. With \
                  `--run` it is started once, by an emulator of the oldest processor of its \
                  target, confined in an empty root.",
        detected: "It is ended by a signal, panics, writes without end, or does not start; or it \
                  cannot be confined, and is not run. Any other status passes: it may want other \
                  arguments. A program that still runs when its time is up passes, too.",
        unknown: "Instructions and files that it needs only later, or with other arguments.",
        scope: run::scope,
        check: run::runs,
    },
    Lint {
        id: "canary",
        level: Level::Allow,
        holds: "checks its stack for overflows",
        means: "C code built with `-fstack-protector` ends the program when a return address \
                  was overwritten. Rust code needs and has no such checks, so this is off \
                  unless asked for.",
        detected: "The name `__stack_chk_fail` among the dynamic ones.",
        unknown: "Static programs: what such checks call has no name in a stripped file, so \
                  they do not pass.",
        scope: linkage::dynamic_names_scope,
        check: memory::canary,
    },
    Lint {
        id: "fortify",
        level: Level::Allow,
        holds: "calls the C library's functions that check sizes",
        means: "C code built with `-D_FORTIFY_SOURCE` calls variants of `memcpy` and the \
                  like that know the size of the buffer. Rust code calls none, so this is off \
                  unless asked for.",
        detected: "Names as `__memcpy_chk` among the dynamic ones.",
        unknown: "Static programs, as above; and musl has no such functions at all.",
        scope: linkage::dynamic_names_scope,
        check: memory::fortify,
    },
    Lint {
        id: "audit-data",
        level: Level::Allow,
        holds: "carries the list of its dependencies",
        means: "The crates a program was made of, for scanners of known vulnerabilities.",
        detected: "A section `.dep-v0`, as cargo-auditable adds it. It survives our strip and \
                  GNU's, and not LLVM's.",
        unknown: "Whether the list is true.",
        scope: always,
        check: leftover::audit_data,
    },
];
