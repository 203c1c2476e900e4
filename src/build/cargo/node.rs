//! Values of cargo's configuration, each with its origin.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::model::collect::CollectOrdered as _;

/// The source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, or `--config`.
    pub file: Utf8PathBuf,
    /// The directory where relative paths start
    /// (<https://doc.rust-lang.org/cargo/reference/config.html#config-relative-paths>).
    dir: Utf8PathBuf,
}

impl Origin {
    /// Returns the origin of values in `file`: relative paths start at the directory above that of the file.
    pub fn file(file: &Utf8Path) -> Self {
        let dir = file.parent().and_then(Utf8Path::parent).unwrap_or(file);
        Origin { file: file.to_owned(), dir: dir.to_owned() }
    }

    /// Returns the origin of `--config KEY=VALUE` in the directory `dir`.
    pub fn argument(dir: &Utf8Path) -> Self {
        Origin { file: "--config".into(), dir: dir.to_owned() }
    }
}

/// A value that is neither a table nor a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// The value.
    pub value: toml::Value,
    /// Its source.
    pub origin: Origin,
}

impl Scalar {
    /// Returns the value as text.
    pub fn text(&self) -> String {
        match &self.value {
            toml::Value::String(text) => text.clone(),
            value => value.to_string(),
        }
    }

    /// Returns the path that the value is.
    pub fn path(&self) -> Utf8PathBuf {
        self.origin.dir.join(self.text())
    }

    /// Returns the program that the value is: a name alone is looked up on `PATH`.
    pub fn program(&self) -> String {
        let text = self.text();
        if text.contains('/') { self.path().into_string() } else { text }
    }
}

/// A part of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A table.
    Table(BTreeMap<String, Node>),
    /// A list.
    List(Vec<Scalar>),
    /// Any other value.
    Scalar(Scalar),
}

impl Node {
    /// Returns an empty configuration.
    pub fn empty() -> Self {
        Node::Table(BTreeMap::new())
    }

    /// Returns the configuration that is set at `origin`.
    pub fn new(value: toml::Value, origin: &Origin) -> Self {
        let scalar = |value| Scalar { value, origin: origin.clone() };
        match value {
            toml::Value::Table(table) => {
                let nodes = table.into_iter().map(|(key, value)| (key, Node::new(value, origin)));
                Node::Table(nodes.collect_map())
            }
            toml::Value::Array(list) => Node::List(list.into_iter().map(scalar).collect()),
            value => Node::Scalar(scalar(value)),
        }
    }

    /// Returns the value without its files.
    pub fn value(&self) -> toml::Value {
        match self {
            Node::Table(table) => {
                let pairs = table.iter().map(|(key, node)| (key.clone(), node.value()));
                toml::Value::Table(pairs.collect())
            }
            Node::List(list) => {
                toml::Value::Array(list.iter().map(|scalar| scalar.value.clone()).collect())
            }
            Node::Scalar(scalar) => scalar.value.clone(),
        }
    }

    /// Returns the file of the value: of the last one of a list, and of the first one in a table.
    pub fn file(&self) -> Option<&Utf8Path> {
        match self {
            Node::Table(table) => table.values().find_map(Node::file),
            Node::List(list) => list.last().map(|scalar| scalar.origin.file.as_path()),
            Node::Scalar(scalar) => Some(&scalar.origin.file),
        }
    }

    /// Merges `other` into this. Tables are merged key by key; lists are joined, those of the file with
    /// precedence last. `wins` is whether `other` has precedence.
    pub fn merge(&mut self, other: Node, wins: bool) {
        match (self, other) {
            (Node::Table(table), Node::Table(other)) => {
                for (key, node) in other {
                    if let Some(known) = table.get_mut(&key) {
                        known.merge(node, wins);
                    } else {
                        table.insert(key, node);
                    }
                }
            }
            (Node::List(list), Node::List(mut other)) => {
                if !wins {
                    std::mem::swap(list, &mut other);
                }
                list.append(&mut other);
            }
            (node, other) if wins => *node = other,
            _ => {}
        }
    }

    /// Returns what is below `path`.
    pub fn get(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| match node {
            Node::Table(table) => table.get(*key),
            _ => None,
        })
    }

    /// Returns the entries of a table; other values have none.
    pub fn entries(&self) -> impl Iterator<Item = (&String, &Node)> {
        let table = if let Node::Table(table) = self { Some(table) } else { None };
        table.into_iter().flatten()
    }
}
