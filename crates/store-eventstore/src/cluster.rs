//! The connection to the cluster: which node, and a new one when it breaks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use eventstore::{Client, Endpoint, operations};
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

use crate::forwarder::{Forwarder, Route};
use crate::{Error, Options, install_crypto_provider, tls};

/// How many nodes in a row may say that another one leads.
const REDIRECTIONS: u32 = 3;

/// One client, and the forwarder that it connects through. The client does not recover from a failed connection, so it
/// is replaced.
pub(crate) struct Link {
    pub(crate) client: Client,
    broken: AtomicBool,
    _forwarder: Forwarder,
}

impl Link {
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Nobody uses it any more; who does so already may go on.
    pub(crate) fn give_up(&self) {
        self.broken.store(true, Ordering::Release);
    }
}

/// The cluster.
pub(crate) struct Cluster {
    options: Options,
    tls: Option<TlsConnector>,
    tasks: TaskTracker,
    current: tokio::sync::Mutex<Current>,
    /// How often connecting was tried.
    attempts: AtomicU64,
    /// Who leads, as the last node that does not has said.
    leader: Mutex<Option<Endpoint>>,
}

#[derive(Default)]
struct Current {
    link: Option<Arc<Link>>,
    failure: Option<Error>,
}

impl Cluster {
    pub(crate) fn new(options: Options, tasks: TaskTracker) -> Result<Self, Error> {
        install_crypto_provider()?;
        Ok(Self {
            tls: tls::connector(options.url.settings())?,
            options,
            tasks,
            current: tokio::sync::Mutex::default(),
            attempts: AtomicU64::new(0),
            leader: Mutex::default(),
        })
    }

    pub(crate) const fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) const fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// A working connection, as far as is known; a new one if need be. Those who wait while somebody else tries to
    /// connect share the outcome.
    pub(crate) async fn link(&self) -> Result<Arc<Link>, Error> {
        let before = self.attempts.load(Ordering::Acquire);
        let mut current = self.current.lock().await;
        if let Some(link) = &current.link
            && !link.is_broken()
        {
            return Ok(link.clone());
        }
        if let Some(failure) = &current.failure
            && self.attempts.load(Ordering::Acquire) != before
        {
            return Err(failure.clone());
        }
        let connected = self.connect().await.map(Arc::new);
        self.attempts.fetch_add(1, Ordering::AcqRel);
        current.link = connected.as_ref().ok().cloned();
        current.failure = connected.as_ref().err().cloned();
        connected
    }

    async fn connect(&self) -> Result<Link, Error> {
        let node = self.choose().await?;
        let route = Route {
            node,
            tls: self.tls.clone(),
            deadline: self.options.deadline,
        };
        let name = route.name();
        let forwarder = Forwarder::open(route, &self.tasks).await?;
        let settings = self
            .options
            .url
            .local(forwarder.port(), self.options.deadline);
        let client = Client::new(settings).map_err(|error| Error::of(&error))?;
        match client.server_info().await {
            Ok(info) => tracing::info!(node = name, version = %info.version(), "connected"),
            Err(eventstore::Error::ConnectionClosed) => return Err(Error::ClientEnded),
            Err(error) => return Err(Error::of(&error)),
        }
        Ok(Link {
            client,
            broken: AtomicBool::new(false),
            _forwarder: forwarder,
        })
    }

    /// The node to connect to: the one that was named the leader, or the only one there is, or the leader by gossip.
    async fn choose(&self) -> Result<Endpoint, Error> {
        if let Some(leader) = self.leader().take() {
            return Ok(leader);
        }
        let settings = self.options.url.settings();
        if let [only] = settings.hosts().as_slice()
            && !settings.is_dns_discovery_enabled()
        {
            return Ok(only.clone());
        }
        let hosts = || {
            let names = settings
                .hosts()
                .iter()
                .map(|host| format!("{}:{}", host.host, host.port));
            names.collect::<Vec<_>>().join(", ")
        };
        let asking = operations::Client::new(settings.clone());
        let asking = asking.current_selected_node();
        match tokio::time::timeout(self.options.deadline, asking).await {
            Ok(Ok(node)) => Ok(node),
            Ok(Err(error)) => Err(Error::NoNode {
                hosts: hosts(),
                why: error.to_string(),
            }),
            Err(_) => Err(Error::NoNode {
                hosts: hosts(),
                why: format!("no answer within {:?}", self.options.deadline),
            }),
        }
    }

    /// Calls the leader, within the deadline. A node that names another leader has done nothing, so that one is asked
    /// instead; nothing else is tried twice.
    pub(crate) async fn call<T, F>(&self, call: impl Fn(Client) -> F) -> Result<T, CallError>
    where
        F: Future<Output = eventstore::Result<T>>,
    {
        let mut redirections = 0;
        loop {
            let link = self.link().await?;
            let outcome = self.in_time(&link, call(link.client.clone())).await;
            match outcome {
                Err(CallError::Failed(Error::NotLeader { .. })) if redirections < REDIRECTIONS => {
                    redirections += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Waits for an answer over `link`; takes note if the link shows itself broken.
    async fn in_time<T>(
        &self,
        link: &Link,
        answer: impl Future<Output = eventstore::Result<T>>,
    ) -> Result<T, CallError> {
        let after = self.options.deadline;
        match tokio::time::timeout(after, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.note(link, &error)),
            Err(_) => {
                link.give_up();
                Err(CallError::Failed(Error::Deadline { after }))
            }
        }
    }

    /// Takes note of what an error says about the link.
    pub(crate) fn note(&self, link: &Link, error: &eventstore::Error) -> CallError {
        if let eventstore::Error::NotLeaderException(leader) = error {
            *self.leader() = Some(leader.clone());
        }
        let failure = Error::of(error);
        if matches!(failure, Error::NotLeader { .. } | Error::Broken(_)) {
            link.give_up();
        }
        match error {
            eventstore::Error::WrongExpectedVersion { current, .. } => {
                CallError::Conflict(*current)
            }
            eventstore::Error::ResourceNotFound => CallError::NotFound,
            eventstore::Error::ResourceDeleted => CallError::Deleted,
            _ => CallError::Failed(failure),
        }
    }

    fn leader(&self) -> std::sync::MutexGuard<'_, Option<Endpoint>> {
        self.leader
            .lock()
            .expect("no thread panics while it holds the leader's name")
    }
}

/// What a call can meet besides an answer.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The stream stands elsewhere.
    Conflict(eventstore::CurrentRevision),
    /// There is no such stream.
    NotFound,
    /// There is none any more.
    Deleted,
    /// Everything else.
    Failed(Error),
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl CallError {
    /// For calls that a conflict cannot meet.
    pub(crate) fn on_stream(self, stream: &str) -> Error {
        match self {
            Self::Failed(error) => error,
            Self::Deleted => Error::StreamDeleted(stream.to_owned()),
            Self::NotFound => Error::Other(format!("there is no {stream}")),
            Self::Conflict(current) => Error::Other(format!("{stream} stands at {current}")),
        }
    }
}
