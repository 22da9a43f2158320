//! What Postgres can do without us: prepared single-row inserts.

use std::path::PathBuf;
use std::process::Command;

use sqlx::{Connection as _, PgConnection};
use store_postgres::embedded::Binaries;

use super::{Outcome, RECORD, Setting};

pub(super) async fn run(setting: &Setting<'_>, database: &str) -> Outcome {
    let options = setting.cluster.connect_options().clone().database(database);
    let mut connection = PgConnection::connect_with(&options)
        .await
        .expect("the database is new");
    sqlx::query(
        "CREATE TABLE single (id uuid PRIMARY KEY, number bigint NOT NULL, data jsonb NOT NULL)",
    )
    .execute(&mut connection)
    .await
    .expect("the database is empty");
    let script = tempfile::NamedTempFile::new().expect("a temporary file");
    // To pgbench a colon starts a variable, unless a space follows.
    let record = RECORD.replace("\":", "\": ");
    let insert = format!(
        "\\set number random(1, 1000000000)\nINSERT INTO single VALUES (gen_random_uuid(), :number, '{record}');\n"
    );
    std::fs::write(script.path(), insert).expect("the temporary file is writable");
    let url = setting.cluster.url(database);
    let pgbench = program().expect("pgbench comes with the server");
    let writers = setting.writers.to_string();
    let seconds = setting.duration.as_secs().to_string();
    let mut command = Command::new(pgbench);
    command
        .args([
            "--no-vacuum",
            "--protocol=prepared",
            "--jobs=2",
            "--client",
            &writers,
            "--time",
            &seconds,
        ])
        .arg("--file")
        .arg(script.path())
        .arg(url);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("waiting does not panic")
        .expect("pgbench is installed with the server");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "pgbench failed: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let number_after = |label: &str| {
        let line = text.lines().find(|line| line.starts_with(label))?;
        line[label.len()..]
            .split_whitespace()
            .next()?
            .split('/')
            .next()?
            .parse::<f64>()
            .ok()
    };
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM single")
        .fetch_one(&mut connection)
        .await
        .expect("readable");
    let processed =
        number_after("number of transactions actually processed: ").expect("pgbench tells");
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of rows is far below 2^52"
    )]
    let stored = stored as f64;
    assert!(
        (stored - processed).abs() < 0.5,
        "rows, against what pgbench says"
    );
    let tps = number_after("tps = ").unwrap_or(0.0); // not told where there was none
    (tps, None)
}

/// Beside the other programs, or beside the file that a link to the server leads to.
fn program() -> Option<PathBuf> {
    let binaries = Binaries::find()?;
    let server = std::fs::canonicalize(binaries.path("postgres")).ok()?;
    [binaries.path("pgbench"), server.with_file_name("pgbench")]
        .into_iter()
        .find(|path| path.is_file())
}
