//! "zkcredential": issuing credentials over any mixture of public, clear and blinded attributes.
//!
//! Slot 0 of a credential is one point for all public attributes. A service id fills two slots, a blinded attribute one.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::MultiscalarMul as _;
use events::ServiceId;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::encoding::{Reader, Writer};
use super::key::{Key, SLOTS, Scalars, Y, ZKCREDENTIAL};
use super::poksho::{G, Named, Relation};
use super::sho::Sho;
use super::{Malformed, uid};

const M: [&str; SLOTS] = ["M0", "M1", "M2", "M3", "M4", "M5", "M6"];
const D1: [&str; SLOTS] = ["D1_0", "D1_1", "D1_2", "D1_3", "D1_4", "D1_5", "D1_6"];
const D2: [&str; SLOTS] = ["D2_0", "D2_1", "D2_2", "D2_3", "D2_4", "D2_5", "D2_6"];

/// Whether slot 0 has one scalar for credentials of every arity, or one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Legacy,
    Standard,
}

/// A key for credentials of every arity (number of slots filled).
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct CredentialKey {
    #[zeroize(skip)]
    mode: Mode,
    scalars: Scalars,
    /// For arities 2 to 7.
    by_arity: Vec<Key>,
}

impl CredentialKey {
    const LEAST_ARITY: usize = 2;

    fn new(scalars: Scalars, mode: Mode) -> Self {
        let by_arity = (Self::LEAST_ARITY..=SLOTS).map(|arity| {
            let mut scalars = scalars.clone();
            scalars.y[0] = slot_zero(scalars.y[0], arity, mode);
            Key::new(&ZKCREDENTIAL, scalars, 0..arity)
        });
        Self {
            mode,
            by_arity: by_arity.collect(),
            scalars,
        }
    }

    pub(super) fn from_seed(seed: &[u8; 32], mode: Mode) -> Self {
        let mut sho = Sho::with(
            b"Signal_ZKCredential_CredentialPrivateKey_generate_20230410",
            seed,
        );
        Self::new(Scalars::draw(&mut sho, 0..SLOTS), mode)
    }

    pub(super) fn read(reader: &mut Reader<'_>, mode: Mode) -> Result<Self, Malformed> {
        Ok(Self::new(Scalars::read(reader, 0..SLOTS)?, mode))
    }

    pub(super) fn write(&self, writer: Writer) -> Writer {
        self.scalars.write(writer, &ZKCREDENTIAL, 0..SLOTS)
    }

    pub(super) fn write_public(&self, writer: Writer) -> Writer {
        let i: Vec<_> = self.by_arity.iter().map(Key::i).collect();
        writer.points(&[self.by_arity[0].c_w()]).points(&i)
    }

    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn of_arity(&self, arity: usize) -> &Key {
        &self.by_arity[arity - Self::LEAST_ARITY]
    }
}

/// The scalar of slot 0 in credentials of this arity.
fn slot_zero(y0: Scalar, arity: usize, mode: Mode) -> Scalar {
    if mode == Mode::Legacy || arity == CredentialKey::LEAST_ARITY {
        return y0;
    }
    let mut sho = Sho::with(
        b"Signal_ZKCredential_SlotZeroBlinding_20260805",
        y0.as_bytes(),
    );
    let arity = u64::try_from(arity).expect("an arity is at most seven");
    sho.absorb(&arity.to_be_bytes()).ratchet();
    sho.scalar()
}

/// The points of a credential's attributes, by slot.
pub(super) struct Attributes(Vec<RistrettoPoint>);

impl Attributes {
    /// Starts with the public attributes, each a number. `label` names the kind of credential.
    pub(super) fn new(label: &[u8], public: &[u64]) -> Self {
        let mut sho = Sho::new(label);
        for attribute in public {
            sho.absorb(&attribute.to_be_bytes()).ratchet();
        }
        Self(vec![sho.point()])
    }

    /// Adds a service id: two slots.
    pub(super) fn service_id(mut self, id: impl Into<ServiceId>) -> Self {
        let id = id.into();
        self.0.extend([uid::m1(id), uid::m2(id)]);
        self
    }

    /// The point of the public attributes.
    pub(super) fn public(&self) -> RistrettoPoint {
        self.0[0]
    }

    fn by_slot(&self) -> Vec<(usize, RistrettoPoint)> {
        self.0.iter().copied().enumerate().collect()
    }
}

/// A credential's MAC: `V` over the attributes, under `t` and `U`.
pub(super) struct Mac {
    pub(super) t: Scalar,
    pub(super) u: RistrettoPoint,
    pub(super) v: RistrettoPoint,
}

impl Mac {
    fn draw(sho: &mut Sho, key: &Key, attributes: &Attributes) -> Self {
        let (t, u) = (sho.scalar(), sho.point());
        Self {
            t,
            u,
            v: key.tag(t, u, &attributes.by_slot()),
        }
    }

    fn points(&self, attributes: &Attributes) -> impl Iterator<Item = Named<RistrettoPoint>> {
        let clear = attributes
            .by_slot()
            .into_iter()
            .map(|(slot, point)| (M[slot], point));
        [("U", self.u), ("tU", self.t * self.u)]
            .into_iter()
            .chain(clear)
    }

    pub(super) fn relation(&self, key: &Key, attributes: &Attributes) -> Relation {
        let mut relation = key.relation();
        relation.equation("V", &mac_terms(attributes.0.len()).collect::<Vec<_>>());
        relation
            .points([("V", self.v)])
            .points(self.points(attributes));
        relation
    }
}

/// The right side of `V = w·G_w + x0·U + x1·tU + Σ y·M`.
fn mac_terms(clear: usize) -> impl Iterator<Item = Named<&'static str>> {
    [("w", "G_w"), ("x0", "U"), ("x1", "tU")]
        .into_iter()
        .chain((0..clear).map(|slot| (Y[slot], M[slot])))
}

/// Issues a credential over attributes that the server knows. Output: `t | U | V | length | proof`.
pub(super) fn issue(
    key: &CredentialKey,
    attributes: &Attributes,
    randomness: &[u8; 32],
) -> Vec<u8> {
    let key = key.of_arity(attributes.0.len());
    let mut sho = Sho::with(b"Signal_ZKCredential_Issuance_20230410", randomness);
    let mac = Mac::draw(&mut sho, key, attributes);
    let proof = mac.relation(key, attributes).prove(b"", &sho.squeeze());
    Writer::default()
        .scalars(&[mac.t])
        .points(&[mac.u, mac.v])
        .counted_bytes(&proof)
        .finish()
}

/// An attribute that the server does not see: an `ElGamal` pair under the client's key `y`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blinded {
    pub(super) d1: RistrettoPoint,
    pub(super) d2: RistrettoPoint,
    pub(super) y: RistrettoPoint,
}

impl Blinded {
    /// Reads `D1 | D2 | Y`.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let [d1, d2, y] = reader.points()?;
        Ok(Self { d1, d2, y })
    }
}

/// A credential with a blinded attribute: the MAC encrypted for the client as `S1`, `S2`.
pub(super) struct BlindMac {
    pub(super) mac: Mac,
    pub(super) s1: RistrettoPoint,
    pub(super) s2: RistrettoPoint,
}

impl BlindMac {
    /// Without the server's secret `r'`, which its proof needs as well.
    pub(super) fn relation(
        &self,
        key: &Key,
        attributes: &Attributes,
        blinded: &Blinded,
    ) -> Relation {
        let last = attributes.0.len();
        let mut relation = key.relation();
        relation.equation("S1", &[(Y[last], D1[last]), ("rprime", G)]);
        let s2_terms = [("rprime", "Y")]
            .into_iter()
            .chain(mac_terms(last))
            .chain([(Y[last], D2[last])]);
        relation.equation("S2", &s2_terms.collect::<Vec<_>>());
        relation.points([("S1", self.s1), ("S2", self.s2), ("Y", blinded.y)]);
        relation.points([(D1[last], blinded.d1), (D2[last], blinded.d2)]);
        relation.points(self.mac.points(attributes));
        relation
    }
}

/// Issues a credential over attributes that the server knows and, in the last slot, one that it does not see.
/// Output: `t | U | S1 | S2 | length | proof`.
pub(super) fn blind_issue(
    key: &CredentialKey,
    attributes: &Attributes,
    blinded: &Blinded,
    randomness: &[u8; 32],
) -> Vec<u8> {
    let last = attributes.0.len();
    let key = key.of_arity(last + 1);
    let mut sho = Sho::with(b"Signal_ZKCredential_BlindIssuance_20230410", randomness);
    let r_prime = sho.scalar();
    let mac = Mac::draw(&mut sho, key, attributes);
    let y = key.scalars().y[last];
    let s1 = RistrettoPoint::mul_base(&r_prime) + y * blinded.d1;
    let s2 = mac.v + RistrettoPoint::multiscalar_mul([r_prime, y], [blinded.y, blinded.d2]);
    let issued = BlindMac { mac, s1, s2 };
    let mut relation = issued.relation(key, attributes, blinded);
    let proof = relation
        .secrets([("rprime", r_prime)])
        .prove(b"", &sho.squeeze());
    let writer = Writer::default()
        .scalars(&[issued.mac.t])
        .points(&[issued.mac.u, s1, s2]);
    writer.counted_bytes(&proof).finish()
}
