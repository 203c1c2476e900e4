//! `size` as its users run it: what a real change cost, budgets, and bad input.

use std::fs;

use serde_json::Value;

use crate::{
    dist::{dist, shared},
    schema::valid,
    support::{
        command::{Test, longshore, plain},
        workspace::{Workspace, lock, manifest},
    },
};

/// Returns the command `size` with the environment that [`dist`] has, since a base is built with it.
fn size(workspace: &Workspace, args: &str) -> Test {
    longshore(workspace, &format!("size {args}"))
        .env("CARGO_PROFILE_DIST_LTO", "off")
        .env("CARGO_PROFILE_DIST_OPT_LEVEL", "0")
}

/// Returns the sum of a field of rows.
fn sum(rows: &Value, field: &str) -> u64 {
    rows.as_array().unwrap().iter().map(|row| row[field].as_u64().unwrap()).sum()
}

#[test]
fn every_table_of_a_dist_adds_up() {
    let (workspace, dist) = shared();
    for by in ["crate", "defining-crate", "module", "symbol", "section"] {
        let test = size(workspace, &format!("--by {by} --message-format json"));
        let json = test.run().json();
        assert_ne!(valid("size.v1", &json.to_string()), Some(false), "{by}");
        let binaries = json["binaries"].as_array().unwrap();
        assert_eq!(binaries.len(), 2);
        for (binary, artifact) in binaries.iter().zip(dist["artifacts"].as_array().unwrap()) {
            assert_eq!(binary["symbols"], "separate");
            assert_eq!(binary["size"], artifact["size"]);
            assert_eq!(sum(&binary["rows"], "size"), artifact["size"].as_u64().unwrap());
            let compressed = binary["compressed"]["size"].as_u64().unwrap();
            assert_eq!(sum(&binary["rows"], "compressed"), compressed);
            for row in binary["rows"].as_array().unwrap() {
                let sections = row["sections"].as_object().unwrap().values();
                assert_eq!(sections.map(|size| size.as_u64().unwrap()).sum::<u64>(), row["size"]);
                let unsure = row["derived"].as_u64().unwrap() + row["guessed"].as_u64().unwrap();
                assert!(unsure <= row["size"].as_u64().unwrap(), "{row}");
            }
        }
        assert_eq!(
            json["archives"].as_array().unwrap().len(),
            dist["archives"].as_array().unwrap().len()
        );
        let file =
            |one: &Value| one["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        assert_eq!(json["archives"][0]["file"], file(&dist["archives"][0]));
        assert_eq!(json["images"].as_array().unwrap().len(), 2);
    }
}

/// Compares the compressed size of a program in the attribution with that in an image, without the headers of
/// the tar archive.
#[test]
fn compressed_sizes_are_those_of_the_layer() {
    let (workspace, dist) = shared();
    let json = size(workspace, "--message-format json").run().json();
    let platforms = dist["images"][0]["platforms"].as_array().unwrap();
    for (binary, platform) in json["binaries"].as_array().unwrap().iter().zip(platforms) {
        let layer = platform["layers"][0]["size"].as_u64().unwrap();
        let compressed = binary["compressed"]["size"].as_u64().unwrap();
        assert!(compressed < layer && layer - compressed < 1000, "{compressed} of {layer}");
    }
}

#[test]
fn the_record_of_a_binary_is_in_dist_json_and_beside_it() {
    let (workspace, dist) = shared();
    for artifact in dist["artifacts"].as_array().unwrap() {
        let record = &artifact["attribution"];
        let text =
            fs::read_to_string(workspace.dist().join(record["path"].as_str().unwrap())).unwrap();
        assert_eq!(record["size"], text.len());
        assert_ne!(valid("attribution.v1", &text), Some(false));
        let crates = record["crates"].as_object().unwrap();
        let all: u64 = crates.values().map(|size| size.as_u64().unwrap()).sum();
        assert_eq!(all, artifact["size"]);
        assert!(crates.contains_key("hello") && crates.contains_key("std"), "{crates:?}");
    }
}

#[test]
fn human_and_csv_output() {
    let (workspace, _) = shared();
    let text = size(workspace, "--top 3").run().stdout;
    assert!(text.contains("hello x86_64-unknown-linux-musl  "), "{text}");
    assert!(text.contains("compressed   sure  crate"), "{text}");
    assert!(text.contains(" more]") && text.contains("image hello linux/arm64"), "{text}");
    let markdown = size(workspace, "--message-format markdown --filter STD").run().stdout;
    assert!(markdown.starts_with("### Size\n") && markdown.contains("| std |"), "{markdown}");
    let csv = size(workspace, "--message-format csv").run().stdout;
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("binary,target,name,crate,size,compressed,derived,guessed"));
    assert!(lines.all(|line| line.split(',').count() >= 8), "{csv}");
}

/// Returns a program, a crate with a generic function that it uses, and one with a table that it may use.
fn maker(version: &str, body: &str) -> [(String, String); 2] {
    let toml = manifest("maker", "").replace("0.1.0", version);
    let source = format!(
        "#[inline(never)]\npub fn make<T: std::fmt::Debug + Clone>(one: T, times: usize) -> String {{\n{body}\n}}\n"
    );
    [("maker/Cargo.toml".into(), toml), ("maker/src/lib.rs".into(), source)]
}

const LEAN: &str = "    format!(\"{one:?} {times}\")";

/// Much code for each type.
const FAT: &str =
    "    let mut all: std::collections::BTreeMap<String, Vec<T>> = Default::default();
    for n in 0..times {
        all.entry(format!(\"{n:?}\")).or_default().push(one.clone());
        all.retain(|name, list| name.len() + list.len() > n % 3);
    }
    let mut text = String::new();
    for (name, list) in all.iter().rev() {
        text.push_str(&format!(\"{name:>8}: {list:?}\\n\"));
    }
    text";

struct Change {
    workspace: Workspace,
}

impl Change {
    /// Returns the state before.
    fn new() -> Self {
        let toml = format!(
            "[workspace]\nmembers = [\"maker\", \"table\"]\n{}",
            manifest("app", "[dependencies]\nmaker = { path = \"maker\" }\n")
        );
        let workspace = Workspace::empty()
            .file("Cargo.toml", &toml)
            .file("src/main.rs", "fn main() { println!(\"{}\", maker::make(1_u8, 2)); }\n")
            .file(".gitignore", "target\n")
            .file("table/Cargo.toml", &manifest("table", ""))
            .file(
                "table/src/lib.rs",
                "pub static TABLE: [u64; 20000] = {\n    let mut all = [1; 20000];\n    \
                 let mut n = 0;\n    while n < 20000 {\n        all[n] = n as u64 * 7 + 1;\n        \
                 n += 1;\n    }\n    all\n};\n",
            );
        let change = Change { workspace };
        change.write(&maker("0.1.0", LEAN));
        change.lock("0.1.0", false);
        change.git("init --quiet");
        change.commit("before");
        change
    }

    fn write(&self, files: &[(String, String)]) {
        for (path, text) in files {
            self.workspace.write(path, text);
        }
    }

    fn lock(&self, maker: &str, table: bool) {
        let needs = if table { " \"maker\",\n \"table\",\n" } else { " \"maker\",\n" };
        let text = lock(&["app", "maker", "table"])
            .replacen(
                "version = \"0.1.0\"\n",
                &format!("version = \"0.1.0\"\ndependencies = [\n{needs}]\n"),
                1,
            )
            .replace(
                "name = \"maker\"\nversion = \"0.1.0\"",
                &format!("name = \"maker\"\nversion = \"{maker}\""),
            );
        self.workspace.write("Cargo.lock", &text);
    }

    fn git(&self, args: &str) {
        let mut git = plain("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@example.org"]);
        let output = git.args(args.split(' ')).current_dir(self.workspace.root()).output().unwrap();
        assert!(output.status.success(), "git {args}: {output:?}");
    }

    fn commit(&self, name: &str) {
        self.git("add --all");
        self.git(&format!("commit --quiet --message {name}"));
        self.git(&format!("tag {name}"));
    }

    /// A dependency added, and a generic function made fatter.
    fn change(&self) {
        self.write(&maker("0.2.0", FAT));
        let toml = fs::read_to_string(self.workspace.path("Cargo.toml")).unwrap();
        self.workspace.write("Cargo.toml", &format!("{toml}table = {{ path = \"table\" }}\n"));
        self.workspace.write(
            "src/main.rs",
            "fn main() {\n    let n = std::env::args().count();\n    \
             println!(\"{} {}\", maker::make(1_u8, n), table::TABLE[n]);\n}\n",
        );
        self.lock("0.2.0", true);
        self.commit("after");
    }

    /// `metadata` at the end of the root's `Cargo.toml`, for the time of `then`.
    fn with(&self, metadata: &str, then: impl FnOnce()) {
        let toml = fs::read_to_string(self.workspace.path("Cargo.toml")).unwrap();
        self.workspace.write("Cargo.toml", &format!("{toml}\n{metadata}\n"));
        then();
        self.workspace.write("Cargo.toml", &toml);
    }
}

/// By how much a part changed.
fn grown(list: &Value, name: &str) -> i64 {
    let found = list.as_array().unwrap().iter().find(|one| one["name"] == name);
    let found = found.unwrap_or_else(|| panic!("no {name} in {list:#}"));
    found["size"].as_i64().unwrap_or(0) - found["base-size"].as_i64().unwrap_or(0)
}

#[test]
fn changes_are_attributed_to_crates() {
    let change = Change::new();
    let workspace = &change.workspace;
    let target = "--target x86_64-unknown-linux-musl";
    change.change();
    dist(workspace, target).run();

    // Against the revision before, which is built.
    // The base moves: nothing can be run or loaded where it was built.
    let built = size(workspace, "--base before --message-format json").absent("run it:").run();
    assert!(!built.stderr.contains("load it:"), "{}", built.stderr);
    let json = built.json();
    assert_ne!(valid("size.v1", &json.to_string()), Some(false));
    assert!(json["base"].as_str().unwrap().starts_with("before ("), "{}", json["base"]);
    let binary = &json["binaries"][0];
    let crates = &binary["changed-crates"];
    let table = grown(crates, "table");
    assert!((160_000..161_000).contains(&table), "{table}");
    // The generic function's code is made for the program.
    let app = grown(crates, "app");
    assert!(app > 2_000, "{app}");
    let symbol = grown(&binary["changed-symbols"], "table::TABLE");
    assert!((160_000..160_100).contains(&symbol), "{symbol}");
    let whole = binary["size"].as_i64().unwrap() - binary["base-size"].as_i64().unwrap();
    let names: Vec<_> =
        crates.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    let all: i64 = names.iter().map(|name| grown(crates, name)).sum();
    assert_eq!(all, whole);
    let dependencies = &binary["changed-dependencies"];
    let size_of = |name: &str| {
        let all = dependencies.as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{dependencies:#}"))
    };
    assert_eq!(
        (&size_of("table")["base"], &size_of("table")["head"]),
        (&serde_json::json!([]), &serde_json::json!(["0.1.0"]))
    );
    assert_eq!(size_of("table")["cost"], table);
    assert_eq!(
        (&size_of("maker")["base"][0], &size_of("maker")["head"][0]),
        (&"0.1.0".into(), &"0.2.0".into())
    );
    assert!(!workspace.path("target/longshore/base/tree").exists());

    // It is kept: the second time nothing is built.
    size(workspace, "--base before").stderr("Fresh base ").run();
    // Against the record alone.
    let record = fs::read_dir(workspace.path("target/longshore/base"))
        .unwrap()
        .map(|entry| entry.unwrap().path().join("dist.json"))
        .find(|path| path.exists())
        .unwrap();
    let alone = Workspace::empty();
    fs::copy(&record, alone.path("dist.json")).unwrap();
    let base = alone.path("dist.json");
    let json = size(workspace, "--message-format json --base").arg(&base).run().json();
    assert_eq!(grown(&json["binaries"][0]["changed-crates"], "table"), table);
    let text = size(workspace, "--base").arg(&base).run().stdout;
    assert!(text.contains("crate table"), "{text}");

    budgets(&change, &base);
    broken_bases(&change, &base);
}

fn budgets(change: &Change, base: &std::path::Path) {
    let workspace = &change.workspace;
    let held = |args: &str| size(workspace, &format!("{args} --base")).arg(base);
    let growth = "[workspace.metadata.longshore.verify]\nmax-growth.file = \"1 kB\"";
    change.with(growth, || {
        let text = held("").status(1).stdout("over budget").run().stdout;
        let line = text.lines().find(|line| line.starts_with("over budget: ")).unwrap();
        assert!(line.starts_with("over budget: app x86_64-unknown-linux-musl: "), "{line}");
        assert!(line.contains("`table` grew most, by 160"), "{line}");
        let json = held("--message-format json").status(1).stdout("accepted").run().json();
        assert_eq!(json["accepted"], false);
        assert_eq!(json["budgets"][0]["crate"], "table");
        assert!(json["binaries"][0]["budget-left"].as_i64().unwrap() < 0);
        let markdown = held("--message-format markdown").status(1).stdout("Size").run().stdout;
        assert!(markdown.contains("- ❌ app "), "{markdown}");
    });
    let waived = |until: &str| {
        format!(
            "{growth}\n[[workspace.metadata.longshore.verify.waive]]\nlint = \"growth\"\n\
             reason = \"the table is worth it\"\npaths = [\"linux/*/bin/app\"]\nuntil = \"{until}\""
        )
    };
    change.with(&waived("9999-12-31"), || {
        let text = held("").run().stdout;
        assert!(text.contains("waived: app ") && text.contains("the table is worth it"), "{text}");
    });
    change.with(&waived("2020-01-01"), || drop(held("").status(1).stdout("over budget").run()));
    let kinds = "[workspace.metadata.longshore.verify]\nmax-size.image = \"1 kB\"\nmax-size.archive = \"1 kB\"";
    change.with(kinds, || {
        let text = size(workspace, "").status(1).stdout("over").run().stdout;
        assert!(text.contains("over budget: image app linux/amd64: "), "{text}");
        assert!(
            text.contains("over budget: archive app-x86_64-unknown-linux-musl.tar.gz "),
            "{text}"
        );
        assert!(text.contains("is the largest crate"), "{text}");
    });
    change.with("[workspace.metadata.longshore.verify]\nmax-size.file = \"1 GB\"", || {
        let text = size(workspace, "").run().stdout;
        assert!(text.contains("of the budget left"), "{text}");
    });
}

fn broken_bases(change: &Change, base: &std::path::Path) {
    let workspace = &change.workspace;
    // A base that does not build is told with its log.
    change.git("checkout --quiet -b wrong");
    workspace.write("src/main.rs", "fn main() { not rust }\n");
    change.commit("broken");
    change.git("checkout --quiet after");
    let told = size(workspace, "--base broken").status(4).run().stderr;
    assert!(told.contains("the base `") && told.contains("cannot be built"), "{told}");
    assert!(told.contains("not rust") && told.contains("dist.failed/logs"), "{told}");
    assert!(!workspace.path("target/longshore/base/tree").exists());

    size(workspace, "--base no-such-thing").status(2).stderr("a commit, branch or tag").run();
    let text = fs::read_to_string(base).unwrap();
    let other =
        Workspace::empty().file("dist.json", &text.replacen("\"schema\": 1", "\"schema\": 9", 1));
    size(workspace, "--base")
        .arg(other.path("dist.json"))
        .status(1)
        .stderr("expected schema 1, found 9")
        .run();
}

#[test]
fn renamed_new_and_gone_binaries() {
    let (workspace, dist) = shared();
    let text = serde_json::to_string(dist).unwrap();
    let place = Workspace::empty();
    let write = |text: &str| place.write("dist.json", text);
    // The record of its crates says that it is the same under another name.
    write(&text.replace("\"name\":\"hello\"", "\"name\":\"hallo\""));
    let against = |args: &str| size(workspace, args).arg("--base").arg(place.path("dist.json"));
    let json = against("--message-format json").run().json();
    for binary in json["binaries"].as_array().unwrap() {
        assert_eq!(binary["renamed-from"], "hallo", "{binary:#}");
    }
    // With one target fewer, one is new; the other way round, one is gone.
    let mut one = dist.clone();
    one["artifacts"].as_array_mut().unwrap().remove(1);
    write(&one.to_string());
    assert!(against("").run().stdout.contains("hello aarch64-unknown-linux-musl  "));
    let json = against("--message-format json").run().json();
    assert_eq!(json["binaries"][1]["base-size"], Value::Null);
    let base = workspace.dist().join("dist.json");
    let json = size(workspace, "--message-format json")
        .arg(place.path("dist.json"))
        .arg("--base")
        .arg(base)
        .run()
        .json();
    assert_eq!(json["binaries"][1]["size"], Value::Null, "{json:#}");
    assert!(json["binaries"][1]["base-size"].is_u64());
}

#[test]
fn compressed_sizes_follow_the_level_of_gzip() {
    let setting = |level: u8| format!("[workspace.metadata.longshore]\ngzip-level = {level}\n");
    let compressed = |workspace: &Workspace| {
        dist(workspace, "--no-smoke --target x86_64-unknown-linux-musl").run();
        let json = size(workspace, "--message-format json").run().json();
        json["binaries"][0]["compressed"]["size"].as_u64().unwrap()
    };
    let workspace = Workspace::empty().package("hello", &setting(1));
    let fast = compressed(&workspace);
    // The program is the same, and its record is not kept.
    let workspace = workspace.package("hello", &setting(12));
    assert!(compressed(&workspace) < fast);
}

#[test]
fn single_files() {
    let (workspace, dist) = shared();
    let program = workspace.dist().join(dist["artifacts"][0]["path"].as_str().unwrap());
    // A binary in its release has the attribution that was recorded with it.
    let json = size(workspace, "--message-format json").arg(&program).run().json();
    let release = size(workspace, "--message-format json").run().json();
    assert_eq!(json["binaries"][0]["rows"], release["binaries"][0]["rows"]);
    assert_eq!(json["binaries"][0]["path"], program.to_str().unwrap());
    // Elsewhere it has no symbols, and the output says how to add them.
    let elsewhere = Workspace::empty();
    fs::copy(&program, elsewhere.path("hello")).unwrap();
    let text = size(workspace, "").arg(elsewhere.path("hello")).run().stdout;
    assert!(
        text.contains("by section only (`--symbols FILE`") && text.contains(".rodata"),
        "{text}"
    );
    // With those of the file that it was stripped from.
    let unstripped =
        |target: &str| workspace.path(&format!("target/longshore/{target}/dist/hello"));
    let own = unstripped("x86_64-unknown-linux-musl");
    let json = size(workspace, "--compressed --message-format json --symbols")
        .arg(&own)
        .arg(&program)
        .run()
        .json();
    assert_eq!(json["binaries"][0]["symbols"], "separate");
    assert_eq!(
        json["binaries"][0]["compressed"],
        size(workspace, "--message-format json").run().json()["binaries"][0]["compressed"]
    );
    // With those of another build, which is refused.
    size(workspace, "--symbols")
        .arg(unstripped("aarch64-unknown-linux-musl"))
        .arg(&program)
        .status(1)
        .stderr("is of another build than")
        .run();
    // One with its own symbols, and its debug information.
    let json = size(workspace, "--message-format json").arg(&own).run().json();
    assert_eq!(json["binaries"][0]["symbols"], "own");
    assert_eq!(sum(&json["binaries"][0]["rows"], "size"), fs::metadata(&own).unwrap().len());
    // One that hides what is in it.
    let mut packed = fs::read(&program).unwrap();
    packed[0x320..0x324].copy_from_slice(b"UPX!");
    // It has no section headers either (`e_shoff`, `e_shnum`, `e_shstrndx`).
    packed[40..48].fill(0);
    packed[60..64].fill(0);
    let place = Workspace::empty();
    fs::write(place.path("packed"), packed).unwrap();
    let text = size(workspace, "").arg(place.path("packed")).run().stdout;
    assert!(text.contains("note: it is packed by UPX"), "{text}");
    size(workspace, "no/such/file").status(2).stderr("there is no `no/such/file`").run();
    let text = Workspace::empty().file("text", "no program");
    size(workspace, "").arg(text.path("text")).status(1).run();
}

#[test]
fn an_image_is_measured_and_compared() {
    let (workspace, _) = shared();
    let layout = workspace.dist().join("image/hello");
    let json = size(workspace, "--message-format json").arg(&layout).run().json();
    assert_eq!(json["images"].as_array().unwrap().len(), 2);
    assert_eq!(json["binaries"].as_array().unwrap().len(), 2);
    // The same image as the base: nothing changed, of the release that it was made of either.
    let json = size(workspace, "--message-format json --base").arg(&layout).run().json();
    for image in json["images"].as_array().unwrap() {
        assert_eq!(image["size"], image["base-size"], "{image}");
    }
    for binary in json["binaries"].as_array().unwrap() {
        assert_eq!(binary["size"], binary["base-size"], "{binary:#}");
        // Programs in an image have no symbols, which does not make every crate new.
        assert_eq!(binary["changed-crates"], Value::Null, "{binary:#}");
        assert_eq!(binary["changed-symbols"], Value::Null, "{binary:#}");
    }
}
