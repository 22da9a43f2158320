//! The policy of a browser's form, by the rules of version 4 of Amazon's signatures: written here, and checked here where
//! the form comes back to this server.

use std::collections::BTreeMap;

use api::ports::objects::{PostForm, Upload};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use chrono::{DateTime, Utc};
use events::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::FORM_LIFETIME;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const ACL: &str = "private";

/// Who signs policies, and for which bucket.
pub(crate) struct PolicySigner {
    pub(crate) bucket: String,
    pub(crate) region: String,
    pub(crate) access_key: String,
    pub(crate) secret: String,
    /// Of credentials that end by themselves.
    pub(crate) session_token: Option<String>,
}

/// What a checked form lets its sender upload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) key: String,
    pub(crate) bytes: std::ops::RangeInclusive<u64>,
}

/// Why a form is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PolicyRefused {
    #[error("a field is missing or malformed")]
    Malformed,
    #[error("the signature does not fit")]
    Signature,
    #[error("the policy has expired")]
    Expired,
    #[error("a field does not fulfil the policy")]
    Condition,
}

fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn calendar(at: Timestamp) -> DateTime<Utc> {
    i64::try_from(at.epoch_millis())
        .ok()
        .and_then(DateTime::from_timestamp_millis)
        .expect("the server lives within the calendar")
}

impl PolicySigner {
    /// Signs a form for one object.
    pub(crate) fn sign(&self, upload: &Upload, at: Timestamp) -> PostForm {
        let now = calendar(at);
        let date = now.format("%Y%m%dT%H%M%SZ").to_string();
        let credential = self.credential(&date[..8]);
        let mut conditions = vec![
            json!({ "bucket": self.bucket }),
            json!({ "key": upload.key.to_string() }),
            json!({ "acl": ACL }),
            json!(["starts-with", "$Content-Type", ""]),
            json!(["content-length-range", 1, upload.max_bytes]),
            json!({ "x-amz-credential": credential }),
            json!({ "x-amz-algorithm": ALGORITHM }),
            json!({ "x-amz-date": date }),
        ];
        if let Some(token) = &self.session_token {
            conditions.push(json!({ "x-amz-security-token": token }));
        }
        let expiration = (now + FORM_LIFETIME).format("%Y-%m-%dT%H:%M:%S%.3fZ");
        let policy = json!({ "expiration": expiration.to_string(), "conditions": conditions });
        let policy = BASE64.encode(policy.to_string());
        PostForm {
            key: upload.key.to_string(),
            signature: self.signature(&date[..8], &policy),
            credential,
            acl: ACL.to_owned(),
            algorithm: ALGORITHM.to_owned(),
            date,
            policy,
        }
    }

    fn credential(&self, day: &str) -> String {
        format!("{}/{day}/{}/s3/aws4_request", self.access_key, self.region)
    }

    fn signature(&self, day: &str, policy: &str) -> String {
        let key = [day, &self.region, "s3", "aws4_request"]
            .into_iter()
            .fold(format!("AWS4{}", self.secret).into_bytes(), |key, part| {
                hmac(&key, part)
            });
        hex::encode(hmac(&key, policy))
    }

    /// Checks the fields that came before the file, by their names in lower case.
    pub(crate) fn check(
        &self,
        fields: &BTreeMap<String, String>,
        at: Timestamp,
    ) -> Result<Admitted, PolicyRefused> {
        let field = |name: &str| fields.get(name).ok_or(PolicyRefused::Malformed);
        let date = field("x-amz-date")?;
        let day = date.get(..8).ok_or(PolicyRefused::Malformed)?;
        let policy = field("policy")?;
        let right = self.signature(day, policy);
        let shown = field("x-amz-signature")?;
        if !bool::from(right.as_bytes().ct_eq(shown.as_bytes())) {
            return Err(PolicyRefused::Signature);
        }
        let policy = BASE64.decode(policy).ok();
        let policy: Value = policy
            .and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or(PolicyRefused::Malformed)?;
        let expiration = policy["expiration"]
            .as_str()
            .and_then(|text| DateTime::parse_from_rfc3339(text).ok())
            .ok_or(PolicyRefused::Malformed)?;
        if calendar(at) >= expiration {
            return Err(PolicyRefused::Expired);
        }
        let conditions = policy["conditions"]
            .as_array()
            .ok_or(PolicyRefused::Malformed)?;
        self.fulfilled(conditions, fields)
    }

    fn fulfilled(
        &self,
        conditions: &[Value],
        fields: &BTreeMap<String, String>,
    ) -> Result<Admitted, PolicyRefused> {
        let (mut key, mut bytes) = (None, None);
        for condition in conditions {
            match condition {
                Value::Object(equal) => {
                    for (name, value) in equal {
                        let value = value.as_str().ok_or(PolicyRefused::Malformed)?;
                        let given = match name.as_str() {
                            "bucket" => Some(&self.bucket),
                            name => fields.get(name),
                        };
                        if given.map(String::as_str) != Some(value) {
                            return Err(PolicyRefused::Condition);
                        }
                        if name == "key" {
                            key = Some(value.to_owned());
                        }
                    }
                }
                Value::Array(list) if list[0] == "content-length-range" => {
                    bytes = list[1].as_u64().zip(list[2].as_u64());
                }
                // That a content type begins with nothing is always true.
                Value::Array(list) if list[0] == "starts-with" && list[2] == "" => {}
                _ => return Err(PolicyRefused::Condition),
            }
        }
        let (key, (least, most)) = key.zip(bytes).ok_or(PolicyRefused::Malformed)?;
        Ok(Admitted {
            key,
            bytes: least..=most,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::ports::objects::ObjectKey;

    fn signer() -> PolicySigner {
        PolicySigner {
            bucket: "sigv4examplebucket".to_owned(),
            region: "us-east-1".to_owned(),
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
        }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_epoch_millis(millis).unwrap()
    }

    fn fields(form: PostForm) -> BTreeMap<String, String> {
        [
            ("key", form.key),
            ("acl", form.acl),
            ("x-amz-credential", form.credential),
            ("x-amz-algorithm", form.algorithm),
            ("x-amz-date", form.date),
            ("policy", form.policy),
            ("x-amz-signature", form.signature),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// The signing key of the published example, through the signature of its policy.
    #[test]
    fn a_signature_is_what_amazon_publishes_for_its_example() {
        let policy = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
        assert_eq!(
            signer().signature("20151229", policy),
            "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
        );
    }

    #[test]
    fn a_form_is_taken_as_it_was_given_out_and_not_otherwise() {
        let now = at(1_767_225_600_000);
        let upload = Upload {
            key: ObjectKey::avatar([3; 16]),
            max_bytes: 10,
        };
        let form = fields(signer().sign(&upload, now));
        let admitted = signer().check(&form, now).unwrap();
        assert_eq!(
            (admitted.key, admitted.bytes),
            (upload.key.to_string(), 1..=10)
        );
        let late = at(now.epoch_millis() + 30 * 60 * 1000);
        assert_eq!(signer().check(&form, late), Err(PolicyRefused::Expired));
        for name in form.keys() {
            let mut changed = form.clone();
            changed.insert(name.clone(), "20260101".to_owned());
            assert!(signer().check(&changed, now).is_err(), "{name}");
            changed.remove(name);
            assert!(signer().check(&changed, now).is_err(), "{name}");
        }
    }
}
