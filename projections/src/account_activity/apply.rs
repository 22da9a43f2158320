//! From events to counts.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use async_trait::async_trait;
use events::account::AccountEvent;
use events::codec::{AnyEvent, Fact};
use events::mailbox::{MailboxEvent, MessageQueued};
use events::{Aci, Family, Position, ServiceId};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use subscription::{CopyIn, InMemory, Need, Unfit};

use super::{Counts, Day, TABLE};
use crate::columns::{BoxError, column, get};
use crate::copy::{CopyRow, Fields, copy_in};
use crate::read_model::{ReadModel, id_of};
use crate::rows;
use crate::whole::{self, Whole};

/// The read model.
pub(crate) struct AccountActivity;

type Key = (Aci, Day);

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    aci: Aci,
    pub(super) day: Day,
    /// The last event that was counted: one that comes again is not counted again.
    as_of: Position,
    pub(super) counts: Counts,
}

/// What a stretch of the log adds.
#[derive(Default)]
pub(crate) struct Changes {
    /// Accounts that lose all rows, before anything else is done.
    wiped: Vec<Aci>,
    /// What each event adds to a day, in order.
    added: BTreeMap<Key, Vec<(Position, Counts)>>,
}

impl Changes {
    fn add(&mut self, aci: Aci, fact: &Fact, add: impl FnOnce(&mut Counts)) {
        let key = (aci, Day::of(fact.metadata.at));
        let added = self.added.entry(key).or_default();
        // An event can count twice for one account: who writes to themselves sends and receives.
        match added.last_mut() {
            Some((position, counts)) if *position == fact.position => add(counts),
            _ => {
                let mut counts = Counts::default();
                add(&mut counts);
                added.push((fact.position, counts));
            }
        }
    }

    fn apply_mailbox(&mut self, fact: &Fact, aci: Aci, event: &MailboxEvent) {
        let number_of = |guids: &[_]| guids.len() as u64;
        match event {
            MailboxEvent::MessageQueued(message) => {
                self.add(aci, fact, |counts| counts.received += 1);
                if let Some(sender) = sender(message) {
                    self.add(sender, fact, |counts| counts.sent += 1);
                }
            }
            MailboxEvent::MessagesDelivered(e) => {
                self.add(aci, fact, |counts| counts.delivered += number_of(&e.guids));
            }
            MailboxEvent::MessagesExpired(e) => {
                self.add(aci, fact, |counts| counts.expired += number_of(&e.guids));
            }
            MailboxEvent::MessageReported(e) => {
                self.add(e.source, fact, |counts| counts.reported += 1);
            }
        }
    }

    fn apply_account(&mut self, fact: &Fact, aci: Aci, event: &AccountEvent) {
        // Whatever else can happen to an account changes it.
        let AccountEvent::AccountDeleted(_) = event else {
            return self.add(aci, fact, |counts| counts.changes += 1);
        };
        let gone = self.added.extract_if(days_of(aci), |_, _| true);
        gone.for_each(drop);
        self.wiped.push(aci);
    }
}

/// The keys of an account's rows.
fn days_of(aci: Aci) -> RangeInclusive<Key> {
    (aci, Day(0))..=(aci, Day(u32::MAX))
}

fn sender(message: &MessageQueued) -> Option<Aci> {
    match message.source?.service_id {
        ServiceId::Aci(aci) => Some(aci),
        ServiceId::Pni(_) => None,
    }
}

#[async_trait]
impl ReadModel for AccountActivity {
    const NAME: &'static str = "account_activity";
    const VERSION: u32 = 1;
    const FAMILIES: &'static [Family] = &[Family::Mailbox, Family::Account];
    const TABLES: &'static [&'static str] = &[TABLE];
    /// Many events of an account become one change.
    const PACE: Duration = Duration::from_millis(50);

    type Changes = Changes;

    fn needs(_: Family, _: &str) -> Need {
        Need::Sealed
    }

    fn in_memory() -> Option<Box<dyn InMemory>> {
        Some(whole::in_memory::<Self>())
    }

    fn fold(facts: &[&Fact]) -> Result<Changes, Unfit> {
        let mut changes = Changes::default();
        for fact in facts {
            if let AnyEvent::Mailbox(event) = &fact.event {
                let address = id_of(fact, fact.stream.as_mailbox())?;
                changes.apply_mailbox(fact, address.aci, event);
            }
            if let AnyEvent::Account(event) = &fact.event {
                let aci = id_of(fact, fact.stream.as_account())?;
                changes.apply_account(fact, aci, event);
            }
        }
        Ok(changes)
    }

    async fn write(connection: &mut PgConnection, changes: Changes) -> Result<(), sqlx::Error> {
        wipe(connection, &changes.wiped).await?;
        let keys: Vec<_> = changes.added.keys().copied().collect();
        let mut rows: BTreeMap<_, _> = load(connection, &keys)
            .await?
            .into_iter()
            .map(|row| ((row.aci, row.day), row))
            .collect();
        count(&mut rows, changes.added);
        store(connection, &rows.into_values().collect::<Vec<_>>()).await
    }
}

/// Adds to rows what came.
fn count(rows: &mut BTreeMap<Key, Row>, added: BTreeMap<Key, Vec<(Position, Counts)>>) {
    for ((aci, day), added) in added {
        let row = rows.entry((aci, day)).or_insert_with(|| Row::new(aci, day));
        for (position, counts) in added {
            row.count(position, counts);
        }
    }
}

impl Whole for AccountActivity {
    type Rows = BTreeMap<Key, Row>;

    fn keep(rows: &mut Self::Rows, facts: &[&Fact]) -> Result<(), Unfit> {
        let changes = Self::fold(facts)?;
        for aci in changes.wiped {
            rows.extract_if(days_of(aci), |_, _| true).for_each(drop);
        }
        count(rows, changes.added);
        Ok(())
    }

    fn count(rows: &Self::Rows) -> usize {
        rows.len()
    }

    fn copies(rows: Self::Rows) -> Vec<CopyIn> {
        vec![copy_in(TABLE, rows.into_values())]
    }
}

impl CopyRow for Row {
    const COLUMNS: &'static [&'static str] = &[
        "aci",
        "as_of",
        "received",
        "sent",
        "delivered",
        "expired",
        "reported",
        "changes",
        "day",
    ];

    fn fields(&self, row: &mut Fields<'_>) {
        row.add(self.aci.uuid())
            .add(self.as_of.to_i64())
            .add(column_of(self.counts.received))
            .add(column_of(self.counts.sent))
            .add(column_of(self.counts.delivered))
            .add(column_of(self.counts.expired))
            .add(column_of(self.counts.reported))
            .add(column_of(self.counts.changes))
            .add(self.day.to_postgres());
    }
}

/// A count as Postgres keeps it.
fn column_of(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Row {
    fn new(aci: Aci, day: Day) -> Self {
        Self {
            aci,
            day,
            as_of: Position::START,
            counts: Counts::default(),
        }
    }

    fn count(&mut self, position: Position, added: Counts) {
        if position <= self.as_of {
            return;
        }
        self.as_of = position;
        self.counts.received += added.received;
        self.counts.sent += added.sent;
        self.counts.delivered += added.delivered;
        self.counts.expired += added.expired;
        self.counts.reported += added.reported;
        self.counts.changes += added.changes;
    }
}

/// Reads a row; `days` is its day as a number.
pub(super) fn read(row: &PgRow) -> Result<Row, BoxError> {
    let count = |column| Ok::<_, BoxError>(u64::try_from(get::<i64>(row, column)?)?);
    Ok(Row {
        aci: Aci::from_uuid(get(row, "aci")?),
        day: Day(u32::try_from(get::<i32>(row, "days")?)?),
        as_of: Position(count("as_of")?),
        counts: Counts {
            received: count("received")?,
            sent: count("sent")?,
            delivered: count("delivered")?,
            expired: count("expired")?,
            reported: count("reported")?,
            changes: count("changes")?,
        },
    })
}

async fn wipe(connection: &mut PgConnection, accounts: &[Aci]) -> Result<(), sqlx::Error> {
    rows::change(connection, accounts, || {
        sqlx::query("DELETE FROM account_activity_v1 WHERE aci = ANY($1)")
            .bind(column(accounts, |aci| aci.uuid()))
    })
    .await
}

async fn load(connection: &mut PgConnection, keys: &[Key]) -> Result<Vec<Row>, sqlx::Error> {
    rows::load(connection, keys, read, || {
        sqlx::query(
            "SELECT a.*, wanted.days FROM account_activity_v1 a
             JOIN unnest($1::uuid[], $2::integer[]) AS wanted(aci, days)
               ON a.aci = wanted.aci AND a.day = '1970-01-01'::date + wanted.days",
        )
        .bind(column(keys, |(aci, _)| aci.uuid()))
        .bind(column(keys, |(_, day)| day.to_i32()))
    })
    .await
}

async fn store(connection: &mut PgConnection, rows: &[Row]) -> Result<(), sqlx::Error> {
    rows::change(connection, rows, || {
        sqlx::query(
            "INSERT INTO account_activity_v1 (aci, as_of, received, sent, delivered, expired, reported, changes, day)
             SELECT aci, as_of, received, sent, delivered, expired, reported, changes, '1970-01-01'::date + days
             FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                         $8::bigint[], $9::integer[])
                  AS t(aci, as_of, received, sent, delivered, expired, reported, changes, days)
             ON CONFLICT (aci, day) DO UPDATE SET
                 as_of = excluded.as_of, received = excluded.received, sent = excluded.sent,
                 delivered = excluded.delivered, expired = excluded.expired, reported = excluded.reported,
                 changes = excluded.changes",
        )
        .bind(column(rows, |row| row.aci.uuid()))
        .bind(column(rows, |row| row.as_of.to_i64()))
        .bind(column(rows, |row| column_of(row.counts.received)))
        .bind(column(rows, |row| column_of(row.counts.sent)))
        .bind(column(rows, |row| column_of(row.counts.delivered)))
        .bind(column(rows, |row| column_of(row.counts.expired)))
        .bind(column(rows, |row| column_of(row.counts.reported)))
        .bind(column(rows, |row| column_of(row.counts.changes)))
        .bind(column(rows, |row| row.day.to_i32()))
    })
    .await
}
