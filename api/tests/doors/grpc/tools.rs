//! What is not about messages: health, reflection, and which way a call may come.

use axum::body::Body;
use futures::stream;
use http::{Request, Version};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tower::ServiceExt as _;

use crate::support::Door;

async fn reflect(door: &Door, question: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    };
    let mut client = ServerReflectionClient::new(door.router.clone());
    let answers = client
        .server_reflection_info(stream::iter([request]))
        .await
        .unwrap();
    let answer: Option<ServerReflectionResponse> = answers.into_inner().message().await.unwrap();
    answer.unwrap().message_response.unwrap()
}

#[tokio::test]
async fn reflection_lists_the_services_and_describes_them() {
    let door = Door::open().await;
    let MessageResponse::ListServicesResponse(list) =
        reflect(&door, MessageRequest::ListServices(String::new())).await
    else {
        panic!("a list was asked for");
    };
    let names: Vec<_> = list
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    assert!(names.contains(&"org.signal.chat.keys.Keys"), "{names:?}");
    let symbol = "org.signal.chat.messages.Messages.GetMessages".to_owned();
    let described = reflect(&door, MessageRequest::FileContainingSymbol(symbol)).await;
    assert!(matches!(
        described,
        MessageResponse::FileDescriptorResponse(_)
    ));
}

#[tokio::test]
async fn health_is_told() {
    let door = Door::open().await;
    let mut client = HealthClient::new(door.router.clone());
    let answer = client.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
}

#[tokio::test]
async fn calls_come_over_http_2_and_say_what_they_are() {
    let door = Door::open().await;
    let ask = |version, kind: &'static str| {
        let request = Request::post("/org.signal.chat.keys.Keys/GetPreKeyCount")
            .version(version)
            .header("content-type", kind);
        let request = request.body(Body::empty()).unwrap();
        let router = door.router.clone();
        async move { router.oneshot(request).await.unwrap().status().as_u16() }
    };
    assert_eq!(ask(Version::HTTP_2, "application/grpc").await, 200);
    assert_eq!(ask(Version::HTTP_11, "application/grpc").await, 505);
    assert_eq!(ask(Version::HTTP_2, "application/json").await, 415);
    assert_eq!(
        ask(Version::HTTP_2, "application/grpc-web+proto").await,
        415
    );
}

#[tokio::test]
async fn an_operator_may_do_without() {
    let config = api::Config {
        grpc: false,
        ..api::Config::default()
    };
    let door = Door::open_with(config).await;
    let device = door.register("+12015550123").await;
    let config = device.client.get("/v2/config").await.expect(200);
    let name = "desktop.libsignal.grpc.MessagesSendMessage";
    assert_eq!(config["config"][name], "ws");
    let request = Request::post("/org.signal.chat.keys.Keys/GetPreKeyCount")
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc");
    let request = request.body(Body::empty()).unwrap();
    let response = door.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 404);
    let door = Door::open().await;
    let device = door.register("+12015550123").await;
    let config = device.client.get("/v2/config").await.expect(200);
    assert!(config["config"].get(name).is_none());
}
