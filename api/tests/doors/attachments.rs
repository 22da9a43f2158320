//! Forms for attachments.

use std::time::Duration;

use api::Config;
use api::limits::rates::Rates;
use axum::Router;
use axum::body::Body;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::Request;
use tower::ServiceExt as _;

use crate::support::Door;

const PATH: &str = "/v4/attachments/form/upload";

#[tokio::test]
async fn a_form_leads_to_an_object() {
    let door = Door::open().await;
    let alice = door.register("+12015550121").await;
    let reply = alice.client.get(&format!("{PATH}?uploadLength=5")).await;
    let form = reply.expect(200);
    let key = form["key"].as_str().unwrap();
    assert_eq!((&form["cdn"], key.len()), (&3.into(), 20));
    assert_eq!(
        form["headers"]["Upload-Metadata"],
        format!("filename {}", BASE64_STANDARD.encode(key))
    );
    let location = form["signedUploadLocation"].as_str().unwrap();
    let path = location.strip_prefix("https://objects.test").unwrap();
    let mut upload = Request::post(path)
        .header("tus-resumable", "1.0.0")
        .header("upload-length", "5")
        .header("content-type", "application/offset+octet-stream");
    for (name, value) in form["headers"].as_object().unwrap() {
        upload = upload.header(name, value.as_str().unwrap());
    }
    let objects: Router = door.objects.router();
    let upload = upload.body(Body::from("hello")).unwrap();
    let created = objects.clone().oneshot(upload).await.unwrap();
    assert_eq!(created.status(), 201);
    let download = Request::get(format!("/attachments/{key}"));
    let download = download.body(Body::empty()).unwrap();
    let download = objects.oneshot(download).await.unwrap();
    let bytes = axum::body::to_bytes(download.into_body(), 100)
        .await
        .unwrap();
    assert_eq!(&bytes[..], b"hello");
}

#[tokio::test]
async fn lengths_are_checked() {
    let door = Door::open().await;
    let alice = door.register("+12015550122").await;
    for (length, status) in [
        ("0", 400),
        ("-1", 400),
        ("x", 400),
        ("9223372036854775808", 400),
        ("104857601", 413),
        ("104857600", 200),
        ("1", 200),
    ] {
        let reply = alice
            .client
            .get(&format!("{PATH}?uploadLength={length}"))
            .await;
        assert_eq!(reply.status, status, "{length}");
    }
    assert_eq!(alice.client.get(PATH).await.status, 200);
    assert_eq!(door.client().get(PATH).await.status, 401);
}

#[tokio::test]
async fn forms_and_their_bytes_are_counted() {
    let door = Door::open_limited(Config::default(), Rates::default()).await;
    let alice = door.register("+12015550123").await;
    let largest = format!("{PATH}?uploadLength=104857600");
    // Nine of these are less than 10⁹ bytes. What the bytes refuse is not counted as a form.
    for _ in 0..9 {
        alice.client.get(&largest).await.expect(200);
    }
    for _ in 0..60 {
        let refused = alice.client.get(&largest).await;
        assert_eq!(refused.status, 429);
        assert_eq!(refused.header("retry-after"), Some("48"));
        assert!(refused.body.is_empty());
    }
    for _ in 0..41 {
        alice.client.get(PATH).await.expect(200);
    }
    let refused = alice.client.get(PATH).await;
    assert_eq!(
        (refused.status.as_u16(), refused.header("retry-after")),
        (429, Some("1"))
    );
    door.clock.advance(Duration::from_millis(1_200));
    alice.client.get(PATH).await.expect(200);
    assert_eq!(alice.client.get(PATH).await.status, 429);
}
