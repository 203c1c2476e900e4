//! The table of lints.

use super::{
    expected, leftover, linkage,
    lint::{Lint, always},
    memory, mode, run,
};
use crate::model::schema::dist::Level;

/// Every lint, in the order of reports.
pub static LINTS: [Lint; 29] = [
    Lint {
        id: "program",
        level: Level::Deny,
        holds: "is a program",
        means: "The file can be started, or loaded as a library: it is not an object file, a \
                  core dump, or the separate debug information of a program.",
        detected: "`e_type`, at least one `PT_LOAD`, and bytes in the file where the program \
                  headers place code. If a target is given, a shared object without an \
                  interpreter is rejected, too.",
        unknown: "The lint does not check that the program works. Start files for another kind \
                  of linking (`rcrt1.o` in a program for a fixed address) make it crash at \
                  start, and leave no trace once the file is stripped: only running it shows \
                  this.",
        scope: always,
        check: linkage::program,
    },
    Lint {
        id: "machine",
        level: Level::Deny,
        holds: "is for the target's machine, class, byte order and system",
        means: "The file runs on the target's processors under Linux.",
        detected: "`e_machine`, `EI_CLASS`, `EI_DATA`, `EI_OSABI` (0 or 3) and `EI_ABIVERSION` \
                  (0), compared with the target, or with the platform in the configuration of \
                  the image that contains the file.",
        unknown: "The instructions in the file are not checked; see `cpu-level`.",
        scope: linkage::machine_scope,
        check: linkage::machine,
    },
    Lint {
        id: "float-abi",
        level: Level::Deny,
        holds: "passes floating-point numbers as the target does",
        means: "On ARM and RISC-V, code that passes floating-point numbers in other \
                  registers than the rest of the system cannot call it.",
        detected: "`e_flags`: `EF_ARM_ABI_FLOAT_HARD` and `_SOFT` compared with the `hf` at the \
                  end of the target's name; `EF_RISCV_FLOAT_ABI` compared with the `g` in it.",
        unknown: "ARM files with neither flag pass: some linkers write none.",
        scope: linkage::float_abi_scope,
        check: linkage::float_abi,
    },
    Lint {
        id: "static",
        level: Level::Deny,
        holds: "needs no interpreter and no shared library",
        means: "The program needs no other file to start, so it runs on any distribution and in \
                  an empty image.",
        detected: "No `PT_INTERP` and no `DT_NEEDED`. A dynamic section alone is normal in \
                  static-pie. Without a target or a policy, this is expected of musl programs \
                  only, unless the lint is named.",
        unknown: "Files that the program opens at run time, and libraries that it loads with \
                  `dlopen`, are not detected.",
        scope: linkage::static_scope,
        check: linkage::is_static,
    },
    Lint {
        id: "static-pie",
        level: Level::Deny,
        holds: "is static and can be loaded at any address",
        means: "The kernel can load the program at an address that an attacker cannot predict.",
        detected: "`ET_DYN` with `DF_1_PIE`, and the requirements of `static`. `ET_DYN` without \
                  the flag is a shared object.",
        unknown: "The kernel may be configured not to randomise addresses.",
        scope: linkage::static_pie_scope,
        check: linkage::static_pie,
    },
    Lint {
        id: "dynamic",
        level: Level::Deny,
        holds: "is linked to shared libraries",
        means: "On systems with glibc, a statically linked program cannot resolve users and host \
                  names, and its libraries get no security updates.",
        detected: "`PT_INTERP` or `DT_NEEDED`, if the policy or the target sets `linkage = \
                  \"dynamic\"`.",
        unknown: "The lint does not check that the libraries are on the system that runs the \
                  program.",
        scope: expected::dynamic_scope,
        check: expected::dynamic,
    },
    Lint {
        id: "glibc",
        level: Level::Deny,
        holds: "starts with the oldest glibc of the policy",
        means: "A program does not start with a glibc that lacks one of the symbol versions it \
                  requires.",
        detected: "The newest `GLIBC_*` among the versions that it requires (`DT_VERNEED`), \
                  compared with `glibc` of the policy. Relative relocations require 2.36.",
        unknown: "Symbols that the program looks up at run time with `dlsym`, and the \
                  requirements of its libraries, are not detected.",
        scope: expected::glibc_scope,
        check: expected::glibc,
    },
    Lint {
        id: "libraries",
        level: Level::Deny,
        holds: "needs no shared library but those of the policy",
        means: "A library that is not in every distribution has to be shipped with the program, \
                  or linked statically.",
        detected: "Each `DT_NEEDED`, compared with `libraries` of the policy.",
        unknown: "Libraries that the program loads at run time with `dlopen` are not detected.",
        scope: expected::libraries_scope,
        check: expected::libraries,
    },
    Lint {
        id: "stripped",
        level: Level::Deny,
        holds: "has no symbol table and no debug information",
        means: "Symbols and debug information make up most of an unstripped file, and only its \
                  developers use them. For a file that is verified without a release this is a \
                  warning.",
        detected: "No `SHT_SYMTAB`, and no `.debug_*` or `.zdebug_*` section that is not loaded. \
                  A file without section headers has neither. `.debug_gdb_scripts` is loaded, \
                  survives every strip, and is accepted.",
        unknown: "The symbols that the dynamic linker needs (`.dynsym`) are not covered, and \
                  remain in the file.",
        scope: always,
        check: leftover::stripped,
    },
    Lint {
        id: "nx-stack",
        level: Level::Deny,
        holds: "requests a stack that is not executable",
        means: "A stack buffer overflow cannot inject code and run it.",
        detected: "`PT_GNU_STACK` without `PF_X`. One assembly file without a note about its \
                  stack makes linkers request an executable one. Older kernels give an \
                  executable stack to a file without the header.",
        unknown: "A program can make its stack executable later, with `mprotect`.",
        scope: memory::nx_stack_scope,
        check: memory::nx_stack,
    },
    Lint {
        id: "w-x",
        level: Level::Deny,
        holds: "has no memory that is both writable and executable",
        means: "Memory that can be written cannot be executed, and the reverse.",
        detected: "No `PT_LOAD` with both `PF_W` and `PF_X`.",
        unknown: "Memory that the program maps at run time, as just-in-time compilers do, is not \
                  checked.",
        scope: always,
        check: memory::w_x,
    },
    Lint {
        id: "text-relocations",
        level: Level::Deny,
        holds: "needs no relocation of read-only segments",
        means: "Code that is patched while it is loaded is writable during that time, and is not \
                  shared between processes.",
        detected: "No `DT_TEXTREL` and no `DF_TEXTREL`.",
        unknown: "None: linkers are required to record text relocations.",
        scope: always,
        check: memory::text_relocations,
    },
    Lint {
        id: "relro",
        level: Level::Warn,
        holds: "has its tables of addresses made read-only once they are filled",
        means: "An overflow cannot redirect calls through the tables that the dynamic linker \
                  fills.",
        detected: "`PT_GNU_RELRO`, and also `DT_BIND_NOW`, `DF_BIND_NOW` or `DF_1_NOW`: without \
                  these the table of functions stays writable.",
        unknown: "In static programs only glibc's start-up code applies the header. musl's never \
                  does, so the header does not protect them: this lint is not applied where \
                  other tools report \"full\", and `--facts` prints `asked for, not enforced`. \
                  Static programs of musl fail this lint if it is enabled by name.",
        scope: memory::relro_scope,
        check: memory::relro,
    },
    Lint {
        id: "page-size",
        level: Level::Deny,
        holds: "can be loaded by kernels with the target's largest pages",
        means: "arm64 kernels may have pages of 64 KiB. They cannot load a program with segments \
                  that are aligned to less.",
        detected: "The `p_align` of every `PT_LOAD` is at least the target's page size, and its \
                  address and offset are congruent modulo that size.",
        unknown: "The page sizes that allocators in the program assume are not checked; see \
                  `allocator-page-size`.",
        scope: memory::page_size_scope,
        check: memory::page_size,
    },
    Lint {
        id: "allocator-page-size",
        level: Level::Warn,
        holds: "has no allocator that is built for one page size",
        means: "jemalloc is built for one page size. Under a kernel with a larger one it aborts, \
                  although the program is loaded.",
        detected: "The message that jemalloc prints before it aborts is in the file, and the \
                  target's page size is above 4 KiB.",
        unknown: "The file does not record the page size that jemalloc was built for. If it was \
                  built for large pages, allow this lint.",
        scope: memory::allocator_scope,
        check: memory::allocator_page_size,
    },
    Lint {
        id: "cpu-level",
        level: Level::Deny,
        holds: "runs on the baseline CPU of its target",
        means: "A program built for a newer CPU is killed by an illegal instruction on older \
                  ones.",
        detected: "`GNU_PROPERTY_X86_ISA_1_NEEDED` names no level above that of the policy, \
                  which is the first unless the policy sets another. In a release, also the \
                  flags that `dist.json` records (`cpu-flags`): `-C target-cpu` and `-C \
                  target-feature`, wherever they were set, enable nothing that rustc does not \
                  enable for the target's CPU (`cpu` and `speed-cpu` of its file) or the level \
                  of the policy. `native` depends on the build machine, and is always reported, \
                  in flags for C compilers too.",
        unknown: "Without a release almost nothing is detected: `-C target-cpu=x86-64-v3` leaves \
                  no mark in the file, and newer instructions behind a check at run time are \
                  correct. Only a run on the baseline CPU shows a failure; see `runs`.",
        scope: memory::cpu_level_scope,
        check: memory::cpu_level,
    },
    Lint {
        id: "run-path",
        level: Level::Warn,
        holds: "has no search path for shared libraries",
        means: "Search paths name directories of the build machine, or let other users place a \
                  library there. In a static program they have no effect.",
        detected: "`DT_RPATH` and `DT_RUNPATH`.",
        unknown: "The lint does not check whether the directories exist, and who may write to \
                  them.",
        scope: always,
        check: leftover::run_path,
    },
    Lint {
        id: "leftovers",
        level: Level::Warn,
        holds: "has no profiling, coverage or debug assertions left in it",
        means: "Instrumentation and debug assertions make the program larger and slower, and \
                  profiling writes files where it runs.",
        detected: "Sections `__llvm_prf_*` and `__llvm_cov*`, and the message that `core` prints \
                  when a debug assertion on an unsafe function fails. Both survive strip.",
        unknown: "A program that contains the message for another reason is reported; debug \
                  assertions in a program that uses no unsafe function of `core` are not.",
        scope: always,
        check: leftover::leftovers,
    },
    Lint {
        id: "build-path",
        level: Level::Warn,
        holds: "names no directory of the machine that built it",
        means: "Such a path discloses a user's name, and makes the same source produce different \
                  bytes on another machine.",
        detected: "The directories of the build, if they are known, and paths in any home \
                  directory, in the loaded segments. `/rustc/<hash>/` and `/checkout/` are \
                  written by the compiler instead of real paths, and are accepted.",
        unknown: "Paths in compressed or encrypted data are not detected, nor, in a file that \
                  was built elsewhere, paths outside home directories.",
        scope: always,
        check: leftover::build_path,
    },
    Lint {
        id: "static-glibc",
        level: Level::Warn,
        holds: "loads no glibc modules at run time",
        means: "A statically linked glibc still loads modules for host names, users and \
                  character sets from the system it runs on, and these must be of the same \
                  version.",
        detected: "glibc's ABI note or one of its names, and the name of its modules for \
                  character sets, in a program without an interpreter.",
        unknown: "The lint does not check whether the program calls functions that need the \
                  modules.",
        scope: linkage::static_glibc_scope,
        check: linkage::static_glibc,
    },
    Lint {
        id: "build-id",
        level: Level::Warn,
        holds: "has a build id",
        means: "Debuggers and crash reports use it to find the separate debug information.",
        detected: "A note `NT_GNU_BUILD_ID`.",
        unknown: "The lint does not check that debug information with that id is stored \
                  anywhere.",
        scope: linkage::build_id_scope,
        check: leftover::build_id,
    },
    Lint {
        id: "privileges",
        level: Level::Deny,
        holds: "runs without more privileges than its caller has",
        means: "A release contains no file that runs with the privileges of its owner, and none \
                  with capabilities.",
        detected: "The file's mode has neither setuid nor setgid, and there is no \
                  `security.capability` attribute.",
        unknown: "Privileges that a package sets when it is installed, and attributes that the \
                  file system does not store, are not detected.",
        scope: mode::scope,
        check: mode::privileges,
    },
    Lint {
        id: "mode",
        level: Level::Warn,
        holds: "can be run by every user and written by its owner only",
        means: "A file that others can write to can be replaced by them; one that is not \
                  executable does not start.",
        detected: "The bits of the file's mode: executable for its owner, if it is a program; \
                  not writable for others.",
        unknown: "Access control lists are not checked, nor is the mode of a file in a zip \
                  archive that was not made on Unix.",
        scope: mode::scope,
        check: mode::mode,
    },
    Lint {
        id: "size",
        level: Level::Deny,
        holds: "is within the size limit of the policy",
        means: "A file that grows unnoticed is pulled and stored many times before the growth is \
                  found.",
        detected: "The size of the file, of the archive, and of the download of one platform's \
                  image, compared with `max-size` of the policy.",
        unknown: "The lint does not show the cause; see `cargo longshore size`.",
        scope: expected::size_scope,
        check: expected::size,
    },
    Lint {
        id: "growth",
        level: Level::Deny,
        holds: "did not grow by more than the policy allows",
        means: "A limit on growth detects a change that a limit on size detects too late.",
        detected: "The size compared with that of the same file in the `dist.json` given with \
                  `--base`, and `max-growth` of the policy. A file that is not in the base is \
                  new, and counts as not grown.",
        unknown: "The lint does not show the cause; see `cargo longshore size`.",
        scope: expected::growth_scope,
        check: expected::growth,
    },
    Lint {
        id: "runs",
        level: Level::Deny,
        holds: "runs on the baseline CPU of its target, with no other file in its file system",
        means: "No header records which instructions a program needs, or which files. With \
                  `--run` it is started once, by an emulator of the baseline CPU of its target, \
                  confined in an empty root.",
        detected: "The program is killed by a signal, panics, exceeds the limit on its output, \
                  or does not start; or it cannot be confined, and is not run. Any other exit \
                  status passes: the program may need other arguments. A program that is still \
                  running when it times out passes, too.",
        unknown: "Instructions and files that the program needs only later, or with other \
                  arguments, are not detected.",
        scope: run::scope,
        check: run::runs,
    },
    Lint {
        id: "canary",
        level: Level::Allow,
        holds: "checks its stack for overflows",
        means: "C code built with `-fstack-protector` ends the program when a return address was \
                  overwritten. Rust code does not need such checks and has none, so this lint is \
                  off by default.",
        detected: "The name `__stack_chk_fail` among the dynamic symbols.",
        unknown: "In a stripped static program the function that such checks call has no name, \
                  so static programs fail this lint.",
        scope: linkage::dynamic_names_scope,
        check: memory::canary,
    },
    Lint {
        id: "fortify",
        level: Level::Allow,
        holds: "calls the C library's functions that check sizes",
        means: "C code built with `-D_FORTIFY_SOURCE` calls variants of `memcpy` and similar \
                  functions that know the size of the buffer. Rust code calls none, so this lint \
                  is off by default.",
        detected: "Names such as `__memcpy_chk` among the dynamic symbols.",
        unknown: "Static programs fail this lint, as with `canary`; and musl has no such \
                  functions.",
        scope: linkage::dynamic_names_scope,
        check: memory::fortify,
    },
    Lint {
        id: "audit-data",
        level: Level::Allow,
        holds: "carries the list of its dependencies",
        means: "The list of crates that the program was built from, for scanners of known \
                  vulnerabilities.",
        detected: "A section `.dep-v0`, as cargo-auditable adds it. It survives the strip of \
                  longshore and of GNU, but not that of LLVM.",
        unknown: "The lint does not check that the list is correct.",
        scope: always,
        check: leftover::audit_data,
    },
];
