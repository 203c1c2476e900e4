//! CycloneDX 1.6 (<https://cyclonedx.org/docs/1.6/json/>).

use serde_json::{Map, Value, json};

use super::{
    Crate, CrateUse,
    document::{
        Component, SbomBinary, Subject, SubjectKind, format_time, generic_purl, references,
        to_json, uuid,
    },
    native::Native,
};
use crate::{model::collect::CollectOrdered as _, model::license};

/// Returns the document, as JSON.
pub fn document(subject: &Subject) -> String {
    let names = references(&subject.bill);
    let crates = || subject.bill.crates.iter().zip(&names);
    // Of one package's binaries, the package is what the document is of.
    let of_package = matches!(subject.what, SubjectKind::Binaries { .. });
    let main = crates().find(|(one, _)| one.root && of_package);
    let mut about = match &subject.what {
        SubjectKind::Binaries { target } => {
            let mut about = match main {
                Some((one, name)) => package(one, name, 1),
                None => component("application", &subject.name, &subject.name, &subject.version),
            };
            property(&mut about, "longshore:target", target);
            about
        }
        SubjectKind::Image { digest, .. } => {
            let mut about = component("container", SUBJECT, &subject.name, &subject.version);
            about.insert("hashes".into(), hashes(digest));
            let name = subject.name.rsplit('/').next().unwrap_or_default().to_lowercase();
            about.insert("purl".into(), format!("pkg:oci/{name}@sha256%3A{digest}").into());
            about
        }
    };
    let mut parts = platforms(subject);
    parts.extend(subject.binaries.iter().map(binary));
    about.insert("components".into(), parts.into());

    let targets = subject.bill.crates.iter().flat_map(|one| &one.targets);
    let targets = targets.collect_set().len();
    let mut components: Vec<Value> = Vec::new();
    for (one, name) in crates() {
        if main.is_none_or(|(_, main)| main != name) {
            components.push(package(one, name, targets).into());
        }
        components.extend(one.native.as_ref().map(|library| native(library, name)));
    }
    components.extend(subject.others.iter().map(other));
    let reference = main.map_or(SUBJECT, |(_, name)| name);
    let tools: Vec<Value> = subject
        .tools
        .iter()
        .map(|(name, version)| json!({"type": "application", "name": name, "version": version}))
        .collect();
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": format_time(subject.epoch),
            "tools": {"components": tools},
            "component": about,
        },
        "components": components,
        "dependencies": dependencies(subject, &names, reference),
    });
    let serial = format!("urn:uuid:{}", uuid(&document));
    if let Some(document) = document.as_object_mut() {
        document.insert("serialNumber".into(), serial.into());
    }
    to_json(&document)
}

/// The subject of the document, if it is not a crate.
const SUBJECT: &str = "subject";

fn component(kind: &str, reference: &str, name: &str, version: &str) -> Map<String, Value> {
    let members = [("type", kind), ("bom-ref", reference), ("name", name), ("version", version)];
    members.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
}

fn hashes(sha256: &str) -> Value {
    json!([{"alg": "SHA-256", "content": sha256}])
}

fn property(component: &mut Map<String, Value>, name: &str, value: &str) {
    let all = component.entry("properties").or_insert_with(|| json!([]));
    if let Some(all) = all.as_array_mut() {
        all.push(json!({"name": name, "value": value}));
    }
}

fn licenses(component: &mut Map<String, Value>, text: &str) {
    let reported = match license::parse_expression(text) {
        Some(expression) => json!([{"expression": expression}]),
        None => json!([{"license": {"name": text}}]),
    };
    component.insert("licenses".into(), reported);
}

/// Returns the images of an image's platforms.
fn platforms(subject: &Subject) -> Vec<Value> {
    let SubjectKind::Image { platforms, .. } = &subject.what else { return Vec::new() };
    let platform_image = |(platform, digest): &(String, String)| {
        let mut image =
            component("container", &format!("image:{platform}"), &subject.name, &subject.version);
        image.insert("hashes".into(), hashes(digest));
        property(&mut image, "longshore:platform", platform);
        Value::from(image)
    };
    platforms.iter().map(platform_image).collect()
}

fn binary(binary: &SbomBinary) -> Value {
    let mut file = component("file", &file(binary), &binary.path, "");
    file.remove("version");
    file.insert("hashes".into(), hashes(&binary.sha256));
    property(&mut file, "longshore:target", &binary.target);
    file.into()
}

fn file(binary: &SbomBinary) -> String {
    format!("file:{}:{}", binary.target, binary.path)
}

/// Returns a crate. `targets` is the number of targets of the document: only if there are several, each crate
/// lists its targets.
fn package(one: &Crate, reference: &str, targets: usize) -> Map<String, Value> {
    let kind = if one.root { "application" } else { "library" };
    let version = one.id.version.to_string();
    let mut crate_ = component(kind, reference, &one.id.name, &version);
    // What runs only while something is built is not reached when that runs.
    let scope = if one.kind == CrateUse::Build { "excluded" } else { "required" };
    crate_.insert("scope".into(), scope.into());
    if let Some(checksum) = &one.checksum {
        crate_.insert("hashes".into(), hashes(checksum));
    }
    if let Some(purl) = one.id.purl() {
        crate_.insert("purl".into(), purl.into());
    }
    if let Some(license) = &one.license {
        licenses(&mut crate_, license);
    }
    for feature in &one.features {
        property(&mut crate_, "longshore:feature", feature);
    }
    if one.targets.len() < targets {
        for target in &one.targets {
            property(&mut crate_, "longshore:target", target);
        }
    }
    crate_
}

fn native(library: &Native, crate_reference: &str) -> Value {
    let version = library.version.as_deref();
    let reference = native_reference(library, crate_reference);
    let mut own = component("library", &reference, &library.name, version.unwrap_or_default());
    if version.is_none() {
        own.remove("version");
    }
    own.insert("purl".into(), generic_purl(&library.name, version).into());
    own.insert("description".into(), format!("bundled by the crate {crate_reference}").into());
    for name in &library.libraries {
        property(&mut own, "longshore:library", name);
    }
    own.into()
}

fn native_reference(library: &Native, crate_reference: &str) -> String {
    format!("{} in {crate_reference}", library.name)
}

fn other(other: &Component) -> Value {
    let version = other.version.as_deref();
    let mut own =
        component("library", &other_reference(other), &other.name, version.unwrap_or_default());
    if version.is_none() {
        own.remove("version");
    }
    if let Some(license) = &other.license {
        licenses(&mut own, license);
    }
    if let Some(purl) = &other.purl {
        own.insert("purl".into(), purl.clone().into());
    }
    own.insert("description".into(), other.comment.clone().into());
    own.into()
}

fn other_reference(other: &Component) -> String {
    format!("in the binaries: {}", other.name)
}

/// Returns the edges. `main` is the reference of the subject of the document.
fn dependencies(subject: &Subject, names: &[String], main: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let crates = || subject.bill.crates.iter().zip(names);
    let others: Vec<String> = subject.others.iter().map(other_reference).collect();
    let roots = crates().filter(|(one, _)| one.root);
    if main == SUBJECT {
        let needs: Vec<&String> = roots.clone().map(|(_, name)| name).collect();
        all.push(json!({"ref": main, "dependsOn": needs}));
    }
    for (one, name) in crates() {
        let mut needs: Vec<String> =
            one.dependencies.iter().filter_map(|&at| names.get(at).cloned()).collect();
        needs.extend(one.native.iter().map(|library| native_reference(library, name)));
        if one.root {
            needs.extend(others.iter().cloned());
        }
        all.push(json!({"ref": name, "dependsOn": needs}));
    }
    for binary in &subject.binaries {
        let crates = roots.clone().filter(|(one, _)| one.id.name == binary.package);
        let crates: Vec<&String> = crates.map(|(_, name)| name).collect();
        all.push(json!({"ref": file(binary), "dependsOn": crates}));
    }
    all
}
