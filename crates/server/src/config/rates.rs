//! How often what may be called.

use std::collections::BTreeMap;
use std::time::Duration;

use api::limits::rates::{Rate, Rates};
use serde::Deserialize;

/// How often what may be called, where it is not to be what the table of limits says.
///
/// `rates.messages = { size = 60, seconds = 1.0 }`: up to 60 at once, and one more each second. `rates.off = true`: no limits.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "BTreeMap<String, RateSetting>")]
pub(crate) struct RateSettings(pub(super) Rates);

/// The value of a key of `[rates]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum RateSetting {
    Off(bool),
    Rate { size: u64, seconds: f64 },
}

impl RateSettings {
    /// No limits.
    pub(crate) const fn off() -> Self {
        Self(Rates::off())
    }
}

impl From<RateSettings> for Rates {
    fn from(RateSettings(rates): RateSettings) -> Self {
        rates
    }
}

impl TryFrom<BTreeMap<String, RateSetting>> for RateSettings {
    type Error = String;

    fn try_from(settings: BTreeMap<String, RateSetting>) -> Result<Self, String> {
        let mut rates = Rates::default();
        for (name, setting) in settings {
            match setting {
                RateSetting::Off(off) if name == "off" => {
                    if off {
                        return Ok(Self::off());
                    }
                }
                RateSetting::Off(_) => return Err(format!("`{name}` needs a size and seconds")),
                RateSetting::Rate { size, seconds } => {
                    let period = Duration::try_from_secs_f64(seconds)
                        .map_err(|error| format!("`{name}`: {error}"))?;
                    rates
                        .set(&name, Rate { size, period })
                        .map_err(|error| error.to_string())?;
                }
            }
        }
        Ok(Self(rates))
    }
}
