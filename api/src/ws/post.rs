//! A device's side of a session, whatever it travels over: its place in the hub, and the delivery of its messages.

use std::future::pending;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use events::Position;
use futures::future::Either;
use tokio::sync::{mpsc, watch};

use crate::limits::socket as limits;
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

/// The client's side of a session that ends.
pub(crate) trait Ear {
    /// Takes acknowledgements until the client has ended its side, or has had so much time.
    fn listen(&mut self, patience: Duration) -> impl Future<Output = ()> + Send;
}

/// Ends a session whose client has been told, or is being told: everything that it has acknowledged is stored.
pub(crate) async fn part<M: Mailbox + 'static, W: Wire>(
    ending: Ending,
    mut post: Option<&mut Post<M, W>>,
    mut client: impl Ear,
) {
    if ending.lingers() {
        // What the client had said before it moved on is heard first, so that it does not get that again elsewhere.
        client.listen(limits::LAST_WORDS).await;
    }
    if let Some(post) = post.as_mut() {
        post.settle().await;
    }
    if ending.lingers() {
        client.listen(limits::FAREWELL).await;
        if let Some(post) = post.as_mut() {
            post.settle().await;
        }
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
