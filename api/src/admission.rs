//! Who gets in: how many at once, in all and of one kind. Whoever is in stays in, however many stand before the door.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

/// Places that are taken and given back.
#[derive(Debug)]
pub struct Quota<K> {
    in_all: usize,
    each: usize,
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K> {
    in_all: usize,
    each: HashMap<K, usize>,
}

/// A place. It is given back when this is dropped.
#[derive(Debug)]
pub struct Place<K: Eq + Hash> {
    quota: Arc<Quota<K>>,
    key: K,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// For anybody.
    ForAll,
    /// For this one.
    ForThis,
}

impl<K: Copy + Eq + Hash> Quota<K> {
    /// So many places in all, and so many for each.
    pub fn new(in_all: usize, each: usize) -> Arc<Self> {
        let taken = Mutex::new(Taken {
            in_all: 0,
            each: HashMap::new(),
        });
        Arc::new(Self {
            in_all,
            each,
            taken,
        })
    }

    /// Places for everybody.
    pub fn unlimited() -> Arc<Self> {
        Self::new(usize::MAX, usize::MAX)
    }

    /// Takes a place, if there is one.
    pub fn take(self: &Arc<Self>, key: K) -> Result<Place<K>, Full> {
        let mut taken = self.taken();
        if taken.in_all >= self.in_all {
            return Err(Full::ForAll);
        }
        let of_this = taken.each.get(&key).copied().unwrap_or_default();
        if of_this >= self.each {
            return Err(Full::ForThis);
        }
        taken.each.insert(key, of_this + 1);
        taken.in_all += 1;
        Ok(Place {
            quota: Arc::clone(self),
            key,
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken<K>> {
        self.taken
            .lock()
            .expect("nothing panics while it counts places")
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let taken = self.quota.taken.lock();
        let mut taken = taken.expect("nothing panics while it counts places");
        taken.in_all -= 1;
        if let Some(of_this) = taken.each.get_mut(&self.key) {
            *of_this -= 1;
            if *of_this == 0 {
                taken.each.remove(&self.key);
            }
        }
    }
}

/// Where a connection comes from, as far as that tells one client from another: an IPv4 address, or an IPv6 network of 64
/// bits, which is the least that one client is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin(IpAddr);

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_are_bounded_in_all_and_for_each_and_come_back() {
        let quota = Quota::new(3, 2);
        let first = quota.take("a").unwrap();
        let _second = quota.take("a").unwrap();
        assert_eq!(quota.take("a").unwrap_err(), Full::ForThis);
        let _third = quota.take("b").unwrap();
        assert_eq!(quota.take("c").unwrap_err(), Full::ForAll);
        drop(first);
        assert_eq!(quota.take("b").map(drop), Ok(()));
        assert_eq!(quota.take("a").map(drop), Ok(()));
    }

    #[test]
    fn a_client_cannot_pass_for_many() {
        let origin = |text: &str| Origin::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(origin("2001:db8::1"), origin("2001:db8::ffff:1:2:3"));
        assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
        assert_eq!(origin("::ffff:192.0.2.1"), origin("192.0.2.1"));
        assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
    }

    proptest! {
        #[test]
        fn what_is_given_back_can_be_taken(keys in prop::collection::vec(0_u8..4, 0..50)) {
            let quota = Quota::new(20, 10);
            let places: Vec<_> = keys.iter().filter_map(|key| quota.take(*key).ok()).collect();
            prop_assert!(places.len() <= 20);
            drop(places);
            let taken = quota.taken();
            prop_assert!(taken.in_all == 0 && taken.each.is_empty());
        }
    }
}
