//! The list of read models. To add one: a folder, and a line here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use subscription::{Progress, Projection};

use crate::Queries;
use crate::read_model::{Projected, ReadModel};

macro_rules! read_models {
    ($($(#[$doc:meta])* $name:ident in $folder:ident $(answers $queries:ident)?;)+) => {
        /// A read model, by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Model {
            $($(#[$doc])* $name,)+
        }

        /// Every read model.
        pub const MODELS: &[Model] = &[$(Model::$name),+];

        impl Model {
            /// The name: what its checkpoint, lease and metrics are filed under.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => <crate::$folder::$name as ReadModel>::NAME,)+
                }
            }

            /// The version of its tables.
            pub const fn version(self) -> u32 {
                match self {
                    $(Self::$name => <crate::$folder::$name as ReadModel>::VERSION,)+
                }
            }

            /// What builds it from the log.
            pub fn projection(self) -> Arc<dyn Projection> {
                match self {
                    $(Self::$name => Arc::new(Projected::<crate::$folder::$name>::default()),)+
                }
            }
        }

        impl Queries {
            $($(
                #[doc = concat!("What [`", stringify!($folder), "`](crate::", stringify!($folder), ") can be asked.")]
                pub fn $folder(&self) -> crate::$folder::$queries {
                    crate::$folder::$queries(self.pool().clone())
                }
            )?)+
        }
    };
}

read_models! {
    /// Who has an account, and how it is reached.
    Accounts in accounts answers AccountQueries;
    /// Which devices there are, and how each proves who it is.
    Devices in devices answers DeviceQueries;
    /// How many one-time pre-keys each device has left.
    PreKeys in pre_keys answers PreKeyQueries;
    /// What waits for each device.
    Inbox in inbox answers InboxQueries;
    /// What accounts show of themselves.
    Profiles in profiles answers ProfileQueries;
    /// How far each proof of a phone number has come.
    VerificationSessions in verification_sessions answers VerificationSessionQueries;
    /// How much each account does and receives, day by day.
    AccountActivity in account_activity answers AccountActivityQueries;
}

impl Model {
    /// A board on which the progress of every read model can be noted and awaited.
    pub fn progress() -> Progress {
        Progress::new(MODELS.iter().map(|model| (model.name(), model.version())))
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no read model has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a read model; there are {names}", names = MODELS.iter().map(|model| model.name()).collect::<Vec<_>>().join(", "))]
pub struct UnknownModel(String);

impl FromStr for Model {
    type Err = UnknownModel;

    fn from_str(text: &str) -> Result<Self, UnknownModel> {
        let known = MODELS.iter().find(|model| model.name() == text);
        known.copied().ok_or_else(|| UnknownModel(text.to_owned()))
    }
}
