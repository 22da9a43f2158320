//! Which positions of a range have moved: a bit for each.

use events::Position;

/// Which of the positions after `after` have moved. Bit `n` is that of position `after + 1 + n`, lowest bit of a byte first, as
/// Postgres' `get_bit` counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    after: u64,
    bits: Vec<u8>,
}

impl Moved {
    pub(crate) fn of(
        after: Position,
        through: Position,
        positions: impl Iterator<Item = Position>,
    ) -> Self {
        let length = usize::try_from((through.0 - after.0).div_ceil(8)).unwrap_or(usize::MAX);
        let mut bits = vec![0; length];
        for position in positions {
            let bit = position.0 - after.0 - 1;
            if let Some(byte) = byte_of(&mut bits, bit) {
                *byte |= 1 << (bit % 8);
            }
        }
        Self {
            after: after.0,
            bits,
        }
    }

    pub(crate) const fn stored(after: Position, bits: Vec<u8>) -> Self {
        Self {
            after: after.0,
            bits,
        }
    }

    pub(crate) fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// Those after one position up to another, in order.
    pub(crate) fn between(
        &self,
        after: Position,
        through: Position,
    ) -> impl Iterator<Item = Position> {
        let end = self.after + self.bits.len() as u64 * 8;
        let range = after.0.max(self.after) + 1..=through.0.min(end);
        range.filter(|it| self.has(*it)).map(Position)
    }

    fn has(&self, position: u64) -> bool {
        let bit = position - self.after - 1;
        let byte = usize::try_from(bit / 8)
            .ok()
            .and_then(|at| self.bits.get(at));
        byte.is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
    }
}

fn byte_of(bits: &mut [u8], bit: u64) -> Option<&mut u8> {
    bits.get_mut(usize::try_from(bit / 8).ok()?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_noted_is_found_again(after in 0..100_u64, picked in prop::collection::btree_set(1..200_u64, 1..60), from in 0..320_u64, length in 0..300_u64) {
            let through = after + picked.last().unwrap();
            let all: BTreeSet<u64> = picked.iter().map(|it| after + it).collect();
            let moved = Moved::of(Position(after), Position(through), all.iter().copied().map(Position));
            let read = Moved::stored(Position(after), moved.bits().to_vec());
            let found: Vec<u64> = read.between(Position(from), Position(from + length)).map(|it| it.0).collect();
            let expected: Vec<u64> = all.into_iter().filter(|it| *it > from && *it <= from + length).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
