//! `GET /v2/accounts/data_report`: everything that the server knows of an account, for its owner to keep. 401 without
//! credentials.

use std::fmt::Write as _;

use axum::extract::State;
use chrono::{DateTime, SecondsFormat, Utc};
use events::{Aci, DeviceId, E164, Timestamp};
use projections::accounts::Account;
use projections::devices::Device;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::http::devices::list::midnight;
use crate::http::extract::{Authenticated, Json};
use crate::http::problem::Problem;
use crate::state::Api;

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DataReport)]
pub struct ReportResponse {
    /// Names this report.
    #[schema(value_type = String)]
    pub report_id: Uuid,
    /// When it was made.
    pub report_timestamp: String,
    /// What is known.
    pub data: ReportData,
    /// The same for people to read.
    pub text: String,
}

/// What is known.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReportData {
    /// Of the account.
    pub account: ReportedAccount,
    /// Of its devices.
    pub devices: Vec<ReportedDevice>,
}

/// What is known of the account.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportedAccount {
    /// Its number.
    #[schema(value_type = Option<String>)]
    pub phone_number: Option<E164>,
    /// Badges on its profile; none are given here.
    #[schema(value_type = Vec<Object>)]
    pub badges: Vec<serde_json::Value>,
    /// Whether anonymous senders need to know nothing.
    pub allow_sealed_sender_from_anyone: bool,
    /// Whether it can be found by its number.
    pub find_account_by_phone_number: bool,
}

/// What is known of a device.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportedDevice {
    /// Its number.
    #[schema(value_type = u8)]
    pub id: DeviceId,
    /// The day on which it was last heard of.
    pub last_seen: String,
    /// When it joined the account.
    pub created: String,
    /// The kind of application.
    #[schema(value_type = Option<String>)]
    pub user_agent: Option<Box<str>>,
}

/// In the form of ISO 8601, to the second.
fn iso(at: Timestamp) -> String {
    let at = DateTime::<Utc>::from_timestamp_millis(at.to_i64());
    at.expect("the range of a client's clock is within that of the calendar")
        .to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl From<&Account> for ReportedAccount {
    fn from(account: &Account) -> Self {
        Self {
            phone_number: account.number.clone(),
            badges: Vec::new(),
            allow_sealed_sender_from_anyone: account.unrestricted,
            find_account_by_phone_number: account.discoverable,
        }
    }
}

impl From<Device> for ReportedDevice {
    fn from(device: Device) -> Self {
        Self {
            id: device.id,
            last_seen: iso(midnight(device.last_seen)),
            created: iso(device.linked_at),
            user_agent: device.agent,
        }
    }
}

impl ReportResponse {
    fn new(id: Uuid, at: Timestamp, account: &Account, devices: Vec<Device>) -> Self {
        let data = ReportData {
            account: account.into(),
            devices: devices.into_iter().map(Into::into).collect(),
        };
        let report_timestamp = iso(at);
        Self {
            text: text(id, &report_timestamp, &data),
            report_id: id,
            report_timestamp,
            data,
        }
    }
}

fn text(id: Uuid, at: &str, ReportData { account, devices }: &ReportData) -> String {
    let number = account.phone_number.as_ref();
    let mut text = format!(
        "Report {id}, made {at}\n\n\
         Your account\n\
         - number: {}\n\
         - can be found by its number: {}\n\
         - takes sealed messages from anybody: {}\n\
         - badges: none\n\n\
         Your devices\n",
        number.map_or("none", |number| number.as_str()),
        said(account.find_account_by_phone_number),
        said(account.allow_sealed_sender_from_anyone),
    );
    for device in devices {
        let agent = device.user_agent.as_deref().unwrap_or("unknown");
        let ReportedDevice {
            id,
            last_seen,
            created,
            ..
        } = device;
        writeln!(
            text,
            "- device {id}: joined {created}, last heard of {last_seen}, application {agent}"
        )
        .expect("a text takes any text");
    }
    text
}

const fn said(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// The report about an account.
pub(crate) async fn report(api: &Api, aci: Aci) -> Result<ReportResponse, Problem> {
    let (accounts, devices) = (api.queries.accounts(), api.queries.devices());
    let found = futures::try_join!(accounts.by_aci(aci), devices.of(aci));
    let (account, devices) = found.map_err(|error| Problem::unavailable(&error))?;
    let account = account.ok_or_else(Problem::credentials_required)?;
    let id = uuid::Builder::from_random_bytes(api.entropy.bytes()).into_uuid();
    let at = api.clock.now();
    Ok(ReportResponse::new(id, at, &account, devices))
}

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
) -> Result<Json<ReportResponse>, Problem> {
    report(&api, caller.address.aci).await.map(Json)
}
