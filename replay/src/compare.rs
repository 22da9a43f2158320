//! Two copies of a table, row by row. Values are not shown: rows hold phone numbers and hashes.

use std::fmt;

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

/// A row that is not the same in both copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The table.
    pub table: &'static str,
    /// The row's primary key, as JSON.
    pub key: String,
    /// What is different.
    pub kind: Kind,
}

/// How a row can be different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The log says that there is such a row; the live table has none.
    Missing,
    /// The live table has it; the log says that there is none.
    Extra,
    /// These columns differ.
    Columns(Vec<String>),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, key, kind } = self;
        match kind {
            Kind::Missing => write!(f, "{table} {key}: missing from the live table"),
            Kind::Extra => write!(f, "{table} {key}: in the live table, but not by the log"),
            Kind::Columns(columns) => write!(f, "{table} {key}: differs in {}", columns.join(", ")),
        }
    }
}

/// What the comparison of one table or more came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// How many rows the log says there are.
    pub(crate) rows: u64,
    /// How many rows differ.
    pub(crate) different: u64,
    /// The first of them.
    pub(crate) first: Vec<Difference>,
}

/// How many differences are told of each table.
const TOLD: i64 = 20;

/// The columns of a table and whether each is part of the primary key.
async fn columns(
    connection: &mut PgConnection,
    table: &str,
) -> Result<Vec<(String, bool)>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT quote_ident(a.attname) AS name, coalesce(a.attnum = ANY(i.indkey), false) AS key
         FROM pg_attribute a
         LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
         WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
         ORDER BY a.attnum",
    )
    .bind(table)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| Ok((row.try_get("name")?, row.try_get("key")?)))
        .collect()
}

/// Compares `live` with `fresh`, two copies of `table`, within the snapshot of `connection`.
pub(crate) async fn compare(
    connection: &mut PgConnection,
    table: &'static str,
    live: &str,
    fresh: &str,
) -> Result<Comparison, sqlx::Error> {
    let columns = columns(connection, live).await?;
    let sql = statement(&columns, live, fresh);
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(TOLD)
        .fetch_all(&mut *connection)
        .await?;
    let mut comparison = Comparison {
        rows: count(connection, fresh).await?,
        ..Comparison::default()
    };
    for row in rows {
        comparison.different =
            u64::try_from(row.try_get::<i64, _>("different")?).unwrap_or_default();
        let kind = match (row.try_get("missing")?, row.try_get("extra")?) {
            (true, _) => Kind::Missing,
            (_, true) => Kind::Extra,
            (false, false) => Kind::Columns(row.try_get("columns")?),
        };
        comparison.first.push(Difference {
            table,
            key: row.try_get("key")?,
            kind,
        });
    }
    Ok(comparison)
}

fn statement(columns: &[(String, bool)], live: &str, fresh: &str) -> String {
    let keys: Vec<&str> = columns
        .iter()
        .filter(|(_, key)| *key)
        .map(|(name, _)| name.as_str())
        .collect();
    let each = |form: &dyn Fn(&str) -> String, names: &[&str], between: &str| {
        names
            .iter()
            .map(|name| form(name))
            .collect::<Vec<_>>()
            .join(between)
    };
    let all: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let key = each(
        &|name| format!("'{name}', coalesce(l.{name}, f.{name})"),
        &keys,
        ", ",
    );
    let same = each(&|name| format!("l.{name} = f.{name}"), &keys, " AND ");
    let order = each(&|name| format!("coalesce(l.{name}, f.{name})"), &keys, ", ");
    let differing =
        |name: &str| format!("CASE WHEN l.{name} IS DISTINCT FROM f.{name} THEN '{name}' END");
    let differing = each(&differing, &all, ", ");
    let first = keys.first().copied().unwrap_or_default();
    format!(
        "SELECT jsonb_build_object({key})::text AS key, l.{first} IS NULL AS missing, f.{first} IS NULL AS extra,
                array_remove(ARRAY[{differing}], NULL) AS columns, count(*) OVER () AS different
         FROM {live} l FULL JOIN {fresh} f ON {same}
         WHERE ROW(l.*) IS DISTINCT FROM ROW(f.*)
         ORDER BY {order} LIMIT $1"
    )
}

async fn count(connection: &mut PgConnection, table: &str) -> Result<u64, sqlx::Error> {
    let sql = format!("SELECT count(*) FROM {table}");
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(connection)
        .await?;
    Ok(u64::try_from(count).unwrap_or_default())
}
