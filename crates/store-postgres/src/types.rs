//! The numbers of event types: the same in the vocabulary and in the database, or nothing starts.

use events::codec;
use events::stream::Family;
use sqlx::PgPool;

/// Why a store cannot work on a database.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No connection, or the schema is missing: run the migrations.
    #[error("the database cannot be used; is it migrated?")]
    Database(#[from] sqlx::Error),
    /// Two versions of the vocabulary disagree.
    #[error(
        "number {number} of the {family} family means {stored} in this database and {known} in this version: \
         a number must never be given anew"
    )]
    TypeChanged {
        /// The family.
        family: Family,
        /// The number that was given twice.
        number: i16,
        /// What the database knows it as.
        stored: String,
        /// What this version knows it as.
        known: &'static str,
    },
}

/// Writes the types that the database does not know yet, and compares the others.
pub(crate) async fn agree(pool: &PgPool) -> Result<(), StartError> {
    let known: Vec<(Family, i16, &str)> = Family::ALL
        .into_iter()
        .flat_map(|family| {
            codec::types(family)
                .iter()
                .map(move |(number, name)| (family, *number, *name))
        })
        .collect();
    let families: Vec<i16> = known.iter().map(|(family, ..)| family.code()).collect();
    let family_names: Vec<&str> = known.iter().map(|(family, ..)| family.name()).collect();
    let numbers: Vec<i16> = known.iter().map(|(_, number, _)| *number).collect();
    let names: Vec<&str> = known.iter().map(|(.., name)| *name).collect();
    sqlx::query(
        "INSERT INTO log.event_types (family, family_name, type, type_name)
         SELECT * FROM unnest($1::smallint[], $2::text[], $3::smallint[], $4::text[])
         ON CONFLICT DO NOTHING",
    )
    .bind(&families)
    .bind(&family_names)
    .bind(&numbers)
    .bind(&names)
    .execute(pool)
    .await?;
    let stored: Vec<(i16, i16, String)> =
        sqlx::query_as("SELECT family, type, type_name FROM log.event_types")
            .fetch_all(pool)
            .await?;
    for (code, number, stored) in stored {
        let here = known
            .iter()
            .find(|(family, at, _)| family.code() == code && *at == number);
        match here {
            Some((family, _, name)) if *name != stored => {
                return Err(StartError::TypeChanged {
                    family: *family,
                    number,
                    stored,
                    known: name,
                });
            }
            // A newer version of the vocabulary has been here.
            Some(_) | None => {}
        }
    }
    Ok(())
}
