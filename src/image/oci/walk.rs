//! A walk through an index, the indexes in it, and their manifests.

use super::Descriptor;
use crate::model::error::{Error, Result};

/// The most indexes around a manifest. Real images have two.
pub const DEPTH: usize = 8;

/// The most manifests and indexes in one image.
pub const MAX_MANIFESTS: usize = 1024;

/// A walk through descriptors in their order. The caller reads the indexes and adds their contents
/// ([`Walk::descend`]).
#[derive(Debug)]
pub struct Walk {
    /// The descriptors of the first level that are still to be visited.
    top: std::vec::IntoIter<Descriptor>,
    /// The indexes around the current descriptor, from the outermost to the innermost.
    levels: Vec<Level>,
    /// The number of descriptors in all indexes.
    listed: usize,
}

#[derive(Debug)]
struct Level {
    index: Descriptor,
    rest: std::vec::IntoIter<Descriptor>,
}

/// A step of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WalkStep {
    /// A descriptor.
    Visit(Descriptor),
    /// An index after all of its content was visited.
    Leave(Descriptor),
}

impl Walk {
    /// Returns a walk through `descriptors`: those of an `index.json`, or the one that a tag names.
    pub fn new(descriptors: Vec<Descriptor>) -> Self {
        Walk { top: descriptors.into_iter(), levels: Vec::new(), listed: 0 }
    }

    /// Visits what is in `index` next.
    ///
    /// # Errors
    /// It is nested too deep, or in itself, or there are too many manifests.
    pub fn descend(&mut self, index: Descriptor, manifests: Vec<Descriptor>) -> Result<()> {
        if self.levels.iter().any(|level| level.index.digest == index.digest) {
            return Err(Error::check("it is an index that contains itself"));
        }
        if self.levels.len() == DEPTH {
            return Err(Error::check(format!("it is nested in {DEPTH} indexes, expected fewer")));
        }
        self.listed = self.listed.saturating_add(manifests.len());
        if self.listed > MAX_MANIFESTS {
            return Err(Error::check(format!("it has more than {MAX_MANIFESTS} manifests")));
        }
        self.levels.push(Level { index, rest: manifests.into_iter() });
        Ok(())
    }

    /// Returns the indexes around the descriptor of the last step, from the outermost to the innermost.
    pub fn enclosing(&self) -> impl DoubleEndedIterator<Item = &Descriptor> + ExactSizeIterator {
        self.levels.iter().map(|level| &level.index)
    }
}

impl Iterator for Walk {
    type Item = WalkStep;

    fn next(&mut self) -> Option<WalkStep> {
        let Some(level) = self.levels.last_mut() else {
            return self.top.next().map(WalkStep::Visit);
        };
        if let Some(next) = level.rest.next() {
            return Some(WalkStep::Visit(next));
        }
        self.levels.pop().map(|level| WalkStep::Leave(level.index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{image::oci::MediaType, model::digest::Digest};

    fn index(name: &str) -> Descriptor {
        Descriptor::new(MediaType::Index, Digest::sha256(name.as_bytes()), 1)
    }

    #[test]
    fn contents_of_an_index_precede_later_entries() {
        let [a, b, c] = ["a", "b", "c"].map(index);
        let mut walk = Walk::new(vec![a.clone(), c.clone()]);
        assert_eq!(walk.next(), Some(WalkStep::Visit(a.clone())));
        walk.descend(a.clone(), vec![b.clone()]).unwrap();
        assert_eq!(walk.next(), Some(WalkStep::Visit(b)));
        assert_eq!(walk.enclosing().collect::<Vec<_>>(), [&a]);
        let rest: Vec<WalkStep> = walk.collect();
        assert_eq!(rest, [WalkStep::Leave(a), WalkStep::Visit(c)]);
    }

    #[test]
    fn indexes_that_are_too_deep_or_in_themselves_are_rejected() {
        let mut walk = Walk::new(vec![index("0")]);
        for depth in 0..DEPTH {
            let next = index(&(depth + 1).to_string());
            walk.descend(index(&depth.to_string()), vec![next]).unwrap();
            walk.next();
        }
        let error = walk.descend(index("8"), Vec::new()).unwrap_err().to_string();
        assert_eq!(error, "it is nested in 8 indexes, expected fewer");
        let error = walk.descend(index("3"), Vec::new()).unwrap_err().to_string();
        assert_eq!(error, "it is an index that contains itself");
    }

    #[test]
    fn too_many_manifests_are_rejected() {
        let mut walk = Walk::new(vec![index("a")]);
        walk.descend(index("a"), vec![index("b"); MAX_MANIFESTS]).unwrap();
        let error = walk.descend(index("b"), vec![index("c")]).unwrap_err().to_string();
        assert_eq!(error, "it has more than 1024 manifests");
    }
}
