//! What the server's processes take of this machine, as Linux counts it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::Context as _;

/// Ticks a second in `/proc/{pid}/stat`, whatever the kernel's own clock.
const TICKS: u64 = 100;

/// The resident set of processes, in KiB.
pub fn resident(pids: &[u32]) -> anyhow::Result<u64> {
    let one = |pid: &u32| {
        let file = format!("/proc/{pid}/status");
        let status =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let size = line.and_then(|line| line.split_whitespace().next());
        size.and_then(|size| size.parse::<u64>().ok())
            .with_context(|| format!("{file} does not tell the resident set"))
    };
    pids.iter().map(one).sum()
}

/// The processor time that these processes, those that they have started, and those that ended meanwhile have used.
pub fn processor_time(pids: &[u32]) -> anyhow::Result<Duration> {
    let all = processes()?;
    let mut ticks = 0;
    let mut family: Vec<u32> = pids.to_vec();
    let mut counted = HashSet::new();
    while let Some(pid) = family.pop() {
        if !counted.insert(pid) {
            continue; // named, and started by another that was named
        }
        ticks += all
            .get(&pid)
            .with_context(|| format!("there is no process {pid}"))?
            .ticks;
        let children = all.iter().filter(|(_, process)| process.parent == pid);
        family.extend(children.map(|(child, _)| *child));
    }
    Ok(Duration::from_millis(ticks * 1000 / TICKS))
}

struct Process {
    parent: u32,
    ticks: u64,
}

fn processes() -> anyhow::Result<HashMap<u32, Process>> {
    let mut all = HashMap::new();
    for entry in std::fs::read_dir("/proc").context("processor time is told in /proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Those that end while one looks do not count.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if let Some(process) = process(&stat) {
            all.insert(pid, process);
        }
    }
    Ok(all)
}

/// `pid (name) state parent …`: the name may hold anything. The 12th to 15th number behind it are the time in user and
/// system mode of the process and of its children that have ended.
fn process(stat: &str) -> Option<Process> {
    let (_, numbers) = stat.rsplit_once(')')?;
    let numbers: Vec<_> = numbers.split_whitespace().collect();
    let ticks = numbers
        .get(11..15)?
        .iter()
        .map(|ticks| ticks.parse::<u64>());
    Some(Process {
        parent: numbers.get(1)?.parse().ok()?,
        ticks: ticks.sum::<Result<_, _>>().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory() {
        assert!(resident(&[std::process::id()]).unwrap() > 100);
        assert!(resident(&[u32::MAX]).is_err());
    }

    #[test]
    fn a_name_with_brackets_does_not_confuse_anybody() {
        let stat = "7 (a) b) (c) S 3 7 7 0 -1 4194560 1 0 0 0 10 20 30 40 20 0 1 0 100";
        let process = process(stat).unwrap();
        assert_eq!((process.parent, process.ticks), (3, 100));
    }

    #[test]
    fn work_takes_processor_time() {
        let own = [std::process::id()];
        let before = processor_time(&own).unwrap();
        let mut sum = 0_u64;
        while processor_time(&own).unwrap() < before + Duration::from_millis(50) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(processor_time(&[u32::MAX]).is_err());
    }
}
