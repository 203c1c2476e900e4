//! Cargo's configuration as one tree of values: files merged as cargo merges them, with the variables
//! that set keys (<https://doc.rust-lang.org/cargo/reference/config.html>).

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::cargo_platform::{Cfg, CfgExpr};

use super::{
    node::{Node, Scalar},
    rustflags::FlagSource,
};
use crate::model::collect::{CollectOrdered as _, SortStable as _};

/// One variable of `[env]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvEntry {
    /// The value.
    pub value: String,
    /// Whether it replaces a variable of the process.
    pub force: bool,
    /// The file that sets it.
    pub file: Utf8PathBuf,
}

/// A directory that replaces a registry or a repository (`cargo vendor`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendoredSource {
    /// The source's name.
    pub name: String,
    /// The directory as cargo writes it, which may have `..` in it.
    pub directory: Utf8PathBuf,
}

/// A key of a profile.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileKey {
    /// The profile.
    pub profile: String,
    /// The key.
    pub key: String,
    /// Its value.
    pub value: toml::Value,
    /// The file or the variable that sets it.
    pub origin: Utf8PathBuf,
}

/// The variables that hide all other places for flags, the first one also the second.
pub const FLAG_VARIABLES: [&str; 2] = ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"];

/// The keys of profiles that variables can set.
const PROFILE_KEYS: [&str; 12] = [
    "opt-level",
    "debug",
    "split-debuginfo",
    "strip",
    "debug-assertions",
    "overflow-checks",
    "lto",
    "panic",
    "incremental",
    "codegen-units",
    "rpath",
    "inherits",
];

/// The files of cargo's configuration, merged, the variables that set keys, which have precedence over
/// the files, and `--config`, which has precedence over both.
#[derive(Clone, Debug)]
pub struct Settings {
    files: Node,
    vars: BTreeMap<String, String>,
    arguments: Node,
    /// The files and the arguments.
    root: Node,
    /// The current directory, where relative paths of variables start.
    dir: Utf8PathBuf,
}

impl Settings {
    /// Joins files, variables and arguments.
    pub fn new(
        files: Node,
        vars: BTreeMap<String, String>,
        arguments: Node,
        dir: &Utf8Path,
    ) -> Self {
        let mut root = files.clone();
        root.merge(arguments.clone(), true);
        Settings { files, vars, arguments, root, dir: dir.to_owned() }
    }

    /// Returns the variable that sets the key, if no argument does.
    fn effective(&self, key: &[&str]) -> Option<&String> {
        self.variable(key).filter(|_| self.arguments.get(key).is_none())
    }

    fn variable(&self, key: &[&str]) -> Option<&String> {
        self.vars.get(&variable_name(key))
    }

    /// Returns a list: that of the files, of the variable, and of the arguments. A string is split at white
    /// space, and one of the arguments replaces that of the files.
    pub fn list(&self, key: &[&str]) -> Vec<String> {
        let split = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let argument = self.arguments.get(key);
        let is_text = matches!(argument, Some(Node::Scalar(_)));
        let of_files = self.files.get(key).filter(|_| !is_text);
        let mut list = of_files.map(split_words).unwrap_or_default();
        list.extend(self.variable(key).iter().flat_map(|text| split(text)));
        list.extend(argument.map(split_words).unwrap_or_default());
        list
    }

    /// Returns the program that the variable `name` or the key names.
    pub fn program(&self, name: &str, key: &[&str]) -> Option<String> {
        let set = self.vars.get(name).or_else(|| self.effective(key));
        match (set, self.root.get(key)) {
            (Some(text), _) if text.contains('/') => Some(self.dir.join(text).into_string()),
            (Some(text), _) => Some(text.clone()),
            (None, Some(Node::Scalar(scalar))) => Some(scalar.program()),
            _ => None,
        }
    }

    /// Returns `build.target-dir`, also of a variable.
    pub fn target_dir(&self) -> Option<Utf8PathBuf> {
        let key = ["build", "target-dir"];
        let set = self.vars.get("CARGO_TARGET_DIR").or_else(|| self.effective(&key));
        match (set, self.root.get(&key)) {
            (Some(dir), _) => Some(self.dir.join(dir)),
            (None, Some(Node::Scalar(scalar))) => Some(scalar.path()),
            _ => None,
        }
    }

    /// Returns the linker of `target`, and the variable or the key that sets it.
    pub fn linker(&self, target: &str, cfgs: Option<&[Cfg]>) -> Option<(String, String)> {
        let key = ["target", target, "linker"];
        if let Some(linker) = self.program("", &key) {
            let of_key = || format!("`target.{target}.linker` in cargo's configuration");
            let origin = self.effective(&key).map_or_else(of_key, |_| variable_name(&key));
            return Some((linker, origin));
        }
        let mut tables = self.matching_tables(cfgs);
        tables.find_map(|(cfg, table)| match table.get(&["linker"])? {
            Node::Scalar(scalar) => Some((
                scalar.program(),
                format!("`target.'{cfg}'.linker` in cargo's configuration"),
            )),
            _ => None,
        })
    }

    /// Returns the tables `target.'cfg(…)'` that apply, in the order of their names.
    fn matching_tables<'a>(
        &'a self,
        cfgs: Option<&'a [Cfg]>,
    ) -> impl Iterator<Item = (&'a String, &'a Node)> {
        let tables = self.root.get(&["target"]).into_iter().flat_map(Node::entries);
        tables.filter(move |(key, _)| cfgs.is_some_and(|cfgs| CfgExpr::matches_key(key, cfgs)))
    }

    /// Returns whether there is a table `target.'cfg(…)'` with flags or a linker.
    pub fn has_conditions(&self) -> bool {
        let mut tables = self.root.get(&["target"]).into_iter().flat_map(Node::entries);
        tables.any(|(key, table)| {
            let sets = |key| table.get(&[key]).is_some();
            key.starts_with("cfg(") && (sets("rustflags") || sets("linker"))
        })
    }

    /// Returns the flags of all matching `target.*.rustflags`. Without `cfgs` those with a condition
    /// are left out.
    pub fn target_flags(&self, target: &str, cfgs: Option<&[Cfg]>) -> Vec<String> {
        let mut flags = self.list(&["target", target, "rustflags"]);
        let tables = self.matching_tables(cfgs).filter_map(|(_, table)| table.get(&["rustflags"]));
        flags.extend(tables.flat_map(split_words));
        flags
    }

    /// Returns the flags that cargo passes to rustc for `target`, and their source: the first that is set of
    /// `CARGO_ENCODED_RUSTFLAGS`, `RUSTFLAGS`, all matching `target.*.rustflags` and `build.rustflags`.
    pub fn flags(&self, target: &str, cfgs: Option<&[Cfg]>) -> (Vec<String>, FlagSource) {
        if let Some(text) = self.vars.get(FLAG_VARIABLES[0]) {
            let flags = text.split('\u{1f}').filter(|_| !text.is_empty());
            return (flags.map(str::to_owned).collect(), FlagSource::Environment);
        }
        if let Some(text) = self.vars.get(FLAG_VARIABLES[1]) {
            let flags = text.split(' ').map(str::trim).filter(|flag| !flag.is_empty());
            return (flags.map(str::to_owned).collect(), FlagSource::Environment);
        }
        let flags = self.target_flags(target, cfgs);
        if !flags.is_empty() {
            return (flags, FlagSource::Target);
        }
        let flags = self.list(&["build", "rustflags"]);
        let source = if flags.is_empty() { FlagSource::Nowhere } else { FlagSource::Build };
        (flags, source)
    }

    /// Returns the variables of `[env]`.
    pub fn env(&self) -> BTreeMap<String, EnvEntry> {
        let entry = |node: &Node| {
            let flag = |key| match node.get(&[key]) {
                Some(Node::Scalar(scalar)) => scalar.value.as_bool().unwrap_or_default(),
                _ => false,
            };
            let scalar = match node {
                Node::Scalar(scalar) => scalar,
                table => match table.get(&["value"])? {
                    Node::Scalar(scalar) => scalar,
                    _ => return None,
                },
            };
            let value = if flag("relative") { scalar.path().into_string() } else { scalar.text() };
            Some(EnvEntry { value, force: flag("force"), file: scalar.origin.file.clone() })
        };
        let entries = self.root.get(&["env"]).into_iter().flat_map(Node::entries);
        entries.filter_map(|(name, node)| Some((name.clone(), entry(node)?))).collect_map()
    }

    /// Returns the directories that replace other sources of packages.
    pub fn vendored(&self) -> Vec<VendoredSource> {
        let sources = self.root.get(&["source"]).into_iter().flat_map(Node::entries);
        let directory = |(name, node): (&String, &Node)| match node.get(&["directory"])? {
            Node::Scalar(scalar) => {
                Some(VendoredSource { name: name.clone(), directory: scalar.path() })
            }
            _ => None,
        };
        sources.filter_map(directory).collect()
    }

    /// Returns the keys of profiles that files set, then those that variables set, then those that
    /// arguments set. `names` are the profiles that are known otherwise.
    pub fn profiles(&self, names: &[&str]) -> Vec<ProfileKey> {
        let mut all = profile_keys(&self.files);
        let profiles = self.root.get(&["profile"]);
        let of_files = profiles.into_iter().flat_map(Node::entries).map(|(name, _)| name.as_str());
        let mut names: Vec<&str> = names.iter().copied().chain(of_files).collect();
        names.sort_stable();
        names.dedup();
        for (name, key) in names.iter().flat_map(|name| PROFILE_KEYS.map(|key| (name, key))) {
            let path = ["profile", name, key];
            if let Some(text) = self.variable(&path) {
                let (profile, key) = ((*name).to_owned(), key.to_owned());
                let origin = variable_name(&path).into();
                all.push(ProfileKey { profile, key, value: parse_value(text), origin });
            }
        }
        all.extend(profile_keys(&self.arguments));
        all
    }

    /// Returns the targets of `build.target`.
    pub fn build_targets(&self) -> Vec<String> {
        let key = ["build", "target"];
        match (self.effective(&key), self.root.get(&key)) {
            (Some(target), _) => vec![target.clone()],
            (None, Some(Node::Scalar(scalar))) => vec![scalar.text()],
            (None, Some(Node::List(list))) => list.iter().map(Scalar::text).collect(),
            _ => Vec::new(),
        }
    }
}

/// Returns the keys of profiles that `root` sets.
fn profile_keys(root: &Node) -> Vec<ProfileKey> {
    let mut all = Vec::new();
    for (profile, node) in root.get(&["profile"]).into_iter().flat_map(Node::entries) {
        for (key, node) in node.entries() {
            let origin = node.file().map(Utf8Path::to_owned).unwrap_or_default();
            let (profile, key, value) = (profile.clone(), key.clone(), node.value());
            all.push(ProfileKey { profile, key, value, origin });
        }
    }
    all
}

/// Returns the words of a list, or of a string that is split at white space.
fn split_words(node: &Node) -> Vec<String> {
    match node {
        Node::List(list) => list.iter().map(Scalar::text).collect(),
        Node::Scalar(scalar) => scalar.text().split_whitespace().map(str::to_owned).collect(),
        Node::Table(_) => Vec::new(),
    }
}

/// Returns the variable that sets a key
/// (<https://doc.rust-lang.org/cargo/reference/config.html#environment-variables>).
fn variable_name(key: &[&str]) -> String {
    let parts = key.iter().map(|part| part.replace('-', "_").to_uppercase());
    parts.fold("CARGO".to_owned(), |name, part| format!("{name}_{part}"))
}

/// Returns the value of a variable with the type that cargo gives it.
fn parse_value(text: &str) -> toml::Value {
    match text {
        "true" => true.into(),
        "false" => false.into(),
        text => text.parse().map_or_else(|_| text.into(), toml::Value::Integer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::cargo::node::Origin;

    fn node(text: &str, file: &str) -> Node {
        Node::new(toml::Value::Table(text.parse().unwrap()), &Origin::file(file.into()))
    }

    fn settings(root: Node, vars: &[(&str, &str)]) -> Settings {
        let vars = vars.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Settings::new(root, vars, Node::empty(), "/w".into())
    }

    const TARGET: &str = "x86_64-unknown-linux-musl";

    #[test]
    fn the_first_source_of_flags_counts() {
        let mut root = node("build.rustflags = ['inner']", "/w/.cargo/config.toml");
        root.merge(node("build.rustflags = ['outer']", "/.cargo/config.toml"), false);
        let build = settings(root.clone(), &[("CARGO_BUILD_RUSTFLAGS", "of variable")]);
        let expected = ["outer", "inner", "of", "variable"].map(str::to_owned).to_vec();
        assert_eq!(build.flags(TARGET, None), (expected, FlagSource::Build));
        let text = format!(
            "[target.{TARGET}]\nrustflags = 'a b'\n[target.'cfg(unix)']\nrustflags = ['c']\n\
             [target.'cfg(windows)']\nrustflags = ['d']"
        );
        root.merge(node(&text, "/w/.cargo/config.toml"), true);
        let flags = |vars: &[(&str, &str)]| {
            let cfgs = ["unix".parse().unwrap()];
            settings(root.clone(), vars).flags(TARGET, Some(&cfgs)).0.join(" ")
        };
        assert_eq!(flags(&[]), "a b c");
        assert_eq!(flags(&[("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS", "v")]), "a b v c");
        assert_eq!(flags(&[("RUSTFLAGS", " x  y ")]), "x y");
        assert_eq!(flags(&[("RUSTFLAGS", "")]), "");
        assert_eq!(
            flags(&[("RUSTFLAGS", "x"), ("CARGO_ENCODED_RUSTFLAGS", "p q\u{1f}r")]),
            "p q r"
        );
    }

    #[test]
    fn arguments_have_precedence_over_variables_and_files() {
        let files = node(
            "build.rustflags = ['file']\nbuild.target = 'a'\nbuild.rustc-wrapper = 'tools/w'",
            "/w/.cargo/config.toml",
        );
        let vars = [
            ("CARGO_BUILD_RUSTFLAGS", "variable"),
            ("CARGO_BUILD_TARGET", "b"),
            ("CARGO_PROFILE_DIST_LTO", "true"),
        ];
        let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let text = "build.rustflags = ['argument']\nbuild.target = 'c'\nprofile.dist.lto = 'thin'\n\
                    build.rustc-wrapper = './w'";
        let value = toml::Value::Table(text.parse().unwrap());
        let arguments = Node::new(value, &Origin::argument("/w/d".into()));
        let all = Settings::new(files, vars, arguments, "/w/d".into());
        let (flags, source) = all.flags(TARGET, None);
        assert_eq!(
            (flags.join(" ").as_str(), source),
            ("file variable argument", FlagSource::Build)
        );
        assert_eq!(all.build_targets(), ["c"]);
        let lto = all.profiles(&["dist"]).pop().unwrap();
        assert_eq!((lto.value.as_str(), lto.origin.as_str()), (Some("thin"), "--config"));
        // The relative path of an argument starts at the current directory.
        let wrapper = all.program("RUSTC_WRAPPER", &["build", "rustc-wrapper"]);
        assert_eq!(wrapper.as_deref(), Some("/w/d/./w"));
    }

    #[test]
    fn paths_start_above_the_directory_of_their_file() {
        let text = "env.A = { value = 'x', relative = true }\nenv.B = { value = 'y', force = true }\n\
                    env.C = 'z'\nbuild.target-dir = 'out'\nbuild.rustc-wrapper = 'tools/w'\n\
                    source.v.directory = '../vendor'";
        let all = settings(node(text, "/w/.cargo/config.toml"), &[]);
        let env = all.env();
        assert_eq!((env["A"].value.as_str(), env["A"].force), ("/w/x", false));
        assert_eq!((env["B"].value.as_str(), env["B"].force), ("y", true));
        assert_eq!(env["C"].value, "z");
        assert_eq!(all.target_dir().unwrap(), "/w/out");
        let wrapper = all.program("RUSTC_WRAPPER", &["build", "rustc-wrapper"]);
        assert_eq!(wrapper.as_deref(), Some("/w/tools/w"));
        assert_eq!(all.vendored()[0].directory, "/w/../vendor");
    }

    #[test]
    fn variables_set_known_keys_of_profiles_with_dashes() {
        let root = node("profile.dist-small.lto = 'thin'", "/w/.cargo/config.toml");
        let vars = [
            ("CARGO_PROFILE_DIST_SMALL_OPT_LEVEL", "1"),
            ("CARGO_PROFILE_DIST_LTO", "true"),
            ("CARGO_PROFILE_DIST_UNKNOWN", "1"),
        ];
        let keys = settings(root, &vars).profiles(&["dist"]);
        let shown = keys.iter().map(|key| format!("{}.{}={}", key.profile, key.key, key.value));
        let expected = ["dist-small.lto=\"thin\"", "dist.lto=true", "dist-small.opt-level=1"];
        assert_eq!(shown.collect::<Vec<_>>(), expected);
    }
}
