//! What a device needs before it can be written to: keys for both identities, and a way to learn that messages wait.

use commands::keys::RepeatedUseKeys;
use events::account::PushToken;
use serde::{Deserialize, Serialize};

use crate::config::Dialect;
use crate::http::keys::wire::{KyberPreKeyJson, SignedPreKeyJson};
use crate::http::violations::Violations;
use crate::http::wire::Object;

/// The part of a body that activates a device.
#[derive(Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ActivationRequest {
    /// Signed by the account's identity key.
    #[schema(value_type = Option<SignedPreKeyJson>)]
    pub aci_signed_pre_key: Option<Object<SignedPreKeyJson>>,
    /// Signed by the number's identity key.
    #[schema(value_type = Option<SignedPreKeyJson>)]
    pub pni_signed_pre_key: Option<Object<SignedPreKeyJson>>,
    /// Signed by the account's identity key.
    #[schema(value_type = Option<KyberPreKeyJson>)]
    pub aci_pq_last_resort_pre_key: Option<Object<KyberPreKeyJson>>,
    /// Signed by the number's identity key.
    #[schema(value_type = Option<KyberPreKeyJson>)]
    pub pni_pq_last_resort_pre_key: Option<Object<KyberPreKeyJson>>,
    /// Apple's push token.
    #[schema(value_type = Option<ApnToken>)]
    pub apn_token: Option<Object<ApnToken>>,
    /// Google's push token.
    #[schema(value_type = Option<GcmToken>)]
    pub gcm_token: Option<Object<GcmToken>>,
    /// Either, in the form that the library of the official desktop client gives it.
    #[schema(value_type = Option<EitherToken>)]
    pub push_token: Option<Object<EitherToken>>,
}

/// Apple's token.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApnToken {
    /// Not empty.
    #[schema(value_type = String)]
    pub apn_registration_id: Box<str>,
}

/// Google's token.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcmToken {
    /// Not empty.
    #[schema(value_type = String)]
    pub gcm_registration_id: Box<str>,
}

/// One of the two.
#[derive(Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EitherToken {
    /// Apple's.
    #[schema(value_type = Option<String>)]
    pub apn_registration_id: Option<Box<str>>,
    /// Google's.
    #[schema(value_type = Option<String>)]
    pub gcm_registration_id: Option<Box<str>>,
}

/// The keys of a device for both identities of its account.
pub(crate) struct DeviceKeys {
    pub(crate) aci: RepeatedUseKeys,
    pub(crate) pni: RepeatedUseKeys,
}

impl ActivationRequest {
    /// Whether any key of the account's own identity is there.
    pub(crate) fn has_aci_keys(&self) -> bool {
        self.aci_signed_pre_key.is_some() || self.aci_pq_last_resort_pre_key.is_some()
    }

    /// All four keys; or none, which the deployed dialect does not allow.
    pub(crate) fn keys(
        &mut self,
        violations: &mut Violations,
        dialect: Dialect,
    ) -> Option<DeviceKeys> {
        let keys = |signed: Option<Object<SignedPreKeyJson>>,
                    last_resort: Option<Object<KyberPreKeyJson>>| {
            let there = (signed.is_some(), last_resort.is_some());
            let keys = signed
                .zip(last_resort)
                .map(|(signed, last_resort)| RepeatedUseKeys {
                    signed: signed.0.into(),
                    last_resort: last_resort.0.into(),
                });
            (there, keys)
        };
        let aci = keys(
            self.aci_signed_pre_key.take(),
            self.aci_pq_last_resort_pre_key.take(),
        );
        let pni = keys(
            self.pni_signed_pre_key.take(),
            self.pni_pq_last_resort_pre_key.take(),
        );
        let none = [aci.0, pni.0] == [(false, false); 2] && dialect == Dialect::Seed;
        let all = aci.1.zip(pni.1).map(|(aci, pni)| DeviceKeys { aci, pni });
        violations.check(all.is_some() || none, "allKeysPresent must be true");
        all
    }

    /// The push token, if there is one. A device that fetches messages has none; one that does not needs exactly one,
    /// which only the deployed dialect insists on.
    pub(crate) fn push(
        &mut self,
        violations: &mut Violations,
        fetches_messages: bool,
        dialect: Dialect,
    ) -> Option<PushToken> {
        let either = self
            .push_token
            .take()
            .map(|token| token.0)
            .unwrap_or_default();
        let apn = self
            .apn_token
            .take()
            .map(|token| token.0.apn_registration_id);
        let gcm = self
            .gcm_token
            .take()
            .map(|token| token.0.gcm_registration_id);
        let apn = apn
            .into_iter()
            .chain(either.apn_registration_id)
            .map(PushToken::Apn);
        let gcm = gcm
            .into_iter()
            .chain(either.gcm_registration_id)
            .map(PushToken::Fcm);
        let mut tokens: Vec<_> = apn.chain(gcm).collect();
        let well_formed = tokens.iter().all(PushToken::is_well_formed);
        violations.check(well_formed, "pushToken must not be empty");
        let channels = tokens.len() + usize::from(fetches_messages);
        let enough = channels == 1 || (channels == 0 && dialect == Dialect::Seed);
        violations.check(enough, "exactlyOneMessageDeliveryChannel must be true");
        tokens.pop()
    }
}
