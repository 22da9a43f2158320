//! The store contract, on Postgres.

use std::sync::Arc;

use events::personal::SubjectKeys;
use events::store::{EventStore, PayloadStore};
use store_postgres::{
    MAX_APPEND_BYTES, MAX_APPEND_EVENTS, PgEventStore, PgPayloadStore, PgSubjectKeys,
};
use testkit::contract::StoreUnderTest;
use testkit::environment::SeededEntropy;
use testkit::postgres::TestDatabase;

struct OnPostgres {
    database: TestDatabase,
    store: PgEventStore,
}

impl OnPostgres {
    async fn set_up() -> Self {
        let database = TestDatabase::create().await;
        let store = database.event_store().await;
        Self { database, store }
    }
}

impl StoreUnderTest for OnPostgres {
    fn store(&self) -> Arc<dyn EventStore> {
        Arc::new(self.store.clone())
    }

    fn payloads(&self) -> Arc<dyn PayloadStore> {
        Arc::new(PgPayloadStore::new(self.database.pool.clone()))
    }

    fn keys(&self) -> Arc<dyn SubjectKeys> {
        let entropy = Arc::new(SeededEntropy::default());
        Arc::new(PgSubjectKeys::new(self.database.pool.clone(), entropy))
    }

    fn limits(&self) -> Option<(usize, usize)> {
        Some((MAX_APPEND_EVENTS, MAX_APPEND_BYTES))
    }
}

testkit::store_contract!(OnPostgres);
