//! The WASI functions that are ours: standard streams and randomness.
//!
//! The guest's numbers 0, 1 and 2 are the process's 0, 1 and 2 unless the guest closed or renumbered them, and the
//! engine knows: it is asked for the process's descriptor behind the guest's number at each call. What leads to 0, 1
//! or 2 goes to the worker; the rest goes to the kernel, with the same call that the engine would make.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsRawFd;

use engine::{Output, Stdio};

use crate::errno::Errno;
use crate::host::Guest;

/// The most slices that one call may have (IOV_MAX of Linux).
const MAX_SLICES: u32 = 1024;

/// The buffers that the guest's list of slices names, or why not.
pub(crate) fn buffers(guest: Guest<'_>, list: u32, count: u32) -> Result<Vec<&mut [u8]>, Errno> {
    if count > MAX_SLICES {
        return Err(Errno::INVAL);
    }
    let list = guest.bytes(list, count * 8).ok_or(Errno::FAULT)?;
    let mut buffers = Vec::with_capacity(count as usize);
    for entry in list.chunks_exact(8) {
        buffers.push(buffer(guest, entry)?);
    }
    Ok(buffers)
}

/// The buffer of a list of only one.
pub(crate) fn single(guest: Guest<'_>, list: u32) -> Result<&mut [u8], Errno> {
    buffer(guest, guest.bytes(list, 8).ok_or(Errno::FAULT)?)
}

fn buffer<'call>(guest: Guest<'call>, entry: &[u8]) -> Result<&'call mut [u8], Errno> {
    let number = |at: usize| u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]);
    guest.bytes(number(0), number(4)).ok_or(Errno::FAULT)
}

/// Tells the guest how many bytes it were.
fn finish(guest: Guest<'_>, result: io::Result<usize>, place: u32) -> Errno {
    match (result, guest.bytes(place, 4)) {
        (Ok(count), Some(place)) => {
            place.copy_from_slice(&(count as u32).to_le_bytes());
            Errno::SUCCESS
        }
        (Ok(_), None) => Errno::FAULT,
        (Err(error), _) => Errno::of(&error),
    }
}

/// `fd_write(fd, list, count, written) -> errno`
pub(crate) fn fd_write(
    guest: Guest<'_>,
    stdio: &mut dyn Stdio,
    [fd, list, count, written]: [u32; 4],
) -> Errno {
    let Some(native) = guest.native(fd as i32).and_then(sys::stdio::numbered) else { return Errno::BADF };
    let buffers = match buffers(guest, list, count) {
        Ok(buffers) => buffers,
        Err(errno) => return errno,
    };
    let slices: Vec<IoSlice<'_>> = buffers.iter().map(|buffer| IoSlice::new(buffer)).collect();
    let result = match native.as_raw_fd() {
        1 => stdio.write(Output::Stdout, &slices),
        2 => stdio.write(Output::Stderr, &slices),
        _ => sys::stdio::write_vectored(native, &slices),
    };
    finish(guest, result, written)
}

/// `fd_read(fd, list, count, read) -> errno`
pub(crate) fn fd_read(guest: Guest<'_>, stdio: &mut dyn Stdio, [fd, list, count, read]: [u32; 4]) -> Errno {
    let Some(native) = guest.native(fd as i32).and_then(sys::stdio::numbered) else { return Errno::BADF };
    if native.as_raw_fd() == 0
        && let Err(error) = stdio.stdin_wanted()
    {
        return Errno::of(&error);
    }
    let buffers = match buffers(guest, list, count) {
        Ok(buffers) => buffers,
        Err(errno) => return errno,
    };
    let mut slices: Vec<IoSliceMut<'_>> = buffers.into_iter().map(IoSliceMut::new).collect();
    let result = match native.as_raw_fd() {
        0 => stdio.read(&mut slices),
        _ => sys::stdio::read_vectored(native, &mut slices),
    };
    finish(guest, result, read)
}

/// `random_get(buffer, len) -> errno`
pub(crate) fn random_get(guest: Guest<'_>, stdio: &mut dyn Stdio, [buffer, len]: [u32; 2]) -> Errno {
    let Some(buffer) = guest.bytes(buffer, len) else { return Errno::FAULT };
    match stdio.random(buffer) {
        Ok(()) => Errno::SUCCESS,
        Err(error) => Errno::of(&error),
    }
}
