//! A database for each test, on one private cluster a checkout.
//!
//! ```no_run
//! # async fn example() {
//! let database = testkit::postgres::TestDatabase::create().await;
//! sqlx::query("SELECT 1").execute(&database.pool).await.unwrap();
//! # }
//! ```

mod shared;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgPool};
use store_postgres::{Options, PgEventStore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::environment::FrozenClock;
use shared::{drop_statement, shared};

/// How many connections a test's pool opens at the most.
const POOL: u32 = 20;

/// A migrated database of its own, dropped with the value.
pub struct TestDatabase {
    /// To this database.
    pub pool: PgPool,
    name: String,
    admin: PgConnectOptions,
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

impl TestDatabase {
    /// Makes one.
    pub async fn create() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let shared = shared().await;
        let name = format!(
            "test_{}_{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let create = format!("CREATE DATABASE {name} TEMPLATE {}", shared.template);
        execute(&shared.connect, &create)
            .await
            .expect("the template can be copied");
        let pool = PgPoolOptions::new()
            .max_connections(POOL)
            .connect_with(shared.connect.clone().database(&name))
            .await
            .expect("the new database takes connections");
        Self {
            pool,
            name,
            admin: shared.connect.clone(),
            tracker: TaskTracker::new(),
            shutdown: CancellationToken::new(),
        }
    }

    /// The address of the database, for programs that open connections of their own.
    pub fn url(&self) -> String {
        let url = self.connect_options().to_url_lossy();
        // What follows are settings of our own client.
        url.as_str()
            .split('?')
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    /// How to connect to the database.
    pub fn connect_options(&self) -> PgConnectOptions {
        self.admin.clone().database(&self.name)
    }

    /// An event store on the database, with a frozen clock. Each call is a node of its own.
    pub async fn event_store(&self) -> PgEventStore {
        self.event_store_with(Options::new(self.pool.clone())).await
    }

    /// An event store on the database, with a frozen clock, as `options` say.
    pub async fn event_store_with(&self, options: Options) -> PgEventStore {
        let clock = Arc::new(FrozenClock::default());
        PgEventStore::start(options, clock, &self.tracker, self.shutdown.clone())
            .await
            .expect("a migrated database holds a log")
    }

    /// Stops the event stores of this database and waits until they have flushed.
    pub async fn stop_stores(&self) {
        self.shutdown.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.shutdown.cancel();
        // The test's own runtime is ending, or waits for us. Should it hold a connection half open, Postgres would wait
        // for that one: then the next test process drops the database.
        let sql = format!(
            "SET statement_timeout = '1s'; {}",
            drop_statement(&self.name)
        );
        let admin = self.admin.clone();
        let dropping = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime
                .block_on(execute(&admin, &sql))
                .map_err(std::io::Error::other)
        };
        let outcome = std::thread::scope(|scope| scope.spawn(dropping).join());
        if !matches!(outcome, Ok(Ok(()))) {
            eprintln!(
                "could not drop {} ({outcome:?}); the next test process will",
                self.name
            );
        }
    }
}

/// `;`-separated statements are one transaction to Postgres, which `DROP DATABASE` refuses; so one after the other.
async fn execute(connect: &PgConnectOptions, statements: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(connect).await?;
    for statement in statements.split("; ") {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await?;
    }
    connection.close().await
}
