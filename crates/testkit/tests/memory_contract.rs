//! The store contract, on the in-memory twin.

use std::sync::Arc;

use events::personal::SubjectKeys;
use events::store::{EventStore, PayloadStore};
use testkit::contract::StoreUnderTest;
use testkit::memory::MemoryStore;

struct InMemory(MemoryStore);

impl InMemory {
    fn set_up() -> impl Future<Output = Self> {
        std::future::ready(Self(MemoryStore::default()))
    }
}

impl StoreUnderTest for InMemory {
    fn store(&self) -> Arc<dyn EventStore> {
        Arc::new(self.0.clone())
    }

    fn payloads(&self) -> Arc<dyn PayloadStore> {
        Arc::new(self.0.clone())
    }

    fn keys(&self) -> Arc<dyn SubjectKeys> {
        Arc::new(self.0.clone())
    }

    fn cut_after(&self, streams: usize) -> bool {
        self.0.cut_after(streams);
        true
    }
}

testkit::store_contract!(InMemory);
