//! Randomness that comes back: a request that is carried out again draws what it drew the first time.

use std::sync::{Arc, Mutex};

use events::ports::Entropy;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

tokio::task_local! {
    static DRAWN: Mutex<ChaCha20Rng>;
}

/// Runs a request whose draws from [`DoorEntropy`] all follow from `seed`, which nobody else knows.
pub(crate) async fn as_before<F: Future>(seed: [u8; 32], request: F) -> F::Output {
    DRAWN
        .scope(Mutex::new(ChaCha20Rng::from_seed(seed)), request)
        .await
}

/// A source of randomness for doors and executor: the one given, except within a request that has an `Idempotency-Key`.
pub struct DoorEntropy(Arc<dyn Entropy>);

impl DoorEntropy {
    /// On top of another source.
    pub fn new(source: Arc<dyn Entropy>) -> Self {
        Self(source)
    }
}

impl Entropy for DoorEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let drawn = DRAWN.try_with(|rng| {
            let mut rng = rng.lock().expect("drawing does not panic");
            rng.fill_bytes(bytes);
        });
        if drawn.is_err() {
            self.0.fill(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::environment::SeededEntropy;

    #[tokio::test]
    async fn a_seed_draws_the_same_and_only_within_its_request() {
        let entropy: &dyn Entropy = &DoorEntropy::new(Arc::new(SeededEntropy::default()));
        let draw = async || -> [[u8; 16]; 2] { [entropy.bytes(), entropy.bytes()] };
        let first = as_before([1; 32], draw()).await;
        assert_ne!(first[0], first[1]);
        let outside = draw().await;
        assert_eq!(as_before([1; 32], draw()).await, first);
        assert_ne!(as_before([2; 32], draw()).await, first);
        assert_ne!(draw().await, outside);
    }
}
