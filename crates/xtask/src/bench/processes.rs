//! Processes, as `/proc` shows them.

use std::fs;

/// The processes below this one.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all: Vec<(u32, u32)> =
        numbers.filter_map(|entry| parent(entry.file_name().to_str()?.parse().ok()?)).collect();
    let (mut found, mut next) = (Vec::new(), vec![pid]);
    while let Some(parent) = next.pop() {
        let children = all.iter().filter(|(_, its)| *its == parent).map(|(child, _)| *child);
        next.extend(children.clone());
        found.extend(children);
    }
    found
}

fn parent(pid: u32) -> Option<(u32, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let (_, tail) = stat.rsplit_once(") ")?;
    Some((pid, tail.split(' ').nth(1)?.parse().ok()?))
}

pub(crate) fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Whose processor time is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cpu {
    Nobody,
    /// A process and those below it.
    Tree(u32),
    /// The threads of this name in a process.
    Threads(u32, &'static str),
    /// Our own children that have ended, with what was below them, in steps of 10 ms.
    Ended,
}

impl Cpu {
    /// How much it is up to now, in microseconds; not a number for nobody, and where the kernel does not count it.
    pub(crate) fn micros(&self) -> f64 {
        let (pids, name) = match *self {
            Self::Nobody => (Vec::new(), None),
            Self::Tree(pid) => ([&[pid], descendants(pid).as_slice()].concat(), None),
            Self::Threads(pid, name) => (vec![pid], Some(name)),
            Self::Ended => return ended().unwrap_or(f64::NAN),
        };
        let tasks = pids.iter().filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok());
        let mut nanos = None;
        for task in tasks.flatten().flatten().map(|entry| entry.path()) {
            let read = |file| fs::read_to_string(task.join(file)).unwrap_or_default();
            if name.is_none_or(|name| read("comm").trim() == name)
                && let Some(more) =
                    read("schedstat").split(' ').next().and_then(|word| word.parse::<u64>().ok())
            {
                nanos = Some(nanos.unwrap_or(0) + more);
            }
        }
        nanos.map_or(f64::NAN, |nanos| nanos as f64 / 1000.0)
    }
}

/// `cutime` and `cstime`, whose unit is a hundredth of a second.
fn ended() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, tail) = stat.rsplit_once(") ")?;
    let ticks = tail.split(' ').skip(16 - 3).take(2).map(|field| field.parse::<f64>().ok());
    Some(ticks.sum::<Option<f64>>()? * 10_000.0)
}

/// Its share of memory in kB: what it alone has, and its part of what it shares.
pub(crate) fn pss_kb(pid: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse().ok()
}
