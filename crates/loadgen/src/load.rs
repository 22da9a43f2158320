//! A run: a crowd that writes to each other, and the judgement at the end.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::fleet::Fleet;
use crate::ledger::Ledger;
use crate::member::{Member, Run};
use crate::process::processor_time;
use crate::report::Report;
use crate::servers::Servers;

/// How fast messages leave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many a second over all devices, whatever becomes of them.
    Open {
        /// Messages a second.
        rate: f64,
    },
    /// Each device has a message under way to each of its peers at all times.
    Saturate,
}

/// Where the recipients are while messages are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recipients {
    /// Connected: everybody sends and receives.
    #[default]
    Connected,
    /// Away: half of the devices send; the others connect when the sending is over, and find their queues.
    Away,
}

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How fast.
    pub pace: Pace,
    /// For how long messages are sent.
    pub time: Duration,
    /// How long those that are under way then may take.
    pub grace: Duration,
    /// Bytes of content.
    pub size: usize,
    /// How many others each device writes to.
    pub peers: usize,
    /// Where those are meanwhile.
    pub recipients: Recipients,
    /// After how long without hearing anything a connection is given up. Official clients wait 45 s.
    pub patience: Duration,
    /// Tells the messages of this run from those that an earlier one left behind.
    pub run: u64,
    /// The servers' processes, if they are on this machine and their processor time matters.
    pub pids: Vec<u32>,
}

/// Plays the crowd.
pub async fn run(servers: Servers, fleet: Fleet, plan: &Plan) -> anyhow::Result<Report> {
    anyhow::ensure!(
        fleet.accounts.len() > 1,
        "one device alone has nobody to write to"
    );
    let devices = fleet.accounts.len();
    let run = Arc::new(Run {
        servers,
        fleet,
        ledger: Ledger::new(plan.run),
        pace: plan.pace,
        size: plan.size,
        peers: plan.peers,
        senders: match plan.recipients {
            Recipients::Connected => devices,
            Recipients::Away => devices / 2,
        },
        patience: plan.patience,
        silence: CancellationToken::new(),
        end: CancellationToken::new(),
    });
    let mut crowd = JoinSet::new();
    for index in 0..devices {
        crowd.spawn(Member::new(Arc::clone(&run), index).live());
    }
    let before = processor_time(&plan.pids)?;
    sleep(plan.time).await;
    let worked = processor_time(&plan.pids)?.saturating_sub(before);
    run.silence.cancel();
    let patience = Instant::now() + plan.grace;
    // Answers that are under way add to what is outstanding: two looks in a row have to find nothing.
    let mut quiet = 0;
    while quiet < 5 && Instant::now() < patience {
        sleep(Duration::from_millis(100)).await;
        quiet = if run.ledger.outstanding() == 0 {
            quiet + 1
        } else {
            0
        };
    }
    run.end.cancel();
    crowd.join_all().await;
    let worked = (!plan.pids.is_empty()).then_some(worked);
    Ok(Report::of(plan, devices, &run.ledger, worked))
}
