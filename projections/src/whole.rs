//! Read models that a rebuild keeps in memory until the whole log is folded, and then copies into empty tables.

use events::codec::Fact;
use subscription::{CopyIn, InMemory, Unfit};

use crate::read_model::ReadModel;

/// A read model whose rows can be kept in memory.
pub(crate) trait Whole: ReadModel {
    /// All rows.
    type Rows: Default + Send + 'static;

    /// Does to the rows what [`ReadModel::fold`] and [`ReadModel::write`] do to the tables.
    fn keep(rows: &mut Self::Rows, facts: &[&Fact]) -> Result<(), Unfit>;

    /// How many rows there are.
    fn count(rows: &Self::Rows) -> usize;

    /// The rows on their way into the tables.
    fn copies(rows: Self::Rows) -> Vec<CopyIn>;
}

/// What [`ReadModel::in_memory`] gives for a model that is [`Whole`].
pub(crate) fn in_memory<M: Whole>() -> Box<dyn InMemory> {
    Box::new(Kept::<M>(M::Rows::default()))
}

struct Kept<M: Whole>(M::Rows);

impl<M: Whole> InMemory for Kept<M> {
    fn fold(&mut self, facts: &[&Fact]) -> Result<(), Unfit> {
        M::keep(&mut self.0, facts)
    }

    fn rows(&self) -> usize {
        M::count(&self.0)
    }

    fn copies(self: Box<Self>) -> Vec<CopyIn> {
        M::copies(self.0)
    }
}
