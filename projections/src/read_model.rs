//! The form of a read model: a pure fold of a stretch of the log into changes, and the SQL that writes them.

use std::marker::PhantomData;
use std::time::Duration;

use async_trait::async_trait;
use events::account::AccountEvent;
use events::codec::{AnyEvent, Fact};
use events::{Aci, Family, StreamId, Timestamp};
use sqlx::PgConnection;
use subscription::{ApplyError, InMemory, Need, Projection, Shard, Unfit};

/// A read model. Reading it is for the `query` module next door.
#[async_trait]
pub(crate) trait ReadModel: Send + Sync + 'static {
    /// What its checkpoint, lease and metrics are filed under.
    const NAME: &'static str;
    /// The version of its tables: a new shape is a new version and a replay, never a data migration.
    const VERSION: u32;
    /// The families whose events it folds.
    const FAMILIES: &'static [Family];
    /// Its tables, which carry the version in their names.
    const TABLES: &'static [&'static str];

    /// The least time from one stretch to the next (see [`Projection::pace`]).
    const PACE: Duration = Duration::ZERO;

    /// What a stretch of the log changes.
    type Changes: Send;

    /// Folds a stretch of the log. What comes and goes within the stretch never reaches the database.
    fn fold(facts: &[&Fact]) -> Result<Self::Changes, Unfit>;

    /// What it needs of the events of a kind (see [`Projection::needs`]). Naming what is not needed makes a rebuild faster.
    fn needs(_family: Family, _kind: &str) -> Need {
        Need::Clear
    }

    /// Which share of the rows the events of a stream belong to (see [`Projection::shard`]).
    fn shard(_stream: &StreamId) -> Shard {
        Shard::Of(0)
    }

    /// The rows in memory, for a rebuild: `Some(whole::in_memory::<Self>())` for a model that is `Whole`.
    fn in_memory() -> Option<Box<dyn InMemory>> {
        None
    }

    /// Writes the changes set-wise, inside the caller's transaction. Writing them twice must be like writing them once.
    async fn write(
        connection: &mut PgConnection,
        changes: Self::Changes,
    ) -> Result<(), sqlx::Error>;
}

/// A read model as the subscription sees it.
pub(crate) struct Projected<M>(PhantomData<M>);

impl<M> Default for Projected<M> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

#[async_trait]
impl<M: ReadModel> Projection for Projected<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn version(&self) -> u32 {
        M::VERSION
    }

    fn families(&self) -> &'static [Family] {
        M::FAMILIES
    }

    fn needs(&self, family: Family, kind: &str) -> Need {
        M::needs(family, kind)
    }

    fn tables(&self) -> &'static [&'static str] {
        M::TABLES
    }

    fn shard(&self, stream: &StreamId) -> Shard {
        M::shard(stream)
    }

    fn pace(&self) -> Duration {
        M::PACE
    }

    fn in_memory(&self) -> Option<Box<dyn InMemory>> {
        M::in_memory()
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        facts: &[&Fact],
    ) -> Result<(), ApplyError> {
        let changes = M::fold(facts)?;
        Ok(M::write(connection, changes).await?)
    }
}

/// Which share a stream belongs to whose name begins with an account's id, so that all of an account's streams are in one.
pub(crate) fn shard_by_account(stream: &StreamId) -> Shard {
    // The last two of the 36 characters of a UUID: those of a random one are as good as all of them, and quickly read.
    let last = stream.key().get(34..36);
    let number = last.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    Shard::Of(number.unwrap_or_default())
}

/// The id in the name of a fact's stream, or why the fact cannot be used.
pub(crate) fn id_of<T>(fact: &Fact, id: Option<T>) -> Result<T, Unfit> {
    id.ok_or_else(|| Unfit {
        position: fact.position,
        what: format!("its stream has the impossible name {}", fact.stream),
    })
}

/// Passes on what happened to accounts: which account, when, what.
pub(crate) fn each_of_accounts(
    facts: &[&Fact],
    mut apply: impl FnMut(Aci, Timestamp, &AccountEvent),
) -> Result<(), Unfit> {
    for fact in facts {
        if let AnyEvent::Account(event) = &fact.event {
            let aci = id_of(fact, fact.stream.as_account())?;
            apply(aci, fact.metadata.at, event);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::ids::DeviceAddress;
    use events::{DeviceId, Generation};
    use std::collections::BTreeSet;
    use uuid::Uuid;

    #[test]
    fn all_streams_of_an_account_are_in_one_share_and_accounts_in_many() {
        let mut shares = BTreeSet::new();
        for number in 0..300 {
            let aci = Aci::from_uuid(Uuid::from_u128(number));
            let mailbox = StreamId::mailbox(DeviceAddress {
                aci,
                device: DeviceId::MAX,
                generation: Generation(7),
            });
            let Shard::Of(share) = shard_by_account(&StreamId::account(aci)) else {
                panic!("an account is in one share");
            };
            assert_eq!(shard_by_account(&mailbox), Shard::Of(share));
            shares.insert(share);
        }
        assert_eq!(shares.len(), 256);
    }
}
