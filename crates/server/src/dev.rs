//! `heliograph dev`: prepares everything that `serve` needs on one machine, then does what `serve` does.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _};
use store_postgres::embedded::{self, Cluster};

use crate::cli::Dev;
use crate::config::{self, Config};
use crate::doors::Doors;
use crate::lifecycle::Lifecycle;
use crate::telemetry::{LogFormat, start_logging};
use crate::tls::{DevCertificates, write_private};
use crate::{database, events_feed, keygen};
use crate::{store, wiring};

/// What opens the stream of events to outside systems.
const EVENTS_TOKEN: &str = "events.token";

/// The database inside the private cluster.
const DATABASE: &str = "heliograph";

/// Runs until Ctrl-C.
pub(crate) async fn run(arguments: Dev) -> anyhow::Result<ExitCode> {
    start_logging(LogFormat::Text);
    let folder = prepare_folder(&arguments.data_dir)?;
    let certificates = DevCertificates::in_folder(&folder)?;
    let secrets = folder.join(database::SECRETS_FILE);
    if !secrets.exists() {
        keygen::write(&secrets)?;
    }
    let token = folder.join(EVENTS_TOKEN);
    if !token.exists() {
        write_private(&token, events_feed::fresh_token().as_bytes())?;
    }
    let public = keygen::read(&secrets)?.public();
    let public_file = folder.join("public.toml");
    std::fs::write(&public_file, toml::to_string_pretty(&public)?)
        .with_context(|| format!("cannot write {}", public_file.display()))?;
    let (cluster, url) = if let Some(url) = &arguments.database_url {
        (None, url.clone())
    } else {
        let (cluster, url) = private_postgres(&folder).await?;
        (Some(cluster), url)
    };
    // So that `replay` and `audit` find the database of a running `dev`.
    write_private(&folder.join(database::URL_FILE), url.as_bytes())?;
    let cluster_file = folder.join(database::CLUSTER_FILE);
    match &arguments.eventstore_url {
        Some(url) => write_private(&cluster_file, url.as_bytes())?,
        None if cluster_file.exists() => std::fs::remove_file(&cluster_file)?,
        None => {}
    }

    let own = cluster
        .as_ref()
        .map_or(url, |cluster| cluster.socket_url(DATABASE));
    let config = configuration(&arguments, &folder, &certificates, own, secrets);
    store::migrate(&config).await?;
    let lifecycle = Lifecycle::new();
    let doors = wiring::start(&config, true, &lifecycle).await?;
    print!(
        "{}",
        greeting(&arguments, &doors, &certificates.ca, cluster.as_ref())
    );
    let code = lifecycle.run().await;
    if let Some(cluster) = cluster {
        cluster
            .stop()
            .await
            .context("stopping the private Postgres")?;
    }
    Ok(code)
}

fn prepare_folder(folder: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)
        .and_then(|()| folder.canonicalize())
        .with_context(|| format!("--data-dir: cannot use {}", folder.display()))
}

/// Starts the private cluster and makes sure that it has our database.
async fn private_postgres(folder: &Path) -> anyhow::Result<(Cluster, String)> {
    let cluster = Cluster::start(&embedded::Options::new(folder.join("postgres"))).await?;
    let mut connection = cluster.connect_options().connect().await?;
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(DATABASE)
            .fetch_one(&mut connection)
            .await?;
    if !exists {
        connection
            .execute(AssertSqlSafe(format!("CREATE DATABASE {DATABASE}")))
            .await?;
    }
    let url = cluster.url(DATABASE);
    Ok((cluster, url))
}

fn configuration(
    arguments: &Dev,
    folder: &Path,
    certificates: &DevCertificates,
    url: String,
    secrets: PathBuf,
) -> Config {
    let at = |port| SocketAddr::new(arguments.listen, port);
    Config {
        server: config::Server {
            http: Some(at(arguments.http_port)),
            https: Some(at(arguments.https_port)),
            admin: at(arguments.admin_port),
            trusted_proxies: Vec::new(),
        },
        tls: Some(config::Tls {
            certificate: certificates.certificate.clone(),
            key: certificates.key.clone(),
        }),
        database: config::Database {
            url: SecretString::from(url),
            connections: 16,
        },
        eventstore: arguments
            .eventstore_url
            .clone()
            .map(|url| config::EventStore {
                url: SecretString::from(url),
            }),
        secrets: config::Secrets { file: secrets },
        verification: config::Verification {
            sessions_per_number: config::SessionsPerNumber::Any,
            fixed_code: Some(arguments.code.clone()),
            ..config::Verification::default()
        },
        spam: config::Spam::default(),
        api: config::Api {
            dialect: arguments.dialect,
            ..config::Api::default()
        },
        limits: config::Limits::default(),
        rates: if arguments.rate_limits {
            config::RateSettings::default()
        } else {
            config::RateSettings::off()
        },
        objects: config::Objects {
            url: Some(format!("file://{}", folder.join("objects").display())),
            ..config::Objects::default()
        },
        audit: config::Audit {
            heads_every_s: 10,
            events_token_file: Some(folder.join(EVENTS_TOKEN)),
        },
        calling: config::Calling::default(),
        remote: config::Remote::default(),
        mailbox: config::Mailbox::default(),
        retention: config::Retention::default(),
        push: config::Push::default(),
        log: config::Log {
            format: LogFormat::Text,
        },
    }
}

/// What a stranger needs to know, and what to try next.
fn greeting(arguments: &Dev, doors: &Doors, ca: &Path, cluster: Option<&Cluster>) -> String {
    let mut text = String::from("\nHeliograph is ready.\n\n");
    let mut line = |label: &str, value: &str| {
        writeln!(text, "  {label:<9} {value}").expect("writing to a string works");
    };
    if let Some(http) = doors.http {
        line("HTTP", &format!("http://{http}"));
    }
    if let Some(https) = doors.https {
        line(
            "HTTPS",
            &format!("https://localhost:{}  (HTTP/1.1 and HTTP/2)", https.port()),
        );
        line("CA", &format!("{}  (clients must trust it)", ca.display()));
        let public = ca.with_file_name("public.toml");
        line(
            "Keys",
            &format!(
                "{}  (trust root and zk parameters that clients are built with)",
                public.display()
            ),
        );
    }
    line(
        "Health",
        &format!("http://{}  (/health/ready, /metrics)", doors.admin),
    );
    line(
        "Events",
        &format!(
            "http://{}/v1/admin/events  (bearer token in {})",
            doors.admin,
            arguments.data_dir.join(EVENTS_TOKEN).display()
        ),
    );
    line(
        "Codes",
        &format!("{} verifies every phone number", arguments.code),
    );
    match cluster {
        Some(cluster) => line(
            "Postgres",
            &format!("{}  (private)", cluster.directory().display()),
        ),
        None => line("Postgres", "the one you named"),
    }
    if arguments.eventstore_url.is_some() {
        line("Log", "on the cluster you named");
    }
    let url = doors
        .http
        .map_or_else(String::new, |http| format!("http://{http}"));
    write!(
        text,
        r#"
Try next, in another terminal:

  curl {url}/v1/verification/session -H 'content-type: application/json' -d '{{"number":"+12025550100"}}'
  heliograph replay status         how far each read model is
  heliograph audit show --help     what happened to an account

The README has a tour that registers two people and sends a message. Ctrl-C stops everything; the data stay.

"#
    )
    .expect("writing to a string works");
    text
}
