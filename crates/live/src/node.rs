//! One node among others: what it says, what it hears, and that it is alive.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use events::ids::DeviceAddress;
use events::{Aci, DeviceId};
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::handle::{Call, Handle};
use crate::successions::Successions;
use crate::tables::{self, Content, Held};

/// Calls that are written in one transaction.
const BATCH: usize = 500;

/// Parcels that are fetched at a time.
const PARCELS: i64 = 100;

/// The pause after a failure of the database.
const RESPITE: Duration = Duration::from_millis(200);

/// How long saying farewell may take.
const FAREWELL: Duration = Duration::from_secs(3);

/// What a node needs.
pub struct Options {
    /// The Postgres that all nodes share.
    pub database: PgPool,
    /// The node's own name, drawn anew at each start.
    pub node: Uuid,
    /// How long it waits for what.
    pub timing: Timing,
    /// Takes what comes from other nodes. Must not block.
    pub deliver: Arc<dyn Fn(Incoming) + Send + Sync>,
}

/// How long a node waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two signs of life, and between two looks at what waits, should a notification be lost.
    pub beat: Duration,
    /// A node that was silent for so long counts as absent.
    pub absent: Duration,
    /// What it held is cleared away after so long.
    pub dead: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            beat: Duration::from_secs(3),
            absent: Duration::from_secs(10),
            dead: Duration::from_mins(1),
        }
    }
}

/// What another node has caused here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A socket of this node has lost its device, which connected elsewhere as `by`: the same device, or a later one
    /// under its number.
    Displaced {
        /// Who took over.
        by: DeviceAddress,
        /// Which socket.
        socket: u64,
    },
    /// An ephemeral envelope for a device.
    Ephemeral {
        /// For whom.
        address: DeviceAddress,
        /// The envelope.
        envelope: Bytes,
    },
    /// A node that is dead had a socket of this device. One node hears of it.
    Orphaned(DeviceAddress),
}

/// A node that is not running yet.
pub struct Node {
    options: Options,
    calls: UnboundedReceiver<Call>,
    successions: Successions,
}

/// What the node has said that it holds.
type Mine = HashMap<(Aci, DeviceId), Held>;

impl Node {
    /// A node, and a handle to it.
    pub fn new(options: Options) -> (Self, Handle) {
        let (sender, calls) = unbounded_channel();
        let successions = Successions::default();
        let handle = Handle::new(sender, successions.clone());
        let node = Self {
            options,
            calls,
            successions,
        };
        (node, handle)
    }

    /// Runs until `shutdown`, and then says what is left to be said: stop the doors first.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self {
            options,
            calls,
            successions,
        } = self;
        let mut speaker = Speaker {
            options: &options,
            calls,
            successions: &successions,
            batch: Vec::new(),
            mine: Mine::new(),
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = speaker.run() => {}
            () = options.hear(&successions) => {}
        }
        if timeout(FAREWELL, tables::leave(&options.database, options.node))
            .await
            .is_err()
        {
            warn!("could not tell the other nodes of the end; they will find out");
        }
    }
}

impl Options {
    /// Fetches what waits whenever a notification says that something does, and every now and then.
    async fn hear(&self, successions: &Successions) {
        loop {
            if let Err(error) = self.listen(successions).await {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "other nodes cannot be heard; trying again"
                );
            }
            sleep(RESPITE).await;
        }
    }

    async fn listen(&self, successions: &Successions) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.database).await?;
        listener.listen(&tables::channel(self.node)).await?;
        loop {
            while self.fetch(successions).await? {}
            // Lost connections come back by themselves; what was missed meanwhile is fetched like everything else.
            if let Ok(heard) = timeout(self.timing.beat, listener.try_recv()).await {
                heard?;
            }
        }
    }

    /// Fetches some of what waits; tells whether there may be more.
    async fn fetch(&self, successions: &Successions) -> Result<bool, sqlx::Error> {
        let parcels = tables::fetch(&self.database, self.node, PARCELS).await?;
        let full = i64::try_from(parcels.len()).is_ok_and(|count| count == PARCELS);
        for parcel in parcels {
            let address = parcel.address;
            match parcel.content {
                Content::Lost(socket) => {
                    let by = address;
                    (self.deliver)(Incoming::Displaced { by, socket });
                }
                Content::Envelope(envelope) => {
                    (self.deliver)(Incoming::Ephemeral { address, envelope });
                }
                Content::Settled => successions.end((address.aci, address.device)),
            }
        }
        Ok(full)
    }
}

/// The side that writes.
struct Speaker<'a> {
    options: &'a Options,
    calls: UnboundedReceiver<Call>,
    successions: &'a Successions,
    batch: Vec<Call>,
    mine: Mine,
}

impl Speaker<'_> {
    async fn run(&mut self) {
        let mut beats = interval(self.options.timing.beat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased; // the first tick is there at once: who claims a socket is known to be alive
                _ = beats.tick() => self.insist_on_life().await,
                count = self.calls.recv_many(&mut self.batch, BATCH) => if count == 0 {
                    return;
                },
            }
            self.insist().await;
        }
    }

    /// Writes the batch, however often that takes. Envelopes do not wait for a second attempt: they are for now.
    async fn insist(&mut self) {
        while !self.batch.is_empty() {
            match self.write().await {
                Ok(()) => self.batch.clear(),
                Err(error) => {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "other nodes cannot be told of sockets; trying again"
                    );
                    self.batch
                        .retain(|call| !matches!(call, Call::Forward { .. }));
                    sleep(RESPITE).await;
                }
            }
        }
    }

    async fn write(&mut self) -> Result<(), sqlx::Error> {
        let Options {
            database,
            node,
            timing,
            ..
        } = self.options;
        let mut claims = Mine::new();
        let (mut gone, mut settled, mut envelopes) = (Vec::new(), Vec::new(), Vec::new());
        for call in &self.batch {
            match call {
                // The last claim on a device counts; those before it were displaced on this node.
                Call::Claim(address, socket) => {
                    claims.insert((address.aci, address.device), (*address, *socket));
                }
                Call::Release(address, socket) => gone.push((*address, *socket)),
                Call::Settled(address) => settled.push(*address),
                Call::Forward {
                    address, envelope, ..
                } => envelopes.push((*address, envelope.clone())),
            }
        }
        let held: Vec<Held> = claims.values().copied().collect();
        let mut transaction = database.begin().await?;
        if !held.is_empty() {
            tables::take_turn(&mut transaction).await?;
        }
        let elsewhere =
            tables::held_elsewhere(&mut transaction, *node, &held, timing.absent).await?;
        tables::claim(&mut transaction, *node, &held).await?;
        tables::release(&mut transaction, *node, &gone).await?;
        tables::settled(&mut transaction, *node, &settled).await?;
        tables::forward(&mut transaction, *node, &envelopes, timing.absent).await?;
        transaction.commit().await?;
        for (address, socket) in held {
            if !elsewhere.contains(&(address.aci, address.device)) {
                self.successions.end_of(address, socket);
            }
        }
        self.mine.extend(claims);
        for (address, socket) in gone {
            let key = (address.aci, address.device);
            if self.mine.get(&key).is_some_and(|(_, held)| *held == socket) {
                self.mine.remove(&key);
            }
        }
        Ok(())
    }

    async fn insist_on_life(&mut self) {
        let began = Instant::now();
        while let Err(error) = self.live().await {
            warn!(
                error = &error as &dyn std::error::Error,
                "other nodes cannot be shown that this one is alive; trying again"
            );
            sleep(RESPITE).await;
            if began.elapsed() > self.options.timing.beat {
                return;
            }
        }
    }

    /// Shows that this node is alive, and clears away what dead ones held. Whoever was thought dead, or starts anew after
    /// a crash of Postgres, says again what it holds.
    async fn live(&mut self) -> Result<(), sqlx::Error> {
        let Options {
            database,
            node,
            timing,
            deliver,
        } = self.options;
        let mut transaction = database.begin().await?;
        let unknown = tables::beat(&mut *transaction, *node).await?;
        let mut lost = Vec::new();
        if unknown && !self.mine.is_empty() {
            tables::take_turn(&mut transaction).await?;
            let held: Vec<Held> = self.mine.values().copied().collect();
            lost = tables::reconcile(&mut transaction, *node, &held).await?;
        }
        transaction.commit().await?;
        for (by, socket) in lost {
            self.mine.remove(&(by.aci, by.device));
            deliver(Incoming::Displaced { by, socket });
        }
        for device in tables::sweep(database, timing.dead, timing.absent).await? {
            deliver(Incoming::Orphaned(device));
        }
        Ok(())
    }
}
