//! What was true of an account at some moment: its own events up to then, folded by the read models themselves into tables
//! that nobody else sees.

use std::io::{self, Write};

use events::codec::Fact;
use events::{Aci, Position};
use projections::{MODELS, Model};
use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use subscription::ApplyError;

use super::gather;
use super::search::Moment;
use crate::environment::Environment;
use crate::error::ReplayError;

/// What was true of an account.
#[derive(Clone, Debug, PartialEq)]
pub struct AsOf {
    /// The account.
    pub account: Aci,
    /// The last position that counts.
    pub position: Position,
    /// By table: the rows, as JSON, in a fixed order.
    pub tables: Vec<(&'static str, Vec<Value>)>,
}

/// Columns that are not shown: what they hold is nobody's business, then as now.
const SECRET: [&str; 6] = [
    "access_key",
    "credential_hash",
    "credential_salt",
    "push_token",
    "name",
    "code",
];

/// Folds the account's events up to `moment`. Values whose key is destroyed are missing, whatever the moment.
pub async fn as_of(
    environment: &Environment,
    account: Aci,
    moment: Moment,
) -> Result<AsOf, ReplayError> {
    let position = moment.last_position(environment).await?;
    let mut facts = gather::gather(environment, account).await?;
    facts.retain(|fact| fact.position <= position);
    let elsewhere = gather::elsewhere(environment, account, position).await?;
    let mut tables = Vec::new();
    for model in MODELS {
        let projection = model.projection();
        let families = projection.families();
        let mut transaction = environment.database.begin().await?;
        let parked = subscription::parked(&mut transaction, model.name()).await?;
        let elsewhere = elsewhere.iter().filter(|_| counts_elsewhere(*model));
        let mut facts: Vec<&Fact> = facts
            .iter()
            .chain(elsewhere)
            .map(AsRef::as_ref)
            .filter(|fact| families.contains(&fact.stream.family()))
            .filter(|fact| !parked.contains(&fact.position))
            .collect();
        facts.sort_by_key(|fact| fact.position);
        fold(&mut transaction, *model, &facts).await?;
        for table in projection.tables() {
            let mut rows = rows(&mut transaction, table).await?;
            // Of the others only what they have to do with this account was counted.
            rows.retain(|row| !counts_elsewhere(*model) || row["aci"] == account.to_string());
            tables.push((*table, rows));
        }
        transaction.rollback().await?;
    }
    Ok(AsOf {
        account,
        position,
        tables,
    })
}

/// Whether it counts what an account did in other people's mailboxes, which is not among its own events.
const fn counts_elsewhere(model: Model) -> bool {
    matches!(model, Model::AccountActivity)
}

async fn fold(
    connection: &mut PgConnection,
    model: Model,
    facts: &[&Fact],
) -> Result<(), ReplayError> {
    let projection = model.projection();
    for table in projection.tables() {
        let live = crate::scratch::LIVE;
        let create = format!(
            "CREATE TEMPORARY TABLE {table} (LIKE {live}.{table} INCLUDING ALL) ON COMMIT DROP"
        );
        crate::scratch::run(connection, &[create]).await?;
    }
    crate::scratch::run(connection, &["SET LOCAL search_path = pg_temp".to_owned()]).await?;
    let applied = projection.apply(connection, facts).await;
    applied.map_err(|error| match error {
        ApplyError::Unfit(unfit) => ReplayError::Refused {
            model: model.name(),
            position: unfit.position,
            what: unfit.what,
        },
        ApplyError::Database(error) => error.into(),
    })
}

/// Every row of a table, in a fixed order.
async fn rows(connection: &mut PgConnection, table: &str) -> Result<Vec<Value>, ReplayError> {
    let sql = AssertSqlSafe(format!(
        "SELECT to_jsonb(t)::text FROM {table} t ORDER BY 1"
    ));
    let rows: Vec<String> = sqlx::query_scalar(sql).fetch_all(connection).await?;
    let parsed = rows.iter().map(|row| serde_json::from_str(row));
    let parsed: Result<Vec<Value>, _> = parsed.collect();
    parsed.map_err(|error| sqlx::Error::Decode(Box::new(error)).into())
}

/// The answer as JSON, without what is secret.
pub fn json(answer: &AsOf) -> Value {
    let tables: Map<String, Value> = answer
        .tables
        .iter()
        .map(|(table, rows)| ((*table).to_owned(), rows.iter().map(shown).collect()))
        .collect();
    json!({ "account": answer.account.to_string(), "position": answer.position, "tables": tables })
}

/// Writes it for people: a row a line.
pub fn print(answer: &AsOf, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "account {} as of position {}",
        answer.account, answer.position
    )?;
    for (table, rows) in &answer.tables {
        writeln!(out, "\n{table}: {} rows", rows.len())?;
        for row in rows {
            writeln!(out, "  {}", shown(row))?;
        }
    }
    Ok(())
}

fn shown(row: &Value) -> Value {
    let mut row = row.clone();
    if let Some(columns) = row.as_object_mut() {
        for (name, value) in columns {
            if SECRET.contains(&&**name) && !value.is_null() {
                *value = "(not shown)".into();
            }
        }
    }
    row
}
