//! Images: a byte string of files, as `path\0size\0content`, is the store.
#![no_main]

use std::{collections::HashMap, io::Read};

use libfuzzer_sys::fuzz_target;
use longshore::image::{
    contents::{self, MemoryLimit},
    read::image::{self, Store},
};

struct Files(HashMap<String, Vec<u8>>);

impl Store for Files {
    fn open(&self, path: &str) -> longshore::Result<Option<Box<dyn Read + '_>>> {
        Ok(self.0.get(path).map(|bytes| Box::new(&bytes[..]) as Box<dyn Read>))
    }
}

/// The files in `bytes`. Blobs get the names that their content has, so that digests hold.
fn files(mut bytes: &[u8]) -> Files {
    let mut files = HashMap::new();
    while let Some(end) = bytes.iter().position(|&byte| byte == 0) {
        let path = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let rest = &bytes[end + 1..];
        let Some((size, rest)) = rest.split_first_chunk::<2>() else { break };
        let size = usize::from(u16::from_le_bytes(*size)).min(rest.len());
        let (content, rest) = rest.split_at(size);
        let blob = longshore::image::oci::layout::blob_path(
            longshore::model::digest::Digest::sha256(content),
        );
        files.insert(if path.is_empty() { blob } else { path }, content.to_vec());
        bytes = rest;
    }
    Files(files)
}

fuzz_target!(|bytes: &[u8]| {
    let files = files(bytes);
    let _ = image::is_image(&files);
    let Ok(found) = image::read_images(&files) else { return };
    for found in &found.images {
        if let Ok(whole) = contents::read(&files, found, &mut MemoryLimit::default()) {
            assert!(contents::compare_platform(&whole, &whole, true).equal);
        }
        let _ = contents::scan(&files, found, &mut MemoryLimit::default(), &mut |_, content| {
            let _ = std::io::copy(&mut content.take(1 << 16), &mut std::io::sink());
            Ok(())
        });
    }
});
