//! Who is there, as `/proc` tells.

use std::fs;
use std::path::{Path, PathBuf};

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The number of its parent.
    pub parent: u32,
    /// The letter of its state: `R`, `S`, `D`, `T`, `Z`, …
    pub state: char,
    /// Its short name.
    pub name: String,
    /// When it began, in ticks since boot: with the number it names a process for ever.
    pub began: u64,
}

impl Process {
    /// Whether it ended and waits to be reaped.
    #[must_use]
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    /// Whether this very process still runs; a zombie does not.
    #[must_use]
    pub fn still_runs(&self) -> bool {
        process(self.pid).is_some_and(|now| now.began == self.began && !now.is_zombie())
    }
}

/// The process with this number, if there is one.
#[must_use]
pub fn process(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the numbered fields begin with the third behind it (proc(5)).
    let (head, tail) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = tail.split(' ').collect();
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        state: fields.first()?.chars().next()?,
        name: head.split_once(" (")?.1.to_owned(),
        began: fields.get(19)?.parse().ok()?,
    })
}

fn numbers(dir: &Path) -> Vec<u32> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Every process.
#[must_use]
pub fn all() -> Vec<Process> {
    numbers(Path::new("/proc")).into_iter().filter_map(process).collect()
}

/// The children of a process.
#[must_use]
pub fn children(pid: u32) -> Vec<Process> {
    all().into_iter().filter(|process| process.parent == pid).collect()
}

/// The children of a process, their children, and so on; zombies too.
#[must_use]
pub fn descendants(pid: u32) -> Vec<Process> {
    let all = all();
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        for process in all.iter().filter(|process| process.parent == parent) {
            parents.push(process.pid);
            found.push(process.clone());
        }
    }
    found
}

/// The zombies among the descendants of a process.
#[must_use]
pub fn zombies(pid: u32) -> Vec<Process> {
    descendants(pid).into_iter().filter(Process::is_zombie).collect()
}

/// The processes that have this folder, or one in it, as their working folder. A server is started in a folder of its own
/// and what it forks stays there, also when its parent is gone.
#[must_use]
pub fn living_in(dir: &Path) -> Vec<Process> {
    let lives = |process: &Process| {
        fs::read_link(format!("/proc/{}/cwd", process.pid)).is_ok_and(|cwd| cwd.starts_with(dir))
    };
    all().into_iter().filter(|process| !process.is_zombie() && lives(process)).collect()
}

/// What ps(1) shows of a process.
#[must_use]
pub fn title(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = bytes.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    words.join(" ").trim_end().to_owned()
}

/// The threads of a process.
#[must_use]
pub fn threads(pid: u32) -> Vec<u32> {
    numbers(Path::new(&format!("/proc/{pid}/task")))
}

/// The open descriptors of a process, by number, and what they lead to.
#[must_use]
pub fn open_files(pid: u32) -> Vec<(u32, PathBuf)> {
    let dir = PathBuf::from(format!("/proc/{pid}/fd"));
    let mut fds = numbers(&dir);
    fds.sort_unstable();
    fds.into_iter().filter_map(|fd| Some((fd, fs::read_link(dir.join(fd.to_string())).ok()?))).collect()
}

/// A field of `/proc/PID/status`, such as `VmRSS` or `NoNewPrivs`.
#[must_use]
pub fn status(pid: u32, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// The processor time of a process so far, in ticks, of which a second has 100.
#[must_use]
pub fn cpu_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let [user, system] = [11, 12].map(|field| fields.get(field)?.parse::<u64>().ok());
    Some(user? + system?)
}

/// The resident memory of a process in KiB.
#[must_use]
pub fn resident_kb(pid: u32) -> Option<u64> {
    status(pid, "VmRSS")?.split(' ').next()?.parse().ok()
}
