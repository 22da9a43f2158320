//! Stories about messages to many recipients, told through the executor.

use events::mailbox::{MailboxEvent, Share};
use events::values::hashes::UnidentifiedAccessKey;
use events::{AnyEvent, ServiceId, StreamId};

use crate::account::Account;
use crate::account::change_attributes::{AccessKeyChange, ChangeAttributes};
use crate::device::remove_device::RemoveDevice;
use crate::message::device_check::Differences;
use crate::message::send_to_many::{Right, SendToMany, SendToManyRefused};
use crate::testing::fixtures::{access_key, aci, change_protection, device, pni, to_many};
use crate::testing::world::World;

/// The registration ids of a primary device, for the account and for the number.
const PRIMARY: (u8, u16) = (1, 100);
const PRIMARY_BY_NUMBER: (u8, u16) = (1, 101);
/// Of the device that the token 1 linked.
const TABLET: (u8, u16) = (2, 201);

fn by_aci(n: u32) -> ServiceId {
    aci(n).into()
}

fn xor(keys: &[UnidentifiedAccessKey]) -> Right {
    let sum = keys.iter().fold([0; 16], |sum: [u8; 16], key| {
        std::array::from_fn(|i| sum[i] ^ key.as_bytes()[i])
    });
    Right::AccessKeys(sum.to_vec().try_into().unwrap())
}

#[tokio::test]
async fn every_device_gets_its_share_of_one_body() {
    let world = World::with_people([1, 2]).await;
    let tablet = world.link(1, 1).await;
    let before = world.store.payload_count();
    let message = to_many(
        Right::GroupMember,
        &[
            (by_aci(1), &[PRIMARY, TABLET]),
            (pni(2).into(), &[PRIMARY_BY_NUMBER]),
            (by_aci(77), &[PRIMARY]),
        ],
    );
    let sent = world.run(&message).await;
    assert_eq!((sent.unresolved, sent.next), (vec![by_aci(77)], None));
    assert_eq!(world.store.payload_count() - before, 1, "one body for all");
    let [AnyEvent::Mailbox(MailboxEvent::MessageQueued(queued))] =
        &world.history(&StreamId::mailbox(tablet))[..]
    else {
        panic!("one message")
    };
    let recipient = message.message.recipients().next().unwrap();
    let share = Share {
        key_material: u32::try_from(recipient.key_material).unwrap(),
        common: u32::try_from(message.message.offset_of_shared_data()).unwrap(),
    };
    assert_eq!((queued.share, queued.source), (Some(share), None));
    assert_eq!(queued.destination, by_aci(1));
    let length = queued.content.unwrap().length;
    assert_eq!(share.delivered(length) as usize, recipient.delivery.len());
}

#[tokio::test]
async fn access_keys_must_open_all_recipients() {
    let world = World::with_people([1, 2, 3]).await;
    let open = ChangeAttributes {
        access_key: AccessKeyChange::Keep,
        unrestricted: true,
        ..change_protection(3, events::account::Protection::default())
    };
    world.run(&open).await;
    let all: [(ServiceId, &[_]); 3] = [1, 2, 3].map(|n| (by_aci(n), [PRIMARY].as_slice()));
    let keys = [access_key(1), access_key(2)];
    world.run(&to_many(xor(&keys), &all)).await;
    let refused = [
        (
            xor(&keys[..1]),
            all.to_vec(),
            SendToManyRefused::Unauthorized,
        ),
        (
            xor(&keys),
            [all.as_slice(), &[(by_aci(77), &[PRIMARY])]].concat(),
            SendToManyRefused::NoSuchRecipient,
        ),
        (
            xor(&keys[..1]),
            vec![(pni(1).into(), &[PRIMARY_BY_NUMBER])],
            SendToManyRefused::Unauthorized,
        ),
    ];
    for (right, recipients, expected) in refused {
        assert_eq!(world.refused(&to_many(right, &recipients)).await, expected);
    }
}

#[tokio::test]
async fn missing_and_extra_devices_anywhere_win_over_stale_ones() {
    let world = World::with_people([1, 2]).await;
    world.link(1, 1).await;
    let send = |first: &'static [_], second: &'static [_]| {
        let message = to_many(Right::Story, &[(by_aci(1), first), (by_aci(2), second)]);
        let world = &world;
        async move { world.refused(&message).await }
    };
    let differences = Differences {
        missing: vec![device(2)],
        extra: vec![device(5)],
        stale: vec![],
    };
    let stale = Differences {
        stale: vec![device(1)],
        ..Differences::default()
    };
    assert_eq!(
        send(&[PRIMARY, (5, 1)], &[(1, 7)]).await,
        SendToManyRefused::MismatchedDevices {
            recipients: vec![(by_aci(1), differences), (by_aci(2), stale)]
        }
    );
    assert_eq!(
        send(&[PRIMARY, TABLET], &[(1, 7)]).await,
        SendToManyRefused::StaleDevices {
            recipients: vec![(by_aci(2), vec![device(1)])]
        }
    );
    assert!(
        world
            .store
            .events()
            .iter()
            .all(|it| it.type_name != "MessageQueued")
    );
}

#[tokio::test]
async fn online_messages_to_many_never_reach_the_log() {
    let world = World::with_people([1, 2]).await;
    let before = (world.store.events().len(), world.store.payload_count());
    let message = SendToMany {
        online: true,
        ..to_many(
            Right::Story,
            &[(by_aci(1), &[PRIMARY]), (by_aci(2), &[PRIMARY])],
        )
    };
    let sent = world.run(&message).await;
    assert_eq!(
        (world.store.events().len(), world.store.payload_count()),
        before
    );
    let recipients = message.message.recipients();
    for (ephemeral, recipient) in sent.ephemeral.into_iter().zip(recipients) {
        assert!(ephemeral.envelope.story);
        assert_eq!(
            ephemeral.content.into_bytes(),
            recipient.delivery.to_bytes()
        );
    }
}

#[tokio::test]
async fn more_copies_than_the_log_takes_at_once_are_accepted_in_several_goes() {
    let world = World::with_people([1, 2, 3]).await;
    world.link(1, 1).await;
    let everybody: [(ServiceId, &[_]); 3] = [
        (by_aci(1), &[PRIMARY, TABLET]),
        (by_aci(2), &[PRIMARY]),
        (by_aci(3), &[PRIMARY]),
    ];
    let mut message = to_many(Right::Story, &everybody);
    message.at_once = 3;
    let first = world.run(&message).await;
    assert_eq!(first.next, Some(2));
    let second = world.run(&SendToMany { from: 2, ..message }).await;
    assert_eq!(second.next, None);
    for n in 1..=3 {
        let live = world.state::<Account>(aci(n)).await.live.unwrap();
        for address in live.addresses(aci(n)) {
            assert_eq!(world.history(&StreamId::mailbox(address)).len(), 1);
        }
    }
}

#[tokio::test]
async fn a_device_that_left_is_extra() {
    let world = World::with_people([1]).await;
    world.link(1, 1).await;
    let message = to_many(Right::Story, &[(by_aci(1), &[PRIMARY, TABLET])]);
    world.run(&message).await;
    let leaves = RemoveDevice {
        aci: aci(1),
        caller: device(1),
        target: device(2),
    };
    world.run(&leaves).await;
    let refused = world.refused(&message).await;
    assert!(matches!(
        refused,
        SendToManyRefused::MismatchedDevices { .. }
    ));
}
