//! The push services against doubles on this machine, which speak HTTP/2 only and check tokens, claims, headers and payloads as
//! the real ones do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use commands::ports::{Notification, PushFailed, PushTransport as _};
use events::account::PushToken;
use events::ports::Clock;
use events::values::Redacted;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
use reactors::push::{
    ApnsOptions, FcmOptions, ServiceAccount, Services, ServicesOptions, WebhookOptions,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use testkit::environment::FrozenClock;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

/// A request as a double got it.
struct Got {
    path: String,
    headers: http::HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    fn bearer(&self) -> &str {
        let value = self.header("authorization");
        value.strip_prefix("Bearer ").unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Status, `Retry-After`, body.
type Answer = (u16, &'static str, Value);

/// A service on a port of its own.
#[derive(Clone, Default)]
struct Double {
    got: Arc<Mutex<Vec<Got>>>,
    /// What it answers, the last one first; 200 when there is nothing left.
    answers: Arc<Mutex<Vec<Answer>>>,
}

impl Double {
    /// Returns where it is, and what has to live as long as it does.
    async fn start(version: Version) -> (Self, String, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let double = Self::default();
        let serving = double.clone();
        let router = Router::new().fallback(move |request: Request<Body>| {
            assert_eq!(request.version(), version);
            let serving = serving.clone();
            async move { serving.serve(request).await }
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let router = router.clone();
                let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                    let answer = router.clone().oneshot(request.map(Body::new));
                    async move { Ok::<_, Infallible>(answer.await.unwrap()) }
                });
                connections.spawn(async move {
                    let builder =
                        hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    _ = builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        (double, url, tasks)
    }

    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let access = json!({ "access_token": "access", "expires_in": 3600 });
        let answer = if path == "/token" {
            None
        } else {
            self.answers.lock().unwrap().pop()
        };
        let (status, wait, answer) = answer.unwrap_or((200, "", access));
        let got = Got {
            path,
            headers: parts.headers,
            body: to_bytes(body, 1 << 20).await.unwrap().to_vec(),
        };
        self.got.lock().unwrap().push(got);
        let mut response = Response::new(Body::from(answer.to_string()));
        *response.status_mut() = status.try_into().unwrap();
        if !wait.is_empty() {
            let headers = response.headers_mut();
            headers.insert("retry-after", wait.parse().unwrap());
        }
        response
    }

    fn answer(&self, status: u16, wait: &'static str, body: Value) {
        self.answers.lock().unwrap().push((status, wait, body));
    }

    fn take(&self) -> Vec<Got> {
        std::mem::take(&mut self.got.lock().unwrap())
    }
}

/// An installation with some services, its key, and its clock.
struct Scene {
    double: Double,
    services: Services,
    key: KeyPair,
    clock: Arc<FrozenClock>,
    url: String,
    tasks: JoinSet<()>,
}

impl Scene {
    async fn new(
        version: Version,
        key: KeyPair,
        options: impl FnOnce(&str, &KeyPair) -> ServicesOptions,
    ) -> Self {
        let (double, url, tasks) = Double::start(version).await;
        let clock = Arc::new(FrozenClock::default());
        let now: Arc<dyn Clock> = clock.clone();
        Self {
            services: Services::new(options(&url, &key), &now).unwrap(),
            double,
            key,
            clock,
            url,
            tasks,
        }
    }

    async fn apns() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let options = |url: &str, key: &KeyPair| ServicesOptions {
            apns: Some(ApnsOptions {
                url: url.to_owned(),
                key: SecretString::from(key.serialize_pem()),
                key_id: "KEY".to_owned(),
                team_id: "TEAM".to_owned(),
                topic: "org.example.app".to_owned(),
            }),
            ..ServicesOptions::default()
        };
        Self::new(Version::HTTP_2, key, options).await
    }

    async fn fcm() -> Self {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let options = |url: &str, key: &KeyPair| ServicesOptions {
            fcm: Some(FcmOptions {
                url: url.to_owned(),
                account: ServiceAccount {
                    project_id: "project".to_owned(),
                    client_email: "pusher@example.org".to_owned(),
                    private_key: SecretString::from(key.serialize_pem()),
                    token_uri: format!("{url}/token"),
                },
            }),
            ..ServicesOptions::default()
        };
        Self::new(Version::HTTP_2, key, options).await
    }

    async fn push(&self, to: &PushToken, what: &Notification) -> Result<(), PushFailed> {
        self.services.push(to, what).await
    }
}

const URGENT: Notification = Notification::Messages { urgent: true };
const CALM: Notification = Notification::Messages { urgent: false };

fn challenge() -> Notification {
    Notification::VerificationChallenge(Redacted("c0ffee".into()))
}

fn apn() -> PushToken {
    PushToken::Apn("a1b2c3".into())
}

fn fcm() -> PushToken {
    PushToken::Fcm("their:token".into())
}

fn start_seconds() -> u64 {
    FrozenClock::START_MILLIS / 1000
}

/// What a token claims, if the key has signed it.
fn claims(token: &str, algorithm: Algorithm, key: &KeyPair) -> Value {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let pem = key.public_key_pem();
    let public = match algorithm {
        Algorithm::ES256 => DecodingKey::from_ec_pem(pem.as_bytes()),
        _ => DecodingKey::from_rsa_pem(pem.as_bytes()),
    };
    let token = decode::<Value>(token, &public.unwrap(), &validation).unwrap();
    let mut claims = token.claims;
    claims["kid"] = json!(token.header.kid);
    claims
}

#[tokio::test]
async fn apple_gets_a_signed_token_and_the_payload_of_the_protocol() {
    let scene = Scene::apns().await;
    let limit = Notification::RateLimitChallenge(Redacted("beef".into()));
    for notification in [
        &URGENT,
        &CALM,
        &challenge(),
        &limit,
        &Notification::AttemptLogin,
    ] {
        scene.push(&apn(), notification).await.unwrap();
    }
    let got = scene.double.take();
    let signed = json!({ "iss": "TEAM", "iat": start_seconds(), "kid": "KEY" });
    assert_eq!(
        claims(got[0].bearer(), Algorithm::ES256, &scene.key),
        signed
    );
    for request in &got {
        assert_eq!(request.path, "/3/device/a1b2c3");
        assert_eq!(request.header("apns-topic"), "org.example.app");
        assert_eq!(request.bearer(), got[0].bearer(), "tokens are used again");
    }
    let manner = |n: usize| {
        (
            got[n].header("apns-push-type"),
            got[n].header("apns-priority"),
            got[n].header("apns-collapse-id"),
        )
    };
    assert_eq!(manner(0), ("alert", "10", "incoming-message"));
    assert_eq!(manner(1), ("background", "5", "incoming-message"));
    assert_eq!(manner(2), ("background", "5", ""));
    assert_eq!(got[0].json()["aps"]["alert"]["loc-key"], "APN_Message");
    assert_eq!(got[0].json()["aps"]["mutable-content"], 1);
    assert_eq!(got[1].json()["aps"], json!({ "content-available": 1 }));
    assert_eq!(got[2].json()["challenge"], "c0ffee");
    assert_eq!(got[3].json()["rateLimitChallenge"], "beef");
    assert_eq!(manner(4), ("alert", "10", ""));
    let context = &got[4].json()["attemptLoginContext"];
    assert_eq!(context, "failedRegistrationLock");

    scene.clock.advance(Duration::from_mins(41));
    scene.push(&apn(), &URGENT).await.unwrap();
    let renewed = claims(
        scene.double.take()[0].bearer(),
        Algorithm::ES256,
        &scene.key,
    );
    assert_eq!(renewed["iat"], start_seconds() + 41 * 60);
}

#[tokio::test]
async fn apples_refusals_are_told_apart() {
    let scene = Scene::apns().await;
    let waiting = PushFailed::Later(Some(Duration::from_secs(7)));
    for (status, wait, reason, expected) in [
        (410, "", "Unregistered", PushFailed::InvalidToken),
        (400, "", "BadDeviceToken", PushFailed::InvalidToken),
        (400, "", "DeviceTokenNotForTopic", PushFailed::InvalidToken),
        (403, "", "ExpiredProviderToken", PushFailed::Later(None)),
        (429, "7", "TooManyRequests", waiting),
        (503, "", "ServiceUnavailable", PushFailed::Later(None)),
        (
            403,
            "",
            "InvalidProviderToken",
            PushFailed::Refused("APNs refuses it"),
        ),
    ] {
        scene
            .double
            .answer(status, wait, json!({ "reason": reason }));
        assert_eq!(scene.push(&apn(), &URGENT).await, Err(expected), "{reason}");
    }
    let strange = PushToken::Apn("../../x".into());
    let refused = scene.push(&strange, &URGENT).await;
    assert_eq!(
        refused,
        Err(PushFailed::InvalidToken),
        "it would leave the path"
    );
    assert_eq!(scene.double.take().len(), 7);
    let elsewhere = scene.push(&fcm(), &URGENT).await;
    assert!(matches!(elsewhere, Err(PushFailed::Refused(_))));
}

#[tokio::test]
async fn a_service_that_is_not_there_may_come_back() {
    let mut scene = Scene::apns().await;
    scene.tasks.abort_all();
    while scene.tasks.join_next().await.is_some() {}
    assert_eq!(
        scene.push(&apn(), &URGENT).await,
        Err(PushFailed::Later(None))
    );
}

#[tokio::test]
async fn google_is_asked_for_access_once_and_gets_the_payload_of_the_protocol() {
    let scene = Scene::fcm().await;
    for notification in [&URGENT, &CALM, &challenge()] {
        scene.push(&fcm(), notification).await.unwrap();
    }
    let got = scene.double.take();
    let paths: Vec<_> = got.iter().map(|request| &*request.path).collect();
    let send = "/v1/projects/project/messages:send";
    assert_eq!(paths, ["/token", send, send, send]);
    let form = String::from_utf8(got[0].body.clone()).unwrap();
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    let assertion = form.strip_prefix(grant).unwrap();
    let asserted = json!({
        "iss": "pusher@example.org",
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": format!("{}/token", scene.url),
        "iat": start_seconds(),
        "exp": start_seconds() + 3600,
        "kid": null,
    });
    assert_eq!(claims(assertion, Algorithm::RS256, &scene.key), asserted);
    assert_eq!(got[1].bearer(), "access");
    let message = json!({ "message": {
        "token": "their:token",
        "data": { "newMessageAlert": "" },
        "android": { "priority": "HIGH", "collapse_key": "incoming-message" },
    } });
    assert_eq!(got[1].json(), message);
    assert_eq!(got[2].json()["message"]["android"]["priority"], "NORMAL");
    let data = json!({ "challenge": "c0ffee" });
    assert_eq!(got[3].json()["message"]["data"], data);

    scene.clock.advance(Duration::from_mins(56));
    scene.push(&fcm(), &URGENT).await.unwrap();
    assert_eq!(
        scene.double.take()[0].path,
        "/token",
        "before its time is over"
    );
}

#[tokio::test]
async fn googles_refusals_are_told_apart() {
    let scene = Scene::fcm().await;
    let unregistered = json!({ "error": { "details": [{ "errorCode": "UNREGISTERED" }] } });
    let argument = json!({ "error": { "details": [
        { "errorCode": "INVALID_ARGUMENT" },
        { "fieldViolations": [{ "field": "message.token" }] },
    ] } });
    let waiting = PushFailed::Later(Some(Duration::from_secs(20)));
    for (status, wait, body, expected) in [
        (404, "", unregistered.clone(), PushFailed::InvalidToken),
        (400, "", unregistered, PushFailed::InvalidToken),
        (400, "", argument, PushFailed::InvalidToken),
        (400, "", json!({}), PushFailed::Refused("FCM refuses it")),
        (401, "", json!({}), PushFailed::Later(None)),
        (503, "20", json!({}), waiting),
    ] {
        scene.double.answer(status, wait, body);
        assert_eq!(scene.push(&fcm(), &URGENT).await, Err(expected), "{status}");
    }
    let got = scene.double.take();
    let asked = got.iter().filter(|got| got.path == "/token").count();
    assert_eq!(asked, 2, "after a 401 access is asked for anew");
}

#[tokio::test]
async fn the_operators_service_gets_everything_in_one_post() {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let options = |url: &str, _: &KeyPair| ServicesOptions {
        webhook: Some(WebhookOptions {
            url: format!("{url}/push"),
            token: Some(SecretString::from("hush".to_owned())),
        }),
        ..ServicesOptions::default()
    };
    let scene = Scene::new(Version::HTTP_11, key, options).await;
    scene.push(&apn(), &CALM).await.unwrap();
    scene.push(&fcm(), &challenge()).await.unwrap();
    let got = scene.double.take();
    assert_eq!((&*got[0].path, got[0].bearer()), ("/push", "hush"));
    let first = json!({
        "service": "apn", "token": "a1b2c3", "kind": "messages", "urgent": false, "challenge": null,
    });
    let second = json!({
        "service": "fcm", "token": "their:token", "kind": "verificationChallenge", "urgent": true,
        "challenge": "c0ffee",
    });
    assert_eq!((got[0].json(), got[1].json()), (first, second));
    for (status, expected) in [
        (410, PushFailed::InvalidToken),
        (500, PushFailed::Later(None)),
        (422, PushFailed::Refused("the push webhook refuses it")),
    ] {
        scene.double.answer(status, "", json!({}));
        assert_eq!(scene.push(&apn(), &URGENT).await, Err(expected));
    }
}
