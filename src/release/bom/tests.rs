use cargo_metadata::Metadata;
use serde_json::{Value, json};

use super::*;
use crate::build::cargo::message::{BuildScript, CompiledUnit};

const TARGET: &str = "x86_64-unknown-linux-musl";

/// A workspace as cargo resolves and compiles it.
#[derive(Default)]
struct World {
    packages: Vec<Value>,
    nodes: Vec<Value>,
    compiled: Vec<CompiledUnit>,
    scripts: Vec<BuildScript>,
    lock: String,
}

fn id(name: &str) -> String {
    let (name, version) = name.split_once('@').unwrap_or((name, "1.0.0"));
    match name {
        "app" => format!("path+file:///w/{name}#{version}"),
        _ => format!("registry+https://example.org/index#{name}@{version}"),
    }
}

/// Returns a dependency of a manifest: its package and its unusual properties.
fn dep(name: &str, more: Value) -> (String, Value) {
    let (plain, version) = name.split_once('@').unwrap_or((name, "1.0.0"));
    let mut all = json!({
        "name": plain, "req": format!("^{version}"), "kind": null, "rename": null,
        "optional": false, "uses_default_features": true, "features": [], "target": null,
    });
    for (key, value) in more.as_object().unwrap() {
        all[key] = value.clone();
    }
    (id(name), all)
}

impl World {
    /// Adds a package: of this kind (`lib`, `bin`, `proc-macro`), with these features.
    fn package(
        mut self,
        name: &str,
        kind: &str,
        features: Value,
        deps: &[(String, Value)],
    ) -> Self {
        let (plain, version) = name.split_once('@').unwrap_or((name, "1.0.0"));
        let declared: Vec<&Value> = deps.iter().map(|(_, dep)| dep).collect();
        let source = (plain != "app").then_some("registry+https://example.org/index");
        self.packages.push(json!({
            "name": plain, "version": version, "id": id(name), "source": source,
            "license": "MIT/Apache-2.0", "dependencies": declared, "features": features,
            "manifest_path": format!("/w/{plain}/Cargo.toml"), "edition": "2024",
            "targets": [{"name": plain, "kind": [kind], "crate_types": [kind],
                         "src_path": "/w/x.rs", "edition": "2024"}],
        }));
        let deps: Vec<Value> = deps
            .iter()
            .map(|(id, dep)| {
                let kinds = json!([{"kind": dep["kind"], "target": dep["target"]}]);
                json!({"name": dep["name"], "pkg": id, "dep_kinds": kinds})
            })
            .collect();
        self.nodes.push(json!({
            "id": id(name), "deps": deps, "dependencies": [], "features": [],
        }));
        self
    }

    /// Records it as compiled by cargo.
    fn compiled(mut self, name: &str, target: &str, features: &[&str]) -> Self {
        self.compiled.push(CompiledUnit {
            package: id(name),
            target: target.to_owned(),
            script: false,
            features: features.iter().map(|feature| (*feature).to_owned()).collect(),
        });
        self
    }

    fn build_script(mut self, name: &str) -> Self {
        self = self.compiled(name, "host", &[]);
        self.compiled.last_mut().unwrap().script = true;
        self
    }

    fn sbom(&self) -> Sbom {
        let metadata: Metadata = serde_json::from_value(json!({
            "packages": self.packages, "workspace_members": [id("app")],
            "resolve": {"nodes": self.nodes, "root": null}, "workspace_root": "/w",
            "target_directory": "/w/target", "version": 1, "metadata": null,
        }))
        .unwrap();
        let host = Platform::new("host-gnu", "unix\ntarget_env=\"gnu\"").unwrap();
        let target = Platform::new(TARGET, "unix\ntarget_env=\"musl\"").unwrap();
        let done = (&self.compiled[..], &self.scripts[..]);
        let targets = [target];
        let graph = Graph::new(&metadata, &self.lock, done, &host, &targets).unwrap();
        graph.sbom("/w/app/Cargo.toml", TARGET).unwrap()
    }
}

/// Returns each crate as `name version`, with a `*` if only the build needs it.
fn names(bill: &Sbom) -> Vec<String> {
    let one = |one: &Crate| {
        let mark = if one.kind == CrateUse::Build { "*" } else { "" };
        format!("{} {}{mark}", one.id.name, one.id.version)
    };
    bill.crates.iter().map(one).collect()
}

/// Returns the dependencies of a crate of the SBOM.
fn needs<'a>(bill: &'a Sbom, name: &str) -> Vec<&'a str> {
    let one = bill.crates.iter().find(|one| one.id.name == name).unwrap();
    one.dependencies.iter().map(|&at| bill.crates[at].id.name.as_str()).collect()
}

#[test]
fn dependencies_of_tests_and_other_targets_are_left_out() {
    let deps = [
        dep("used", json!({})),
        dep("tests", json!({"kind": "dev"})),
        dep("windows", json!({"target": "cfg(windows)"})),
        dep("gnu", json!({"target": "cfg(target_env = \"gnu\")"})),
        dep("musl", json!({"target": "cfg(target_env = \"musl\")"})),
        dep("named", json!({"target": TARGET})),
    ];
    let mut world = World::default().package("app", "bin", json!({}), &deps);
    for name in ["used", "tests", "windows", "gnu", "musl", "named"] {
        // For another binary of the workspace, which needs them all.
        world = world.package(name, "lib", json!({}), &[]).compiled(name, TARGET, &[]);
    }
    let bill = world.compiled("app", TARGET, &[]).sbom();
    assert_eq!(names(&bill), ["app 1.0.0", "musl 1.0.0", "named 1.0.0", "used 1.0.0"]);
    assert_eq!(needs(&bill, "app"), ["musl", "named", "used"]);
    let [app, musl, ..] = &bill.crates[..] else { panic!() };
    assert!(app.root && app.id.source == CrateSource::Local);
    assert!(!musl.root && matches!(musl.id.source, CrateSource::Registry(_)));
}

#[test]
fn optional_crates_follow_features() {
    let features = json!({
        "default": ["colour"], "colour": ["dep:term"], "fast": ["simd/wide"], "weak": ["log?/std"],
        "json": ["dep:json"], "plain": ["dep:plain"],
    });
    let deps: Vec<_> = ["term", "simd", "log", "json", "plain"]
        .map(|name| dep(name, json!({"optional": true})))
        .into_iter()
        .chain([dep("other", json!({"optional": true, "rename": "plain"}))])
        .collect();
    let mut world = World::default().package("app", "bin", features, &deps);
    for name in ["term", "simd", "log", "json", "plain", "other"] {
        world = world.package(name, "lib", json!({}), &[]).compiled(name, TARGET, &["std"]);
    }
    let with = |world: World, features: &[&str]| {
        let bill = world.compiled("app", TARGET, features).sbom();
        names(&bill)[1..].join(", ")
    };
    let some = with(world, &["colour", "fast", "weak"]);
    assert_eq!(some, "simd 1.0.0, term 1.0.0");

    // A renamed one goes by its new name.
    let deps = [dep("other", json!({"optional": true, "rename": "nick"}))];
    let renamed = |feature: &str| {
        let world = World::default()
            .package("app", "bin", json!({"a": ["dep:nick"], "b": ["dep:other"]}), &deps)
            .package("other", "lib", json!({}), &[])
            .compiled("other", TARGET, &[]);
        with(world, &[feature])
    };
    assert_eq!(renamed("a"), "other 1.0.0");
    assert_eq!(renamed("b"), "");
}

#[test]
fn build_dependencies_are_distinguished() {
    let build = json!({"kind": "build"});
    let world = World::default()
        .package("app", "bin", json!({}), &[dep("derive", json!({})), dep("sys", json!({}))])
        .package(
            "derive",
            "proc-macro",
            json!({}),
            &[dep("syn", json!({})), dep("both", json!({}))],
        )
        .package(
            "syn",
            "lib",
            json!({}),
            &[dep("gnu", json!({"target": "cfg(target_env = \"gnu\")"}))],
        )
        .package("gnu", "lib", json!({}), &[])
        .package("both", "lib", json!({}), &[])
        .package("sys", "lib", json!({}), &[dep("cc", build.clone()), dep("both", json!({}))])
        .package("cc", "lib", json!({}), &[])
        .compiled("app", TARGET, &[])
        .compiled("derive", "host", &[])
        .compiled("syn", "host", &["full"])
        .compiled("gnu", "host", &[])
        .compiled("both", "host", &["of-host"])
        .compiled("both", TARGET, &["of-target"])
        .compiled("sys", TARGET, &[])
        .compiled("cc", "host", &[])
        .build_script("sys");
    let bill = world.sbom();
    let expected = [
        "app 1.0.0",
        "both 1.0.0",
        "cc 1.0.0*",
        "derive 1.0.0*",
        "gnu 1.0.0*",
        "syn 1.0.0*",
        "sys 1.0.0",
    ];
    assert_eq!(names(&bill), expected);
    assert_eq!(needs(&bill, "sys"), ["both", "cc"]);
    assert_eq!(bill.crates[1].features, BTreeSet::from(["of-target".to_owned()]));
}

#[test]
fn two_versions_of_a_crate_are_separate() {
    let world = World::default()
        .package(
            "app",
            "bin",
            json!({}),
            &[dep("x@1.2.0", json!({})), dep("x@2.0.0", json!({"rename": "x2", "optional": true}))],
        )
        .package("x@1.2.0", "lib", json!({}), &[])
        .package("x@2.0.0", "lib", json!({}), &[])
        .compiled("x@1.2.0", TARGET, &[])
        .compiled("x@2.0.0", TARGET, &[])
        .compiled("app", TARGET, &[]);
    assert_eq!(names(&world.sbom()), ["app 1.0.0", "x 1.2.0"]);
    let World { mut packages, nodes, compiled, .. } = world;
    packages[0]["dependencies"][1]["optional"] = false.into();
    let lock = "[[package]]\nname = 'x'\nversion = '2.0.0'\nchecksum = 'c2'\n\
                source = 'registry+https://example.org/index'"
        .to_owned();
    let world = World { packages, nodes, compiled, lock, ..World::default() };
    let bill = world.sbom();
    assert_eq!(names(&bill), ["app 1.0.0", "x 1.2.0", "x 2.0.0"]);
    let checksums: Vec<_> = bill.crates.iter().map(|one| one.checksum.as_deref()).collect();
    assert_eq!(checksums, [None, None, Some("c2")]);
}

#[test]
fn c_libraries_are_listed_with_their_version() {
    let mut world = World::default()
        .package("app", "bin", json!({}), &[dep("zstd-sys@2.0.16+zstd.1.5.7", json!({}))])
        .package("zstd-sys@2.0.16+zstd.1.5.7", "lib", json!({}), &[])
        .compiled("zstd-sys@2.0.16+zstd.1.5.7", TARGET, &[])
        .compiled("app", TARGET, &[]);
    let script = |libraries: &[&str], target: &str| BuildScript {
        package: id("zstd-sys@2.0.16+zstd.1.5.7"),
        libraries: libraries.iter().map(|name| (*name).to_owned()).collect(),
        target: target.to_owned(),
    };
    // The system's, and what another target got.
    world.scripts = vec![script(&["zstd"], TARGET), script(&["static=zstd"], "other")];
    assert_eq!(world.sbom().crates[1].native, None);
    world.scripts = vec![script(&["static=zstd"], TARGET)];
    let library = world.sbom().crates[1].native.clone().unwrap();
    assert_eq!((library.name.as_str(), library.version.as_deref()), ("zstd", Some("1.5.7")));
}

#[test]
fn the_embedded_list_has_the_format_of_cargo_auditable() {
    let world = World::default()
        .package("app", "bin", json!({}), &[dep("used", json!({})), dep("m", json!({}))])
        .package("used", "lib", json!({}), &[])
        .package("m", "proc-macro", json!({}), &[])
        .compiled("app", TARGET, &[])
        .compiled("m", "host", &[])
        .compiled("used", TARGET, &[]);
    let section = audit::encode_section(&world.sbom()).unwrap();
    let mut json = Vec::new();
    let mut inflate = flate2::read::ZlibDecoder::new(&section[..]);
    std::io::Read::read_to_end(&mut inflate, &mut json).unwrap();
    let list: auditable_serde::VersionInfo = serde_json::from_slice(&json).unwrap();
    let text: Value = serde_json::to_value(&list).unwrap();
    let expected = json!({"format": 1, "packages": [
        {"name": "app", "version": "1.0.0", "source": "local", "dependencies": [1, 2], "root": true},
        {"name": "m", "version": "1.0.0", "source": "registry", "kind": "build"},
        {"name": "used", "version": "1.0.0", "source": "registry"},
    ]});
    assert_eq!(text, expected);
}

#[test]
fn urls_are_written_without_passwords() {
    let source = |repr: &str| {
        let source: cargo_metadata::Source = serde_json::from_value(json!(repr)).unwrap();
        CrateSource::new(&source)
    };
    let git = source("git+https://user:word@example.org/x?branch=main#0123");
    assert_eq!(git, CrateSource::Git("https://example.org/x#0123".to_owned()));
    let registry = source("sparse+https://word@example.org/index/");
    assert_eq!(registry, CrateSource::Registry("https://example.org/index/".to_owned()));
    let id = CrateId { name: "a".to_owned(), version: Version::new(1, 0, 0), source: git };
    let purl = "pkg:cargo/a@1.0.0?vcs_url=git%2Bhttps%3A%2F%2Fexample.org%2Fx%400123";
    assert_eq!(id.purl().unwrap(), purl);
}

#[test]
fn a_merged_sbom_lists_the_targets_of_each_crate() {
    let bill = |target: &str, other: &str| {
        let world = World::default()
            .package("app", "bin", json!({}), &[dep(other, json!({}))])
            .package(other, "lib", json!({}), &[])
            .compiled(other, TARGET, &["std"])
            .compiled("app", TARGET, &[]);
        let mut bill = world.sbom();
        for one in &mut bill.crates {
            one.targets = BTreeSet::from([target.to_owned()]);
        }
        bill
    };
    let merged = Sbom::merge([&bill("t", "x"), &bill("u", "a")]);
    assert_eq!(names(&merged), ["a 1.0.0", "app 1.0.0", "x 1.0.0"]);
    assert_eq!(needs(&merged, "app"), ["a", "x"]);
    let targets: Vec<_> = merged.crates.iter().map(|one| one.targets.len()).collect();
    assert_eq!(targets, [1, 2, 1]);
    let one = bill("t", "x");
    assert_eq!(Sbom::merge([&one, &one]), one);
}
