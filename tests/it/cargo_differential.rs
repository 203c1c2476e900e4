//! Cargo's configuration, against cargo: generated configurations, and the flags that rustc gets.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

use crate::support::{
    command::{longshore, plain},
    random::random,
    workspace::{HELLO, Workspace, lock, manifest},
};

const TARGET: &str = "x86_64-unknown-linux-musl";
const CASES: usize = 200;

/// Stands for rustc: records the arguments for the package and fails, so that nothing is compiled.
const RECORDER: &str = "#!/bin/sh
case \" $* \" in
*' --crate-name hello '*) printf '%s\\n' \"$@\" > \"$RECORD\"; exit 1 ;;
esac
exec rustc \"$@\"
";

/// A configuration file that only `--config` names.
const EXTRA: &str = "extra/cargo.toml";

/// One generated configuration: files by path below the top directory, variables, and arguments.
#[derive(Debug, Default)]
struct Case {
    files: BTreeMap<String, String>,
    vars: BTreeMap<String, String>,
    args: Vec<String>,
}

/// Numbers, and flags with numbers that are not repeated.
struct Generator<R> {
    random: R,
    flag: usize,
}

impl<R: FnMut() -> usize> Generator<R> {
    fn below(&mut self, end: usize) -> usize {
        (self.random)() % end
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn flags(&mut self) -> Vec<String> {
        let count = self.below(3);
        let mut flags = Vec::new();
        for _ in 0..count {
            self.flag += 1;
            flags.push(format!("--cfg=f{}", self.flag));
        }
        if self.one_in(6) {
            flags.push("--cfg=special".to_owned());
        }
        flags
    }

    /// Returns the value of `rustflags`. Cargo rejects a text in one file and a list in another, so that a case
    /// has one form.
    fn value(&mut self, as_text: bool) -> String {
        let flags = self.flags();
        if as_text { format!("{:?}", flags.join("  ")) } else { format!("{flags:?}") }
    }

    fn config(&mut self, as_text: bool) -> String {
        let mut text = String::new();
        if self.one_in(2) {
            text.push_str(&format!("[build]\nrustflags = {}\n", self.value(as_text)));
        }
        if self.one_in(3) {
            text.push_str(&format!("[target.{TARGET}]\nrustflags = {}\n", self.value(as_text)));
        }
        let conditions =
            ["cfg(unix)", "cfg(windows)", "cfg(target_env = \\\"musl\\\")", "cfg(special)"];
        for condition in conditions {
            if self.one_in(5) {
                let value = self.value(as_text);
                text.push_str(&format!("[target.\"{condition}\"]\nrustflags = {value}\n"));
            }
        }
        if self.one_in(4) {
            let (level, units) = (self.below(4), self.below(9) + 1);
            text.push_str(&format!("[profile.dist]\nopt-level = {level}\n"));
            if self.one_in(2) {
                text.push_str(&format!("codegen-units = {units}\n"));
            }
        }
        if self.one_in(4) {
            let epoch = self.below(1000);
            let force = self.one_in(2);
            text.push_str(&format!(
                "[env]\nSOURCE_DATE_EPOCH = {{ value = \"{epoch}\", force = {force} }}\n"
            ));
        }
        text
    }

    fn includes(&mut self, case: &mut Case, dir: &str, as_text: bool) -> String {
        if !self.one_in(3) {
            return String::new();
        }
        let nested = self.config(as_text);
        case.files.insert(format!("{dir}/more/nested.toml"), nested);
        let mut one = self.config(as_text);
        if self.one_in(2) {
            one = format!("include = [\"more/nested.toml\"]\n{one}");
        }
        case.files.insert(format!("{dir}/one.toml"), one);
        let two = self.config(as_text);
        case.files.insert(format!("{dir}/two.toml"), two);
        let lists = [
            "[\"one.toml\", \"two.toml\"]",
            "[{ path = \"two.toml\" }, { path = \"one.toml\", optional = true }]",
            "[{ path = \"none.toml\", optional = true }, \"one.toml\"]",
        ];
        format!("include = {}\n", lists[self.below(3)])
    }

    /// Arguments of `--config`, and the file that one of them names.
    fn args(&mut self, case: &mut Case, as_text: bool) {
        for key in [
            "build.rustflags".to_owned(),
            format!("target.{TARGET}.rustflags"),
            "target.'cfg(unix)'.rustflags".to_owned(),
            "target.'cfg(special)'.rustflags".to_owned(),
        ] {
            if self.one_in(4) {
                let value = self.value(as_text);
                case.args.push(format!("{key}={value}"));
            }
        }
        if self.one_in(3) {
            let level = self.below(4);
            case.args.push(format!("profile.dist.opt-level={level}"));
        }
        if self.one_in(3) {
            let text = self.config(as_text);
            case.files.insert(EXTRA.to_owned(), text);
            let at = self.below(case.args.len() + 1);
            case.args.insert(at, format!("../../{EXTRA}"));
        }
    }

    fn case(&mut self) -> Case {
        let mut case = Case::default();
        let as_text = self.one_in(4);
        for dir in [".cargo", "a/.cargo", "a/b/.cargo", "home"] {
            if self.one_in(2) {
                let text = self.includes(&mut case, dir, as_text) + &self.config(as_text);
                let names: &[&str] = match self.below(5) {
                    0 => &["config"],
                    1 => &["config", "config.toml"],
                    _ => &["config.toml"],
                };
                for name in names {
                    let text = if names.len() == 2 && *name == "config.toml" { "" } else { &text };
                    case.files.insert(format!("{dir}/{name}"), text.to_owned());
                }
            }
        }
        for (name, separator, rarity) in [
            ("CARGO_BUILD_RUSTFLAGS", " ", 4),
            ("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS", "  ", 4),
            ("RUSTFLAGS", " ", 8),
            ("CARGO_ENCODED_RUSTFLAGS", "\u{1f}", 8),
        ] {
            if self.one_in(rarity) {
                let flags = self.flags().join(separator);
                case.vars.insert(name.to_owned(), flags);
            }
        }
        for (name, end) in [("OPT_LEVEL", 4), ("CODEGEN_UNITS", 9), ("DEBUG_ASSERTIONS", 1)] {
            if self.one_in(6) {
                let value = match name {
                    "DEBUG_ASSERTIONS" => "true".to_owned(),
                    _ => (self.below(end) + usize::from(end == 9)).to_string(),
                };
                case.vars.insert(format!("CARGO_PROFILE_DIST_{name}"), value);
            }
        }
        if self.one_in(6) {
            case.vars.insert("SOURCE_DATE_EPOCH".to_owned(), self.below(1000).to_string());
        }
        if self.one_in(3) {
            self.args(&mut case, as_text);
        }
        case
    }
}

/// Returns the flags of a list that the generator made, in their order.
fn generated<'a>(flags: impl Iterator<Item = &'a str>) -> Vec<String> {
    flags.filter(|flag| flag.starts_with("--cfg=")).map(str::to_owned).collect()
}

/// The arguments of rustc: the flags, and the values of the profile.
type Outcome = (Vec<String>, BTreeMap<String, String>);

fn by_cargo(workspace: &Workspace, case: &Case, recorder: &Path) -> Outcome {
    let record = workspace.path("record.txt");
    let _ = fs::remove_file(&record);
    let mut cargo = plain("cargo");
    cargo.args(["build", "--offline", "--profile", "dist", "--target", TARGET, "--target-dir"]);
    cargo.arg(workspace.path("target")).envs(&case.vars).env("RUSTC", recorder);
    cargo.env("CARGO_HOME", workspace.path("home")).env("RECORD", &record);
    cargo.args(case.args.iter().flat_map(|arg| ["--config", arg]));
    let output = cargo.current_dir(workspace.path("a/b")).output().unwrap();
    let text = fs::read_to_string(&record).unwrap_or_else(|_| {
        panic!("{case:#?}\n{}", String::from_utf8_lossy(&output.stderr));
    });
    let flags = generated(text.lines());
    let values = text.lines().filter_map(|line| line.split_once('='));
    let keys = ["opt-level", "codegen-units", "debug-assertions"];
    let values = values.filter(|(key, _)| keys.contains(key));
    (flags, values.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

fn by_longshore(workspace: &Workspace, case: &Case) -> Outcome {
    let mut plan = longshore(workspace, "plan --preset quick --message-format json --target");
    plan = plan.arg(TARGET).env("CARGO_HOME", workspace.path("home")).dir(workspace.path("a/b"));
    for (name, value) in &case.vars {
        plan = plan.env(name, value);
    }
    for arg in &case.args {
        plan = plan.arg("--config").arg(arg);
    }
    let plan = plan.run().json();
    let flags = plan["jobs"][0]["rustflags"].as_array().unwrap();
    let flags = generated(flags.iter().map(|flag| flag["flag"].as_str().unwrap()));
    let settings = plan["profile"]["settings"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap().trim_matches('"').to_owned();
    let settings = settings.map(|setting| (text(&setting["key"]), text(&setting["value"])));
    let mut values: BTreeMap<String, String> = settings.collect();
    assert_eq!(epoch(case), plan["release"]["source-date-epoch"].as_u64().unwrap(), "{case:#?}");
    values.retain(|key, _| ["opt-level", "codegen-units", "debug-assertions"].contains(&&**key));
    (flags, values)
}

/// Returns the time of the release by the rules of `[env]`, from cargo's own view of its configuration: the
/// innermost file has precedence.
fn epoch(case: &Case) -> u64 {
    fn of_file(case: &Case, path: &str, entry: &mut (Option<u64>, bool)) {
        let Some(text) = case.files.get(path) else { return };
        let table: toml::Table = text.parse().unwrap();
        for include in table.get("include").and_then(|list| list.as_array()).into_iter().flatten() {
            let include = include.as_str().unwrap_or_else(|| include["path"].as_str().unwrap());
            let (dir, _) = path.rsplit_once('/').unwrap();
            of_file(case, &format!("{dir}/{include}"), entry);
        }
        if let Some(set) = table.get("env").and_then(|env| env.get("SOURCE_DATE_EPOCH")) {
            let value = set["value"].as_str().unwrap().parse().unwrap();
            *entry = (Some(value), set["force"].as_bool().unwrap());
        }
    }
    let mut entry = (None, false);
    for dir in ["home", ".cargo", "a/.cargo", "a/b/.cargo"] {
        let names = [format!("{dir}/config"), format!("{dir}/config.toml")];
        if let Some(path) = names.iter().find(|path| case.files.contains_key(*path)) {
            of_file(case, path, &mut entry);
        }
    }
    of_file(case, EXTRA, &mut entry);
    let of_process = case.vars.get("SOURCE_DATE_EPOCH").map(|text| text.parse().unwrap());
    match entry {
        (Some(value), true) => value,
        (value, _) => of_process.or(value).unwrap_or(0),
    }
}

fn compare(cases: &[Case]) {
    let profile = "[profile.dist]\ninherits = \"release\"\n";
    let workspace = Workspace::empty()
        .file("a/b/Cargo.toml", &manifest("hello", profile))
        .file("a/b/Cargo.lock", &lock(&["hello"]))
        .file("a/b/src/main.rs", HELLO)
        .file("rustc", RECORDER);
    let recorder = workspace.path("rustc");
    fs::set_permissions(&recorder, fs::Permissions::from_mode(0o755)).unwrap();
    for case in cases {
        for dir in [".cargo", "a/.cargo", "a/b/.cargo", "home", "extra"] {
            let _ = fs::remove_dir_all(workspace.path(dir));
        }
        fs::create_dir_all(workspace.path("home")).unwrap();
        for (path, text) in &case.files {
            workspace.write(path, text);
        }
        let (flags, values) = by_cargo(&workspace, case, &recorder);
        let (ours, settings) = by_longshore(&workspace, case);
        assert_eq!(ours, flags, "{case:#?}");
        // Cargo leaves out what rustc does by default; the preset sets 16 units.
        let unoptimized = settings["opt-level"] == "0";
        let default = |key: &String, value: &String| match key.as_str() {
            "opt-level" => unoptimized,
            "codegen-units" => value == "16",
            _ => unoptimized,
        };
        for (key, value) in &settings {
            let is_same = match values.get(key) {
                Some(by_cargo) => by_cargo == value || value == "true" && by_cargo == "on",
                None => default(key, value),
            };
            assert!(is_same, "{key} = {value}, and cargo has {values:?}: {case:#?}");
        }
    }
}

#[test]
fn plans_have_the_flags_that_cargo_passes() {
    let mut generator = Generator { random: random(0x1094_5107), flag: 0 };
    let cases: Vec<Case> = (0..CASES).map(|_| generator.case()).collect();
    let of_files = cases.iter().filter(|case| case.files.len() > 1).count();
    assert!(of_files > CASES / 3, "{of_files}");
    let of_args = cases.iter().filter(|case| !case.args.is_empty()).count();
    assert!(of_args > CASES / 5, "{of_args}");
    std::thread::scope(|scope| {
        cases.chunks(CASES / 4).for_each(|chunk| {
            scope.spawn(move || compare(chunk));
        });
    });
}
