//! Packages for npm (<https://docs.npmjs.com/cli/configuring-npm/package-json>): one with the binaries of each
//! platform, and a main package with a script that starts the one that npm has installed.

use std::io::Write;

use semver::Version;
use serde_json::{Map, Value, json};

use super::write_tar_gz;
use crate::{
    archive::{
        compress::{ChunkCache, NoCache},
        tar::Meta,
        tree::{Content, FileStore, Tree},
    },
    model::{
        error::{Error, Result},
        machine::Architecture,
        platform::Platform,
        schema::plan::Npm,
    },
};

/// The size of a package above which npm's own registry and installers fail, in bytes: npm's maintainers name
/// about 120 MiB (<https://github.com/npm/npm/issues/12750>).
pub const MAX_SIZE: u64 = 120 << 20;

/// The longest name, with its scope
/// (<https://docs.npmjs.com/cli/configuring-npm/package-json#name>).
const MAX_NAME: usize = 214;

/// The names that npm reserves, besides those of Node.js (<https://github.com/npm/validate-npm-package-name>).
const RESERVED: [&str; 2] = ["node_modules", "favicon.ico"];

/// The modules of Node.js, which new packages cannot be called (`module.builtinModules` of version 22).
const NODE_MODULES: &str = "
    assert async_hooks buffer child_process cluster console constants crypto dgram diagnostics_channel dns domain
    events fs http http2 https inspector module net os path perf_hooks process punycode querystring readline repl
    stream string_decoder sys timers tls trace_events tty url util v8 vm wasi worker_threads zlib";

/// The directory that everything in a package is in, as `npm pack` has it.
const TOP: &str = "package";

/// Returns the reason for which `name` is not valid for a new package
/// (<https://docs.npmjs.com/cli/configuring-npm/package-json#name>); `None` if it is.
pub fn invalid_name(name: &str) -> Option<String> {
    let (scope, own) = match name.strip_prefix('@') {
        Some(scoped) => match scoped.split_once('/') {
            Some((scope, own)) => (Some(scope), own),
            None => return Some("a scope is followed by `/` and a name".to_owned()),
        },
        None => (None, name),
    };
    let safe = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    for part in scope.into_iter().chain([own]) {
        if part.is_empty() || !part.chars().all(safe) {
            return Some("it has lower-case letters, digits, `-`, `_` and `.`".to_owned());
        }
        if part.starts_with(['.', '_', '-']) {
            return Some("it begins with a letter or a digit".to_owned());
        }
    }
    if name.len() > MAX_NAME {
        return Some(format!("it has at most {MAX_NAME} characters"));
    }
    let is_module = || NODE_MODULES.split_whitespace().any(|module| module == name);
    if scope.is_none() && (RESERVED.contains(&name) || is_module()) {
        return Some("npm reserves it".to_owned());
    }
    None
}

/// Returns the version in npm's form: build metadata is not a part of it, and the registry ignores it
/// (<https://github.com/npm/node-semver>, "Versions").
pub fn version(version: &Version) -> String {
    Version { build: semver::BuildMetadata::EMPTY, ..version.clone() }.to_string()
}

/// Returns the suffix of the package for a platform, and the value of `cpu`; `None` if Node.js does not run there.
fn cpu(platform: &Platform) -> Option<&'static str> {
    let known =
        Architecture::from_goarch(&platform.architecture).filter(|_| platform.os == "linux")?;
    known.node
}

impl Npm {
    /// Returns the name of the package for a platform; `None` if Node.js does not run there.
    pub fn package_for(&self, platform: &Platform) -> Option<String> {
        Some(format!("{}-linux-{}", self.platform_name, cpu(platform)?))
    }

    /// Returns the file name of the package, as `npm pack` chooses it.
    pub fn file_name(&self, package: &str) -> String {
        let name = package.trim_start_matches('@').replace('/', "-");
        format!("{name}-{}.tgz", self.version)
    }

    /// Returns the fields of `package.json` that every package has.
    fn fields(&self, name: &str) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut put = |key: &str, value: Value| {
            fields.insert(key.to_owned(), value);
        };
        put("name", json!(name));
        put("version", json!(self.version));
        put("description", json!(self.description));
        put("license", json!(self.license));
        if !self.keywords.is_empty() {
            put("keywords", json!(self.keywords));
        }
        if let [author, others @ ..] = &self.authors[..] {
            put("author", json!(author));
            if !others.is_empty() {
                put("contributors", json!(others));
            }
        }
        if let Some(homepage) = &self.homepage {
            put("homepage", json!(homepage));
        }
        if let Some(repository) = &self.repository {
            put("repository", json!({ "type": "git", "url": repository_url(repository) }));
        }
        if let Some(access) = &self.access {
            put("publishConfig", json!({ "access": access }));
        }
        fields
    }
}

/// Returns the URL in the form that `npm publish` gives it, so that it changes and warns of nothing.
fn repository_url(url: &str) -> String {
    match url.strip_prefix("https://") {
        Some(rest) if rest.starts_with("github.com/") || rest.starts_with("gitlab.com/") => {
            format!("git+https://{}.git", rest.trim_end_matches('/').trim_end_matches(".git"))
        }
        _ => url.to_owned(),
    }
}

/// The contents of a package.
#[derive(Debug)]
pub struct Package<'a> {
    /// The fields of its `package.json`.
    pub npm: &'a Npm,
    /// Seconds since 1970 that stand for every time in it.
    pub epoch: u64,
    /// README and licences, by their paths.
    pub texts: Vec<(&'a str, Content)>,
}

impl Package<'_> {
    /// Returns the tree of the package for a platform, with these programs.
    ///
    /// # Errors
    /// Two files for one path.
    pub fn platform_tree(
        &self,
        platform: &Platform,
        binaries: Vec<(&str, Content)>,
    ) -> Result<Tree> {
        let name = self.npm.package_for(platform).unwrap_or_default();
        let mut fields = self.npm.fields(&name);
        let mut put = |key: &str, value: Value| {
            fields.insert(key.to_owned(), value);
        };
        put("os", json!(["linux"]));
        // There is no `libc`: a static program runs with each of them.
        put("cpu", json!(cpu(platform).into_iter().collect::<Vec<_>>()));
        // Yarn otherwise leaves it in an archive, from which it cannot be started
        // (<https://yarnpkg.com/configuration/manifest#preferUnplugged>).
        put("preferUnplugged", json!(true));
        let programs = binaries.into_iter().map(|(name, content)| (format!("bin/{name}"), content));
        self.tree(fields, programs.collect())
    }

    /// Returns the tree of the main package. `platforms` has the package for each platform.
    ///
    /// # Errors
    /// Two files for one path.
    pub fn main_tree(&self, platforms: &[(String, Platform)], binaries: &[String]) -> Result<Tree> {
        let mut fields = self.npm.fields(&self.npm.name);
        let mut put = |key: &str, value: Value| {
            fields.insert(key.to_owned(), value);
        };
        let bin = |name: &String| (name.clone(), json!(format!("bin/{name}.js")));
        put("bin", Value::Object(binaries.iter().map(bin).collect()));
        // Node.js 18 is the oldest that the script is tested with.
        put("engines", json!({ "node": ">=18" }));
        let dependency = |(name, _): &(String, Platform)| (name.clone(), json!(self.npm.version));
        put("optionalDependencies", Value::Object(platforms.iter().map(dependency).collect()));
        let known: Map<String, Value> = platforms
            .iter()
            .filter_map(|(name, platform)| Some((format!("linux {}", cpu(platform)?), json!(name))))
            .collect();
        let mut files = Vec::new();
        for name in binaries {
            let script = include_str!("start.js")
                .replace("'{binary}'", &json!(name).to_string())
                .replace("'{package}'", &json!(self.npm.name).to_string())
                .replace("'{version}'", &json!(self.npm.version).to_string())
                .replace("'{platforms}'", &format!("{:#}", Value::Object(known.clone())));
            files.push((format!("bin/{name}.js"), Content::bytes(script.into_bytes())));
        }
        self.tree(fields, files)
    }

    fn tree(&self, fields: Map<String, Value>, programs: Vec<(String, Content)>) -> Result<Tree> {
        let meta = |mode| Meta { mode, uid: 0, gid: 0, mtime: self.epoch };
        let mut tree = Tree::default();
        let mut put = |path: &str, content: Content, mode: u32| {
            let path = format!("{TOP}/{path}");
            let parts: Vec<String> = path.split('/').map(str::to_owned).collect();
            if tree.get(&parts).is_some() {
                return Err(Error::usage(format!("two files of the package for npm are `{path}`")));
            }
            tree.add_file(&format!("/{path}"), meta(0o755), meta(mode), content)
        };
        let json = format!("{:#}\n", Value::Object(fields));
        put("package.json", Content::bytes(json.into_bytes()), 0o644)?;
        for (path, content) in programs {
            put(&path, content, 0o755)?;
        }
        for (path, content) in &self.texts {
            put(path, content.clone(), 0o644)?;
        }
        Ok(tree)
    }
}

/// Writes the package with the files of `tree` to `out`, and returns `out`.
///
/// # Errors
/// A file cannot be read, changed meanwhile, or does not fit into a tar; or `out` failed.
pub fn write<W: Write>(
    tree: &Tree,
    files: &dyn FileStore,
    chunks: &dyn ChunkCache,
    out: W,
) -> Result<W> {
    write_tar_gz(tree, files, chunks, out)
}

/// Returns the package of a tree in which all files are bytes.
///
/// # Errors
/// As [`write`].
pub fn to_bytes(tree: &Tree) -> Result<Vec<u8>> {
    struct NoFiles;

    impl FileStore for NoFiles {
        fn open(&self, name: &str) -> Result<Box<dyn std::io::Read + '_>> {
            Err(Error::build(format!("`{name}` is not in memory")))
        }
    }
    write_tar_gz(tree, &NoFiles, &NoCache, Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_npm() {
        for good in ["hello", "hello-world", "a.b_c", "@acme/hello", "@acme/http", "x0"] {
            assert_eq!(invalid_name(good), None, "{good}");
        }
        for bad in
            ["", "Hello", "_a", ".a", "a b", "@acme", "@/a", "@a/", "http", "node_modules", "a/b"]
        {
            assert!(invalid_name(bad).is_some(), "{bad}");
        }
        assert!(invalid_name(&"a".repeat(215)).is_some());
    }

    #[test]
    fn versions_have_no_build_metadata() {
        let npm = |text: &str| version(&Version::parse(text).unwrap());
        assert_eq!(npm("1.2.3-rc.1+build"), "1.2.3-rc.1");
        assert_eq!(npm("1.2.3+5"), "1.2.3");
    }

    #[test]
    fn repositories_are_urls_of_git() {
        assert_eq!(
            repository_url("https://github.com/acme/hello/"),
            "git+https://github.com/acme/hello.git"
        );
        assert_eq!(repository_url("https://example.org/x"), "https://example.org/x");
    }

    #[test]
    fn the_main_package_has_a_script_for_each_program() {
        let npm = Npm {
            name: "@acme/hello".to_owned(),
            platform_name: "@acme/hello".to_owned(),
            version: "1.0.0".to_owned(),
            description: "says hello".to_owned(),
            license: "MIT".to_owned(),
            authors: vec!["A".to_owned(), "B".to_owned()],
            keywords: Vec::new(),
            homepage: None,
            repository: None,
            access: Some("public".to_owned()),
            readme: None,
        };
        let package = Package { npm: &npm, epoch: 0, texts: Vec::new() };
        let platforms = ["linux/amd64", "linux/arm64"].map(|text| {
            let platform: Platform = text.parse().unwrap();
            (npm.package_for(&platform).unwrap(), platform)
        });
        let binaries = ["one".to_owned(), "two".to_owned()];
        let tree = package.main_tree(&platforms, &binaries).unwrap();
        let text = |path: &str| {
            let parts: Vec<String> = path.split('/').map(str::to_owned).collect();
            let crate::archive::tree::Node::File(Content {
                source: crate::archive::tree::ContentSource::Bytes(bytes),
                ..
            }) = &tree.get(&parts).unwrap().node
            else {
                panic!("{path}")
            };
            String::from_utf8(bytes.to_vec()).unwrap()
        };
        let json: Value = serde_json::from_str(&text("package/package.json")).unwrap();
        assert_eq!(json["bin"], json!({ "one": "bin/one.js", "two": "bin/two.js" }));
        assert_eq!(json["publishConfig"]["access"], "public");
        assert_eq!((&json["author"], &json["contributors"]), (&json!("A"), &json!(["B"])));
        let script = text("package/bin/two.js");
        assert!(script.contains("const binary = \"two\";"), "{script}");
        assert!(script.contains("\"linux arm64\": \"@acme/hello-linux-arm64\""), "{script}");
    }
}
