//! Devices with real identity keys, and their journeys.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine as _};
use crypto::keys::EcPrivateKey;
use crypto::xeddsa;
use events::ports::Entropy;
use serde_json::{Value, json};
use testkit::environment::SeededEntropy;

use super::{CODE, Client, Door};

/// A registered device.
pub(crate) struct Device {
    pub(crate) client: Client,
    pub(crate) number: String,
    pub(crate) password: String,
    pub(crate) aci: String,
    pub(crate) pni: String,
    pub(crate) id: u64,
    pub(crate) keys: Identities,
}

/// The identity keys of an account.
#[derive(Clone)]
pub(crate) struct Identities {
    pub(crate) aci: EcPrivateKey,
    pub(crate) pni: EcPrivateKey,
}

pub(crate) const ACCESS_KEY: [u8; 16] = [7; 16];
pub(crate) const REGISTRATION_ID: u64 = 111;
pub(crate) const PNI_REGISTRATION_ID: u64 = 222;

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD_NO_PAD.encode(bytes)
}

impl Identities {
    pub(crate) fn generate(seed: u64) -> Self {
        let entropy: &dyn Entropy = &SeededEntropy::new(seed);
        Self {
            aci: EcPrivateKey::generate(&mut entropy.rng()),
            pni: EcPrivateKey::generate(&mut entropy.rng()),
        }
    }
}

/// A public key of one of the two kinds: well-formed, and nothing more.
fn public_key(kind: u8, length: usize, id: u64) -> Vec<u8> {
    let mut key = vec![u8::try_from(id % 251).unwrap(); length];
    key[0] = kind;
    key
}

fn signed(identity: &EcPrivateKey, key: &[u8], id: u64) -> Value {
    let entropy: &dyn Entropy = &SeededEntropy::new(id);
    let signature = xeddsa::sign(identity, key, &mut entropy.rng());
    json!({ "keyId": id, "publicKey": b64(key), "signature": b64(signature) })
}

pub(crate) fn ec_pre_key(id: u64) -> Value {
    json!({ "keyId": id, "publicKey": b64(public_key(5, 33, id)) })
}

pub(crate) fn signed_pre_key(identity: &EcPrivateKey, id: u64) -> Value {
    signed(identity, &public_key(5, 33, id), id)
}

pub(crate) fn kyber_pre_key(identity: &EcPrivateKey, id: u64) -> Value {
    signed(identity, &public_key(8, 1569, id), id)
}

pub(crate) fn attributes() -> Value {
    json!({
        "fetchesMessages": true,
        "registrationId": REGISTRATION_ID,
        "pniRegistrationId": PNI_REGISTRATION_ID,
        "capabilities": { "spqr": true, "usernameChangeSyncMessage": true },
        "unidentifiedAccessKey": ACCESS_KEY,
        "unrestrictedUnidentifiedAccess": false,
        "discoverableByPhoneNumber": true,
    })
}

/// The body of a registration, as official clients send it.
pub(crate) fn registration(session: &str, keys: &Identities) -> Value {
    json!({
        "sessionId": session,
        "skipDeviceTransfer": true,
        "accountAttributes": attributes(),
        "aciIdentityKey": b64(keys.aci.public_key()),
        "pniIdentityKey": b64(keys.pni.public_key()),
        "aciSignedPreKey": signed_pre_key(&keys.aci, 1),
        "pniSignedPreKey": signed_pre_key(&keys.pni, 2),
        "aciPqLastResortPreKey": kyber_pre_key(&keys.aci, 3),
        "pniPqLastResortPreKey": kyber_pre_key(&keys.pni, 4),
    })
}

impl Door {
    /// A session that has verified the number.
    pub(crate) async fn verify(&self, number: &str) -> String {
        let client = self.client();
        let session = client
            .post("/v1/verification/session", json!({ "number": number }))
            .await;
        let id = session.expect(200)["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/verification/session/{id}/code");
        let body = json!({ "transport": "sms", "client": "ios" });
        client.post(&path, body).await.expect(200);
        let verified = client.put(&path, json!({ "code": CODE })).await.expect(200);
        assert_eq!(verified["verified"], true);
        id
    }

    /// Registers a number as official clients do.
    pub(crate) async fn register(&self, number: &str) -> Device {
        let seed = number
            .bytes()
            .fold(0, |sum, byte| sum * 31 + u64::from(byte));
        self.register_with(number, Identities::generate(seed), "password")
            .await
    }

    pub(crate) async fn register_with(
        &self,
        number: &str,
        keys: Identities,
        password: &str,
    ) -> Device {
        let session = self.verify(number).await;
        let client = self.client().official().basic(number, password);
        let account = client
            .post("/v1/registration", registration(&session, &keys))
            .await
            .expect(200);
        let aci = account["uuid"].as_str().unwrap().to_owned();
        Device {
            client: self
                .client()
                .official()
                .basic(&format!("{aci}.1"), password),
            number: number.to_owned(),
            password: password.to_owned(),
            pni: account["pni"].as_str().unwrap().to_owned(),
            aci,
            id: 1,
            keys,
        }
    }

    /// Links another device to the account.
    pub(crate) async fn link(&self, primary: &Device, password: &str) -> Device {
        // Tokens of the same millisecond are the same token.
        self.clock.advance(Duration::from_millis(1));
        let token = primary
            .client
            .get("/v1/devices/provisioning/code")
            .await
            .expect(200);
        let token = token["verificationCode"].as_str().unwrap();
        let client = self.client().official().basic(&primary.aci, password);
        let linked = client
            .put("/v1/devices/link", link_body(token, &primary.keys))
            .await
            .expect(200);
        let id = linked["deviceId"].as_u64().unwrap();
        let username = format!("{}.{id}", primary.aci);
        Device {
            client: self.client().official().basic(&username, password),
            number: primary.number.clone(),
            password: password.to_owned(),
            aci: primary.aci.clone(),
            pni: primary.pni.clone(),
            id,
            keys: primary.keys.clone(),
        }
    }
}

pub(crate) fn link_body(token: &str, keys: &Identities) -> Value {
    let mut attributes = attributes();
    attributes["name"] = json!(b64([9; 40]));
    json!({
        "verificationCode": token,
        "accountAttributes": attributes,
        "aciSignedPreKey": signed_pre_key(&keys.aci, 11),
        "pniSignedPreKey": signed_pre_key(&keys.pni, 12),
        "aciPqLastResortPreKey": kyber_pre_key(&keys.aci, 13),
        "pniPqLastResortPreKey": kyber_pre_key(&keys.pni, 14),
    })
}

impl Device {
    /// What identifies it on a WebSocket.
    pub(crate) fn username(&self) -> String {
        format!("{}.{}", self.aci, self.id)
    }

    pub(crate) async fn send(&self, to: &str, content: &[u8], timestamp: u64) -> super::Reply {
        self.client
            .put(&format!("/v1/messages/{to}"), message(content, timestamp))
            .await
    }
}

/// A message for device 1.
pub(crate) fn message(content: &[u8], timestamp: u64) -> Value {
    json!({
        "messages": [{
            "type": 1,
            "destinationDeviceId": 1,
            "destinationRegistrationId": REGISTRATION_ID,
            "content": b64(content),
        }],
        "timestamp": timestamp,
    })
}
