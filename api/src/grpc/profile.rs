//! `profile.Profile`: one's own profile, and those of others, for devices.
//!
//! | call | status | when |
//! |---|---|---|
//! | all | 16 | no or wrong credentials; the device is gone |
//! | `GetProfile` | 8 | too many of them |
//! | `SetProfile` | 3 | a field breaks its rule; no commitment, one that is none, or another one than the version has |
//! | `SetProfile`, `SetV1Avatar` | 14 | the object store does not answer |
//! | `SetV1Avatar` | 3 | a new version without a commitment |
//!
//! That somebody else was faster, that the account speaks the first form of profiles only, or that there is no such
//! profile, are outcomes.

use bytes::Bytes;
use commands::profile::set_avatar::{SetAvatar, SetAvatarRefused};
use commands::profile::set_profile::{AvatarChange, ProfileForm, SetProfile, SetProfileRefused};
use crypto::zk::profile::Commitment;
use events::payload::PayloadDigest;
use events::values::profile::{AvatarKey, ProfileFields, ProfileKeyCommitment};
use projections::Model;
use tonic::{Request, Response, Status};

use super::call::{DeviceCall, at};
use super::profiles::{Shown, version, wanted};
use super::proto::errors::{FailedPrecondition, NotFound};
use super::proto::profile::get_profile_response::Response as Found;
use super::proto::profile::profile_server::Profile;
use super::proto::profile::set_profile_response::Response as Written;
use super::proto::profile::set_profile_v1_request::AvatarChange as Change;
use super::proto::profile::{
    GetAvatarCredentialsRequest, GetAvatarCredentialsResponse, GetProfileRequest,
    GetProfileResponse, PaymentsForbiddenInRegion, ProfilesV2CapabilityRequired, SetProfileRequest,
    SetProfileResponse, SetProfileResult, SetV1AvatarRequest, SetV1AvatarResponse,
};
use super::{Door, status};
use crate::http::profile::set::payments_barred;
use crate::limits;
use crate::limits::rates::Limit;

fn commitment(bytes: &Bytes) -> Result<ProfileKeyCommitment, Status> {
    let refused = || status::violated("commitment", "must be a profile key commitment");
    Commitment::parse(bytes).map_err(|_| refused())?;
    ProfileKeyCommitment::try_from(bytes.to_vec()).map_err(|_| refused())
}

/// Nothing for no bytes, which is how messages say so.
fn said(bytes: &Bytes) -> Option<&Bytes> {
    (!bytes.is_empty()).then_some(bytes)
}

fn expected(request: &SetProfileRequest) -> Result<ProfileForm, Status> {
    let hash = said(&request.expected_current_data_hash).map(|hash| {
        let hash = hash[..].try_into().map(PayloadDigest);
        hash.map_err(|_| status::violated("expected_current_data_hash", "must have a size of 32"))
    });
    Ok(ProfileForm::Second {
        data: hash.transpose()?,
        current: said(&request.expected_current_version)
            .map(version)
            .transpose()?,
    })
}

impl Door {
    /// The command, and whether a picture is to come.
    async fn writing(
        &self,
        call: &DeviceCall<SetProfileRequest>,
        random: [u8; 16],
    ) -> Result<SetProfile, Status> {
        let request = &call.message;
        let first = request.v1_request.clone().unwrap_or_default();
        let avatar = match Change::try_from(first.avatar_change) {
            Ok(Change::Unchanged) => AvatarChange::Keep,
            Ok(Change::Clear) => AvatarChange::Clear,
            Ok(Change::Update) => AvatarChange::Replace(AvatarKey::from_random(random)),
            Err(_) => return Err(status::violated("avatar_change", "must be a change")),
        };
        let barred = match said(&request.payment_address) {
            Some(_) => payments_barred(&self.0, call.caller.aci)
                .await
                .map_err(status::unanswered)?,
            None => false,
        };
        Ok(SetProfile {
            aci: call.caller.aci,
            device: call.caller.device,
            slot: Some(version(&request.version)?),
            commitment: Some(commitment(&request.commitment)?),
            fields: ProfileFields {
                name: first.name.to_vec(),
                about: first.about.to_vec(),
                about_emoji: first.about_emoji.to_vec(),
                payment_address: request.payment_address.to_vec(),
                phone_number_sharing: first.phone_number_sharing.to_vec(),
                data: request.data.to_vec(),
            },
            avatar,
            payments_barred: barred,
            form: expected(request)?,
        })
    }
}

fn not_written(refused: SetProfileRefused) -> Result<Written, Status> {
    let failed = FailedPrecondition::default;
    match refused {
        SetProfileRefused::NoSuchDevice => Err(status::invalid_credentials()),
        SetProfileRefused::SecondFormSpoken | SetProfileRefused::SecondFormNotSpoken => Ok(
            Written::ProfilesV2CapabilityRequired(ProfilesV2CapabilityRequired {}),
        ),
        SetProfileRefused::OtherCurrentVersion => {
            Ok(Written::ExpectedVersionWriteConflict(failed()))
        }
        SetProfileRefused::OtherData => Ok(Written::ExpectedDataWriteConflict(failed())),
        SetProfileRefused::OtherCommitment => Err(status::violated(
            "commitment",
            "must be the one that the version has",
        )),
        SetProfileRefused::PaymentsBarred => Ok(Written::PaymentsForbiddenInRegion(
            PaymentsForbiddenInRegion {},
        )),
    }
}

#[tonic::async_trait]
impl Profile for Door {
    async fn set_profile(
        &self,
        request: Request<SetProfileRequest>,
    ) -> Result<Response<SetProfileResponse>, Status> {
        let call = DeviceCall::of(request);
        let random = self.0.entropy.bytes();
        let command = self.writing(&call, random).await?;
        let answer = |outcome| SetProfileResponse {
            response: Some(outcome),
        };
        let set = self.0.executor.execute(&command, &call.context).await;
        match status::decided(set)? {
            Ok(set) => {
                let position = self.0.settled(&set, &[Model::Profiles]).await;
                let form = match command.avatar {
                    AvatarChange::Replace(_) => {
                        Some(self.picture_form(random, limits::AVATAR).await?)
                    }
                    AvatarChange::Keep | AvatarChange::Clear => None,
                };
                let result = SetProfileResult {
                    v1_avatar_upload_form: form,
                };
                Ok(at(position, answer(Written::Result(result))))
            }
            Err(refused) => Ok(Response::new(answer(not_written(refused)?))),
        }
    }

    async fn get_profile(
        &self,
        request: Request<GetProfileRequest>,
    ) -> Result<Response<GetProfileResponse>, Status> {
        let call = DeviceCall::of(request);
        self.count_by_account(Limit::Profile, &call).await?;
        let known = call.message.etag.clone();
        let (aci, version) = wanted(call.message)?;
        let account = self.0.queries.accounts().by_aci(aci).await;
        let shown = match account.map_err(status::unanswered)? {
            Some(account) => self.shown_profile(&account, version, &known).await?,
            None => None,
        };
        let outcome = match shown {
            Some(Shown::Second(profile)) => Found::Profile(profile),
            Some(Shown::First(profile)) => Found::LegacyProfile(profile),
            Some(Shown::Unchanged) => Found::EtagMatched(true),
            None => Found::NotFound(NotFound {}),
        };
        Ok(Response::new(GetProfileResponse {
            response: Some(outcome),
        }))
    }

    async fn get_avatar_credentials(
        &self,
        request: Request<GetAvatarCredentialsRequest>,
    ) -> Result<Response<GetAvatarCredentialsResponse>, Status> {
        self.avatar_credentials(DeviceCall::of(request)).await
    }

    async fn set_v1_avatar(
        &self,
        request: Request<SetV1AvatarRequest>,
    ) -> Result<Response<SetV1AvatarResponse>, Status> {
        let call = DeviceCall::of(request);
        let version = call.message.version.parse();
        let random = self.0.entropy.bytes();
        let command = SetAvatar {
            aci: call.caller.aci,
            device: call.caller.device,
            version: version.map_err(|_| status::violated("version", "must be hex"))?,
            commitment: said(&call.message.commitment).map(commitment).transpose()?,
            key: AvatarKey::from_random(random),
        };
        let set = self.0.executor.execute(&command, &call.context).await;
        match status::decided(set)? {
            Ok(set) => {
                let position = self.0.settled(&set, &[Model::Profiles]).await;
                let form = Some(self.picture_form(random, limits::AVATAR).await?);
                Ok(at(position, SetV1AvatarResponse { form }))
            }
            Err(SetAvatarRefused::NoSuchDevice) => Err(status::invalid_credentials()),
            Err(SetAvatarRefused::NoCommitment) => Err(status::violated(
                "commitment",
                "must be there for a new version",
            )),
        }
    }
}
