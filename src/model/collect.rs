//! Collecting into ordered maps and sets, and sorting, in little code. The standard library's `collect` and
//! `sort_by` compile a complete sorting algorithm, 5 kB, for each iterator and each closure.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

/// Collects iterators into ordered maps and sets by insertion.
pub trait CollectOrdered: Iterator + Sized {
    /// Collects pairs of key and value. Of equal keys, the last one's value is used.
    fn collect_map<K: Ord, V>(self) -> BTreeMap<K, V>
    where
        Self: Iterator<Item = (K, V)>,
    {
        let mut map = BTreeMap::new();
        for (key, value) in self {
            map.insert(key, value);
        }
        map
    }

    /// Collects items into a set.
    fn collect_set(self) -> BTreeSet<Self::Item>
    where
        Self::Item: Ord,
    {
        let mut set = BTreeSet::new();
        for item in self {
            set.insert(item);
        }
        set
    }
}

impl<I: Iterator> CollectOrdered for I {}

/// Sorts slices with one copy of the algorithm for all types, which sorts positions.
pub trait SortStable<T> {
    /// Sorts in the order of the type. Equal items keep their order.
    fn sort_stable(&mut self)
    where
        T: Ord,
    {
        self.sort_stable_by(T::cmp);
    }

    /// Sorts by `compare`. Equal items keep their order.
    fn sort_stable_by(&mut self, compare: impl FnMut(&T, &T) -> Ordering);

    /// Sorts by the key of each item. Items with equal keys keep their order.
    fn sort_stable_by_key<K: Ord>(&mut self, key: impl FnMut(&T) -> K);
}

impl<T> SortStable<T> for [T] {
    fn sort_stable_by(&mut self, mut compare: impl FnMut(&T, &T) -> Ordering) {
        let mut order: Vec<usize> = (0..self.len()).collect();
        sort_positions(&mut order, &mut |one, other| compare(&self[one], &self[other]));
        // Each cycle of the permutation is followed once, with a swap at each step.
        for start in 0..order.len() {
            let mut at = start;
            while order[at] != start {
                let from = order[at];
                self.swap(at, from);
                order[at] = at;
                at = from;
            }
            order[at] = at;
        }
    }

    fn sort_stable_by_key<K: Ord>(&mut self, mut key: impl FnMut(&T) -> K) {
        self.sort_stable_by(|one, other| key(one).cmp(&key(other)));
    }
}

fn sort_positions(order: &mut [usize], compare: &mut dyn FnMut(usize, usize) -> Ordering) {
    order.sort_by(|one, other| compare(*one, *other));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_equal_keys_is_used() {
        let map = [(2, "b"), (1, "a"), (2, "c")].into_iter().collect_map();
        assert_eq!(map.into_iter().collect::<Vec<_>>(), [(1, "a"), (2, "c")]);
        let set = [3, 1, 3].into_iter().collect_set();
        assert_eq!(set.into_iter().collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn equal_items_keep_their_order() {
        // Every order of up to six items with keys that repeat.
        for length in 0..=6_u32 {
            for code in 0..4_usize.pow(length) {
                let digit = |at: u32| code / 4_usize.pow(at) % 4;
                let mut items: Vec<(usize, u32)> = (0..length).map(|at| (digit(at), at)).collect();
                let mut expected = items.clone();
                expected.sort_by_key(|item| item.0);
                items.sort_stable_by_key(|item| item.0);
                assert_eq!(items, expected);
            }
        }
    }
}
