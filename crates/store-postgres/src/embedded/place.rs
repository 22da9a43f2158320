//! Where a private cluster lives.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::user::User;
use super::{EmbeddedError, doing};

/// The folder of a cluster, and whom its files belong to.
///
/// ```text
/// data/          the database files
/// guard.sh       the parent process of Postgres
/// lock           locked by the process that owns the cluster
/// password       of the superuser
/// ready          exists once Postgres has answered
/// postgres.log   what Postgres says
/// .s.PGSQL.…     its socket
/// ```
#[derive(Clone, Debug)]
pub(super) struct Place {
    directory: PathBuf,
    user: User,
}

impl Place {
    /// Makes the folder where there is none. Where the unprivileged user cannot reach it (below `/root`, say) the
    /// cluster goes to `/var/tmp` instead, under a name that belongs to the folder asked for.
    pub(super) fn prepare(wanted: &Path) -> Result<Self, EmbeddedError> {
        let action = || doing(format!("making {}", wanted.display()));
        let parent = wanted
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        fs::create_dir_all(parent.unwrap_or(Path::new("."))).map_err(action())?;
        let wanted = std::path::absolute(wanted).map_err(action())?;
        let user = User::choose(&wanted.join("data"))?;
        if wanted.parent().is_some_and(|parent| user.can_reach(parent)) {
            return Self::make(wanted, user);
        }
        let elsewhere = stand_in(&wanted);
        let user = User::choose(&elsewhere.join("data"))?;
        tracing::info!(
            wanted = %wanted.display(), used = %elsewhere.display(),
            "the unprivileged user of Postgres cannot reach the data directory; another is used"
        );
        Self::make(elsewhere, user)
    }

    fn make(directory: PathBuf, user: User) -> Result<Self, EmbeddedError> {
        let made = DirBuilder::new().mode(0o700).create(&directory);
        match made {
            Ok(()) => user.own(&directory)?,
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(doing(format!("making {}", directory.display()))(e)),
        }
        // In a folder that everybody may write to, somebody else may have come first.
        let found = fs::symlink_metadata(&directory)
            .map_err(doing(format!("looking at {}", directory.display())))?;
        if found.is_dir() && found.uid() == user.uid() {
            return Ok(Self { directory, user });
        }
        Err(EmbeddedError::ForeignDirectory {
            path: directory,
            owner: found.uid(),
            expected: user.uid(),
        })
    }

    pub(super) fn user(&self) -> User {
        self.user
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the socket stands through which processes of this machine reach Postgres without TCP. `None` if its path would
    /// be longer than a socket's may be (107 bytes), or means something else in a list.
    pub(super) fn socket_folder(&self) -> Option<&str> {
        const LONGEST: usize = 107 - "/.s.PGSQL.65535".len();
        self.directory
            .to_str()
            .filter(|folder| folder.len() <= LONGEST && !folder.contains([',', '"', ' ']))
    }

    /// Removes the sockets that a killed Postgres has left.
    pub(super) fn clear_sockets(&self) -> Result<(), EmbeddedError> {
        let action = || doing(format!("looking through {}", self.directory.display()));
        for entry in fs::read_dir(&self.directory).map_err(action())? {
            let entry = entry.map_err(action())?;
            if entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(b".s.PGSQL.")
            {
                fs::remove_file(entry.path())
                    .map_err(doing(format!("removing {}", entry.path().display())))?;
            }
        }
        Ok(())
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    pub(super) fn is_initialised(&self) -> bool {
        self.data().join("PG_VERSION").is_file()
    }

    pub(super) fn lock_file(&self) -> PathBuf {
        self.directory.join("lock")
    }

    pub(super) fn ready_marker(&self) -> PathBuf {
        self.directory.join("ready")
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.directory.join("postgres.log")
    }

    /// The last lines of the log.
    pub(super) fn log_tail(&self) -> String {
        let log = fs::read(self.log_file()).unwrap_or_default();
        let text = String::from_utf8_lossy(&log[log.len().saturating_sub(2000)..]).into_owned();
        text.trim_end().to_owned()
    }

    pub(super) fn password_file(&self) -> PathBuf {
        self.directory.join("password")
    }

    pub(super) fn password(&self) -> Result<String, EmbeddedError> {
        let path = self.password_file();
        let text =
            fs::read_to_string(&path).map_err(doing(format!("reading {}", path.display())))?;
        Ok(text.trim_end().to_owned())
    }

    pub(super) fn write_password(&self, password: &str) -> Result<(), EmbeddedError> {
        let path = self.password_file();
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(password.as_bytes()))
            .map_err(doing(format!("writing {}", path.display())))?;
        self.user.own(&path)
    }
}

/// A folder below `/var/tmp` (which survives a restart of the machine) for a folder that cannot be used.
fn stand_in(wanted: &Path) -> PathBuf {
    let digest = Sha256::digest(wanted.as_os_str().as_encoded_bytes());
    PathBuf::from(format!("/var/tmp/heliograph-{}", hex::encode(&digest[..8])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_folders_have_different_stand_ins() {
        let one = stand_in(Path::new("/root/one"));
        assert_ne!(one, stand_in(Path::new("/root/two")));
        assert_eq!(one, stand_in(Path::new("/root/one")));
        assert!(one.starts_with("/var/tmp"));
    }
}
