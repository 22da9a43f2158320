//! Events in words. What is secret is not shown: hashes, access keys, push tokens, ciphertext. A phone number is shown
//! as long as its key exists.

use events::account::{Access, AccountEvent, NewDevice, Protection};
use events::codec::{AnyEvent, Fact};
use events::erasure::ErasureEvent;
use events::keys::{KeysEvent, PreKeyKind};
use events::mailbox::MailboxEvent;
use events::number::NumberEvent;
use events::operator::OperatorEvent;
use events::picture::PictureEvent;
use events::profile::ProfileEvent;
use events::tree::TreeEvent;
use events::username::UsernameEvent;
use events::values::profile::ProfileVersion;
use events::verification::{Proof, Transport, VerificationEvent};
use events::{E164, Personal};

use super::Entry;

/// Something that is known of an event: a name, and a value as text.
pub type Detail = (&'static str, String);

/// A fact in words.
pub(super) fn entry(fact: &Fact) -> Entry {
    Entry {
        position: fact.position,
        at: fact.metadata.at,
        stream: fact.stream.to_string(),
        event: fact.event.type_name().to_owned(),
        actor: fact.metadata.actor.clone(),
        request: fact.metadata.request,
        causation: fact.metadata.causation,
        correlation: fact.metadata.chain(),
        details: details(&fact.event),
    }
}

fn details(event: &AnyEvent) -> Vec<Detail> {
    match event {
        AnyEvent::Account(event) => account(event),
        AnyEvent::Keys(event) => keys(event),
        AnyEvent::Mailbox(event) => mailbox(event),
        AnyEvent::Number(event) => match event {
            NumberEvent::NumberClaimed(e) => vec![said("account", e.aci)],
            NumberEvent::NumberReleased(e) => vec![said("account", e.aci)],
            NumberEvent::NumberLeft(e) => {
                let heir = e.heir.map(|heir| said("heir", heir));
                [said("account", e.aci)].into_iter().chain(heir).collect()
            }
            NumberEvent::VerificationBegun(e) => vec![said("session", e.session)],
        },
        AnyEvent::Verification(event) => verification(event),
        AnyEvent::Operator(event) => operator(event),
        AnyEvent::Username(event) => username(event),
        AnyEvent::Profile(event) => profile(event),
        AnyEvent::Erasure(event) => erasure(event),
        AnyEvent::Picture(PictureEvent::PicturePlaced(e)) => vec![said("picture", e.key)],
        AnyEvent::Picture(PictureEvent::PictureRemoved(e)) => vec![said("picture", e.key)],
        AnyEvent::Tree(TreeEvent::TreeHeadSigned(head)) => vec![said("size", head.size)],
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "forty callers read better without a reference"
)]
fn said(name: &'static str, value: impl ToString) -> Detail {
    (name, value.to_string())
}

fn number(number: &Personal<E164>) -> Detail {
    let shown = match number {
        Personal::Clear(number) => number.as_str(),
        Personal::Sealed(_) => "sealed",
        Personal::Erased => "erased",
    };
    said("number", shown)
}

fn account(event: &AccountEvent) -> Vec<Detail> {
    match event {
        AccountEvent::AccountRegistered(e) => {
            let mut details = vec![number(&e.number), said("pni", e.pni)];
            details.extend(device(&e.primary));
            details.extend(settings(&e.access, &e.protection));
            details
        }
        AccountEvent::AccountReregistered(e) => {
            let mut details = vec![number(&e.number), said("pni", e.pni)];
            details.extend(device(&e.primary));
            details.extend(settings(&e.access, &e.protection));
            details
        }
        AccountEvent::DeviceLinked(e) => device(&e.device),
        AccountEvent::DeviceRemoved(e) => {
            vec![said("device", e.device), said("generation", e.generation)]
        }
        AccountEvent::AttributesChanged(e) => {
            let mut details = vec![
                said("device", e.device),
                said("fetchesMessages", e.traits.fetches_messages),
            ];
            details.extend(settings(&e.access, &e.protection));
            details
        }
        AccountEvent::RegistrationLockFailed(e) => {
            vec![said("recoveryPasswordKept", e.recovery_password_kept)]
        }
        AccountEvent::RecoveryPasswordDropped(_)
        | AccountEvent::RecoveryPasswordSet(_)
        | AccountEvent::TotpKeyGenerated(_) => Vec::new(),
        AccountEvent::IdentityKeySet(e) => {
            vec![said("identity", format!("{:?}", e.identity).to_lowercase())]
        }
        AccountEvent::DeviceSeen(e) => vec![said("device", e.device)],
        AccountEvent::PushTokenChanged(e) => {
            vec![said("device", e.device), said("push", e.push.is_some())]
        }
        AccountEvent::DeviceRenamed(e) => vec![said("device", e.device)],
        AccountEvent::DeviceFetchesMessages(e) => vec![said("device", e.device)],
        AccountEvent::ZkCredentialKeySet(e) => vec![said("rotationId", e.rotation_id)],
        AccountEvent::NumberChanged(e) => vec![
            number(&e.number),
            said("pni", e.pni),
            said("former", e.former),
        ],
        AccountEvent::AccessChanged(e) => vec![
            said("unrestricted", e.access.unrestricted),
            said("discoverable", e.access.discoverable),
        ],
        AccountEvent::RegistrationLockChanged(e) => {
            vec![said("registrationLock", e.lock.is_some())]
        }
        AccountEvent::UsernameReservationSet(e) => {
            vec![said("username", e.hash), said("until", e.until)]
        }
        AccountEvent::UsernameConfirmed(e) => {
            vec![said("username", e.hash), said("link", e.link.is_some())]
        }
        AccountEvent::UsernameDropped(e) => {
            vec![
                said("username", e.former.hash),
                said("until", e.former.until),
            ]
        }
        AccountEvent::UsernameLinkChanged(e) => vec![said("link", e.link.is_some())],
        AccountEvent::TotpKeyConfirmed(e) => vec![said("key", e.key_id)],
        AccountEvent::TotpKeyMetadataSet(e) => vec![said("key", e.key_id)],
        AccountEvent::TotpKeyRemoved(e) => vec![said("key", e.key_id)],
        AccountEvent::BackupRequestsSet(e) => vec![
            said("messages", e.requests.messages.is_some()),
            said("media", e.requests.media.is_some()),
        ],
        AccountEvent::ChallengeMet(e) => vec![
            said("device", e.device),
            said("answer", format!("{:?}", e.answer).to_lowercase()),
        ],
        AccountEvent::DeviceCapabilitiesChanged(e) => {
            let names: Vec<_> = e.capabilities.iter().map(|it| it.name()).collect();
            vec![
                said("device", e.device),
                said("capabilities", names.join(" ")),
            ]
        }
        AccountEvent::TransferArchiveOffered(e) => {
            vec![said("device", e.device), said("generation", e.generation)]
        }
        AccountEvent::AccountDeleted(e) => vec![said("pni", e.pni)],
    }
}

fn device(device: &NewDevice) -> Vec<Detail> {
    vec![
        said("device", device.id),
        said("generation", device.generation),
        said("registrationId", device.registration_id.get()),
        said("push", device.push.is_some()),
    ]
}

fn settings(access: &Access, protection: &Protection) -> [Detail; 3] {
    [
        said("unrestricted", access.unrestricted),
        said("discoverable", access.discoverable),
        said("registrationLock", protection.registration_lock.is_some()),
    ]
}

fn keys(event: &KeysEvent) -> Vec<Detail> {
    match event {
        KeysEvent::PreKeysDropped(_) => Vec::new(),
        KeysEvent::SignedPreKeyRotated(e) => vec![said("keyId", e.key.key_id.get())],
        KeysEvent::LastResortPreKeySet(e) => vec![said("keyId", e.key_id.get())],
        KeysEvent::PreKeysUploaded(e) => {
            vec![said("kind", kind(e.kind)), said("keys", e.key_ids.len())]
        }
        KeysEvent::OneTimePreKeyTaken(e) => {
            vec![said("kind", kind(e.kind)), said("keyId", e.key_id.get())]
        }
    }
}

const fn kind(kind: PreKeyKind) -> &'static str {
    match kind {
        PreKeyKind::Ec => "ec",
        PreKeyKind::Kyber => "kyber",
    }
}

fn mailbox(event: &MailboxEvent) -> Vec<Detail> {
    match event {
        MailboxEvent::MessageQueued(e) => {
            let from = e.source.as_ref();
            let from = from.map_or_else(
                || "sealed".to_owned(),
                |it| format!("{}.{}", it.service_id, it.device),
            );
            vec![
                said("guid", e.guid),
                said("from", from),
                said("to", e.destination),
                said("bytes", e.content.map_or(0, |content| content.length)),
                said("urgent", e.urgent),
            ]
        }
        MailboxEvent::MessagesDelivered(e) => vec![said("messages", e.guids.len())],
        MailboxEvent::MessagesExpired(e) => vec![said("messages", e.guids.len())],
        MailboxEvent::MessageReported(e) => {
            vec![said("guid", e.guid), said("source", e.source)]
        }
    }
}

fn verification(event: &VerificationEvent) -> Vec<Detail> {
    match event {
        VerificationEvent::SessionStarted(e) => vec![number(&e.number), said("pni", e.pni)],
        VerificationEvent::ProofRequired(e) => vec![said("proof", proof(e.proof))],
        VerificationEvent::ProofSubmitted(e) => vec![said("proof", proof(e.proof))],
        VerificationEvent::CodeSent(e) => vec![said("by", way(e.transport))],
        VerificationEvent::CodeUndelivered(e) => {
            vec![said("by", way(e.transport)), said("permanent", e.permanent)]
        }
        VerificationEvent::PushChallengeIssued(_)
        | VerificationEvent::CodeRejected(_)
        | VerificationEvent::NumberVerified(_) => Vec::new(),
    }
}

const fn proof(proof: Proof) -> &'static str {
    match proof {
        Proof::PushChallenge => "push challenge",
        Proof::Captcha => "captcha",
    }
}

const fn way(transport: Transport) -> &'static str {
    match transport {
        Transport::Sms => "sms",
        Transport::Voice => "voice",
    }
}

fn username(event: &UsernameEvent) -> Vec<Detail> {
    match event {
        UsernameEvent::UsernameReserved(e) => vec![said("account", e.aci), said("until", e.until)],
        UsernameEvent::UsernameClaimed(e) => vec![said("account", e.aci)],
        UsernameEvent::UsernameReleased(e) => vec![said("account", e.aci)],
    }
}

fn profile(event: &ProfileEvent) -> Vec<Detail> {
    let version = |version: &Option<ProfileVersion>| match version {
        Some(version) => said("version", version),
        None => said("version", "none"),
    };
    match event {
        ProfileEvent::ProfileVersionSet(e) => vec![
            version(&e.version),
            said("bytes", e.fields.length),
            said("payment address", e.payment_address),
        ],
        ProfileEvent::AvatarReplaced(e) => vec![version(&e.version), said("picture", e.key)],
        ProfileEvent::AvatarRemoved(e) => vec![version(&e.version), said("picture", e.key)],
        ProfileEvent::ProfileVersionDropped(e) => vec![version(&e.version)],
        ProfileEvent::ProfileCleared(e) => vec![
            said("versions", e.fields.len()),
            said("pictures kept", e.kept.len()),
        ],
    }
}

fn operator(event: &OperatorEvent) -> Vec<Detail> {
    match event {
        OperatorEvent::ProjectionRebuilt(e) => vec![
            said("model", &e.model),
            said("version", e.version),
            said("events", e.events),
            said("through", e.through),
        ],
        OperatorEvent::LogExported(e) => vec![
            said("through", e.through),
            said("events", e.events),
            said("whole", e.whole),
            said("secrets", e.secrets),
        ],
        OperatorEvent::HistoryArchived(e) => vec![
            said("after", e.after),
            said("through", e.through),
            said("events", e.events),
            said("place", &e.place),
            said("name", &e.name),
        ],
        OperatorEvent::EventParked(e) => {
            vec![
                said("model", &e.model),
                said("position", e.position),
                said("reason", &e.reason),
            ]
        }
        OperatorEvent::EventUnparked(e) => {
            vec![
                said("model", &e.model),
                said("position", e.position),
                said("reason", &e.reason),
            ]
        }
        OperatorEvent::RebuildPaused(e) => vec![said("model", &e.model)],
        OperatorEvent::RebuildResumed(e) => vec![said("model", &e.model)],
        OperatorEvent::RebuildCancelled(e) => vec![said("model", &e.model)],
    }
}

fn erasure(event: &ErasureEvent) -> Vec<Detail> {
    match event {
        ErasureEvent::AccountErased(e) => vec![
            said("deletion", e.deletion),
            said("payloads", e.payloads),
            said("accountKey", e.account_key),
            said("sessionKeys", e.session_keys),
        ],
        ErasureEvent::DeviceErased(e) => vec![
            said("device", e.device),
            said("generation", e.generation),
            said("removal", e.removal),
            said("payloads", e.payloads),
        ],
        ErasureEvent::PayloadsErased(e) => {
            vec![said("through", e.through), said("payloads", e.payloads)]
        }
        ErasureEvent::LeftoversErased(e) => vec![
            said("through", e.through),
            said("payloads", e.payloads),
            said("orphans", e.orphans),
            said("keys", e.keys),
        ],
    }
}
