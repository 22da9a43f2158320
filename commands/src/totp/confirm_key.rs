//! The owner shows that they have stored a key.

use async_trait::async_trait;
use events::account::TotpKeyConfirmed;
use events::values::totp::{TotpKeyId, TotpMetadata};
use events::{Aci, StreamId, Timestamp};

use super::state::MAX_KEYS;
use crate::account::Account;
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Puts the key that waits in force. Confirming the newest key again, after a lost answer, tells its number again.
#[derive(Clone, Debug)]
pub struct ConfirmTotpKey {
    /// The account.
    pub aci: Aci,
    /// A password that the key makes now.
    pub password: u32,
    /// What the owner notes about the key.
    pub metadata: TotpMetadata,
}

/// Why the key is not in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmTotpKeyRefused {
    /// No key makes this password now.
    #[error("the one-time password is wrong")]
    WrongPassword,
}

impl Refusal for ConfirmTotpKeyRefused {}

impl ConfirmTotpKey {
    /// The rule: the number of the key, and the event if it is new.
    pub fn decide(
        &self,
        account: &Account,
        at: Timestamp,
    ) -> Result<(TotpKeyId, Option<TotpKeyConfirmed>), ConfirmTotpKeyRefused> {
        let live = account.live.as_ref();
        let keys = &live.ok_or(ConfirmTotpKeyRefused::WrongPassword)?.totp;
        let room = keys.confirmed.len() < MAX_KEYS;
        let pending = keys.pending.as_ref().filter(|_| room);
        if pending.is_some_and(|key| crypto::totp::verify(&key.0, self.password, at)) {
            let key_id = keys.next();
            let confirmed = TotpKeyConfirmed {
                key_id,
                metadata: self.metadata.clone().into(),
            };
            return Ok((key_id, Some(confirmed)));
        }
        let newest = keys.confirmed.last_key_value();
        let newest = newest.filter(|(_, key)| key.accepts(self.password, at));
        let (key_id, _) = newest.ok_or(ConfirmTotpKeyRefused::WrongPassword)?;
        Ok((*key_id, None))
    }
}

#[async_trait]
impl Command for ConfirmTotpKey {
    type Done = TotpKeyId;
    type Refused = ConfirmTotpKeyRefused;
    const NAME: &'static str = "ConfirmTotpKey";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<TotpKeyId, Stop<ConfirmTotpKeyRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        let (key_id, confirmed) = self.decide(&account, work.at())?;
        work.record(&account, confirmed);
        Ok(key_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{aci, registered};
    use crate::testing::{at as moment, given};
    use crate::totp::generate_key::{GenerateTotpKey, GenerateTotpKeyRefused};
    use events::account::{AccountEvent, TotpKeyGenerated, TotpKeyRemoved};
    use events::values::totp::TotpSecret;

    fn metadata() -> TotpMetadata {
        vec![1; TotpMetadata::LEN].try_into().unwrap()
    }

    fn generated(fill: u8) -> AccountEvent {
        let key = TotpSecret([fill; 32]).into();
        TotpKeyGenerated { key }.into()
    }

    fn confirmed(id: u32) -> AccountEvent {
        TotpKeyConfirmed {
            key_id: TotpKeyId(id),
            metadata: metadata().into(),
        }
        .into()
    }

    /// Confirms with the password that the key of this fill makes at this second.
    fn confirm(fill: u8, seconds: u64) -> ConfirmTotpKey {
        ConfirmTotpKey {
            aci: aci(1),
            password: crypto::totp::password(&[fill; 32], moment(seconds)),
            metadata: metadata(),
        }
    }

    #[test]
    fn a_key_is_in_force_once_its_password_came_back() {
        let waiting = given([(0, registered(1)), (1, generated(7))]).at(100);
        waiting
            .when(|account, at| confirm(8, 100).decide(account, at))
            .refuses(ConfirmTotpKeyRefused::WrongPassword);
        waiting
            .when(|account, at| Ok::<_, ()>(confirm(7, 100).decide(account, at).unwrap().0))
            .accepts(TotpKeyId(1));
        let history = [(0, registered(1)), (1, generated(7)), (100, confirmed(1))];
        let in_force = given(history);
        in_force
            .when(|account, at| confirm(7, 100).decide(account, at))
            .accepts((TotpKeyId(1), None));
        let accepts = |account: &Account, password| {
            let live = account.live.as_ref().unwrap();
            live.totp.accept(password, moment(100))
        };
        let right = crypto::totp::password(&[7; 32], moment(100));
        in_force
            .when(|account, _| (accepts(account, right), accepts(account, right ^ 1)))
            .then((true, false));
    }

    #[test]
    fn there_are_two_keys_at_the_most_and_numbers_are_not_given_anew() {
        let mut history = vec![
            (0, registered(1)),
            (1, generated(1)),
            (2, confirmed(1)),
            (3, generated(2)),
            (4, confirmed(2)),
        ];
        let generate = GenerateTotpKey {
            aci: aci(1),
            secret: TotpSecret([3; 32]),
        };
        given(history.clone())
            .when(|account, _| generate.decide(account))
            .refuses(GenerateTotpKeyRefused::TooMany);
        let removed = TotpKeyRemoved {
            key_id: TotpKeyId(2),
        };
        history.extend([(5, removed.into()), (6, generated(3))]);
        given(history)
            .at(60)
            .when(|account, at| Ok::<_, ()>(confirm(3, 60).decide(account, at).unwrap().0))
            .accepts(TotpKeyId(3));
    }
}
