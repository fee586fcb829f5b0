//! Random bytes from the kernel, each time anew: nothing is kept that a fork could double.

use std::io;

/// Fills the buffer with random bytes.
///
/// # Errors
/// The errno of getrandom(2); it cannot fail on a running system.
pub fn fill(mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        // SAFETY: pointer and length are those of a live, exclusively borrowed slice.
        let got = unsafe { libc::getrandom(buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        if got < 0 {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        }
        buffer = &mut buffer[got as usize..];
    }
    Ok(())
}
