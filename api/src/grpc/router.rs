//! Which calls lead where.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{StatusCode, Version};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use prost_types::method_options::IdempotencyLevel;
use tonic::server::NamedService;
use tonic_reflection::server::Builder as Reflection;
use tower::Service;

use super::layers::{
    answer, anybody, devices_only, documented, guard, new_enough, nobody_in_particular, observe,
    once,
};
use super::proto::account::accounts_anonymous_server::AccountsAnonymousServer;
use super::proto::account::accounts_server::AccountsServer;
use super::proto::attachments::attachments_server::AttachmentsServer;
use super::proto::challenge::challenge_server::ChallengeServer;
use super::proto::credentials::credentials_anonymous_server::CredentialsAnonymousServer;
use super::proto::credentials::credentials_server::CredentialsServer;
use super::proto::device::devices_server::DevicesServer;
use super::proto::keys::keys_anonymous_server::KeysAnonymousServer;
use super::proto::keys::keys_server::KeysServer;
use super::proto::messages::messages_anonymous_server::MessagesAnonymousServer;
use super::proto::messages::messages_server::MessagesServer;
use super::proto::profile::profile_anonymous_server::ProfileAnonymousServer;
use super::proto::profile::profile_server::ProfileServer;
use super::proto::purchase::product_configuration_server::ProductConfigurationServer;
use super::proto::remoteconfiguration::remote_configuration_server::RemoteConfigurationServer;
use super::{Door, proto, status};
use crate::http::problem::Problem;
use crate::state::Api;

/// Services that official clients know and this server has no business with: what is paid for, and what needs enclaves
/// or a transparency log of somebody else's.
pub const NOT_OFFERED: [&str; 10] = [
    "kt_query.KeyTransparencyQueryService",
    "org.signal.chat.backup.Backups",
    "org.signal.chat.backup.BackupsAnonymous",
    "org.signal.chat.calling.Calling",
    "org.signal.chat.calling.quality.CallQuality",
    "org.signal.chat.donations.Donations",
    "org.signal.chat.payments.Payments",
    "org.signal.chat.purchase.LoginPurchase",
    "org.signal.chat.purchase.OneTimeDonations",
    "org.signal.chat.purchase.Subscriptions",
];

/// Whether a request is a call, whichever service it asks for.
pub(crate) fn is_call(request: &Request) -> bool {
    let path = request.uri().path();
    let prefixed = ["/org.signal.chat.", "/kt_query.", "/grpc."];
    prefixed.iter().any(|prefix| path.starts_with(prefix)) || is_grpc(request)
}

/// `application/grpc`, and its forms with a suffix; not gRPC-Web.
fn is_grpc(request: &Request) -> bool {
    let value = request.headers().get(CONTENT_TYPE);
    value
        .and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+") || rest.starts_with(b";"))
}

/// The methods that are described, by their paths, and whether they change anything: streams and what is only looked up do
/// not, as far as a repeated call is concerned.
#[derive(Clone)]
pub(crate) struct Methods(Arc<BTreeMap<String, bool>>);

impl Methods {
    fn described() -> Self {
        let set = FileDescriptorSet::decode(proto::DESCRIPTORS)
            .expect("the build made it, and a test compares it");
        let mut paths = BTreeMap::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    let (package, service) = (file.package(), service.name());
                    let path = format!("/{package}.{service}/{}", method.name());
                    let options = method.options.clone().unwrap_or_default();
                    let looks = options.idempotency_level() == IdempotencyLevel::NoSideEffects;
                    let streams = method.client_streaming() || method.server_streaming();
                    paths.insert(path, !looks && !streams);
                }
            }
        }
        Self(Arc::new(paths))
    }

    /// Whether a call may come again with a key, and then must not be carried out again.
    pub(crate) fn may_be_repeated(&self, path: &str) -> bool {
        self.0.get(path).is_some_and(|changes| *changes)
    }

    /// What log lines and metrics say: clients may invent methods, and neither must grow by that.
    pub(crate) fn label(&self, path: &str) -> &str {
        match self.0.get_key_value(path) {
            Some((known, _)) => known,
            None if path.starts_with("/grpc.") => "tools",
            None => "none",
        }
    }
}

/// The services, for calls over HTTP/2.
pub(crate) fn router(api: &Api) -> Router {
    let door = Door(api.clone());
    let devices = Router::new();
    let devices = offer(devices, AccountsServer::new(door.clone()));
    let devices = offer(devices, AttachmentsServer::new(door.clone()));
    let devices = offer(devices, ChallengeServer::new(door.clone()));
    let devices = offer(devices, CredentialsServer::new(door.clone()));
    let devices = offer(devices, DevicesServer::new(door.clone()));
    let devices = offer(devices, KeysServer::new(door.clone()));
    let devices = offer(devices, MessagesServer::new(door.clone()));
    let devices = offer(devices, ProfileServer::new(door.clone()));
    let devices = offer(devices, RemoteConfigurationServer::new(door.clone()));
    let methods = Methods::described();
    let once = from_fn_with_state((api.clone(), methods.clone()), once);
    let too_old = from_fn_with_state(api.clone(), new_enough);
    let devices = devices
        .layer(once.clone())
        .layer(too_old.clone())
        .layer(from_fn_with_state(api.clone(), devices_only));

    let anonymous = Router::new();
    let anonymous = offer(anonymous, AccountsAnonymousServer::new(door.clone()));
    let anonymous = offer(anonymous, CredentialsAnonymousServer::new(door.clone()));
    let anonymous = offer(anonymous, ProfileAnonymousServer::new(door.clone()));
    let anonymous = offer(anonymous, KeysAnonymousServer::new(door.clone()));
    let anonymous = offer(anonymous, MessagesAnonymousServer::new(door.clone()));
    let anonymous = anonymous
        .layer(once)
        .layer(too_old.clone())
        .layer(from_fn(nobody_in_particular));

    // What could be bought is no secret; official clients ask for it in either way.
    let both = offer(Router::new(), ProductConfigurationServer::new(door));
    let both = both
        .layer(too_old)
        .layer(from_fn_with_state(api.clone(), anybody));

    let known = methods.clone();
    // Unknown methods of known services are unknown before anybody is asked for credentials.
    let only_known = from_fn(move |request: Request, next: axum::middleware::Next| {
        let known = known.0.contains_key(request.uri().path());
        async move {
            if known {
                next.run(request).await
            } else {
                unknown(request).await
            }
        }
    });
    let services = devices
        .merge(anonymous)
        .merge(both)
        .layer(only_known)
        .layer(from_fn(guard))
        .layer(from_fn(documented));
    services
        .merge(tools())
        .fallback(unknown)
        .layer(from_fn(well_formed))
        .layer(from_fn_with_state((api.clone(), methods), observe))
}

fn offer<S>(router: Router, service: S) -> Router
where
    S: Service<Request, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
{
    router.route_service(&format!("/{}/{{method}}", S::NAME), service)
}

/// What tools ask for: whether the server works, and what it offers.
///
/// Of the health service there is the question, and no watching: a watcher would keep the server from stopping.
fn tools() -> Router {
    let reflection = || {
        Reflection::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let (_, health) = tonic_health::server::health_reporter();
    let unregistered = "the build made the descriptors";
    let router = Router::new().route_service("/grpc.health.v1.Health/Check", health);
    let router = offer(router, reflection().build_v1().expect(unregistered));
    offer(router, reflection().build_v1alpha().expect(unregistered))
}

/// Calls travel over HTTP/2 and say what they are.
async fn well_formed(request: Request, next: axum::middleware::Next) -> Response {
    if request.version() != Version::HTTP_2 {
        return Problem::of(StatusCode::HTTP_VERSION_NOT_SUPPORTED).into_response();
    }
    if !is_grpc(&request) {
        return Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE).into_response();
    }
    next.run(request).await
}

async fn unknown(request: Request) -> Response {
    let service = request.uri().path().split('/').nth(1).unwrap_or_default();
    let status = match NOT_OFFERED.iter().find(|known| **known == service) {
        Some(service) => status::unimplemented(format!("this server does not offer {service}")),
        None => status::unimplemented("there is no such method"),
    };
    answer(&status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn asks(path: &str, kind: &str) -> bool {
        let request = Request::builder().uri(path).header(CONTENT_TYPE, kind);
        is_call(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn calls_are_known_by_their_paths_or_by_what_they_say() {
        assert!(asks(
            "/org.signal.chat.keys.Keys/GetPreKeyCount",
            "text/plain"
        ));
        assert!(asks("/some.Service/Method", "application/grpc"));
        assert!(asks("/some.Service/Method", "application/grpc+proto"));
        assert!(!asks("/some.Service/Method", "application/grpc-web"));
        assert!(!asks("/v1/accounts/whoami", "application/json"));
    }

    #[test]
    fn labels_do_not_grow_with_what_clients_invent() {
        let methods = Methods::described();
        let known = "/org.signal.chat.keys.Keys/GetPreKeyCount";
        assert_eq!(methods.label(known), known);
        assert_eq!(methods.label("/org.signal.chat.keys.Keys/Invented"), "none");
        assert_eq!(methods.label("/grpc.health.v1.Health/Check"), "tools");
    }

    #[test]
    fn only_what_changes_something_is_remembered() {
        let methods = Methods::described();
        let repeated = |path: &str| methods.may_be_repeated(&format!("/org.signal.chat.{path}"));
        assert!(repeated("messages.Messages/SendMessage"));
        assert!(repeated("keys.Keys/GetPreKeys"), "they are taken");
        assert!(!repeated("keys.Keys/GetPreKeyCount"));
        assert!(!repeated("messages.Messages/GetMessages"));
        assert!(!repeated("keys.KeysAnonymous/CheckIdentityKeys"));
        assert!(!repeated("keys.Keys/Invented"));
    }
}
