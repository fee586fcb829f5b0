//! What the kernel says of a process that lives, in proc(5).

use std::fs::read_to_string;

/// A tick of the times in `/proc/PID/stat` in microseconds: 100 of them are a second on every machine that this runs on.
const TICK_US: u64 = 10_000;

/// A page in KiB, on x86-64.
const PAGE_KB: u64 = 4;

/// Resident memory in KiB.
pub(crate) fn rss_kb(pid: u32) -> Option<u64> {
    let text = read_to_string(format!("/proc/{pid}/statm")).ok()?;
    Some(text.split(' ').nth(1)?.parse::<u64>().ok()? * PAGE_KB)
}

/// Its proportional set size in KiB: a page that N processes share counts as 1/N of a page.
pub(crate) fn pss_kb(pid: u32) -> Option<u64> {
    field_kb(&read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?, "Pss:")
}

/// The largest resident size that it has had, in KiB.
pub(crate) fn max_rss_kb(pid: u32) -> Option<u64> {
    field_kb(&read_to_string(format!("/proc/{pid}/status")).ok()?, "VmHWM:")
}

/// Its CPU time, user and system, in microseconds; to a hundredth of a second.
pub(crate) fn cpu_us(pid: u32) -> Option<u64> {
    ticks(&read_to_string(format!("/proc/{pid}/stat")).ok()?).map(|ticks| ticks * TICK_US)
}

fn field_kb(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// `utime` and `stime`, the 14th and 15th field. The second is the program's name, which may hold anything, so counting
/// begins behind its last bracket.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_to_the_kernel() {
        let own = std::process::id();
        assert!(rss_kb(own).unwrap() > 100);
        assert!(max_rss_kb(own).unwrap() >= 100);
        assert!(cpu_us(own).is_some());
        // A pid has 22 bits at most.
        assert_eq!((rss_kb(1 << 30), max_rss_kb(1 << 30), cpu_us(1 << 30)), (None, None, None));
    }

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 31 11 5 6 20 0 1 0 99 1000 200";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (a S 1"), None);
        assert_eq!(ticks("7 (a) S 1 2"), None);
    }
}
