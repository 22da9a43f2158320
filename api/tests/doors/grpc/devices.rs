//! `device.Devices`.

use api::grpc::proto::device::{
    GetDevicesRequest, GetDevicesResponse, RemoveDeviceRequest, RemoveDeviceResponse,
};
use tonic::Status;

use crate::support::Door;
use crate::support::calls::{Calls, field, reason};

async fn list(calls: &Calls) -> Vec<u32> {
    let list: GetDevicesResponse = calls
        .ask("device.Devices/GetDevices", GetDevicesRequest {})
        .await
        .unwrap();
    list.devices.iter().map(|device| device.id).collect()
}

fn remove(
    calls: &Calls,
    id: u32,
) -> impl Future<Output = Result<RemoveDeviceResponse, Status>> + use<> {
    calls.ask("device.Devices/RemoveDevice", RemoveDeviceRequest { id })
}

#[tokio::test]
async fn devices_are_listed_and_removed() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let tablet = door.link(&alice, "tablet").await;
    let (primary, linked) = (door.calls().by(&alice), door.calls().by(&tablet));
    assert_eq!(list(&primary).await, [1, 2]);
    assert_eq!(list(&linked).await, [1, 2]);
    for id in [1, 3] {
        let refused = remove(&linked, id).await.unwrap_err();
        let expected = if id == 1 {
            "CONSTRAINT_VIOLATED"
        } else {
            "BAD_AUTHENTICATION"
        };
        assert_eq!(reason(&refused), (3, expected.to_owned()));
    }
    for id in [0, 1, 128] {
        assert_eq!(field(remove(&primary, id).await), "");
    }
    remove(&primary, 7).await.unwrap();
    remove(&primary, 2).await.unwrap();
    assert_eq!(list(&primary).await, [1]);
    let gone = remove(&linked, 2).await.unwrap_err();
    assert_eq!(reason(&gone), (16, "INVALID_CREDENTIALS".to_owned()));
}
