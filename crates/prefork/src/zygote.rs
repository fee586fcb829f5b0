//! The zygote's loop: fork when told to, reap when a worker ends, leave when the supervisor is gone.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};

use frames::message::{FORK_FDS, TEMPLATE_FDS, WaitStatus, exit};
use frames::{FromZygote, TemplateSpec, ToZygote};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use sys::fork::{Fork, exit_now, fork_single_threaded};
use sys::title::Title;

use crate::child::{ChildFds, prepare, set_up, set_up_template};
use crate::link::{Link, LinkError};

/// What the zygote says of itself.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The engine and its version.
    pub engine: String,
    /// What the engine prints when a guest wants more memory than there is for it.
    pub growth_refused: Vec<String>,
}

/// What a zygote holds in memory for its workers: the warm engine, and in a template one module.
pub trait Image {
    /// What the zygote says of itself.
    fn identity(&self) -> Identity;

    /// What a worker does, in the forked process, which ends with the status that this returns.
    fn work(&mut self, title: Title) -> i32;

    /// Brings a module into memory, in the process of a new template. No thread may be left.
    ///
    /// # Errors
    /// Why it cannot be had; the template then ends.
    fn prepare(&mut self, spec: &TemplateSpec, module: OwnedFd) -> Result<(), String>;
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
            pid: std::process::id() as i32,
        }
    }

    /// Serves until the supervisor closes the control socket.
    ///
    /// When this returns and the process ends, the kernel kills all workers (their death signal).
    ///
    /// # Errors
    /// When the control socket or a basic call of the kernel fails; the supervisor then starts another zygote.
    pub fn serve(mut self, image: &mut dyn Image) -> Result<(), LinkError> {
        prepare()?;
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None).map_err(std::io::Error::from)?;
        let children = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .map_err(std::io::Error::from)?;
        let identity = image.identity();
        let ready = FromZygote::Ready {
            pid: self.pid as u32,
            engine: identity.engine,
            growth_refused: identity.growth_refused,
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
                    Err(error) => return Err(std::io::Error::from(error).into()),
                }
            }
            // Reaping comes first: somebody waits for that result.
            if ended {
                while let Ok(Some(_)) = children.read_signal() {}
                self.reap()?;
            }
            if told {
                match self.link.receive::<ToZygote>()? {
                    Some((ToZygote::Fork { slot }, fds)) => self.fork(slot, fds, image)?,
                    Some((ToZygote::Template { template, spec }, fds)) => {
                        self.template(template, &spec, fds, image)?;
                    }
                    None => {
                        self.end();
                        return Ok(());
                    }
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

    fn fork(&mut self, slot: u64, fds: Vec<OwnedFd>, image: &mut dyn Image) -> Result<(), LinkError> {
        let failed = |errno: i32| FromZygote::ForkFailed { slot, errno };
        let Ok([stdin, host, control, frames]) = <[OwnedFd; FORK_FDS]>::try_from(fds) else {
            // This process had no room for them.
            return self.link.send(&failed(Errno::EMFILE as i32), &[]);
        };
        match fork_single_threaded() {
            Ok(Fork::Child) => {
                let status = match set_up(ChildFds { stdin, host, control, frames }, self.pid, self.title) {
                    Ok(()) => image.work(self.title),
                    Err(_) => frames::message::exit::BROKEN,
                };
                exit_now(status)
            }
            Ok(Fork::Parent { pid, pidfd }) => {
                self.workers.insert(pid.as_raw(), slot);
                self.link.send(&FromZygote::Forked { slot, pid: pid.as_raw() as u32 }, &[pidfd.as_fd()])
            }
            Err(error) => self.link.send(&failed(error.raw_os_error().unwrap_or(Errno::ENOTSUP as i32)), &[]),
        }
    }

    /// Forks a zygote for one module. It is a child like a worker, but not in a slot: when it ends, its control socket
    /// says so.
    fn template(
        &mut self,
        template: u64,
        spec: &TemplateSpec,
        fds: Vec<OwnedFd>,
        image: &mut dyn Image,
    ) -> Result<(), LinkError> {
        let failed = FromZygote::TemplateFailed { template };
        let Ok([control, module]) = <[OwnedFd; TEMPLATE_FDS]>::try_from(fds) else {
            return self.link.send(&failed, &[]);
        };
        match fork_single_threaded() {
            Ok(Fork::Child) => {
                let status = match set_up_template(control, module, self.pid, self.title, spec) {
                    Ok((control, module)) => match image.prepare(spec, module) {
                        Ok(()) => i32::from(Self::new(control, self.title).serve(image).is_err()),
                        Err(_) => exit::LOAD_FAILED,
                    },
                    Err(_) => exit::BROKEN,
                };
                exit_now(status)
            }
            Ok(Fork::Parent { pid, pidfd }) => {
                self.templates.push(pid.as_raw());
                let forked = FromZygote::TemplateForked { template, pid: pid.as_raw() as u32 };
                self.link.send(&forked, &[pidfd.as_fd()])
            }
            Err(_) => self.link.send(&failed, &[]),
        }
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
