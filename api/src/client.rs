//! A typed client of the contract, for programs in Rust. It needs nothing of the server but the wire types, so that a
//! change of the contract is a compiler's matter.
//!
//! ```no_run
//! # async fn example() -> Result<(), api::client::Error> {
//! use api::client::{Client, Credentials};
//!
//! let http = reqwest::Client::new();
//! let client = Client::new(http, "https://chat.example.org");
//! let session = client.create_verification_session("+12025550100").await?;
//! println!("{}", session.body.id);
//! # Ok(())
//! # }
//! ```

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::http::accounts::identity::IdentityResponse;
use crate::http::config::fetch::ConfigResponse;
use crate::http::devices::link::{LinkRequest, LinkResponse};
use crate::http::devices::list::ListResponse as DeviceList;
use crate::http::devices::provisioning_code::ProvisioningCodeResponse;
use crate::http::keys::count::CountResponse;
use crate::http::keys::set::SetRequest;
use crate::http::keys::take::TakeResponse;
use crate::http::messages::list::ListResponse as MessageList;
use crate::http::messages::send::{SendRequest, SendResponse};
use crate::http::registration::attributes::AttributesRequest;
use crate::http::registration::register::{RegisterRequest, RegisterResponse};
use crate::http::verification::session::SessionResponse;
use crate::ports::objects::UploadForm;

/// What a device proves itself by.
#[derive(Clone)]
pub struct Credentials {
    /// `<aci>.<device>`; to register, the number.
    pub username: String,
    /// The device's password.
    pub password: String,
}

/// Asks a server. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    server: String,
    credentials: Option<Credentials>,
    idempotency_key: Option<String>,
}

/// A success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The body.
    pub body: T,
    /// The last event that the request caused, if it caused any.
    pub position: Option<u64>,
    /// Whether it is the answer to an earlier request with the same `Idempotency-Key`.
    pub replayed: bool,
}

/// Anything else.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server says no.
    #[error("the server answered {status}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The body: one of [`crate::openapi::shapes`], nothing, or the endpoint's own.
        body: Vec<u8>,
        /// When it makes sense to try again.
        retry_after: Option<Duration>,
    },
    /// The server could not be reached, or broke off.
    #[error("the server cannot be reached")]
    Transport(#[from] reqwest::Error),
    /// The body is not what the contract says.
    #[error("the answer is not of the contract")]
    Shape(#[from] serde_json::Error),
}

impl Error {
    /// The body of a refusal, if it is of this shape.
    pub fn body<T: DeserializeOwned>(&self) -> Option<T> {
        match self {
            Self::Refused { body, .. } => serde_json::from_slice(body).ok(),
            Self::Transport(_) | Self::Shape(_) => None,
        }
    }
}

/// The answer of a call.
pub type Called<T> = Result<Answer<T>, Error>;

impl Client {
    /// A client without credentials. `server` is everything before the paths, without a slash at the end.
    pub fn new(http: reqwest::Client, server: impl Into<String>) -> Self {
        Self {
            http,
            server: server.into(),
            credentials: None,
            idempotency_key: None,
        }
    }

    /// The same client for a device.
    #[must_use]
    pub fn with(&self, credentials: Credentials) -> Self {
        Self {
            credentials: Some(credentials),
            ..self.clone()
        }
    }

    /// The same client for one change that may have to be repeated: 16 to 255 characters that nobody guesses.
    #[must_use]
    pub fn once(&self, idempotency_key: impl Into<String>) -> Self {
        Self {
            idempotency_key: Some(idempotency_key.into()),
            ..self.clone()
        }
    }

    /// Any call with a JSON body in its answer.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Called<T> {
        let Answer {
            body,
            position,
            replayed,
        } = self.bytes(method, path, body).await?;
        Ok(Answer {
            body: serde_json::from_slice(&body)?,
            position,
            replayed,
        })
    }

    /// Any call whose answer has no body.
    pub async fn call_empty(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Called<()> {
        let answer = self.bytes(method, path, body).await?;
        Ok(Answer {
            body: (),
            position: answer.position,
            replayed: answer.replayed,
        })
    }

    async fn bytes(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Called<Vec<u8>> {
        let mut request = self.http.request(method, format!("{}{path}", self.server));
        if let Some(Credentials { username, password }) = &self.credentials {
            request = request.basic_auth(username, Some(password));
        }
        if let Some(key) = &self.idempotency_key {
            request = request.header(crate::http::idempotency::KEY, key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await?.to_vec();
        if !status.is_success() {
            return Err(Error::Refused {
                status,
                body,
                retry_after: number(&headers, RETRY_AFTER.as_str()).map(Duration::from_secs),
            });
        }
        Ok(Answer {
            body,
            position: number(&headers, "x-event-position"),
            replayed: headers.contains_key(crate::http::idempotency::REPLAYED),
        })
    }

    /// `POST /v1/verification/session`
    pub async fn create_verification_session(&self, number: &str) -> Called<SessionResponse> {
        let body = json!({ "number": number });
        let path = "/v1/verification/session";
        self.call(Method::POST, path, Some(&body)).await
    }

    /// `POST /v1/verification/session/{session}/code`
    pub async fn request_verification_code(
        &self,
        session: &str,
        transport: &str,
    ) -> Called<SessionResponse> {
        let body = json!({ "transport": transport, "client": "rust" });
        let path = format!("/v1/verification/session/{session}/code");
        self.call(Method::POST, &path, Some(&body)).await
    }

    /// `PUT /v1/verification/session/{session}/code`
    pub async fn submit_verification_code(
        &self,
        session: &str,
        code: &str,
    ) -> Called<SessionResponse> {
        let path = format!("/v1/verification/session/{session}/code");
        self.call(Method::PUT, &path, Some(&json!({ "code": code })))
            .await
    }

    /// `GET /v2/keys/{identifier}/{deviceId}`; all devices for `*`.
    pub async fn device_keys(&self, identifier: &str, device: &str) -> Called<TakeResponse> {
        let path = format!("/v2/keys/{identifier}/{device}");
        self.call(Method::GET, &path, NO_BODY).await
    }

    /// `PUT /v1/messages/{destinationUuid}`
    pub async fn send_message(
        &self,
        destination: &str,
        messages: &SendRequest,
    ) -> Called<SendResponse> {
        let path = format!("/v1/messages/{destination}");
        self.call(Method::PUT, &path, Some(messages)).await
    }

    /// `DELETE /v1/messages/uuid/{guid}`
    pub async fn acknowledge_message(&self, guid: &str) -> Called<()> {
        let path = format!("/v1/messages/uuid/{guid}");
        self.call_empty(Method::DELETE, &path, NO_BODY).await
    }

    /// `DELETE /v1/devices/{deviceId}`
    pub async fn remove_device(&self, device: u8) -> Called<()> {
        let path = format!("/v1/devices/{device}");
        self.call_empty(Method::DELETE, &path, NO_BODY).await
    }

    /// `GET /v4/attachments/form/upload`
    pub async fn attachment_form(&self, length: u64) -> Called<UploadForm> {
        let path = format!("/v4/attachments/form/upload?uploadLength={length}");
        self.call(Method::GET, &path, NO_BODY).await
    }
}

/// What calls without a body pass for one.
pub const NO_BODY: Option<&()> = None;

macro_rules! calls {
    ($($name:ident $method:ident $path:literal $(takes $body:ty)? => $answer:tt;)*) => {
        impl Client {
            $(calls!(@one $name $method $path [$($body)?] $answer);)*
        }
    };
    (@one $name:ident $method:ident $path:literal [] ()) => {
        #[doc = concat!("`", stringify!($method), " ", $path, "`")]
        pub async fn $name(&self) -> Called<()> {
            self.call_empty(Method::$method, $path, NO_BODY).await
        }
    };
    (@one $name:ident $method:ident $path:literal [] $answer:ty) => {
        #[doc = concat!("`", stringify!($method), " ", $path, "`")]
        pub async fn $name(&self) -> Called<$answer> {
            self.call(Method::$method, $path, NO_BODY).await
        }
    };
    (@one $name:ident $method:ident $path:literal [$body:ty] ()) => {
        #[doc = concat!("`", stringify!($method), " ", $path, "`")]
        pub async fn $name(&self, body: &$body) -> Called<()> {
            self.call_empty(Method::$method, $path, Some(body)).await
        }
    };
    (@one $name:ident $method:ident $path:literal [$body:ty] $answer:ty) => {
        #[doc = concat!("`", stringify!($method), " ", $path, "`")]
        pub async fn $name(&self, body: &$body) -> Called<$answer> {
            self.call(Method::$method, $path, Some(body)).await
        }
    };
}

calls! {
    register_account POST "/v1/registration" takes RegisterRequest => RegisterResponse;
    account_identity GET "/v1/accounts/whoami" => IdentityResponse;
    set_account_attributes PUT "/v1/accounts/attributes" takes AttributesRequest => ();
    delete_account DELETE "/v1/accounts/me" => ();
    devices GET "/v1/devices" => DeviceList;
    link_device PUT "/v1/devices/link" takes LinkRequest => LinkResponse;
    provisioning_code GET "/v1/devices/provisioning/code" => ProvisioningCodeResponse;
    pre_key_count GET "/v2/keys" => CountResponse;
    set_keys PUT "/v2/keys" takes SetRequest => ();
    messages GET "/v1/messages" => MessageList;
    remote_config GET "/v2/config" => ConfigResponse;
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}
