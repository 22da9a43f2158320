//! Phone numbers in their canonical international form.

use std::fmt;
use std::str::FromStr;

use phonenumber::metadata::DATABASE;
use phonenumber::{Mode, PhoneNumber, Type};
use serde::{Deserialize, Deserializer, Serialize};

use super::from_text;

/// A possible phone number in canonical E.164 form: `+`, country code, number, nothing else.
///
/// "Possible" is a matter of length and prefix; whether anybody holds the number is for a verification to show.
/// `Debug` hides all but the country, so that a number cannot slip into a log line.
///
/// Parsing looks it up in the numbering plans. Deserializing takes what was parsed once for what it is ([`Self::stored`]).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct E164(Box<str>);

/// Why a text is no [`E164`]. It does not repeat the text, which may be somebody's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidE164 {
    /// No phone number of any country can look like this.
    #[error("is not a possible phone number")]
    Impossible,
    /// A phone number, but not written in its one canonical way.
    #[error("is not in canonical E.164 form")]
    NotCanonical,
}

/// Of any number that the numbering plans know: 3 of the country and 17 of its own.
const MOST_DIGITS: usize = 20;

/// National numbers in Benin had eight digits until `01` was put in front of each of them in November 2024.
const BENIN: &str = "+229";
const BENIN_OLD_LENGTH: usize = BENIN.len() + 8;

impl E164 {
    /// The number as text, `+` included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A number that was parsed before it was stored. Numbering plans change, and cost a hundred times as much to ask; history
    /// stays what it was.
    pub fn stored(text: &str) -> Result<Self, InvalidE164> {
        let digits = text.strip_prefix('+').ok_or(InvalidE164::Impossible)?;
        let plausible =
            (1..=MOST_DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        if plausible {
            Ok(Self(text.into()))
        } else {
            Err(InvalidE164::Impossible)
        }
    }

    /// Whether the number is written in a form that its country has given up.
    pub fn is_obsolete(&self) -> bool {
        self.0.starts_with(BENIN) && self.0.len() == BENIN_OLD_LENGTH
    }

    /// The current form of an obsolete number, otherwise the number itself. Both forms mean the same subscriber.
    #[must_use]
    pub fn current(&self) -> Self {
        if self.is_obsolete() {
            Self(format!("{BENIN}01{}", &self.0[BENIN.len()..]).into())
        } else {
            self.clone()
        }
    }
}

/// The kinds of subscriber numbers. The crate keeps possible lengths by kind, and none for numbers in general.
const KINDS: [Type; 10] = [
    Type::FixedLine,
    Type::Mobile,
    Type::TollFree,
    Type::PremiumRate,
    Type::SharedCost,
    Type::PersonalNumber,
    Type::Voip,
    Type::Pager,
    Type::Uan,
    Type::Voicemail,
];

/// Whether some region under the country code has numbers of this length.
fn is_possible(number: &PhoneNumber, national: &str) -> bool {
    let regions = DATABASE
        .by_code(&number.country().code())
        .unwrap_or_default();
    let length = u16::try_from(national.len()).unwrap_or(u16::MAX);
    let mut kinds = regions.iter().flat_map(|region| {
        KINDS
            .iter()
            .filter_map(|kind| region.descriptors().get(*kind))
    });
    kinds.any(|kind| kind.possible_length().contains(&length))
}

/// A national number of this length that starts with its own country code has it twice, if the rest is a number.
const SUSPICIOUS_LENGTH: usize = 12;

/// Whether a trunk prefix or a second country code stands in front of the real number.
fn has_surplus_prefix(number: &PhoneNumber, national: &str) -> bool {
    let code = number.country().code();
    let valid_without = |prefix: &str| {
        national.strip_prefix(prefix).is_some_and(|rest| {
            phonenumber::parse(None, format!("+{code}{rest}"))
                .is_ok_and(|shorter| phonenumber::is_valid(&shorter))
        })
    };
    let trunk = number
        .metadata(&DATABASE)
        .and_then(|region| region.national_prefix());
    let trunk_surplus = || !phonenumber::is_valid(number) && trunk.is_some_and(valid_without);
    let code_surplus = || national.len() >= SUSPICIOUS_LENGTH && valid_without(&code.to_string());
    trunk_surplus() || code_surplus()
}

impl FromStr for E164 {
    type Err = InvalidE164;

    fn from_str(text: &str) -> Result<Self, InvalidE164> {
        let digits = text.strip_prefix('+').ok_or(InvalidE164::Impossible)?;
        let number = phonenumber::parse(None, text).map_err(|_| InvalidE164::Impossible)?;
        if number.format().mode(Mode::E164).to_string() != text {
            return Err(InvalidE164::NotCanonical);
        }
        let national = digits
            .strip_prefix(&number.country().code().to_string())
            .ok_or(InvalidE164::NotCanonical)?;
        if has_surplus_prefix(&number, national) {
            return Err(InvalidE164::NotCanonical);
        }
        if is_possible(&number, national) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidE164::Impossible)
        }
    }
}

impl<'de> Deserialize<'de> for E164 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, Self::stored)
    }
}

impl From<E164> for String {
    fn from(number: E164) -> Self {
        number.0.into()
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E164({}…)", self.0.get(..3).unwrap_or("+"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn possible_canonical_numbers_are_taken() {
        for number in [
            "+14151231234",
            "+71234567890",
            "+447535742222",
            "+4915174108888",
            "+2250707312345",
            "+298123456",
            "+80011111111",
            "+12025550100",
            "+22990011234",
            "+2290190011234",
        ] {
            assert!(number.parse::<E164>().is_ok(), "{number}");
        }
    }

    #[test]
    fn the_impossible_is_refused() {
        for text in [
            "",
            "+",
            "banana",
            "+141512312341",
            "71234567890",
            "001447535742222",
            "+1415123123a",
            "+1",
        ] {
            assert!(text.parse::<E164>().is_err(), "{text}");
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "+4407700900111",
            "+49493023125000",
            "+1 415 123 1234",
            "+1 (415) 123-1234",
            " +14151231234",
        ] {
            assert!(text.parse::<E164>().is_err(), "{text}");
        }
    }

    #[test]
    fn both_forms_of_a_number_in_benin_are_one() {
        let old: E164 = "+22990011234".parse().unwrap();
        let new: E164 = "+2290190011234".parse().unwrap();
        assert!(old.is_obsolete() && !new.is_obsolete());
        assert_eq!(old.current(), new);
        assert_eq!(new.current(), new);
    }

    #[test]
    fn debug_output_does_not_tell_the_number() {
        let number: E164 = "+14151231234".parse().unwrap();
        assert_eq!(format!("{number:?}"), "E164(+14…)");
    }

    #[test]
    fn what_was_stored_is_taken_whatever_the_plans_say_now_but_nothing_else() {
        for number in ["+14151231234", "+999123", "+22990011234"] {
            assert_eq!(E164::stored(number).unwrap().as_str(), number);
        }
        for text in ["", "+", "14151231234", "+1415x", "+123456789012345678901"] {
            assert!(E164::stored(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_number_or_refused(text in "\\+?[0-9 ()x-]{0,24}|\\PC{0,24}") {
            if let Ok(number) = text.parse::<E164>() {
                prop_assert_eq!(number.as_str(), text);
            }
        }
    }
}
