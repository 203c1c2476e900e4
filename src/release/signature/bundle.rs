//! Sigstore's bundles (<https://docs.sigstore.dev/about/bundle/>,
//! <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto>): a signature over a file,
//! or an attestation, which is an in-toto statement about files
//! (<https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>) in an envelope
//! (<https://github.com/secure-systems-lab/dsse/blob/master/envelope.md>). Only the format and the digests are
//! read here; whether the signature is valid, and the signer's identity, is for cosign.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;

use crate::model::{
    digest::Digest,
    error::{Error, Result},
};

/// The maximum size of a file of bundles, in bytes: a predicate has at most 16 MB.
pub const LIMIT: u64 = 32 << 20;

/// The maximum number of bundles in one file.
const MAX_BUNDLES: usize = 100;

/// The maximum number of subjects of one statement: actions/attest writes at most 1024.
const MAX_SUBJECTS: usize = 4096;

/// The part that the media types of all versions have in common.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle";

/// The media types of the versions that are known.
const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.dev.sigstore.bundle.v0.3+json",
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "application/vnd.dev.sigstore.bundle+json;version=0.1",
];

/// The type of the payload of an envelope.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The types of statements.
const STATEMENTS: [&str; 2] =
    ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];

/// A bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The digests of the files that it signs or attests.
    pub subjects: Vec<Digest>,
    /// The type of the predicate, if it is an attestation.
    pub predicate: Option<String>,
    /// Whether it names a certificate, and not a key.
    pub certificate: bool,
    /// Its text.
    pub text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    media_type: String,
    verification_material: Material,
    message_signature: Option<MessageSignature>,
    dsse_envelope: Option<Envelope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Option<serde::de::IgnoredAny>,
    x509_certificate_chain: Option<Chain>,
    certificate: Option<Certificate>,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<Certificate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Certificate {
    raw_bytes: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageSignature {
    message_digest: Option<MessageDigest>,
    signature: String,
}

#[derive(Deserialize)]
struct MessageDigest {
    algorithm: String,
    digest: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    predicate_type: String,
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    digest: BTreeMap<String, String>,
}

/// Parses a file: one bundle, or one in each line, as `gh attestation download` writes them.
///
/// # Errors
/// One of them is not a bundle, or there is none.
pub fn parse(bytes: &[u8]) -> Result<Vec<Bundle>> {
    let bad = |why: String| Error::check(format!("it is not a bundle of Sigstore's: {why}"));
    if bytes.len() as u64 > LIMIT {
        return Err(bad(format!("it has more than {LIMIT} bytes")));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| bad("it is not UTF-8".to_owned()))?;
    // One document may have several lines; each line of several documents is one.
    if let Ok(document) = serde_json::from_str::<Document>(text) {
        return Ok(vec![bundle(document, text).map_err(bad)?]);
    }
    let lines: Vec<(usize, &str)> =
        (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()).collect();
    if lines.len() > MAX_BUNDLES {
        return Err(bad(format!("it has more than {MAX_BUNDLES} lines")));
    }
    if lines.is_empty() {
        return Err(bad("it is empty".to_owned()));
    }
    let one = |(number, line): &(usize, &str)| {
        let place = |why: String| match lines.len() {
            1 => bad(why),
            _ => bad(format!("line {number}: {why}")),
        };
        let document = serde_json::from_str(line).map_err(|error| place(error.to_string()))?;
        bundle(document, line).map_err(place)
    };
    lines.iter().map(one).collect()
}

/// Returns a checked bundle, or the reason why it is none.
fn bundle(document: Document, text: &str) -> Result<Bundle, String> {
    if !MEDIA_TYPES.contains(&document.media_type.as_str()) {
        let found = document.media_type.escape_debug();
        return Err(format!("its media type is `{found}`, which is unknown"));
    }
    let certificate = material(&document.verification_material)?;
    let (subjects, predicate) = match (&document.message_signature, &document.dsse_envelope) {
        (Some(signature), None) => (vec![message(signature)?], None),
        (None, Some(envelope)) => {
            let (subjects, predicate) = statement(envelope)?;
            (subjects, Some(predicate))
        }
        (None, None) => return Err("it has neither a signature nor an attestation".to_owned()),
        (Some(_), Some(_)) => return Err("it has a signature and an attestation".to_owned()),
    };
    Ok(Bundle { subjects, predicate, certificate, text: text.to_owned() })
}

/// Returns whether the material is a certificate, and not a key.
fn material(material: &Material) -> Result<bool, String> {
    let Material { public_key, x509_certificate_chain: chain, certificate } = material;
    let count = [public_key.is_some(), chain.is_some(), certificate.is_some()];
    if count.into_iter().filter(|is| *is).count() != 1 {
        return Err("it must name either a key or a certificate".to_owned());
    }
    let chain = chain.iter().flat_map(|chain| &chain.certificates);
    let mut certificates = chain.chain(certificate).peekable();
    if public_key.is_none() && certificates.peek().is_none() {
        return Err("its chain of certificates is empty".to_owned());
    }
    certificates.try_for_each(|one| decode("certificate", &one.raw_bytes).map(drop))?;
    Ok(public_key.is_none())
}

/// Returns the digest of the signed file.
fn message(signature: &MessageSignature) -> Result<Digest, String> {
    decode("signature", &signature.signature)?;
    let Some(MessageDigest { algorithm, digest }) = &signature.message_digest else {
        return Err("it has no digest of the signed file".to_owned());
    };
    if algorithm != "SHA2_256" {
        let found = algorithm.escape_debug();
        return Err(format!("its digest is one of `{found}`, expected `SHA2_256`"));
    }
    let bytes = decode("digest", digest)?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}").parse().map_err(|_| format!("its digest has {} bytes", bytes.len()))
}

/// Returns the subjects and the predicate's type of an attestation.
fn statement(envelope: &Envelope) -> Result<(Vec<Digest>, String), String> {
    if envelope.payload_type != PAYLOAD_TYPE {
        let found = envelope.payload_type.escape_debug();
        return Err(format!("its payload is `{found}`, expected `{PAYLOAD_TYPE}`"));
    }
    if envelope.signatures.is_empty() {
        return Err("it is not signed".to_owned());
    }
    envelope.signatures.iter().try_for_each(|one| decode("signature", &one.sig).map(drop))?;
    let payload = decode("payload", &envelope.payload)?;
    let statement: Statement = serde_json::from_slice(&payload)
        .map_err(|error| format!("its payload is not a statement: {error}"))?;
    if !STATEMENTS.contains(&statement.kind.as_str()) {
        return Err(format!(
            "its statement is `{}`, which is unknown",
            statement.kind.escape_debug()
        ));
    }
    if statement.subject.len() > MAX_SUBJECTS {
        return Err(format!("it has more than {MAX_SUBJECTS} subjects"));
    }
    let mut subjects = Vec::new();
    for subject in &statement.subject {
        // Others, such as commits, are not files.
        let Some(hex) = subject.digest.get("sha256") else { continue };
        let digest = format!("sha256:{hex}").parse();
        subjects.push(
            digest.map_err(|_| format!("its subject has the digest `{}`", hex.escape_debug()))?,
        );
    }
    if subjects.is_empty() {
        return Err("it has no subject with a sha256 digest".to_owned());
    }
    Ok((subjects, statement.predicate_type))
}

fn decode(what: &str, text: &str) -> Result<Vec<u8>, String> {
    match BASE64_STANDARD.decode(text) {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(format!("its {what} is not base64")),
    }
}

/// The subject of a file of bundles, by the file's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectName {
    /// The file of this name beside it.
    File(String),
    /// The file with this digest.
    Digest(Digest),
}

/// The ends of the names of bundles, after the name of the file.
pub const SUFFIXES: [&str; 3] = [".sigstore.json", ".sigstore", ".jsonl"];

/// Returns the subject of a file that is named like a bundle. `gh attestation download` names it by the digest
/// of the file, with a `-` on Windows (<https://cli.github.com/manual/gh_attestation_download>).
pub fn subject_name(name: &str) -> Option<SubjectName> {
    let stem = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix))?;
    let hex = stem.strip_prefix("sha256:").or_else(|| stem.strip_prefix("sha256-"));
    match hex.and_then(|hex| format!("sha256:{hex}").parse().ok()) {
        Some(digest) => Some(SubjectName::Digest(digest)),
        None if stem.is_empty() => None,
        None => Some(SubjectName::File(stem.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn hex() -> String {
        Digest::sha256(b"a").hex()
    }

    /// Returns an attestation of a file that contains `a`.
    fn attestation() -> Value {
        let statement = json!({
            "_type": STATEMENTS[0],
            "predicateType": "https://slsa.dev/provenance/v1",
            "subject": [{ "name": "x", "digest": { "sha1": "00" } }, { "name": "a", "digest": { "sha256": hex() } }],
            "predicate": {},
        });
        json!({
            "mediaType": MEDIA_TYPES[0],
            "verificationMaterial": { "certificate": { "rawBytes": "AAAA" }, "tlogEntries": [] },
            "dsseEnvelope": {
                "payload": BASE64_STANDARD.encode(statement.to_string()),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{ "sig": "AAAA" }],
            },
        })
    }

    fn read(value: &Value) -> Result<Vec<Bundle>> {
        parse(value.to_string().as_bytes())
    }

    #[test]
    fn attestations_and_signatures_have_the_digest_of_their_file() {
        let bundle = read(&attestation()).unwrap().remove(0);
        assert_eq!(bundle.subjects, [Digest::sha256(b"a")]);
        assert_eq!(bundle.predicate.as_deref(), Some("https://slsa.dev/provenance/v1"));
        assert!(bundle.certificate);
        let bytes: Vec<u8> = hex::decode(&hex());
        let mut signature = attestation();
        signature["dsseEnvelope"] = Value::Null;
        signature["verificationMaterial"] = json!({ "publicKey": { "hint": "x" } });
        signature["messageSignature"] = json!({
            "messageDigest": { "algorithm": "SHA2_256", "digest": BASE64_STANDARD.encode(bytes) },
            "signature": "AAAA",
        });
        let bundle = read(&signature).unwrap().remove(0);
        assert_eq!(
            (bundle.subjects, bundle.predicate, bundle.certificate),
            (vec![Digest::sha256(b"a")], None, false)
        );
        signature["messageSignature"]["messageDigest"]["algorithm"] = json!("SHA2_512");
        assert!(read(&signature).unwrap_err().to_string().contains("expected `SHA2_256`"));
    }

    mod hex {
        pub(super) fn decode(text: &str) -> Vec<u8> {
            let pairs = text.as_bytes().chunks(2);
            pairs
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect()
        }
    }

    #[test]
    fn files_have_one_document_or_one_in_each_line() {
        let one = attestation();
        assert_eq!(parse(format!("{one:#}").as_bytes()).unwrap().len(), 1);
        assert_eq!(parse(format!("{one}\n{one}\n\n").as_bytes()).unwrap().len(), 2);
        let error = parse(format!("{one}\n{{}}\n").as_bytes()).unwrap_err().to_string();
        assert!(error.contains("line 2: "), "{error}");
        let many = format!("{one}\n").repeat(MAX_BUNDLES + 1);
        assert!(parse(many.as_bytes()).unwrap_err().to_string().contains("more than 100 lines"));
        for bad in [&b""[..], b"\n", b"[]", b"{", &[0xff], b"null", b"{\"mediaType\":1}"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        // Nested so deeply that a recursive reader would overflow its stack.
        assert!(parse("[".repeat(1 << 20).as_bytes()).is_err());
    }

    #[test]
    fn malformed_bundles_are_rejected_with_the_reason() {
        let edits: [(&str, Value, &str); 12] = [
            ("/mediaType", json!("application/vnd.dev.sigstore.bundle.v9+json"), "media type"),
            ("/verificationMaterial", json!({}), "either a key or a certificate"),
            ("/verificationMaterial/publicKey", json!({}), "either a key or a certificate"),
            (
                "/verificationMaterial",
                json!({ "x509CertificateChain": { "certificates": [] } }),
                "empty",
            ),
            ("/verificationMaterial/certificate/rawBytes", json!("!"), "certificate is not base64"),
            ("/messageSignature", json!({ "signature": "AAAA" }), "a signature and an attestation"),
            ("/dsseEnvelope", Value::Null, "neither"),
            ("/dsseEnvelope/payloadType", json!("text/plain"), "payload is `text/plain`"),
            ("/dsseEnvelope/signatures", json!([]), "not signed"),
            ("/dsseEnvelope/signatures/0/sig", json!(""), "signature is not base64"),
            ("/dsseEnvelope/payload", json!("AAAA"), "not a statement"),
            (
                "/dsseEnvelope/payload",
                json!(
                    BASE64_STANDARD
                        .encode("{\"_type\":\"x\",\"predicateType\":\"\",\"subject\":[]}")
                ),
                "is `x`",
            ),
        ];
        for (at, value, expected) in edits {
            let mut bundle = attestation();
            match bundle.pointer_mut(at) {
                Some(entry) => *entry = value,
                None => {
                    let (parent, key) = at.rsplit_once('/').unwrap();
                    bundle.pointer_mut(parent).unwrap()[key] = value;
                }
            }
            let error = read(&bundle).unwrap_err().to_string();
            assert!(error.contains(expected), "{at}: {error}");
        }
    }

    #[test]
    fn names_of_bundles_have_their_subject() {
        let file = |name: &str| Some(SubjectName::File(name.to_owned()));
        assert_eq!(subject_name("a.tar.gz.sigstore.json"), file("a.tar.gz"));
        assert_eq!(subject_name("a.sigstore"), file("a"));
        assert_eq!(subject_name("a.jsonl"), file("a"));
        let digest = Some(SubjectName::Digest(Digest::sha256(b"a")));
        assert_eq!(subject_name(&format!("sha256:{}.jsonl", hex())), digest);
        assert_eq!(subject_name(&format!("sha256-{}.jsonl", hex())), digest);
        for name in ["a", ".sigstore.json", "a.json", "sigstore"] {
            assert_eq!(subject_name(name), None, "{name}");
        }
    }
}
