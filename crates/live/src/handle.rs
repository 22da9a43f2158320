//! The doors' side: calls that return at once.

use std::sync::Arc;

use bytes::Bytes;
use events::ids::DeviceAddress;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Ephemeral envelopes that wait to be taken to other nodes; more are dropped, as for devices that are not there.
const FORWARDS: usize = 256;

/// What a node wants the others to know.
#[derive(Debug)]
pub(crate) enum Call {
    /// The device's messages go to this socket of ours.
    Claim(DeviceAddress, u64),
    /// This socket of ours is gone.
    Release(DeviceAddress, u64),
    /// An envelope for a device that may be elsewhere. It waits with a permit that others then lack.
    Forward {
        address: DeviceAddress,
        envelope: Bytes,
        _permit: OwnedSemaphorePermit,
    },
}

/// Tells the other nodes what happens here. Cheap to clone. The queue is bounded by the sockets of this node and by
/// [`FORWARDS`].
#[derive(Clone, Debug)]
pub struct Handle {
    calls: UnboundedSender<Call>,
    forwards: Arc<Semaphore>,
}

impl Handle {
    pub(crate) fn new(calls: UnboundedSender<Call>) -> Self {
        Self {
            calls,
            forwards: Arc::new(Semaphore::new(FORWARDS)),
        }
    }

    /// Messages for the device go to this socket of this node from now on.
    pub fn claim(&self, address: DeviceAddress, socket: u64) {
        self.call(Call::Claim(address, socket));
    }

    /// The socket is gone.
    pub fn release(&self, address: DeviceAddress, socket: u64) {
        self.call(Call::Release(address, socket));
    }

    /// Takes an envelope to the node on which the device is connected, if it is on any.
    pub fn forward(&self, address: DeviceAddress, envelope: Bytes) {
        if let Ok(permit) = Arc::clone(&self.forwards).try_acquire_owned() {
            self.call(Call::Forward {
                address,
                envelope,
                _permit: permit,
            });
        }
    }

    fn call(&self, call: Call) {
        // An error means that the process ends.
        let _ = self.calls.send(call);
    }
}
