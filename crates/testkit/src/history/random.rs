//! Histories out of random numbers: legal or not, as long as they meet the folds from all sides.

use events::keys::PreKeyKind;
use events::{Aci, Generation, ServiceId, StreamId};

use super::History;
use super::samples::{self, Address};

/// Takes numbers apart into small choices.
struct Choices(u64);

impl Choices {
    fn below(&mut self, bound: u32) -> u32 {
        let choice = self.0 % u64::from(bound);
        self.0 /= u64::from(bound);
        u32::try_from(choice).expect("it is below a u32")
    }
}

impl History {
    /// A history with one event for each number, about few accounts, devices, messages and sessions, so that events
    /// often concern each other. The same numbers make the same history.
    pub fn from_choices(choices: &[u64]) -> Self {
        let mut history = Self::default();
        history.random(choices);
        history
    }

    /// Adds such events to a history.
    pub fn random(&mut self, choices: &[u64]) {
        for number in choices {
            self.random_event(&mut Choices(*number));
        }
    }

    fn random_event(&mut self, choices: &mut Choices) {
        match choices.below(8) {
            0 | 1 => self.random_account_event(choices),
            2 => self.random_keys_event(choices),
            7 => self.random_profile_event(choices),
            3 => {
                let to = random_address(choices);
                self.message(to, choices.below(40), b"ciphertext");
            }
            4 | 5 => {
                let mailbox = StreamId::mailbox(random_address(choices).into());
                let gone = [choices.below(40), choices.below(40)];
                let event = match choices.below(5) {
                    0 => samples::expired(&gone),
                    1 => samples::reported(gone[0], gone[0] % 7 + 50),
                    _ => samples::delivered(&gone),
                };
                self.then(mailbox, event);
            }
            _ => {
                let session = StreamId::verification(samples::session(choices.below(4)));
                let event = match choices.below(4) {
                    0 => samples::started(choices.below(3)),
                    _ => samples::step(choices.below(32)),
                };
                self.then(session, event);
            }
        }
    }

    fn random_account_event(&mut self, choices: &mut Choices) {
        let account = choices.below(3);
        let (device, generation) = (choices.below(3) + 1, choices.below(4));
        let event = match choices.below(16) {
            0 | 1 => samples::registered(account, generation),
            2 => samples::reregistered(account, generation),
            3..=5 => samples::linked(device, generation),
            6 => samples::removed(device, generation),
            7 | 8 => samples::attributes(device, choices.below(60)),
            9 => samples::seen(device),
            10 => match choices.below(2) {
                0 => samples::identity_key(generation),
                _ => samples::lock_failed(),
            },
            11 => samples::deleted(account),
            12 => match choices.below(3) {
                0 => samples::username_dropped(generation),
                1 => samples::link_changed(generation),
                _ => samples::username_confirmed(generation),
            },
            13 => match choices.below(5) {
                0 => samples::push_token(device, generation),
                1 => samples::renamed(device, generation),
                2 => samples::fetches(device, generation),
                3 => samples::zk_credential_key(generation),
                _ => samples::access_changed(generation),
            },
            14 => match choices.below(2) {
                0 => samples::totp(device, choices.below(6)),
                _ => samples::backup(Some(1), (device == 1).then_some(2)),
            },
            _ => match choices.below(2) {
                0 => samples::moved_away(account, generation),
                _ => samples::moved_back(account, generation),
            },
        };
        self.then(StreamId::account(samples::aci(account)), event);
    }

    fn random_profile_event(&mut self, choices: &mut Choices) {
        let account = choices.below(3);
        let mut small = |bound| u8::try_from(choices.below(bound)).unwrap_or_default();
        let (version, picture) = (small(4), small(6));
        let event = match small(8) {
            0..=3 => samples::profile_set(version, picture.into()),
            4 => samples::avatar_replaced(version, picture),
            5 => samples::avatar_removed(version, picture),
            6 => samples::profile_dropped(version),
            _ => samples::profile_cleared(),
        };
        self.then(StreamId::profile(samples::aci(account)), event);
    }

    fn random_keys_event(&mut self, choices: &mut Choices) {
        let Address(account, device, generation) = random_address(choices);
        let identity: ServiceId = match choices.below(2) {
            0 => Aci::into(samples::aci(account)),
            _ => samples::pni(account).into(),
        };
        let kind = [PreKeyKind::Ec, PreKeyKind::Kyber][choices.below(2) as usize];
        let page = choices.below(3);
        let event = match choices.below(8) {
            0 | 1 => samples::uploaded(kind, page, 5),
            2 => samples::keys_dropped(),
            3 => samples::rotated(page),
            4 => samples::last_resort(page),
            _ => samples::taken(
                kind,
                page,
                u16::try_from(choices.below(5)).unwrap_or_default(),
            ),
        };
        let stream = StreamId::keys(identity, samples::device(device), Generation(generation));
        self.then(stream, event);
    }
}

fn random_address(choices: &mut Choices) -> Address {
    Address(choices.below(3), choices.below(3) + 1, choices.below(3))
}
