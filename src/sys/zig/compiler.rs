//! Sets up zig as the linker and the C compiler of cargo's builds: scripts, and the variables that name
//! them.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    build::{
        linker::{RUST_LLD_SCRIPT, RustLldPaths, arguments::OWN, malloc},
        zig::{
            bindgen,
            compiler::{self as pure, Compiler, Tools, script, zig_release},
            is_plain_path,
        },
    },
    model::{
        collect::CollectOrdered as _,
        command::Command,
        digest::Digest,
        error::{Error, Result},
    },
    sys::{
        Context, access, fs, parallel,
        process::rust_lld,
        toolchain::{self, Rust, Zig},
    },
};

/// A target of a build.
#[derive(Clone, Debug)]
pub struct ZigTarget {
    /// The target.
    pub name: String,
    /// The CPU that rustc's flags choose.
    pub cpu: Option<String>,
    /// Arguments that are added to the links.
    pub link_args: Vec<String>,
    /// The linker, if it is not zig.
    pub rust_lld: Option<RustLldPaths>,
}

/// The paths of a target's tools.
struct ToolPaths {
    dir: Utf8PathBuf,
    triple: String,
    cc: Utf8PathBuf,
    cxx: Utf8PathBuf,
    ar: Utf8PathBuf,
    ranlib: Utf8PathBuf,
}

impl ToolPaths {
    /// Writes the tools for `target`. Their paths name the zig version and the arguments, and not the
    /// program that answers for them. Cargo compiles again when the path of linker or C compiler changes:
    /// so another zig does that, and `cargo xtask` after `cargo longshore`, or the same program in another
    /// place, does not. Each target directory has its own: a build never runs through the program of
    /// another.
    fn write(
        cx: &Context,
        zig: &Zig,
        target_directory: &str,
        target: &str,
        cpu: Option<&str>,
    ) -> Result<Self> {
        let key = Digest::sha256(target_directory.as_bytes()).short();
        let cache = plain_path(&cx.env.cache)?;
        let dir = cache.join(format!("linker/{key}/compiler-{}", zig.version));
        let release = zig_release(&zig.version);
        let compiler = Compiler::new(target, cpu, release)?;
        let key = Digest::sha256(compiler.args.join(" ").as_bytes()).short();
        let mut zig_words = vec![zig.program.as_str()];
        zig_words.extend(zig.args.iter().map(String::as_str));
        let write = |name: String, words: &[&str]| {
            let path = dir.join(name);
            write_script(&path, &script(words, &[]))?;
            Ok::<_, Error>(path)
        };
        let version = zig.version.to_string();
        let compiler_script = |tool: &str, name: &str| {
            let mut words = vec![cx.env.exe.as_str(), "zig", tool, &version];
            words.extend(&zig_words);
            words.push("--");
            words.extend(compiler.args.iter().map(String::as_str));
            write(format!("{name}-{target}-{key}.sh"), &words)
        };
        // cc knows an archiver by its name.
        let other = |tool: &str| {
            let words: Vec<&str> = zig_words.iter().copied().chain([tool]).collect();
            write(tool.to_owned(), &words)
        };
        Ok(ToolPaths {
            cc: compiler_script("cc", "zigcc")?,
            cxx: compiler_script("c++", "zigcxx")?,
            ar: other("ar")?,
            ranlib: other("ranlib")?,
            triple: compiler.triple.clone(),
            dir: dir.clone(),
        })
    }

    /// Writes the script that links `target`: the compiler with `args` after those of rustc. The path
    /// names the content: cargo compares the path only, and links again when it changes.
    fn linker(&self, cx: &Context, target: &ZigTarget) -> Result<Utf8PathBuf> {
        if let Some(paths) = &target.rust_lld {
            return self.rust_lld(cx, target, paths);
        }
        if let Some((name, text)) = pure::link_file(&target.name) {
            fs::write(&self.dir.join(name), text.as_bytes())?;
        }
        let mut args = target.link_args.clone();
        if let Some(arg) = args.iter_mut().find(|arg| *arg == malloc::FLAG) {
            *arg = format!("{arg}={}", self.malloc(&target.name)?);
        }
        args.extend(pure::link_args(&target.name, &self.dir));
        let text = script(&[&self.cc], &args);
        let name = format!("zigld-{}-{}.sh", target.name, Digest::sha256(text.as_bytes()).short());
        let path = self.dir.join(name);
        write_script(&path, &text)?;
        Ok(path)
    }

    /// Writes the functions that give C code the program's allocator, one file for each allocator that is known, and
    /// returns the beginning of their paths.
    fn malloc(&self, target: &str) -> Result<String> {
        let architecture = target.split('-').next().unwrap_or(target);
        let beginning = self.dir.join(format!("malloc-{architecture}-")).into_string();
        for prefix in malloc::PREFIXES {
            let path = malloc::assembly_path(&beginning, prefix);
            write_changed(path.as_str().into(), &malloc::assembly(architecture, prefix), 0o644)?;
        }
        Ok(beginning)
    }

    /// Does as [`Self::linker`] for rust-lld. A separate script names this program, so that the same program in
    /// another place does not link again.
    fn rust_lld(
        &self,
        cx: &Context,
        target: &ZigTarget,
        paths: &RustLldPaths,
    ) -> Result<Utf8PathBuf> {
        let words = [
            cx.env.exe.as_str(),
            "zig",
            rust_lld::VERB,
            paths.program.as_str(),
            paths.libraries.as_str(),
            "--",
        ];
        let key = Digest::sha256(words[3..].join("\n").as_bytes()).short();
        let translator = self.dir.join(format!("rust-lld-{}-{key}.sh", target.name));
        write_script(&translator, &script(&words, &[]))?;
        let own =
            |arg: &String| if arg.starts_with('-') { arg.clone() } else { format!("{OWN}={arg}") };
        let args: Vec<String> = target.link_args.iter().map(own).collect();
        let text = script(&[&translator], &args);
        let digest = Digest::sha256(text.as_bytes()).short();
        let path = self.dir.join(format!("{RUST_LLD_SCRIPT}{}-{digest}.sh", target.name));
        write_script(&path, &text)?;
        Ok(path)
    }

    /// Writes the toolchain file of CMake.
    fn cmake(&self, target: &str) -> Result<Utf8PathBuf> {
        let path = self.dir.join(format!("{target}-toolchain.cmake"));
        let ToolPaths { cc, cxx, ar, ranlib, .. } = self;
        write_changed(
            &path,
            &pure::cmake_toolchain_file(target, &Tools { cc, cxx, ar, ranlib }),
            0o644,
        )?;
        Ok(path)
    }

    /// Returns arguments for bindgen, from what the compilers print of how they read headers.
    fn bindgen(
        &self,
        cx: &Context,
        zig: &Zig,
        target: &str,
        env: &EnvChanges,
    ) -> Result<Vec<String>> {
        let ask = |compiler: &Utf8Path, file: &str| {
            let file = self.dir.join(file);
            write_changed(&file, "", 0o644)?;
            let mut command = Command::new(compiler.as_str()).args(["-E", file.as_str(), "-v"]);
            command.env = env.clone();
            let output = cx.children.output(&command)?;
            if !output.success() {
                return Err(Error::tool(format!("{zig} cannot compile for `{target}`"))
                    .detail(output.tail(10))
                    .hint("`cargo longshore doctor` shows the state of the toolchain"));
            }
            Ok(String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let (c, cxx) = parallel::join(|| ask(&self.cc, "empty.c"), || ask(&self.cxx, "empty.cpp"));
        bindgen::arguments(target, &c?, &cxx?)
    }
}

/// Variables that are set, or removed.
type EnvChanges = BTreeMap<String, Option<String>>;

/// Returns the variables that make zig linker and C compiler of a cargo command for `targets`; the
/// user's settings stay. `env` holds the variables that command will get besides, and
/// `target_directory` is where cargo builds; one build at a time may use it.
///
/// # Errors
/// zig does not know a target, or cannot be run.
pub fn environment(
    cx: &Context,
    rust: &Rust,
    zig: &Zig,
    target_directory: &str,
    targets: &[ZigTarget],
    env: &EnvChanges,
) -> Result<EnvChanges> {
    let caches = [
        ("ZIG_GLOBAL_CACHE_DIR", cx.env.zig_cache().into_string()),
        ("ZIG_LOCAL_CACHE_DIR", cx.env.zig_local_cache().into_string()),
    ];
    let mut answer: EnvChanges =
        caches.into_iter().map(|(name, value)| (name.to_owned(), Some(value))).collect_map();
    let mut all = env.clone();
    all.extend(answer.clone());
    let user = |name: &str| match env.get(name) {
        Some(value) => value.as_deref(),
        None => cx.env.value(name),
    };
    let is_set = |name: &str| user(name).is_some() || cx.env.is_not_utf8(name);
    for target in targets {
        let name = &target.name;
        let underscored = name.replace('-', "_");
        let paths = ToolPaths::write(cx, zig, target_directory, name, target.cpu.as_deref())?;
        let mut set = |name: String, value: String| drop(answer.insert(name, Some(value)));
        // Not recorded by a C compiler that a build script calls on its own: for those that ask.
        set(format!("CARGO_ZIGBUILD_TARGET_{underscored}"), paths.triple.clone());
        if targets.len() == 1 {
            set("CARGO_ZIGBUILD_TARGET".to_owned(), paths.triple.clone());
        }
        for (base, tool) in
            [("CC", &paths.cc), ("CXX", &paths.cxx), ("AR", &paths.ar), ("RANLIB", &paths.ranlib)]
        {
            let variable = format!("{base}_{underscored}");
            if !is_set(&variable) {
                set(variable, tool.to_string());
            }
        }
        let linker = format!("CARGO_TARGET_{}_LINKER", underscored.to_uppercase());
        if !is_set(&linker) {
            set(linker, paths.linker(cx, target)?.into_string());
        }
        let file = "CMAKE_TOOLCHAIN_FILE";
        let cmake = format!("{file}_{underscored}");
        let others = [format!("{file}_{name}"), format!("TARGET_{file}"), file.to_owned()];
        if !is_set(&cmake) && !others.iter().any(|name| is_set(name)) {
            set(cmake, paths.cmake(name)?.into_string());
        }
        if rust.host == *name {
            // Flags and linker are the target's, and not those of build scripts.
            if !rust.version.pre.contains("nightly") {
                set("__CARGO_TEST_CHANNEL_OVERRIDE_DO_NOT_USE_THIS".to_owned(), "nightly".into());
            }
            set("CARGO_UNSTABLE_TARGET_APPLIES_TO_HOST".to_owned(), "true".to_owned());
            set("CARGO_TARGET_APPLIES_TO_HOST".to_owned(), "false".to_owned());
        }
        let args = paths.bindgen(cx, zig, name, &all)?;
        let base = "BINDGEN_EXTRA_CLANG_ARGS";
        for variable in [format!("{base}_{underscored}"), format!("{base}_{name}")] {
            let value = bindgen::joined(user(&variable).or_else(|| user(base)), &args);
            set(variable, value);
        }
    }
    Ok(answer)
}

/// Returns the C compiler of zig for `target` and `cpu`, and the variables that it needs: independent
/// of the workspace, its settings and its environment. Its script is that of `dir`.
///
/// # Errors
/// zig does not know the target.
pub fn compiler(
    cx: &Context,
    zig: &Zig,
    target: &str,
    cpu: Option<&str>,
    dir: &Utf8Path,
) -> Result<(Utf8PathBuf, EnvChanges)> {
    let mut env = toolchain::unset(cx);
    env.insert("LC_ALL".to_owned(), Some("C".to_owned()));
    let paths = ToolPaths::write(cx, zig, dir.as_str(), target, cpu)?;
    Ok((paths.cc, env))
}

fn write_script(path: &Utf8Path, text: &str) -> Result<()> {
    write_changed(path, text, 0o755)
}

/// Writes `text` to `path`, unless it is there: compiler caches compare times.
fn write_changed(path: &Utf8Path, text: &str, mode: u32) -> Result<()> {
    if fs::read_to_string_if_exists(path)?.as_deref() != Some(text) {
        fs::write_mode(path, text.as_bytes(), mode)?;
    }
    Ok(())
}

/// Returns `path`, or a link to it if it has characters in it that CMake, make and shells would split
/// the path of a compiler at. The link is below `/tmp` or `/var/tmp`, in a directory of this user, and
/// has the same name each time: cargo compiles again when the path of a linker changes.
fn plain_path(path: &Utf8Path) -> Result<Utf8PathBuf> {
    if is_plain_path(path.as_str()) {
        return Ok(path.to_owned());
    }
    let user = rustix::process::geteuid().as_raw();
    let name = Digest::sha256(path.as_str().as_bytes()).short();
    let mut reasons = Vec::new();
    for base in ["/tmp", "/var/tmp"] {
        let dir = Utf8PathBuf::from(format!("{base}/longshore-{user}"));
        let link = dir.join(&name);
        match access::private_dir(&dir).and_then(|()| fs::symlink(path, &link)) {
            Ok(()) => return Ok(link),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    Err(Error::usage(format!(
        "`{path}` has characters in its path that C builds split, and no link to it can be made: {}",
        reasons.join("; ")
    ))
    .hint("set `LONGSHORE_CACHE_DIR` to a directory without spaces, quotes and `;:$*?[]#` in its path"))
}
