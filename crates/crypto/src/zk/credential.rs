//! "zkcredential": issuing and checking credentials over any mixture of public, revealed and hidden attributes.
//!
//! Slot 0 of a credential is one point for all public attributes. A revealed attribute fills one slot, a hidden one
//! (a service id) two.

use std::sync::LazyLock;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::MultiscalarMul as _;
use events::ServiceId;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::encoding::{Reader, Writer};
use super::key::{G_Y, Key, SLOTS, Scalars, Y, ZKCREDENTIAL};
use super::poksho::{G, Named, Points, Relation};
use super::sho::Sho;
use super::{Malformed, VerificationFailed, uid};

const M: [&str; SLOTS] = ["M0", "M1", "M2", "M3", "M4", "M5", "M6"];
const D1: [&str; SLOTS] = ["D1_0", "D1_1", "D1_2", "D1_3", "D1_4", "D1_5", "D1_6"];
const D2: [&str; SLOTS] = ["D2_0", "D2_1", "D2_2", "D2_3", "D2_4", "D2_5", "D2_6"];
const C_Y: [&str; SLOTS] = ["C_y0", "C_y1", "C_y2", "C_y3", "C_y4", "C_y5", "C_y6"];
const E: [&str; SLOTS] = ["E_A0", "E_A1", "E_A2", "E_A3", "E_A4", "E_A5", "E_A6"];
const MINUS_E: [&str; SLOTS] = [
    "-E_A0", "-E_A1", "-E_A2", "-E_A3", "-E_A4", "-E_A5", "-E_A6",
];
const C_Y_MINUS_E: [&str; SLOTS] = [
    "C_y0-E_A0",
    "C_y1-E_A1",
    "C_y2-E_A2",
    "C_y3-E_A3",
    "C_y4-E_A4",
    "C_y5-E_A5",
    "C_y6-E_A6",
];

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

/// The generators of the keys under which hidden service ids are encrypted.
pub(super) static UID_ENCRYPTION: LazyLock<[RistrettoPoint; 2]> = LazyLock::new(|| {
    let mut sho = Sho::with(
        b"Signal_ZKGroup_20200424_Constant_UidEncryption_SystemParams_Generate",
        b"",
    );
    std::array::from_fn(|_| sho.point())
});

/// The two generators of an encryption key that belongs to no older system.
pub(super) fn domain_generators(domain: &[u8]) -> [RistrettoPoint; 2] {
    let mut sho = Sho::with(b"Signal_ZKCredential_Domain_20231011", domain);
    std::array::from_fn(|_| sho.point())
}

/// What a presentation says about one attribute.
pub(super) enum Shown {
    /// The point itself: one slot.
    Revealed(RistrettoPoint),
    /// A ciphertext under the presentation's encryption key: two slots.
    Hidden([RistrettoPoint; 2]),
}

/// A credential as its bearer shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Presentation {
    c_x0: RistrettoPoint,
    c_x1: RistrettoPoint,
    c_v: RistrettoPoint,
    c_y: Vec<RistrettoPoint>,
    proof: Vec<u8>,
}

impl Presentation {
    /// Reads `C_x0 | C_x1 | C_V | count | C_y … | length | proof`.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let [c_x0, c_x1, c_v] = reader.points()?;
        let c_y = (0..reader.count(32)?)
            .map(|_| reader.point())
            .collect::<Result<_, _>>()?;
        Ok(Self {
            c_x0,
            c_x1,
            c_v,
            c_y,
            proof: reader.counted_bytes()?.to_vec(),
        })
    }

    /// Checks the presentation of a credential with these public attributes. `encryption` is the public key `A` of all
    /// hidden attributes, which are service ids.
    pub(super) fn verify(
        &self,
        key: &CredentialKey,
        public: &Attributes,
        shown: &[Shown],
        encryption: Option<RistrettoPoint>,
    ) -> Result<(), VerificationFailed> {
        let arity = 1 + shown.iter().map(Shown::slots).sum::<usize>();
        if self.c_y.len() != arity {
            return Err(VerificationFailed);
        }
        let message = self.message(key.mode, shown, encryption);
        self.relation(key.of_arity(arity), public.0[0], shown, encryption)
            .verify(&self.proof, &message, Points::Secret)
    }

    pub(super) fn relation(
        &self,
        key: &Key,
        m0: RistrettoPoint,
        shown: &[Shown],
        encryption: Option<RistrettoPoint>,
    ) -> Relation {
        let mut relation = Relation::default();
        relation.equation("Z", &[("z", "I")]);
        relation.equation("C_x1", &[("t", "C_x0"), ("z0", "G_x0"), ("z", "G_x1")]);
        relation.points([("Z", self.excess(key, m0, shown)), ("I", key.i())]);
        relation.points([("C_x0", self.c_x0), ("C_x1", self.c_x1)]);
        relation.points([("G_x0", key.system().x0), ("G_x1", key.system().x1)]);
        if let Some(encryption) = encryption {
            relation.equation("0", &[("z1_K", "I"), ("a1_K", "Z")]);
            relation.equation("sum(A)", &[("a1_K", "G_a1_K"), ("a2_K", "G_a2_K")]);
            relation.points([("0", RistrettoPoint::default()), ("sum(A)", encryption)]);
            relation.points(["G_a1_K", "G_a2_K"].into_iter().zip(*UID_ENCRYPTION));
        }
        for (slot, shown) in slots(shown) {
            self.show(&mut relation, slot, shown);
        }
        relation.equation(C_Y[0], &[("z", G_Y[0])]);
        relation.points(
            self.c_y
                .iter()
                .enumerate()
                .filter(|(slot, _)| !is_second(*slot, shown))
                .map(|(slot, c_y)| (C_Y[slot], *c_y)),
        );
        relation.points((0..self.c_y.len()).map(|slot| (G_Y[slot], key.system().y[slot])));
        relation
    }

    fn show(&self, relation: &mut Relation, slot: usize, shown: &Shown) {
        match shown {
            Shown::Revealed(_) => {
                relation.equation(C_Y[slot], &[("z", G_Y[slot])]);
            }
            Shown::Hidden([e1, e2]) => {
                let second = slot + 1;
                relation.equation(E[slot], &[("a1_K", C_Y[slot]), ("z1_K", G_Y[slot])]);
                relation.equation(
                    C_Y_MINUS_E[second],
                    &[("z", G_Y[second]), ("a2_K", MINUS_E[slot])],
                );
                relation.points([(E[slot], *e1), (MINUS_E[slot], -e1)]);
                relation.points([(C_Y_MINUS_E[second], self.c_y[second] - e2)]);
            }
        }
    }

    fn excess(&self, key: &Key, m0: RistrettoPoint, shown: &[Shown]) -> RistrettoPoint {
        let mut points: Vec<_> = self.c_y.iter().copied().enumerate().collect();
        points[0].1 += m0;
        for (slot, shown) in slots(shown) {
            if let Shown::Revealed(point) = shown {
                points[slot].1 += point;
            }
        }
        key.excess(self.c_v, [self.c_x0, self.c_x1], &points)
    }

    /// What the proof is bound to besides its statement. Nothing in legacy mode, and nothing if no attribute is hidden.
    fn message(&self, mode: Mode, shown: &[Shown], encryption: Option<RistrettoPoint>) -> Vec<u8> {
        let (Mode::Standard, Some(encryption)) = (mode, encryption) else {
            return Vec::new();
        };
        let no_message_of_the_caller = [0; 4];
        let hidden = slots(shown).filter_map(|(slot, shown)| match shown {
            Shown::Hidden([_, e2]) => Some([self.c_y[slot + 1], *e2]),
            Shown::Revealed(_) => None,
        });
        let points: Vec<_> = [encryption].into_iter().chain(hidden.flatten()).collect();
        Writer::default()
            .bytes(&no_message_of_the_caller)
            .points(&points)
            .finish()
    }
}

impl Shown {
    const fn slots(&self) -> usize {
        match self {
            Self::Revealed(_) => 1,
            Self::Hidden(_) => 2,
        }
    }
}

/// Each attribute with its (first) slot.
fn slots(shown: &[Shown]) -> impl Iterator<Item = (usize, &Shown)> {
    shown.iter().scan(1, |next, shown| {
        let slot = *next;
        *next += shown.slots();
        Some((slot, shown))
    })
}

/// Whether the slot is the second of a hidden attribute: its `C_y` appears in the statement with the ciphertext taken off.
fn is_second(slot: usize, shown: &[Shown]) -> bool {
    slots(shown).any(|(first, shown)| matches!(shown, Shown::Hidden(_)) && slot == first + 1)
}
