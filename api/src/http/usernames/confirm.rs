//! `PUT /v1/accounts/username_hash/confirm`: the account takes the username that it has reserved.
//!
//! | status | when |
//! |---|---|
//! | 200 | the username is the account's; where the link to it stands |
//! | 401 | no or wrong credentials |
//! | 409 | the account has not reserved it |
//! | 410 | somebody else has it by now |
//! | 422 | rules broken; the proof does not show that the name is known |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::username::confirm_username::{ConfirmUsernameRefused, Confirmed, Reservation};
use commands::username::{ConfirmUsername, ProvedUsername};
use crypto::username::ProofInvalid;
use events::LinkHandle;
use events::values::username::{EncryptedUsername, UsernameHash};
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::http::wire::{Base64, UrlSafe};
use crate::limits::rates::Limit;
use crate::state::Api;

/// The body.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = UsernameHashConfirmation)]
pub struct ConfirmRequest {
    /// The hash: 32 bytes.
    #[schema(value_type = Option<String>)]
    pub username_hash: Option<Base64<UsernameHash, UrlSafe>>,
    /// Shows that whoever made it knows the name.
    #[schema(value_type = Option<String>)]
    pub zk_proof: Option<Base64<Vec<u8>, UrlSafe>>,
    /// The name for those who have the link: 1 to 128 bytes. Without it there is no link.
    #[schema(value_type = Option<String>)]
    pub encrypted_username: Option<Base64<EncryptedUsername, UrlSafe>>,
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ConfirmedUsername)]
pub struct ConfirmResponse {
    /// The hash.
    #[schema(value_type = String)]
    pub username_hash: Base64<UsernameHash, UrlSafe>,
    /// Where the link to it stands, if there is one.
    #[schema(value_type = Option<String>)]
    pub username_link_handle: Option<LinkHandle>,
}

impl From<Confirmed> for ConfirmResponse {
    fn from(Confirmed { hash, handle }: Confirmed) -> Self {
        Self {
            username_hash: Base64::new(hash),
            username_link_handle: handle,
        }
    }
}

impl ConfirmRequest {
    /// The command. The proof is checked here: whoever cannot show it gets no further.
    pub(super) fn command(
        self,
        api: &Api,
        caller: &Authenticated,
        reservation: Reservation,
    ) -> Result<ConfirmUsername, Problem> {
        let mut violations = Violations::default();
        let (hash, proof) = (self.username_hash, self.zk_proof);
        violations.check(hash.is_some(), "usernameHash must not be null");
        violations.check(proof.is_some(), "zkProof must not be null");
        violations.refuse()?;
        let proved = hash
            .zip(proof)
            .ok_or(ProofInvalid)
            .and_then(|(hash, proof)| ProvedUsername::check(hash.0, &proof.0));
        let username = proved.map_err(|invalid| Problem::unprocessable(invalid.to_string()))?;
        Ok(ConfirmUsername {
            aci: caller.address.aci,
            username,
            encrypted: self.encrypted_username.map(|encrypted| encrypted.0),
            fresh_handle: LinkHandle::from_random(api.entropy.bytes()),
            reservation,
        })
    }
}

fn refused(refused: ConfirmUsernameRefused) -> Problem {
    match refused {
        ConfirmUsernameRefused::NoSuchAccount => Problem::credentials_required(),
        ConfirmUsernameRefused::NotReserved => Problem::of(StatusCode::CONFLICT),
        ConfirmUsernameRefused::Taken | ConfirmUsernameRefused::ReservationOver => {
            Problem::of(StatusCode::GONE)
        }
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Json(request): Json<ConfirmRequest>,
) -> Result<impl IntoResponse, Problem> {
    let command = request.command(&api, &caller, Reservation::Needed)?;
    let account = caller.address.aci.to_string();
    api.limits.take(Limit::UsernameSet, &account).await?;
    let context = asked.by(caller.actor());
    let confirmed = api.perform(&command, &context, &[Model::Accounts]).await;
    let (confirmed, position) =
        confirmed.map_err(|failure| Problem::from_failure(failure, refused))?;
    Ok((position, Json(ConfirmResponse::from(confirmed))))
}
