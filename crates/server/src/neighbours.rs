//! The doors' neighbours are the other nodes on the same Postgres.

use std::sync::Arc;

use api::ports::Neighbours;
use api::ws::hub::Hub;
use bytes::Bytes;
use events::ids::DeviceAddress;
use events::ports::Entropy;
use live::{Handle, Incoming, Node, Options, Timing};
use sqlx::PgPool;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OnceCell, oneshot};
use uuid::Uuid;

use crate::lifecycle::Lifecycle;

struct OtherNodes {
    handle: Handle,
    /// Who notes devices that leave, if they are woken at all.
    leaving: Option<UnboundedSender<DeviceAddress>>,
}

impl Neighbours for OtherNodes {
    fn claim(&self, address: DeviceAddress, socket: u64) -> oneshot::Receiver<()> {
        self.handle.claim(address, socket)
    }

    fn settled(&self, address: DeviceAddress) {
        self.handle.settled(address);
    }

    fn release(&self, address: DeviceAddress, socket: u64) {
        self.handle.release(address, socket);
        if let Some(leaving) = &self.leaving {
            // An error means that the process ends.
            let _ = leaving.send(address);
        }
    }

    fn forward(&self, address: DeviceAddress, envelope: Bytes) {
        self.handle.forward(address, envelope);
    }
}

/// Makes this process a node among others: an empty hub that tells them of its sockets and hears of theirs.
pub(crate) fn start(
    database: &PgPool,
    entropy: &dyn Entropy,
    leaving: Option<UnboundedSender<DeviceAddress>>,
    lifecycle: &Lifecycle,
) -> Hub {
    let hub = Arc::new(OnceCell::<Hub>::new());
    let receiver = Arc::clone(&hub);
    let orphaned = leaving.clone();
    let (node, handle) = Node::new(Options {
        database: database.clone(),
        node: Uuid::from_bytes(entropy.bytes()),
        timing: Timing::default(),
        deliver: Arc::new(move |incoming| {
            let Some(hub) = receiver.get() else { return };
            match incoming {
                Incoming::Displaced { by, socket } => hub.displace(by, socket),
                Incoming::Ephemeral { address, envelope } => {
                    hub.deliver_here(address, envelope);
                }
                Incoming::Orphaned(address) => {
                    if let Some(leaving) = &orphaned {
                        // An error means that the process ends; devices are woken by their next message.
                        let _ = leaving.send(address);
                    }
                }
            }
        }),
    });
    // After the doors, so that the others hear of every socket that they close.
    let token = lifecycle.workers.token.clone();
    lifecycle.workers.essential("neighbours", async move {
        node.run(token).await;
        Ok(())
    });
    hub.set(Hub::among(Arc::new(OtherNodes { handle, leaving })))
        .unwrap_or_else(|_| unreachable!("it is set once"));
    hub.get().expect("it was just set").clone()
}
