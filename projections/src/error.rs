//! Why a question got no answer.

use std::error::Error;

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// Postgres cannot be reached, or refused. Asking again may help.
    #[error("the read models are unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// A row holds what no projection writes: somebody changed it by hand. `replay rebuild` makes it right.
    #[error("a row of {table} holds an impossible value: {source}; rebuild the read model")]
    Damaged {
        /// The table.
        table: &'static str,
        /// What is wrong. Never repeats a personal value.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl From<sqlx::Error> for QueryError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl QueryError {
    /// For `map_err` on what is read from the rows of `table`.
    pub(crate) fn damaged<E: Into<Box<dyn Error + Send + Sync>>>(
        table: &'static str,
    ) -> impl Fn(E) -> Self {
        move |source| Self::Damaged {
            table,
            source: source.into(),
        }
    }
}
