//! The fixed-width byte forms of zkgroup: no names, no padding, integers little-endian, points and scalars 32 bytes.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;

use super::Malformed;

/// Reads an object from its start. Every read that finds too few bytes, or the wrong ones, is refused as malformed.
///
/// Bytes after a complete object are left unread, as in the official reader; objects of one size are measured first.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// A reader for an object that has `size` bytes, no fewer and no more.
    pub(crate) fn exact(
        bytes: &'a [u8],
        size: usize,
        what: &'static str,
    ) -> Result<Self, Malformed> {
        if bytes.len() == size {
            Ok(Self::new(bytes, what))
        } else {
            Err(Malformed(what))
        }
    }

    pub(crate) const fn malformed(&self) -> Malformed {
        Malformed(self.what)
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(self.malformed())?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Reads a byte that can have one value only: reserved, or a version.
    pub(crate) fn tag(&mut self, expected: u8) -> Result<(), Malformed> {
        let [tag] = *self.bytes()?;
        if tag == expected {
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    pub(crate) fn integer(&mut self) -> Result<u64, Malformed> {
        self.bytes().copied().map(u64::from_le_bytes)
    }

    pub(crate) fn point(&mut self) -> Result<RistrettoPoint, Malformed> {
        CompressedRistretto(*self.bytes()?)
            .decompress()
            .ok_or(self.malformed())
    }

    pub(crate) fn points<const N: usize>(&mut self) -> Result<[RistrettoPoint; N], Malformed> {
        let mut points = [RistrettoPoint::default(); N];
        for point in &mut points {
            *point = self.point()?;
        }
        Ok(points)
    }

    pub(crate) fn scalar(&mut self) -> Result<Scalar, Malformed> {
        canonical_scalar(self.bytes()?).ok_or(self.malformed())
    }

    pub(crate) fn scalars<const N: usize>(&mut self) -> Result<[Scalar; N], Malformed> {
        let mut scalars = [Scalar::ZERO; N];
        for scalar in &mut scalars {
            *scalar = self.scalar()?;
        }
        Ok(scalars)
    }

    /// How many elements of `size` bytes follow: never more than there are bytes for.
    pub(crate) fn count(&mut self, size: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(self.integer()?).map_err(|_| self.malformed())?;
        if count <= self.rest.len() / size {
            Ok(count)
        } else {
            Err(self.malformed())
        }
    }

    /// Reads bytes after their number.
    pub(crate) fn counted_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.count(1)?;
        let (bytes, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(bytes)
    }
}

/// Writes an object.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    pub(crate) fn tag(mut self, tag: u8) -> Self {
        self.0.push(tag);
        self
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn integer(self, integer: u64) -> Self {
        self.bytes(&integer.to_le_bytes())
    }

    /// Writes how many elements follow, or bytes.
    pub(crate) fn count(self, count: usize) -> Self {
        self.integer(u64::try_from(count).expect("usize is at most 64 bits wide"))
    }

    pub(crate) fn points(mut self, points: &[RistrettoPoint]) -> Self {
        self.0
            .extend(points.iter().flat_map(|point| point.compress().to_bytes()));
        self
    }

    pub(crate) fn scalars(mut self, scalars: &[Scalar]) -> Self {
        self.0.extend(scalars.iter().flat_map(Scalar::to_bytes));
        self
    }

    /// Writes bytes after their number.
    pub(crate) fn counted_bytes(self, bytes: &[u8]) -> Self {
        self.count(bytes.len()).bytes(bytes)
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

pub(crate) fn canonical_scalar(bytes: &[u8; 32]) -> Option<Scalar> {
    Scalar::from_canonical_bytes(*bytes).into()
}
