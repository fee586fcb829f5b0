//! A cgroup for one session, where the machine lets this server make any: version 2 with the memory controller, or version 1.
//!
//! It limits the memory of the whole process, where the limit of WebAssembly pages is that of its linear memory. What a
//! process shares with its zygote was charged when the zygote touched it, and is not counted again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::core::Shared;
use crate::session::{Session, Waiting, lock};

/// What the engine may take beside linear memory, in bytes: a loaded module, its own stack, buffers of the kernel.
const BESIDE: u64 = 128 << 20;

/// What the name of a server's cgroup begins with; its pid follows.
const PREFIX: &str = "hero_runner-";

/// Where cgroups can be made.
#[derive(Debug)]
pub(crate) struct Cgroups {
    dir: PathBuf,
    v2: bool,
}

impl Cgroups {
    /// Finds out whether cgroups with a limit of memory can be made here, below this process's own.
    pub(crate) fn find() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let (dir, v2) = place(&mounts, &own)?;
        if v2 {
            // Whoever delegated this cgroup has enabled the controller for what is below it, or this does. The kernel refuses
            // while processes are in it, and those are not this server's to move.
            fs::write(dir.join("cgroup.subtree_control"), "+memory").ok()?;
        }
        sweep(&dir);
        let dir = dir.join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir(&dir).ok()?;
        Some(Self { dir, v2 })
    }

    /// Puts a process into a cgroup of this name, with a limit for this much linear memory in bytes; what is charged to it
    /// from here on counts.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn enter(&self, name: &str, pid: u32, linear: u64) -> io::Result<Cgroup> {
        if let Some(beside) = self.dir.parent() {
            // Its processes may not have been quite gone before.
            sweep(beside);
        }
        let group = Cgroup { dir: self.dir.join(name), v2: self.v2, limit: linear + BESIDE };
        fs::create_dir_all(&group.dir)?;
        if group.v2 {
            if let Some(parent) = group.dir.parent() {
                fs::write(parent.join("cgroup.subtree_control"), "+memory")?;
            }
            // Without swap, or the limit is none.
            let _ = fs::write(group.dir.join("memory.swap.max"), "0");
        }
        let limit = if group.v2 { "memory.max" } else { "memory.limit_in_bytes" };
        fs::write(group.dir.join(limit), group.limit.to_string())?;
        fs::write(group.dir.join("cgroup.procs"), pid.to_string())?;
        Ok(group)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.dir);
    }
}

impl Shared {
    /// Limits the memory of a worker's whole process, where that can be done.
    pub(crate) fn confine(&self, session: &Session, pid: u32, waiting: &Waiting) {
        let Some(cgroups) = &self.cgroups else { return };
        match cgroups.enter(&session.id, pid, u64::from(waiting.spec.max_pages) << 16) {
            Ok(cgroup) => {
                lock(&session.info).limits.memory_cgroup_mb = Some(cgroup.limit >> 20);
                *lock(&session.cgroup) = Some(cgroup);
            }
            Err(error) => tracing::warn!(session = session.id, %error, "no cgroup for a session"),
        }
    }
}

/// The folder of this process's own cgroup that has a memory controller, and whether it is version 2.
fn place(mounts: &str, own: &str) -> Option<(PathBuf, bool)> {
    // mountinfo: id parent major:minor root mountpoint options… - type source super-options
    let mount = |wanted: &dyn Fn(&str, &str) -> bool| {
        mounts.lines().find_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let mut right = right.split(' ');
            let (kind, options) = (right.next()?, right.nth(1)?);
            let mut left = left.split(' ').skip(3);
            let (root, point) = (left.next()?, left.next()?);
            wanted(kind, options).then(|| (root.to_owned(), PathBuf::from(point)))
        })
    };
    let path = |wanted: &dyn Fn(&str) -> bool| {
        own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            wanted(controllers).then(|| path.to_owned())
        })
    };
    let below = |(root, point): (String, PathBuf), path: String| {
        let rest =
            path.strip_prefix(root.trim_end_matches('/')).unwrap_or(&path).trim_start_matches('/').to_owned();
        point.join(rest)
    };
    let memory = |list: &str| list.split(',').any(|name| name == "memory");
    if let Some(mounted) = mount(&|kind, options| kind == "cgroup" && memory(options)) {
        return Some((below(mounted, path(&memory)?), false));
    }
    let dir = below(mount(&|kind, _| kind == "cgroup2")?, path(&str::is_empty)?);
    let controllers = fs::read_to_string(dir.join("cgroup.controllers")).ok()?;
    controllers.split_whitespace().any(|name| name == "memory").then_some((dir, true))
}

/// A session's cgroup. It goes with this.
#[derive(Debug)]
pub(crate) struct Cgroup {
    dir: PathBuf,
    v2: bool,
    /// In bytes.
    pub(crate) limit: u64,
}

impl Cgroup {
    /// Whether the kernel has killed in it for want of memory.
    pub(crate) fn was_out_of_memory(&self) -> bool {
        let file = if self.v2 { "memory.events" } else { "memory.oom_control" };
        killed(&self.dir.join(file)).unwrap_or(false)
    }
}

/// Removes what servers have left that were killed. The kernel keeps what has processes in it.
fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        if Path::new("/proc").join(pid).exists() {
            continue;
        }
        for session in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            let _ = fs::remove_dir(session.path());
        }
        let _ = fs::remove_dir(entry.path());
    }
}

fn killed(file: &Path) -> Option<bool> {
    let text = fs::read_to_string(file).ok()?;
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
    Some(count.trim() != "0")
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Its process is gone.
        let _ = fs::remove_dir(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_cgroup_is_found_below_its_mount() {
        let mounts = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";
        let own = "9:name=systemd:/\n4:memory:/a/b\n0::/\n";
        assert_eq!(place(mounts, own), Some((PathBuf::from("/sys/fs/cgroup/memory/a/b"), false)));
        let shown = "35 31 0:32 /a /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(place(shown, own), Some((PathBuf::from("/sys/fs/cgroup/memory/b"), false)));
        assert_eq!(place("", own), None);
    }
}
