//! `serve`, `worker`, `migrate`, `check-config`: the processes of production.

use std::process::ExitCode;
use std::sync::Arc;

use events::ports::Clock;
use secrecy::ExposeSecret as _;

use crate::cli::{Configured, Serve, Worker};
use crate::config::{Captcha, Config, VerificationTransport};
use crate::environment::SystemClock;
use crate::lifecycle::Lifecycle;
use crate::telemetry::start_logging;
use crate::{keygen, log, objects, push, sections, store, tls, verification, wiring};

/// Doors, and workers unless told otherwise.
pub(crate) async fn serve(arguments: Serve) -> anyhow::Result<ExitCode> {
    let config = Config::load(arguments.configured.config.as_deref())?;
    start_logging(config.log.format);
    let lifecycle = Lifecycle::new();
    let doors = wiring::start(&config, !arguments.no_workers, &lifecycle).await?;
    tracing::info!(http = ?doors.http, https = ?doors.https, admin = %doors.admin, "ready");
    Ok(lifecycle.run().await)
}

/// Workers only.
pub(crate) async fn worker(arguments: Worker) -> anyhow::Result<ExitCode> {
    let config = Config::load(arguments.configured.config.as_deref())?;
    start_logging(config.log.format);
    let lifecycle = Lifecycle::new();
    let admin = wiring::start_worker(&config, &lifecycle).await?;
    tracing::info!(%admin, "working");
    Ok(lifecycle.run().await)
}

/// Brings the schema up to date.
pub(crate) async fn migrate(arguments: Configured) -> anyhow::Result<ExitCode> {
    let config = Config::load(arguments.config.as_deref())?;
    store::migrate(&config).await?;
    println!("the schema is up to date");
    Ok(ExitCode::SUCCESS)
}

/// Says what is wrong with the configuration, as far as that can be told without starting anything.
pub(crate) fn check_config(arguments: &Configured) -> anyhow::Result<ExitCode> {
    let config = Config::load(arguments.config.as_deref())?;
    keygen::read(&config.secrets.file)?;
    if let Some(eventstore) = &config.eventstore {
        log::address(eventstore.url.expose_secret())?;
    }
    if let Some(files) = &config.tls {
        tls::server_config(&files.certificate, &files.key)?;
    }
    verification::transport(&config.verification)?;
    push::transport(&config.push, &(Arc::new(SystemClock) as Arc<dyn Clock>))?;
    if config.objects.url.is_some() {
        objects::place(&config)?;
    }
    sections::relays(&config.calling)?;
    for warning in warnings(&config) {
        println!("warning: {warning}");
    }
    println!("the configuration is sound");
    Ok(ExitCode::SUCCESS)
}

/// What works, and is still not what production wants.
fn warnings(config: &Config) -> Vec<&'static str> {
    let verification = &config.verification;
    let rules = [
        (
            verification.fixed_code.is_some(),
            "verification.fixed_code is set: whoever knows it can take any phone number",
        ),
        (
            verification.transport == VerificationTransport::Log,
            "verification.transport is \"log\": codes appear in the log, and nobody receives one",
        ),
        (
            verification.captcha == Captcha::Any,
            "verification.captcha is \"any\": every captcha is taken",
        ),
        (
            config.objects.url.is_none(),
            "objects.url is not set: uploads go into the folder `objects`, which other nodes do not see",
        ),
        (
            config.server.https.is_none()
                && !config
                    .server
                    .http
                    .is_some_and(|http| http.ip().is_loopback()),
            "server.http is open to the network without TLS",
        ),
    ];
    rules
        .into_iter()
        .filter(|(applies, _)| *applies)
        .map(|(_, warning)| warning)
        .collect()
}
