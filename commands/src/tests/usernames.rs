//! Stories about usernames, told through the executor.

use std::time::Duration;

use events::StreamId;
use events::values::username::EncryptedUsername;
use futures::future::join_all;

use super::invariants;
use crate::account::delete_account::DeleteAccount;
use crate::account::{Account, Live};
use crate::registration::register_account::RegisterAccount;
use crate::testing::fixtures::{
    aci, confirm_username, handle, register, reserve_username, username,
};
use crate::testing::world::World;
use crate::username::change_link::SetUsernameLinkRefused;
use crate::username::confirm_username::{ConfirmUsernameRefused, Confirmed, Reservation};
use crate::username::reserve_username::ReserveUsernameRefused;
use crate::username::state::{HOLD, RECLAIM, RESERVATION};
use crate::username::{ConfirmUsername, DeleteUsernameLink, DropUsername, SetUsernameLink};

const MINUTE: Duration = Duration::from_mins(1);

fn encrypted(fill: u8) -> EncryptedUsername {
    vec![fill; 112].try_into().unwrap()
}

impl World {
    async fn live(&self, n: u32) -> Live {
        *self.state::<Account>(aci(n)).await.live.unwrap()
    }

    /// The `n`th person takes a username, with a link to it.
    async fn take_username(&self, n: u32, name: u32) -> Confirmed {
        self.run(&reserve_username(n, &[name])).await;
        self.run(&confirm_username(n, name)).await
    }

    async fn may_reserve(&self, n: u32, name: u32) -> bool {
        let outcome = self.try_run(&reserve_username(n, &[name])).await;
        outcome.is_ok()
    }
}

#[tokio::test]
async fn the_first_free_username_in_the_list_is_kept_for_five_minutes() {
    let world = World::with_people([1, 2]).await;
    assert_eq!(world.run(&reserve_username(1, &[7])).await, username(7));
    assert_eq!(world.run(&reserve_username(2, &[7, 8])).await, username(8));
    let refused = world.refused(&reserve_username(2, &[7])).await;
    assert_eq!(refused, ReserveUsernameRefused::AllTaken);
    world.clock.advance(RESERVATION.saturating_sub(MINUTE));
    assert!(!world.may_reserve(2, 7).await);
    world.clock.advance(MINUTE);
    assert!(world.may_reserve(2, 7).await);
}

#[tokio::test]
async fn reserving_again_keeps_it_longer_and_never_shorter() {
    let world = World::with_people([1, 2]).await;
    world.run(&reserve_username(1, &[7])).await;
    world.clock.advance(4 * MINUTE);
    world.run(&reserve_username(1, &[7])).await;
    world.clock.advance(4 * MINUTE);
    assert!(!world.may_reserve(2, 7).await);

    world.run(&confirm_username(1, 7)).await;
    world.run(&DropUsername { aci: aci(1) }).await;
    world.run(&reserve_username(1, &[7])).await;
    world.clock.advance(HOLD.saturating_sub(MINUTE));
    assert!(!world.may_reserve(2, 7).await, "it is held for seven days");
    world.clock.advance(MINUTE);
    assert!(world.may_reserve(2, 7).await);
}

#[tokio::test]
async fn confirming_needs_the_accounts_current_reservation() {
    let world = World::with_people([1, 2]).await;
    let refused = world.refused(&confirm_username(1, 7)).await;
    assert_eq!(refused, ConfirmUsernameRefused::NotReserved);
    world.run(&reserve_username(1, &[7])).await;
    world.run(&reserve_username(1, &[8])).await;
    let refused = world.refused(&confirm_username(1, 7)).await;
    assert_eq!(refused, ConfirmUsernameRefused::NotReserved);
    let confirmed = world.run(&confirm_username(1, 8)).await;
    assert_eq!(confirmed.hash, username(8));
    let length = world.store.events().len();
    let again = ConfirmUsername {
        fresh_handle: handle(99),
        ..confirm_username(1, 8)
    };
    assert_eq!(world.run(&again).await, confirmed);
    assert_eq!(world.run(&reserve_username(1, &[9, 8])).await, username(8));
    assert_eq!(world.store.events().len(), length, "one's own is no news");
}

#[tokio::test]
async fn a_reservation_that_is_over_will_do_unless_somebody_else_came() {
    for (rival, reservation, refused) in [
        (false, Reservation::Needed, None),
        (
            true,
            Reservation::Needed,
            Some(ConfirmUsernameRefused::Taken),
        ),
        (
            false,
            Reservation::Optional,
            Some(ConfirmUsernameRefused::ReservationOver),
        ),
        (
            true,
            Reservation::Optional,
            Some(ConfirmUsernameRefused::Taken),
        ),
    ] {
        let world = World::with_people([1, 2]).await;
        world.run(&reserve_username(1, &[7])).await;
        world.clock.advance(RESERVATION);
        if rival {
            world.take_username(2, 7).await;
        }
        let confirm = ConfirmUsername {
            reservation,
            ..confirm_username(1, 7)
        };
        match refused {
            Some(refused) => assert_eq!(world.refused(&confirm).await, refused),
            None => assert_eq!(world.run(&confirm).await.hash, username(7)),
        }
        invariants::hold(&world).await;
    }
}

#[tokio::test]
async fn without_a_reservation_a_free_username_is_taken_where_that_will_do() {
    let world = World::with_people([1, 2]).await;
    let claim = |n| ConfirmUsername {
        reservation: Reservation::Optional,
        ..confirm_username(n, 7)
    };
    world.run(&claim(1)).await;
    assert_eq!(
        world.refused(&claim(2)).await,
        ConfirmUsernameRefused::Taken
    );
}

#[tokio::test]
async fn a_username_that_was_given_up_is_held_for_its_last_owner() {
    let world = World::with_people([1, 2]).await;
    world.take_username(1, 7).await;
    world.take_username(1, 8).await;
    world.clock.advance(RESERVATION);
    assert!(!world.may_reserve(2, 7).await, "it was changed for another");
    world.run(&DropUsername { aci: aci(1) }).await;
    assert!(!world.may_reserve(2, 8).await, "it was dropped");
    assert!(world.may_reserve(1, 7).await && world.may_reserve(1, 8).await);
    world.clock.advance(HOLD);
    assert!(world.may_reserve(2, 7).await && world.may_reserve(2, 8).await);
}

#[tokio::test]
async fn three_usernames_are_held_and_the_oldest_goes_first() {
    let world = World::with_people([1, 2]).await;
    for name in 1..=5 {
        world.take_username(1, name).await;
    }
    world.clock.advance(RESERVATION);
    let mut free = Vec::new();
    for name in 1..=5 {
        free.push(world.may_reserve(2, name).await);
    }
    assert_eq!(free, [true, false, false, false, false]);
}

#[tokio::test]
async fn registering_again_keeps_the_username_for_three_days_and_its_link_for_the_one_who_comes_back()
 {
    for back in [true, false] {
        let world = World::with_people([1, 2]).await;
        let before = world.take_username(1, 7).await;
        world.take_username(1, 8).await;
        let linked = world.run(&confirm_username(1, 8)).await;
        assert_ne!(before.hash, linked.hash);
        world.run(&register(1)).await;
        let live = world.live(1).await;
        assert_eq!(live.usernames.confirmed, None);
        world.clock.advance(RECLAIM.saturating_sub(MINUTE));
        assert!(!world.may_reserve(2, 8).await);
        assert!(world.may_reserve(2, 7).await, "holds are dropped");
        if back {
            let again = ConfirmUsername {
                fresh_handle: handle(99),
                ..confirm_username(1, 8)
            };
            assert_eq!(world.run(&again).await.handle, linked.handle);
        } else {
            world.clock.advance(MINUTE);
            assert!(world.may_reserve(2, 8).await);
        }
        invariants::hold(&world).await;
    }
}

#[tokio::test]
async fn deleting_the_account_frees_its_usernames_at_once() {
    let world = World::with_people([1, 2]).await;
    world.take_username(1, 7).await;
    world.take_username(1, 8).await;
    world.run(&reserve_username(1, &[9])).await;
    world.run(&DeleteAccount { aci: aci(1) }).await;
    for name in [7, 8, 9] {
        assert!(world.may_reserve(2, name).await, "username {name}");
    }
    let fresh = RegisterAccount {
        fresh_aci: aci(5),
        ..register(1)
    };
    let registered = world.run(&fresh).await;
    assert_eq!(registered.aci, aci(1));
    assert_eq!(world.live(1).await.usernames.confirmed, None);
}

#[tokio::test]
async fn the_link_moves_unless_it_is_to_stay() {
    let world = World::with_people([1]).await;
    let set = |keep_handle, fresh| SetUsernameLink {
        aci: aci(1),
        encrypted: encrypted(fresh),
        keep_handle,
        fresh_handle: handle(u32::from(fresh)),
    };
    let refused = world.refused(&set(true, 50)).await;
    assert_eq!(refused, SetUsernameLinkRefused::NoUsername);
    let confirmed = world.take_username(1, 7).await;
    let first = confirmed.handle.unwrap();
    assert_eq!(world.run(&set(true, 51)).await, first);
    assert_eq!(world.run(&set(false, 52)).await, handle(52));
    world.run(&DeleteUsernameLink { aci: aci(1) }).await;
    assert_eq!(world.live(1).await.usernames.confirmed.unwrap().link, None);
    assert_eq!(world.run(&set(true, 53)).await, handle(53));
    world.run(&DropUsername { aci: aci(1) }).await;
    let refused = world.refused(&set(true, 54)).await;
    assert_eq!(refused, SetUsernameLinkRefused::NoUsername);
}

#[tokio::test]
async fn of_many_who_want_a_username_one_gets_it() {
    let people = 1..=12;
    let world = World::with_people(people.clone()).await;
    let nodes = [world.another_node(), world.another_node()];
    let attempts = people.clone().map(|n| {
        let node = &nodes[usize::try_from(n % 2).unwrap()];
        let (reserve, confirm) = (reserve_username(n, &[7]), confirm_username(n, 7));
        let world = &world;
        async move {
            if node.execute(&reserve, &world.request()).await.is_err() {
                return false;
            }
            node.execute(&confirm, &world.request()).await.is_ok()
        }
    });
    let winners = join_all(attempts).await;
    assert_eq!(winners.iter().filter(|won| **won).count(), 1);
    let mut owners = 0;
    for n in people {
        owners += usize::from(world.live(n).await.usernames.has(username(7)));
    }
    assert_eq!(owners, 1);
    assert!(!world.history(&StreamId::username(username(7))).is_empty());
    invariants::hold(&world).await;
}
