//! The time of each operation on one core, for comparing one state of the code with another. `table` has the numbers of
//! `docs/cryptography.md`.

mod operations;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .configure_from_args();
    let mut group = criterion.benchmark_group("crypto");
    for (name, mut run) in operations::all() {
        group.bench_function(name, |bencher| bencher.iter(&mut run));
    }
    group.finish();
    Criterion::default().configure_from_args().final_summary();
}
