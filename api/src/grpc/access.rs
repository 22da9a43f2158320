//! What callers show who do not say who they are.

use std::collections::BTreeSet;

use bytes::Bytes;
use commands::account::{Caller, Denied};
use crypto::zk::group_send::Token;
use events::values::hashes::UnidentifiedAccessKey;
use events::{Aci, ServiceId};
use projections::accounts::Account;
use tonic::Status;

use super::{Door, status};
use crate::reach::Unreached;

/// The one thing that a caller shows to reach an account.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    /// An access key.
    Key(Bytes),
    /// A group-send token.
    Token(Bytes),
    /// Nothing, for accounts that ask for nothing.
    Nothing,
}

pub(super) fn denied(unreached: Unreached) -> Result<Denied, Status> {
    match unreached {
        Unreached::Denied(denied) => Ok(denied),
        Unreached::Unavailable(error) => Err(status::unanswered(error)),
    }
}

impl Door {
    /// Who asks for something of `target`. Nobody, if what they show certainly does not open it.
    pub(super) async fn caller(
        &self,
        shown: Shown,
        target: ServiceId,
    ) -> Result<Option<Caller>, Status> {
        match shown {
            Shown::Key(_) | Shown::Nothing if matches!(target, ServiceId::Pni(_)) => Err(
                status::violated("authorization", "must be a token for a number's identity"),
            ),
            Shown::Key(key) => {
                let key = UnidentifiedAccessKey::try_from(key.to_vec());
                Ok(key.ok().map(Caller::AccessKey))
            }
            Shown::Token(token) => {
                let recipients = BTreeSet::from([target]);
                let member = self.is_group_member(&token, recipients).await?;
                Ok(member.then_some(Caller::GroupMember))
            }
            Shown::Nothing => Ok(self
                .asks_for_nothing(target)
                .await?
                .then(|| Caller::AccessKey(any_key()))),
        }
    }

    /// The account, if what is shown opens it.
    pub(super) async fn opened(
        &self,
        shown: Shown,
        aci: Aci,
    ) -> Result<Result<Account, Denied>, Status> {
        let Some(caller) = self.caller(shown, aci.into()).await? else {
            return Ok(Err(Denied::Unauthorized));
        };
        match self.0.reach(aci.into(), &caller).await {
            Ok(account) => Ok(Ok(account)),
            Err(unreached) => denied(unreached).map(Err),
        }
    }

    /// Whether a token is good for all who are addressed.
    pub(super) async fn is_group_member(
        &self,
        token: &[u8],
        recipients: BTreeSet<ServiceId>,
    ) -> Result<bool, Status> {
        let malformed = || status::violated("group_send_token", "must be a group-send token");
        let token = Token::parse(token).map_err(|_| malformed())?;
        let now = self.0.clock.now();
        let verified = self
            .0
            .issue(move |keys, _| token.verify(&keys.group, recipients, now))
            .await
            .map_err(|problem| status::of_problem(&problem))?;
        Ok(verified.is_ok())
    }

    /// Whether anybody may reach the account. The rule of the command asks again, of the account itself.
    async fn asks_for_nothing(&self, target: ServiceId) -> Result<bool, Status> {
        let account = self.0.queries.accounts().by_service_id(target).await;
        let account = account.map_err(status::unanswered)?;
        Ok(account.is_some_and(|account| account.unrestricted))
    }
}

/// What official clients show to accounts that take any key.
fn any_key() -> UnidentifiedAccessKey {
    UnidentifiedAccessKey::try_from(vec![0; UnidentifiedAccessKey::LEN]).expect("it is that long")
}
