//! Stateful hash objects: absorb input, ratchet, squeeze output. Every constant and every draw of zkgroup comes from one.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

const ABSORB: u8 = 0;
const SQUEEZE: u8 = 1;
const SQUEEZED: u8 = 2;

/// The common object, over HMAC-SHA256.
///
/// Absorbing nothing is something: it creates a pending message, so the next ratchet changes the state.
#[derive(Clone)]
pub(crate) struct Sho {
    chain: Zeroizing<[u8; 32]>,
    pending: Option<Hmac<Sha256>>,
}

impl Sho {
    /// An object that has absorbed its label.
    pub(crate) fn new(label: &[u8]) -> Self {
        let mut sho = Self {
            chain: Zeroizing::new([0; 32]),
            pending: None,
        };
        sho.absorb(label).ratchet();
        sho
    }

    /// An object that has absorbed its label and then `data`, which may be empty (that is not the same as none).
    pub(crate) fn with(label: &[u8], data: &[u8]) -> Self {
        let mut sho = Self::new(label);
        sho.absorb(data).ratchet();
        sho
    }

    /// Appends to the pending message.
    pub(crate) fn absorb(&mut self, data: &[u8]) -> &mut Self {
        let chain = &self.chain;
        self.pending
            .get_or_insert_with(|| keyed(chain))
            .update(data);
        self
    }

    /// Folds the pending message into the state; does nothing if there is none.
    pub(crate) fn ratchet(&mut self) {
        if let Some(mac) = self.pending.take() {
            *self.chain = finish(mac, ABSORB);
        }
    }

    /// Fills `output` and ratchets. Nothing may be pending.
    fn squeeze_into(&mut self, output: &mut [u8]) {
        debug_assert!(self.pending.is_none(), "ratchet before squeezing");
        for (index, block) in (0_u64..).zip(output.chunks_mut(32)) {
            let mac = keyed(&self.chain).chain_update(index.to_be_bytes());
            block.copy_from_slice(&finish(mac, SQUEEZE)[..block.len()]);
        }
        let length = u64::try_from(output.len()).expect("usize is at most 64 bits wide");
        *self.chain = finish(
            keyed(&self.chain).chain_update(length.to_be_bytes()),
            SQUEEZED,
        );
    }

    /// Draws `N` bytes.
    pub(crate) fn squeeze<const N: usize>(&mut self) -> [u8; N] {
        let mut output = [0; N];
        self.squeeze_into(&mut output);
        output
    }

    #[cfg(test)]
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut output = vec![0; count];
        self.squeeze_into(&mut output);
        output
    }

    /// Draws `count` scalars out of one output of 64 bytes each.
    pub(crate) fn scalars(&mut self, count: usize) -> Zeroizing<Vec<Scalar>> {
        let mut output = Zeroizing::new(vec![[0; 64]; count]);
        self.squeeze_into(output.as_flattened_mut());
        Zeroizing::new(
            output
                .iter()
                .map(Scalar::from_bytes_mod_order_wide)
                .collect(),
        )
    }

    /// Draws 16-byte strings out of one output.
    pub(crate) fn halves(&mut self, count: usize) -> Vec<[u8; 16]> {
        let mut output = vec![[0; 16]; count];
        self.squeeze_into(output.as_flattened_mut());
        output
    }

    /// Draws a scalar (64 bytes, reduced).
    pub(crate) fn scalar(&mut self) -> Scalar {
        Scalar::from_bytes_mod_order_wide(&Zeroizing::new(self.squeeze()))
    }

    /// Draws a point (64 bytes, the sum of two Elligator maps).
    pub(crate) fn point(&mut self) -> RistrettoPoint {
        RistrettoPoint::from_uniform_bytes(&self.squeeze())
    }

    /// Draws a point out of 32 bytes, by one Elligator map.
    pub(crate) fn point_of_one_map(&mut self) -> RistrettoPoint {
        RistrettoPoint::map_to_curve(self.squeeze())
    }
}

fn keyed(chain: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(chain).expect("HMAC takes keys of any length")
}

fn finish(mac: Hmac<Sha256>, purpose: u8) -> [u8; 32] {
    mac.chain_update([purpose]).finalize().into_bytes().into()
}

/// The object over plain SHA-256. It serves for one set of constants only, so it absorbs a label and nothing else.
pub(crate) struct Sha256Sho {
    chain: [u8; 32],
}

impl Sha256Sho {
    pub(crate) fn new(label: &[u8]) -> Self {
        let inner = Sha256::new()
            .chain_update([0; 64])
            .chain_update([0; 32])
            .chain_update(label)
            .finalize();
        Self {
            chain: Sha256::digest(inner).into(),
        }
    }

    /// Draws a point (64 bytes, the sum of two Elligator maps).
    pub(crate) fn point(&mut self) -> RistrettoPoint {
        let blocks = [self.block(SQUEEZE, 0), self.block(SQUEEZE, 1)];
        self.chain = self.block(SQUEEZED, 64);
        let uniform = blocks
            .as_flattened()
            .try_into()
            .expect("two blocks of 32 bytes");
        RistrettoPoint::from_uniform_bytes(uniform)
    }

    fn block(&self, purpose: u8, number: u64) -> [u8; 32] {
        let hash = Sha256::new().chain_update([0; 63]).chain_update([purpose]);
        hash.chain_update(self.chain)
            .chain_update(number.to_be_bytes())
            .finalize()
            .into()
    }
}
