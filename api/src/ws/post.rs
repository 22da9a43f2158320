//! A device's side of a session, whatever it travels over: its place in the hub, and the delivery of its messages.

use std::future::pending;
use std::sync::{Arc, OnceLock};

use events::Position;
use futures::future::Either;
use tokio::sync::{mpsc, watch};

use crate::ws::delivery::Delivery;
use crate::ws::desk::Desk;
use crate::ws::ending::Ending;
use crate::ws::hub::{Connection, Signals};
use crate::ws::mailbox::Mailbox;
use crate::ws::session::DeviceSession;
use crate::ws::wire::Wire;

/// A device's side of a session: its place in the hub and the delivery of its messages.
pub(crate) struct Post<M, W> {
    connection: Connection,
    delivery: Delivery<M, W>,
    delivers: bool,
}

impl<M: Mailbox + 'static, W: Wire> Post<M, W> {
    pub(crate) fn new(device: DeviceSession<M>, wire: W, desk: Arc<Desk>) -> Self {
        let DeviceSession {
            connection,
            mailbox,
            delivers,
            stories,
        } = device;
        Self {
            connection,
            delivery: Delivery::new(mailbox, wire, desk, stories),
            delivers,
        }
    }

    /// Stores what the device has acknowledged, and makes way for the next session.
    pub(crate) async fn settle(&mut self) {
        self.delivery.settle().await;
        self.connection.settle();
    }
}

/// Runs the delivery, and ends it the moment the device is displaced or has to prove itself anew.
pub(crate) async fn deliver<M: Mailbox + 'static, W: Wire>(
    post: Option<&mut Post<M, W>>,
    outbox: mpsc::Sender<W::Frame>,
) -> Ending {
    let Some(Post {
        connection,
        delivery,
        delivers,
    }) = post
    else {
        drop(outbox);
        return pending().await;
    };
    let established = OnceLock::new();
    let signals = connection.signals.clone();
    let working = match delivers {
        true => Either::Left(delivery.run(connection, &established, outbox)),
        false => Either::Right(delivery.watch_over(connection, &established)),
    };
    tokio::select! {
        biased;
        ending = call_off(signals, &established) => ending,
        ending = working => ending,
    }
}

/// Ends with the reason why the socket may not go on.
async fn call_off(
    mut signals: watch::Receiver<Signals>,
    established: &OnceLock<Position>,
) -> Ending {
    let ending = |signals: &Signals| {
        // What had happened when the session began, it has looked into itself.
        let revoked = signals
            .revoked
            .zip(established.get())
            .is_some_and(|(revoked, established)| revoked > *established);
        match (signals.displaced, revoked) {
            (_, true) => Some(Ending::Reauthenticate),
            (true, false) => Some(Ending::ConnectedElsewhere),
            (false, false) => None,
        }
    };
    loop {
        if let Some(ending) = ending(&signals.borrow_and_update()) {
            return ending;
        }
        if signals.changed().await.is_err() {
            return pending().await;
        }
    }
}
