//! What a template does before sessions are forked from it: it runs a module up to the point where they begin.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;

use engine::{Ending, Engine, Network, Output, Stdio};
use frames::message::exit;
use frames::{SessionSpec, Sockets, TemplateSpec, Warm};

use crate::confine::confine;
use crate::{Fds, FrameSender, FrameWriter, Request, begin, end, limit, with_run};

/// What this process is after [`warm`].
#[derive(Debug)]
pub enum Warmed {
    /// A template, warm: its workers run the prepared module with [`crate::serve`].
    Template(Printed),
    /// A worker whose session is over; it leaves with this status.
    Session(i32),
}

/// What a module has printed before its sessions begin, in order. Each of them prints it again, as though it had run
/// from the beginning.
#[derive(Debug, Default)]
pub struct Printed(Vec<(Output, Vec<u8>)>);

impl Printed {
    /// Prints it in a session.
    pub(crate) fn print(&self, session: &mut FrameWriter<'_>) -> io::Result<()> {
        for (output, bytes) in &self.0 {
            session.write(*output, &[IoSlice::new(bytes)])?;
        }
        Ok(())
    }
}

/// The most that a module may print before its sessions begin, in bytes.
const MAX_PRINTED: usize = 64 * 1024;

/// Runs a module up to where the specification says.
///
/// With [`Warm::Stdin`], that is inside the running module: `fork` is called there. It serves as a zygote and returns in
/// each worker that has a session, and only there; the module then runs on to its end, in the session.
///
/// # Errors
/// Why the module does not come to that point.
pub fn warm(
    engine: &mut dyn Engine,
    spec: &TemplateSpec,
    module: BorrowedFd<'_>,
    fds: Fds,
    fork: &mut dyn FnMut() -> SessionSpec,
) -> Result<Warmed, String> {
    if spec.warm == Warm::Stdin && !engine.forks_within_runs() {
        return Err(format!("{} has no templates that wait for their standard input", engine.version()));
    }
    limit(spec.max_pages).map_err(|error| error.to_string())?;
    // Its sessions bring their own; the functions have to be there before.
    let nothing = Network::default();
    let request = Request {
        compiled: spec.compiled,
        max_pages: spec.max_pages,
        args: &spec.args,
        env: &spec.env,
        dirs: &spec.dirs,
        init: match &spec.warm {
            Warm::Export(name) => Some(name),
            Warm::Instantiate | Warm::Stdin => None,
        },
        network: (spec.sockets != Sockets::None).then_some(&nothing),
        session: None,
        prepared: false,
    };
    let mut stdio =
        Warming { printed: Printed::default(), bytes: 0, fds, fork: None, session: None, why: None };
    if spec.warm != Warm::Stdin {
        with_run(&request, module, |code, run| engine.prepare(code, run, &mut stdio))?
            .map_err(|error| stdio.why.map_or(error.0, str::to_owned))?;
        // It may have taken no notice.
        if let Some(why) = stdio.why {
            return Err(why.to_owned());
        }
        return Ok(Warmed::Template(stdio.printed));
    }
    stdio.fork = Some(fork);
    let ending = with_run(&request, module, |code, run| engine.run(code, run, &mut stdio))?;
    match (stdio.session, stdio.why) {
        (Some((mut control, _)), _) => Ok(Warmed::Session(end(&mut control, ending, None))),
        (None, Some(why)) => Err(why.to_owned()),
        (None, None) => Err(match ending {
            Ending::LoadFailed(message) => message,
            other => format!("{other}, before it read its standard input"),
        }),
    }
}

/// The streams of a module that warms, and of the session that it becomes.
struct Warming<'fork> {
    printed: Printed,
    bytes: usize,
    fds: Fds,
    /// Forks; `None` where the module has no business with its standard input.
    fork: Option<&'fork mut dyn FnMut() -> SessionSpec>,
    /// Set in a worker.
    session: Option<(FrameSender<'static>, FrameWriter<'static>)>,
    /// What it must not have done.
    why: Option<&'static str>,
}

impl Stdio for Warming<'_> {
    fn write(&mut self, output: Output, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some((_, session)) = &mut self.session {
            return session.write(output, slices);
        }
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        self.bytes += bytes.len();
        if self.bytes > MAX_PRINTED {
            self.why = Some("it prints more than 64 KiB before its sessions begin");
            return Err(io::ErrorKind::StorageFull.into());
        }
        let count = bytes.len();
        self.printed.0.push((output, bytes));
        Ok(count)
    }

    fn stdin_wanted(&mut self) -> io::Result<()> {
        if self.session.is_some() {
            return Ok(());
        }
        let Some(fork) = self.fork.as_mut().filter(|_| self.why.is_none()) else {
            self.why.get_or_insert("it reads its standard input before its sessions begin");
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let spec = fork();
        // From here on this is a worker with a session. Without a supervisor it has no reason to go on.
        let Some((control, mut session)) = begin(self.fds, &spec) else { sys::fork::exit_now(exit::BROKEN) };
        // It has its folders open; this is for the day when it finds a way around its engine.
        if crate::open(&spec.dirs).and_then(|dirs| confine(&dirs, None, None)).is_err() {
            sys::fork::exit_now(exit::BROKEN);
        }
        self.printed.print(&mut session)?;
        self.session = Some((control, session));
        Ok(())
    }

    fn read(&mut self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match &mut self.session {
            Some((_, session)) => session.read(slices),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn ready(&mut self) {
        if let Some((_, session)) = &mut self.session {
            session.ready();
        }
    }

    fn random(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        sys::random::fill(buffer)
    }
}
