//! Credentials for call links: to create one for a room that the server does not learn, and to join calls.

use events::Aci;
use rand_core::CryptoRng;

use super::credential::{self, Attributes, Blinded};
use super::encoding::{Reader, Writer};
use super::params::GenericSecretParams;
use super::{Day, Malformed, fresh};

/// Issues the credential to join calls on one day: 361 bytes, `version of the parameters | t | U | V | length | proof`.
pub fn issue_auth(
    params: &GenericSecretParams,
    aci: Aci,
    redemption: Day,
    rng: &mut impl CryptoRng,
) -> Vec<u8> {
    let attributes = Attributes::new(
        b"20230421_Signal_CallLinkAuthCredential",
        &[redemption.seconds()],
    )
    .service_id(aci);
    let issued = credential::issue(&params.credential, &attributes, &fresh(rng));
    Writer::default()
        .tag(params.version.byte())
        .bytes(&issued)
        .finish()
}

/// A request for the credential to create one call link: 97 bytes. Nothing in it is proved, nothing can be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateRequest(Blinded);

impl CreateRequest {
    /// Reads `00 | D1 | D2 | Y`. Bytes after them are ignored, as by the official library.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "a call link request (97 bytes)");
        reader.tag(0)?;
        Ok(Self(Blinded::read(&mut reader)?))
    }
}

/// Issues the credential to create one call link, from the start of `today` for 30 hours: 465 bytes,
/// `version of the parameters | today | t | U | S1 | S2 | length | proof`.
pub fn issue_create(
    params: &GenericSecretParams,
    request: &CreateRequest,
    aci: Aci,
    today: Day,
    rng: &mut impl CryptoRng,
) -> Vec<u8> {
    let label = b"20230413_Signal_CreateCallLinkCredential";
    let attributes = Attributes::new(label, &[today.seconds()]).service_id(aci);
    let issued = credential::blind_issue(&params.credential, &attributes, &request.0, &fresh(rng));
    Writer::default()
        .tag(params.version.byte())
        .integer(today.seconds())
        .bytes(&issued)
        .finish()
}
