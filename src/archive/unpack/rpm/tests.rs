//! Packages that are right, and wrong in one way each.

use super::*;
use crate::archive::rpm::Value;

/// A file of the header, and what the payload has of it.
#[derive(Clone)]
struct Item {
    path: &'static str,
    mode: u16,
    size: u32,
    packed: Option<(&'static str, &'static [u8])>,
}

fn file(path: &'static str, mode: u16, content: &'static [u8]) -> Item {
    Item { path, mode, size: content.len() as u32, packed: Some((path, content)) }
}

/// Returns an entry of a payload.
fn entry(path: &str, content: &[u8]) -> Vec<u8> {
    let fields = [1, 0o644, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, path.len() + 1, 0];
    let mut bytes = b"070701".to_vec();
    bytes.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
    bytes.extend(path.as_bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn payload(items: &[Item]) -> Vec<u8> {
    let packed = items.iter().filter_map(|item| item.packed);
    let mut bytes: Vec<u8> =
        packed.flat_map(|(path, content)| entry(&format!(".{path}"), content)).collect();
    bytes.extend(entry("TRAILER!!!", b""));
    bytes
}

fn set_files(header: &mut Header, items: &[Item]) {
    let texts = |texts: Vec<String>| Value::Texts(texts);
    let split = |item: &Item| item.path.rsplit_once('/').unwrap();
    header.set(tag::FILE_MODES, Value::Int16(items.iter().map(|item| item.mode).collect()));
    header.set(tag::FILE_SIZES, Value::Int32(items.iter().map(|item| item.size).collect()));
    header.set(tag::FILE_FLAGS, Value::Int32(vec![0; items.len()]));
    header.set(tag::FILE_LINK_TARGETS, texts(vec!["target".to_owned(); items.len()]));
    let digest = |item: &Item| match item.packed {
        Some((_, content)) if item.mode & 0o170_000 == 0o100_000 => Digest::sha256(content).hex(),
        _ => String::new(),
    };
    header.set(tag::FILE_DIGESTS, texts(items.iter().map(digest).collect()));
    header.set_number(tag::FILE_DIGEST_ALGORITHM, tag::SHA256);
    let count = items.len() as u32;
    header.set(tag::DIRECTORY_INDEXES, Value::Int32((0..count).collect()));
    header.set(tag::BASE_NAMES, texts(items.iter().map(|item| split(item).1.to_owned()).collect()));
    let directory = |item: &Item| format!("{}/", split(item).0);
    header.set(tag::DIRECTORY_NAMES, texts(items.iter().map(directory).collect()));
}

fn header(items: &[Item], payload: &[u8]) -> Header {
    let texts = |texts: Vec<String>| Value::Texts(texts);
    let mut header = Header::default();
    // A tag has at least one value.
    if !items.is_empty() {
        set_files(&mut header, items);
    }
    header.set(tag::PAYLOAD_DIGEST, texts(vec![Digest::sha256(payload).hex()]));
    header.set_number(tag::PAYLOAD_DIGEST_ALGORITHM, tag::SHA256);
    header.set_text(1024, "echo installed");
    header
}

fn package(header: &Header, payload: &[u8]) -> Vec<u8> {
    let mut bytes = LEAD_MAGIC.to_vec();
    bytes.push(3);
    bytes.resize(LEAD, 0);
    let header = header.encode(tag::IMMUTABLE).unwrap();
    let mut signature = Header::default();
    signature.set_text(tag::SIGNATURE_SHA256, Digest::sha256(&header).hex());
    bytes.extend(signature.encode(tag::SIGNATURES).unwrap());
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(header);
    bytes.extend(payload);
    bytes
}

fn read(bytes: &[u8]) -> Result<Vec<(String, Option<u32>, String)>> {
    let mut found = Vec::new();
    read_rpm(bytes, &mut |_, entry, content| {
        let mut text = String::new();
        let read = content.read_to_string(&mut text);
        read.map_err(|error| Error::check("cut").because(error))?;
        found.push((entry.path.clone(), entry.mode, text));
        Ok(())
    })?;
    Ok(found)
}

fn items() -> [Item; 3] {
    [
        file("/usr/bin/x", 0o104_755, b"program"),
        file("/usr/bin/y", 0o120_777, b"target"),
        Item { size: 4096, ..file("/usr/share", 0o040_755, b"") },
    ]
}

/// Returns the error for a package with these files, and a change of its payload.
fn rejected(items: &[Item], change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut payload = payload(items);
    change(&mut payload);
    read(&package(&header(items, &payload), &payload)).unwrap_err().to_string()
}

#[test]
fn files_have_the_modes_of_the_header() {
    let payload = payload(&items());
    let plain = package(&header(&items(), &payload), &payload);
    let zstd = zstd::encode_all(&payload[..], 1).unwrap();
    let packed = package(&header(&items(), &zstd), &zstd);
    for bytes in [plain, packed] {
        assert!(is_rpm(&bytes));
        let entry = |path: &str, mode, text: &str| (path.to_owned(), Some(mode), text.to_owned());
        let expected = [
            entry("postin", 0o755, "echo installed"),
            entry("usr/bin/x", 0o4755, "program"),
            entry("usr/bin/y", 0o777, ""),
            entry("usr/share", 0o755, ""),
        ];
        assert_eq!(read(&bytes).unwrap(), expected);
    }
}

#[test]
fn what_rpm_would_install_otherwise_is_rejected() {
    let nothing = |_: &mut Vec<u8>| {};
    let mut items = items().to_vec();
    items[0].packed = None;
    assert!(rejected(&items, nothing).contains("`usr/bin/x` is not in the payload"));
    items[0].packed = Some(("/usr/bin/z", b"program"));
    assert!(rejected(&items, nothing).contains("`usr/bin/z` is in the payload, and not in"));
    items[0].packed = Some(("/usr/bin/x", b"longer program"));
    assert!(rejected(&items, nothing).contains("has 14 bytes in the payload, expected 7"));
    items[0] = file("/usr/bin/x", 0o100_755, b"program");
    items[1].packed = Some(("/usr/bin/y", b"../tmp"));
    assert!(rejected(&items, nothing).contains("leads to `../tmp` in the payload"));
    items[1] = items[0].clone();
    assert!(rejected(&items, nothing).contains("has `usr/bin/x` twice"));
    items.truncate(1);
    let twice = |payload: &mut Vec<u8>| {
        *payload = [entry("./usr/bin/x", b"program"), payload.clone()].concat()
    };
    assert!(rejected(&items, twice).contains("is in the payload twice"));
    let changed = |payload: &mut Vec<u8>| {
        let at = payload.windows(7).position(|bytes| bytes == b"program").unwrap();
        payload[at] = b'P';
    };
    assert!(rejected(&items, changed).contains("`usr/bin/x` is corrupt"));
    assert!(rejected(&items, |payload| payload[5] = b'7').contains("expected `070701`"));
    assert!(rejected(&items, |payload| payload[54] = b'+').contains("invalid number"));
    assert!(rejected(&items, |payload| payload[112] = 0).contains("zero byte"));
    assert!(rejected(&items, |payload| payload.truncate(60)).contains("cut off"));
}

#[test]
fn a_payload_without_files_in_the_header_is_read() {
    let hidden = payload(&items());
    let error = read(&package(&header(&[], &hidden), &hidden)).unwrap_err().to_string();
    assert!(error.contains("is in the payload, and not in the header"), "{error}");
    for empty in [payload(&[]), Vec::new()] {
        let found = read(&package(&header(&[], &empty), &empty)).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
    }
    let after = |payload: &mut Vec<u8>| payload.extend(entry("./usr/bin/z", b"program"));
    assert!(rejected(&items(), after).contains("data after its last entry"));
}

#[test]
fn a_path_outside_of_the_root_is_a_hazard() {
    let items = [file("/../x", 0o100_755, b"program")];
    let payload = payload(&items);
    let mut hazards = Vec::new();
    read_rpm(&package(&header(&items, &payload), &payload)[..], &mut |_, entry, _| {
        hazards.extend(entry.hazard());
        Ok(())
    })
    .unwrap();
    assert_eq!(hazards.len(), 1, "{hazards:?}");
}

#[test]
fn every_byte_is_covered_by_a_digest_or_by_the_structure() {
    let payload = payload(&items());
    let bytes = package(&header(&items(), &payload), &payload);
    for end in 0..bytes.len() {
        assert!(read(&bytes[..end]).is_err(), "{end}");
    }
    let start = read_rpm_headers(&mut &bytes[..]).unwrap().start as usize;
    for at in (start..bytes.len()).chain(0..5) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        assert!(read(&bytes).is_err(), "{at}");
    }
    for at in LEAD..start {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        drop(read(&bytes));
    }
}
