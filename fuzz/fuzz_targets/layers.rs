//! The merged view of an image's layers: it holds only names that a layer has, and it is the one of
//! a simple model if no symbolic link is in the image.
//!
//! The input is text. A line is an entry: its kind, its path, and after a blank the target of a link.
//! A line `=` begins the next layer.
#![no_main]

use std::{
    collections::{BTreeMap, HashSet},
    io::Read,
};

use libfuzzer_sys::fuzz_target;
use longshore::{
    image::{
        contents::{self, MemoryLimit},
        read::image::{OPAQUE, Store, StoredImage, StoredLayer, WHITEOUT},
    },
    model::{
        digest::Digest,
        schema::image::{File, FileKind},
    },
};
use longshore_fuzz::{append, append_pax, header};

/// The most layers, and the most entries of all of them.
const MOST: (usize, usize) = (6, 64);

struct Layers(Vec<Vec<u8>>);

impl Store for Layers {
    fn open(&self, path: &str) -> longshore::Result<Option<Box<dyn Read + '_>>> {
        let layer = path.parse().ok().and_then(|at: usize| self.0.get(at));
        Ok(layer.map(|bytes| Box::new(&bytes[..]) as Box<dyn Read>))
    }
}

impl Layers {
    fn parse(text: &[u8]) -> Self {
        let mut layers = vec![Vec::new()];
        for line in text.split(|&byte| byte == b'\n').take(MOST.1) {
            let last = layers.len() - 1;
            match line {
                [b'=', ..] if layers.len() < MOST.0 => layers.push(Vec::new()),
                [kind, rest @ ..] => entry(&mut layers[last], *kind, rest),
                [] => {}
            }
        }
        Layers(layers)
    }

    fn image(&self) -> StoredImage {
        let layer = |(at, tar): (usize, &Vec<u8>)| StoredLayer {
            path: at.to_string(),
            blob: None,
            named_digest: None,
            diff_id: Digest::sha256(tar),
        };
        StoredImage {
            name: String::new(),
            platform: "linux/amd64".parse().unwrap(),
            size: None,
            layers: self.0.iter().enumerate().map(layer).collect(),
            set: 0,
            manifest: None,
            config: (String::new(), Digest::sha256(b"")),
            warnings: Vec::new(),
        }
    }
}

fn entry(tar: &mut Vec<u8>, kind: u8, rest: &[u8]) {
    let mut words = rest.splitn(2, |&byte| byte == b' ');
    let (path, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (kind, mode, content) = match kind {
        b'd' => (b'5', 0o755, &b""[..]),
        b'l' => (b'2', 0o777, &b""[..]),
        b'h' => (b'1', 0o755, &b""[..]),
        b's' => (b'0', 0o4755, &b"setuid"[..]),
        b'c' => (b'3', 0o600, &b""[..]),
        b'p' => (b'6', 0o600, &b""[..]),
        b'x' => {
            append_pax(tar, b'x', &[("SCHILY.xattr.security.capability", target)]);
            (b'0', 0o755, &b""[..])
        }
        b'P' => {
            append_pax(tar, b'x', &[("path", path)]);
            (b'0', 0o755, &b""[..])
        }
        _ => (b'0', 0o755, &b"content"[..]),
    };
    append(tar, &header(kind, mode, path, target, content.len()), content);
}

/// A name in the model.
#[derive(Clone, Copy)]
struct Name {
    directory: bool,
    layer: usize,
    /// The last layer that has it, or something below it.
    touched: usize,
}

/// Names by their paths, without links that are followed.
#[derive(Default)]
struct Model(BTreeMap<String, Name>);

impl Model {
    fn below(&self, path: &str) -> Vec<String> {
        let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        self.0.keys().filter(|name| name.starts_with(&prefix)).cloned().collect()
    }

    /// Removes a name of a lower layer, with all below it; otherwise what is below it and of a lower
    /// layer.
    fn remove(&mut self, path: &str, layer: usize) {
        let names = self.below(path).into_iter().chain([path.to_owned()]);
        for name in names {
            if self.0.get(&name).is_some_and(|name| name.touched != layer) {
                self.clear(&name);
            }
        }
    }

    fn clear(&mut self, path: &str) {
        for name in self.below(path).iter().map(String::as_str).chain([path]) {
            self.0.remove(name);
        }
    }

    fn is_directory(&self, path: &str) -> bool {
        path.is_empty() || path == "/" || self.0.get(path).is_some_and(|name| name.directory)
    }

    fn add(&mut self, file: &File) {
        let (parent, _) = file.path.rsplit_once('/').unwrap();
        match file.kind {
            FileKind::Whiteout if self.is_directory(parent) => self.remove(&file.path, file.layer),
            FileKind::OpaqueWhiteout if self.is_directory(&file.path) => {
                self.below(&file.path).iter().for_each(|name| self.remove(name, file.layer));
            }
            FileKind::Whiteout | FileKind::OpaqueWhiteout => {}
            _ => self.place(file),
        }
    }

    fn place(&mut self, file: &File) {
        let parents = file.path.match_indices('/').map(|(at, _)| &file.path[..at]);
        for parent in parents.filter(|parent| !parent.is_empty()) {
            let made = Name { directory: true, layer: file.layer, touched: file.layer };
            let name = self.0.entry(parent.to_owned()).or_insert(made);
            name.touched = file.layer;
        }
        let directory = file.kind == FileKind::Directory;
        if !(directory && self.is_directory(&file.path)) {
            self.clear(&file.path);
        }
        if file.path != "/" {
            let layer = file.layer;
            self.0.insert(file.path.clone(), Name { directory, layer, touched: layer });
        }
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

fuzz_target!(|text: &[u8]| {
    let layers = Layers::parse(text);
    let image = layers.image();
    let mut model = Model::default();
    let mut names: HashSet<String> = HashSet::new();
    let (mut count, mut links, mut reserved) = (0, false, 0);
    let mut each = |item: contents::ScannedEntry<'_>, content: &mut dyn Read| {
        assert_eq!(item.number, count);
        count += 1;
        let Some(file) = item.file else {
            reserved += 1;
            return Ok(());
        };
        links |= file.kind == FileKind::Symlink;
        names.extend(parts(&file.path).map(str::to_owned));
        names.extend(file.target.iter().flat_map(|target| parts(target)).map(str::to_owned));
        if !links {
            model.add(file);
        }
        let _ = std::io::copy(content, &mut std::io::sink());
        Ok(())
    };
    let scan = contents::scan(&layers, &image, &mut MemoryLimit::default(), &mut each).unwrap();
    assert!(scan.faults.iter().all(|fault| !fault.mismatch && !fault.message.is_empty()));
    assert_eq!(scan.tree.is_some(), scan.faults.is_empty());
    let hidden = scan.hidden_entries();
    let Some(tree) = scan.tree else {
        assert!(hidden.is_empty());
        return;
    };
    assert!(hidden.len() <= count && hidden.len() >= reserved);
    let files = tree.into_files();
    assert!(files.len() <= text.len() + 1);
    let mut paths: HashSet<&str> = HashSet::new();
    for file in &files {
        assert!(paths.insert(&file.path), "one file for each path");
        assert!(parts(&file.path).all(|part| names.contains(part)), "`{}` is new", file.path);
        assert!(file.layer >= 1 && file.layer <= image.layers.len());
        let (parent, name) = file.path.rsplit_once('/').unwrap();
        assert!(parent.is_empty() || paths.contains(parent), "a directory precedes its files");
        // Only the last part of a name marks a whiteout: its parent directories may have any name.
        let is_parent = file.kind == FileKind::Directory;
        assert!(is_parent || !name.starts_with(WHITEOUT) && name != OPAQUE);
        assert!(!matches!(file.kind, FileKind::Whiteout | FileKind::OpaqueWhiteout));
    }
    if !links {
        let found = files.iter().filter(|file| file.path != "/");
        let found: BTreeMap<_, _> = found
            .map(|file| (file.path.clone(), (file.kind == FileKind::Directory, file.layer)))
            .collect();
        let expected = model.0.into_iter().map(|(path, name)| (path, (name.directory, name.layer)));
        assert_eq!(found, expected.collect());
    }
});
