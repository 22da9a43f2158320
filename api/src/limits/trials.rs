//! Attempts that only a command knows to be attempts: at a number, at what protects its account.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use commands::command::Unavailable;
use commands::ports::{NotCounted, TooManyTrials, Trial, Trials};
use events::E164;

use super::buckets::Limited;
use super::rates::Limit;
use crate::http::problem::{Problem, chain};
use crate::state::Api;

/// The attempts of one command, however often it runs.
pub(crate) struct CountedTrials {
    api: Api,
    counted: Mutex<Vec<Trial>>,
}

impl fmt::Debug for CountedTrials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CountedTrials").field(&self.counted).finish()
    }
}

impl Api {
    /// Counts the attempts of one command.
    pub(crate) fn trials(&self) -> Arc<CountedTrials> {
        Arc::new(CountedTrials {
            api: self.clone(),
            counted: Mutex::default(),
        })
    }
}

impl CountedTrials {
    fn counted(&self) -> MutexGuard<'_, Vec<Trial>> {
        self.counted
            .lock()
            .expect("nothing panics while the list is locked")
    }

    /// The number's registration lock was opened, if that was tried: whoever knows it may forget it again as often as at
    /// first. What has happened stays, even if the limit cannot be reached.
    pub(crate) async fn lock_opened(&self, number: &E164) {
        let tried = Trial::RegistrationLock(number.clone());
        if !self.counted().contains(&tried) {
            return;
        }
        let cleared = self.api.limits.clear(Limit::Pin, number.as_str()).await;
        if let Err(error) = cleared {
            tracing::warn!(cause = %chain(&error), "attempts at a lock that was opened still count");
        }
    }
}

#[async_trait]
impl Trials for CountedTrials {
    async fn count(&self, trial: &Trial) -> Result<(), NotCounted> {
        if self.counted().contains(trial) {
            return Ok(());
        }
        let (limit, key) = match trial {
            Trial::Number(number) => (Limit::Registration, number.to_string()),
            Trial::RegistrationLock(number) => (Limit::Pin, number.to_string()),
            Trial::OneTimePassword(aci) => (Limit::CheckTotp, aci.to_string()),
        };
        match self.api.limits.take(limit, &key).await {
            Ok(()) => {
                self.counted().push(trial.clone());
                Ok(())
            }
            Err(Limited::For(retry_after)) => {
                Err(NotCounted::TooMany(TooManyTrials { retry_after }))
            }
            Err(Limited::Uncounted(cause)) => {
                Err(NotCounted::Unavailable(Unavailable::from_source(cause)))
            }
        }
    }
}

/// 429, as where the door itself counts.
impl From<TooManyTrials> for Problem {
    fn from(TooManyTrials { retry_after }: TooManyTrials) -> Self {
        Limited::For(retry_after).into()
    }
}
