//! Somebody is given the keys to start sessions with an account's devices.

use async_trait::async_trait;
use bytes::Bytes;
use events::ids::IdentityKind;
use events::keys::{OneTimePreKeyTaken, PreKeyKind};
use events::store::PayloadSlice;
use events::values::keys::{EcPreKey, EcPublicKey, KyberPreKey, PageRecord, SignedPreKey};
use events::{Aci, DeviceId, RegistrationId, ServiceId, StreamId};
use futures::future::try_join_all;

use super::state::{PreKeys, slice_of};
use crate::account::access::Denied;
use crate::account::{Account, Caller, Device, Live};
use crate::command::{Command, Refusal, Stop, Unavailable};
use crate::executor::work::{Loaded, Work};
use crate::number::resolve;

/// Takes one-time keys of one or all devices of an account, and the keys that are handed out again and again. Each
/// one-time key is given to one caller only: it is taken in the log before anybody sees it.
#[derive(Clone, Debug)]
pub struct TakePreKeys {
    /// Whose, and of which identity.
    pub target: ServiceId,
    /// Of which device; `None` means all.
    pub device: Option<DeviceId>,
    /// For whom.
    pub caller: Caller,
}

/// What a caller needs to start sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreKeyBundles {
    /// Of the identity that was asked for.
    pub identity_key: EcPublicKey,
    /// One at least.
    pub devices: Vec<DeviceBundle>,
}

/// One device's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceBundle {
    /// The device.
    pub device: DeviceId,
    /// Its registration id for the identity.
    pub registration_id: RegistrationId,
    /// Its signed pre-key.
    pub signed: SignedPreKey,
    /// A one-time key, while there are any.
    pub one_time: Option<EcPreKey>,
    /// A one-time Kyber key or the last resort. Missing only if the device has never uploaded one.
    pub kyber: Option<KyberPreKey>,
}

/// Why no keys are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakePreKeysRefused {
    /// What the caller shows does not open the account, or there is nothing to open.
    #[error("what the caller shows does not open this account")]
    Unauthorized,
    /// There is no such account or device, or none of its devices has keys.
    #[error("no keys at this address")]
    NotFound,
}

impl Refusal for TakePreKeysRefused {}

impl From<Denied> for TakePreKeysRefused {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unauthorized => Self::Unauthorized,
            Denied::NotFound => Self::NotFound,
        }
    }
}

impl TakePreKeys {
    /// Whether the caller may have keys of the account, and of which devices.
    pub fn choose<'a>(
        &self,
        account: Option<&'a Live>,
    ) -> Result<Vec<(DeviceId, &'a Device)>, TakePreKeysRefused> {
        self.caller.reaches(self.target, account.map(Live::lock))?;
        let absent = TakePreKeysRefused::from(self.caller.absent());
        let account = account.ok_or(absent)?;
        let wanted = |id: &DeviceId| self.device.is_none_or(|device| device == *id);
        let devices = account.devices.iter().filter(|(id, _)| wanted(id));
        let devices: Vec<_> = devices.map(|(id, device)| (*id, device)).collect();
        if devices.is_empty() {
            Err(absent)
        } else {
            Ok(devices)
        }
    }
}

/// The keys that one device gives away.
struct Share {
    device: DeviceId,
    registration_id: RegistrationId,
    keys: Loaded<PreKeys>,
    signed: SignedPreKey,
    one_time: Option<OneTimePreKeyTaken>,
    one_time_kyber: Option<OneTimePreKeyTaken>,
}

impl Share {
    /// What the device gives; nothing if it has no signed pre-key for the identity.
    fn of(
        (id, device): (DeviceId, &Device),
        identity: IdentityKind,
        keys: Loaded<PreKeys>,
    ) -> Option<Self> {
        Some(Self {
            device: id,
            registration_id: device.registration_id(identity)?,
            signed: keys.signed.clone()?,
            one_time: keys.ec.take(PreKeyKind::Ec),
            one_time_kyber: keys.kyber.take(PreKeyKind::Kyber),
            keys,
        })
    }

    fn one_time_slice(&self) -> Option<PayloadSlice> {
        self.one_time.as_ref().map(slice_of::<EcPreKey>)
    }

    fn kyber_slice(&self) -> Option<PayloadSlice> {
        let last_resort = || {
            let record = self.keys.last_resort?;
            Some(PayloadSlice {
                id: record.id,
                offset: 0,
                length: record.length,
            })
        };
        self.one_time_kyber
            .as_ref()
            .map(slice_of::<KyberPreKey>)
            .or_else(last_resort)
    }

    /// The bundle, from the records that were asked for in the order of the two slices.
    fn bundle(
        &self,
        records: &mut impl Iterator<Item = Bytes>,
    ) -> Result<DeviceBundle, Unavailable> {
        Ok(DeviceBundle {
            device: self.device,
            registration_id: self.registration_id,
            signed: self.signed.clone(),
            one_time: self
                .one_time_slice()
                .and_then(|_| read(records))
                .transpose()?,
            kyber: self.kyber_slice().and_then(|_| read(records)).transpose()?,
        })
    }
}

fn read<R: PageRecord>(
    records: &mut impl Iterator<Item = Bytes>,
) -> Option<Result<R, Unavailable>> {
    let record = records.next()?;
    Some(R::read(&record).map_err(Unavailable::from_source))
}

/// Reads the records beside the log. One that is gone was replaced after its stream was read.
async fn bundles(
    work: &Work<'_>,
    shares: &[Share],
) -> Result<Vec<DeviceBundle>, Stop<TakePreKeysRefused>> {
    let slices_of = |share: &Share| [share.one_time_slice(), share.kyber_slice()];
    let slices: Vec<_> = shares.iter().flat_map(slices_of).flatten().collect();
    let records: Option<Vec<Bytes>> = work.fetch(&slices).await?.into_iter().collect();
    let mut records = records.ok_or(Stop::Stale)?.into_iter();
    let bundles: Result<_, _> = shares
        .iter()
        .map(|share| share.bundle(&mut records))
        .collect();
    Ok(bundles?)
}

async fn load_keys(
    work: &Work<'_>,
    identity: ServiceId,
    devices: &[(DeviceId, &Device)],
) -> Result<Vec<Loaded<PreKeys>>, Unavailable> {
    let load = |(id, device): &(DeviceId, &Device)| {
        work.load::<PreKeys>((identity, *id, device.generation))
    };
    try_join_all(devices.iter().map(load)).await
}

#[async_trait]
impl Command for TakePreKeys {
    type Done = PreKeyBundles;
    type Refused = TakePreKeysRefused;
    const NAME: &'static str = "TakePreKeys";

    fn turn(&self) -> Option<StreamId> {
        Some(match self.target {
            ServiceId::Aci(aci) => StreamId::account(aci),
            ServiceId::Pni(pni) => StreamId::number(pni),
        })
    }

    /// Reads the records before the keys are taken: if that fails, no key is lost, and a page cannot be replaced and
    /// erased in between without the append noticing.
    async fn run(&self, work: &mut Work<'_>) -> Result<PreKeyBundles, Stop<TakePreKeysRefused>> {
        let target: Option<(Aci, Loaded<Account>)> = resolve(work, self.target).await?;
        let account = target
            .as_ref()
            .and_then(|(_, account)| account.live.as_deref());
        let devices = self.choose(account)?;
        let identity = self.target.kind();
        let identity_key = account
            .and_then(|account| account.identity_key(identity))
            .ok_or(TakePreKeysRefused::NotFound)?;
        let keys = load_keys(work, self.target, &devices).await?;
        let shares: Vec<Share> = devices
            .into_iter()
            .zip(keys)
            .filter_map(|(device, keys)| Share::of(device, identity, keys))
            .collect();
        if shares.is_empty() {
            return Err(TakePreKeysRefused::NotFound.into());
        }
        let devices = bundles(work, &shares).await?;
        for share in shares {
            work.record(
                &share.keys,
                share.one_time.into_iter().chain(share.one_time_kyber),
            );
        }
        Ok(PreKeyBundles {
            identity_key: identity_key.clone(),
            devices,
        })
    }
}
