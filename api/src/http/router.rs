//! Which path leads where.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Request};
use axum::middleware::from_fn_with_state;
use axum::routing::{any, delete, get, head, post, put};
use http::StatusCode;
use tower::{Layer as _, ServiceExt as _};
use tower_http::normalize_path::NormalizePathLayer;

use crate::grpc;
use crate::http::problem::Problem;
use crate::http::registration::activation::{ApnToken, GcmToken};
use crate::http::{
    accounts, archives, attachments, calling, certificate, challenge, config, devices, external,
    idempotency, keepalive, keys, layers, messages, profile, provisioning, registration, stickers,
    usernames, verification, version,
};
use crate::state::Api;
use crate::ws::{self, upgrade};
use crate::{limits, openapi};

/// The doors: every listener and every request inside a WebSocket goes through this.
pub fn router(api: Api) -> Router {
    // Requests inside WebSockets get a router of their own, which opens no WebSockets.
    let inner = finished(endpoints(), api.clone());
    let sockets = Router::new()
        .route("/v1/websocket", any(upgrade::handler))
        .route("/v1/websocket/provisioning", any(ws::provisioning::handler))
        .layer(Extension(upgrade::Inner(inner)));
    let calls = api.config.grpc.then(|| grpc::router(&api));
    let rest = finished(endpoints().merge(sockets).merge(openapi::routes()), api);
    match calls {
        Some(calls) => apart(calls, rest),
        None => rest,
    }
}

/// On one port, calls go to their services and everything else where its path leads.
fn apart(calls: Router, rest: Router) -> Router {
    Router::new().fallback(move |request: Request| {
        let door = if grpc::is_call(&request) {
            calls.clone()
        } else {
            rest.clone()
        };
        door.oneshot(request)
    })
}

/// Paths are declared without a trailing slash; requests may have one.
fn endpoints() -> Router<Api> {
    linking()
        .merge(verification_and_registration())
        .merge(the_own_account())
        .merge(usernames())
        .merge(profiles_and_credentials())
        .merge(keys_and_messages())
        .route(
            "/v1/accounts/account/{account}",
            head(accounts::exists::handler),
        )
        .route(
            "/v4/attachments/form/upload",
            get(attachments::form::handler),
        )
        .route("/v1/keepalive", get(keepalive::handler))
        .route("/v1/keepalive/provisioning", get(keepalive::provisioning))
}

fn verification_and_registration() -> Router<Api> {
    Router::new()
        .route(
            "/v1/verification/session",
            post(verification::create::handler),
        )
        .route(
            "/v1/verification/session/{session}",
            get(verification::resume::handler).patch(verification::prove::handler),
        )
        .route(
            "/v1/verification/session/{session}/code",
            post(verification::request_code::handler).put(verification::submit_code::handler),
        )
        .route("/v1/registration", post(registration::register::handler))
}

fn the_own_account() -> Router<Api> {
    let limited = DefaultBodyLimit::max;
    Router::new()
        .route("/v1/accounts/whoami", get(accounts::whoami::handler))
        .route(
            "/v1/accounts/attributes",
            put(accounts::attributes::handler),
        )
        .route("/v1/accounts/me", delete(accounts::delete::handler))
        .route(
            "/v1/accounts/gcm",
            put(accounts::push_token::put::<GcmToken>)
                .delete(accounts::push_token::delete::<GcmToken>),
        )
        .route(
            "/v1/accounts/apn",
            put(accounts::push_token::put::<ApnToken>)
                .delete(accounts::push_token::delete::<ApnToken>),
        )
        .route("/v1/accounts/name", put(accounts::name::handler))
        .route(
            "/v1/accounts/registration_lock",
            put(accounts::registration_lock::put).delete(accounts::registration_lock::delete),
        )
        .route(
            "/v1/accounts/number",
            put(accounts::number::seed_handler).layer(limited(limits::MESSAGE_BODY)),
        )
        .route(
            "/v2/accounts/number",
            put(accounts::number::handler).layer(limited(limits::MESSAGE_BODY)),
        )
        .route(
            "/v2/accounts/phone_number_discoverability",
            put(accounts::discoverability::handler),
        )
        .route(
            "/v2/accounts/data_report",
            get(accounts::data_report::handler),
        )
}

fn keys_and_messages() -> Router<Api> {
    let limited = DefaultBodyLimit::max;
    Router::new()
        .route(
            "/v2/keys",
            get(keys::count::handler)
                .put(keys::set::handler)
                .layer(limited(limits::KEYS_BODY)),
        )
        .route("/v2/keys/check", post(keys::check::handler))
        .route("/v2/keys/{target}/{device}", get(keys::take::handler))
        .route("/v1/messages", get(messages::list::handler))
        .route(
            "/v1/messages/{destination}",
            put(messages::send::handler).layer(limited(limits::MESSAGE_BODY)),
        )
        .route(
            "/v1/messages/multi_recipient",
            put(messages::multi_recipient::handler),
        )
        .route(
            "/v1/messages/uuid/{guid}",
            delete(messages::delete::handler),
        )
        .route(
            "/v1/messages/report/{source}/{guid}",
            post(messages::report::handler),
        )
}

/// The literals come before the hash, which neither of them is.
fn usernames() -> Router<Api> {
    Router::new()
        .route(
            "/v1/accounts/username_hash",
            delete(usernames::delete::handler),
        )
        .route(
            "/v1/accounts/username_hash/reserve",
            put(usernames::reserve::handler),
        )
        .route(
            "/v1/accounts/username_hash/confirm",
            put(usernames::confirm::handler),
        )
        .route(
            "/v1/accounts/username_hash/{hash}",
            get(usernames::look_up::handler).put(usernames::claim::handler),
        )
        .route(
            "/v1/accounts/username_link",
            put(usernames::set_link::handler).delete(usernames::delete_link::handler),
        )
        .route(
            "/v1/accounts/username_link/{handle}",
            get(usernames::look_up_link::handler),
        )
}

/// What accounts show of themselves, and what they can show to others.
fn profiles_and_credentials() -> Router<Api> {
    let limited = DefaultBodyLimit::max;
    Router::new()
        .route("/v1/profile", put(profile::set::handler))
        .route("/v1/profile/{identity}", get(profile::fetch::handler))
        .route(
            "/v1/profile/{account}/{version}",
            get(profile::version::handler),
        )
        .route(
            "/v1/profile/{account}/{version}/{request}",
            get(profile::credential::handler),
        )
        .route(
            "/v1/profile/identity_check/batch",
            post(profile::identity_check::handler).layer(limited(limits::IDENTITY_CHECK_BODY)),
        )
        .route(
            "/v1/sticker/pack/form/{count}",
            get(stickers::form::handler),
        )
        .route(
            "/v1/certificate/delivery",
            get(certificate::delivery::handler),
        )
        .route(
            "/v1/certificate/auth/group",
            get(certificate::group::handler),
        )
        .route(
            "/v1/archives/backupid",
            put(archives::set_requests::handler),
        )
        .route(
            "/v1/archives/backupid/limits",
            get(archives::limits::handler),
        )
        .route("/v1/archives/auth", get(archives::credentials::handler))
        .route("/v2/svr/auth", get(external::auth::svr2))
        .route("/v2/backup/auth", get(external::auth::svr2))
        .route("/v1/storage/auth", get(external::auth::storage))
        .route("/v2/directory/auth", get(external::auth::directory))
        .route("/v1/payments/auth", get(external::auth::payments))
        .route("/v2/svr/auth/check", post(external::check::handler))
        .route("/v2/backup/auth/check", post(external::check::handler))
        .route("/v2/calling/relays", get(calling::relays::handler))
        .route(
            "/v1/call-link/create-auth",
            post(calling::create_link::handler),
        )
        .route("/v1/challenge", put(challenge::answer::handler))
        .route("/v1/challenge/push", post(challenge::push::handler))
        .route("/v1/config", get(config::fetch_old::handler))
        .route("/v2/config", get(config::fetch::handler))
}

/// Devices: how they join an account, and what they pass to one another.
fn linking() -> Router<Api> {
    let limited = DefaultBodyLimit::max;
    Router::new()
        .route("/v1/devices", get(devices::list::handler))
        .route("/v1/devices/link", put(devices::link::handler))
        .route(
            "/v1/devices/provisioning/code",
            get(devices::provisioning_code::handler),
        )
        .route(
            "/v1/devices/wait_for_linked_device/{token}",
            get(devices::wait_for_linked::handler),
        )
        .route(
            "/v1/devices/capabilities",
            put(devices::capabilities::handler),
        )
        .route(
            "/v1/devices/transfer_archive",
            get(devices::transfer_archive::take).put(devices::transfer_archive::offer),
        )
        .route(
            "/v1/devices/restore_account/{token}",
            get(devices::restore_account::take).put(devices::restore_account::leave),
        )
        .route("/v1/devices/{device}", delete(devices::remove::handler))
        .route(
            "/v1/provisioning/{address}",
            put(provisioning::send::handler).layer(limited(limits::provisioning::BODY)),
        )
}

fn finished(endpoints: Router<Api>, api: Api) -> Router {
    let router = endpoints
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::of(StatusCode::METHOD_NOT_ALLOWED))
        .layer(DefaultBodyLimit::max(limits::BODY))
        .layer(from_fn_with_state(api.entropy.clone(), layers::guard))
        .layer(from_fn_with_state(api.clone(), version::gate))
        .layer(from_fn_with_state(api.clone(), idempotency::once))
        .layer(from_fn_with_state(api.clone(), layers::observe))
        .with_state(api);
    Router::new().fallback_service(NormalizePathLayer::trim_trailing_slash().layer(router))
}
