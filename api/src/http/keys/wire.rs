//! Pre-keys in JSON.

use events::ids::PreKeyId;
use events::values::keys::{
    EcPreKey, EcPublicKey, KyberPreKey, KyberPublicKey, Signature, SignedPreKey,
};
use serde::{Deserialize, Serialize};

use crate::http::wire::Base64;

/// A one-time Curve25519 key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PreKey)]
pub struct EcPreKeyJson {
    /// The client's number for it: 0 to 2147483647.
    #[schema(value_type = u32)]
    pub key_id: PreKeyId,
    /// 33 bytes, unpadded base64.
    #[schema(value_type = String)]
    pub public_key: Base64<EcPublicKey>,
}

/// A signed Curve25519 key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SignedPreKey)]
pub struct SignedPreKeyJson {
    /// The client's number for it: 0 to 2147483647.
    #[schema(value_type = u32)]
    pub key_id: PreKeyId,
    /// 33 bytes, unpadded base64.
    #[schema(value_type = String)]
    pub public_key: Base64<EcPublicKey>,
    /// 64 bytes, unpadded base64.
    #[schema(value_type = String)]
    pub signature: Base64<Signature>,
}

/// A Kyber key: one-time or last resort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = KyberPreKey)]
pub struct KyberPreKeyJson {
    /// The client's number for it: 0 to 2147483647.
    #[schema(value_type = u32)]
    pub key_id: PreKeyId,
    /// 1569 bytes, unpadded base64.
    #[schema(value_type = String)]
    pub public_key: Base64<KyberPublicKey>,
    /// 64 bytes, unpadded base64.
    #[schema(value_type = String)]
    pub signature: Base64<Signature>,
}

impl From<EcPreKeyJson> for EcPreKey {
    fn from(json: EcPreKeyJson) -> Self {
        Self {
            key_id: json.key_id,
            public_key: json.public_key.0,
        }
    }
}

impl From<EcPreKey> for EcPreKeyJson {
    fn from(key: EcPreKey) -> Self {
        Self {
            key_id: key.key_id,
            public_key: Base64::new(key.public_key),
        }
    }
}

/// The two signed kinds differ in their type of key only.
macro_rules! signed {
    ($json:ident, $key:ident) => {
        impl From<$json> for $key {
            fn from(json: $json) -> Self {
                Self {
                    key_id: json.key_id,
                    public_key: json.public_key.0,
                    signature: json.signature.0,
                }
            }
        }

        impl From<$key> for $json {
            fn from(key: $key) -> Self {
                Self {
                    key_id: key.key_id,
                    public_key: Base64::new(key.public_key),
                    signature: Base64::new(key.signature),
                }
            }
        }
    };
}

signed!(SignedPreKeyJson, SignedPreKey);
signed!(KyberPreKeyJson, KyberPreKey);
