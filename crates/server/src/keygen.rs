//! `heliograph keygen`: the server's secret keys, made once and kept for ever.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use crypto::secrets::ServerSecrets;
use events::ports::Entropy;
use tree::HeadKey;

use crate::cli::Keygen;
use crate::environment::SystemEntropy;
use crate::tls::write_private;

/// Writes a new file and says what is public about it.
pub(crate) fn run(arguments: &Keygen) -> anyhow::Result<ExitCode> {
    let file = &arguments.file;
    anyhow::ensure!(
        !file.exists(),
        "{} exists already. It is not overwritten: without its keys no number finds its account again. \
         Choose another name, or move it away if you are sure",
        file.display()
    );
    let public = write(file)?;
    println!("wrote {}; keep it secret, and keep a copy", file.display());
    println!("{public}");
    Ok(ExitCode::SUCCESS)
}

/// Makes keys and writes them; returns what clients must be given, as text.
pub(crate) fn write(file: &Path) -> anyhow::Result<String> {
    let entropy: &dyn Entropy = &SystemEntropy;
    let secrets = ServerSecrets::generate(&mut entropy.rng());
    let text = toml::to_string_pretty(&secrets).context("secret keys have a textual form")?;
    write_private(file, text.as_bytes())
        .with_context(|| format!("cannot write {}", file.display()))?;
    let public = secrets.public();
    Ok(format!(
        "clients must be built with these:\n  trust root           {}\n  server public params {}\n\
         auditors check the log with this:\n  log public key       {}",
        public.trust_root,
        public.group,
        head_key(&secrets).public()
    ))
}

/// What signs heads of the log.
pub(crate) fn head_key(secrets: &ServerSecrets) -> HeadKey {
    HeadKey::new(secrets.log_signing.as_bytes())
}

/// Reads the file that the configuration names.
pub(crate) fn read(file: &Path) -> anyhow::Result<ServerSecrets> {
    let text = std::fs::read_to_string(file).with_context(|| {
        format!(
            "secrets.file: cannot read {}; `heliograph keygen {0}` makes it",
            file.display()
        )
    })?;
    // The cause may quote the file, which is secret.
    toml::from_str(&text).map_err(|_| {
        anyhow::anyhow!(
            "secrets.file: {} is not what `heliograph keygen` writes",
            file.display()
        )
    })
}
