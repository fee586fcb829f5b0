//! What a session may reach of files and of the network, held by the kernel (Landlock) beneath what the engine checks.

use std::io;
use std::os::fd::BorrowedFd;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

/// The newest version of Landlock whose rights are named here; an older kernel holds those that it knows.
const NEWEST: ABI = ABI::V6;

/// What a process may reach from now on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reach<'a> {
    /// Folders, and whether nothing in them may be changed.
    pub folders: &'a [(BorrowedFd<'a>, bool)],
    /// Files that may be read.
    pub files: &'a [BorrowedFd<'a>],
    /// TCP ports that may be connected to; `None`: all of them.
    pub ports: Option<&'a [u16]>,
}

/// Confines this process and all that it forks from now on to what `reach` says; descriptors that are open stay usable.
/// Signals and abstract Unix sockets of others are out of reach too. It cannot be taken back. Whether the kernel has
/// Landlock at all.
///
/// # Errors
/// When the kernel has Landlock and does not take a rule.
pub fn confine(reach: Reach<'_>) -> io::Result<bool> {
    restrict(reach).map_err(io::Error::other)
}

fn restrict(reach: Reach<'_>) -> Result<bool, RulesetError> {
    // A program is nothing that any session may start.
    let all = AccessFs::from_all(NEWEST);
    let change = all & !BitFlags::from(AccessFs::Execute);
    let look = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(all)?;
    if reach.ports.is_some() {
        rules = rules.handle_access(AccessNet::ConnectTcp)?;
    }
    let mut rules = rules.scope(Scope::from_all(NEWEST))?.create()?;
    for (folder, read_only) in reach.folders {
        rules = rules.add_rule(PathBeneath::new(folder, if *read_only { look } else { change }))?;
    }
    for file in reach.files {
        rules = rules.add_rule(PathBeneath::new(file, AccessFs::ReadFile))?;
    }
    for port in reach.ports.unwrap_or_default() {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    // `no_new_privs` is inherited from the zygote.
    Ok(rules.no_new_privs(false).restrict_self()?.ruleset != RulesetStatus::NotEnforced)
}
