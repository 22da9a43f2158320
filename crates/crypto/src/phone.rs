//! From a phone number to its pseudonym.

use events::{E164, Pni};

use crate::mac::MacKey;

/// Derives the PNI of a phone number: the same number has the same PNI for ever, and no table of numbers is kept.
///
/// HMAC-SHA256 of the number's current form (`+` and digits) under a server secret, cut to 16 bytes and marked as a UUID
/// of version 4. 122 bits are left: that any two of a billion numbers share a PNI has a chance of 1 in 10¹⁹. Without the secret a
/// PNI does not tell its number, so whoever holds log and secret together can list the numbers: keep them apart.
#[derive(Clone, Debug)]
pub struct PniDeriver(MacKey);

impl PniDeriver {
    /// A deriver under `secret` (32 random bytes). A changed secret is a new identity for every number.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(MacKey::new(secret))
    }

    pub(crate) const fn key(&self) -> &MacKey {
        &self.0
    }

    /// The PNI of `number`. An obsolete form of a number and its current form have the same.
    pub fn pni_of(&self, number: &E164) -> Pni {
        let tag = self.0.tag(&[number.current().as_str().as_bytes()]);
        Pni::from_random(*tag.first_chunk().expect("a tag of 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pni(secret: u8, number: &str) -> Pni {
        PniDeriver::new([secret; 32]).pni_of(&number.parse().unwrap())
    }

    #[test]
    fn a_pni_is_a_function_of_secret_and_number() {
        assert_eq!(pni(1, "+14151231234"), pni(1, "+14151231234"));
        assert_ne!(pni(1, "+14151231234"), pni(1, "+14151231235"));
        assert_ne!(pni(1, "+14151231234"), pni(2, "+14151231234"));
        assert_eq!(pni(1, "+14151231234").uuid().get_version_num(), 4);
    }

    /// Pinned: a changed derivation would give every account a new PNI.
    #[test]
    fn a_pni_stays_what_it_was() {
        assert_eq!(
            pni(1, "+14151231234").to_string(),
            "c5b33e6a-990f-4ec7-98b7-aad74bafd437"
        );
    }

    #[test]
    fn both_forms_of_a_number_have_one_pni() {
        assert_eq!(pni(1, "+22990011234"), pni(1, "+2290190011234"));
    }
}
