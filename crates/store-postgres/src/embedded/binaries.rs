//! Finding Postgres on a machine.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What a private cluster needs to be there.
const NEEDED: [&str; 3] = ["postgres", "initdb", "pg_ctl"];

/// Where package managers put Postgres: a folder a version, or one for all.
const VERSIONED: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
    ("/Library/PostgreSQL", "bin"),
];
const FIXED: [&str; 4] = [
    "/usr/pgsql/bin",
    "/usr/local/pgsql/bin",
    "/Applications/Postgres.app/Contents/Versions/latest/bin",
    "/run/current-system/sw/bin",
];

/// A folder with the programs of one version of Postgres.
#[derive(Clone, Debug)]
pub struct Binaries(PathBuf);

impl Binaries {
    /// Looks on the PATH, asks `pg_config`, looks in the usual places (newest version first).
    pub fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .chain(told_by_pg_config())
            .chain(
                VERSIONED
                    .into_iter()
                    .flat_map(|(root, bin)| versions(Path::new(root), bin)),
            )
            .chain(FIXED.into_iter().map(PathBuf::from))
            .find(|folder| is_complete(folder))
            .map(Self)
    }

    /// The programs in `folder/bin` or `folder/*/bin`.
    #[cfg(feature = "download")]
    pub(super) fn below(folder: &Path) -> Option<Self> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let inner = entries.map(|entry| entry.path().join("bin"));
        std::iter::once(folder.join("bin"))
            .chain(inner)
            .find(|bin| is_complete(bin))
            .map(Self)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// One of the programs.
    pub fn path(&self, program: &str) -> PathBuf {
        self.0.join(program)
    }
}

fn is_complete(folder: &Path) -> bool {
    NEEDED.iter().all(|program| folder.join(program).is_file())
}

fn told_by_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(PathBuf::from(
        String::from_utf8(output.stdout).ok()?.trim_end(),
    ))
}

/// `root/*/bin` of folders that name a version (`15`, `postgresql@17`), newest first.
fn versions(root: &Path, bin: &str) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = folders
        .filter_map(|folder| {
            let name = folder.file_name().into_string().ok()?;
            let version = name.strip_prefix("postgresql@").unwrap_or(&name);
            let major = version.split('.').next()?.parse().ok()?;
            Some((major, folder.path().join(bin)))
        })
        .collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, folder)| folder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for name in ["9.6", "15", "postgresql@17", "lost+found"] {
            std::fs::create_dir_all(root.path().join(name).join("bin")).unwrap();
        }
        let names: Vec<_> = versions(root.path(), "bin")
            .into_iter()
            .map(|folder| folder.strip_prefix(root.path()).unwrap().to_owned())
            .collect();
        assert_eq!(
            names,
            ["postgresql@17/bin", "15/bin", "9.6/bin"].map(PathBuf::from)
        );
    }

    #[test]
    fn a_folder_that_lacks_a_program_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("postgres"), "").unwrap();
        assert!(!is_complete(folder.path()));
        for program in NEEDED {
            std::fs::write(folder.path().join(program), "").unwrap();
        }
        assert!(is_complete(folder.path()));
    }
}
