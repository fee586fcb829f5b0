//! What makes a forked process a worker: one list of steps, in this order.

use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};

use sys::child;
use sys::filter::Network;
use sys::title::Title;

/// The guest's standard input.
pub const STDIN: RawFd = 0;
/// What the process itself prints; also at 2.
pub const HOST: RawFd = 1;
/// The control socket, where the session comes in.
pub const CONTROL: RawFd = 3;
/// The pipe that the frames go out of.
pub const FRAMES: RawFd = 4;

/// In a template: the module's file. Its control socket and its host pipe have a worker's numbers.
pub const MODULE: RawFd = 4;

/// Open descriptors of a worker. A guest's files and connections count, so does the engine's own handful.
const MAX_FDS: u64 = 2048;
/// The largest file that a guest may write: 16 GiB.
const MAX_FILE: u64 = 16 << 30;

/// The descriptors of one worker, as they came with the request to fork.
#[derive(Debug)]
pub(crate) struct ChildFds {
    pub(crate) stdin: OwnedFd,
    pub(crate) host: OwnedFd,
    pub(crate) control: OwnedFd,
    pub(crate) frames: OwnedFd,
}

/// The descriptors of one template, as they came with the request to fork.
#[derive(Debug)]
pub(crate) struct TemplateFds {
    pub(crate) control: OwnedFd,
    pub(crate) module: OwnedFd,
    pub(crate) host: OwnedFd,
}

/// What templates and workers inherit, done once in the root zygote instead of once for each of them. Inside a guest that
/// runs, which is where a template may fork, the engine's handlers have to stay as they are.
pub(crate) fn prepare(network: Network) -> io::Result<()> {
    // Default actions for all signals: neither the runtime of the language nor the engine's handlers of another run
    // have a say in a worker. Broken pipes and full quotas become errnos.
    child::reset_signals()?;
    child::ignore_write_signals()?;
    sys::sched::prepare_to_yield()?;
    // The limits that hold (see sys::child::Limits for those that would not); the zygote itself needs less.
    child::limit(child::Limits { max_fds: MAX_FDS, max_file: MAX_FILE })?;
    // Nothing that is executed from here on could gain privileges. It cannot be taken back.
    child::no_new_privileges()?;
    // No network unless it is for sessions that have a permission, no other programs, no reach into other processes.
    sys::filter::refuse_system_calls(network)
}

/// Makes this process, which was just forked, a template.
pub(crate) fn set_up_template(fds: TemplateFds, zygote: i32, title: Title, name: &str) -> io::Result<()> {
    // The same steps as for a worker, as far as they apply. A guest that looks at its standard streams before it reads
    // finds what it will find in a session: pipes.
    child::die_with_parent(zygote)?;
    let (stdin, _) = std::io::pipe()?;
    let host_again = fds.host.as_fd().try_clone_to_owned()?;
    child::keep_only(
        vec![stdin.into(), fds.host, host_again, fds.control, fds.module],
        &[STDIN, HOST, HOST + 1, CONTROL, MODULE],
        &[],
    )?;
    child::unblock_signals()?;
    child::new_group()?;
    child::become_subreaper()?;
    title.set(&format!("hero_runner: template {name}"));
    Ok(())
}

/// Makes this process, which was just forked, a worker. `zygote` is the pid of the process that forked it; `guest` are
/// the descriptors that the guest has open already, `engine` those of the engine.
pub(crate) fn set_up(
    fds: ChildFds,
    zygote: i32,
    title: Title,
    guest: &[RawFd],
    engine: &[RawFd],
) -> io::Result<()> {
    // 1. Die with the zygote, first of all: whatever fails below, nothing is left behind. The check that the
    //    zygote still lives closes the moment between fork and this call.
    child::die_with_parent(zygote)?;
    // 2. Keep five descriptors and close the rest: the zygote's control socket and signalfd, and whatever else
    //    is open. A pipe end of another session that stayed open here would keep its reader from seeing the end.
    let host_again = fds.host.as_fd().try_clone_to_owned()?;
    child::keep_only(
        vec![fds.stdin, fds.host, host_again, fds.control, fds.frames],
        &[STDIN, HOST, HOST + 1, CONTROL, FRAMES],
        &[guest, engine].concat(),
    )?;
    // The place in an open file is the file's, not the process's: each session gets its own.
    for fd in guest {
        child::reopen(*fd)?;
    }
    // 3. Nothing blocked: the zygote blocks SIGCHLD. The actions are inherited from `prepare`.
    child::unblock_signals()?;
    // 4. A process group of its own: a signal to the server's group is none of a worker's business. Not a session of the
    //    kernel's: to its scheduler each of those is a group with a share of the processors (autogroup), and that a process
    //    gives way helps nobody outside of its group.
    child::new_group()?;
    // 5. A name for ps(1); the worker adds the session's id. Resource limits and no_new_privs are inherited from
    //    `prepare`; the limit that depends on the session is set when it comes (`worker::serve`).
    title.set("hero_runner: worker (parked)");
    Ok(())
}
