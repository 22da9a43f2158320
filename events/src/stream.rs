//! Streams: where the facts about one thing stand, in order.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{Aci, DeviceAddress, DeviceId, Generation, InvalidId, Pni, ServiceId, SessionId};
use crate::values::profile::PictureName;
use crate::values::username::UsernameHash;

/// A kind of stream. The number is what the store keeps; neither it nor the name may ever change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(i16)]
pub enum Family {
    /// `account-{aci}`: identity, devices, locks.
    Account = 1,
    /// `keys-{service id}.{device}.{generation}`: pre-keys of one device and identity.
    Keys = 2,
    /// `mailbox-{aci}.{device}.{generation}`: what waits for one device.
    Mailbox = 3,
    /// `number-{pni}`: who holds a phone number.
    Number = 4,
    /// `verification-{session}`: proof that somebody controls a phone number.
    Verification = 5,
    /// `operator-{id}`: what administrators did.
    Operator = 6,
    /// `username-{hash}`: who may have a username.
    Username = 7,
    /// `profile-{aci}`: what an account shows of itself.
    Profile = 8,
    /// `erasure-{aci}`, `erasure-payloads`: what was destroyed.
    Erasure = 11,
    /// `tree-log`: signed heads of the Merkle tree over the log.
    Tree = 12,
    /// `picture-{name}`: a picture of somebody whom nobody knows.
    Picture = 13,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 11] = [
        Self::Account,
        Self::Keys,
        Self::Mailbox,
        Self::Number,
        Self::Verification,
        Self::Operator,
        Self::Username,
        Self::Profile,
        Self::Erasure,
        Self::Tree,
        Self::Picture,
    ];

    /// The name in front of the stream's key.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Keys => "keys",
            Self::Mailbox => "mailbox",
            Self::Number => "number",
            Self::Verification => "verification",
            Self::Operator => "operator",
            Self::Username => "username",
            Self::Profile => "profile",
            Self::Erasure => "erasure",
            Self::Tree => "tree",
            Self::Picture => "picture",
        }
    }

    /// The number in the store's `family` column.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The family of a stored number.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.code() == code)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Family {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::ALL
            .into_iter()
            .find(|family| family.name() == text)
            .ok_or_else(|| InvalidId::new("stream family", text))
    }
}

/// The name of a stream: a family and a key, written `family-key`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    family: Family,
    /// Shared: events of one stream name it again and again on their way.
    key: Arc<str>,
}

impl StreamId {
    /// The facts about one account.
    pub fn account(aci: Aci) -> Self {
        Self::new(Family::Account, aci)
    }

    /// The pre-keys of one device for one of its identities.
    pub fn keys(identity: ServiceId, device: DeviceId, generation: Generation) -> Self {
        Self::new(
            Family::Keys,
            format_args!("{identity}.{device}.{generation}"),
        )
    }

    /// What waits for one device.
    pub fn mailbox(
        DeviceAddress {
            aci,
            device,
            generation,
        }: DeviceAddress,
    ) -> Self {
        Self::new(Family::Mailbox, format_args!("{aci}.{device}.{generation}"))
    }

    /// Who holds a phone number.
    pub fn number(pni: Pni) -> Self {
        Self::new(Family::Number, pni)
    }

    /// One verification session.
    pub fn verification(session: SessionId) -> Self {
        Self::new(Family::Verification, session)
    }

    /// What the operators of this installation did.
    pub fn operator(id: &str) -> Self {
        Self::new(Family::Operator, id)
    }

    /// Who may have a username.
    pub fn username(hash: UsernameHash) -> Self {
        Self::new(Family::Username, hash)
    }

    /// What one account shows of itself.
    pub fn profile(aci: Aci) -> Self {
        Self::new(Family::Profile, aci)
    }

    /// What was destroyed of one account.
    pub fn erasure(aci: Aci) -> Self {
        Self::new(Family::Erasure, aci)
    }

    /// What was destroyed because its purpose had ended.
    pub fn erased_payloads() -> Self {
        Self::new(Family::Erasure, "payloads")
    }

    /// The signed heads of the tree over the log.
    pub fn tree() -> Self {
        Self::new(Family::Tree, "log")
    }

    /// A picture of somebody whom nobody knows.
    pub fn picture(name: PictureName) -> Self {
        Self::new(Family::Picture, name)
    }

    fn new(family: Family, key: impl fmt::Display) -> Self {
        Self {
            family,
            key: key.to_string().into(),
        }
    }

    /// Puts a stored name together again.
    pub fn from_parts(family: Family, key: &str) -> Self {
        Self {
            family,
            key: key.into(),
        }
    }

    /// The family.
    pub const fn family(&self) -> Family {
        self.family
    }

    /// What follows the family and the dash.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The account of an `account-` stream.
    pub fn as_account(&self) -> Option<Aci> {
        (self.family == Family::Account)
            .then(|| self.key.parse().ok())
            .flatten()
    }

    /// The device of a `mailbox-` stream.
    pub fn as_mailbox(&self) -> Option<DeviceAddress> {
        let (aci, device, generation) = self.device_key(Family::Mailbox)?;
        Some(DeviceAddress {
            aci: aci.parse().ok()?,
            device,
            generation,
        })
    }

    /// Identity, device and generation of a `keys-` stream.
    pub fn as_keys(&self) -> Option<(ServiceId, DeviceId, Generation)> {
        let (identity, device, generation) = self.device_key(Family::Keys)?;
        Some((identity.parse().ok()?, device, generation))
    }

    /// The number's pseudonym of a `number-` stream.
    pub fn as_number(&self) -> Option<Pni> {
        (self.family == Family::Number)
            .then(|| self.key.parse().ok())
            .flatten()
    }

    /// The session of a `verification-` stream.
    pub fn as_verification(&self) -> Option<SessionId> {
        (self.family == Family::Verification)
            .then(|| self.key.parse().ok())
            .flatten()
    }

    /// The hash of a `username-` stream.
    pub fn as_username(&self) -> Option<UsernameHash> {
        (self.family == Family::Username)
            .then(|| self.key.parse().ok())
            .flatten()
    }

    /// The account of a `profile-` stream.
    pub fn as_profile(&self) -> Option<Aci> {
        (self.family == Family::Profile)
            .then(|| self.key.parse().ok())
            .flatten()
    }

    /// The name of a `picture-` stream.
    pub fn as_picture(&self) -> Option<PictureName> {
        (self.family == Family::Picture)
            .then(|| self.key.parse().ok())
            .flatten()
    }

    fn device_key(&self, family: Family) -> Option<(&str, DeviceId, Generation)> {
        if self.family != family {
            return None;
        }
        let (rest, generation) = self.key.rsplit_once('.')?;
        let (owner, device) = rest.rsplit_once('.')?;
        Some((owner, device.parse().ok()?, generation.parse().ok()?))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.family, self.key)
    }
}

impl FromStr for StreamId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (family, key) = text
            .split_once('-')
            .ok_or_else(|| InvalidId::new("stream name", text))?;
        Ok(Self::from_parts(family.parse()?, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn names_read_back() {
        let aci = Aci::from_uuid(Uuid::from_u128(7));
        let pni = Pni::from_uuid(Uuid::from_u128(8));
        let address = DeviceAddress {
            aci,
            device: DeviceId::PRIMARY,
            generation: Generation(3),
        };
        let mailbox = StreamId::mailbox(address);
        assert_eq!(
            mailbox.to_string(),
            "mailbox-00000000-0000-0000-0000-000000000007.1.3"
        );
        assert_eq!(mailbox.to_string().parse::<StreamId>().unwrap(), mailbox);
        assert_eq!(mailbox.as_mailbox(), Some(address));
        assert_eq!(mailbox.as_account(), None);
        let keys = StreamId::keys(pni.into(), DeviceId::PRIMARY, Generation(1));
        assert_eq!(
            keys.to_string(),
            "keys-PNI:00000000-0000-0000-0000-000000000008.1.1"
        );
        assert_eq!(
            keys.as_keys(),
            Some((pni.into(), DeviceId::PRIMARY, Generation(1)))
        );
    }

    #[test]
    fn family_codes_and_names_are_frozen() {
        let table: Vec<_> = Family::ALL
            .into_iter()
            .map(|f| format!("{} {f}", f.code()))
            .collect();
        assert_eq!(
            table,
            [
                "1 account",
                "2 keys",
                "3 mailbox",
                "4 number",
                "5 verification",
                "6 operator",
                "7 username",
                "8 profile",
                "11 erasure",
                "12 tree",
                "13 picture"
            ]
        );
        assert!(
            Family::ALL
                .into_iter()
                .all(|f| Family::from_code(f.code()) == Some(f))
        );
    }
}
