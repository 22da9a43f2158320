//! Where segments are: what an address names. Credentials come from the providers' usual environment variables.

use std::path::Path;
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, parse_url_opts};
use url::Url;

/// An address that is no place for an archive.
#[derive(Debug, thiserror::Error)]
pub enum NotAPlace {
    /// Not an address.
    #[error("not a URL")]
    Url(#[from] url::ParseError),
    /// What is kept there goes with the process.
    #[error("an archive in memory is none: use file, s3, gs or az")]
    Memory,
    /// Not the absolute path of a folder.
    #[error("not the path of a folder")]
    Path,
    /// It cannot be used.
    #[error("the object store cannot be used")]
    Store(#[from] object_store::Error),
    /// The folder cannot be made.
    #[error("the folder cannot be made")]
    Folder(#[from] std::io::Error),
}

/// Whether the address names a place: `file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`.
pub fn check(address: &str) -> Result<(), NotAPlace> {
    open(address).map(drop)
}

/// Opens the place. What a folder has taken is on the disk.
pub(crate) fn open(address: &str) -> Result<Arc<dyn ObjectStore>, NotAPlace> {
    let url: Url = address.parse()?;
    match url.scheme() {
        "memory" => Err(NotAPlace::Memory),
        "file" => {
            let folder = url.to_file_path().map_err(|()| NotAPlace::Path)?;
            Ok(Arc::new(self::folder(&folder)?))
        }
        _ => {
            let variables = std::env::vars_os().filter_map(|(key, value)| {
                Some((key.into_string().ok()?, value.into_string().ok()?))
            });
            let (store, prefix) = parse_url_opts(&url, variables)?;
            Ok(Arc::new(PrefixStore::new(store, prefix)))
        }
    }
}

fn folder(path: &Path) -> Result<LocalFileSystem, NotAPlace> {
    std::fs::create_dir_all(path)?;
    Ok(LocalFileSystem::new_with_prefix(path)?.with_fsync(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lasts_is_a_place() {
        assert!(matches!(check("memory:///"), Err(NotAPlace::Memory)));
        assert!(matches!(check("somewhere"), Err(NotAPlace::Url(_))));
        assert!(matches!(check("ftp://host/x"), Err(NotAPlace::Store(_))));
    }
}
