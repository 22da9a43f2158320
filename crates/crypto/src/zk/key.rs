//! Keys of the algebraic MAC that every credential is: over points in numbered slots, each with a scalar of the key.
//!
//! There are two systems of constants. The old one numbers its slots from 1; the newer one ("zkcredential") from 0, and
//! its slot 0 holds a credential's public attributes.

use std::ops::Range;
use std::sync::LazyLock;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::MultiscalarMul as _;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Malformed;
use super::encoding::{Reader, Writer};
use super::poksho::{Named, Relation};
use super::sho::{Sha256Sho, Sho};

/// One more than the highest slot of either system.
pub(crate) const SLOTS: usize = 7;

/// The names of what is numbered by slot.
pub(crate) const Y: [&str; SLOTS] = ["y0", "y1", "y2", "y3", "y4", "y5", "y6"];
pub(crate) const G_Y: [&str; SLOTS] = ["G_y0", "G_y1", "G_y2", "G_y3", "G_y4", "G_y5", "G_y6"];

/// Generators whose discrete logarithms nobody knows.
pub(crate) struct System {
    pub(crate) w: RistrettoPoint,
    pub(crate) w_prime: RistrettoPoint,
    pub(crate) x0: RistrettoPoint,
    pub(crate) x1: RistrettoPoint,
    pub(crate) v: RistrettoPoint,
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "only bearers of credentials compute with it")
    )]
    pub(crate) z: RistrettoPoint,
    /// By slot.
    pub(crate) y: [RistrettoPoint; SLOTS],
    /// By slot: for attributes that are scalars. Old system only.
    pub(crate) m: [RistrettoPoint; 6],
}

/// The system of profile key and receipt credentials. There is no slot 0.
pub(crate) static OLD: LazyLock<System> = LazyLock::new(|| {
    let mut sho = Sho::with(
        b"Signal_ZKGroup_20200424_Constant_Credentials_SystemParams_Generate",
        b"",
    );
    let none = RistrettoPoint::default();
    let [w, w_prime, x0, x1] = std::array::from_fn(|_| sho.point());
    let [y1, y2, y3, y4] = std::array::from_fn(|_| sho.point());
    let [m1, m2, m3, m4] = std::array::from_fn(|_| sho.point());
    let [v, z, y5, y6, m5] = std::array::from_fn(|_| sho.point());
    System {
        w,
        w_prime,
        x0,
        x1,
        v,
        z,
        y: [none, y1, y2, y3, y4, y5, y6],
        m: [none, m1, m2, m3, m4, m5],
    }
});

/// The system of all newer credentials.
pub(crate) static ZKCREDENTIAL: LazyLock<System> = LazyLock::new(|| {
    let mut sho = Sha256Sho::new(b"Signal_ZKCredential_ConstantSystemParams_generate_20230410");
    let [w, w_prime, x0, x1, v, z] = std::array::from_fn(|_| sho.point());
    let y = std::array::from_fn(|_| sho.point());
    System {
        w,
        w_prime,
        x0,
        x1,
        v,
        z,
        y,
        m: [RistrettoPoint::default(); 6],
    }
});

/// The scalars of a key, those of slots that it has not are zero.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Scalars {
    pub(crate) w: Scalar,
    pub(crate) w_prime: Scalar,
    pub(crate) x0: Scalar,
    pub(crate) x1: Scalar,
    pub(crate) y: [Scalar; SLOTS],
}

impl Scalars {
    /// Draws a key for `slots`.
    pub(crate) fn draw(sho: &mut Sho, slots: Range<usize>) -> Self {
        let [w, w_prime, x0, x1] = std::array::from_fn(|_| sho.scalar());
        let y = std::array::from_fn(|slot| {
            if slots.contains(&slot) {
                sho.scalar()
            } else {
                Scalar::ZERO
            }
        });
        Self {
            w,
            w_prime,
            x0,
            x1,
            y,
        }
    }

    /// Reads w, w', a point that follows from w, x0, x1, and the scalars of `slots`.
    pub(crate) fn read(reader: &mut Reader<'_>, slots: Range<usize>) -> Result<Self, Malformed> {
        let [w, w_prime] = reader.scalars()?;
        reader.point()?;
        let [x0, x1] = reader.scalars()?;
        let mut y = [Scalar::ZERO; SLOTS];
        for slot in slots {
            y[slot] = reader.scalar()?;
        }
        Ok(Self {
            w,
            w_prime,
            x0,
            x1,
            y,
        })
    }

    pub(crate) fn write(&self, writer: Writer, system: &System, slots: Range<usize>) -> Writer {
        let writer = writer
            .scalars(&[self.w, self.w_prime])
            .points(&[self.w * system.w]);
        writer.scalars(&[self.x0, self.x1]).scalars(&self.y[slots])
    }
}

/// A key together with the slots that one kind of credential fills.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Key {
    #[zeroize(skip)]
    system: &'static System,
    scalars: Scalars,
    #[zeroize(skip)]
    slots: Range<usize>,
    /// `W = w·G_w`. Secret.
    w: RistrettoPoint,
    /// `C_W = W + w'·G_w'`. Public.
    c_w: RistrettoPoint,
    /// `I = G_V − x0·G_x0 − x1·G_x1 − Σ y·G_y` over the slots. Public.
    i: RistrettoPoint,
}

impl Key {
    pub(crate) fn new(system: &'static System, scalars: Scalars, slots: Range<usize>) -> Self {
        let w = scalars.w * system.w;
        let c_w = w + scalars.w_prime * system.w_prime;
        let in_slots = scalars.y[slots.clone()]
            .iter()
            .chain([&scalars.x0, &scalars.x1]);
        let generators = system.y[slots.clone()]
            .iter()
            .chain([&system.x0, &system.x1]);
        let i = system.v - RistrettoPoint::multiscalar_mul(in_slots, generators);
        Self {
            system,
            scalars,
            slots,
            w,
            c_w,
            i,
        }
    }

    pub(crate) fn system(&self) -> &'static System {
        self.system
    }

    pub(crate) fn scalars(&self) -> &Scalars {
        &self.scalars
    }

    pub(crate) fn c_w(&self) -> RistrettoPoint {
        self.c_w
    }

    pub(crate) fn i(&self) -> RistrettoPoint {
        self.i
    }

    /// `V = W + (x0 + x1·t)·U + Σ y·M` over points by their slots. Constant time.
    pub(crate) fn tag(
        &self,
        t: Scalar,
        u: RistrettoPoint,
        points: &[(usize, RistrettoPoint)],
    ) -> RistrettoPoint {
        let scalars = points.iter().map(|(slot, _)| self.scalars.y[*slot]);
        let scalars = scalars.chain([self.scalars.x0 + self.scalars.x1 * t]);
        self.w
            + RistrettoPoint::multiscalar_mul(
                scalars,
                points.iter().map(|(_, point)| *point).chain([u]),
            )
    }

    /// What an honest prover's `C_V` is too large by: `Z = C_V − W − x0·C_x0 − x1·C_x1 − Σ y·M`. Constant time.
    pub(crate) fn excess(
        &self,
        c_v: RistrettoPoint,
        [c_x0, c_x1]: [RistrettoPoint; 2],
        points: &[(usize, RistrettoPoint)],
    ) -> RistrettoPoint {
        let scalars = points
            .iter()
            .map(|(slot, _)| self.scalars.y[*slot])
            .chain([self.scalars.x0, self.scalars.x1]);
        let points = points.iter().map(|(_, point)| *point).chain([c_x0, c_x1]);
        c_v - self.w - RistrettoPoint::multiscalar_mul(scalars, points)
    }

    /// The equations with which every proof of issuance begins: that the key is the one whose public half is known.
    pub(crate) fn relation(&self) -> Relation {
        let mut relation = Relation::default();
        relation.equation("C_W", &[("w", "G_w"), ("wprime", "G_wprime")]);
        let slots = self.slots.clone().map(|slot| (Y[slot], G_Y[slot]));
        let terms: Vec<_> = [("x0", "G_x0"), ("x1", "G_x1")]
            .into_iter()
            .chain(slots)
            .collect();
        relation.equation("G_V-I", &terms);
        relation.points(self.generators());
        relation.secrets(self.secrets());
        relation
    }

    fn generators(&self) -> impl Iterator<Item = Named<RistrettoPoint>> {
        let System {
            w,
            w_prime,
            x0,
            x1,
            v,
            ..
        } = *self.system;
        let fixed = [
            ("C_W", self.c_w),
            ("G_w", w),
            ("G_wprime", w_prime),
            ("G_V-I", v - self.i),
        ];
        let slots = self
            .slots
            .clone()
            .map(|slot| (G_Y[slot], self.system.y[slot]));
        fixed
            .into_iter()
            .chain([("G_x0", x0), ("G_x1", x1)])
            .chain(slots)
    }

    fn secrets(&self) -> impl Iterator<Item = Named<Scalar>> {
        let Scalars {
            w, w_prime, x0, x1, ..
        } = self.scalars;
        let fixed = [("w", w), ("wprime", w_prime), ("x0", x0), ("x1", x1)];
        fixed.into_iter().chain(
            self.slots
                .clone()
                .map(|slot| (Y[slot], self.scalars.y[slot])),
        )
    }
}
