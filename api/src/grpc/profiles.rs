//! What the two profile services share: a version of a profile, for somebody who may see it.

use bytes::Bytes;
use crypto::access_key::checksum;
use crypto::tuple_hash::tuple_hash_256;
use events::Aci;
use events::values::Capability;
use events::values::profile::{ProfileFields, ProfileVersion};
use projections::accounts::Account;
use projections::devices::Device;
use projections::profiles::StoredProfile;
use tonic::Status;

use super::proto::profile::{AccountInfo, GetProfileRequest, LegacyProfileResult, ProfileResult};
use super::{Door, ids, status};

/// Which account, and which version of its profile.
pub(super) fn wanted(request: GetProfileRequest) -> Result<(Aci, ProfileVersion), Status> {
    let aci = ids::aci(request.account_identifier)?;
    Ok((aci, version(&request.version)?))
}

/// A version is named by 32 bytes; REST clients write them in hex.
pub(super) fn version(bytes: &Bytes) -> Result<ProfileVersion, Status> {
    hex::encode(bytes)
        .parse()
        .map_err(|_| status::violated("version", "must have a size of 32"))
}

fn info(account: &Account) -> AccountInfo {
    let key = account.identity.aci.as_ref();
    let access = account.access_key.as_ref();
    AccountInfo {
        identity_key: key
            .map(|key| Bytes::copy_from_slice(key.as_ref()))
            .unwrap_or_default(),
        unidentified_access_key_fingerprint: access
            .map(|key| Bytes::copy_from_slice(&checksum(key)))
            .unwrap_or_default(),
        unrestricted_unidentified_access: account.unrestricted,
        badge_ids: Vec::new(),
    }
}

/// What a reader of a profile is shown.
pub(super) enum Shown {
    /// The version in the second form.
    Second(ProfileResult),
    /// The version in the first form.
    First(LegacyProfileResult),
    /// What the reader has already.
    Unchanged,
}

/// By which a reader sees whether anything has changed: all that the second form shows, in this order.
fn etag(result: &ProfileResult, info: &AccountInfo) -> Bytes {
    let mut badges = info.badge_ids.clone();
    badges.sort_unstable();
    let count = u32::try_from(badges.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    let unrestricted = [u8::from(info.unrestricted_unidentified_access)];
    let mut tuple: Vec<&[u8]> = vec![
        &result.data,
        &result.payment_address,
        &info.identity_key,
        &info.unidentified_access_key_fingerprint,
        &unrestricted,
        &count,
    ];
    tuple.extend(badges.iter().map(String::as_bytes));
    Bytes::copy_from_slice(&tuple_hash_256::<10>(&tuple, b"ProfileETag/v1"))
}

impl Door {
    /// A version that somebody wrote; nothing if nobody did. Only accounts all of whose devices speak the second form
    /// are shown in it.
    pub(super) async fn shown_profile(
        &self,
        account: &Account,
        version: ProfileVersion,
        known: &Bytes,
    ) -> Result<Option<Shown>, Status> {
        let stored = self
            .0
            .queries
            .profiles()
            .version(account.aci, version)
            .await;
        let Some(stored) = stored.map_err(status::unanswered)? else {
            return Ok(None);
        };
        let data = stored.fields.as_ref().map(|fields| fields.data.clone());
        let data = data.filter(|data| !data.is_empty());
        let devices = self.devices_of(account.aci).await?;
        Ok(Some(match data.filter(|_| speaks_second_form(&devices)) {
            Some(data) => second(account, &stored, data, known),
            None => Shown::First(first(account, &stored)),
        }))
    }
}

fn speaks_second_form(devices: &[Device]) -> bool {
    let mut all = devices.iter();
    !devices.is_empty() && all.all(|it| it.capabilities.contains(&Capability::ProfilesV2))
}

/// Where payments go stands in the current version only.
fn payments(stored: &StoredProfile, fields: &ProfileFields) -> Bytes {
    let address = fields.payment_address.as_slice();
    Bytes::copy_from_slice(if stored.current { address } else { &[] })
}

fn second(account: &Account, stored: &StoredProfile, data: Vec<u8>, known: &Bytes) -> Shown {
    let info = info(account);
    let mut result = ProfileResult {
        data: data.into(),
        payment_address: stored
            .fields
            .as_ref()
            .map(|fields| payments(stored, fields))
            .unwrap_or_default(),
        ..ProfileResult::default()
    };
    result.etag = etag(&result, &info);
    if result.etag == *known {
        return Shown::Unchanged;
    }
    result.account_info = Some(info);
    Shown::Second(result)
}

fn first(account: &Account, stored: &StoredProfile) -> LegacyProfileResult {
    let fields = stored.fields.clone().unwrap_or_default();
    LegacyProfileResult {
        payment_address: payments(stored, &fields),
        name: fields.name.into(),
        about: fields.about.into(),
        about_emoji: fields.about_emoji.into(),
        avatar: stored.avatar.map(|key| key.to_string()).unwrap_or_default(),
        phone_number_sharing: fields.phone_number_sharing.into(),
        account_info: Some(info(account)),
    }
}
