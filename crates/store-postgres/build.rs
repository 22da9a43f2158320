//! Gathers the migrations: those of `migrations/`, and the tables of each read model, which stand beside its fold.

use std::fmt::Write as _;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::{env, fs};

const MIGRATIONS: &str = "../../migrations";
const READ_MODELS: &str = "../../projections/src";
/// Where a new read model is registered, so that its folder is looked into.
const REGISTRY: &str = "../../projections/src/registry.rs";

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed={MIGRATIONS}");
    println!("cargo::rerun-if-changed={REGISTRY}");
    let mut found = migrations_in(Path::new(MIGRATIONS))?;
    for entry in fs::read_dir(READ_MODELS)? {
        let folder = entry?.path();
        if folder.is_dir() {
            found.extend(migrations_in(&folder)?);
        }
    }
    found.sort();
    let mut list = String::from("[\n");
    for Found {
        version,
        name,
        file,
    } in found
    {
        println!("cargo::rerun-if-changed={}", file.display());
        let file = file.canonicalize()?;
        let file = file.display();
        writeln!(
            list,
            "    ({version}, {name:?}, include_str!(r#\"{file}\"#)),"
        )
        .map_err(Error::other)?;
    }
    list += "]\n";
    let out = env::var_os("OUT_DIR").ok_or_else(|| Error::other("cargo sets OUT_DIR"))?;
    fs::write(Path::new(&out).join("migrations.rs"), list)
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    version: i64,
    name: String,
    file: PathBuf,
}

/// The files `<version>_<name>.sql` of a folder.
fn migrations_in(folder: &Path) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        let Some(stem) = file
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".sql"))
        else {
            continue;
        };
        let (version, name) = stem
            .split_once('_')
            .ok_or_else(|| Error::other(format!("{stem}.sql is not named <version>_<name>")))?;
        found.push(Found {
            version: version
                .parse()
                .map_err(|_| Error::other(format!("{stem}.sql does not begin with a version")))?,
            name: name.to_owned(),
            file: file.clone(),
        });
    }
    Ok(found)
}
