//! SPDX 2.3 (<https://spdx.github.io/spdx-spec/v2.3/>) as JSON.
//!
//! Binaries are packages with a file name, and not files: SPDX requires the SHA-1 digest of a file.

use serde_json::{Map, Value, json};

use super::{
    Crate, CrateSource, CrateUse,
    document::{Subject, SubjectKind, format_time, generic_purl, references, to_json, uuid},
};
use crate::model::license;

/// SPDX's value for missing information.
const NO_ASSERTION: &str = "NOASSERTION";

const DOCUMENT: &str = "SPDXRef-DOCUMENT";

/// Returns the document, as JSON.
pub fn document(subject: &Subject) -> String {
    let names: Vec<String> =
        references(&subject.bill).iter().zip(0..).map(|(name, at)| id("crate", name, at)).collect();
    let mut all = DocumentParts::default();
    let main = main(subject, &mut all, &names);
    for (one, name) in subject.bill.crates.iter().zip(&names) {
        all.packages.push(package(one, name).into());
        for &at in &one.dependencies {
            let Some((other, to)) = subject.bill.crates.get(at).zip(names.get(at)) else {
                continue;
            };
            // What only a build needs points the other way.
            match (one.kind, other.kind) {
                (CrateUse::Runtime, CrateUse::Build) => all.relate(to, "BUILD_DEPENDENCY_OF", name),
                _ => all.relate(name, "DEPENDS_ON", to),
            }
        }
        if let Some(library) = &one.native {
            let own = id("library", &library.name, all.packages.len());
            let version = library.version.as_deref();
            let mut about = part(&own, &library.name, version);
            about.insert("externalRefs".into(), purl(&generic_purl(&library.name, version)));
            about.insert("primaryPackagePurpose".into(), "LIBRARY".into());
            all.packages.push(about.into());
            all.relate(name, "CONTAINS", &own);
        }
    }
    for other in &subject.others {
        let own = id("other", &other.name, all.packages.len());
        let mut about = part(&own, &other.name, other.version.as_deref());
        about.insert("primaryPackagePurpose".into(), "LIBRARY".into());
        about.insert("comment".into(), other.comment.clone().into());
        if let Some(license) = &other.license {
            licenses(&mut about, license);
        }
        if let Some(url) = &other.purl {
            about.insert("externalRefs".into(), purl(url));
        }
        all.packages.push(about.into());
        for binary in &main {
            all.relate(binary, "STATIC_LINK", &own);
        }
    }
    let creators: Vec<String> =
        subject.tools.iter().map(|(name, version)| format!("Tool: {name}-{version}")).collect();
    let what = match &subject.what {
        SubjectKind::Binaries { target } => {
            format!("{} {} for {target}", subject.name, subject.version)
        }
        SubjectKind::Image { .. } => format!("image {}:{}", subject.name, subject.version),
    };
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": what,
        "creationInfo": {"created": format_time(subject.epoch), "creators": creators},
        "packages": all.packages,
        "relationships": all.relationships,
    });
    let namespace = format!("urn:uuid:{}", uuid(&document));
    if let Some(document) = document.as_object_mut() {
        document.insert("documentNamespace".into(), namespace.into());
    }
    to_json(&document)
}

/// The lists of a document.
#[derive(Default)]
struct DocumentParts {
    packages: Vec<Value>,
    relationships: Vec<Value>,
}

impl DocumentParts {
    fn relate(&mut self, from: &str, how: &str, to: &str) {
        self.relationships.push(json!({
            "spdxElementId": from, "relationshipType": how, "relatedSpdxElement": to,
        }));
    }
}

/// Returns an identifier: letters, digits, `.` and `-` (SPDX 2.3, 3.2). The number makes it unique.
fn id(kind: &str, name: &str, number: usize) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    format!("SPDXRef-{kind}-{number}-{name}")
}

/// Adds the image, if there is one, and the binaries, and returns their identifiers.
fn main(subject: &Subject, all: &mut DocumentParts, names: &[String]) -> Vec<String> {
    let mut holders = Vec::new();
    if let SubjectKind::Image { digest, platforms } = &subject.what {
        let whole = id("image", &subject.name, 0);
        all.packages.push(file(&whole, &subject.name, Some(&subject.version), digest, "CONTAINER"));
        all.relate(DOCUMENT, "DESCRIBES", &whole);
        for ((platform, digest), number) in platforms.iter().zip(1..) {
            let own = id("image", platform, number);
            let name = format!("{} {platform}", subject.name);
            all.packages.push(file(&own, &name, Some(&subject.version), digest, "CONTAINER"));
            all.relate(&own, "VARIANT_OF", &whole);
        }
        holders.push(whole);
    }
    let mut binaries = Vec::new();
    for (binary, number) in subject.binaries.iter().zip(0..) {
        let own = id("binary", &format!("{}-{}", binary.target, binary.path), number);
        all.packages.push(file(&own, &binary.path, None, &binary.sha256, "APPLICATION"));
        match holders.first() {
            Some(image) => all.relate(image, "CONTAINS", &own),
            None => all.relate(DOCUMENT, "DESCRIBES", &own),
        }
        for (one, name) in subject.bill.crates.iter().zip(names) {
            if one.root && one.id.name == binary.package {
                all.relate(&own, "GENERATED_FROM", name);
            }
        }
        binaries.push(own);
    }
    binaries
}

fn part(id: &str, name: &str, version: Option<&str>) -> Map<String, Value> {
    let mut members = vec![
        ("SPDXID", id),
        ("name", name),
        ("downloadLocation", NO_ASSERTION),
        ("licenseConcluded", NO_ASSERTION),
        ("licenseDeclared", NO_ASSERTION),
        ("copyrightText", NO_ASSERTION),
    ];
    members.extend(version.map(|version| ("versionInfo", version)));
    let members = members.into_iter().map(|(key, value)| (key.to_owned(), value.into()));
    members.chain([("filesAnalyzed".to_owned(), false.into())]).collect()
}

fn file(id: &str, name: &str, version: Option<&str>, sha256: &str, purpose: &str) -> Value {
    let mut about = part(id, name, version);
    if purpose == "APPLICATION" {
        about.insert("packageFileName".into(), name.into());
    }
    about.insert("checksums".into(), checksums(sha256));
    about.insert("primaryPackagePurpose".into(), purpose.into());
    about.into()
}

fn checksums(sha256: &str) -> Value {
    json!([{"algorithm": "SHA256", "checksumValue": sha256}])
}

fn purl(url: &str) -> Value {
    json!([{
        "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": url,
    }])
}

fn licenses(about: &mut Map<String, Value>, text: &str) {
    match license::parse_expression(text) {
        Some(expression) => about.insert("licenseDeclared".into(), expression.into()),
        None => about.insert("licenseComments".into(), format!("its manifest says: {text}").into()),
    };
}

fn package(one: &Crate, name: &str) -> Map<String, Value> {
    let mut about = part(name, &one.id.name, Some(&one.id.version.to_string()));
    let purpose = if one.root { "APPLICATION" } else { "LIBRARY" };
    about.insert("primaryPackagePurpose".into(), purpose.into());
    if let Some(checksum) = &one.checksum {
        about.insert("checksums".into(), checksums(checksum));
    }
    if let Some(url) = one.id.purl() {
        about.insert("externalRefs".into(), purl(&url));
    }
    if let CrateSource::Git(url) = &one.id.source {
        let location = format!("git+{}", url.replace('#', "@"));
        about.insert("downloadLocation".into(), location.into());
    }
    if let Some(license) = &one.license {
        licenses(&mut about, license);
    }
    let mut reported = Vec::new();
    if !one.features.is_empty() {
        let features: Vec<&str> = one.features.iter().map(String::as_str).collect();
        reported.push(format!("features: {}", features.join(", ")));
    }
    if one.kind == CrateUse::Build {
        reported.push("it runs while the binaries are built, and is not in them".to_owned());
    }
    if !reported.is_empty() {
        about.insert("comment".into(), reported.join("; ").into());
    }
    about
}
