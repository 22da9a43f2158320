//! A proxy before Postgres that can lose the answer to the appender's next statement.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

/// How the appender's connections introduce themselves.
const APPENDER: &[u8] = b"heliograph appender";

#[derive(Default)]
struct Switches {
    armed: AtomicBool,
    lost: AtomicUsize,
}

/// Forwards connections to Postgres.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    switches: Arc<Switches>,
}

impl Proxy {
    /// Listens, and forwards to `port`.
    pub(crate) async fn before(port: u16, tracker: &TaskTracker) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let switches = Arc::new(Switches::default());
        let (tasks, shared) = (tracker.clone(), switches.clone());
        tracker.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tasks.spawn(forward(client, server, shared.clone()));
            }
        });
        Self {
            port: own_port,
            switches,
        }
    }

    /// The next answer to the appender is lost, and its connection with it.
    pub(crate) fn lose_next_answer(&self) {
        self.switches.armed.store(true, Ordering::SeqCst);
    }

    /// How many answers were lost.
    pub(crate) fn lost(&self) -> usize {
        self.switches.lost.load(Ordering::SeqCst)
    }
}

async fn forward(mut client: TcpStream, mut server: TcpStream, switches: Arc<Switches>) {
    let (mut from_client, mut from_server) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut is_appender = false;
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => match read {
                Ok(0) | Err(_) => return,
                Ok(n) => {
                    let bytes = &from_client[..n];
                    is_appender |= bytes.windows(APPENDER.len()).any(|window| window == APPENDER);
                    if server.write_all(bytes).await.is_err() {
                        return;
                    }
                }
            },
            read = server.read(&mut from_server) => match read {
                Ok(0) | Err(_) => return,
                Ok(n) => {
                    if is_appender && switches.armed.swap(false, Ordering::SeqCst) {
                        switches.lost.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    if client.write_all(&from_server[..n]).await.is_err() {
                        return;
                    }
                }
            },
        }
    }
}
