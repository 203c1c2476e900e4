//! Layers applied in order (OCI image specification 1.1, layer.md, "Applying Changesets"), as
//! container engines unpack them.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
};

use super::image::MemoryLimit;
use crate::{
    archive::unpack::MAX_PATH,
    model::{
        error::{Error, Result},
        schema::image::{File, FileKind, Mode},
    },
};

/// Symbolic links that are followed on the way to one file; Linux follows as many.
const MAX_LINKS: usize = 40;

/// The bytes that the list of files in a directory counts.
pub(super) const DIRECTORY_SIZE: usize = 512;

/// The most steps from one directory to the next of all paths together. An image with as many files
/// as are read has 32 for each; links that lead through each other make more.
const MAX_STEPS: usize = 1 << 23;

/// The files that a container sees: every file by its path.
#[derive(Debug)]
pub struct Tree {
    /// The root, and all that was ever below it.
    nodes: Vec<Node>,
    /// Whether a layer has the root itself.
    has_root: bool,
    /// The number of steps that are left.
    steps: usize,
}

#[derive(Debug)]
struct Node {
    file: Box<File>,
    /// The same for all names of one file: the number of the node that was its first.
    number: usize,
    /// The last layer that has it, or something below it.
    touched: usize,
    /// The nodes of what is in a directory.
    children: BTreeMap<String, usize>,
}

impl Default for Tree {
    fn default() -> Self {
        let root = Box::new(new_directory("/".to_owned(), 0, 0));
        Tree {
            nodes: vec![Node { file: root, number: 0, touched: 0, children: BTreeMap::new() }],
            has_root: false,
            steps: MAX_STEPS,
        }
    }
}

/// Creates the missing parts of a path: it is called with the directory, the name in it, and the
/// existing entry.
type CreateMissing<'a> =
    dyn FnMut(&mut Tree, (usize, &str), Option<FileKind>) -> Result<Option<usize>> + 'a;

/// Returns a directory that no layer has, and that is a parent of one that a layer has.
fn new_directory(path: String, mtime: i64, layer: usize) -> File {
    File {
        path,
        kind: FileKind::Directory,
        target: None,
        mode: Mode(0o755),
        uid: 0,
        gid: 0,
        size: 0,
        sha256: None,
        mtime,
        device: None,
        xattrs: BTreeMap::new(),
        layer,
    }
}

/// Returns the directory of an absolute path, without a slash at its end, and the name in it.
fn split_path(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Returns setuid and setgid of a file, and a bit for capabilities.
fn privileges(file: &File) -> u32 {
    let capabilities = file.xattrs.contains_key("security.capability");
    (file.mode.0 & 0o6000) | u32::from(capabilities)
}

impl Tree {
    /// Applies the next entry of a layer; returns the number of its file, or `None` for a whiteout.
    /// A whiteout removes files of lower layers, and never files of the same layer.
    ///
    /// # Errors
    /// No engine could unpack it: something is below what is not a directory, links lead in circles,
    /// a hard link leads to nothing, or `limit` is reached.
    pub fn add(&mut self, file: &File, limit: &mut MemoryLimit) -> Result<Option<usize>> {
        match file.kind {
            FileKind::Whiteout => {
                let (directory, name) = split_path(&file.path);
                if let Some(at) = self.resolve_directory(directory)? {
                    self.remove(at, name, file.layer);
                }
                Ok(None)
            }
            FileKind::OpaqueWhiteout => {
                if let Some(at) = self.resolve_directory(&file.path)? {
                    let names: Vec<_> = self.nodes[at].children.keys().cloned().collect();
                    names.iter().for_each(|name| self.remove(at, name, file.layer));
                }
                Ok(None)
            }
            _ => self.insert_file(file, limit).map(Some),
        }
    }

    /// Removes what lower layers than `layer` have at `name` and below.
    fn remove(&mut self, directory: usize, name: &str, layer: usize) {
        let mut open = vec![(directory, name.to_owned())];
        while let Some((directory, name)) = open.pop() {
            let Some(&child) = self.nodes[directory].children.get(&name) else { continue };
            if self.nodes[child].touched == layer {
                let names = self.nodes[child].children.keys();
                open.extend(names.map(|name| (child, name.clone())));
            } else {
                self.nodes[directory].children.remove(&name);
            }
        }
    }

    /// Returns the numbers of all files that are in the tree.
    pub(super) fn inodes(&self) -> HashSet<usize> {
        let mut open = vec![0];
        let mut found = HashSet::new();
        while let Some(at) = open.pop() {
            found.insert(self.nodes[at].number);
            open.extend(self.nodes[at].children.values());
        }
        found
    }

    /// Returns the directory at `path`, with every symbolic link followed.
    fn resolve_directory(&mut self, path: &str) -> Result<Option<usize>> {
        let way = self.walk(path, &mut |_, _, _| Ok(None))?;
        Ok(way.and_then(|way| way.last().copied()))
    }

    /// Returns the directories from the root to `path`, with `missing` if one is not there.
    fn walk(&mut self, path: &str, missing: &mut CreateMissing<'_>) -> Result<Option<Vec<usize>>> {
        let mut way = vec![0];
        let mut rest: Vec<Cow<'_, str>> = path.rsplit('/').map(Cow::Borrowed).collect();
        let mut links = 0;
        while let Some(part) = rest.pop() {
            let current = way.last().copied().unwrap_or(0);
            self.steps = self.steps.checked_sub(1).ok_or_else(|| {
                Error::check(format!("its paths lead through more than {MAX_STEPS} directories"))
            })?;
            match &*part {
                "" | "." => continue,
                ".." => {
                    way.truncate(way.len().saturating_sub(1).max(1));
                    continue;
                }
                _ => {}
            }
            let child = self.nodes[current].children.get(&*part).copied();
            let file = child.map(|child| &self.nodes[child].file);
            match (child, file.map(|file| file.kind), file.and_then(|file| file.target.as_deref()))
            {
                (Some(child), Some(FileKind::Directory), _) => way.push(child),
                (_, Some(FileKind::Symlink), Some(target)) => {
                    links += 1;
                    if links > MAX_LINKS {
                        let path = path.escape_debug();
                        return Err(Error::check(format!("`{path}` leads through too many links")));
                    }
                    if target.starts_with('/') {
                        way.truncate(1);
                    }
                    rest.extend(target.rsplit('/').map(|part| Cow::Owned(part.to_owned())));
                }
                (_, kind, _) => match missing(self, (current, &part), kind)? {
                    Some(made) => way.push(made),
                    None => return Ok(None),
                },
            }
        }
        Ok(Some(way))
    }

    /// Returns the path of what is called `name` in a directory.
    fn path_of(&self, directory: usize, name: &str) -> Result<String> {
        let above = self.nodes[directory].file.path.trim_end_matches('/');
        if above.len() + name.len() >= MAX_PATH {
            let name: String = name.chars().take(120).collect();
            let message = format!("`{}` leads to a path that is too long", name.escape_debug());
            return Err(Error::check(message));
        }
        Ok(format!("{above}/{name}"))
    }

    /// Returns the directory at `path`; it and its parents are created if no layer has them.
    fn make_directory(
        &mut self,
        path: &str,
        child: &File,
        limit: &mut MemoryLimit,
    ) -> Result<usize> {
        let made = self.walk(path, &mut |tree, (directory_of, name), kind| {
            let path = tree.path_of(directory_of, name)?;
            if let Some(kind) = kind {
                let (below, path) = (child.path.escape_debug(), path.escape_debug());
                return Err(Error::check(format!(
                    "`{below}` is below `{path}`, which is a {kind}"
                )));
            }
            limit.take(path.len() + DIRECTORY_SIZE)?;
            let file = new_directory(path, child.mtime, child.layer);
            Ok(Some(tree.insert_node(directory_of, name, file, None)))
        })?;
        let way = made.unwrap_or_default();
        for &at in &way {
            self.nodes[at].touched = child.layer;
        }
        Ok(way.last().copied().unwrap_or(0))
    }

    /// Inserts a file into the tree; returns its number.
    fn insert_file(&mut self, file: &File, limit: &mut MemoryLimit) -> Result<usize> {
        if file.path == "/" {
            if file.kind != FileKind::Directory {
                return Err(Error::check(format!("its root is a {}", file.kind)));
            }
            *self.nodes[0].file = file.clone();
            self.has_root = true;
            return Ok(0);
        }
        let (directory, name) = split_path(&file.path);
        let directory = self.make_directory(directory, file, limit)?;
        let path = self.path_of(directory, name)?;
        let existing = self.nodes[directory].children.get(name).copied();
        if let (FileKind::HardLink, Some(target)) = (file.kind, &file.target) {
            // Engines remove what is there first, which may be the target, or hold it.
            self.nodes[directory].children.remove(name);
            let linked = self.link_target(file, target)?;
            let Node { file: content, number, .. } = &self.nodes[linked];
            let (number, content) = (*number, content.clone());
            let file = File { path, layer: file.layer, ..*content };
            self.insert_node(directory, name, file, Some(number));
            return Ok(number);
        }
        let file = File { path, ..file.clone() };
        Ok(match existing {
            // A directory keeps what is in it.
            Some(existing)
                if file.kind == FileKind::Directory
                    && self.nodes[existing].file.kind == FileKind::Directory =>
            {
                self.nodes[existing].touched = file.layer;
                *self.nodes[existing].file = file;
                self.nodes[existing].number
            }
            _ => self.insert_node(directory, name, file, None),
        })
    }

    /// Returns the file that a hard link is another name of.
    fn link_target(&mut self, file: &File, target: &str) -> Result<usize> {
        let (directory, name) = split_path(target);
        let directory = self.resolve_directory(directory)?;
        let found = directory.and_then(|at| self.nodes[at].children.get(name).copied());
        let reason = match found {
            Some(found) if self.nodes[found].file.kind != FileKind::Directory => {
                let added = privileges(file) & !privileges(&self.nodes[found].file);
                if added == 0 {
                    return Ok(found);
                }
                "without its setuid, setgid or capabilities: engines differ in what they set"
            }
            Some(_) => "a directory",
            None => "not there",
        };
        let (path, target) = (file.path.escape_debug(), target.escape_debug());
        Err(Error::check(format!("`{path}` is a hard link to `{target}`, which is {reason}")))
    }

    /// Inserts a new node into a directory, replacing any earlier one with all below it.
    fn insert_node(&mut self, at: usize, name: &str, file: File, number: Option<usize>) -> usize {
        let new = self.nodes.len();
        let number = number.unwrap_or(new);
        let touched = file.layer;
        let file = Box::new(file);
        self.nodes.push(Node { file, number, touched, children: BTreeMap::new() });
        self.nodes[at].children.insert(name.to_owned(), new);
        new
    }

    /// Returns the files, each directory before its contents. Of several names of one file, the first
    /// is a file and the others are hard links to it, whatever they were in their layers.
    pub fn into_files(self) -> Vec<File> {
        let others = self.nodes.iter().enumerate().filter(|(at, node)| node.number != *at);
        let mut first: HashMap<usize, Option<String>> =
            others.map(|(_, node)| (node.number, None)).collect();
        let mut nodes: Vec<Option<Node>> = self.nodes.into_iter().map(Some).collect();
        // Growing would need three times the memory for a moment.
        let mut files = Vec::with_capacity(nodes.len());
        let mut open = vec![0];
        while let Some(at) = open.pop() {
            let Some(Node { mut file, number, children, .. }) = nodes[at].take() else { continue };
            open.extend(children.into_values().rev());
            if at == 0 && !self.has_root {
                continue;
            }
            if let Some(first) = first.get_mut(&number) {
                match first {
                    Some(name) => {
                        file.kind = FileKind::HardLink;
                        file.target = Some(name.clone());
                    }
                    None => *first = Some(file.path.clone()),
                }
            }
            files.push(*file);
        }
        files
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Formats the tree: `d path`, `f path`, `l path target`, `h path target`, `w path`, `o path`.
    pub(crate) fn layer(number: usize, lines: &[&str]) -> Vec<File> {
        let file = |line: &&str| {
            let words: Vec<&str> = line.split(' ').collect();
            let kind = match words[0] {
                "d" => FileKind::Directory,
                "f" => FileKind::File,
                "l" => FileKind::Symlink,
                "h" => FileKind::HardLink,
                "w" => FileKind::Whiteout,
                _ => FileKind::OpaqueWhiteout,
            };
            File {
                path: words[1].to_owned(),
                kind,
                target: words.get(2).map(|&target| target.to_owned()),
                mode: Mode(0o755),
                uid: 0,
                gid: 0,
                size: 0,
                sha256: None,
                mtime: 0,
                device: None,
                xattrs: BTreeMap::new(),
                layer: number,
            }
        };
        lines.iter().map(file).collect()
    }

    fn merged(layers: &[&[&str]]) -> Result<Vec<String>> {
        let mut tree = Tree::default();
        let mut limit = MemoryLimit::default();
        for (at, lines) in layers.iter().enumerate() {
            for file in layer(at + 1, lines) {
                tree.add(&file, &mut limit)?;
            }
        }
        let word = |kind| match kind {
            FileKind::Directory => "d",
            FileKind::File => "f",
            FileKind::Symlink => "l",
            FileKind::HardLink => "h",
            other => panic!("{other}"),
        };
        let line = |file: &File| {
            let target = file.target.iter().map(|target| format!(" {target}")).collect::<String>();
            format!("{}{} {}{target}", file.layer, word(file.kind), file.path)
        };
        Ok(tree.into_files().iter().map(line).collect())
    }

    #[test]
    fn upper_layers_replace_and_remove_files() {
        let lower = ["d /a", "f /a/x", "f /a/y", "f /a-b", "d /c", "f /c/x", "d /e", "f /e/x"];
        let upper = ["w /a/x", "o /c", "f /c/z", "f /e", "d /a", "f /a/x/1"];
        assert_eq!(
            merged(&[&lower, &upper]).unwrap(),
            ["2d /a", "2d /a/x", "2f /a/x/1", "1f /a/y", "1f /a-b", "1d /c", "2f /c/z", "2f /e"]
        );
        // Wherever in its layer a whiteout is.
        let upper = ["f /a/x", "w /a/x", "f /c/z", "o /c", "w /none"];
        let paths = merged(&[&lower, &upper]).unwrap();
        assert!(paths.contains(&"2f /a/x".to_owned()) && paths.contains(&"2f /c/z".to_owned()));
        assert!(!paths.contains(&"1f /c/x".to_owned()), "{paths:?}");
        assert_eq!(merged(&[&["d /", "f /x"], &["o /", "f /y"]]).unwrap(), ["1d /", "2f /y"]);
    }

    #[test]
    fn a_directory_merges_with_lower_layers_and_a_file_replaces_them() {
        let lower = ["d /a", "f /a/x"];
        assert_eq!(merged(&[&lower, &["d /a"]]).unwrap(), ["2d /a", "1f /a/x"]);
        assert_eq!(merged(&[&lower, &["l /a b"]]).unwrap(), ["2l /a b"]);
        assert_eq!(merged(&[&lower, &["f /a"], &["d /a"]]).unwrap(), ["3d /a"]);
        let error = merged(&[&["f /a"], &["f /a/x"]]).unwrap_err();
        assert_eq!(error.to_string(), "`/a/x` is below `/a`, which is a file");
    }

    #[test]
    fn links_in_paths_are_followed_within_the_root() {
        let lower = ["d /usr", "d /usr/lib", "l /lib usr/lib", "l /up ../../usr", "f /usr/lib/x"];
        let upper = ["f /lib/y", "w /lib/x", "f /up/z"];
        let paths = merged(&[&lower, &upper]).unwrap();
        assert!(paths.contains(&"2f /usr/lib/y".to_owned()), "{paths:?}");
        assert!(paths.contains(&"2f /usr/z".to_owned()), "{paths:?}");
        assert!(!paths.contains(&"1f /usr/lib/x".to_owned()), "{paths:?}");
        let error = merged(&[&["l /a b", "l /b a", "f /a/x"]]).unwrap_err();
        assert_eq!(error.to_string(), "`/a` leads through too many links");
    }

    #[test]
    fn hard_links_are_independent_of_their_order() {
        let one = merged(&[&["f /b", "h /a /b"]]).unwrap();
        let other = merged(&[&["f /a", "h /b /a"]]).unwrap();
        assert_eq!(one, ["1f /a", "1h /b /a"]);
        assert_eq!(one, other);
        // The remaining one of two names is a file.
        assert_eq!(merged(&[&["f /a", "h /b /a"], &["w /a"]]).unwrap(), ["1f /b"]);
        for (target, reason) in [("/none", "not there"), ("/d", "a directory"), ("/a", "not there")]
        {
            let link = format!("h /a {target}");
            let error = merged(&[&["d /d", &link]]).unwrap_err();
            assert!(error.to_string().ends_with(reason), "{error}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut limit = MemoryLimit::new(3, 4000);
        let deep = layer(1, &["f /a/b/c/d/e"]);
        let error = Tree::default().add(&deep[0], &mut limit).unwrap_err();
        assert!(error.to_string().contains("more than"), "{error}");
    }
}
