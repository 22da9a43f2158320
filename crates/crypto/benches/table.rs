//! The table in `docs/cryptography.md`: of each operation the time, the same as a multiple of the baseline, and its
//! allocations.
//!
//! Baseline and operations take turns, and the shortest turn of each counts, so a busy machine changes little.

mod operations;

use std::time::{Duration, Instant};

use dhat::HeapStats;
use operations::{BASELINE, Operation};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const TURNS: usize = 60;
const TURN: Duration = Duration::from_millis(4);
const ROUNDS: u64 = 32;

fn main() {
    let mut operations = operations::all();
    let (_, mut baseline) = operations.remove(0);
    let turns: Vec<_> = operations
        .iter_mut()
        .map(|operation| time(operation, &mut baseline))
        .collect();
    let baseline = turns
        .iter()
        .map(|(_, baseline)| *baseline)
        .fold(f64::MAX, f64::min);
    // From here on allocations are counted, and that takes time.
    let _profiler = dhat::Profiler::builder().testing().build();
    println!("| operation | µs | × baseline | per second | allocations | bytes |");
    println!("|---|---|---|---|---|---|");
    println!(
        "| {BASELINE} | {:.1} | 1.00 | {:.0} | 0 | 0 |",
        1e6 * baseline,
        1.0 / baseline
    );
    for ((name, run), (time, _)) in operations.iter_mut().zip(turns) {
        let (count, bytes) = allocations(run);
        let (micros, ratio) = (1e6 * time, time / baseline);
        println!(
            "| {name} | {micros:.1} | {ratio:.2} | {:.0} | {count} | {bytes} |",
            1.0 / time
        );
    }
}

/// Seconds of the operation, and of the baseline beside it.
fn time((name, run): &mut Operation, baseline: &mut dyn FnMut()) -> (f64, f64) {
    eprintln!("{name}");
    let turns = (0..TURNS).map(|_| (turn(run), turn(baseline)));
    turns.fold((f64::MAX, f64::MAX), |best, turn| {
        (best.0.min(turn.0), best.1.min(turn.1))
    })
}

/// Seconds of one run, over a turn of many.
fn turn(run: &mut dyn FnMut()) -> f64 {
    let (start, mut runs) = (Instant::now(), 0_u32);
    while start.elapsed() < TURN {
        run();
        runs += 1;
    }
    start.elapsed().as_secs_f64() / f64::from(runs)
}

/// How many allocations a run makes, and of how many bytes in all.
fn allocations(run: &mut dyn FnMut()) -> (u64, u64) {
    run();
    let before = HeapStats::get();
    for _ in 0..ROUNDS {
        run();
    }
    let after = HeapStats::get();
    (
        (after.total_blocks - before.total_blocks) / ROUNDS,
        (after.total_bytes - before.total_bytes) / ROUNDS,
    )
}
