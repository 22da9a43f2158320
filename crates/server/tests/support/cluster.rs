//! Several `serve` processes on one database, and a plain TCP balancer before them.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use testkit::postgres::TestDatabase;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{HELIOGRAPH, signal};

/// What all nodes share.
pub(crate) struct Installation {
    pub(crate) database: TestDatabase,
    folder: tempfile::TempDir,
}

/// One `serve`. Killed when dropped.
pub(crate) struct ServeNode {
    child: Child,
    /// Where it listens.
    pub(crate) http: SocketAddr,
}

impl Installation {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let secrets = folder.path().join("secrets.toml");
        let made = Command::new(HELIOGRAPH)
            .arg("keygen")
            .arg(&secrets)
            .stdout(Stdio::null())
            .status();
        assert!(made.expect("the binary starts").success());
        let config = format!(
            "[server]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[secrets]\nfile = \"{}\"\n[verification]\nfixed_code = \"123456\"\nsessions_per_number = \"any\"\n",
            secrets.display()
        );
        std::fs::write(folder.path().join("heliograph.toml"), config)
            .expect("the folder takes files");
        Self {
            database: TestDatabase::create().await,
            folder,
        }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("heliograph.toml")
    }

    /// Adds to what the nodes are configured with.
    pub(crate) fn configure(&self, more: &str) {
        let mut config = std::fs::read_to_string(self.config()).expect("it was written");
        config.push_str(more);
        std::fs::write(self.config(), config).expect("the folder takes files");
    }

    /// Starts a node on a port of its own choice, and waits until it is ready.
    pub(crate) fn start(&self) -> ServeNode {
        let mut child = Command::new(HELIOGRAPH)
            .arg("serve")
            .arg("--config")
            .arg(self.config())
            .env("DATABASE_URL", self.database.url())
            .env("RUST_LOG", "warn,heliograph=info")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server's binary starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
        let mut printed = String::new();
        let http = loop {
            let line = lines
                .next()
                .unwrap_or_else(|| panic!("it ended early:\n{printed}"));
            let line = line.expect("it prints text");
            if let Some(address) = listening(&line) {
                break address;
            }
            printed.push_str(&line);
            printed.push('\n');
        };
        // Whatever else it prints must not block it.
        std::thread::Builder::new()
            .spawn(move || {
                for line in lines.map_while(Result::ok) {
                    eprintln!("{line}");
                }
            })
            .expect("a thread starts");
        ServeNode { child, http }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// `{"message":"ready","http":"Some(127.0.0.1:41234)",…}`
fn listening(line: &str) -> Option<SocketAddr> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    if line["message"] != "ready" {
        return None;
    }
    let http = line["http"].as_str()?;
    http.strip_prefix("Some(")?.strip_suffix(')')?.parse().ok()
}

impl ServeNode {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and wait until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it was ours to wait for");
    }

    /// SIGSTOP: it keeps its connections and does nothing.
    pub(crate) fn freeze(&self) {
        signal("STOP", self.pid());
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        signal("CONT", self.pid());
    }
}

impl Drop for ServeNode {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Takes each connection to the next node that answers. Knows nothing of what goes through it.
pub(crate) struct Balancer {
    pub(crate) address: SocketAddr,
    nodes: Arc<Mutex<Vec<SocketAddr>>>,
    _task: JoinSet<()>,
}

impl Balancer {
    pub(crate) async fn start(nodes: &[SocketAddr]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let nodes = Arc::new(Mutex::new(nodes.to_vec()));
        let (known, turn) = (Arc::clone(&nodes), AtomicUsize::new(0));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.expect("it accepts");
                while connections.try_join_next().is_some() {}
                let mut nodes = known.lock().expect("nobody panics with it").clone();
                let first = turn.fetch_add(1, Ordering::Relaxed) % nodes.len().max(1);
                let first = first.min(nodes.len());
                nodes.rotate_left(first);
                connections.spawn(pass_on(client, nodes));
            }
        });
        Self {
            address,
            nodes,
            _task: task,
        }
    }

    /// From now on, new connections go to these.
    pub(crate) fn set(&self, nodes: &[SocketAddr]) {
        nodes.clone_into(&mut self.nodes.lock().expect("nobody panics with it"));
    }
}

async fn pass_on(mut client: TcpStream, nodes: Vec<SocketAddr>) {
    _ = client.set_nodelay(true);
    for node in nodes {
        if let Ok(mut server) = TcpStream::connect(node).await {
            _ = server.set_nodelay(true);
            _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}
