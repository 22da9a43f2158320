//! The rules for fields: what the checks that the build makes out of `proto/` are made of.

use std::ops::RangeInclusive;

use events::E164;

use super::proto::org;

/// A message whose fields keep their rules, or do not.
pub(crate) trait Check {
    /// The first rule that is broken, in the order in which the fields are declared.
    fn check(&self) -> Result<(), Violation>;
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The field's own name, without a path.
    pub(crate) field: &'static str,
    /// The rule, in words.
    pub(crate) rule: String,
}

fn ensure(
    field: &'static str,
    holds: bool,
    rule: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if holds {
        Ok(())
    } else {
        Err(Violation {
            field,
            rule: rule(),
        })
    }
}

/// The length of a string as the rules count it.
fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

fn non_empty(field: &'static str, size: usize) -> Result<(), Violation> {
    ensure(field, size > 0, || "must not be empty".to_owned())
}

fn size(field: &'static str, size: usize, sizes: RangeInclusive<u32>) -> Result<(), Violation> {
    let holds = u32::try_from(size).is_ok_and(|size| sizes.contains(&size));
    ensure(field, holds, || {
        let (min, max) = sizes.into_inner();
        format!("must have a size between {min} and {max}")
    })
}

fn exactly_size(field: &'static str, size: usize, sizes: &[u32]) -> Result<(), Violation> {
    let holds = u32::try_from(size).is_ok_and(|size| sizes.contains(&size));
    ensure(field, holds, || format!("must have a size of {sizes:?}"))
}

fn present(field: &'static str, holds: bool) -> Result<(), Violation> {
    ensure(field, holds, || "must be present".to_owned())
}

fn specified(field: &'static str, number: i32, known: &[i32]) -> Result<(), Violation> {
    ensure(field, number != 0 && known.contains(&number), || {
        "must be specified".to_owned()
    })
}

fn range(
    field: &'static str,
    value: impl TryInto<i64>,
    values: RangeInclusive<i64>,
) -> Result<(), Violation> {
    let holds = value.try_into().is_ok_and(|value| values.contains(&value));
    ensure(field, holds, || {
        let (min, max) = values.into_inner();
        format!("must be between {min} and {max}")
    })
}

fn e164(field: &'static str, text: &str) -> Result<(), Violation> {
    ensure(field, text.parse::<E164>().is_ok(), || {
        "must be a phone number in its canonical form".to_owned()
    })
}

fn identity_type(field: &'static str, kind: i32, wanted: i32) -> Result<(), Violation> {
    ensure(field, kind == wanted, || {
        "must be of the other kind of identity".to_owned()
    })
}

mod rules {
    #![allow(
        clippy::all,
        clippy::pedantic,
        reason = "generated from the .proto files"
    )]

    use super::*;

    include!(concat!(env!("OUT_DIR"), "/rules.rs"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use org::signal::chat::account::{
        ChangeNumberRequest, ReserveUsernameHashRequest, change_number_request,
    };
    use org::signal::chat::common::{EcPreKey, IdentityType, ServiceIdentifier};
    use org::signal::chat::keys::SetOneTimeEcPreKeysRequest;
    use org::signal::chat::messages::individual_recipient_message_bundle::Message;
    use org::signal::chat::messages::{IndividualRecipientMessageBundle, SendSyncMessageRequest};
    use org::signal::chat::profile::GetProfileRequest;
    use proptest::prelude::*;

    fn field(message: &impl Check) -> Option<&'static str> {
        message.check().err().map(|violation| violation.field)
    }

    #[test]
    fn the_first_broken_rule_is_told() {
        let key = |id| EcPreKey {
            key_id: id,
            public_key: Bytes::from_static(&[5; 33]),
        };
        let request = |identity_type, pre_keys| SetOneTimeEcPreKeysRequest {
            identity_type,
            pre_keys,
        };
        assert_eq!(field(&request(1, vec![key(1)])), None);
        assert_eq!(field(&request(0, vec![])), Some("identity_type"));
        assert_eq!(field(&request(9, vec![])), Some("identity_type"));
        assert_eq!(field(&request(1, vec![])), Some("pre_keys"));
        assert_eq!(field(&request(1, vec![key(1); 101])), Some("pre_keys"));
        assert_eq!(field(&request(1, vec![key(1), key(-1)])), Some("key_id"));
    }

    #[test]
    fn elements_and_members_have_rules_of_their_own() {
        use change_number_request::Verification::{RecoveryPassword, SessionId};

        let hashes = |hashes: Vec<Bytes>| ReserveUsernameHashRequest {
            username_hashes: hashes,
        };
        let hash = Bytes::from_static(&[1; 32]);
        assert_eq!(field(&hashes(vec![hash.clone(); 20])), None);
        let short = vec![hash, Bytes::new()];
        assert_eq!(field(&hashes(short)), Some("username_hashes"));
        let change = ChangeNumberRequest {
            number: "+12015550123".to_owned(),
            pni_identity_key: Bytes::from_static(&[1]),
            ..ChangeNumberRequest::default()
        };
        assert_eq!(
            field(&change),
            None,
            "a member that is not set has no rules"
        );
        let with = |verification| ChangeNumberRequest {
            verification: Some(verification),
            ..change.clone()
        };
        assert_eq!(field(&with(SessionId(Bytes::new()))), Some("session_id"));
        let short = RecoveryPassword(Bytes::from_static(&[1; 31]));
        assert_eq!(field(&with(short)), Some("recovery_password"));
    }

    #[test]
    fn what_is_absent_is_not_looked_into_unless_it_must_be_there() {
        assert_eq!(field(&SendSyncMessageRequest::default()), None);
        assert_eq!(
            field(&GetProfileRequest::default()),
            Some("account_identifier")
        );
        let pni = GetProfileRequest {
            account_identifier: Some(ServiceIdentifier {
                identity_type: IdentityType::Pni.into(),
                uuid: Bytes::from_static(&[1; 16]),
            }),
            version: Bytes::from_static(&[1; 32]),
            etag: Bytes::new(),
        };
        assert_eq!(field(&pni), Some("account_identifier"));
    }

    proptest! {
        #[test]
        fn numbers_with_the_top_bit_are_out_of_range(timestamp: u64, registration_id: u32) {
            let message = Message {
                registration_id,
                payload: Bytes::from_static(&[1]),
                r#type: 1,
            };
            let bundle = IndividualRecipientMessageBundle {
                timestamp,
                messages: [(1, message)].into(),
            };
            let expected = if !(1..=8_640_000_000_000_000).contains(&timestamp) {
                Some("timestamp")
            } else if registration_id > 0x3fff {
                Some("registration_id")
            } else {
                None
            };
            prop_assert_eq!(field(&bundle), expected);
        }
    }
}
