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
        requirement: "is a program",
        purpose: "The file can be started, or loaded as a library: it is not an object file, a \
                  core dump, or the separate debug information of a program.",
        method: "`e_type`, at least one `PT_LOAD`, and bytes in the file where the program \
                  headers place code. If a target is given, a shared object without an \
                  interpreter is rejected, too.",
        limitations: "The lint does not check that the program works. Start files for another kind \
                  of linking (`rcrt1.o` in a program for a fixed address) make it crash at \
                  start, and leave no trace once the file is stripped: only running it shows \
                  this.",
        scope: always,
        check: linkage::program,
    },
    Lint {
        id: "machine",
        level: Level::Deny,
        requirement: "is for the target's machine, class, byte order and system",
        purpose: "The file runs on the target's processors under Linux.",
        method: "`e_machine`, `EI_CLASS`, `EI_DATA`, `EI_OSABI` (0 or 3) and `EI_ABIVERSION` \
                  (0), compared with the target, or with the platform in the configuration of \
                  the image that contains the file.",
        limitations: "The instructions in the file are not checked; see `cpu-level`.",
        scope: linkage::machine_scope,
        check: linkage::machine,
    },
    Lint {
        id: "float-abi",
        level: Level::Deny,
        requirement: "passes floating-point numbers as the target does",
        purpose: "On ARM and RISC-V, code that passes floating-point numbers in other \
                  registers than the rest of the system cannot call it.",
        method: "`e_flags`: `EF_ARM_ABI_FLOAT_HARD` and `_SOFT` compared with the `hf` at the \
                  end of the target's name; `EF_RISCV_FLOAT_ABI` compared with the `g` in it.",
        limitations: "ARM files with neither flag pass: some linkers write none.",
        scope: linkage::float_abi_scope,
        check: linkage::float_abi,
    },
    Lint {
        id: "static",
        level: Level::Deny,
        requirement: "needs no interpreter and no shared library",
        purpose: "The program needs no other file to start, so it runs on any distribution and in \
                  an empty image.",
        method: "No `PT_INTERP` and no `DT_NEEDED`. A dynamic section alone is normal in \
                  static-pie. Without a target or a policy, this is expected of musl programs \
                  only, unless the lint is named.",
        limitations: "Files that the program opens at run time, and libraries that it loads with \
                  `dlopen`, are not detected.",
        scope: linkage::static_scope,
        check: linkage::static_linkage,
    },
    Lint {
        id: "static-pie",
        level: Level::Deny,
        requirement: "is static and can be loaded at any address",
        purpose: "The kernel can load the program at an address that an attacker cannot predict.",
        method: "`ET_DYN` with `DF_1_PIE`, and the requirements of `static`. `ET_DYN` without \
                  the flag is a shared object.",
        limitations: "The kernel may be configured not to randomise addresses.",
        scope: linkage::static_pie_scope,
        check: linkage::static_pie,
    },
    Lint {
        id: "dynamic",
        level: Level::Deny,
        requirement: "is linked to shared libraries",
        purpose: "On systems with glibc, a statically linked program cannot resolve users and host \
                  names, and its libraries get no security updates.",
        method: "`PT_INTERP` or `DT_NEEDED`, if the policy or the target sets `linkage = \
                  \"dynamic\"`.",
        limitations: "The lint does not check that the libraries are on the system that runs the \
                  program.",
        scope: expected::dynamic_scope,
        check: expected::dynamic,
    },
    Lint {
        id: "glibc",
        level: Level::Deny,
        requirement: "starts with the oldest glibc of the policy",
        purpose: "A program does not start with a glibc that lacks one of the symbol versions it \
                  requires.",
        method: "The newest `GLIBC_*` among the versions that it requires (`DT_VERNEED`), \
                  compared with `glibc` of the policy. Relative relocations require 2.36.",
        limitations: "Symbols that the program looks up at run time with `dlsym`, and the \
                  requirements of its libraries, are not detected.",
        scope: expected::glibc_scope,
        check: expected::glibc,
    },
    Lint {
        id: "libraries",
        level: Level::Deny,
        requirement: "needs no shared library but those of the policy",
        purpose: "A library that is not in every distribution has to be shipped with the program, \
                  or linked statically.",
        method: "Each `DT_NEEDED`, compared with `libraries` of the policy.",
        limitations: "Libraries that the program loads at run time with `dlopen` are not detected.",
        scope: expected::libraries_scope,
        check: expected::libraries,
    },
    Lint {
        id: "stripped",
        level: Level::Deny,
        requirement: "has no symbol table and no debug information",
        purpose: "Symbols and debug information make up most of an unstripped file, and only its \
                  developers use them. For a file that is verified without a release this is a \
                  warning.",
        method: "No `SHT_SYMTAB`, and no `.debug_*` or `.zdebug_*` section that is not loaded. \
                  A file without section headers has neither. `.debug_gdb_scripts` is loaded, \
                  survives every strip, and is accepted.",
        limitations: "The symbols that the dynamic linker needs (`.dynsym`) are not covered, and \
                  remain in the file.",
        scope: always,
        check: leftover::stripped,
    },
    Lint {
        id: "nx-stack",
        level: Level::Deny,
        requirement: "requests a stack that is not executable",
        purpose: "A stack buffer overflow cannot inject code and run it.",
        method: "`PT_GNU_STACK` without `PF_X`. One assembly file without a note about its \
                  stack makes linkers request an executable one. Older kernels give an \
                  executable stack to a file without the header.",
        limitations: "A program can make its stack executable later, with `mprotect`.",
        scope: memory::nx_stack_scope,
        check: memory::nx_stack,
    },
    Lint {
        id: "w-x",
        level: Level::Deny,
        requirement: "has no memory that is both writable and executable",
        purpose: "Memory that can be written cannot be executed, and the reverse.",
        method: "No `PT_LOAD` with both `PF_W` and `PF_X`.",
        limitations: "Memory that the program maps at run time, as just-in-time compilers do, is not \
                  checked.",
        scope: always,
        check: memory::w_x,
    },
    Lint {
        id: "text-relocations",
        level: Level::Deny,
        requirement: "needs no relocation of read-only segments",
        purpose: "Code that is patched while it is loaded is writable during that time, and is not \
                  shared between processes.",
        method: "No `DT_TEXTREL` and no `DF_TEXTREL`.",
        limitations: "None: linkers are required to record text relocations.",
        scope: always,
        check: memory::text_relocations,
    },
    Lint {
        id: "relro",
        level: Level::Warn,
        requirement: "has its tables of addresses made read-only once they are filled",
        purpose: "An overflow cannot redirect calls through the tables that the dynamic linker \
                  fills.",
        method: "`PT_GNU_RELRO`, and also `DT_BIND_NOW`, `DF_BIND_NOW` or `DF_1_NOW`: without \
                  these the table of functions stays writable.",
        limitations: "In static programs only glibc's start-up code applies the header. musl's never \
                  does, so the header does not protect them: this lint is not applied where \
                  other tools report \"full\", and `--facts` prints `requested, not enforced`. \
                  Static programs of musl fail this lint if it is enabled by name.",
        scope: memory::relro_scope,
        check: memory::relro,
    },
    Lint {
        id: "page-size",
        level: Level::Deny,
        requirement: "can be loaded by kernels with the target's largest pages",
        purpose: "arm64 kernels may have pages of 64 KiB. They cannot load a program with segments \
                  that are aligned to less.",
        method: "The `p_align` of every `PT_LOAD` is at least the target's page size, and its \
                  address and offset are congruent modulo that size.",
        limitations: "The page sizes that allocators in the program assume are not checked; see \
                  `allocator-page-size`.",
        scope: memory::page_size_scope,
        check: memory::page_size,
    },
    Lint {
        id: "allocator-page-size",
        level: Level::Warn,
        requirement: "has no allocator that is built for one page size",
        purpose: "jemalloc is built for one page size. Under a kernel with a larger one it aborts, \
                  although the program is loaded.",
        method: "The message that jemalloc prints before it aborts is in the file, and the \
                  target's page size is above 4 KiB.",
        limitations: "The file does not record the page size that jemalloc was built for. If it was \
                  built for large pages, allow this lint.",
        scope: memory::allocator_scope,
        check: memory::allocator_page_size,
    },
    Lint {
        id: "cpu-level",
        level: Level::Deny,
        requirement: "runs on the baseline CPU of its target",
        purpose: "A program built for a newer CPU is killed by an illegal instruction on older \
                  ones.",
        method: "`GNU_PROPERTY_X86_ISA_1_NEEDED` names no level above that of the policy, \
                  which is the first unless the policy sets another. In a release, also the \
                  flags that `dist.json` records (`cpu-flags`): `-C target-cpu` and `-C \
                  target-feature`, wherever they were set, enable nothing that rustc does not \
                  enable for the target's CPU (`cpu` and `speed-cpu` of its file) or the level \
                  of the policy. `native` depends on the build machine, and is always reported, \
                  in flags for C compilers too.",
        limitations: "Without a release almost nothing is detected: `-C target-cpu=x86-64-v3` leaves \
                  no mark in the file, and newer instructions behind a check at run time are \
                  correct. Only a run on the baseline CPU shows a failure; see `runs`.",
        scope: memory::cpu_level_scope,
        check: memory::cpu_level,
    },
    Lint {
        id: "run-path",
        level: Level::Warn,
        requirement: "has no search path for shared libraries",
        purpose: "Search paths name directories of the build machine, or let other users place a \
                  library there. In a static program they have no effect.",
        method: "`DT_RPATH` and `DT_RUNPATH`.",
        limitations: "The lint does not check whether the directories exist, and who may write to \
                  them.",
        scope: always,
        check: leftover::run_path,
    },
    Lint {
        id: "leftovers",
        level: Level::Warn,
        requirement: "has no profiling, coverage or debug assertions left in it",
        purpose: "Instrumentation and debug assertions make the program larger and slower, and \
                  profiling writes files where it runs.",
        method: "Sections `__llvm_prf_*` and `__llvm_cov*`, and the message that `core` prints \
                  when a debug assertion on an unsafe function fails. Both survive strip.",
        limitations: "A program that contains the message for another reason is reported; debug \
                  assertions in a program that uses no unsafe function of `core` are not.",
        scope: always,
        check: leftover::leftovers,
    },
    Lint {
        id: "build-path",
        level: Level::Warn,
        requirement: "names no directory of the machine that built it",
        purpose: "Such a path discloses a user's name, and makes the same source produce different \
                  bytes on another machine.",
        method: "The directories of the build, if they are known, and paths in any home \
                  directory, in the loaded segments. `/rustc/<hash>/` and `/checkout/` are \
                  written by the compiler instead of real paths, and are accepted.",
        limitations: "Paths in compressed or encrypted data are not detected, nor, in a file that \
                  was built elsewhere, paths outside home directories.",
        scope: always,
        check: leftover::build_path,
    },
    Lint {
        id: "static-glibc",
        level: Level::Warn,
        requirement: "loads no glibc modules at run time",
        purpose: "A statically linked glibc still loads modules for host names, users and \
                  character sets from the system it runs on, and these must be of the same \
                  version.",
        method: "glibc's ABI note or one of its names, and the name of its modules for \
                  character sets, in a program without an interpreter.",
        limitations: "The lint does not check whether the program calls functions that need the \
                  modules.",
        scope: linkage::static_glibc_scope,
        check: linkage::static_glibc,
    },
    Lint {
        id: "build-id",
        level: Level::Warn,
        requirement: "has a build id",
        purpose: "Debuggers and crash reports use it to find the separate debug information.",
        method: "A note `NT_GNU_BUILD_ID`.",
        limitations: "The lint does not check that debug information with that id is stored \
                  anywhere.",
        scope: linkage::build_id_scope,
        check: leftover::build_id,
    },
    Lint {
        id: "privileges",
        level: Level::Deny,
        requirement: "runs without more privileges than its caller has",
        purpose: "A release contains no file that runs with the privileges of its owner, and none \
                  with capabilities.",
        method: "The file's mode has neither setuid nor setgid, and there is no \
                  `security.capability` attribute.",
        limitations: "Privileges that a package sets when it is installed, and attributes that the \
                  file system does not store, are not detected.",
        scope: mode::scope,
        check: mode::privileges,
    },
    Lint {
        id: "mode",
        level: Level::Warn,
        requirement: "can be run by every user and written by its owner only",
        purpose: "A file that others can write to can be replaced by them; one that is not \
                  executable does not start.",
        method: "The bits of the file's mode: executable for its owner, if it is a program; \
                  not writable for others.",
        limitations: "Access control lists are not checked, nor is the mode of a file in a zip \
                  archive that was not made on Unix.",
        scope: mode::scope,
        check: mode::mode,
    },
    Lint {
        id: "size",
        level: Level::Deny,
        requirement: "is within the size limit of the policy",
        purpose: "A file that grows unnoticed is pulled and stored many times before the growth is \
                  found.",
        method: "The size of the file, of the archive, and of the download of one platform's \
                  image, compared with `max-size` of the policy.",
        limitations: "The lint does not show the cause; see `cargo longshore size`.",
        scope: expected::size_scope,
        check: expected::size,
    },
    Lint {
        id: "growth",
        level: Level::Deny,
        requirement: "did not grow by more than the policy allows",
        purpose: "A limit on growth detects a change that a limit on size detects too late.",
        method: "The size compared with that of the same file in the `dist.json` given with \
                  `--base`, and `max-growth` of the policy. A file that is not in the base is \
                  new, and counts as not grown.",
        limitations: "The lint does not show the cause; see `cargo longshore size`.",
        scope: expected::growth_scope,
        check: expected::growth,
    },
    Lint {
        id: "runs",
        level: Level::Deny,
        requirement: "runs on the baseline CPU of its target, with no other file in its file system",
        purpose: "No header records which instructions a program needs, or which files. With \
                  `--run` it is started once, by an emulator of the baseline CPU of its target, \
                  confined in an empty root.",
        method: "The program is killed by a signal, panics, exceeds the limit on its output, \
                  or does not start; or it cannot be confined, and is not run. Any other exit \
                  status passes: the program may need other arguments. A program that is still \
                  running when it times out passes, too.",
        limitations: "Instructions and files that the program needs only later, or with other \
                  arguments, are not detected.",
        scope: run::scope,
        check: run::runs,
    },
    Lint {
        id: "canary",
        level: Level::Allow,
        requirement: "checks its stack for overflows",
        purpose: "C code built with `-fstack-protector` ends the program when a return address was \
                  overwritten. Rust code does not need such checks and has none, so this lint is \
                  off by default.",
        method: "The name `__stack_chk_fail` among the dynamic symbols.",
        limitations: "In a stripped static program the function that such checks call has no name, \
                  so static programs fail this lint.",
        scope: linkage::dynamic_names_scope,
        check: memory::canary,
    },
    Lint {
        id: "fortify",
        level: Level::Allow,
        requirement: "calls the C library's functions that check sizes",
        purpose: "C code built with `-D_FORTIFY_SOURCE` calls variants of `memcpy` and similar \
                  functions that know the size of the buffer. Rust code calls none, so this lint \
                  is off by default.",
        method: "Names such as `__memcpy_chk` among the dynamic symbols.",
        limitations: "Static programs fail this lint, as with `canary`; and musl has no such \
                  functions.",
        scope: linkage::dynamic_names_scope,
        check: memory::fortify,
    },
    Lint {
        id: "audit-data",
        level: Level::Allow,
        requirement: "carries the list of its dependencies",
        purpose: "The list of crates that the program was built from, for scanners of known \
                  vulnerabilities.",
        method: "A section `.dep-v0`, as cargo-auditable adds it. It survives the strip of \
                  longshore and of GNU, but not that of LLVM.",
        limitations: "The lint does not check that the list is correct.",
        scope: always,
        check: leftover::audit_data,
    },
];
