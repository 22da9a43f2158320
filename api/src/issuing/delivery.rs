//! Sender certificates: "this device belongs to this account", for those who receive sealed messages.

use crypto::certificate::Sender;
use events::ids::DeviceAddress;
use projections::QueryError;

use crate::http::problem::Problem;
use crate::state::Api;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum NoCertificate {
    /// The account is gone.
    #[error("no such account")]
    NoSuchAccount,
    /// The account has no identity key: it was registered without keys and has not sent any.
    #[error("the account has no identity key")]
    NoIdentityKey,
    /// The number is asked for, and the account has none.
    #[error("the account has no number")]
    NoNumber,
    /// The read model could not be asked.
    #[error(transparent)]
    Unavailable(#[from] QueryError),
}

impl Api {
    /// The certificate of a device, with or without its account's number.
    pub(crate) async fn sender_certificate(
        &self,
        sender: DeviceAddress,
        with_number: bool,
    ) -> Result<Vec<u8>, NoCertificate> {
        let account = self.queries.accounts().by_aci(sender.aci).await?;
        let account = account.ok_or(NoCertificate::NoSuchAccount)?;
        let identity = account.identity.aci.as_ref();
        let number = || account.number.as_ref().ok_or(NoCertificate::NoNumber);
        let certified = Sender {
            aci: sender.aci,
            e164: with_number.then(number).transpose()?,
            device: sender.device,
            identity: identity.ok_or(NoCertificate::NoIdentityKey)?,
        };
        let expires = self.clock.now().plus(self.config.certificate_lifetime);
        let certificates = &self.issuing.keys.certificates;
        Ok(certificates.issue(&certified, expires, &mut self.entropy.rng()))
    }
}

impl From<NoCertificate> for Problem {
    fn from(none: NoCertificate) -> Self {
        match none {
            NoCertificate::NoSuchAccount => Self::credentials_required(),
            NoCertificate::NoIdentityKey => Self::bad_request("The account has no identity key"),
            NoCertificate::NoNumber => Self::bad_request("The account has no number"),
            NoCertificate::Unavailable(error) => Self::unavailable(&error),
        }
    }
}
