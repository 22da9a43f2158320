//! Operations as calls.

use api::grpc::proto::account::{CheckAccountExistenceRequest, CheckAccountExistenceResponse};
use api::grpc::proto::common::{EcPreKey, ServiceIdentifier};
use api::grpc::proto::device::{
    GetDevicesRequest, GetDevicesResponse, RemoveDeviceRequest, RemoveDeviceResponse,
};
use api::grpc::proto::keys::{
    GetPreKeyCountRequest, GetPreKeyCountResponse, GetPreKeysRequest, GetPreKeysResponse,
    SetOneTimeEcPreKeysRequest, SetPreKeyResponse, get_pre_keys_response,
};
use api::grpc::proto::messages::individual_recipient_message_bundle::Message;
use api::grpc::proto::messages::send_message_authenticated_sender_response::Response as Outcome;
use api::grpc::proto::messages::send_message_response::Response as SealedOutcome;
use api::grpc::proto::messages::send_sealed_sender_message_request::Authorization;
use api::grpc::proto::messages::{
    IndividualRecipientMessageBundle, MismatchedDevices, SendAuthenticatedSenderMessageRequest,
    SendMessageAuthenticatedSenderResponse, SendMessageResponse, SendSealedSenderMessageRequest,
};
use bytes::Bytes;

use super::super::{UNKNOWN, aci};
use super::{Operation, Scene, Seen, registration_id};
use crate::support::device::ACCESS_KEY;

fn sorted(numbers: Vec<u32>) -> Vec<u64> {
    let mut numbers: Vec<u64> = numbers.into_iter().map(Into::into).collect();
    numbers.sort_unstable();
    numbers
}

impl Scene<'_> {
    pub(super) async fn by_grpc(&self, operation: &Operation) -> Seen {
        let account = |known: bool| {
            if known {
                aci(&self.bob.aci)
            } else {
                aci(UNKNOWN)
            }
        };
        let alice = self.door.calls().by(&self.alice);
        let letter = |kind: i32, devices: &[u32], current, content: u8| {
            let message = Message {
                registration_id: u32::try_from(registration_id(current)).unwrap(),
                payload: Bytes::copy_from_slice(&[content; 3]),
                r#type: kind,
            };
            Some(IndividualRecipientMessageBundle {
                timestamp: 77,
                messages: devices
                    .iter()
                    .map(|device| (*device, message.clone()))
                    .collect(),
            })
        };
        match operation {
            Operation::Send {
                known,
                devices,
                current,
                content,
            } => {
                let request = SendAuthenticatedSenderMessageRequest {
                    destination: account(*known),
                    ephemeral: false,
                    urgent: true,
                    messages: letter(1, devices, *current, *content),
                };
                let answer: SendMessageAuthenticatedSenderResponse = alice
                    .ask("messages.Messages/SendMessage", request)
                    .await
                    .unwrap();
                match answer.response.unwrap() {
                    Outcome::Success(()) => Seen::Done,
                    Outcome::MismatchedDevices(devices) => mismatched(devices),
                    Outcome::DestinationNotFound(_) => Seen::Unknown,
                    Outcome::ChallengeRequired(_) => panic!("nobody is challenged here"),
                }
            }
            Operation::Seal {
                known,
                devices,
                current,
                right_key,
                content,
            } => {
                let key = if *right_key { ACCESS_KEY[0] } else { 9 };
                let request = SendSealedSenderMessageRequest {
                    destination: account(*known),
                    ephemeral: false,
                    urgent: true,
                    messages: letter(4, devices, *current, *content),
                    authorization: Some(Authorization::UnidentifiedAccessKey(vec![key; 16].into())),
                };
                let method = "messages.MessagesAnonymous/SendSingleRecipientMessage";
                let answer: SendMessageResponse =
                    self.door.calls().ask(method, request).await.unwrap();
                match answer.response.unwrap() {
                    SealedOutcome::Success(()) => Seen::Done,
                    SealedOutcome::MismatchedDevices(devices) => mismatched(devices),
                    SealedOutcome::DestinationNotFound(_) => Seen::Unknown,
                    SealedOutcome::FailedUnidentifiedAuthorization(_) => Seen::Unauthorized,
                }
            }
            other => self.keys_by_grpc(other).await,
        }
    }

    async fn keys_by_grpc(&self, operation: &Operation) -> Seen {
        let account = |known: bool| {
            if known {
                aci(&self.bob.aci)
            } else {
                aci(UNKNOWN)
            }
        };
        let alice = self.door.calls().by(&self.alice);
        let bob = self.door.calls().by(&self.bob);
        match operation {
            Operation::Take { known, device } => {
                let request = GetPreKeysRequest {
                    target_identifier: account(*known),
                    device_id: *device,
                };
                let answer: GetPreKeysResponse =
                    alice.ask("keys.Keys/GetPreKeys", request).await.unwrap();
                let id = |id: i32| u64::try_from(id).unwrap();
                match answer.response.unwrap() {
                    get_pre_keys_response::Response::PreKeys(keys) => Seen::Keys(
                        keys.device_pre_keys
                            .into_iter()
                            .map(|(device, keys)| {
                                let keys = (
                                    keys.ec_one_time_pre_key.map(|key| id(key.key_id)),
                                    keys.kem_one_time_pre_key.map(|key| id(key.key_id)),
                                );
                                (device.into(), keys)
                            })
                            .collect(),
                    ),
                    get_pre_keys_response::Response::TargetNotFound(_) => Seen::Unknown,
                }
            }
            Operation::Upload(count) => {
                let key = |id: u8| {
                    let mut key = vec![id; 33];
                    key[0] = 5;
                    EcPreKey {
                        key_id: id.into(),
                        public_key: key.into(),
                    }
                };
                let request = SetOneTimeEcPreKeysRequest {
                    identity_type: 1,
                    pre_keys: (1..=*count).map(key).collect(),
                };
                bob.ask::<_, SetPreKeyResponse>("keys.Keys/SetOneTimeEcPreKeys", request)
                    .await
                    .unwrap();
                Seen::Done
            }
            Operation::Count => {
                let counts: GetPreKeyCountResponse = bob
                    .ask("keys.Keys/GetPreKeyCount", GetPreKeyCountRequest {})
                    .await
                    .unwrap();
                Seen::Counts(
                    counts.aci_ec_pre_key_count.into(),
                    counts.aci_kem_pre_key_count.into(),
                )
            }
            other => self.account_by_grpc(other).await,
        }
    }

    async fn account_by_grpc(&self, operation: &Operation) -> Seen {
        let account = |known: bool| {
            if known {
                aci(&self.bob.aci)
            } else {
                aci(UNKNOWN)
            }
        };
        let bob = self.door.calls().by(&self.bob);
        match operation {
            Operation::Exists { known } => {
                let service_identifier: Option<ServiceIdentifier> = account(*known);
                let method = "account.AccountsAnonymous/CheckAccountExistence";
                let answer: CheckAccountExistenceResponse = self
                    .door
                    .calls()
                    .ask(method, CheckAccountExistenceRequest { service_identifier })
                    .await
                    .unwrap();
                Seen::Is(answer.account_exists)
            }
            Operation::List => {
                let list: GetDevicesResponse = bob
                    .ask("device.Devices/GetDevices", GetDevicesRequest {})
                    .await
                    .unwrap();
                Seen::Devices(list.devices.iter().map(|device| device.id.into()).collect())
            }
            Operation::Remove { by_primary, target } => {
                let who = if *by_primary {
                    bob
                } else {
                    self.door.calls().by(&self.tablet)
                };
                let request = RemoveDeviceRequest { id: *target };
                match who
                    .ask::<_, RemoveDeviceResponse>("device.Devices/RemoveDevice", request)
                    .await
                {
                    Ok(_) => Seen::Done,
                    Err(_) => Seen::Forbidden,
                }
            }
            other => panic!("{other:?} is not about accounts"),
        }
    }
}

/// What gRPC tells together: as JSON tells it, stale devices win.
fn mismatched(devices: MismatchedDevices) -> Seen {
    if devices.stale_devices.is_empty() {
        Seen::Mismatched {
            missing: sorted(devices.missing_devices),
            extra: sorted(devices.extra_devices),
        }
    } else {
        Seen::Stale(sorted(devices.stale_devices))
    }
}
