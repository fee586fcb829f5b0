//! How the guest's streams reach the worker's [`Stdio`], which lives on the stack of whoever runs the guest.
#![allow(
    unsafe_code,
    reason = "the engine wants streams that own what they write to; ours belong to the run"
)]

use std::cell::Cell;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use engine::{Output, Stdio};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

type Current = *mut (dyn Stdio + 'static);

thread_local! {
    /// The streams of the run that this thread is in; nothing while one of them is in use.
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
}

/// Runs `body`; as long as it runs, [`with`] leads to these streams.
pub(crate) fn scope<T>(stdio: &mut dyn Stdio, body: impl FnOnce() -> T) -> T {
    struct Restore(Option<Current>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let pointer: *mut (dyn Stdio + '_) = stdio;
    // SAFETY: only the lifetime changes. The pointer is taken away again before the borrow ends, also by a panic.
    let pointer = unsafe { std::mem::transmute::<*mut (dyn Stdio + '_), Current>(pointer) };
    let _restore = Restore(CURRENT.replace(Some(pointer)));
    body()
}

/// Calls `body` with the streams of the run.
///
/// # Errors
/// `BrokenPipe` on a thread that runs no guest, and inside of another such call.
pub(crate) fn with<T>(body: impl FnOnce(&mut dyn Stdio) -> io::Result<T>) -> io::Result<T> {
    struct Back(Current);
    impl Drop for Back {
        fn drop(&mut self) {
            CURRENT.set(Some(self.0));
        }
    }
    let back = Back(CURRENT.take().ok_or(io::ErrorKind::BrokenPipe)?);
    // SAFETY: `scope` is still on this thread's stack and borrows the streams for us alone. The pointer was taken out, so
    // that nobody makes a second reference while this one lives.
    body(unsafe { &mut *back.0 })
}

/// Writes all of it, as one call of the guest.
///
/// # Errors
/// When nothing can be written any more.
pub(crate) fn write_all(output: Output, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let taken = with(|stdio| stdio.write(output, &[io::IoSlice::new(bytes)]))?;
        bytes = bytes.get(taken..).filter(|_| taken > 0).ok_or(io::ErrorKind::WriteZero)?;
    }
    Ok(())
}

/// Tells the session that the module is loaded.
pub(crate) fn loaded() {
    let _ = with(|stdio| {
        stdio.loaded();
        Ok(())
    });
}

/// Tells the session that the guest is ready.
pub(crate) fn ready() {
    let _ = with(|stdio| {
        stdio.ready();
        Ok(())
    });
}

/// The descriptor of standard input, where there is one to wait for.
pub(crate) fn stdin_fd() -> Option<BorrowedFd<'static>> {
    let number = with(|stdio| Ok(stdio.stdin_fd().map(|fd| fd.as_raw_fd()))).ok()??;
    sys::stdio::numbered(number)
}

/// Has the runtime wait for standard input; `None` where there is nothing to wait for, as with a file.
pub(crate) fn watch_stdin() -> Option<AsyncFd<BorrowedFd<'static>>> {
    let fd = stdin_fd()?;
    // SAFETY: the number of standard input is the process's for as long as it lives; nobody opens another file under it.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.ok()
}
