//! Service ids as points.

use std::sync::LazyLock;

use curve25519_dalek::ristretto::RistrettoPoint;
use events::ServiceId;
use sha2::Sha256;

use super::sho::Sho;

static M1: LazyLock<Sho> = LazyLock::new(|| Sho::new(b"Signal_ZKGroup_20200424_UID_CalcM1"));

/// The point that stands for a service id: a hash of its binary form (16 or 17 bytes), so ACI and PNI differ in it.
pub(crate) fn m1(id: ServiceId) -> RistrettoPoint {
    let mut sho = M1.clone();
    sho.absorb(&id.to_binary()).ratchet();
    sho.point()
}

/// The point from which a member of a group can read the UUID back, whichever kind of service id it belongs to.
pub(crate) fn m2(id: ServiceId) -> RistrettoPoint {
    RistrettoPoint::lizard_encode::<Sha256>(id.uuid().as_bytes())
}
