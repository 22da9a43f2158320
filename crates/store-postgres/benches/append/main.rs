//! Append throughput, beside what it is measured against, on one private Postgres with fsync on.
//!
//! `cargo bench -p store-postgres --bench append -- [--rounds 3] [--seconds 5] [--writers 64] [--only ours]`
//!
//! Every design is run in each round, one after the other, so that a disk that drifts drifts for all; what counts is the
//! ratio of two runs of the same round. Each run counts the rows it has left and fails if an acknowledged one is missing.

mod contenders;

use std::str::FromStr;
use std::time::Duration;

use contenders::{Contender, Setting};
use sqlx::{Connection as _, PgConnection};
use store_postgres::embedded::{Cluster, Options};

/// How many writers, in the order of the table.
const WRITERS: [usize; 4] = [1, 8, 64, 256];

/// What issue and architecture ask for: contender, writers, and the least ratio of ours to it.
const BARS: [(Contender, usize, f64); 3] = [
    (Contender::Pgbench, 1, 0.8),
    (Contender::Pgbench, 64, 3.0),
    (Contender::CqrsEs, 64, 6.0),
];

/// What one run came to.
struct Run {
    contender: Contender,
    writers: usize,
    round: usize,
    rate: f64,
    /// Half and 99 of 100 appends were answered within.
    latency: Option<(Duration, Duration)>,
}

fn main() {
    let rounds = argument("--rounds").unwrap_or(3);
    let duration = Duration::from_secs(argument("--seconds").unwrap_or(5));
    let folder = tempfile::Builder::new()
        .prefix("heliograph-bench-")
        .tempdir_in("/var/tmp")
        .expect("/var/tmp is writable");
    std::fs::set_permissions(
        folder.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .expect("the folder is ours");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts");
    let runs = runtime.block_on(async {
        let options = Options {
            max_connections: 400,
            ..Options::new(folder.path().join("postgres"))
        };
        let cluster = Cluster::start(&options)
            .await
            .expect("Postgres is installed");
        let runs = measure(&cluster, rounds, duration).await;
        cluster.stop().await.expect("Postgres stops");
        runs
    });
    report(&runs, usize::try_from(rounds).expect("few rounds"));
}

/// What follows `name` on the command line.
fn argument<T: FromStr>(name: &str) -> Option<T> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    let value = arguments.nth(1)?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} {value} makes no sense")),
    )
}

async fn measure(cluster: &Cluster, rounds: u64, duration: Duration) -> Vec<Run> {
    let mut runs = Vec::new();
    let (writers_only, contender_only) =
        (argument::<usize>("--writers"), argument::<String>("--only"));
    for round in 0..usize::try_from(rounds).expect("few rounds") {
        for writers in WRITERS
            .into_iter()
            .filter(|writers| writers_only.is_none_or(|only| only == *writers))
        {
            for contender in Contender::ALL {
                if contender_only
                    .as_ref()
                    .is_some_and(|only| *only != contender.to_string())
                {
                    continue;
                }
                if contender == Contender::CqrsEs && writers == 256 {
                    continue; // its pool would need as many connections
                }
                checkpoint(cluster).await;
                let setting = Setting {
                    cluster,
                    writers,
                    duration,
                };
                let (rate, latency) = contender.run(&setting).await;
                eprintln!(
                    "round {round}: {contender:>8} {writers:>4} writers {rate:>8.0}/s {latency:?}"
                );
                runs.push(Run {
                    contender,
                    writers,
                    round,
                    rate,
                    latency,
                });
            }
        }
    }
    runs
}

/// No run pays for the pages that the one before it left dirty.
async fn checkpoint(cluster: &Cluster) {
    let mut connection = PgConnection::connect_with(cluster.connect_options())
        .await
        .expect("Postgres takes connections");
    sqlx::query("CHECKPOINT")
        .execute(&mut connection)
        .await
        .expect("a superuser may");
    connection.close().await.expect("the connection closes");
}

fn report(runs: &[Run], rounds: usize) {
    println!("\n| writers | design | appends/s median (min–max) | p50 / p99 ms | ours ÷ it |");
    println!("|---|---|---|---|---|");
    for writers in WRITERS {
        for contender in Contender::ALL {
            let rates = select(runs, contender, writers, |run| run.rate);
            if rates.is_empty() {
                continue;
            }
            let millis = |of: fn((Duration, Duration)) -> Duration| {
                median(&select(runs, contender, writers, |run| {
                    run.latency
                        .map_or(f64::NAN, |latency| of(latency).as_secs_f64() * 1e3)
                }))
            };
            println!(
                "| {writers} | {contender} | {:.0} ({:.0}–{:.0}) | {} / {} | {:.2} |",
                median(&rates),
                rates.iter().copied().fold(f64::INFINITY, f64::min),
                rates.iter().copied().fold(0.0, f64::max),
                shown(millis(|latency| latency.0)),
                shown(millis(|latency| latency.1)),
                ratio(runs, contender, writers, rounds),
            );
        }
    }
    println!();
    for (contender, writers, bar) in BARS {
        let reached = ratio(runs, contender, writers, rounds);
        if reached.is_nan() {
            continue; // left out by an option
        }
        let verdict = if reached >= bar { "reached" } else { "MISSED" };
        println!("{writers} writers: {reached:.2} x {contender}, bar {bar}: {verdict}");
    }
}

/// Milliseconds, or that nobody measured them.
fn shown(millis: f64) -> String {
    if millis.is_nan() {
        "–".to_owned()
    } else {
        format!("{millis:.1}")
    }
}

/// The median over the rounds of our rate divided by the contender's in the same round.
fn ratio(runs: &[Run], contender: Contender, writers: usize, rounds: usize) -> f64 {
    let rate = |of: Contender, round: usize| {
        runs.iter()
            .find(|run| run.contender == of && run.writers == writers && run.round == round)
            .map_or(f64::NAN, |run| run.rate)
    };
    let ratios: Vec<f64> = (0..rounds)
        .map(|round| rate(Contender::Ours, round) / rate(contender, round))
        .collect();
    median(&ratios)
}

fn select(
    runs: &[Run],
    contender: Contender,
    writers: usize,
    value: impl Fn(&Run) -> f64,
) -> Vec<f64> {
    let chosen = runs
        .iter()
        .filter(|run| run.contender == contender && run.writers == writers);
    chosen.map(value).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
