//! What tests order to go wrong, and what the server has seen.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::metadata::MetadataMap;

/// When an append's connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing was stored.
    BeforeStored,
    /// Everything was stored; the answer is lost.
    AfterStored,
}

/// What was asked of the server so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Connections taken.
    pub connections: u64,
    /// Appends, through either call.
    pub appends: u64,
    /// Batch-append sessions.
    pub sessions: u64,
    /// Reads that end.
    pub reads: u64,
    /// Events sent, by reads and by subscriptions.
    pub events: u64,
    /// The prefixes of each subscription's filter; none without a filter.
    pub filters: Vec<Vec<String>>,
}

/// Orders for the server. All take effect at once.
pub struct Faults {
    state: Mutex<State>,
    held: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    connections: CancellationToken,
    refuse_connections: bool,
    credentials: Option<String>,
    leader: Option<(String, u16)>,
    /// What becomes of the coming appends.
    cuts: VecDeque<Option<Cut>>,
    fail_appends: u32,
    seen: Seen,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            held: watch::Sender::new(0),
        }
    }
}

/// Holds appends back until it is dropped.
pub struct Held<'a>(&'a watch::Sender<u64>);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|holders| *holders -= 1);
    }
}

impl Faults {
    /// Cuts every open connection.
    pub fn drop_connections(&self) {
        std::mem::take(&mut self.state().connections).cancel();
    }

    /// Cuts every connection, and each new one as soon as it is made, until told otherwise.
    pub fn refuse_connections(&self, refuse: bool) {
        self.state().refuse_connections = refuse;
        if refuse {
            self.drop_connections();
        }
    }

    /// Cuts every connection in the middle of the next append. Orders queue: each is for one append more.
    pub fn cut_append(&self, cut: Cut) {
        self.state().cuts.push_back(Some(cut));
    }

    /// Lets one append pass unharmed before the cuts that are ordered after this.
    pub fn let_append_pass(&self) {
        self.state().cuts.push_back(None);
    }

    /// Answers the next `n` appends with the status INTERNAL, without storing anything.
    pub fn fail_appends(&self, n: u32) {
        self.state().fail_appends = n;
    }

    /// From now on appends wait, before they are stored, until the answer is dropped.
    pub fn hold_appends(&self) -> Held<'_> {
        self.held.send_modify(|holders| *holders += 1);
        Held(&self.held)
    }

    /// From now on every call needs this user and password.
    pub fn require_credentials(&self, user: &str, password: &str) {
        let basic = STANDARD.encode(format!("{user}:{password}"));
        self.state().credentials = Some(format!("Basic {basic}"));
    }

    /// From now on this node is a follower: it refuses calls that require the leader, and names it.
    pub fn follow_leader(&self, host: &str, port: u16) {
        self.state().leader = Some((host.to_owned(), port));
    }

    /// From now on this node is the leader (as it is in the beginning).
    pub fn lead(&self) {
        self.state().leader = None;
    }

    /// What was asked of the server so far.
    pub fn seen(&self) -> Seen {
        self.state().seen.clone()
    }

    pub(super) fn leader(&self) -> Option<(String, u16)> {
        self.state().leader.clone()
    }

    /// The token that cuts a new connection; `None` if it is to be refused.
    pub(super) fn connection(&self) -> Option<CancellationToken> {
        let mut state = self.state();
        state.seen.connections += 1;
        (!state.refuse_connections).then(|| state.connections.clone())
    }

    pub(super) fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.state().seen);
    }

    /// Whether a call with these headers may go on.
    pub(super) fn admit(&self, headers: &MetadataMap) -> Result<(), Status> {
        let state = self.state();
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if state.credentials.is_some() && header("authorization") != state.credentials.as_deref() {
            return Err(Status::unauthenticated("wrong user or password"));
        }
        match &state.leader {
            Some((host, port)) if header("requires-leader") == Some("true") => {
                Err(not_leader(host, *port))
            }
            _ => Ok(()),
        }
    }

    /// Waits while appends are held, then tells when this one is to be cut.
    pub(super) async fn begin_append(&self) -> Result<Option<Cut>, Status> {
        let mut held = self.held.subscribe();
        // The sender lives in `self`, so that the channel cannot close while this waits.
        drop(held.wait_for(|holders| *holders == 0).await);
        let mut state = self.state();
        state.seen.appends += 1;
        if state.fail_appends > 0 {
            state.fail_appends -= 1;
            return Err(Status::internal("failed, as ordered"));
        }
        Ok(state.cuts.pop_front().flatten())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no thread panics while it holds the orders")
    }
}

fn not_leader(host: &str, port: u16) -> Status {
    let mut headers = MetadataMap::new();
    let host = host.parse().expect("a host name is a header value");
    headers.insert("exception", "not-leader".parse().expect("a header value"));
    headers.insert("leader-endpoint-host", host);
    headers.insert("leader-endpoint-port", port.into());
    Status::with_metadata(
        tonic::Code::NotFound,
        "this node is not the leader",
        headers,
    )
}
