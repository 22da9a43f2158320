//! One simulated device: sends what is due, acknowledges what comes, and comes back when its connection ends.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use api::ws::frame::Envelope;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::fleet::{Account, Fleet};
use crate::ledger::{Ledger, Stamp};
use crate::load::Pace;
use crate::servers::Servers;
use crate::socket::{Event, Socket};

/// Between two attempts to connect.
const RESPITE: Duration = Duration::from_millis(100);

/// The pause after an answer that says that the server is busy, if it does not say how long; twice as long each time.
const BACK_OFF: Duration = Duration::from_millis(100);

/// No pause is longer, whatever the server asks for: a run is short.
const LONGEST: Duration = Duration::from_secs(10);

/// The timestamp of a pair's first message.
const FIRST_TIMESTAMP: i64 = 1_767_225_600_000;

/// The envelope type of a server's delivery receipt.
const RECEIPT: i32 = 5;

/// What every device of a run shares.
pub(crate) struct Run {
    pub(crate) servers: Servers,
    pub(crate) fleet: Fleet,
    pub(crate) ledger: Ledger,
    pub(crate) pace: Pace,
    /// Bytes of content.
    pub(crate) size: usize,
    /// How many others each device writes to.
    pub(crate) peers: usize,
    /// How many of the devices send: all, or the first half, to the other half.
    pub(crate) senders: usize,
    /// After how long without hearing anything a connection is given up.
    pub(crate) patience: Duration,
    /// Ends the sending.
    pub(crate) silence: CancellationToken,
    /// Ends the run.
    pub(crate) end: CancellationToken,
}

impl Run {
    /// To whom a device writes.
    fn peers_of(&self, index: usize) -> Vec<Peer> {
        let crowd = self.fleet.accounts.len();
        let peer = |index| Peer {
            index,
            ..Peer::default()
        };
        if self.senders == crowd {
            let others = 1..=self.peers.min(crowd - 1);
            return others.map(|step| peer((index + step) % crowd)).collect();
        }
        if index >= self.senders {
            return Vec::new();
        }
        let away = crowd - self.senders;
        let others = 0..self.peers.min(away);
        others
            .map(|step| peer(self.senders + (index + step) % away))
            .collect()
    }
}

/// Messages to one other device: one at a time, so that their order is known.
#[derive(Default)]
struct Peer {
    index: usize,
    next: u64,
    waiting: VecDeque<Stamp>,
    sent: Option<Stamp>,
    /// Nothing is sent before, because the server was busy.
    rest: Option<Instant>,
    /// How often in a row it was.
    busy: u32,
}

impl Peer {
    /// Tries again after a pause.
    fn back_off(&mut self, stamp: Stamp, asked: Option<Duration>) {
        let pause = asked.unwrap_or_else(|| BACK_OFF.saturating_mul(1 << self.busy.min(16)));
        self.waiting.push_front(stamp);
        self.rest = Some(Instant::now() + pause.min(LONGEST));
        self.busy += 1;
    }

    fn rests(&mut self) -> bool {
        self.rest = self.rest.filter(|until| *until > Instant::now());
        self.rest.is_some()
    }
}

/// Waits for a moment, if there is one to wait for.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

/// One device.
pub(crate) struct Member {
    run: Arc<Run>,
    index: usize,
    peers: Vec<Peer>,
    /// Which peer a request is about.
    asked: HashMap<u64, usize>,
    /// Messages that were due so far.
    planned: u64,
    /// Which server is tried next.
    server: usize,
}

impl Member {
    pub(crate) fn new(run: Arc<Run>, index: usize) -> Self {
        Self {
            peers: run.peers_of(index),
            index,
            asked: HashMap::new(),
            planned: 0,
            server: index,
            run,
        }
    }

    fn account(&self) -> &Account {
        &self.run.fleet.accounts[self.index]
    }

    /// Lives until the end of the run.
    pub(crate) async fn live(mut self) {
        if self.peers.is_empty() {
            self.run.silence.cancelled().await;
        }
        let end = self.run.end.clone();
        _ = end.run_until_cancelled(self.stay_connected()).await;
    }

    async fn stay_connected(&mut self) {
        loop {
            let account = self.account().clone();
            match Socket::open(&self.run.servers, self.server, &account).await {
                Ok(socket) => {
                    self.serve(socket).await;
                    self.run.ledger.count(|totals| totals.disconnected += 1);
                }
                Err(_) => sleep(RESPITE).await,
            }
            self.server += 1;
        }
    }

    /// Works on one connection until it ends.
    async fn serve(&mut self, mut socket: Socket) {
        self.start_over();
        let patience = self.run.patience;
        let mut heard = Instant::now();
        let mut ping = heard + patience / 2;
        loop {
            if self.pump(&mut socket).await.is_err() {
                return;
            }
            let rested = self.peers.iter().filter_map(|peer| peer.rest).min();
            let done = tokio::select! {
                () = until(self.next_due()) => {
                    self.plan();
                    Ok(())
                }
                () = until(rested) => Ok(()),
                event = socket.next() => {
                    heard = Instant::now();
                    self.take(&mut socket, event).await
                }
                () = sleep_until(heard + patience) => return,
                () = sleep_until(ping) => {
                    ping = Instant::now() + patience / 2;
                    socket.ping().await
                }
            };
            if done.is_err() {
                return;
            }
        }
    }

    /// What was not answered on the last connection is sent again on this one.
    fn start_over(&mut self) {
        self.asked.clear();
        for peer in &mut self.peers {
            if let Some(stamp) = peer.sent.take() {
                peer.waiting.push_front(stamp);
                self.run.ledger.count(|totals| totals.resent += 1);
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.run.ledger.began().elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// When this device's next message is due, in microseconds of the run.
    fn due(&self) -> Option<u64> {
        match self.run.pace {
            Pace::Open { rate } if !self.peers.is_empty() && !self.run.silence.is_cancelled() => {
                let crowd = self.run.senders as u64;
                let place = self.planned * crowd + self.index as u64;
                #[expect(clippy::cast_precision_loss, reason = "no run has 2^52 messages")]
                let seconds = place as f64 / rate;
                u64::try_from(Duration::from_secs_f64(seconds).as_micros()).ok()
            }
            Pace::Open { .. } | Pace::Saturate => None,
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let began = Instant::from_std(self.run.ledger.began());
        self.due().map(|due| began + Duration::from_micros(due))
    }

    /// Queues the message that is due.
    fn plan(&mut self) {
        if let Some(due) = self.due() {
            let peers = self.peers.len();
            let peer = usize::try_from(self.planned).map_or(0, |planned| planned % peers);
            self.queue(peer, due);
            self.planned += 1;
        }
    }

    fn queue(&mut self, peer: usize, due: u64) {
        let (run, from) = (self.run.ledger.run(), small(self.index));
        let peer = &mut self.peers[peer];
        peer.waiting.push_back(Stamp {
            run,
            from,
            to: small(peer.index),
            number: peer.next,
            due,
        });
        peer.next += 1;
    }

    /// Sends to every peer that has answered the last message.
    async fn pump(&mut self, socket: &mut Socket) -> anyhow::Result<()> {
        let saturate = matches!(self.run.pace, Pace::Saturate) && !self.run.silence.is_cancelled();
        for place in 0..self.peers.len() {
            if self.peers[place].sent.is_some() || self.peers[place].rests() {
                continue;
            }
            if saturate && self.peers[place].waiting.is_empty() {
                self.queue(place, self.now());
            }
            let Some(stamp) = self.peers[place].waiting.pop_front() else {
                continue;
            };
            let to = &self.run.fleet.accounts[self.peers[place].index];
            let content = stamp.content(self.run.size);
            self.peers[place].sent = Some(stamp);
            // Clients name their messages by their own time; a number of the pair does as well.
            let timestamp = FIRST_TIMESTAMP.saturating_add_unsigned(stamp.number);
            let id = socket.send(to, content, timestamp).await?;
            self.asked.insert(id, place);
        }
        Ok(())
    }

    async fn take(&mut self, socket: &mut Socket, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Message(id, envelope) => {
                self.receive(*envelope);
                socket.acknowledge(id).await
            }
            Event::QueueEmpty | Event::Pong => Ok(()),
            Event::Answer(id, status, wait) => {
                self.answer(id, status, wait);
                Ok(())
            }
            Event::Closed(_) => anyhow::bail!("the connection ended"),
        }
    }

    fn receive(&self, envelope: Envelope) {
        if envelope.kind == Some(RECEIPT) {
            return self.run.ledger.count(|totals| totals.receipts += 1);
        }
        if let Some(stamp) = envelope.content.and_then(Stamp::of) {
            self.run.ledger.delivered(small(self.index), &stamp);
        }
    }

    fn answer(&mut self, id: u64, status: u32, wait: Option<Duration>) {
        let Some(place) = self.asked.remove(&id) else {
            return;
        };
        let peer = &mut self.peers[place];
        let Some(stamp) = peer.sent.take() else {
            return;
        };
        match status {
            200 => {
                peer.busy = 0;
                self.run.ledger.answered(&stamp, true);
            }
            // The server is busy or in trouble, and says so: once more, when it wants.
            429 | 500.. => {
                peer.back_off(stamp, wait);
                self.run.ledger.count(|totals| {
                    totals.busy += 1;
                    totals.resent += 1;
                });
            }
            _ => self.run.ledger.answered(&stamp, false),
        }
    }
}

fn small(index: usize) -> u32 {
    u32::try_from(index).expect("no run has 2^32 devices")
}
