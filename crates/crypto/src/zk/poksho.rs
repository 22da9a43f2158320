//! Schnorr proofs of linear relations between points, made non-interactive with a [`Sho`].
//!
//! A statement is a list of equations `P = s1·P1 + s2·P2 + …`. The prover knows the scalars, everybody knows the points.
//! Names are numbered in the order in which they first appear, the left point of an equation before its terms and the
//! scalar of a term before its point; point 0 is the base point `G`.

use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT;
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{MultiscalarMul as _, VartimeMultiscalarMul as _};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::VerificationFailed;
use super::encoding::canonical_scalar;
use super::sho::Sho;

const LABEL: &[u8] = b"POKSHO_Ristretto_SHOHMACSHA256";
/// The base point, which every statement may name.
pub(crate) const G: &str = "G";

/// A value by the name that it has in a statement.
pub(crate) type Named<T> = (&'static str, T);

/// A statement with its points and, on the prover's side, its witness: everything by name.
#[derive(Default)]
pub(crate) struct Relation {
    statement: Statement,
    points: Vec<Named<RistrettoPoint>>,
    witness: Witness,
}

/// Wiped when dropped.
#[derive(Default)]
struct Witness(Vec<Named<Scalar>>);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|(_, scalar)| scalar.zeroize());
    }
}

/// Whether all points are known to everybody, or some follow from a verifier's secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Points {
    /// Arithmetic may take variable time.
    Public,
    /// Arithmetic takes constant time.
    Secret,
}

impl Relation {
    /// Adds an equation after those already there: the left point, and scalar and point of each term on the right.
    pub(crate) fn equation(
        &mut self,
        left: &'static str,
        terms: &[(&'static str, &'static str)],
    ) -> &mut Self {
        self.statement.push(left, terms);
        self
    }

    /// Gives values to names of points.
    pub(crate) fn points(
        &mut self,
        points: impl IntoIterator<Item = Named<RistrettoPoint>>,
    ) -> &mut Self {
        self.points.extend(points);
        self
    }

    /// Gives values to names of scalars.
    pub(crate) fn secrets(
        &mut self,
        secrets: impl IntoIterator<Item = Named<Scalar>>,
    ) -> &mut Self {
        self.witness.0.extend(secrets);
        self
    }

    /// Proves the statement: 32 bytes for the challenge and 32 for each scalar.
    ///
    /// `randomness` must be fresh. The proof is checked before it is given away: a faulty one tells the witness.
    pub(crate) fn prove(&self, message: &[u8], randomness: &[u8; 32]) -> Vec<u8> {
        let witness = Zeroizing::new(in_order(&self.statement.scalars, &self.witness.0));
        self.statement
            .prove(&witness, &self.ordered_points(), message, randomness)
    }

    /// Checks a proof. One of another length is refused, and so are scalars that are not canonical.
    pub(crate) fn verify(
        &self,
        proof: &[u8],
        message: &[u8],
        secrecy: Points,
    ) -> Result<(), VerificationFailed> {
        let points = self.ordered_points();
        self.statement.check(
            proof,
            &points,
            self.statement.transcript(&points),
            message,
            secrecy,
        )
    }

    fn ordered_points(&self) -> Vec<RistrettoPoint> {
        let named = in_order(&self.statement.points[1..], &self.points);
        [RISTRETTO_BASEPOINT_POINT]
            .into_iter()
            .chain(named)
            .collect()
    }

    #[cfg(test)]
    pub(crate) fn description(&self) -> Vec<u8> {
        self.statement.description()
    }
}

/// The values in the order of the names. A value that is missing or too many is a bug in this crate.
fn in_order<T: Copy>(names: &[&'static str], values: &[Named<T>]) -> Vec<T> {
    debug_assert_eq!(names.len(), values.len(), "each name has one value");
    let value = |name: &&'static str| {
        values
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| *value)
    };
    names
        .iter()
        .map(|name| value(name).expect("each name has a value"))
        .collect()
}

/// What is proved, by numbers.
struct Statement {
    equations: Vec<Equation>,
    scalars: Vec<&'static str>,
    points: Vec<&'static str>,
}

struct Equation {
    left: usize,
    /// Number of the scalar, number of the point.
    terms: Vec<(usize, usize)>,
}

impl Default for Statement {
    fn default() -> Self {
        Self {
            equations: Vec::new(),
            scalars: Vec::new(),
            points: vec![G],
        }
    }
}

impl Statement {
    fn push(&mut self, left: &'static str, terms: &[(&'static str, &'static str)]) {
        let left = number(&mut self.points, left);
        let terms = terms
            .iter()
            .map(|(scalar, point)| {
                (
                    number(&mut self.scalars, scalar),
                    number(&mut self.points, point),
                )
            })
            .collect();
        self.equations.push(Equation { left, terms });
    }

    fn prove(
        &self,
        witness: &[Scalar],
        points: &[RistrettoPoint],
        message: &[u8],
        randomness: &[u8; 32],
    ) -> Vec<u8> {
        let transcript = self.transcript(points);
        let nonces = nonces(&transcript, witness, message, randomness);
        let commitments = self.equations.iter().map(|equation| {
            let terms = equation.terms.iter();
            RistrettoPoint::multiscalar_mul(
                terms.clone().map(|t| nonces[t.0]),
                terms.map(|t| points[t.1]),
            )
        });
        let challenge = challenge(transcript.clone(), commitments, message);
        let responses = nonces
            .iter()
            .zip(witness)
            .map(|(nonce, secret)| nonce + challenge * secret);
        let proof: Vec<_> = [challenge]
            .into_iter()
            .chain(responses)
            .flat_map(|scalar| scalar.to_bytes())
            .collect();

        let own_check = self.check(&proof, points, transcript, message, Points::Public);
        own_check.expect("the witness satisfies the statement, and the machine computes correctly");
        proof
    }

    fn check(
        &self,
        proof: &[u8],
        points: &[RistrettoPoint],
        transcript: Sho,
        message: &[u8],
        secrecy: Points,
    ) -> Result<(), VerificationFailed> {
        let (claimed, responses) = parse(proof, self.scalars.len()).ok_or(VerificationFailed)?;
        let commitments = self.equations.iter().map(|equation| {
            let terms = equation.terms.iter();
            let scalars = terms.clone().map(|t| responses[t.0]).chain([-claimed]);
            let points = terms.map(|t| points[t.1]).chain([points[equation.left]]);
            match secrecy {
                Points::Public => RistrettoPoint::vartime_multiscalar_mul(scalars, points),
                Points::Secret => RistrettoPoint::multiscalar_mul(scalars, points),
            }
        });
        let expected = challenge(transcript, commitments, message);
        if bool::from(expected.ct_eq(&claimed)) {
            Ok(())
        } else {
            Err(VerificationFailed)
        }
    }

    /// The state that has absorbed the statement and all of its points.
    fn transcript(&self, points: &[RistrettoPoint]) -> Sho {
        let mut sho = Sho::new(LABEL);
        sho.absorb(&self.description());
        for point in points {
            sho.absorb(point.compress().as_bytes());
        }
        sho.ratchet();
        sho
    }

    /// The statement as bytes: the number of equations; of each the left point, the number of terms, and their scalars
    /// and points.
    fn description(&self) -> Vec<u8> {
        let byte = |number: usize| {
            u8::try_from(number).expect("a statement has fewer than 256 of anything")
        };
        let mut bytes = vec![byte(self.equations.len())];
        for equation in &self.equations {
            bytes.extend([byte(equation.left), byte(equation.terms.len())]);
            bytes.extend(
                equation
                    .terms
                    .iter()
                    .flat_map(|&(scalar, point)| [byte(scalar), byte(point)]),
            );
        }
        bytes
    }
}

fn number(names: &mut Vec<&'static str>, name: &'static str) -> usize {
    names
        .iter()
        .position(|known| *known == name)
        .unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        })
}

fn nonces(
    transcript: &Sho,
    witness: &[Scalar],
    message: &[u8],
    randomness: &[u8; 32],
) -> Zeroizing<Vec<Scalar>> {
    let mut sho = transcript.clone();
    sho.absorb(randomness);
    for secret in witness {
        sho.absorb(secret.as_bytes());
    }
    sho.ratchet();
    sho.absorb(message).ratchet();
    sho.scalars(witness.len())
}

fn challenge(
    mut transcript: Sho,
    commitments: impl Iterator<Item = RistrettoPoint>,
    message: &[u8],
) -> Scalar {
    for commitment in commitments {
        transcript.absorb(commitment.compress().as_bytes());
    }
    transcript.absorb(message).ratchet();
    transcript.scalar()
}

fn parse(proof: &[u8], expected: usize) -> Option<(Scalar, Vec<Scalar>)> {
    let (scalars, rest) = proof.as_chunks::<32>();
    let (challenge, responses) = scalars.split_first()?;
    if !rest.is_empty() || responses.len() != expected {
        return None;
    }
    Some((
        canonical_scalar(challenge)?,
        responses
            .iter()
            .map(canonical_scalar)
            .collect::<Option<_>>()?,
    ))
}
