//! The store contract suite: what every `EventStore` promises, as tests that any of them can run.
