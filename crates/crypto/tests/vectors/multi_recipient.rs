use bytes::Bytes;
use crypto::multi_recipient::{MalformedMessage, MultiRecipientMessage, Unsendable};

use crate::support::{Part, load, of_kind};

const FILE: &str = "ssv2.json";

fn parse(vector: &Part) -> Result<MultiRecipientMessage, MalformedMessage> {
    MultiRecipientMessage::parse(vector.hex("message").into())
}

/// The official parser misreads what follows a number in more bytes than it needs. Refusing it is safer.
fn is_misread(vector: &Part) -> bool {
    vector.kind() == "quirk"
}

fn assert_read_as_expected(vector: &Part, message: &MultiRecipientMessage) {
    let expected = vector.list("recipients");
    assert_eq!(
        message.recipients().len(),
        expected.len(),
        "{}",
        vector.id()
    );
    for (recipient, expected) in message.recipients().zip(expected) {
        assert_eq!(
            recipient.service_id.to_string(),
            expected.text("service_id"),
            "{}",
            vector.id()
        );
        let devices = expected.list("devices");
        let devices = devices
            .iter()
            .map(|device| (device.number("device_id"), device.number("registration_id")));
        let read = recipient
            .devices
            .iter()
            .map(|d| (u64::from(d.id.get()), u64::from(d.registration_id)));
        assert!(devices.eq(read), "{}", vector.id());
        assert_eq!(
            recipient.delivery.to_bytes(),
            expected.hex("received"),
            "{}",
            vector.id()
        );
        assert_eq!(
            recipient.delivery.len(),
            expected.hex("received").len(),
            "{}",
            vector.id()
        );
    }
    let excluded: Vec<_> = message.excluded().iter().map(ToString::to_string).collect();
    let expected: Vec<_> = vector
        .list("excluded")
        .iter()
        .map(|id| id.0.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(excluded, expected, "{}", vector.id());
    assert_eq!(
        message.offset_of_shared_data() as u64,
        vector.number("offset_of_shared_data"),
        "{}",
        vector.id()
    );
}

#[test]
fn messages_are_read_as_by_the_official_library() {
    for vector in load(FILE)
        .0
        .iter()
        .filter(|vector| vector.kind() != "truncation-sweep")
    {
        let message = parse(vector);
        assert_eq!(
            message.is_ok(),
            vector.is_valid() && !is_misread(vector),
            "{}",
            vector.id()
        );
        if let Ok(message) = message {
            assert_read_as_expected(vector, &message);
        }
    }
}

#[test]
fn a_message_ends_nowhere_but_in_its_shared_part() {
    for vector in of_kind(FILE, "truncation-sweep") {
        let message = Bytes::from(vector.hex("message"));
        let shortest = vector.number("shortest_prefix_that_parses");
        for end in 0..=message.len() {
            let prefix = MultiRecipientMessage::parse(message.slice(..end));
            assert_eq!(prefix.is_ok(), end as u64 >= shortest, "{end}");
        }
    }
}

#[test]
fn what_parses_may_still_not_be_sent() {
    for vector in load(FILE)
        .0
        .iter()
        .filter(|vector| vector.is_valid() && !is_misread(vector))
    {
        let expected = match vector.id() {
            "zero-recipients" | "only-excluded" => Err(Unsendable::NoRecipients),
            "duplicate-device" => Err(Unsendable::DeviceTwice),
            _ => Ok(()),
        };
        assert_eq!(
            parse(vector).unwrap().check_sendable(),
            expected,
            "{}",
            vector.id()
        );
    }
}

#[test]
fn nothing_is_copied_until_it_is_asked_for() {
    let body = Bytes::from(of_kind(FILE, "library-made")[0].hex("message"));
    let message = MultiRecipientMessage::parse(body.clone()).unwrap();
    let inside = body.as_ptr_range();
    for recipient in message.recipients() {
        let [_, key_material, shared] = recipient.delivery.parts();
        assert!(inside.contains(&key_material.as_ptr()) && inside.contains(&shared.as_ptr()));
    }
}
