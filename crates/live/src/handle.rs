//! The doors' side: calls that return at once.

use std::sync::Arc;

use bytes::Bytes;
use events::ids::DeviceAddress;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::successions::Successions;

/// Ephemeral envelopes that wait to be taken to other nodes; more are dropped, as for devices that are not there.
const FORWARDS: usize = 256;

/// What a node wants the others to know.
#[derive(Debug)]
pub(crate) enum Call {
    /// The device's messages go to this socket of ours.
    Claim(DeviceAddress, u64),
    /// This socket of ours is gone.
    Release(DeviceAddress, u64),
    /// The socket of ours that the device had before it connected elsewhere has settled.
    Settled(DeviceAddress),
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
    successions: Successions,
}

impl Handle {
    pub(crate) fn new(calls: UnboundedSender<Call>, successions: Successions) -> Self {
        Self {
            calls,
            successions,
            forwards: Arc::new(Semaphore::new(FORWARDS)),
        }
    }

    /// Messages for the device go to this socket of this node from now on. The receiver ends, one way or the other, when
    /// no socket that the device had on another node has anything left to store, as far as that node is alive.
    pub fn claim(&self, address: DeviceAddress, socket: u64) -> oneshot::Receiver<()> {
        let settled = self.successions.begin(address, socket);
        self.call(Call::Claim(address, socket));
        settled
    }

    /// The socket is gone.
    pub fn release(&self, address: DeviceAddress, socket: u64) {
        self.successions.end_of(address, socket);
        self.call(Call::Release(address, socket));
    }

    /// The socket that the device had on this node, before it connected to another, has nothing left to store.
    pub fn settled(&self, address: DeviceAddress) {
        self.call(Call::Settled(address));
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
