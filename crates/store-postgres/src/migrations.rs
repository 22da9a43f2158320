//! The schema, as a list of migrations that the build gathers (`build.rs`).

use std::sync::LazyLock;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Version, name and SQL of each, in order.
#[expect(clippy::unreadable_literal, reason = "versions are dates")]
const MIGRATIONS: &[(i64, &str, &str)] = &include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// Everything that Heliograph keeps in Postgres: the log, the payloads, the subject keys, the read models.
pub static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let migration = |(version, name, sql): &(i64, &'static str, &'static str)| {
        Migration::new(
            *version,
            (*name).into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect())
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_has_a_version_of_its_own() {
        let versions: Vec<_> = MIGRATOR.iter().map(|migration| migration.version).collect();
        assert!(
            versions.is_sorted_by(|one, next| one < next),
            "{versions:?}"
        );
    }
}
