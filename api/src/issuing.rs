//! Making and checking credentials: milliseconds of arithmetic each, so never on a thread that serves connections.

pub mod delivery;
pub mod group;

use std::sync::Arc;

use crypto::certificate::CertificateIssuer;
use crypto::secrets::{ExternalServices, ServerSecrets};
use crypto::zk::{GenericSecretParams, ServerSecretParams};
use events::ports::{Entropy, EntropyRng};
use tokio::sync::Semaphore;

use crate::http::problem::Problem;
use crate::state::Api;

/// What credentials are made with.
#[derive(Clone, Debug)]
pub struct IssuingKeys {
    /// For sender certificates.
    pub certificates: CertificateIssuer,
    /// For profile keys, auth credentials, receipts and group-send endorsements.
    pub group: ServerSecretParams,
    /// For call links.
    pub calling: GenericSecretParams,
    /// For backups and avatars.
    pub chat: GenericSecretParams,
    /// Shared with services beside the server.
    pub external: ExternalServices,
}

impl From<&ServerSecrets> for IssuingKeys {
    fn from(secrets: &ServerSecrets) -> Self {
        Self {
            certificates: secrets.certificates.clone(),
            group: secrets.group.clone(),
            calling: secrets.calling.clone(),
            chat: secrets.chat.clone(),
            external: secrets.external.clone(),
        }
    }
}

/// The keys, and turns for those who compute with them.
#[derive(Debug)]
pub struct Issuing {
    /// The keys.
    pub keys: Arc<IssuingKeys>,
    turns: Semaphore,
}

impl Issuing {
    /// One turn for each processor: more would only take time from those who serve connections.
    pub fn new(keys: IssuingKeys) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, Into::into);
        Self {
            keys: Arc::new(keys),
            turns: Semaphore::new(processors),
        }
    }
}

impl Api {
    /// Computes with the keys, on a thread of its own, when it is this request's turn.
    pub(crate) async fn issue<T: Send + 'static>(
        &self,
        work: impl FnOnce(&IssuingKeys, &mut EntropyRng<'_>) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let _turn = self
            .issuing
            .turns
            .acquire()
            .await
            .map_err(|error| Problem::unavailable(&error))?;
        let (keys, entropy) = (Arc::clone(&self.issuing.keys), Arc::clone(&self.entropy));
        let done = self.shutdown.tracker.spawn_blocking(move || {
            let entropy: &dyn Entropy = &*entropy;
            work(&keys, &mut entropy.rng())
        });
        match done.await {
            Ok(done) => Ok(done),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => Err(Problem::unavailable(&error)),
        }
    }
}
