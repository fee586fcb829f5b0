//! The system calls that no worker has a use for, refused by the kernel (seccomp).

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

/// What is refused with `EPERM`. A guest reaches the kernel only through its engine's WASI functions; this is for the day
/// when it finds a way around them, and for those of them that would open the network.
const REFUSED: &[libc::c_long] = &[
    // Sockets of its own that listen: it has those that it is given.
    libc::SYS_listen,
    // Other programs.
    libc::SYS_execve,
    libc::SYS_execveat,
    // Other processes' memory and descriptors.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Files by other ways than their names, mounts, namespaces.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    // Parts of the kernel with a history of faults.
    libc::SYS_bpf,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // The machine.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_personality,
];

/// The network, and with it the sockets of this server and of others: refused to who may not connect.
const OUTGOING: &[libc::c_long] = &[libc::SYS_socket, libc::SYS_connect];

/// What of the network the kernel leaves to a process and all that it forks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Nothing but the sockets that it is given.
    Given,
    /// Connections of its own.
    Outgoing,
    /// Connections of its own, each from an address of its choice.
    OutgoingFrom,
}

/// Has the kernel refuse these calls to this process and all that it forks from now on. It cannot be taken back.
///
/// # Errors
/// When the kernel has no seccomp or does not take the filter; `no_new_privs` has to be set before.
pub fn refuse_system_calls(network: Network) -> io::Result<()> {
    let arch = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    if network == Network::Given {
        rules.extend(OUTGOING.iter().map(|call| (*call, Vec::new())));
    } else {
        rules.insert(libc::SYS_socket, vec![other_family().map_err(io::Error::other)?]);
    }
    if network != Network::OutgoingFrom {
        rules.insert(libc::SYS_bind, Vec::new());
    }
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch).map_err(io::Error::other)?;
    let program: BpfProgram = filter.try_into().map_err(io::Error::other)?;
    apply_filter(&program).map_err(io::Error::other)
}

/// A socket of a family other than the Internet's two. Unix sockets would lead to this server.
fn other_family() -> Result<SeccompRule, BackendError> {
    let families = [libc::AF_INET, libc::AF_INET6];
    let differs = |family: i32| {
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, u64::from(family.unsigned_abs()))
    };
    SeccompRule::new(families.into_iter().map(differs).collect::<Result<_, _>>()?)
}
