//! Auth credentials for groups and for call links, one for each day that is asked for.

use crypto::zk::{Day, InvalidRange, auth, call_link, redemption_days};
use events::{Aci, Pni};
use projections::QueryError;

use crate::http::problem::Problem;
use crate::state::Api;

/// Credentials for some days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DailyCredentials {
    /// For groups.
    pub group: Vec<(Day, Vec<u8>)>,
    /// For call links.
    pub call_link: Vec<(Day, Vec<u8>)>,
    /// The pseudonym of the number that the first are bound to.
    pub pni: Pni,
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum NoCredentials {
    /// The days that are asked for are none that anybody gets credentials for.
    #[error(transparent)]
    Range(#[from] InvalidRange),
    /// The account is gone.
    #[error("no such account")]
    NoSuchAccount,
    /// The read model could not be asked.
    #[error(transparent)]
    Unavailable(#[from] QueryError),
    /// The server ends, or is out of order.
    #[error("credentials cannot be issued")]
    Problem(Problem),
}

impl Api {
    /// Credentials for the days from `start` to `end`, in seconds since 1970, both included.
    pub(crate) async fn daily_credentials(
        &self,
        aci: Aci,
        start: u64,
        end: u64,
    ) -> Result<DailyCredentials, NoCredentials> {
        let days: Vec<_> = redemption_days(start, end, self.clock.now())?.collect();
        let account = self.queries.accounts().by_aci(aci).await?;
        let pni = account.ok_or(NoCredentials::NoSuchAccount)?.pni;
        let issued = self.issue(move |keys, rng| {
            let group = |day: &Day| auth::issue(&keys.group, aci, pni, *day, rng);
            let group: Vec<_> = days.iter().map(group).collect();
            let call_link = |day: &Day| call_link::issue_auth(&keys.calling, aci, *day, rng);
            let call_link: Vec<_> = days.iter().map(call_link).collect();
            DailyCredentials {
                group: days.iter().copied().zip(group).collect(),
                call_link: days.iter().copied().zip(call_link).collect(),
                pni,
            }
        });
        issued.await.map_err(NoCredentials::Problem)
    }
}

impl From<NoCredentials> for Problem {
    fn from(none: NoCredentials) -> Self {
        match none {
            NoCredentials::Range(range) => Self::bad_request(range.to_string()),
            NoCredentials::NoSuchAccount => Self::credentials_required(),
            NoCredentials::Unavailable(error) => Self::unavailable(&error),
            NoCredentials::Problem(problem) => problem,
        }
    }
}
