//! The contract as a document: what every endpoint takes and answers, generated from the wire types and from the table
//! of endpoints, and served with a page to read it on.
//!
//! `docs/openapi.json` and `docs/endpoints.md` are this document and this table, checked in; a test compares them.

mod accounts;
mod archives;
pub mod commands;
mod devices;
pub mod endpoint;
mod keys;
mod messages;
mod others;
mod page;
mod profiles;
pub mod shapes;
mod verification;

pub(crate) use page::routes;

use std::fmt::Write as _;

use utoipa::PartialSchema as _;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathsBuilder,
};

use endpoint::{BASIC, Endpoint};

const DESCRIPTION: &str = "\
Everything that the chat server answers over HTTP, and inside of a WebSocket.

Refusals have one of three bodies, whatever the endpoint: `{\"code\", \"message\"}`; `{\"errors\": [\u{2026}]}` for rules that \
a request breaks; none. Answers to changes carry `X-Event-Position`, the place of the change in the log. Changes may have an \
`Idempotency-Key` (16 to 255 characters): whoever repeats the request with it is given the first answer.";

/// What the tags are for.
const TAGS: &[(&str, &str)] = &[
    ("Accounts", "Who somebody is, and how they are found."),
    ("Attachments", "Forms for uploads."),
    (
        "Backups",
        "Credentials by which an account owns its backups.",
    ),
    (
        "Certificates",
        "Credentials for sealed messages and groups.",
    ),
    ("Credentials", "What other services take from an account."),
    ("Devices", "The devices of an account."),
    ("Keys", "Pre-keys, with which strangers begin a session."),
    ("Messages", "Sending, and receiving without a WebSocket."),
    ("Profiles", "What people show of themselves, encrypted."),
    ("Registration", "From a phone number to an account."),
    ("Server", "Settings, and whether the server is there."),
    ("Stickers", "Forms for sticker packs."),
];

/// Doors that are no endpoints of the contract: they run no command and show no read model by themselves.
pub const BESIDE: &[(&str, &str, &str)] = &[
    (
        "GET",
        "/v1/websocket",
        "a WebSocket: the endpoints above, and messages as they come",
    ),
    (
        "GET",
        "/v1/websocket/provisioning",
        "a WebSocket on which a new device waits for what the primary one sends to its address",
    ),
    (
        "GET",
        "/v1/websocket/provisioning",
        "a WebSocket for a device that is to be linked",
    ),
    ("GET", "/openapi.json", "the document of the contract"),
    ("GET", "/docs", "the same, to read"),
    (
        "POST",
        "/upload/{folder}",
        "begins a resumable upload, by a form",
    ),
    (
        "HEAD, PATCH, DELETE",
        "/upload/{folder}/{name}",
        "where it stands, its bytes, its end",
    ),
    ("POST", "/", "an upload in one request, by a form"),
    ("GET", "/attachments/{name}", "a download"),
    (
        "GET",
        "/profiles/{name}",
        "a download; gone once the profile shows another picture",
    ),
    ("GET", "/stickers/{pack}/{name}", "a download"),
    ("GET", "/backups/{folder}/{name}", "a download"),
];

/// Every endpoint, by resource.
pub fn endpoints() -> Vec<Endpoint> {
    [
        verification::endpoints(),
        accounts::endpoints(),
        archives::endpoints(),
        devices::endpoints(),
        keys::endpoints(),
        messages::endpoints(),
        profiles::endpoints(),
        others::endpoints(),
    ]
    .concat()
}

/// The document.
pub fn document() -> OpenApi {
    let endpoints = endpoints();
    let mut schemas = vec![
        ("Refusal".to_owned(), shapes::Refusal::schema()),
        ("BrokenRules".to_owned(), shapes::BrokenRules::schema()),
    ];
    let mut paths = PathsBuilder::new();
    for endpoint in &endpoints {
        paths = paths.path(endpoint.path(), endpoint.item(&mut schemas));
    }
    let mut components = ComponentsBuilder::new().security_scheme(
        BASIC,
        SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)),
    );
    for (name, schema) in schemas {
        components = components.schema(name, schema);
    }
    let tags = TAGS
        .iter()
        .map(|(name, description)| {
            TagBuilder::new()
                .name(*name)
                .description(Some(*description))
                .build()
        })
        .collect::<Vec<_>>();
    let info = InfoBuilder::new()
        .title("Heliograph")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(
            LicenseBuilder::new().name("MIT OR Apache-2.0").build(),
        ));
    OpenApiBuilder::new()
        .info(info.build())
        .paths(paths.build())
        .components(Some(components.build()))
        .tags(Some(tags))
        .build()
}

/// The document as it is checked in and served.
pub fn json() -> String {
    let mut json = document()
        .to_pretty_json()
        .expect("the document is plain data with text keys");
    json.push('\n');
    json
}

/// The page of `docs` that says what each endpoint does: from the request to the command, its events, and the read
/// models that show them.
pub fn table() -> String {
    let mut page = String::from(
        "# What each endpoint does\n\n\
         From a request to the command that it runs, the events that the command may append, and the read models that \
         the endpoint waits for or answers from. A dash means none: what reads runs no command, and what changes nothing \
         appends nothing. This page is generated from the same table as [`openapi.json`](openapi.json); tests compare it \
         with the router, the commands, the events and the read models.\n\n\
         | endpoint | command | events | read models |\n|---|---|---|---|\n",
    );
    for endpoint in endpoints() {
        let list = |names: &[&str]| match names {
            [] => "\u{2013}".to_owned(),
            names => names
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", "),
        };
        writeln!(
            page,
            "| `{} {}` | {} | {} | {} |",
            endpoint.verb(),
            endpoint.path(),
            list(endpoint.commands()),
            list(&endpoint.events()),
            list(endpoint.models()),
        )
        .expect("writing to a string works");
    }
    page += "\nBeside these there are, without commands and read models of their own:\n\n| door | what |\n|---|---|\n";
    for (verbs, path, what) in BESIDE {
        writeln!(page, "| `{verbs} {path}` | {what} |").expect("writing to a string works");
    }
    page
}
