//! The in-memory twin of the store, the payload store and the subject keys.
