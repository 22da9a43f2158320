//! Rows in the making: what a stretch of the log does to entities that have one row each.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::RangeBounds;

/// Something with one row, which events create, change and remove.
pub(crate) trait Entity: Sized {
    /// What the row is found by.
    type Key: Copy + Ord;
    /// A change to a row that is there. To a row that is not there it does nothing.
    type Patch;

    /// The row's key.
    fn key(&self) -> Self::Key;

    /// Changes the row; tells whether it stays.
    fn patch(&mut self, patch: Self::Patch) -> bool;
}

/// Where events put, change and remove rows: drafts of what has to be written, or all rows in memory.
pub(crate) trait Rows<E: Entity> {
    /// The row is this one from now on.
    fn put(&mut self, row: E);

    /// The row is gone.
    fn remove(&mut self, key: E::Key);

    /// The row changes, if there is one.
    fn patch(&mut self, key: E::Key, patch: E::Patch);
}

impl<E: Entity> Rows<E> for BTreeMap<E::Key, E> {
    fn put(&mut self, row: E) {
        self.insert(row.key(), row);
    }

    fn remove(&mut self, key: E::Key) {
        Self::remove(self, &key);
    }

    fn patch(&mut self, key: E::Key, patch: E::Patch) {
        if let Entry::Occupied(mut row) = self.entry(key)
            && !row.get_mut().patch(patch)
        {
            row.remove();
        }
    }
}

/// A row after some changes; `None` if it has gone meanwhile.
fn patched<E: Entity>(mut row: E, patches: impl IntoIterator<Item = E::Patch>) -> Option<E> {
    patches
        .into_iter()
        .all(|patch| row.patch(patch))
        .then_some(row)
}

/// What a stretch of the log makes of one row.
enum Draft<E: Entity> {
    /// The whole row is known from the log alone; what stood in the table does not matter.
    Known(Option<E>),
    /// These changes, in order, to whatever stands in the table.
    Patched(Vec<E::Patch>),
}

/// What a stretch of the log makes of many rows.
pub(crate) struct Drafts<E: Entity>(BTreeMap<E::Key, Draft<E>>);

impl<E: Entity> Default for Drafts<E> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<E: Entity> Rows<E> for Drafts<E> {
    fn put(&mut self, row: E) {
        self.0.insert(row.key(), Draft::Known(Some(row)));
    }

    fn remove(&mut self, key: E::Key) {
        self.0.insert(key, Draft::Known(None));
    }

    fn patch(&mut self, key: E::Key, patch: E::Patch) {
        match self
            .0
            .entry(key)
            .or_insert_with(|| Draft::Patched(Vec::new()))
        {
            Draft::Known(row) => {
                if row.as_mut().is_some_and(|row| !row.patch(patch)) {
                    *row = None;
                }
            }
            Draft::Patched(patches) => patches.push(patch),
        }
    }
}

impl<E: Entity> Drafts<E> {
    /// Changes the rows in a range of keys that have a draft. The others are changed in the table, before anything is
    /// loaded from there.
    pub(crate) fn patch_drafted(
        &mut self,
        keys: impl RangeBounds<E::Key>,
        patch: impl Fn() -> E::Patch,
    ) {
        let drafted: Vec<_> = self.0.range(keys).map(|(key, _)| *key).collect();
        for key in drafted {
            self.patch(key, patch());
        }
    }

    /// Forgets the drafts in a range of keys: their rows are deleted before anything is loaded or stored.
    pub(crate) fn forget(&mut self, keys: impl RangeBounds<E::Key>) {
        self.0.extract_if(keys, |_, _| true).for_each(drop);
    }

    /// Removes the wholly known rows that `doomed` picks. Those that are not known here are deleted in the table, before
    /// anything is loaded from there.
    pub(crate) fn remove_known(&mut self, doomed: impl Fn(&E) -> bool) {
        for draft in self.0.values_mut() {
            if matches!(draft, Draft::Known(Some(row)) if doomed(row)) {
                *draft = Draft::Known(None);
            }
        }
    }

    /// The keys of rows that have to be loaded before [`Self::settle`].
    pub(crate) fn wanting(&self) -> Vec<E::Key> {
        let wanting = self
            .0
            .iter()
            .filter(|(_, draft)| matches!(draft, Draft::Patched(_)));
        wanting.map(|(key, _)| *key).collect()
    }

    /// The rows to store and the keys of rows to delete, given the rows that were asked for by [`Self::wanting`].
    pub(crate) fn settle(self, loaded: Vec<E>) -> Settled<E> {
        self.settle_or(loaded, |_| None)
    }

    /// Like [`Self::settle`]; changes to a row that is not there change what `absent` makes for its key.
    pub(crate) fn settle_or(
        self,
        loaded: Vec<E>,
        absent: impl Fn(E::Key) -> Option<E>,
    ) -> Settled<E> {
        let mut loaded: BTreeMap<_, _> = loaded.into_iter().map(|row| (row.key(), row)).collect();
        let mut settled = Settled {
            stored: Vec::new(),
            deleted: Vec::new(),
        };
        for (key, draft) in self.0 {
            let row = match draft {
                Draft::Known(row) => row,
                Draft::Patched(patches) => {
                    let Some(row) = loaded.remove(&key).or_else(|| absent(key)) else {
                        continue;
                    };
                    patched(row, patches)
                }
            };
            match row {
                Some(row) => settled.stored.push(row),
                None => settled.deleted.push(key),
            }
        }
        settled
    }
}

/// What has to be written.
pub(crate) struct Settled<E: Entity> {
    /// Rows to insert or to replace.
    pub(crate) stored: Vec<E>,
    /// Rows to delete, if they are there.
    pub(crate) deleted: Vec<E::Key>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[derive(Debug, PartialEq)]
    struct Counter(u8, u32);

    impl Entity for Counter {
        type Key = u8;
        type Patch = i32;

        fn key(&self) -> u8 {
            self.0
        }

        fn patch(&mut self, by: i32) -> bool {
            let sum = self.1.checked_add_signed(by);
            self.1 = sum.unwrap_or_default();
            sum.is_some()
        }
    }

    proptest! {
        #[test]
        fn drafts_written_stretch_by_stretch_and_rows_in_memory_come_to_the_same(
            stretches in vec(vec((0..3_u8, 0..4_u8, -4..4_i32), 0..8), 0..8),
        ) {
            let (mut table, mut kept) = (BTreeMap::new(), BTreeMap::new());
            for stretch in stretches {
                let mut drafts = Drafts::default();
                for (what, key, by) in stretch {
                    happen(&mut drafts, what, key, by);
                    happen(&mut kept, what, key, by);
                }
                let wanting = drafts.wanting();
                let loaded = wanting.iter().filter_map(|key| BTreeMap::remove(&mut table, key));
                let settled = drafts.settle(loaded.collect());
                for key in settled.deleted {
                    Rows::remove(&mut table, key);
                }
                for row in settled.stored {
                    table.put(row);
                }
            }
            prop_assert_eq!(table, kept);
        }
    }

    fn happen(rows: &mut impl Rows<Counter>, what: u8, key: u8, by: i32) {
        match what {
            0 => rows.put(Counter(key, by.unsigned_abs())),
            1 => rows.remove(key),
            _ => rows.patch(key, by),
        }
    }

    #[test]
    fn only_rows_of_unknown_content_are_loaded() {
        let mut drafts = Drafts::default();
        drafts.put(Counter(1, 5));
        drafts.patch(1, 2);
        drafts.patch(2, 3);
        drafts.remove(3);
        drafts.patch(3, 1);
        drafts.patch(4, 1);
        assert_eq!(drafts.wanting(), [2, 4]);
        let settled = drafts.settle(vec![Counter(2, 10)]);
        assert_eq!(settled.stored, [Counter(1, 7), Counter(2, 13)]);
        assert_eq!(settled.deleted, [3]);
    }

    #[test]
    fn a_patch_can_end_a_row_and_nothing_patches_it_again() {
        let mut drafts = Drafts::default();
        drafts.patch(1, -9);
        drafts.patch(1, 50);
        let settled = drafts.settle(vec![Counter(1, 3)]);
        assert!(settled.stored.is_empty());
        assert_eq!(settled.deleted, [1]);
    }

    #[test]
    fn forgotten_drafts_leave_no_trace() {
        let mut drafts = Drafts::default();
        drafts.put(Counter(1, 5));
        drafts.put(Counter(2, 5));
        drafts.patch(3, 1);
        drafts.forget(2..);
        assert!(drafts.wanting().is_empty());
        let settled = drafts.settle(Vec::new());
        assert_eq!(settled.stored, [Counter(1, 5)]);
        assert!(settled.deleted.is_empty());
    }

    #[test]
    fn a_row_that_is_removed_by_its_content_is_not_loaded_again() {
        let mut drafts = Drafts::default();
        drafts.put(Counter(1, 5));
        drafts.put(Counter(2, 6));
        drafts.remove_known(|row| row.1 == 5);
        drafts.patch(1, 1);
        assert!(drafts.wanting().is_empty());
        let settled = drafts.settle(Vec::new());
        assert_eq!(settled.stored, [Counter(2, 6)]);
        assert_eq!(settled.deleted, [1]);
    }
}
