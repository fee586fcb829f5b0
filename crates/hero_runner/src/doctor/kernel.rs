//! What the kernel offers.

use std::path::Path;

use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};
use rustix::process::{PidfdFlags, getpid, pidfd_open};

use super::{Check, read};

pub(super) fn checks() -> Vec<Check> {
    vec![kernel(), pidfd(), landlock(), seccomp(), cgroups(), namespaces()]
}

fn kernel() -> Check {
    match read("/proc/sys/kernel/osrelease") {
        Some(release) => Check::ok("kernel", format!("Linux {release}")),
        None => Check::fail("kernel", "/proc is not mounted", "mount it: sessions are watched through it"),
    }
}

fn pidfd() -> Check {
    match pidfd_open(getpid(), PidfdFlags::empty()) {
        Ok(_) => Check::ok("pidfd", "works"),
        Err(error) => {
            Check::fail("pidfd", error.to_string(), "needs Linux 5.3, and a sandbox that allows pidfd_open")
        }
    }
}

/// Whether the kernel takes a ruleset with everything that a version of Landlock knows. Nothing is restricted.
fn takes(abi: ABI) -> bool {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(abi))
        .and_then(Ruleset::create)
        .is_ok()
}

fn landlock() -> Check {
    // Only versions that brought new rights to files can be told apart this way.
    let known = [(ABI::V5, "5 or later"), (ABI::V3, "3 or 4"), (ABI::V2, "2"), (ABI::V1, "1")];
    match known.into_iter().find(|(abi, _)| takes(*abi)) {
        Some((_, version)) => Check::ok("landlock", format!("version {version}")),
        None => Check::warn(
            "landlock",
            "not there, or not enabled",
            "sessions are kept in their folders by the engine alone; boot with lsm=landlock,… to have both",
        ),
    }
}

fn seccomp() -> Check {
    let filters = read("/proc/sys/kernel/seccomp/actions_avail");
    let field =
        read("/proc/self/status").is_some_and(|status| status.lines().any(|l| l.starts_with("Seccomp:")));
    match filters {
        Some(actions) if actions.contains("errno") => Check::ok("seccomp", "filters work"),
        _ if field => {
            Check::warn("seccomp", "there, but which filters is not told", "mount /proc/sys to be sure")
        }
        _ => Check::warn(
            "seccomp",
            "not there",
            "sessions run without a filter on system calls; use a kernel with CONFIG_SECCOMP_FILTER",
        ),
    }
}

fn cgroups() -> Check {
    let v2 = read("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    if v2.split_whitespace().any(|controller| controller == "memory") {
        return Check::ok("cgroups", format!("version 2: {v2}"));
    }
    if Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists() {
        return Check::ok("cgroups", "version 1, with memory");
    }
    Check::warn(
        "cgroups",
        "no memory controller",
        "the engine's limit of pages holds alone; delegate the memory controller to have both",
    )
}

fn namespaces() -> Check {
    let most = read("/proc/sys/user/max_user_namespaces").and_then(|most| most.parse::<u64>().ok());
    let forbidden = read("/proc/sys/kernel/unprivileged_userns_clone").is_some_and(|allowed| allowed == "0")
        || read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
            .is_some_and(|forbidden| forbidden == "1");
    let root = rustix::process::geteuid().is_root();
    match most {
        Some(most) if most > 0 && (root || !forbidden) => Check::ok("user namespaces", "allowed"),
        Some(_) => Check::warn(
            "user namespaces",
            "not allowed",
            "sessions share the host's namespaces; raise user.max_user_namespaces, or allow unprivileged ones",
        ),
        None => Check::warn("user namespaces", "not there", "sessions share the host's namespaces"),
    }
}
