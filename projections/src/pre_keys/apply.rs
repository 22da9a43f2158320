//! From events to what is known of pre-keys.

use async_trait::async_trait;
use events::account::AccountEvent;
use events::codec::{AnyEvent, Fact};
use events::keys::{KeysEvent, PreKeyKind};
use events::values::keys::SignedPreKey;
use events::{DeviceId, Family, Generation, PayloadId, ServiceId};
use sqlx::PgConnection;
use subscription::{Need, Unfit};

use super::{TABLE, row};
use crate::drafts::{Drafts, Entity, Rows as _};
use crate::read_model::{ReadModel, id_of};

/// The read model.
pub(crate) struct PreKeys;

/// Whose keys: an identity, and one life of a device.
pub(super) type Holder = (ServiceId, Generation, DeviceId);

/// A row: the current pages of a device, and the keys that it hands out again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stock {
    pub(super) holder: Holder,
    pub(super) ec: Page,
    pub(super) kyber: Page,
    pub(super) signed: Option<SignedPreKey>,
    pub(super) last_resort: Option<PayloadId>,
}

/// One-time keys of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) id: Option<PayloadId>,
    pub(super) total: u32,
    pub(super) left: u32,
}

pub(crate) enum StockPatch {
    /// A page took the place of the former one of its kind.
    Uploaded(PreKeyKind, Page),
    /// A signed pre-key took the place of the former one.
    Rotated(SignedPreKey),
    /// A key of last resort took the place of the former one.
    LastResort(PayloadId),
    /// None of the keys is good any more.
    Dropped,
    /// The key with this index was taken. Keys are taken in the order of their page.
    Taken(PreKeyKind, PayloadId, u16),
}

impl Stock {
    pub(super) fn empty(holder: Holder) -> Self {
        Self {
            holder,
            ec: Page::default(),
            kyber: Page::default(),
            signed: None,
            last_resort: None,
        }
    }

    fn page(&mut self, kind: PreKeyKind) -> &mut Page {
        match kind {
            PreKeyKind::Ec => &mut self.ec,
            PreKeyKind::Kyber => &mut self.kyber,
        }
    }
}

impl Entity for Stock {
    type Key = Holder;
    type Patch = StockPatch;

    fn key(&self) -> Holder {
        self.holder
    }

    fn patch(&mut self, patch: StockPatch) -> bool {
        match patch {
            StockPatch::Uploaded(kind, page) => *self.page(kind) = page,
            StockPatch::Rotated(key) => self.signed = Some(key),
            StockPatch::LastResort(record) => self.last_resort = Some(record),
            StockPatch::Dropped => *self = Self::empty(self.holder),
            StockPatch::Taken(kind, id, index) => {
                let page = self.page(kind);
                if page.id == Some(id) {
                    let behind = page.total.saturating_sub(u32::from(index) + 1);
                    page.left = page.left.min(behind);
                }
            }
        }
        true
    }
}

/// What a stretch of the log does to the rows.
#[derive(Default)]
pub(crate) struct Changes {
    /// Identities that lose the keys of all generations before this one, before anything else is done.
    pub(super) wiped: Vec<(ServiceId, Generation)>,
    pub(super) drafts: Drafts<Stock>,
}

/// Comes after every generation.
const NO_GENERATION: Generation = Generation(u32::MAX);

impl Changes {
    fn wipe(&mut self, identity: ServiceId, before: Generation) {
        let first = (identity, Generation::default(), DeviceId::PRIMARY);
        self.drafts
            .forget(first..(identity, before, DeviceId::PRIMARY));
        self.wiped.push((identity, before));
    }

    fn apply_keys(&mut self, holder: Holder, event: &KeysEvent) {
        match event {
            KeysEvent::PreKeysUploaded(e) => {
                let total = u32::try_from(e.key_ids.len()).unwrap_or(u32::MAX);
                let page = Page {
                    id: Some(e.page.id),
                    total,
                    left: total,
                };
                self.drafts
                    .patch(holder, StockPatch::Uploaded(e.kind, page));
            }
            KeysEvent::OneTimePreKeyTaken(e) => {
                self.drafts
                    .patch(holder, StockPatch::Taken(e.kind, e.page, e.index));
            }
            KeysEvent::PreKeysDropped(_) => self.drafts.patch(holder, StockPatch::Dropped),
            KeysEvent::SignedPreKeyRotated(e) => {
                self.drafts
                    .patch(holder, StockPatch::Rotated(e.key.clone()));
            }
            KeysEvent::LastResortPreKeySet(e) => {
                self.drafts
                    .patch(holder, StockPatch::LastResort(e.record.id));
            }
        }
    }

    fn apply_account(&mut self, aci: ServiceId, event: &AccountEvent) {
        match event {
            AccountEvent::AccountReregistered(e) => {
                self.wipe(aci, e.primary.generation);
                self.wipe(e.pni.into(), e.primary.generation);
            }
            AccountEvent::AccountDeleted(e) => {
                self.wipe(aci, NO_GENERATION);
                self.wipe(e.pni.into(), NO_GENERATION);
            }
            AccountEvent::NumberChanged(e) => {
                if e.former != e.pni {
                    self.wipe(e.former.into(), NO_GENERATION);
                }
            }
            // A removed device's keys are never asked for again; they go with the account. Its event does not say
            // which number's keys it had.
            AccountEvent::DeviceRemoved(_)
            | AccountEvent::AccountRegistered(_)
            | AccountEvent::DeviceLinked(_)
            | AccountEvent::AttributesChanged(_)
            | AccountEvent::RegistrationLockFailed(_)
            | AccountEvent::RecoveryPasswordDropped(_)
            | AccountEvent::IdentityKeySet(_)
            | AccountEvent::RecoveryPasswordSet(_)
            | AccountEvent::RegistrationLockChanged(_)
            | AccountEvent::AccessChanged(_)
            | AccountEvent::PushTokenChanged(_)
            | AccountEvent::DeviceRenamed(_)
            | AccountEvent::UsernameReservationSet(_)
            | AccountEvent::UsernameConfirmed(_)
            | AccountEvent::UsernameDropped(_)
            | AccountEvent::UsernameLinkChanged(_)
            | AccountEvent::TotpKeyGenerated(_)
            | AccountEvent::TotpKeyConfirmed(_)
            | AccountEvent::TotpKeyMetadataSet(_)
            | AccountEvent::TotpKeyRemoved(_)
            | AccountEvent::BackupRequestsSet(_)
            | AccountEvent::DeviceSeen(_)
            | AccountEvent::ZkCredentialKeySet(_)
            | AccountEvent::DeviceFetchesMessages(_)
            | AccountEvent::ChallengeMet(_)
            | AccountEvent::DeviceCapabilitiesChanged(_)
            | AccountEvent::TransferArchiveOffered(_) => {}
        }
    }
}

#[async_trait]
impl ReadModel for PreKeys {
    const NAME: &'static str = "pre_keys";
    const VERSION: u32 = 1;
    const FAMILIES: &'static [Family] = &[Family::Keys, Family::Account];
    const TABLES: &'static [&'static str] = &[TABLE];

    type Changes = Changes;

    fn needs(family: Family, kind: &str) -> Need {
        match (family, kind) {
            (Family::Account, "AttributesChanged" | "DeviceSeen") => Need::Nothing,
            _ => Need::Sealed,
        }
    }

    fn fold(facts: &[&Fact]) -> Result<Changes, Unfit> {
        let mut changes = Changes::default();
        for fact in facts {
            match &fact.event {
                AnyEvent::Keys(event) => {
                    let (identity, device, generation) = id_of(fact, fact.stream.as_keys())?;
                    changes.apply_keys((identity, generation, device), event);
                }
                AnyEvent::Account(event) => {
                    let aci = id_of(fact, fact.stream.as_account())?;
                    changes.apply_account(aci.into(), event);
                }
                AnyEvent::Mailbox(_)
                | AnyEvent::Number(_)
                | AnyEvent::Verification(_)
                | AnyEvent::Operator(_)
                | AnyEvent::Username(_)
                | AnyEvent::Profile(_)
                | AnyEvent::Erasure(_)
                | AnyEvent::Tree(_)
                | AnyEvent::Picture(_) => {}
            }
        }
        Ok(changes)
    }

    async fn write(connection: &mut PgConnection, changes: Changes) -> Result<(), sqlx::Error> {
        row::wipe(connection, &changes.wiped).await?;
        let stocks = row::load(connection, &changes.drafts.wanting()).await?;
        let empty = |key| Some(Stock::empty(key));
        let settled = changes.drafts.settle_or(stocks, empty);
        row::store(connection, &settled.stored).await
    }
}
