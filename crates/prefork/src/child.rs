//! What makes a forked process a worker: one list of steps, in this order.

use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use frames::TemplateSpec;
use sys::child;
use sys::title::Title;

/// The guest's standard input.
pub const STDIN: RawFd = 0;
/// What the process itself prints; also at 2.
pub const HOST: RawFd = 1;
/// The control socket, where the session comes in.
pub const CONTROL: RawFd = 3;
/// The pipe that the frames go out of.
pub const FRAMES: RawFd = 4;

/// In a template: where the process's own errors go, and the module's file. 0 and 1 stay free for its workers'.
const ERRORS: RawFd = 2;
const MODULE: RawFd = 4;

/// Open descriptors of a worker. A guest's files count, so does the engine's own handful.
const MAX_FDS: u64 = 256;
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

/// What all workers inherit, done once in the zygote instead of once for each of them.
pub(crate) fn prepare() -> io::Result<()> {
    // Default actions for all signals: neither the runtime of the language nor the engine's handlers of another run
    // have a say in a worker. Broken pipes and full quotas become errnos.
    child::reset_signals()?;
    child::ignore_write_signals()?;
    // The limits that hold (see sys::child::Limits for those that would not); the zygote itself needs less.
    child::limit(child::Limits { max_fds: MAX_FDS, max_file: MAX_FILE })?;
    // Nothing that is executed from here on could gain privileges. It cannot be taken back.
    child::no_new_privileges()?;
    // No network, no other programs, no reach into other processes. A template inherits the filter and is here again.
    if !INHERITED.swap(true, Ordering::Relaxed) {
        sys::filter::refuse_system_calls()?;
    }
    Ok(())
}

/// Whether this process, or the one that it was forked from, has the filter.
static INHERITED: AtomicBool = AtomicBool::new(false);

/// Makes this process, which was just forked, a template; returns its control socket and the module's file.
pub(crate) fn set_up_template(
    control: OwnedFd,
    module: OwnedFd,
    zygote: i32,
    title: Title,
    spec: &TemplateSpec,
) -> io::Result<(OwnedFd, OwnedFd)> {
    // The same steps as for a worker, as far as they apply. What the engine prints goes where the zygote's goes.
    child::die_with_parent(zygote)?;
    let errors = sys::stdio::numbered(ERRORS).ok_or(io::ErrorKind::NotFound)?.try_clone_to_owned()?;
    child::keep_only(vec![errors, control, module], &[ERRORS, CONTROL, MODULE])?;
    child::unblock_signals()?;
    child::new_session()?;
    child::become_subreaper()?;
    title.set(&format!("hero_runner: template {}", spec.name));
    Ok((child::inherited(CONTROL)?, child::inherited(MODULE)?))
}

/// Makes this process, which was just forked, a worker. `zygote` is the pid of the process that forked it.
pub(crate) fn set_up(fds: ChildFds, zygote: i32, title: Title) -> io::Result<()> {
    // 1. Die with the zygote, first of all: whatever fails below, nothing is left behind. The check that the
    //    zygote still lives closes the moment between fork and this call.
    child::die_with_parent(zygote)?;
    // 2. Keep five descriptors and close the rest: the zygote's control socket and signalfd, and whatever else
    //    is open. A pipe end of another session that stayed open here would keep its reader from seeing the end.
    let host_again = fds.host.as_fd().try_clone_to_owned()?;
    child::keep_only(
        vec![fds.stdin, fds.host, host_again, fds.control, fds.frames],
        &[STDIN, HOST, HOST + 1, CONTROL, FRAMES],
    )?;
    // 3. Nothing blocked: the zygote blocks SIGCHLD. The actions are inherited from `prepare`.
    child::unblock_signals()?;
    // 4. A session and process group of its own: a signal to the server's group, as Ctrl-C sends it, is none of
    //    a worker's business, and there is no terminal to reach.
    child::new_session()?;
    // 5. A name for ps(1); the worker adds the session's id. Resource limits and no_new_privs are inherited from
    //    `prepare`; the limit that depends on the session is set when it comes (`worker::serve`).
    title.set("hero_runner: worker (parked)");
    Ok(())
}
