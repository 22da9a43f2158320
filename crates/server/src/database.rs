//! `replay` and `audit`: commands that need the database and nothing else.

use std::path::Path;

use anyhow::Context as _;

use crate::cli::DatabaseAccess;

/// Where a running `dev` leaves the address of its database.
pub(crate) const URL_FILE: &str = "database.url";

/// The database that was named, or that of `dev`.
fn url(access: &DatabaseAccess) -> anyhow::Result<String> {
    if let Some(url) = &access.database_url {
        return Ok(url.clone());
    }
    let file = Path::new(&access.data_dir).join(URL_FILE);
    std::fs::read_to_string(&file).with_context(|| {
        format!("no --database-url given, and no `heliograph dev` has left {}", file.display())
    })
}
