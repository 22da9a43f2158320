//! Two people talk, one line at a time: what a newcomer wants to see.

use std::time::Duration;

use anyhow::Context as _;
use api::ws::frame::Envelope;
use bytes::Bytes;
use tokio::time::Instant;

use crate::fleet::{Account, Fleet, Recruiting};
use crate::servers::Servers;
use crate::socket::{Event, Socket};

/// What they say. Real clients encrypt; to the server it is all the same.
const TALK: [&str; 4] = [
    "Are you there?",
    "The mirror is up. I read you.",
    "Then nothing between us can tamper unseen.",
    "It cannot even read this. Good light!",
];

/// Nobody waits longer.
const PATIENCE: Duration = Duration::from_secs(15);

/// One of the two.
struct Person {
    name: &'static str,
    account: Account,
    socket: Socket,
}

impl Person {
    async fn new(servers: &Servers, name: &'static str, account: &Account) -> anyhow::Result<Self> {
        let mut person = Self {
            name,
            account: account.clone(),
            socket: Socket::open(servers, 0, account).await?,
        };
        person
            .wait(|event| matches!(event, Event::QueueEmpty))
            .await?;
        println!("  {name} is {} and listens", account.aci);
        Ok(person)
    }

    /// Waits for an event; messages before it are acknowledged and forgotten.
    async fn wait(&mut self, wanted: impl Fn(&Event) -> bool) -> anyhow::Result<Event> {
        let waiting = async {
            loop {
                let event = self.socket.next().await;
                if wanted(&event) {
                    return Ok(event);
                }
                match event {
                    Event::Message(id, _) => self.socket.acknowledge(id).await?,
                    Event::Closed(code) => anyhow::bail!("the server closed with {code:?}"),
                    Event::QueueEmpty | Event::Answer(..) | Event::Pong => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .with_context(|| format!("{} waited in vain", self.name))?
    }

    async fn say(&mut self, to: &Account, line: &str, timestamp: i64) -> anyhow::Result<()> {
        let id = self.socket.send(to, line.into(), timestamp).await?;
        let answer = self
            .wait(|event| matches!(event, Event::Answer(of, ..) if *of == id))
            .await?;
        anyhow::ensure!(
            matches!(answer, Event::Answer(_, 200, _)),
            "the message was refused: {answer:?}"
        );
        Ok(())
    }

    /// Takes the next message and acknowledges it.
    async fn hear(&mut self) -> anyhow::Result<Bytes> {
        let is_message = |envelope: &Envelope| envelope.content.is_some();
        let event = self
            .wait(|event| matches!(event, Event::Message(_, envelope) if is_message(envelope)))
            .await?;
        match event {
            Event::Message(id, envelope) => {
                self.socket.acknowledge(id).await?;
                Ok(envelope.content.unwrap_or_default())
            }
            other => anyhow::bail!("{other:?} is no message"),
        }
    }

    async fn hear_receipt(&mut self, timestamp: i64) -> anyhow::Result<()> {
        let timestamp = u64::try_from(timestamp).ok();
        let is_receipt = |envelope: &Envelope| {
            envelope.content.is_none() && envelope.client_timestamp == timestamp
        };
        let event = self
            .wait(|event| matches!(event, Event::Message(_, envelope) if is_receipt(envelope)))
            .await?;
        match event {
            Event::Message(id, _) => self.socket.acknowledge(id).await,
            other => anyhow::bail!("{other:?} is no receipt"),
        }
    }
}

/// Registers two people and lets them talk.
pub async fn run(servers: &Servers, seed: u16, code: &str) -> anyhow::Result<()> {
    println!("Two people register:");
    let wanted = Recruiting {
        accounts: 2,
        seed,
        code: code.to_owned(),
    };
    let fleet = Fleet::recruit(servers, &wanted).await?;
    let [first, second] = &fleet.accounts[..] else {
        anyhow::bail!("two people are needed")
    };
    let mut speaking = Person::new(servers, "Ada", first).await?;
    let mut listening = Person::new(servers, "Ben", second).await?;
    println!("\nThey talk over their WebSockets:");
    for (timestamp, line) in (1_767_225_600_000..).zip(TALK) {
        let said = Instant::now();
        speaking.say(&listening.account, line, timestamp).await?;
        let heard = listening.hear().await?;
        let took = said.elapsed();
        anyhow::ensure!(heard == line.as_bytes(), "something else was heard");
        speaking.hear_receipt(timestamp).await?;
        println!(
            "  {}: {line}\n       stored, delivered to {} after {took:.1?}, acknowledged, receipt is back",
            speaking.name, listening.name
        );
        std::mem::swap(&mut speaking, &mut listening);
    }
    println!(
        "\nEvery step is a fact in the log. Try: heliograph audit show --account {}",
        speaking.account.aci
    );
    speaking.socket.leave().await;
    listening.socket.leave().await;
    Ok(())
}
