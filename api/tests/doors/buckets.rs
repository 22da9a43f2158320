//! Every bucket of the table is spent at some door, refuses the one too many there, and fills again as its clock says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::Config;
use api::grpc::proto::account::generate_totp_key_response::Response as Generated;
use api::grpc::proto::account::{
    ConfirmTotpKeyRequest, ConfirmTotpKeyResponse, GenerateTotpKeyRequest, GenerateTotpKeyResponse,
};
use api::grpc::proto::credentials::{
    ExternalServiceType, GetExternalServiceCredentialsRequest,
    GetExternalServiceCredentialsResponse,
};
use api::limits::rates::{Limit, Rate, Rates};
use events::ports::Clock as _;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::archives::{BASE, request};
use crate::challenge::{captcha, last_challenge, pushed, with_push};
use crate::grpc::avatars::{key, set};
use crate::grpc::pictures;
use crate::support::device::{Identities, REGISTRATION_ID, link_body, message, registration};
use crate::support::{Client, Device, Door, Reply};
use crate::usernames::{confirm, hash, reserve};

/// Permits of the bucket that is exercised. All others are as good as endless.
const SIZE: u64 = 2;
/// No limit has this period by itself: who is told to wait so long has met the bucket that is exercised.
const PERIOD: Duration = Duration::from_secs(77);

const NUMBER: &str = "+12015550151";
const OTHER: &str = "+12015550152";
const STRANGER: &str = "00000000-0000-4000-8000-000000000000";

fn rates(exercised: Limit) -> Rates {
    let mut rates = Rates::default();
    for limit in Limit::ALL {
        let endless = Rate {
            size: 1_000_000_000,
            period: Duration::from_nanos(1),
        };
        rates.set(limit.name(), endless).unwrap();
    }
    let rate = Rate {
        size: SIZE,
        period: PERIOD,
    };
    rates.set(exercised.name(), rate).unwrap();
    rates
}

/// What a call is told about the limit: nothing, or how many seconds to wait.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Wait(u64),
}

impl From<Reply> for Told {
    fn from(reply: Reply) -> Self {
        assert!(!reply.status.is_server_error(), "{reply:?}");
        match reply.header("retry-after") {
            Some(seconds) if reply.status == 429 => Self::Wait(seconds.parse().unwrap()),
            _ => Self::Nothing,
        }
    }
}

impl<T> From<Result<T, Status>> for Told {
    fn from(answer: Result<T, Status>) -> Self {
        match answer {
            Err(status) if status.code() == Code::ResourceExhausted => {
                let retry = status.get_details_retry_info().unwrap();
                Self::Wait(retry.retry_delay.unwrap().as_secs())
            }
            _ => Self::Nothing,
        }
    }
}

/// A call that spends one permit of a bucket, as often as it is made.
type Call<'a> = Box<dyn Fn() -> BoxFuture<'a, Told> + Send + Sync + 'a>;

/// The same request again and again.
fn again<'a>(client: Client, verb: &'static str, path: impl Into<String>, body: Value) -> Call<'a> {
    let path = path.into();
    Box::new(move || {
        let (client, path, body) = (client.clone(), path.clone(), body.clone());
        async move {
            let reply = if body.is_null() {
                client.send(verb, &path, None).await
            } else {
                client.json(verb, &path, body).await
            };
            reply.into()
        }
        .boxed()
    })
}

fn get<'a>(client: Client, path: impl Into<String>) -> Call<'a> {
    again(client, "GET", path, Value::Null)
}

fn post<'a>(client: Client, path: impl Into<String>, body: Value) -> Call<'a> {
    again(client, "POST", path, body)
}

fn put<'a>(client: Client, path: impl Into<String>, body: Value) -> Call<'a> {
    again(client, "PUT", path, body)
}

async fn device(door: &Door) -> Client {
    door.register(NUMBER).await.client
}

/// A device that may write to somebody, and to whom.
async fn two(door: &Door) -> (Client, String) {
    let (alice, bob) = (door.register(NUMBER).await, door.register(OTHER).await);
    (alice.client, bob.aci)
}

/// Sends to somebody, in another way.
async fn sending<'a>(door: &Door, query: &str) -> Call<'a> {
    let (client, to) = two(door).await;
    put(
        client,
        format!("/v1/messages/{to}{query}"),
        message(b"x", 1),
    )
}

/// Registers a number again that has something to protect its account.
async fn registering<'a>(door: &Door, change: impl Fn(&mut Value)) -> Call<'a> {
    let mut body = registration(&door.verify(NUMBER).await, &Identities::generate(5));
    change(&mut body);
    let client = door.client().official().basic(NUMBER, "password");
    post(client, "/v1/registration", body)
}

/// A session that asks for proofs.
async fn session(door: &Door) -> String {
    let push = json!({ "number": NUMBER, "pushToken": "t", "pushTokenType": "fcm" });
    let session = door.client().post("/v1/verification/session", push).await;
    let session = session.expect(200);
    let id = session["id"].as_str().unwrap();
    format!("/v1/verification/session/{id}")
}

fn config(limit: Limit) -> Config {
    let proofs = [Limit::VerificationPushChallenge, Limit::VerificationCaptcha];
    Config {
        captcha_required: proofs.contains(&limit),
        ..Config::default()
    }
}

/// How each bucket is spent. There is no arm for the rest: a limit that nothing spends does not compile.
async fn exercise(limit: Limit, door: &Door) -> Call<'_> {
    let anybody = door.client();
    match limit {
        Limit::Registration | Limit::Pin | Limit::CheckTotp => registration_of(limit, door).await,
        Limit::VerificationPushChallenge => {
            let body = json!({ "pushChallenge": "wrong" });
            again(anybody, "PATCH", session(door).await, body)
        }
        Limit::VerificationCaptcha => {
            let body = json!({ "captcha": "scheme.site.registration.x" });
            again(anybody, "PATCH", session(door).await, body)
        }
        Limit::Messages | Limit::InboundMessageBytes => sending(door, "").await,
        Limit::Stories => sending(door, "?story=true").await,
        Limit::PreKeys => {
            let (client, target) = two(door).await;
            get(client, format!("/v2/keys/{target}/*"))
        }
        Limit::Profile => {
            let (client, target) = two(door).await;
            get(client, format!("/v1/profile/{target}"))
        }
        Limit::AttachmentCreate => get(device(door).await, "/v4/attachments/form/upload"),
        Limit::AttachmentCreateBytes => {
            let path = "/v4/attachments/form/upload?uploadLength=1";
            get(device(door).await, path)
        }
        Limit::StickerPack => get(device(door).await, "/v1/sticker/pack/form/1"),
        Limit::GetCallingRelays => get(device(door).await, "/v2/calling/relays"),
        Limit::CreateCallLink => {
            let body = json!({ "createCallLinkCredentialRequest": "AAAA" });
            post(device(door).await, "/v1/call-link/create-auth", body)
        }
        Limit::ExternalServiceCredentials => services(door).await,
        Limit::SetZkCredentialKey => credential_keys(door).await,
        Limit::ProfileAvatarBytes => Box::new(move || {
            let placed = pictures::place(door, pictures::presentation(), 1);
            async move { placed.await.into() }.boxed()
        }),
        Limit::SetBackupId => {
            let body = json!({ "messagesBackupAuthCredentialRequest": request(BASE) });
            put(device(door).await, "/v1/archives/backupid", body)
        }
        Limit::AllocateDevice
        | Limit::VerifyDevice
        | Limit::WaitForLinkedDevice
        | Limit::UploadTransferArchive
        | Limit::WaitForTransferArchive
        | Limit::RecordDeviceTransferRequest
        | Limit::WaitForDeviceTransferRequest => linking(limit, door).await,
        Limit::UsernameReserve
        | Limit::UsernameSet
        | Limit::UsernameLookup
        | Limit::UsernameLinkOperation
        | Limit::UsernameLinkLookup => username(limit, door).await,
        Limit::CheckAccountExistence => {
            let path = format!("/v1/accounts/account/{STRANGER}");
            again(anybody, "HEAD", path, Value::Null)
        }
        Limit::BackupAuthCheck => {
            let body = json!({ "number": NUMBER, "tokens": ["a:b"] });
            post(anybody, "/v2/svr/auth/check", body)
        }
        Limit::BatchIdentityCheck => {
            let body = json!({ "elements": [{ "uuid": STRANGER, "fingerprint": "AAAAAA==" }] });
            post(anybody, "/v1/profile/identity_check/batch", body)
        }
        Limit::CaptchaChallengeAttempt | Limit::CaptchaChallengeSuccess | Limit::RateLimitReset => {
            let body = captcha("scheme.site.challenge.x");
            put(device(door).await, "/v1/challenge", body)
        }
        Limit::PushChallengeAttempt => put(device(door).await, "/v1/challenge", pushed("wrong")),
        Limit::PushChallengeSuccess => {
            let client = with_push(door).await;
            Box::new(move || {
                let client = client.clone();
                async move {
                    let asked = client.send("POST", "/v1/challenge/push", None).await;
                    asked.expect(200);
                    let answer = pushed(&last_challenge(door));
                    client.put("/v1/challenge", answer).await.into()
                }
                .boxed()
            })
        }
    }
}

async fn registration_of<'a>(limit: Limit, door: &Door) -> Call<'a> {
    if limit == Limit::Registration {
        let unknown = json!("AAAAAAAAAAAAAAAAAAAAAA==");
        return registering(door, |body| body["sessionId"] = unknown.clone()).await;
    }
    let alice = door.register(NUMBER).await;
    if limit == Limit::Pin {
        let set = json!({ "registrationLock": "ab".repeat(32) });
        let path = "/v1/accounts/registration_lock";
        alice.client.put(path, set).await.expect(204);
        let guess = json!("cd".repeat(32));
        return registering(door, |body| {
            body["accountAttributes"]["registrationLock"] = guess.clone();
        })
        .await;
    }
    door.totp_key(&alice).await;
    registering(door, |body| body["totp"] = json!(0)).await
}

async fn linking<'a>(limit: Limit, door: &Door) -> Call<'a> {
    let anybody = door.client();
    let alice = door.register(NUMBER).await;
    let (client, token) = (alice.client.clone(), "/v1/devices/provisioning/code");
    let archive = "/v1/devices/transfer_archive";
    let restoring = "/v1/devices/restore_account/token";
    match limit {
        Limit::AllocateDevice => get(client, token),
        Limit::VerifyDevice => {
            let token = client.get(token).await.expect(200);
            let token = token["verificationCode"].as_str().unwrap();
            let body = link_body(token, &alice.keys);
            put(
                anybody.basic(&alice.aci, "tablet"),
                "/v1/devices/link",
                body,
            )
        }
        Limit::WaitForLinkedDevice => {
            let waiting = client.get(token).await.expect(200);
            let token = waiting["verificationCode"].as_str().unwrap();
            let body = link_body(token, &alice.keys);
            let newcomer = anybody.basic(&alice.aci, "tablet");
            newcomer.put("/v1/devices/link", body).await.expect(200);
            let identifier = waiting["tokenIdentifier"].as_str().unwrap();
            let path = format!("/v1/devices/wait_for_linked_device/{identifier}?timeout=1");
            get(client, path)
        }
        Limit::WaitForTransferArchive => {
            client.put(archive, offer()).await.expect(204);
            get(client, archive)
        }
        Limit::RecordDeviceTransferRequest => {
            put(anybody, restoring, json!({ "method": "DECLINE" }))
        }
        Limit::WaitForDeviceTransferRequest => {
            let choice = json!({ "method": "DECLINE" });
            anybody.put(restoring, choice).await.expect(204);
            get(anybody, restoring)
        }
        _ => put(client, archive, offer()),
    }
}

/// An archive for device 1.
fn offer() -> Value {
    json!({
        "destinationDeviceId": 1,
        "destinationDeviceRegistrationId": REGISTRATION_ID,
        "transferArchive": { "cdn": 3, "key": "AAAA" },
    })
}

async fn username(limit: Limit, door: &Door) -> Call<'_> {
    let (path, link) = ("/v1/accounts/username_hash", "/v1/accounts/username_link");
    match limit {
        Limit::UsernameReserve => {
            let body = json!({ "usernameHashes": [hash("alice")] });
            put(device(door).await, format!("{path}/reserve"), body)
        }
        Limit::UsernameSet => {
            let client = device(door).await;
            reserve(&client, &["alice"]).await.expect(200);
            Box::new(move || {
                let client = client.clone();
                async move { confirm(&client, "alice").await.into() }.boxed()
            })
        }
        Limit::UsernameLookup => get(door.client(), format!("{path}/{}", hash("alice"))),
        Limit::UsernameLinkOperation => again(device(door).await, "DELETE", link, Value::Null),
        _ => get(door.client(), format!("{link}/{STRANGER}")),
    }
}

async fn services(door: &Door) -> Call<'_> {
    let calls = door.calls().by(&door.register(NUMBER).await);
    Box::new(move || {
        let request = GetExternalServiceCredentialsRequest {
            external_service: ExternalServiceType::Storage.into(),
        };
        let method = "credentials.Credentials/GetExternalServiceCredentials";
        let answer = calls.ask::<_, GetExternalServiceCredentialsResponse>(method, request);
        async move { answer.await.into() }.boxed()
    })
}

/// Another key than the account has: its own is not counted.
async fn credential_keys(door: &Door) -> Call<'_> {
    let calls = door.calls().by(&door.register(NUMBER).await);
    let other = Arc::new(AtomicBool::new(false));
    Box::new(move || {
        let (calls, other) = (calls.clone(), other.clone());
        async move {
            let answer = set(&calls, key(other.load(Ordering::Relaxed))).await;
            if answer.is_ok() {
                other.fetch_not(Ordering::Relaxed);
            }
            answer.into()
        }
        .boxed()
    })
}

impl Door {
    /// Has the account ask for one-time passwords from now on.
    async fn totp_key(&self, device: &Device) {
        let calls = self.calls().by(device);
        let generated: GenerateTotpKeyResponse = calls
            .ask(
                "account.Accounts/GenerateTotpKey",
                GenerateTotpKeyRequest {},
            )
            .await
            .unwrap();
        let Some(Generated::KeyGenerated(generated)) = generated.response else {
            panic!("there is room for a key");
        };
        let key: [u8; 32] = generated.key[..].try_into().unwrap();
        let request = ConfirmTotpKeyRequest {
            one_time_password: crypto::totp::password(&key, self.clock.now()),
            metadata_ciphertext: vec![7; 160].into(),
        };
        let _: ConfirmTotpKeyResponse = calls
            .ask("account.Accounts/ConfirmTotpKey", request)
            .await
            .unwrap();
    }
}

async fn spends_its_bucket(limit: Limit) {
    let name = limit.name();
    let door = match limit {
        // Its callers show a credential that was issued with other keys than these doors have.
        Limit::ProfileAvatarBytes => pictures::door(rates(limit)).await,
        _ => Door::open_limited(config(limit), rates(limit)).await,
    };
    let call = exercise(limit, &door).await;
    // What it took to get here may have spent some.
    door.clock.advance(PERIOD * 2);
    for _ in 0..SIZE {
        assert_eq!(call().await, Told::Nothing, "{name}");
    }
    let refused = Told::Wait(PERIOD.as_secs());
    assert_eq!(call().await, refused, "{name}: one too many");
    door.clock
        .advance(PERIOD.checked_sub(Duration::from_millis(1)).unwrap());
    assert_ne!(call().await, Told::Nothing, "{name}: too soon");
    door.clock.advance(Duration::from_millis(1));
    assert_eq!(call().await, Told::Nothing, "{name}: one came back");
    assert_eq!(call().await, refused, "{name}: and only one");
}

#[tokio::test]
async fn every_bucket_is_spent_at_a_door() {
    stream::iter(Limit::ALL)
        .for_each_concurrent(4, |limit| spends_its_bucket(*limit))
        .await;
}
