//! The store contract, on the adapter: over the double with a log for each test, and over one log for all of them, which
//! is the cluster at `EVENTSTORE_URL` if that is set, and else a double whose positions are far apart.

mod support;

use std::sync::{Arc, OnceLock};

use events::personal::SubjectKeys;
use events::store::{EventStore, PayloadStore};
use store_eventstore::EventStoreDb;
use support::Payloads;
use testkit::contract::StoreUnderTest;
use testkit::eventstore::{Cut, Double};
use testkit::memory::MemoryStore;
use testkit::postgres::TestDatabase;
use tokio::runtime::Runtime;

/// What each subject has besides its log.
struct Subject {
    store: EventStoreDb,
    payloads: Arc<Payloads>,
    keys: MemoryStore,
}

impl Subject {
    async fn at(url: &str) -> Self {
        let payloads = Arc::<Payloads>::default();
        let connecting = support::connect_with(support::options(url), payloads.clone());
        let store = connecting.await.expect("the server answers");
        Self {
            store,
            payloads,
            keys: MemoryStore::default(),
        }
    }
}

/// Orders the next append to end after `streams` of its three. The adapter asks once more, so it is cut twice.
fn cut_after(double: &Double, streams: usize) {
    for _ in 0..streams.min(2) {
        double.faults().let_append_pass();
    }
    double.faults().cut_append(if streams < 3 {
        Cut::BeforeStored
    } else {
        Cut::AfterStored
    });
    double.faults().cut_append(Cut::BeforeStored);
}

macro_rules! parts {
    () => {
        fn store(&self) -> Arc<dyn EventStore> {
            Arc::new(self.subject.store.clone())
        }

        fn payloads(&self) -> Arc<dyn PayloadStore> {
            self.subject.payloads.clone()
        }

        fn keys(&self) -> Arc<dyn SubjectKeys> {
            Arc::new(self.subject.keys.clone())
        }

        fn is_transactional(&self) -> bool {
            false
        }
    };
}

mod over_memory {
    use super::*;

    struct OverMemory {
        double: Double,
        subject: Subject,
    }

    impl OverMemory {
        async fn set_up() -> Self {
            let (double, _) = support::double().await;
            let subject = Subject::at(&double.url()).await;
            Self { double, subject }
        }
    }

    impl StoreUnderTest for OverMemory {
        fn cut_after(&self, streams: usize) -> bool {
            cut_after(&self.double, streams);
            true
        }

        parts!();
    }

    testkit::store_contract!(OverMemory);
}

mod over_postgres {
    use super::*;

    struct OverPostgres {
        _database: TestDatabase,
        double: Double,
        subject: Subject,
    }

    impl OverPostgres {
        async fn set_up() -> Self {
            let database = TestDatabase::create().await;
            let double = Double::over(Arc::new(database.event_store().await)).await;
            let subject = Subject::at(&double.url()).await;
            Self {
                _database: database,
                double,
                subject,
            }
        }
    }

    impl StoreUnderTest for OverPostgres {
        fn cut_after(&self, streams: usize) -> bool {
            cut_after(&self.double, streams);
            true
        }

        parts!();
    }

    testkit::store_contract!(OverPostgres);
}

mod on_a_cluster {
    use super::*;

    struct OnACluster {
        subject: Subject,
    }

    /// The address of the one log.
    fn url() -> String {
        static DOUBLE: OnceLock<(Runtime, Double)> = OnceLock::new();
        let double = || {
            // It outlives the test that needs it first, so it does not run on that one's runtime.
            let runtime = Runtime::new().expect("a runtime can be made");
            let start = || runtime.block_on(Double::sparse(Arc::new(MemoryStore::default())));
            let double = std::thread::scope(|scope| scope.spawn(start).join());
            (runtime, double.expect("the double starts"))
        };
        let running = || DOUBLE.get_or_init(double).1.url();
        std::env::var("EVENTSTORE_URL").unwrap_or_else(|_| running())
    }

    impl OnACluster {
        async fn set_up() -> Self {
            Self {
                subject: Subject::at(&url()).await,
            }
        }
    }

    impl StoreUnderTest for OnACluster {
        fn knows_ids_everywhere(&self) -> bool {
            false
        }

        fn has_a_log_of_its_own(&self) -> bool {
            false
        }

        parts!();
    }

    testkit::store_contract!(OnACluster);
}
