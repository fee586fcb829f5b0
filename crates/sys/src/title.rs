//! The title of a process, as ps(1) shows it.

use std::io;

/// The place in this process's memory where the kernel finds its arguments.
#[derive(Debug, Clone, Copy)]
pub struct Title {
    start: usize,
    len: usize,
}

impl Title {
    /// Finds the place. It is as long as the arguments with which the process was executed.
    ///
    /// # Errors
    /// When `/proc/self/stat` cannot be read or does not have the fields of proc(5).
    pub fn find() -> io::Result<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "/proc/self/stat is not as in proc(5)");
        // The name in parentheses may hold anything; the numbered fields begin with the third behind it.
        let (_, fields) = stat.rsplit_once(") ").ok_or_else(malformed)?;
        let field = |number: usize| -> io::Result<usize> {
            fields.split(' ').nth(number - 3).and_then(|text| text.parse().ok()).ok_or_else(malformed)
        };
        let (start, end) = (field(48)?, field(49)?);
        Ok(Self { start, len: end.saturating_sub(start) })
    }

    /// Sets the title, cut to the place there is, and the short name (15 bytes) that the kernel keeps.
    pub fn set(self, title: &str) {
        let short: Vec<u8> = title.bytes().take(15).filter(|byte| *byte != 0).chain([0]).collect();
        // SAFETY: PR_SET_NAME reads a NUL-terminated string of at most 16 bytes, which this is.
        unsafe { libc::prctl(libc::PR_SET_NAME, short.as_ptr()) };
        if self.start == 0 || self.len < 2 {
            return;
        }
        // SAFETY: the kernel says that arguments lie there, in writable memory of the initial stack that is
        // never unmapped. Nothing of ours refers to it: std copies arguments when they are asked for, and
        // this crate is used by processes that do not ask for them again.
        let place = unsafe { std::slice::from_raw_parts_mut(self.start as *mut u8, self.len) };
        place.fill(0);
        let len = title.len().min(place.len() - 1);
        place[..len].copy_from_slice(&title.as_bytes()[..len]);
    }
}
