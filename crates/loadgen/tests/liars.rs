//! A load generator that always reports zero proves nothing. Here it meets servers that lose, repeat and reorder messages,
//! refuse some, and hang up, and has to find out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::http::messages::send::SendRequest;
use api::ws::frame::{Envelope, Frame, RequestFrame, ResponseFrame};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use loadgen::fleet::{Account, Fleet};
use loadgen::load::{Pace, Plan, Recipients, run};
use loadgen::report::Report;
use loadgen::servers::{Servers, Version};
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request as Upgrade, Response as Answer};

/// What is wrong with every tenth message.
#[derive(Clone, Copy, PartialEq)]
enum Lie {
    None,
    Loses,
    Repeats,
    /// Comes after the following one of the same pair.
    Swaps,
    Refuses,
    /// Is stored, and then the connection ends without an answer.
    HangsUp,
    /// Is to be sent again after so many seconds, or some time, and refused for good if it comes again at once.
    Busy(Option<u64>),
}

struct Liar {
    lie: Lie,
    desks: Mutex<HashMap<String, Desk>>,
    count: Mutex<u64>,
    /// By the content: when a message may come again.
    not_before: Mutex<HashMap<Bytes, Instant>>,
}

#[derive(Default)]
struct Desk {
    connected: Option<UnboundedSender<Bytes>>,
    waiting: Vec<Bytes>,
    /// Of a sender: held back until the next one.
    held: HashMap<String, Bytes>,
}

impl Desk {
    fn put(&mut self, envelope: Bytes) {
        let sent = self.connected.as_ref().map(|it| it.send(envelope.clone()));
        if !matches!(sent, Some(Ok(()))) {
            self.waiting.push(envelope);
        }
    }
}

impl Liar {
    async fn start(lie: Lie) -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let liar = Arc::new(Self {
            lie,
            desks: Mutex::default(),
            count: Mutex::default(),
            not_before: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(Arc::clone(&liar).serve(stream));
            }
        });
        (address, tasks)
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) {
        let mut aci = String::new();
        #[expect(clippy::result_large_err, reason = "the callback's type is not ours")]
        let look = |request: &Upgrade, answer: Answer| {
            let basic = request.headers()["authorization"].to_str().unwrap();
            let name = BASE64_STANDARD.decode(basic.strip_prefix("Basic ").unwrap());
            let name = String::from_utf8(name.unwrap()).unwrap();
            name.split('.').next().unwrap().clone_into(&mut aci);
            Ok(answer)
        };
        let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, look).await else {
            return;
        };
        let (sender, pushes) = unbounded_channel();
        {
            let mut desks = self.desks.lock().unwrap();
            let desk = desks.entry(aci.clone()).or_default();
            for envelope in desk.waiting.drain(..) {
                sender.send(envelope).unwrap();
            }
            desk.connected = Some(sender);
        }
        self.talk(socket, pushes, &aci).await;
    }

    async fn talk(
        &self,
        mut socket: WebSocketStream<TcpStream>,
        mut pushes: UnboundedReceiver<Bytes>,
        aci: &str,
    ) {
        let mut id = 0;
        let mut unanswered = BTreeMap::new();
        loop {
            let out = tokio::select! {
                Some(body) = pushes.recv() => {
                    id += 1;
                    unanswered.insert(id, body.clone());
                    Frame::Request(RequestFrame {
                        verb: Some("PUT".to_owned()),
                        path: Some("/api/v1/message".to_owned()),
                        body: Some(body),
                        id: Some(id),
                        headers: Vec::new(),
                    })
                }
                message = socket.next() => {
                    let Some(Ok(message)) = message else { return };
                    let Message::Binary(bytes) = message else { continue };
                    let request = match Frame::decode(bytes).unwrap() {
                        Frame::Request(request) => request,
                        Frame::Response(response) => {
                            unanswered.remove(&response.id.unwrap());
                            continue;
                        }
                    };
                    match self.accept(aci, &request) {
                        Some(status) => self.answer(request.id, status),
                        None => return self.hang_up(aci, unanswered, pushes),
                    }
                }
            };
            if socket.send(Message::Binary(out.encode())).await.is_err() {
                return;
            }
        }
    }

    /// What was not answered, and what was not pushed, waits for the next connection.
    fn hang_up(
        &self,
        aci: &str,
        unanswered: BTreeMap<u64, Bytes>,
        mut pushes: UnboundedReceiver<Bytes>,
    ) {
        let mut desks = self.desks.lock().unwrap();
        let desk = desks.get_mut(aci).unwrap();
        desk.connected = None;
        desk.waiting.extend(unanswered.into_values());
        while let Ok(envelope) = pushes.try_recv() {
            desk.waiting.push(envelope);
        }
    }

    fn accept(&self, from: &str, request: &RequestFrame) -> Option<u32> {
        let to = request.path.as_ref().unwrap();
        let to = to.strip_prefix("/v1/messages/").unwrap();
        let body: SendRequest = serde_json::from_slice(request.body.as_ref().unwrap()).unwrap();
        let message = body.messages.unwrap().remove(0).0;
        let envelope = Envelope {
            kind: Some(1),
            client_timestamp: body.timestamp.unwrap().try_into().ok(),
            content: Some(message.content.unwrap().0.into()),
            ..Envelope::default()
        };
        let envelope: Bytes = envelope.encode_to_vec().into();
        let mut count = self.count.lock().unwrap();
        *count += 1;
        let tenth = count.is_multiple_of(10);
        if let Lie::Busy(wait) = self.lie {
            let mut not_before = self.not_before.lock().unwrap();
            if not_before
                .get(&envelope)
                .is_some_and(|moment| *moment > Instant::now())
            {
                return Some(413);
            }
            if tenth {
                let pause = wait.map_or(Duration::from_millis(50), Duration::from_secs);
                not_before.insert(envelope, Instant::now() + pause);
                return Some(if wait.is_some() { 429 } else { 503 });
            }
        }
        let mut desks = self.desks.lock().unwrap();
        let desk = desks.entry(to.to_owned()).or_default();
        let held = desk.held.remove(from);
        match self.lie {
            Lie::Loses if tenth => {}
            Lie::Refuses if tenth => return Some(413),
            Lie::Swaps if tenth && held.is_none() => {
                desk.held.insert(from.to_owned(), envelope);
            }
            Lie::Repeats if tenth => {
                desk.put(envelope.clone());
                desk.put(envelope);
            }
            lie => {
                desk.put(envelope);
                if lie == Lie::HangsUp && tenth {
                    return None;
                }
            }
        }
        if let Some(held) = held {
            desk.put(held);
        }
        Some(200)
    }

    fn answer(&self, id: Option<u64>, status: u32) -> Frame {
        let mut headers = Vec::new();
        if let (Lie::Busy(Some(seconds)), 429) = (self.lie, status) {
            headers.push(format!("Retry-After: {seconds}"));
        }
        Frame::Response(ResponseFrame {
            id,
            status: Some(status),
            headers,
            ..ResponseFrame::default()
        })
    }
}

/// What the load generator says of a server.
async fn judge(lie: Lie, pace: Pace) -> Report {
    judge_to(lie, pace, Recipients::Connected).await
}

async fn judge_to(lie: Lie, pace: Pace, recipients: Recipients) -> Report {
    let (address, _server) = Liar::start(lie).await;
    let accounts =
        (0..6).map(|n| Account::new(format!("00000000-0000-4000-8000-{n:012}"), "x".to_owned()));
    let fleet = Fleet {
        accounts: accounts.collect(),
    };
    let plan = Plan {
        pace,
        time: Duration::from_secs(2),
        grace: Duration::from_secs(2),
        size: 100,
        peers: 3,
        recipients,
        patience: Duration::from_secs(10),
        run: 7,
        pids: vec![std::process::id()],
    };
    let servers = Servers::new(&[format!("http://{address}")], None, Version::Http1).unwrap();
    run(servers, fleet, &plan).await.unwrap()
}

const OPEN: Pace = Pace::Open { rate: 200.0 };

#[tokio::test]
async fn an_honest_server_is_found_honest() {
    for pace in [OPEN, Pace::Saturate] {
        let report = judge(Lie::None, pace).await;
        assert!(report.is_sound(), "{report}");
        assert_eq!(report.delivered, report.accepted);
        assert_eq!(report.delivery.count, report.delivered);
        assert_eq!((report.repeated, report.refused, report.resent), (0, 0, 0));
    }
}

#[tokio::test]
async fn whoever_is_away_finds_everything_or_it_is_missed() {
    let report = judge_to(Lie::None, Pace::Saturate, Recipients::Away).await;
    assert!(report.is_sound() && report.away, "{report}");
    assert_eq!(report.delivered, report.accepted);
    assert!(report.accepted_per_processor_second.unwrap() > 0.0);
    let report = judge_to(Lie::Loses, OPEN, Recipients::Away).await;
    assert_eq!(report.lost as u64, report.accepted / 10, "{report}");
}

#[tokio::test]
async fn loss_is_found() {
    let report = judge(Lie::Loses, OPEN).await;
    assert!(!report.is_sound());
    assert_eq!(report.lost as u64, report.accepted - report.delivered);
    assert_eq!(report.lost as u64, report.accepted / 10, "{report}");
}

#[tokio::test]
async fn disorder_is_found() {
    let report = judge(Lie::Swaps, OPEN).await;
    assert!(!report.is_sound() && report.disordered > 5, "{report}");
}

#[tokio::test]
async fn repeats_are_counted_and_forgiven() {
    let report = judge(Lie::Repeats, OPEN).await;
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.repeated, report.accepted / 10);
}

#[tokio::test]
async fn what_is_refused_is_not_missed() {
    let report = judge(Lie::Refuses, OPEN).await;
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.refused, (report.accepted + report.refused) / 10);
}

#[tokio::test]
async fn a_busy_server_is_left_in_peace_for_as_long_as_it_asks() {
    for (wait, at_least) in [(Some(1), 1000.0), (None, 50.0)] {
        let report = judge(Lie::Busy(wait), OPEN).await;
        assert!(report.is_sound() && report.refused == 0, "{report}");
        assert!(report.busy > 5 && report.resent == report.busy, "{report}");
        assert!(report.answer.max > at_least, "{report}");
    }
}

#[tokio::test]
async fn what_is_not_answered_is_sent_again() {
    let report = judge(Lie::HangsUp, OPEN).await;
    assert!(report.lost == 0 && report.disordered == 0, "{report}");
    assert!(report.resent > 5 && report.repeated > 5 && report.disconnected > 5);
}
