//! Allocations of each operation: how many, and how many bytes in all. `docs/src/cryptography.md` has a table.

mod operations;

use dhat::HeapStats;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const ROUNDS: u64 = 32;

fn main() {
    // Constants are computed on first use, and that is not what is measured.
    let operations = operations::all();
    let _profiler = dhat::Profiler::builder().testing().build();
    println!("| operation | allocations | bytes |\n|---|---|---|");
    for (name, mut run) in operations {
        run();
        let before = HeapStats::get();
        (0..ROUNDS).for_each(|_| run());
        let after = HeapStats::get();
        let blocks = (after.total_blocks - before.total_blocks) / ROUNDS;
        let bytes = (after.total_bytes - before.total_bytes) / ROUNDS;
        println!("| {name} | {blocks} | {bytes} |");
    }
}
