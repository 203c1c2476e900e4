//! Flags for rustc: the user's own, as cargo would choose them, with longshore's added. None is
//! ever dropped.

use camino::Utf8PathBuf;

use crate::{
    build::{cargo::cpu::chosen_cpu, target::Target},
    model::{
        error::{Error, Result},
        machine::Linkage,
        schema::{
            plan::{Flag, Std, Via},
            profile::{Preset, Unstable},
        },
    },
};

impl Flag {
    /// Returns a flag that cargo passes to rustc.
    pub fn new(flag: impl Into<String>, origin: impl Into<String>) -> Self {
        Flag { flag: flag.into(), origin: origin.into(), via: Via::default() }
    }

    /// Returns the linker argument that the linker's wrapper adds for this flag.
    pub fn link_arg(&self) -> Option<&str> {
        self.flag.strip_prefix(LINK_ARG).filter(|_| self.via == Via::Linker)
    }
}

/// The beginning of a flag that holds one argument for the linker.
const LINK_ARG: &str = "-Clink-arg=";

/// The user's flags for a target, from the one source that cargo uses: `CARGO_ENCODED_RUSTFLAGS`, else
/// `RUSTFLAGS`, else all matching `target.*.rustflags`, else `build.rustflags`
/// (<https://doc.rust-lang.org/cargo/reference/config.html#buildrustflags>).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFlags {
    /// The flags.
    pub flags: Vec<String>,
    /// The kind of source.
    pub source: FlagSource,
    /// The source, for messages.
    pub origin: String,
    /// Whether the source is a variable, and hides flags of `target.*.rustflags`.
    pub hides: bool,
    /// The linker that `target.<target>.linker` or its variable names.
    pub linker: Option<Flag>,
    /// The CPUs that rustc knows for the target; only if a flag chooses one.
    pub cpus: Vec<String>,
}

/// The kinds of sources that cargo takes flags from, each hiding those after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlagSource {
    /// A variable that is set, be it empty.
    Environment,
    /// `target.*.rustflags`, from files and variables, all together.
    Target,
    /// `build.rustflags`.
    Build,
    /// There are none.
    #[default]
    Nowhere,
}

/// Directories with names that must not reach a binary, and their replacements. Later ones take
/// precedence, so that a directory inside another can have a separate name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remap(pub Vec<(Utf8PathBuf, String)>);

/// The properties of a build that determine longshore's own flags for a target.
#[derive(Clone, Debug, Default)]
pub struct FlagContext<'a> {
    /// The source of std.
    pub std: Option<&'a Std>,
    /// Directories with names that must not reach the result.
    pub remap: Option<&'a Remap>,
    /// The preset, if there is one.
    pub preset: Option<Preset>,
    /// Whether panics abort.
    pub aborts: bool,
    /// Unstable switches.
    pub unstable: &'a [Unstable],
    /// The objects and other arguments of the link, and the reason for each.
    pub link_args: Vec<(&'a str, &'static str)>,
    /// Whether rustc links the C library statically by default.
    pub is_static: bool,
    /// The flags of the profile, which cargo itself gives to rustc.
    pub profile: &'a [Flag],
    /// The flag for a profile of the program's runs, and its reason.
    pub pgo: Option<(String, &'static str)>,
}

/// The flags of one origin.
pub(super) struct FlagGroup {
    pub(super) flags: Vec<String>,
    pub(super) origin: String,
}

/// Returns the flags that are not longshore's, in rustc's order: those of the profile come first.
pub(super) fn flag_groups(user: &UserFlags, target: &Target, profile: &[Flag]) -> Vec<FlagGroup> {
    let mut sources: Vec<FlagGroup> = Vec::new();
    for Flag { flag, origin, .. } in profile {
        match sources.last_mut().filter(|last| last.origin == *origin) {
            Some(last) => last.flags.push(flag.clone()),
            None => sources.push(FlagGroup { flags: vec![flag.clone()], origin: origin.clone() }),
        }
    }
    sources.push(FlagGroup { flags: user.flags.clone(), origin: user.origin.clone() });
    sources.push(FlagGroup { flags: target.spec.rustflags.clone(), origin: target_origin(target) });
    sources
}

fn target_origin(target: &Target) -> String {
    format!("target {} ({})", target.name, target.origin)
}

/// Returns every flag for `target`: the user's, then those of the target's file, then longshore's. Fails if two
/// of them contradict each other.
///
/// # Errors
/// A flag of the user's that contradicts the target's linkage; both are named.
pub fn merge(user: &UserFlags, target: &Target, context: &FlagContext<'_>) -> Result<Vec<Flag>> {
    let mut all = Vec::new();
    let mut push = |flag: &str, origin: &str, via| {
        all.push(Flag { flag: flag.to_owned(), origin: origin.to_owned(), via });
    };
    for flag in &user.flags {
        push(flag, &user.origin, Via::Rustflags);
    }
    let of_target = target_origin(target);
    for flag in &target.spec.rustflags {
        push(flag, &of_target, Via::Rustflags);
    }
    let mut add = |flag: &str, origin: &str| {
        let via = match flag {
            STATIC if context.is_static => Via::Default,
            flag if flag.starts_with(LINK_ARG) => Via::Linker,
            _ => Via::Rustflags,
        };
        push(flag, origin, via);
    };
    let sources = flag_groups(user, target, context.profile);
    check_contradictions(&sources, target)?;
    check_linker(user, &sources, target)?;
    check_cpu(user, target)?;
    let sets = |key: &str| {
        let flags = codegen_options(&user.flags).chain(codegen_options(&target.spec.rustflags));
        let mut keys = flags.filter_map(|flag| Some(flag.split_once('=')?.0.to_owned()));
        keys.any(|name| name == key)
    };
    for (flag, why) in tuning_flags(target, context, &of_target) {
        // What is set already is meant: the plan shows it.
        let key = flag.strip_prefix("-C").and_then(|flag| flag.split('=').next());
        if !key.is_some_and(|key| key != "link-arg" && sets(key)) {
            add(&flag, &why);
        }
    }
    for (flag, why) in linkage_flags(target.spec.linkage) {
        add(flag, &format!("longshore: {why}"));
    }
    if let Some(Std::Source { sysroot, .. }) = context.std {
        add(&format!("--sysroot={sysroot}"), "longshore: std is built from source");
        // Such a sysroot has no start files; zig brings its own.
        add("-Clink-self-contained=no", "longshore: std is built from source");
    }
    for (from, to) in context.remap.iter().flat_map(|remap| &remap.0) {
        add(
            &format!("--remap-path-prefix={from}={to}"),
            "longshore: the same bytes from every directory",
        );
    }
    Ok(all)
}

/// Returns the flags that the target's file and the preset set besides the linkage, each with its origin.
fn tuning_flags(
    target: &Target,
    context: &FlagContext<'_>,
    of_target: &str,
) -> Vec<(String, String)> {
    let spec = &target.spec;
    let mut flags = Vec::new();
    let mut add = |flag: String, origin: &str| flags.push((flag, origin.to_owned()));
    // Only these names contain the crate that generic code was compiled for.
    add(
        "-Csymbol-mangling-version=v0".into(),
        "longshore: symbol names include the crate, for `size`",
    );
    if let Some(cpu) = target.cpu(context.preset) {
        let speed = spec.speed_cpu.as_deref() == Some(cpu) && context.preset == Some(Preset::Speed);
        let why = if speed { "longshore: preset speed" } else { of_target };
        add(format!("-Ctarget-cpu={cpu}"), why);
    }
    if spec.frame_pointers {
        add("-Cforce-frame-pointers=yes".into(), of_target);
    }
    if context.preset == Some(Preset::Size) && context.aborts {
        // The stack of a program that aborts on panic is never unwound.
        add("-Cforce-unwind-tables=no".into(), "longshore: preset size");
    }
    if let Some((flag, why)) = &context.pgo {
        add(flag.clone(), why);
    }
    for switch in context.unstable {
        for flag in switch.flags() {
            add((*flag).to_owned(), &format!("longshore: unstable {}", switch.name()));
        }
    }
    for arg in &spec.link_args {
        add(format!("-Clink-arg={arg}"), of_target);
    }
    for (arg, why) in &context.link_args {
        add(format!("-Clink-arg={arg}"), why);
    }
    flags
}

/// Returns the flags of [`merge`], in the spelling of C compilers.
pub fn c_tuning_flags(target: &Target, context: &FlagContext<'_>) -> Vec<&'static str> {
    let mut flags = Vec::new();
    if target.spec.frame_pointers {
        flags.push("-fno-omit-frame-pointer");
    }
    if context.preset == Some(Preset::Size) && context.aborts {
        flags.extend(["-fno-unwind-tables", "-fno-asynchronous-unwind-tables"]);
    }
    flags
}

/// Links the C library statically.
const STATIC: &str = "-Ctarget-feature=+crt-static";

fn linkage_flags(linkage: Linkage) -> Vec<(&'static str, &'static str)> {
    let mut flags = Vec::new();
    if linkage != Linkage::Dynamic {
        flags.push((STATIC, "static linkage"));
    }
    match linkage {
        // zig ignores rustc's `-static-pie`; with `-pie` and without a shared library, it uses the start
        // files of static-pie automatically. Code is position independent by default.
        Linkage::StaticPie => flags.push(("-Clink-arg=-pie", "linkage static-pie")),
        Linkage::Static => flags.push(("-Crelocation-model=static", "linkage static")),
        Linkage::Dynamic => {}
    }
    flags.push(("-Clink-arg=-Wl,--build-id=sha1", "debuggers find symbols by build-id"));
    flags
}

/// Returns what each `-C` flag sets, as `key=value`; for `-C` alone the next flag holds it. Keys are
/// spelled as in the documentation: rustc takes `_` for `-` in them.
pub(super) fn codegen_options(flags: &[String]) -> impl Iterator<Item = String> {
    let settings = flags.iter().enumerate().filter_map(|(at, flag)| match flag.as_str() {
        "-C" | "--codegen" => flags.get(at + 1).map(String::as_str),
        flag => flag.strip_prefix("-C").or_else(|| flag.strip_prefix("--codegen=")),
    });
    settings.map(|setting| match setting.split_once('=') {
        Some((key, value)) => format!("{}={value}", key.replace('_', "-")),
        None => setting.replace('_', "-"),
    })
}

fn check_contradictions(sources: &[FlagGroup], target: &Target) -> Result<()> {
    let linkage = target.spec.linkage;
    let against = |setting: &str| match (linkage, setting.split_once('=')) {
        (Linkage::Dynamic, Some(("target-feature", features))) => {
            features.split(',').any(|feature| feature == "+crt-static")
        }
        (_, Some(("target-feature", features))) => {
            features.split(',').any(|feature| feature == "-crt-static")
        }
        (Linkage::StaticPie, Some(("relocation-model", model))) => !matches!(model, "pie" | "pic"),
        (Linkage::Static, Some(("relocation-model", model))) => model == "pie",
        _ => false,
    };
    for FlagGroup { flags, origin } in sources {
        if let Some(setting) = codegen_options(flags).find(|setting| against(setting)) {
            return Err(Error::usage(format!(
                "`-C {setting}` from {origin} contradicts `linkage = \"{linkage}\"` of target \
                 `{}` ({})",
                target.name, target.origin
            ))
            .hint(format!(
                "remove the flag, or set another linkage in \
                 `targets/{}.toml`",
                target.name
            )));
        }
    }
    Ok(())
}

/// Checks that no flag chooses a linker: provenance would name the wrong one, and other linkers do not understand
/// all of longshore's arguments.
fn check_linker(user: &UserFlags, sources: &[FlagGroup], target: &Target) -> Result<()> {
    let chooses = |setting: &str| {
        let link_args = setting.split_once('=').filter(|(key, _)| key.starts_with("link-arg"));
        let named = |key: &str| setting.strip_prefix(key).is_some_and(|rest| rest.starts_with('='));
        named("linker")
            || named("linker-flavor")
            || link_args
                .is_some_and(|(_, args)| args.contains("-fuse-ld=") || args.contains("--ld-path="))
    };
    let rejected = |what: String, origin: &str| {
        Error::usage(format!(
            "{what} from {origin} chooses a linker for target `{}`, and longshore links with zig or \
             rust-lld",
            target.name
        ))
        .hint(
            "remove it for this target, for example with a `target.<target>` table for others; \
             `linker` in `[workspace.metadata.longshore]` chooses one of the two",
        )
    };
    if let Some(linker) = &user.linker {
        return Err(rejected(format!("`linker = \"{}\"`", linker.flag), &linker.origin));
    }
    for FlagGroup { flags, origin } in sources {
        if let Some(setting) = codegen_options(flags).find(|setting| chooses(setting)) {
            return Err(rejected(format!("`-C {setting}`"), origin));
        }
    }
    Ok(())
}

fn check_cpu(user: &UserFlags, target: &Target) -> Result<()> {
    let Some(cpu) = chosen_cpu(&user.flags) else { return Ok(()) };
    if user.cpus.is_empty() || user.cpus.contains(&cpu) {
        return Ok(());
    }
    let why = match cpu.as_str() {
        "native" => "which is the CPU of this host and not one of the target".to_owned(),
        _ => "which rustc does not know for it".to_owned(),
    };
    let error = Error::usage(format!(
        "`-C target-cpu={cpu}` from {} is for target `{}`, too, {why}",
        user.origin, target.name
    ));
    let near = crate::model::suggest::nearest(&cpu, user.cpus.iter().map(String::as_str));
    Err(error.hint(match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "set the flag for one target, in `target.<target>.rustflags` of cargo's \
                 configuration"
            .to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::target::Targets;

    fn target() -> Target {
        Targets::new([]).unwrap().get("x86_64-unknown-linux-musl").unwrap().clone()
    }

    fn user(flags: &[&str]) -> UserFlags {
        UserFlags {
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            source: FlagSource::Environment,
            origin: "RUSTFLAGS".into(),
            ..UserFlags::default()
        }
    }

    #[test]
    fn a_choice_of_another_linker_is_rejected_with_its_origin() {
        for flags in [
            &["-Clinker=gcc"][..],
            &["-C", "linker=gcc"],
            &["--codegen=linker-flavor=ld.lld"],
            &["-Clink-arg=-fuse-ld=mold"],
            &["-Clink-args=-s -fuse-ld=lld"],
            &["-Clinker_flavor=gcc"],
        ] {
            let error = merge(&user(flags), &target(), &FlagContext::default()).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("RUSTFLAGS chooses a linker"), "{text}");
        }
        let linker = Flag { flag: "gcc".into(), origin: "X".into(), via: Via::default() };
        let chosen = UserFlags { linker: Some(linker), ..UserFlags::default() };
        let error = merge(&chosen, &target(), &FlagContext::default()).unwrap_err();
        assert!(error.to_string().contains("`linker = \"gcc\"` from X"), "{error}");
        let fine = ["-Clinker-plugin-lto=no", "-Clink-arg=-s", "-Clink-self-contained=yes"];
        merge(&user(&fine), &target(), &FlagContext::default()).unwrap();
    }

    #[test]
    fn cpus_of_other_machines_are_rejected() {
        let known = ["x86-64", "x86-64-v3", "haswell"].map(str::to_owned).to_vec();
        let chosen = |cpu: &str| {
            let flag = format!("-Ctarget-cpu={cpu}");
            UserFlags { cpus: known.clone(), ..user(&["-Ctarget-cpu=x86-64", &flag]) }
        };
        let result = |cpu: &str| merge(&chosen(cpu), &target(), &FlagContext::default());
        result("haswell").unwrap();
        let error = result("neoverse-n1").unwrap_err();
        assert!(
            error.to_string().contains("`-C target-cpu=neoverse-n1` from RUSTFLAGS"),
            "{error}"
        );
        assert!(result("native").is_err());
    }

    #[test]
    fn user_flags_come_first_and_unchanged() {
        let user = user(&["--cfg", "with space=\"a b\"", "-Ctarget-cpu=x86-64-v2"]);
        let all = merge(&user, &target(), &FlagContext::default()).unwrap();
        let first: Vec<_> = all.iter().take(3).map(|flag| flag.flag.clone()).collect();
        assert_eq!(first, user.flags);
        assert!(all.iter().any(|flag| flag.flag == "-Ctarget-feature=+crt-static"));
    }

    #[test]
    fn target_tuning_is_added_unless_the_user_set_it() {
        let mut target = target();
        target.origin = "targets/x.toml".to_owned();
        target.spec.cpu = Some("x86-64-v2".to_owned());
        target.spec.frame_pointers = true;
        target.spec.link_args = vec!["-Wl,-z,stack-size=8388608".to_owned()];
        let context = FlagContext { preset: Some(Preset::Speed), ..FlagContext::default() };
        let find = |flags: &[&str], start: &str| {
            let all = merge(&user(flags), &target, &context).unwrap();
            let found = all.into_iter().filter(|flag| flag.flag.starts_with(start));
            found.map(|flag| format!("{}  # {}", flag.flag, flag.origin)).collect::<Vec<_>>()
        };
        let cpu = "-Ctarget-cpu=";
        assert_eq!(find(&[], cpu), ["-Ctarget-cpu=x86-64-v3  # longshore: preset speed"]);
        assert_eq!(
            find(&["-Ctarget-cpu=native"], cpu),
            ["-Ctarget-cpu=native  # RUSTFLAGS"],
            "the user's own stays, alone"
        );
        let of_file = "# target x86_64-unknown-linux-musl (targets/x.toml)";
        assert_eq!(find(&[], "-Cforce-frame"), [format!("-Cforce-frame-pointers=yes  {of_file}")]);
        assert_eq!(
            find(&["-Clink-arg=-s"], "-Clink-arg=-Wl,-z"),
            [format!("-Clink-arg=-Wl,-z,stack-size=8388608  {of_file}")]
        );
    }

    #[test]
    fn unwind_tables_stay_where_panics_unwind() {
        let none = "-Cforce-unwind-tables=no";
        for aborts in [true, false] {
            let context =
                FlagContext { preset: Some(Preset::Size), aborts, ..FlagContext::default() };
            let all = merge(&user(&[]), &target(), &context).unwrap();
            assert_eq!(all.iter().any(|flag| flag.flag == none), aborts);
        }
    }

    #[test]
    fn build_scripts_get_no_linker_arguments() {
        let mut target = target();
        target.spec.link_args = vec!["-Wl,-z,stack-size=8388608".to_owned()];
        let context = FlagContext {
            is_static: true,
            link_args: vec![("/a b.o", "longshore: allocator mimalloc")],
            ..FlagContext::default()
        };
        let all = merge(&user(&["-Clink-arg=-s"]), &target, &context).unwrap();
        let via = |via| all.iter().filter(move |flag| flag.via == via);
        let passed: Vec<&str> = via(Via::Rustflags).map(|flag| flag.flag.as_str()).collect();
        assert_eq!(passed, ["-Clink-arg=-s", "-Csymbol-mangling-version=v0"], "{all:?}");
        let linker: Vec<_> = all.iter().filter_map(Flag::link_arg).collect();
        let own = ["-Wl,-z,stack-size=8388608", "/a b.o", "-pie", "-Wl,--build-id=sha1"];
        assert_eq!(linker, own);
        let default: Vec<&str> = via(Via::Default).map(|flag| flag.flag.as_str()).collect();
        assert_eq!(default, [STATIC]);
        // Other targets need the flag.
        let all = merge(&user(&[]), &target, &FlagContext::default()).unwrap();
        assert!(all.iter().any(|flag| flag.flag == STATIC && flag.via == Via::Rustflags));
    }

    #[test]
    fn contradictions_name_both() {
        for flags in [
            &["-C", "target-feature=-crt-static"][..],
            &["-Ctarget-feature=+avx2,-crt-static"],
            &["--codegen=relocation-model=static"],
            &["-Ctarget_feature=-crt-static"],
        ] {
            let error = merge(&user(flags), &target(), &FlagContext::default()).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("RUSTFLAGS") && text.contains("linkage"), "{text}");
        }
    }
}
