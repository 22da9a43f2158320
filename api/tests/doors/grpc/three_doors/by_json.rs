//! Operations as requests with JSON: by themselves, or inside a WebSocket.

use serde_json::{Value, json};

use super::super::UNKNOWN;
use super::{Operation, Scene, Seen, Who, registration_id};
use crate::support::device::{ACCESS_KEY, b64, ec_pre_key};

fn numbers(value: &Value) -> Vec<u64> {
    let list = value.as_array().cloned().unwrap_or_default();
    let mut numbers: Vec<_> = list.iter().map(|number| number.as_u64().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

impl Scene<'_> {
    async fn json(
        &mut self,
        who: Who,
        verb: &str,
        path: &str,
        key: Option<u8>,
        body: Option<Value>,
    ) -> (u16, Value) {
        let key = key.map(|byte| b64([byte; 16]));
        if let Some(sockets) = &mut self.sockets {
            let socket = &mut sockets[who as usize];
            let header = key.map(|key| format!("unidentified-access-key: {key}"));
            let headers: Vec<&str> = header.iter().map(String::as_str).collect();
            let id = socket.ask_with(verb, path, &headers, body).await;
            let answer = socket.answer(id).await;
            let body = answer.body.unwrap_or_default();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            return (u16::try_from(answer.status.unwrap()).unwrap(), body);
        }
        let client = match who {
            Who::Alice => self.alice.client.clone(),
            Who::Bob => self.bob.client.clone(),
            Who::Tablet => self.tablet.client.clone(),
            Who::Nobody => self.door.client().official(),
        };
        let client = key.iter().fold(client, |client, key| {
            client.with("unidentified-access-key", key)
        });
        let reply = match body {
            Some(body) => client.json(verb, path, body).await,
            None => client.send(verb, path, None).await,
        };
        (
            reply.status.as_u16(),
            serde_json::from_slice(&reply.body).unwrap_or_default(),
        )
    }

    pub(super) async fn by_json(&mut self, operation: &Operation) -> Seen {
        let bob = self.bob.aci.clone();
        let account = |known: bool| {
            if known {
                bob.clone()
            } else {
                UNKNOWN.to_owned()
            }
        };
        let letter = |kind: u8, devices: &[u32], current, content: u8| {
            let message = |device: &u32| {
                json!({
                    "type": kind,
                    "destinationDeviceId": device,
                    "destinationRegistrationId": registration_id(current),
                    "content": b64([content; 3]),
                })
            };
            json!({ "messages": devices.iter().map(message).collect::<Vec<_>>(), "timestamp": 77 })
        };
        match operation {
            Operation::Send {
                known,
                devices,
                current,
                content,
            } => {
                let path = format!("/v1/messages/{}", account(*known));
                let body = letter(1, devices, *current, *content);
                sent(&self.json(Who::Alice, "PUT", &path, None, Some(body)).await)
            }
            Operation::Seal {
                known,
                devices,
                current,
                right_key,
                content,
            } => {
                let path = format!("/v1/messages/{}", account(*known));
                let key = if *right_key { ACCESS_KEY[0] } else { 9 };
                let body = letter(6, devices, *current, *content);
                sent(
                    &self
                        .json(Who::Nobody, "PUT", &path, Some(key), Some(body))
                        .await,
                )
            }
            other => self.keys_by_json(other).await,
        }
    }

    async fn keys_by_json(&mut self, operation: &Operation) -> Seen {
        let bob = self.bob.aci.clone();
        let account = |known: bool| {
            if known {
                bob.clone()
            } else {
                UNKNOWN.to_owned()
            }
        };
        match operation {
            Operation::Take { known, device } => {
                let device = device.map_or_else(|| "*".to_owned(), |device| device.to_string());
                let path = format!("/v2/keys/{}/{device}", account(*known));
                match self.json(Who::Alice, "GET", &path, None, None).await {
                    (200, keys) => Seen::Keys(
                        keys["devices"]
                            .as_array()
                            .unwrap()
                            .iter()
                            .map(|device| {
                                let keys = (
                                    device["preKey"]["keyId"].as_u64(),
                                    device["pqPreKey"]["keyId"].as_u64(),
                                );
                                (device["deviceId"].as_u64().unwrap(), keys)
                            })
                            .collect(),
                    ),
                    (404, _) => Seen::Unknown,
                    other => panic!("{other:?}"),
                }
            }
            Operation::Upload(count) => {
                let keys: Vec<_> = (1..=u64::from(*count)).map(ec_pre_key).collect();
                let body = json!({ "preKeys": keys });
                let answer = self
                    .json(Who::Bob, "PUT", "/v2/keys", None, Some(body))
                    .await;
                assert_eq!(answer.0, 204);
                Seen::Done
            }
            Operation::Count => {
                let (_, counts) = self.json(Who::Bob, "GET", "/v2/keys", None, None).await;
                Seen::Counts(
                    counts["count"].as_u64().unwrap(),
                    counts["pqCount"].as_u64().unwrap(),
                )
            }
            other => self.account_by_json(other).await,
        }
    }

    async fn account_by_json(&mut self, operation: &Operation) -> Seen {
        let bob = self.bob.aci.clone();
        let account = |known: bool| {
            if known {
                bob.clone()
            } else {
                UNKNOWN.to_owned()
            }
        };
        match operation {
            Operation::Exists { known } => {
                let path = format!("/v1/accounts/account/{}", account(*known));
                Seen::Is(self.json(Who::Nobody, "HEAD", &path, None, None).await.0 == 200)
            }
            Operation::List => {
                let (_, list) = self.json(Who::Bob, "GET", "/v1/devices", None, None).await;
                let ids = list["devices"].as_array().unwrap().iter();
                Seen::Devices(ids.map(|device| device["id"].as_u64().unwrap()).collect())
            }
            Operation::Remove { by_primary, target } => {
                let who = if *by_primary { Who::Bob } else { Who::Tablet };
                let path = format!("/v1/devices/{target}");
                match self.json(who, "DELETE", &path, None, None).await.0 {
                    // Over gRPC a device that is not there is as good as removed.
                    204 | 404 => Seen::Done,
                    401 | 403 => Seen::Forbidden,
                    other => panic!("{other}"),
                }
            }
            other => panic!("{other:?} is not about accounts"),
        }
    }
}

/// What a sender of JSON learns.
fn sent((status, body): &(u16, Value)) -> Seen {
    match status {
        200 => Seen::Done,
        401 => Seen::Unauthorized,
        404 => Seen::Unknown,
        409 => Seen::Mismatched {
            missing: numbers(&body["missingDevices"]),
            extra: numbers(&body["extraDevices"]),
        },
        410 => Seen::Stale(numbers(&body["staleDevices"])),
        other => panic!("{other} {body}"),
    }
}
