//! What waits for somebody, as each way shows it.

use bytes::Bytes;
use serde_json::json;

use super::{Scene, Way};
use crate::support::device::{REGISTRATION_ID, b64};

impl Scene<'_> {
    /// What waits for Bob in the end, as each way shows it.
    pub(super) async fn mail(&self, way: Way) -> Vec<(i32, Bytes)> {
        // A last message tells where to stop.
        let body = json!({ "messages": [
            { "type": 8, "destinationDeviceId": 1, "destinationRegistrationId": REGISTRATION_ID, "content": b64(b"end") },
        ] });
        let devices = self.bob.client.get("/v1/devices").await.expect(200);
        let mut body = body;
        if devices["devices"].as_array().unwrap().len() > 1 {
            let mut second = body["messages"][0].clone();
            second["destinationDeviceId"] = json!(2);
            body["messages"].as_array_mut().unwrap().push(second);
        }
        let path = format!("/v1/messages/{}", self.bob.aci);
        self.alice.client.put(&path, body).await.expect(200);
        let mut mail = Vec::new();
        match way {
            Way::Rest => {
                let list = self.bob.client.get("/v1/messages").await.expect(200);
                for message in list["messages"].as_array().unwrap() {
                    let kind = i32::try_from(message["type"].as_i64().unwrap()).unwrap();
                    mail.push((
                        kind,
                        Bytes::from(message["content"].as_str().unwrap().to_owned()),
                    ));
                }
            }
            Way::WebSocket => {
                let mut socket = self.door.listen().await.by(&self.bob).open().await;
                while mail.last().is_none_or(|(kind, _)| *kind != 8) {
                    let (id, envelope) = socket.message().await;
                    socket.respond(id, 200).await;
                    let content = b64(envelope.content.unwrap());
                    mail.push((envelope.kind.unwrap(), content.into()));
                }
                socket.queue_empty().await;
            }
            Way::Grpc => {
                let mut mailbox = self.door.calls().by(&self.bob).mailbox(false).await;
                while mail.last().is_none_or(|(kind, _)| *kind != 8) {
                    let envelope = mailbox.message().await;
                    mailbox.acknowledge(&envelope);
                    let content = b64(envelope.content.unwrap());
                    mail.push((envelope.kind.unwrap(), content.into()));
                }
                mailbox.queue_empty().await;
            }
        }
        mail
    }
}
