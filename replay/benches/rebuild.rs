//! How fast read models are rebuilt, beside what Postgres alone can do: `cargo bench -p replay --bench rebuild [-- EVENTS [MODEL…]]`.
//!
//! Two logs: one of what concerns entities (accounts that change their attributes), one of single events (messages, one in
//! ten of which is acknowledged). Each model is rebuilt from one of them, in turn with the ceiling: the same log through
//! `COPY` out to nowhere, not decoded, while the finished rows go through `COPY` into a table, and the same indexes after
//! that. Nothing that reads all of this log and fills this table can be faster. (A rebuild need not fetch kinds of events
//! that its model does not fold: of the accounts' log two fifths.)

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot be made has failed"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use events::codec::SCHEMA_VERSION;
use events::personal::{Subject, SubjectKeys as _};
use events::store::StreamWrite;
use events::{
    Actor, AnyEvent, Append, EventId, EventStore as _, Expected, Metadata, NewEvent, RequestId,
    StreamId, Timestamp,
};
use futures::{StreamExt as _, TryStreamExt as _};
use projections::Model;
use replay::Environment;
use replay::rebuild::{Limits, rebuild, rebuild_all};
use sqlx::postgres::PgPoolCopyExt as _;
use sqlx::{AssertSqlSafe, PgPool};
use store_postgres::{PgEventStore, PgSubjectKeys};
use testkit::environment::{FrozenClock, SeededEntropy};
use testkit::history::samples::{self, Address};
use testkit::postgres::TestDatabase;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What the server runs with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DEFAULT: u32 = 1_000_000;
const ROUNDS: usize = 3;
const APPENDED_AT_ONCE: usize = 200;
const APPENDS_AT_ONCE: usize = 16;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut numbers = arguments.iter().filter_map(|it| it.parse().ok());
    let events: u32 = numbers.next().unwrap_or(DEFAULT);
    // Cargo adds a `--bench`.
    let models = arguments
        .iter()
        .filter(|it| !it.starts_with('-') && it.parse::<u32>().is_err());
    let named: Vec<Model> = models.map(|it| it.parse().unwrap()).collect();
    let wanted = |model: &Model| named.is_empty() || named.contains(model);
    println!(
        "{:<18} {:>9} {:>9} {:>14} {:>14} {:>7}",
        "model", "events", "rows", "rebuilt /s", "ceiling /s", "ratio"
    );
    let of_entities: Vec<Model> = [Model::Accounts, Model::Devices]
        .into_iter()
        .filter(wanted)
        .collect();
    if !of_entities.is_empty() {
        let log = Log::of(entities(events)).await;
        for model in of_entities {
            log.measure(model).await;
        }
        if named.is_empty() {
            log.together(&[Model::Accounts, Model::Devices, Model::AccountActivity])
                .await;
        }
    }
    if wanted(&Model::Inbox) {
        Log::of(messages(events)).await.measure(Model::Inbox).await;
    }
}

type Event = (StreamId, AnyEvent);

/// A tenth are registrations; the others change accounts, one after the other.
fn entities(events: u32) -> impl Iterator<Item = Event> {
    let accounts = events / 10;
    (0..events).map(move |n| {
        let account = n % accounts;
        let event = match n / accounts {
            0 => samples::registered(account, 1),
            round if round % 2 == 1 => samples::attributes(1, n),
            _ => samples::seen(1),
        };
        (StreamId::account(samples::aci(account)), event.into())
    })
}

/// Of ten, nine are messages, and one acknowledges one.
fn messages(events: u32) -> impl Iterator<Item = Event> {
    (0..events).map(|n| {
        let to = Address(n / 10 % 10_000, 1, 1);
        let event = if n % 10 == 9 {
            samples::delivered(&[n - 9])
        } else {
            samples::message(to, n, b"hello").0
        };
        (StreamId::mailbox(to.into()), event.into())
    })
}

struct Log {
    database: TestDatabase,
    environment: Environment,
    events: u32,
}

impl Log {
    async fn of(history: impl Iterator<Item = Event>) -> Self {
        let database = TestDatabase::create().await;
        let entropy = Arc::new(SeededEntropy::default());
        let writer = Writer {
            store: database.event_store().await,
            keys: PgSubjectKeys::new(database.pool.clone(), entropy.clone()),
            entropy: entropy.clone(),
        };
        let events = writer.fill(history).await;
        // As the database does by itself, sooner or later.
        sqlx::raw_sql("VACUUM ANALYZE")
            .execute(&database.pool)
            .await
            .unwrap();
        let environment = Environment {
            store: Arc::new(database.event_store().await),
            keys: Arc::new(PgSubjectKeys::new(database.pool.clone(), entropy.clone())),
            database: database.pool.clone(),
            clock: Arc::new(FrozenClock::default()),
            entropy,
            operator: "bench".into(),
            shutdown: CancellationToken::new(),
        };
        Self {
            database,
            environment,
            events,
        }
    }

    /// Rebuilds a model, in turn with its ceiling, and prints the medians.
    async fn measure(&self, model: Model) {
        let table = model.projection().tables()[0];
        let (mut rebuilds, mut ceilings) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            rebuilds.push(rebuild(&self.environment, model).await.unwrap().took);
            ceilings.push(ceiling(&self.database.pool, table).await);
        }
        let count = AssertSqlSafe(format!("SELECT count(*) FROM read_models.{table}"));
        let rows: i64 = sqlx::query_scalar(count)
            .fetch_one(&self.database.pool)
            .await
            .unwrap();
        let rate = |took: Duration| f64::from(self.events) / took.as_secs_f64();
        let (rebuilt, ceiling) = (rate(median(rebuilds)), rate(median(ceilings)));
        println!(
            "{:<18} {:>9} {rows:>9} {rebuilt:>14.0} {ceiling:>14.0} {:>7.2}",
            model.name(),
            self.events,
            rebuilt / ceiling
        );
    }

    /// Several models from one pass.
    async fn together(&self, models: &[Model]) {
        let begun = Instant::now();
        let outcomes = rebuild_all(&self.environment, models, Limits::default())
            .await
            .unwrap();
        assert!(outcomes.iter().all(Result::is_ok));
        let rate = f64::from(self.events) / begun.elapsed().as_secs_f64();
        let names: Vec<_> = models.iter().map(|model| model.name()).collect();
        println!("{} from one pass: {rate:.0} events/s", names.join(", "));
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// How long Postgres takes to give the whole log, and to take the rows of a table and index them.
async fn ceiling(pool: &PgPool, table: &str) -> Duration {
    // What a rebuild asks of its connections.
    let options = (*pool.connect_options()).clone().options([
        ("synchronous_commit", "off"),
        ("maintenance_work_mem", "256MB"),
    ]);
    let pool = &PgPool::connect_with(options).await.unwrap();
    let execute = async |sql: String| {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(pool)
            .await
            .unwrap();
    };
    execute("DROP SCHEMA IF EXISTS ceiling CASCADE; CREATE SCHEMA ceiling".to_owned()).await;
    let like = format!(
        "CREATE TABLE ceiling.{table} (LIKE read_models.{table} INCLUDING ALL EXCLUDING INDEXES)"
    );
    execute(like).await;
    let indexes: Vec<String> = sqlx::query_scalar(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'read_models' AND tablename = $1",
    )
    .bind(table)
    .fetch_all(pool)
    .await
    .unwrap();
    let out = format!("COPY read_models.{table} TO STDOUT (FORMAT binary)");
    let rows: Vec<Bytes> = pool
        .copy_out_raw(&out)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let chunks: Vec<Vec<u8>> = rows.chunks(200).map(<[Bytes]>::concat).collect();
    let begun = Instant::now();
    let reading = async {
        let log = "COPY (SELECT position, revision, recorded_at, event_id, family, type, stream, data, metadata
                         FROM log.events ORDER BY position) TO STDOUT (FORMAT binary)";
        let mut rows = pool.copy_out_raw(log).await.unwrap();
        while let Some(row) = rows.next().await {
            std::hint::black_box(row.unwrap());
        }
    };
    let writing = async {
        let into = format!("COPY ceiling.{table} FROM STDIN (FORMAT binary)");
        let mut copy = pool.copy_in_raw(&into).await.unwrap();
        for chunk in chunks {
            copy.send(chunk).await.unwrap();
        }
        copy.finish().await.unwrap();
    };
    tokio::join!(reading, writing);
    for index in indexes {
        execute(index.replacen(" ON read_models.", " ON ceiling.", 1)).await;
    }
    begun.elapsed()
}

struct Writer {
    store: PgEventStore,
    keys: PgSubjectKeys,
    entropy: Arc<SeededEntropy>,
}

impl Writer {
    /// Appends a history; tells how many events it has.
    async fn fill(&self, history: impl Iterator<Item = Event>) -> u32 {
        let mut history = history.peekable();
        let batches = std::iter::from_fn(move || {
            history.peek()?;
            Some(history.by_ref().take(APPENDED_AT_ONCE).collect::<Vec<_>>())
        });
        let appends = futures::stream::iter(batches).map(|events| self.append(events));
        let counts: Vec<u32> = appends.buffered(APPENDS_AT_ONCE).collect().await;
        counts.iter().sum()
    }

    async fn append(&self, events: Vec<Event>) -> u32 {
        let count = u32::try_from(events.len()).unwrap();
        let mut append = Append::default();
        for (stream, event) in events {
            let event = self.seal(&stream, event).await;
            match append
                .writes
                .iter_mut()
                .find(|write| write.stream == stream)
            {
                Some(write) => write.events.push(event),
                None => append.writes.push(StreamWrite {
                    stream,
                    expected: Expected::Any,
                    events: vec![event],
                }),
            }
        }
        self.store.append(append).await.unwrap();
        count
    }

    async fn seal(&self, stream: &StreamId, mut event: AnyEvent) -> NewEvent {
        if let Some(aci) = stream.as_account() {
            let key = self.keys.obtain(Subject::Account(aci)).await.unwrap();
            event.visit_personal(&mut |field| field.seal(&key, &*self.entropy));
        }
        let entropy: &dyn events::ports::Entropy = &*self.entropy;
        let metadata = Metadata {
            at: Timestamp::from_epoch_millis(1_767_225_600_000).unwrap(),
            actor: Actor::Anonymous,
            request: RequestId(Uuid::from_u128(1)),
            causation: None,
            correlation: None,
            schema_version: SCHEMA_VERSION,
        };
        NewEvent {
            id: EventId::from_random(entropy.bytes()),
            type_name: event.type_name(),
            data: event.to_json().unwrap().into(),
            metadata: serde_json::to_vec(&metadata).unwrap().into(),
            payloads: Vec::new(),
        }
    }
}
