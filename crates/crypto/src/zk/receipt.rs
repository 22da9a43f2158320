//! Receipt credentials: "the bearer has paid", for donations, badges and paid backups.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::MultiscalarMul as _;
use rand_core::CryptoRng;

use super::encoding::{Reader, Writer};
use super::key::{Key, OLD};
use super::params::ServerSecretParams;
use super::poksho::{G, Points, Relation};
use super::sho::Sho;
use super::{Day, Malformed, VerificationFailed, fresh};
use crate::mac::MacKey;

/// A request for a receipt whose serial number the server does not see: 97 bytes. Nothing in it is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    y: RistrettoPoint,
    d1: RistrettoPoint,
    d2: RistrettoPoint,
}

impl Request {
    /// The size in bytes.
    pub const LEN: usize = 97;

    /// Reads `00 | Y | D1 | D2`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader =
            Reader::exact(bytes, Self::LEN, "a receipt credential request (97 bytes)")?;
        reader.tag(0)?;
        let [y, d1, d2] = reader.points()?;
        Ok(Self { y, d1, d2 })
    }
}

/// Issues a receipt: 409 bytes, `00 | expiration | level | t | U | S1 | S2 | length | proof`. What a level means is a
/// matter of configuration.
pub fn issue(
    params: &ServerSecretParams,
    request: &Request,
    expiration: Day,
    level: u64,
    rng: &mut impl CryptoRng,
) -> Vec<u8> {
    let label = b"Signal_ZKGroup_20210919_Random_ServerSecretParams_IssueReceiptCredential";
    let mut sho = Sho::with(label, fresh(rng).as_ref());
    let issuance = Issuance::draw(
        &mut sho,
        &params.receipt.key,
        request,
        expiration.seconds(),
        level,
    );
    let proof = issuance
        .relation(&params.receipt.key, request)
        .prove(b"", &sho.squeeze());

    let Issuance { t, u, s1, s2, .. } = issuance;
    let writer = Writer::default()
        .tag(0)
        .integer(expiration.seconds())
        .integer(level);
    writer
        .scalars(&[t])
        .points(&[u, s1, s2])
        .counted_bytes(&proof)
        .finish()
}

/// A receipt blinded for the requester, and all that the proof speaks of.
pub(super) struct Issuance {
    t: Scalar,
    u: RistrettoPoint,
    s1: RistrettoPoint,
    s2: RistrettoPoint,
    r_prime: Scalar,
    m1: RistrettoPoint,
}

impl Issuance {
    pub(super) fn draw(
        sho: &mut Sho,
        key: &Key,
        request: &Request,
        expiration: u64,
        level: u64,
    ) -> Self {
        let m1 = receipt_point(expiration, level);
        let (t, u) = (sho.scalar(), sho.point());
        let v = key.tag(t, u, &[(1, m1)]);
        let r_prime = sho.scalar();
        let y2 = key.scalars().y[2];
        let s1 = y2 * request.d1 + RistrettoPoint::mul_base(&r_prime);
        let s2 = v + RistrettoPoint::multiscalar_mul([y2, r_prime], [request.d2, request.y]);
        Self {
            t,
            u,
            s1,
            s2,
            r_prime,
            m1,
        }
    }

    pub(super) fn relation(&self, key: &Key, request: &Request) -> Relation {
        let mut relation = key.relation();
        relation.equation("S1", &[("y2", "D1"), ("rprime", G)]);
        let of_tag = [("w", "G_w"), ("x0", "U"), ("x1", "tU"), ("y1", "M1")];
        relation.equation(
            "S2",
            &[[("y2", "D2"), ("rprime", "Y")].as_slice(), &of_tag].concat(),
        );
        relation.points([
            ("S1", self.s1),
            ("S2", self.s2),
            ("D1", request.d1),
            ("D2", request.d2),
        ]);
        relation.points([
            ("Y", request.y),
            ("U", self.u),
            ("tU", self.t * self.u),
            ("M1", self.m1),
        ]);
        relation.secrets([("rprime", self.r_prime)]);
        relation
    }
}

/// A receipt as it is redeemed: 329 bytes.
///
/// Cryptography says nothing about time here: the caller refuses expired receipts and takes each serial once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    c_x0: RistrettoPoint,
    c_x1: RistrettoPoint,
    /// `C_y1` and `C_y2`.
    c_y: [RistrettoPoint; 2],
    c_v: RistrettoPoint,
    proof: Vec<u8>,
    receipt: Receipt,
}

/// What a verified receipt says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// In seconds since 1970.
    pub expiration: u64,
    /// What was paid for.
    pub level: u64,
    /// By which it is known that the receipt was redeemed.
    pub serial: [u8; 16],
}

impl Presentation {
    /// The size in bytes.
    pub const LEN: usize = 329;

    /// Reads `00 | C_x0 | C_x1 | C_y1 | C_y2 | C_V | length | proof | expiration | level | serial`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::exact(
            bytes,
            Self::LEN,
            "a receipt credential presentation (329 bytes)",
        )?;
        reader.tag(0)?;
        let [c_x0, c_x1] = reader.points()?;
        let (c_y, c_v) = (reader.points()?, reader.point()?);
        let proof = reader.counted_bytes()?.to_vec();
        let receipt = Receipt {
            expiration: reader.integer()?,
            level: reader.integer()?,
            serial: *reader.bytes()?,
        };
        Ok(Self {
            c_x0,
            c_x1,
            c_y,
            c_v,
            proof,
            receipt,
        })
    }

    /// Checks that the server issued this receipt.
    pub fn verify(&self, params: &ServerSecretParams) -> Result<Receipt, VerificationFailed> {
        self.relation(&params.receipt.key)
            .verify(&self.proof, b"", Points::Secret)?;
        Ok(self.receipt)
    }

    pub(super) fn relation(&self, key: &Key) -> Relation {
        let Receipt {
            expiration,
            level,
            serial,
        } = self.receipt;
        let m1 = receipt_point(expiration, level);
        let m2 = serial_scalar(&serial) * OLD.m[2];
        let z = key.excess(
            self.c_v,
            [self.c_x0, self.c_x1],
            &[(1, self.c_y[0] + m1), (2, self.c_y[1] + m2)],
        );
        let mut relation = Relation::default();
        relation.equation("Z", &[("z", "I")]);
        relation.equation("C_x1", &[("t", "C_x0"), ("n", "G_x0"), ("z", "G_x1")]);
        relation.equation("C_y1", &[("z", "G_y1")]);
        relation.equation("C_y2", &[("z", "G_y2")]);
        relation.points([
            ("Z", z),
            ("I", key.i()),
            ("C_x1", self.c_x1),
            ("C_x0", self.c_x0),
        ]);
        relation.points([
            ("G_x0", OLD.x0),
            ("G_x1", OLD.x1),
            ("C_y1", self.c_y[0]),
            ("G_y1", OLD.y[1]),
        ]);
        relation.points([("C_y2", self.c_y[1]), ("G_y2", OLD.y[2])]);
        relation
    }
}

fn receipt_point(expiration: u64, level: u64) -> RistrettoPoint {
    let data = [expiration.to_be_bytes(), level.to_be_bytes()];
    Sho::with(
        b"Signal_ZKGroup_20210919_Receipt_CalcM1",
        data.as_flattened(),
    )
    .scalar()
        * OLD.m[1]
}

/// A serial number is a scalar as it stands: 16 bytes, little-endian.
fn serial_scalar(serial: &[u8; 16]) -> Scalar {
    Scalar::from(u128::from_le_bytes(*serial))
}

/// Remembers which request a payment was turned into a receipt for, without keeping the request: asking again with the
/// same request gets the same tag, with another one another.
#[derive(Clone, Debug)]
pub struct IssuedReceiptTags(MacKey);

impl IssuedReceiptTags {
    /// Tags under `secret` (32 random bytes).
    pub fn new(secret: [u8; 32]) -> Self {
        Self(MacKey::new(secret))
    }

    pub(crate) const fn key(&self) -> &MacKey {
        &self.0
    }

    /// HMAC-SHA256 of `issuedReceiptTag` and the bytes of the request.
    pub fn tag(&self, request: &[u8]) -> [u8; 32] {
        self.0.tag(&[b"issuedReceiptTag", request])
    }
}
