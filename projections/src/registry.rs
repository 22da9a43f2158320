//! The list of read models. To add one: a folder, a line here, a migration.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use subscription::{Progress, Projection};

use crate::read_model::{Projected, ReadModel};
use crate::{accounts, devices, inbox, pre_keys, profiles, verification_sessions};

macro_rules! read_models {
    ($($(#[$doc:meta])* $name:ident = $model:ty;)+) => {
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
                    $(Self::$name => <$model as ReadModel>::NAME,)+
                }
            }

            /// The version of its tables.
            pub const fn version(self) -> u32 {
                match self {
                    $(Self::$name => <$model as ReadModel>::VERSION,)+
                }
            }

            /// What builds it from the log.
            pub fn projection(self) -> Arc<dyn Projection> {
                match self {
                    $(Self::$name => Arc::new(Projected::<$model>::default()),)+
                }
            }
        }
    };
}

read_models! {
    /// Who has an account, and how it is reached.
    Accounts = accounts::Accounts;
    /// Which devices there are, and how each proves who it is.
    Devices = devices::Devices;
    /// How many one-time pre-keys each device has left.
    PreKeys = pre_keys::PreKeys;
    /// What waits for each device.
    Inbox = inbox::Inbox;
    /// What accounts show of themselves.
    Profiles = profiles::Profiles;
    /// How far each proof of a phone number has come.
    VerificationSessions = verification_sessions::VerificationSessions;
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
