//! Sockets of this node that wait until those that they displaced on other nodes have settled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use events::ids::DeviceAddress;
use events::{Aci, DeviceId};
use tokio::sync::oneshot;

/// By device: the socket that waits, and how it is told. There are never more than sockets of this node.
type Waiting = HashMap<(Aci, DeviceId), (u64, oneshot::Sender<()>)>;

/// Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Successions(Arc<Mutex<Waiting>>);

impl Successions {
    /// A socket begins to wait; whichever of its device waited before does no more.
    pub(crate) fn begin(&self, address: DeviceAddress, socket: u64) -> oneshot::Receiver<()> {
        let (told, settled) = oneshot::channel();
        self.waiting()
            .insert((address.aci, address.device), (socket, told));
        settled
    }

    /// Nobody has to wait for this device any more.
    pub(crate) fn end(&self, device: (Aci, DeviceId)) {
        self.waiting().remove(&device);
    }

    /// This socket does not have to wait any more.
    pub(crate) fn end_of(&self, address: DeviceAddress, socket: u64) {
        let device = (address.aci, address.device);
        let mut waiting = self.waiting();
        if waiting.get(&device).is_some_and(|(one, _)| *one == socket) {
            waiting.remove(&device);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0
            .lock()
            .expect("nothing panics while it holds the successions")
    }
}
