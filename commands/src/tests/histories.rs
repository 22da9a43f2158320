//! Long random histories of one account, with appends cut short here and there: the invariants hold after each step.

use std::collections::BTreeSet;

use events::account::Protection;
use events::ids::IdentityKind;
use proptest::prelude::*;

use super::invariants;
use crate::account::Account;
use crate::account::delete_account::DeleteAccount;
use crate::command::Command;
use crate::device::remove_device::RemoveDevice;
use crate::executor::Failure;
use crate::keys::set_keys::SetKeys;
use crate::message::send_message::Sender;
use crate::registration::register_account::RegisterAccount;
use crate::testing::fixtures::{
    aci, change_protection, device, link, message, pni as pni_of, register, set_keys, take_all,
};
use crate::testing::world::World;

/// What may happen to the account next.
#[derive(Clone, Debug)]
enum Step {
    Register {
        fresh: bool,
    },
    Delete,
    Link(u8),
    Remove(u32),
    Upload {
        device: u32,
        pni: bool,
        keys: u32,
    },
    Take {
        pni: bool,
    },
    Send {
        to: Vec<u32>,
    },
    Protect,
    /// The next append is cut short, and so is its repeat.
    Cut {
        streams: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => any::<bool>().prop_map(|fresh| Step::Register { fresh }),
        1 => Just(Step::Delete),
        4 => any::<u8>().prop_map(Step::Link),
        2 => (1..8_u32).prop_map(Step::Remove),
        3 => (1..4_u32, any::<bool>(), 1..4_u32)
            .prop_map(|(device, pni, keys)| Step::Upload { device, pni, keys }),
        4 => any::<bool>().prop_map(|pni| Step::Take { pni }),
        1 => prop::collection::vec(1..4_u32, 1..4).prop_map(|to| Step::Send { to }),
        1 => Just(Step::Protect),
        3 => (0..5_usize).prop_map(|streams| Step::Cut { streams }),
    ]
}

/// Runs the command. A refusal is as good an answer as any, and so is a store that was ordered to fail.
async fn attempt<C: Command>(world: &World, command: &C) -> Option<C::Done> {
    match world.try_run(command).await {
        Ok(executed) => Some(executed.done),
        Err(Failure::Refused(_) | Failure::Unavailable(_)) => None,
        Err(other) => panic!("{}: {other}", C::NAME),
    }
}

async fn take(world: &World, step: Step) {
    match step {
        Step::Register { fresh } => {
            let fresh_aci = if fresh { aci(9) } else { aci(1) };
            attempt(
                world,
                &RegisterAccount {
                    fresh_aci,
                    ..register(1)
                },
            )
            .await;
        }
        Step::Delete => {
            attempt(world, &DeleteAccount { aci: aci(1) }).await;
        }
        Step::Link(token) => {
            attempt(world, &link(1, token)).await;
        }
        Step::Remove(target) => {
            let target = device(target);
            attempt(
                world,
                &RemoveDevice {
                    aci: aci(1),
                    caller: device(1),
                    target,
                },
            )
            .await;
        }
        Step::Upload {
            device: id,
            pni,
            keys,
        } => {
            let identity = if pni {
                IdentityKind::Pni
            } else {
                IdentityKind::Aci
            };
            let upload = set_keys(1, identity, None, keys);
            attempt(
                world,
                &SetKeys {
                    device: device(id),
                    ..upload
                },
            )
            .await;
        }
        Step::Take { pni } => {
            let target = if pni { pni_of(1).into() } else { aci(1).into() };
            attempt(world, &take_all(target, 2)).await;
        }
        Step::Send { to } => {
            let to: BTreeSet<_> = to.into_iter().map(device).collect();
            let sender = Sender::Identified(aci(2), device(1));
            let devices = to.into_iter().map(|device| (device, None));
            attempt(world, &message(aci(1).into(), sender, devices)).await;
        }
        Step::Protect => {
            attempt(world, &change_protection(1, Protection::default())).await;
        }
        Step::Cut { streams } => {
            world.store.cut_after(streams);
            world.store.cut_after(streams);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_invariants_hold_whatever_happens(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let world = World::with_people([1, 2]).await;
            for step in steps {
                take(&world, step).await;
                invariants::hold(&world).await;
            }
            world.store.uncut();
            let registered = world.run(&register(1)).await;
            let live = world.state::<Account>(registered.aci).await.live;
            prop_assert_eq!(live.map(|live| live.devices.len()), Some(1));
            invariants::hold(&world).await;
            Ok(())
        })?;
    }
}
