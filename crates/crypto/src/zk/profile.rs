//! Expiring profile key credentials: "this is the profile key that its owner committed to", for seven days.

use std::sync::LazyLock;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::MultiscalarMul as _;
use events::{Aci, ServiceId, Timestamp};
use rand_core::CryptoRng;

use super::encoding::{Reader, Writer};
use super::key::{Key, OLD};
use super::params::ServerSecretParams;
use super::poksho::{G, Points, Relation};
use super::sho::Sho;
use super::{Day, Malformed, VerificationFailed, fresh, uid};

pub(super) static COMMITMENT: LazyLock<[RistrettoPoint; 3]> = LazyLock::new(|| {
    let mut sho = Sho::with(
        b"Signal_ZKGroup_20200424_Constant_ProfileKeyCommitment_SystemParams_Generate",
        b"",
    );
    std::array::from_fn(|_| sho.point())
});

/// What the owner of a profile key published about it: 97 bytes. The server keeps it as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitment {
    j1: RistrettoPoint,
    j2: RistrettoPoint,
    j3: RistrettoPoint,
}

impl Commitment {
    /// The size in bytes.
    pub const LEN: usize = 97;

    /// Reads `00 | J1 | J2 | J3`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::exact(bytes, Self::LEN, "a profile key commitment (97 bytes)")?;
        reader.tag(0)?;
        let [j1, j2, j3] = reader.points()?;
        Ok(Self { j1, j2, j3 })
    }

    /// The commitment to a profile key (32 bytes) of an account. Clients make it; here it serves tests and the load
    /// generator.
    pub fn of(profile_key: &[u8; 32], owner: Aci) -> Self {
        let Opening { m3, m4, j3 } = Opening::of(profile_key, owner);
        let [g1, g2, g3] = *COMMITMENT;
        Self {
            j1: j3 * g1 + m3,
            j2: j3 * g2 + m4,
            j3: j3 * g3,
        }
    }

    /// The byte form.
    pub fn to_bytes(self) -> Vec<u8> {
        Writer::default()
            .tag(0)
            .points(&[self.j1, self.j2, self.j3])
            .finish()
    }
}

/// What a commitment hides.
struct Opening {
    m3: RistrettoPoint,
    m4: RistrettoPoint,
    j3: Scalar,
}

impl Opening {
    fn of(profile_key: &[u8; 32], owner: Aci) -> Self {
        let both = key_and_owner(profile_key, owner);
        let sho = |label| Sho::with(label, &both);
        let mut masked = *profile_key;
        masked[0] &= 0xfe;
        masked[31] &= 0x3f;
        Self {
            m3: sho(b"Signal_ZKGroup_20200424_ProfileKeyAndUid_ProfileKey_CalcM3".as_slice())
                .point_of_one_map(),
            m4: RistrettoPoint::map_to_curve(masked),
            j3: sho(b"Signal_ZKGroup_20200424_ProfileKeyAndUid_ProfileKeyCommitment_Calcj3")
                .scalar(),
        }
    }
}

/// The name of a profile version: lower-case hex of 32 bytes that follow from profile key and account. Clients compute
/// it, the server takes it as it comes; here it serves tests and the load generator.
pub fn version(profile_key: &[u8; 32], owner: Aci) -> String {
    let both = key_and_owner(profile_key, owner);
    let mut sho = Sho::with(
        b"Signal_ZKGroup_20200424_ProfileKeyAndUid_ProfileKey_GetProfileKeyVersion",
        &both,
    );
    hex::encode(sho.squeeze::<32>())
}

fn key_and_owner(profile_key: &[u8; 32], owner: Aci) -> [u8; 48] {
    std::array::from_fn(|i| {
        if i < 32 {
            profile_key[i]
        } else {
            owner.as_bytes()[i - 32]
        }
    })
}

/// A request for a credential: 329 bytes. It holds the profile key encrypted for the requester, and a proof that it is
/// the committed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    y: RistrettoPoint,
    d: [RistrettoPoint; 2],
    e: [RistrettoPoint; 2],
    proof: Vec<u8>,
}

impl Request {
    /// The size in bytes.
    pub const LEN: usize = 329;

    /// Reads `00 | Y | D1 | D2 | E1 | E2 | length | proof`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::exact(
            bytes,
            Self::LEN,
            "a profile key credential request (329 bytes)",
        )?;
        reader.tag(0)?;
        let y = reader.point()?;
        Ok(Self {
            y,
            d: reader.points()?,
            e: reader.points()?,
            proof: reader.counted_bytes()?.to_vec(),
        })
    }

    /// A request of somebody who knows the profile key (32 bytes) of an account. Clients make it; here it serves tests
    /// and the load generator.
    pub fn of(profile_key: &[u8; 32], owner: Aci, rng: &mut impl CryptoRng) -> Self {
        let Opening { m3, m4, j3 } = Opening::of(profile_key, owner);
        let mut sho = Sho::with(
            b"Heliograph_ProfileKeyCredentialRequest",
            fresh(rng).as_ref(),
        );
        let [y, r1, r2] = [sho.scalar(), sho.scalar(), sho.scalar()];
        let base = |scalar| RistrettoPoint::mul_base(scalar);
        let mut request = Self {
            y: base(&y),
            d: [base(&r1), base(&(r1 * y)) + m3],
            e: [base(&r2), base(&(r2 * y)) + m4],
            proof: Vec::new(),
        };
        let mut relation = request.relation(&Commitment::of(profile_key, owner));
        relation.secrets([("y", y), ("r1", r1), ("r2", r2), ("j3", j3)]);
        request.proof = relation.prove(b"", &sho.squeeze());
        request
    }

    /// The byte form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let points = [self.y, self.d[0], self.d[1], self.e[0], self.e[1]];
        let writer = Writer::default().tag(0).points(&points);
        writer.counted_bytes(&self.proof).finish()
    }

    /// Checks that the encrypted profile key is the one of `commitment`.
    pub fn verify(&self, commitment: &Commitment) -> Result<(), VerificationFailed> {
        self.relation(commitment)
            .verify(&self.proof, b"", Points::Public)
    }

    pub(super) fn relation(&self, commitment: &Commitment) -> Relation {
        let ([d1, d2], [e1, e2], [g1, g2, g3]) = (self.d, self.e, *COMMITMENT);
        let mut relation = Relation::default();
        relation.equation("Y", &[("y", G)]);
        relation.equation("D1", &[("r1", G)]);
        relation.equation("E1", &[("r2", G)]);
        relation.equation("J3", &[("j3", "G_j3")]);
        relation.equation("D2-J1", &[("r1", "Y"), ("j3", "-G_j1")]);
        relation.equation("E2-J2", &[("r2", "Y"), ("j3", "-G_j2")]);
        relation.points([
            ("Y", self.y),
            ("D1", d1),
            ("E1", e1),
            ("J3", commitment.j3),
            ("G_j3", g3),
        ]);
        relation.points([
            ("D2-J1", d2 - commitment.j1),
            ("-G_j1", -g1),
            ("E2-J2", e2 - commitment.j2),
            ("-G_j2", -g2),
        ]);
        relation
    }
}

/// When a credential issued at `now` expires: seven days on, at the start of the day. Clients refuse more, and less than
/// one whole day.
pub fn expiration(now: Timestamp) -> Day {
    Day::of(now).plus(7)
}

/// Issues a credential: 497 bytes, `00 | t | U | S1 | S2 | expiration | length | proof`.
///
/// # Errors
/// The request's profile key is not the committed one.
pub fn issue(
    params: &ServerSecretParams,
    request: &Request,
    owner: Aci,
    commitment: &Commitment,
    expiration: Day,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, VerificationFailed> {
    request.verify(commitment)?;
    let label =
        b"Signal_ZKGroup_20220508_Random_ServerSecretParams_IssueExpiringProfileKeyCredential";
    let mut sho = Sho::with(label, fresh(rng).as_ref());
    let blinded = Issuance::draw(
        &mut sho,
        &params.expiring_profile_key.key,
        request,
        owner,
        expiration,
    );
    let proof = blinded
        .relation(&params.expiring_profile_key.key, request)
        .prove(b"", &sho.squeeze());

    let Issuance { t, u, s1, s2, .. } = blinded;
    let writer = Writer::default().tag(0).scalars(&[t]).points(&[u, s1, s2]);
    Ok(writer
        .integer(expiration.seconds())
        .counted_bytes(&proof)
        .finish())
}

/// A credential blinded for the requester, and all that the proof speaks of.
pub(super) struct Issuance {
    t: Scalar,
    u: RistrettoPoint,
    s1: RistrettoPoint,
    s2: RistrettoPoint,
    r_prime: Scalar,
    m1: RistrettoPoint,
    m2: RistrettoPoint,
    m5: RistrettoPoint,
}

impl Issuance {
    pub(super) fn draw(
        sho: &mut Sho,
        key: &Key,
        request: &Request,
        owner: Aci,
        expiration: Day,
    ) -> Self {
        let owner = ServiceId::from(owner);
        let (m1, m2, m5) = (
            uid::m1(owner),
            uid::m2(owner),
            expiration_scalar(expiration) * OLD.m[5],
        );
        let (t, u) = (sho.scalar(), sho.point());
        let v = key.tag(t, u, &[(1, m1), (2, m2), (5, m5)]);
        let r_prime = sho.scalar();
        let [y3, y4] = [key.scalars().y[3], key.scalars().y[4]];
        let s1 = RistrettoPoint::mul_base(&r_prime)
            + RistrettoPoint::multiscalar_mul([y3, y4], [request.d[0], request.e[0]]);
        let blinding = [request.y, request.d[1], request.e[1]];
        let s2 = v + RistrettoPoint::multiscalar_mul([r_prime, y3, y4], blinding);
        Self {
            t,
            u,
            s1,
            s2,
            r_prime,
            m1,
            m2,
            m5,
        }
    }

    pub(super) fn relation(&self, key: &Key, request: &Request) -> Relation {
        let ([d1, d2], [e1, e2]) = (request.d, request.e);
        let mut relation = key.relation();
        relation.equation("S1", &[("y3", "D1"), ("y4", "E1"), ("rprime", G)]);
        let of_tag = [
            ("w", "G_w"),
            ("x0", "U"),
            ("x1", "tU"),
            ("y1", "M1"),
            ("y2", "M2"),
            ("y5", "M5"),
        ];
        relation.equation(
            "S2",
            &[
                [("y3", "D2"), ("y4", "E2"), ("rprime", "Y")].as_slice(),
                &of_tag,
            ]
            .concat(),
        );
        relation.points([
            ("S1", self.s1),
            ("S2", self.s2),
            ("D1", d1),
            ("D2", d2),
            ("E1", e1),
            ("E2", e2),
        ]);
        relation.points([("Y", request.y), ("U", self.u), ("tU", self.t * self.u)]);
        relation.points([("M1", self.m1), ("M2", self.m2), ("M5", self.m5)]);
        relation.secrets([("rprime", self.r_prime)]);
        relation
    }
}

fn expiration_scalar(expiration: Day) -> Scalar {
    Sho::with(
        b"Signal_ZKGroup_20220524_Timestamp_Calc_m",
        &expiration.seconds().to_be_bytes(),
    )
    .scalar()
}
