//! The zygote's loop: fork when told to, reap when a worker ends, leave when the supervisor is gone.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};

use frames::message::{FORK_FDS, TEMPLATE_FDS, WaitStatus};
use frames::{FromZygote, TemplateSpec, ToZygote};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use sys::filter::Network;
use sys::fork::{Fork, fork_single_threaded};
use sys::title::Title;

use crate::child::{ChildFds, TemplateFds, prepare, set_up, set_up_template};
use crate::link::{Link, LinkError};

/// What the zygote says of itself.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The engine and its version.
    pub engine: String,
    /// What the engine prints when a guest wants more memory than there is for it.
    pub growth_refused: Vec<String>,
}

/// What this process is when [`Zygote::serve`] returns.
#[derive(Debug)]
pub enum Role {
    /// A worker: just forked, set up, with the descriptors [`STDIN`](crate::STDIN), [`HOST`](crate::HOST),
    /// [`CONTROL`](crate::CONTROL) and [`FRAMES`](crate::FRAMES).
    Worker,
    /// A template to be: just forked and set up. Its control socket and its module's file have the numbers
    /// [`CONTROL`](crate::CONTROL) and [`MODULE`](crate::MODULE).
    Template(TemplateSpec),
    /// The zygote still, and its work is over: the supervisor has closed the control socket.
    Ended,
    /// Just forked, and broken: it has to leave with [`frames::message::exit::BROKEN`].
    Broken,
}

/// The zygote. It has one thread, from the beginning to the end.
#[derive(Debug)]
pub struct Zygote {
    link: Link,
    title: Title,
    /// The workers that live, by pid; the value is the slot that the supervisor gave.
    workers: HashMap<i32, u64>,
    /// The templates that were forked.
    templates: Vec<i32>,
    /// Descriptors of a guest that runs in this process; workers keep them.
    guest: Vec<RawFd>,
    /// Descriptors of the engine; workers keep them as they are.
    engine: Vec<RawFd>,
    pid: i32,
}

impl Zygote {
    /// A zygote that is told what to do through `control`.
    #[must_use]
    pub fn new(control: OwnedFd, title: Title) -> Self {
        Self {
            link: Link::new(control),
            title,
            workers: HashMap::new(),
            templates: Vec::new(),
            guest: Vec::new(),
            engine: Vec::new(),
            pid: std::process::id() as i32,
        }
    }

    /// The root zygote: as [`Zygote::new`], and this process gets the limits that all its descendants inherit, and of the
    /// network this; where they connect to is then between the worker and its guest. Signals have their default actions
    /// afterwards: an engine that needs others is warmed behind this.
    ///
    /// # Errors
    /// The errno of the call that failed.
    pub fn root(control: OwnedFd, title: Title, network: Network) -> io::Result<Self> {
        prepare(network)?;
        Ok(Self::new(control, title))
    }

    /// Workers keep these descriptors, which a guest in this process has open, each with a file position of its own.
    #[must_use]
    pub fn keeping(mut self, guest: Vec<RawFd>) -> Self {
        self.guest = guest;
        self
    }

    /// Workers keep these descriptors, which the engine has open in this process for what is prepared.
    #[must_use]
    pub fn holding(mut self, engine: Vec<RawFd>) -> Self {
        self.engine = engine;
        self
    }

    /// Serves until the supervisor closes the control socket; returns then, and in every process that it forks.
    ///
    /// When the zygote's process ends, the kernel kills all its workers (their death signal).
    ///
    /// # Errors
    /// When the control socket or a basic call of the kernel fails; the supervisor then starts another zygote.
    pub fn serve(mut self, identity: &Identity) -> Result<Role, LinkError> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None).map_err(io::Error::from)?;
        let children = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .map_err(io::Error::from)?;
        let ready = FromZygote::Ready {
            pid: self.pid as u32,
            engine: identity.engine.clone(),
            growth_refused: identity.growth_refused.clone(),
        };
        self.link.send(&ready, &[])?;
        loop {
            let (mut told, mut ended) = (false, false);
            {
                let mut fds = [
                    PollFd::new(self.link.as_fd(), PollFlags::POLLIN),
                    PollFd::new(children.as_fd(), PollFlags::POLLIN),
                ];
                match poll(&mut fds, PollTimeout::NONE) {
                    Ok(_) => {
                        told = fds[0].revents().is_some_and(|events| !events.is_empty());
                        ended = fds[1].revents().is_some_and(|events| !events.is_empty());
                    }
                    Err(Errno::EINTR) => {}
                    Err(error) => return Err(io::Error::from(error).into()),
                }
            }
            // Reaping comes first: somebody waits for that result.
            if ended {
                while let Ok(Some(_)) = children.read_signal() {}
                self.reap()?;
            }
            if told {
                let role = match self.link.receive::<ToZygote>()? {
                    Some((ToZygote::Fork { slot }, fds)) => self.fork(slot, fds)?,
                    Some((ToZygote::Template { template, title, spec }, fds)) => {
                        self.template(template, &title, spec, fds)?
                    }
                    None => {
                        self.end();
                        return Ok(Role::Ended);
                    }
                };
                if let Some(role) = role {
                    // In the child, the numbers of these descriptors stand for others by now.
                    std::mem::forget((self, children));
                    return Ok(role);
                }
            }
        }
    }

    /// The supervisor is gone or wants no more: kills what lives and reaps all of it, so that nothing is left to whoever
    /// adopts orphans here.
    fn end(&self) {
        for pid in self.workers.keys().chain(&self.templates) {
            // Children that were not reaped: their numbers cannot stand for anybody else. A template that was reaped
            // is not in the list any more.
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        // Orphans of a template come here, and they have their death signal.
        while let Ok(Some(_)) = sys::rusage::wait(-1) {}
    }

    /// Forks a worker. The role is the child's; the zygote has none.
    fn fork(&mut self, slot: u64, fds: Vec<OwnedFd>) -> Result<Option<Role>, LinkError> {
        let failed = |errno: i32| FromZygote::ForkFailed { slot, errno };
        let Ok([stdin, host, control, frames]) = <[OwnedFd; FORK_FDS]>::try_from(fds) else {
            // This process had no room for them.
            self.link.send(&failed(Errno::EMFILE as i32), &[])?;
            return Ok(None);
        };
        match fork_single_threaded() {
            Ok(Fork::Child) => {
                let fds = ChildFds { stdin, host, control, frames };
                let done = set_up(fds, self.pid, self.title, &self.guest, &self.engine);
                return Ok(Some(done.map_or(Role::Broken, |()| Role::Worker)));
            }
            Ok(Fork::Parent { pid, pidfd }) => {
                self.workers.insert(pid.as_raw(), slot);
                self.link.send(&FromZygote::Forked { slot, pid: pid.as_raw() as u32 }, &[pidfd.as_fd()])?;
            }
            Err(error) => {
                self.link.send(&failed(error.raw_os_error().unwrap_or(Errno::ENOTSUP as i32)), &[])?;
            }
        }
        Ok(None)
    }

    /// Forks a zygote for one module. It is a child like a worker, but not in a slot: when it ends, its control socket
    /// says so.
    fn template(
        &mut self,
        template: u64,
        title: &str,
        spec: TemplateSpec,
        fds: Vec<OwnedFd>,
    ) -> Result<Option<Role>, LinkError> {
        let failed = FromZygote::TemplateFailed { template };
        let Ok([control, module, host]) = <[OwnedFd; TEMPLATE_FDS]>::try_from(fds) else {
            self.link.send(&failed, &[])?;
            return Ok(None);
        };
        match fork_single_threaded() {
            Ok(Fork::Child) => {
                let fds = TemplateFds { control, module, host };
                let done = set_up_template(fds, self.pid, self.title, title);
                return Ok(Some(done.map_or(Role::Broken, |()| Role::Template(spec))));
            }
            Ok(Fork::Parent { pid, pidfd }) => {
                self.templates.push(pid.as_raw());
                let forked = FromZygote::TemplateForked { template, pid: pid.as_raw() as u32 };
                self.link.send(&forked, &[pidfd.as_fd()])?;
            }
            Err(_) => self.link.send(&failed, &[])?,
        }
        Ok(None)
    }

    fn reap(&mut self) -> Result<(), LinkError> {
        while let Some(reaped) = sys::rusage::reap_any()? {
            self.templates.retain(|pid| *pid != reaped.pid);
            // A process that is no worker was adopted from one; reaping it was all there is to do.
            let Some(slot) = self.workers.remove(&reaped.pid) else { continue };
            let status = match (reaped.exited, reaped.signaled) {
                (Some(status), _) => WaitStatus::Exited(status),
                (None, signal) => WaitStatus::Signaled(signal.unwrap_or_default()),
            };
            self.link.send(
                &FromZygote::Exited {
                    slot,
                    status,
                    cpu_us: reaped.cpu_us,
                    max_rss_kb: reaped.max_rss_kb,
                    minor_faults: reaped.minor_faults,
                },
                &[],
            )?;
        }
        Ok(())
    }
}
