//! "zkcredential": checking a credential as its bearer shows it.
//!
//! A revealed attribute fills one slot; a hidden one is a service id, encrypted, and fills two.

use std::sync::LazyLock;

use curve25519_dalek::ristretto::RistrettoPoint;

use super::credential::{Attributes, CredentialKey, Mode};
use super::encoding::{Reader, Writer};
use super::key::{G_Y, Key, SLOTS};
use super::poksho::{Points, Relation};
use super::sho::Sho;
use super::{Malformed, VerificationFailed};

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
        let message = self.message(key.mode(), shown, encryption);
        self.relation(key.of_arity(arity), public.public(), shown, encryption)
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
            match shown {
                Shown::Revealed(_) => self.revealed(&mut relation, key, slot),
                Shown::Hidden(ciphertext) => self.hidden(&mut relation, key, slot, ciphertext),
            }
        }
        self.revealed(&mut relation, key, 0);
        relation
    }

    /// That `C_y` hides what the verifier has added to it in [`Self::excess`].
    fn revealed(&self, relation: &mut Relation, key: &Key, slot: usize) {
        relation.equation(C_Y[slot], &[("z", G_Y[slot])]);
        relation.points([
            (C_Y[slot], self.c_y[slot]),
            (G_Y[slot], key.system().y[slot]),
        ]);
    }

    /// That both `C_y` hide what the ciphertext encrypts.
    fn hidden(
        &self,
        relation: &mut Relation,
        key: &Key,
        first: usize,
        [e1, e2]: &[RistrettoPoint; 2],
    ) {
        let (second, y) = (first + 1, key.system().y);
        relation.equation(E[first], &[("a1_K", C_Y[first]), ("z1_K", G_Y[first])]);
        relation.equation(
            C_Y_MINUS_E[second],
            &[("z", G_Y[second]), ("a2_K", MINUS_E[first])],
        );
        relation.points([
            (E[first], *e1),
            (MINUS_E[first], -e1),
            (C_Y[first], self.c_y[first]),
        ]);
        relation.points([(C_Y_MINUS_E[second], self.c_y[second] - e2)]);
        relation.points([(G_Y[first], y[first]), (G_Y[second], y[second])]);
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
