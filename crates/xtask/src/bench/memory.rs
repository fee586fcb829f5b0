//! What processes cost in memory: all of it, page tables, stacks and sockets of the kernel included.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// A memory cgroup of our own; it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    path: PathBuf,
    file: &'static str,
    /// `v1` or `v2`.
    pub(crate) version: &'static str,
}

impl Group {
    /// A new one, where there is a memory controller that we may use.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let ours = fs::read_to_string("/proc/self/cgroup").ok()?;
        for mount in mounts.lines() {
            let fields: Vec<&str> = mount.split(' ').collect();
            let (version, file, mark) = match fields[..] {
                [_, _, "cgroup2", ..] => ("v2", "memory.current", "::"),
                [_, _, "cgroup", options, ..] if options.split(',').any(|word| word == "memory") => {
                    ("v1", "memory.usage_in_bytes", ":memory:")
                }
                _ => continue,
            };
            let own = ours.lines().find_map(|line| Some(line.split_once(mark)?.1.trim_start_matches('/')));
            let root = PathBuf::from(fields[1]);
            // With v2 a group that has processes has no groups below it, so ours may have to stand beside.
            for above in
                root.join(own.unwrap_or_default()).ancestors().take_while(|dir| dir.starts_with(&root))
            {
                let path = above.join(format!("hero_bench_{}_{name}", std::process::id()));
                if fs::create_dir(&path).is_ok() {
                    let group = Self { path, file, version };
                    if group.path.join(file).exists() {
                        return Some(group);
                    }
                }
            }
        }
        None
    }

    /// A command that runs inside of it.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("sh");
        let procs = self.path.join("cgroup.procs");
        command.args(["-c", r#"echo $$ > "$0" && exec "$@""#]).arg(procs).arg(program);
        command
    }

    fn kb(&self) -> f64 {
        let text = fs::read_to_string(self.path.join(self.file)).unwrap_or_default();
        text.trim().parse().map_or(f64::NAN, |bytes: f64| bytes / 1024.0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..200 {
            // As long as a process of it is being torn down, it stays.
            if fs::remove_dir(&self.path).is_ok() || !self.path.exists() {
                return;
            }
            sleep(Duration::from_millis(10));
        }
    }
}

/// Used memory in kB, of a group or of the machine. What is torn down or made ready behind this gets a moment.
pub(crate) fn used_kb(group: Option<&Group>) -> f64 {
    sleep(Duration::from_millis(500));
    match group {
        Some(group) => group.kb(),
        None => {
            let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
            let field = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
            };
            field("MemTotal") - field("MemAvailable")
        }
    }
}
