//! `PUT /v1/profile`: an account writes a version of its profile.
//!
//! | status | when |
//! |---|---|
//! | 200 | written; with a form if a new picture is to be uploaded, else without a body |
//! | 401 | no or wrong credentials |
//! | 403 | a payment address, from a number of a region that is barred |
//! | 412 | all devices of the account speak the second form of profiles, which this call would undo |
//! | 422 | rules broken |
//! | 503 | the picture's form cannot be made at the moment |

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use commands::profile::Slot;
use commands::profile::set_profile::{AvatarChange, ProfileForm, SetProfile, SetProfileRefused};
use crypto::zk::profile::Commitment;
use events::Aci;
use events::values::profile::{
    AvatarKey, ProfileField, ProfileFields, ProfileKeyCommitment, ProfileVersion,
};
use http::StatusCode;
use projections::{Model, QueryError};
use serde::{Deserialize, Serialize};

use super::wire::WrittenFields;
use crate::http::extract::{Authenticated, Json};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::http::wire::{Base64, Padded};
use crate::limits;
use crate::ports::{ObjectKey, Upload};
use crate::state::Api;

/// The body.
#[derive(Clone, Debug, Default, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SetProfileRequest {
    /// Which version: 64 hex digits. Clients that know no versions leave it out, and the commitment with it.
    pub version: Option<String>,
    /// What the owner publishes about the profile key: 97 bytes.
    #[schema(value_type = Option<String>)]
    pub commitment: Option<Base64<Vec<u8>, Padded>>,
    /// What stands on it.
    #[serde(flatten)]
    pub written: WrittenFields,
    /// Whether the profile has a picture.
    pub avatar: Option<bool>,
    /// Whether it is the one that this version has already.
    pub same_avatar: Option<bool>,
    /// Which badges are shown, and in which order. Nobody has any to show.
    pub badge_ids: Option<Vec<String>>,
}

/// What a body says, checked.
struct Parsed {
    slot: Slot,
    commitment: Option<ProfileKeyCommitment>,
    fields: ProfileFields,
    avatar: Picture,
}

/// What a client wants of the picture.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Picture {
    None,
    Same,
    New,
}

impl SetProfileRequest {
    fn parse(self) -> Result<Parsed, Problem> {
        let mut violations = Violations::default();
        let versioned = self.version.is_some() || self.commitment.is_some();
        let slot = self.slot(versioned, &mut violations);
        let avatar = match (self.avatar, self.same_avatar) {
            (Some(true), Some(true)) => Picture::Same,
            (Some(true), _) => Picture::New,
            _ => Picture::None,
        };
        let commitment = self.commitment.map(read_commitment).transpose()?;
        let fields = ProfileFields::from(self.written);
        check_lengths(&fields, versioned, &mut violations);
        violations.refuse()?;
        Ok(Parsed {
            slot,
            commitment,
            fields,
            avatar,
        })
    }

    fn slot(&self, versioned: bool, violations: &mut Violations) -> Slot {
        if !versioned {
            return None;
        }
        violations.check(self.commitment.is_some(), "commitment must not be null");
        let version = self.version.as_deref().unwrap_or_default();
        violations.parsed(
            version.parse::<ProfileVersion>(),
            "version must be 64 hex digits",
        )
    }
}

fn read_commitment(sent: Base64<Vec<u8>, Padded>) -> Result<ProfileKeyCommitment, Problem> {
    let bytes = sent.0;
    Commitment::parse(&bytes).map_err(|_| Problem::unmappable())?;
    ProfileKeyCommitment::try_from(bytes).map_err(|_| Problem::unmappable())
}

/// Clients of versioned profiles pad each field to few lengths; others may send anything that is short.
fn check_lengths(fields: &ProfileFields, versioned: bool, violations: &mut Violations) {
    let rules = [
        (&fields.name, ProfileField::Name, "name has a wrong size"),
        (&fields.about, ProfileField::About, "about has a wrong size"),
        (
            &fields.about_emoji,
            ProfileField::AboutEmoji,
            "aboutEmoji has a wrong size",
        ),
        (
            &fields.payment_address,
            ProfileField::PaymentAddress,
            "paymentAddress has a wrong size",
        ),
        (
            &fields.phone_number_sharing,
            ProfileField::PhoneNumberSharing,
            "phoneNumberSharing has a wrong size",
        ),
    ];
    for (bytes, field, rule) in rules {
        let holds = if versioned {
            field.admits(bytes.len())
        } else {
            bytes.len() <= ProfileFields::MAX_FIELD
        };
        violations.check(holds, rule);
    }
}

impl From<SetProfileRefused> for Problem {
    fn from(refused: SetProfileRefused) -> Self {
        match refused {
            SetProfileRefused::NoSuchDevice => Self::credentials_required(),
            SetProfileRefused::PaymentsBarred => Self::empty(StatusCode::FORBIDDEN),
            SetProfileRefused::SecondFormSpoken => Self::empty(StatusCode::PRECONDITION_FAILED),
            // The first form takes nothing for granted.
            SetProfileRefused::SecondFormNotSpoken
            | SetProfileRefused::OtherCurrentVersion
            | SetProfileRefused::OtherData
            | SetProfileRefused::OtherCommitment => Self::empty(StatusCode::CONFLICT),
        }
    }
}

/// Whether the account's number begins like those from where there are to be no payments.
pub(crate) async fn payments_barred(api: &Api, aci: Aci) -> Result<bool, QueryError> {
    let barred = &api.config.payments_barred;
    if barred.is_empty() {
        return Ok(false);
    }
    let account = api.queries.accounts().by_aci(aci).await?;
    let number = account.and_then(|account| account.number);
    Ok(number.is_some_and(|number| {
        let mut prefixes = barred.iter();
        prefixes.any(|prefix| number.as_str().starts_with(&**prefix))
    }))
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Json(request): Json<SetProfileRequest>,
) -> Result<Response, Problem> {
    let parsed = request.parse()?;
    let random = api.entropy.bytes();
    let command = SetProfile {
        aci: caller.address.aci,
        device: caller.address.device,
        slot: parsed.slot,
        commitment: parsed.commitment,
        payments_barred: !parsed.fields.payment_address.is_empty()
            && payments_barred(&api, caller.address.aci)
                .await
                .map_err(|error| Problem::unavailable(&error))?,
        fields: parsed.fields,
        avatar: match parsed.avatar {
            Picture::None => AvatarChange::Clear,
            Picture::Same => AvatarChange::Keep,
            Picture::New => AvatarChange::Replace(AvatarKey::from_random(random)),
        },
        form: ProfileForm::First,
    };
    let set = api
        .executor
        .execute(&command, &asked.by(caller.actor()))
        .await?;
    let position = api.settled(&set, &[Model::Profiles]).await;
    if parsed.avatar != Picture::New {
        return Ok((StatusCode::OK, position).into_response());
    }
    let upload = Upload {
        key: ObjectKey::avatar(random),
        max_bytes: limits::AVATAR,
    };
    let form = api.uploads.post_form(&upload, api.clock.now()).await;
    let form = form.map_err(|error| Problem::unavailable(&error))?;
    Ok((position, Json(form)).into_response())
}
