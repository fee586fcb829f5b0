//! Ctrl-C ends a benchmark in good order, so that it leaves no process and no folder behind.

use std::io::{ErrorKind, Read};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::{Result, ensure};
use tokio::signal::unix::{SignalKind, signal};

static STOP: AtomicBool = AtomicBool::new(false);

/// From here on SIGINT and SIGTERM do not end this process; [`check`] fails after them.
pub(crate) fn watch() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            STOP.store(true, Relaxed);
            // The handlers stay, so that cleaning up is not cut short.
            std::future::pending::<()>().await;
        });
    });
    Ok(())
}

/// Fails when the benchmark was told to stop.
pub(crate) fn check() -> Result<()> {
    ensure!(!STOP.load(Relaxed), "stopped by a signal");
    Ok(())
}

/// Reads some bytes. A read with a time limit does not go on by itself after a signal, not even after one that only froze
/// the process for a moment.
pub(crate) fn read(mut from: impl Read, into: &mut [u8]) -> Result<usize> {
    loop {
        match from.read(into) {
            Err(error) if error.kind() == ErrorKind::Interrupted => check()?,
            done => return Ok(done?),
        }
    }
}
