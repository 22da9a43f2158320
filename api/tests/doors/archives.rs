//! `/v1/archives`, as far as it is about accounts.

use std::time::Duration;

use api::Config;
use api::limits::rates::Rates;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use events::ports::Clock as _;
use serde_json::{Value, json};

use crate::support::device::b64;
use crate::support::{Device, Door};

const BACKUP_ID: &str = "/v1/archives/backupid";
const DAY: u64 = 24 * 60 * 60;

/// A blinded request out of well-known points: `last` is the third of them.
pub(crate) fn request(last: [u8; 32]) -> String {
    let mut bytes = [0; 97];
    bytes[65..].copy_from_slice(&last);
    b64(bytes)
}

/// The encoding of the group's base point.
pub(crate) const BASE: [u8; 32] = [
    0xe2, 0xf2, 0xae, 0x0a, 0x6a, 0xbc, 0x4e, 0x71, 0xa8, 0x84, 0xa9, 0x61, 0xc5, 0x00, 0x51, 0x5f,
    0x58, 0xe3, 0x0b, 0x6a, 0xa5, 0x82, 0xdd, 0x8d, 0xb6, 0xa6, 0x59, 0x45, 0xe0, 0x8d, 0x2d, 0x76,
];

fn today(door: &Door) -> u64 {
    let seconds = door.clock.now().epoch_millis() / 1000;
    seconds - seconds % DAY
}

async fn credentials(door: &Door, device: &Device, days: u64) -> crate::support::Reply {
    let start = today(door);
    let end = start + (days - 1) * DAY;
    let query = format!("redemptionStartSeconds={start}&redemptionEndSeconds={end}");
    device
        .client
        .get(&format!("/v1/archives/auth?{query}"))
        .await
}

/// What a credential says in clear: its day, its level, its kind.
fn said(credential: &Value) -> [u64; 3] {
    let bytes = credential["credential"].as_str().unwrap();
    let bytes = BASE64_STANDARD.decode(bytes).unwrap();
    assert_eq!((bytes.len(), bytes[0]), (417, 0));
    [1, 9, 17].map(|at| u64::from_le_bytes(*bytes[at..].first_chunk().unwrap()))
}

#[tokio::test]
async fn an_account_gets_credentials_for_the_backups_that_it_asked_for() {
    let door = Door::open().await;
    let bob = door.register("+12015550123").await;
    credentials(&door, &bob, 1).await.expect(404);
    let messages = json!({ "messagesBackupAuthCredentialRequest": request(BASE) });
    let set = bob.client.put(BACKUP_ID, messages.clone()).await;
    set.expect(204);
    assert!(set.position().is_some());
    let again = bob.client.put(BACKUP_ID, messages).await;
    again.expect(204);
    assert_eq!(again.position(), None, "no news");
    let media = json!({ "mediaBackupAuthCredentialRequest": request([0; 32]) });
    let of_messages = &credentials(&door, &bob, 1).await.expect(200)["credentials"];
    assert_eq!(of_messages["messages"].as_array().unwrap().len(), 1);
    assert_eq!(of_messages["media"], json!([]));
    bob.client.put(BACKUP_ID, media).await.expect(204);

    let both = &credentials(&door, &bob, 7).await.expect(200)["credentials"];
    for (backup, kind) in [("messages", 1), ("media", 2)] {
        let days = both[backup].as_array().unwrap();
        let days: Vec<_> = days.iter().map(said).collect();
        let expected: Vec<_> = (0..7)
            .map(|day| [today(&door) + day * DAY, 200, kind])
            .collect();
        assert_eq!(days, expected, "{backup}");
    }
    assert_eq!(
        both["messages"][3]["redemptionTime"],
        today(&door) + 3 * DAY
    );
    credentials(&door, &bob, 40).await.expect(400);
    bob.client.get("/v1/archives/auth").await.expect(400);
    door.client().get("/v1/archives/auth").await.expect(401);

    // They stay with the account when it is registered again.
    let bob = door.register("+12015550123").await;
    credentials(&door, &bob, 1).await.expect(200);
}

#[tokio::test]
async fn requests_are_checked_and_counted() {
    let door = Door::open_limited(Config::default(), Rates::default()).await;
    let bob = door.register("+12015550124").await;
    let tablet = door.link(&bob, "tablet").await;
    let body = json!({ "messagesBackupAuthCredentialRequest": request(BASE) });
    tablet.client.put(BACKUP_ID, body.clone()).await.expect(403);
    for wrong in [
        json!({}),
        json!({ "messagesBackupAuthCredentialRequest": "" }),
        json!({ "messagesBackupAuthCredentialRequest": "AAAA" }),
        json!({ "mediaBackupAuthCredentialRequest": request([0xff; 32]) }),
    ] {
        bob.client.put(BACKUP_ID, wrong).await.expect(400);
    }
    let text = json!({ "mediaBackupAuthCredentialRequest": "***" });
    bob.client.put(BACKUP_ID, text).await.expect(422);
    let limits = async || {
        let path = format!("{BACKUP_ID}/limits");
        let limits = tablet.client.get(&path).await.expect(200);
        let remaining = limits["hasPermitsRemaining"].as_bool().unwrap();
        (remaining, limits["retryAfterSeconds"].as_u64().unwrap())
    };
    for _ in 0..10 {
        assert_eq!(limits().await, (true, 0));
        bob.client.put(BACKUP_ID, body.clone()).await.expect(204);
    }
    assert_eq!(limits().await, (false, 3600));
    let refused = bob.client.put(BACKUP_ID, body.clone()).await;
    assert_eq!(
        (refused.status.as_u16(), refused.header("retry-after")),
        (429, Some("3600"))
    );
    door.clock.advance(Duration::from_hours(1));
    assert_eq!(limits().await, (true, 0));
    bob.client.put(BACKUP_ID, body).await.expect(204);
}
