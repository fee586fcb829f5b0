//! Memory of a process that is about to be forked often.

use std::io;
use std::ops::Range;

/// The size of a huge page on x86-64 and on aarch64 with 4 KiB pages, in bytes.
const HUGE: usize = 2 << 20;

/// `MADV_COLLAPSE` of Linux 6.1; the libc crate has it for some targets only.
const MADV_COLLAPSE: libc::c_int = 25;

/// Makes the program and its libraries cheap to inherit: the constants of each get the rights of its code, so that three
/// mappings become one, and the code of the `large` libraries moves into huge pages, as far as it fills whole ones. It stays
/// executable and constant; nothing of it can be written, before or after.
///
/// A fork pays for each mapping, and so does the end of a process. Code that is mapped from a file is mapped again in each
/// forked process, by a page fault for every 64 KiB that it touches, and taken apart page by page in the end. A huge page is
/// inherited as one entry.
///
/// # Errors
/// When `/proc` cannot be read or there is no memory; what was not changed then stays as it is.
pub fn compact_code(large: &[&str]) -> io::Result<()> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let lines: Vec<Mapping<'_>> = maps.lines().filter_map(Mapping::parse).collect();
    for run in lines.windows(3) {
        let [head, code, constants] = run else { continue };
        let whole = head.path == code.path
            && code.path == constants.path
            && head.end == code.start
            && code.end == constants.start
            && head.path.starts_with('/');
        if !whole || (head.rights, code.rights, constants.rights) != ("r--p", "r-xp", "r--p") {
            continue;
        }
        let (start, len) = (head.start, constants.end - head.start);
        // SAFETY: the three lie side by side, and none of them is writable before or after. Nothing loses a right.
        if unsafe { libc::mprotect(start as *mut libc::c_void, len, libc::PROT_READ | libc::PROT_EXEC) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let name = head.path.rsplit('/').next().unwrap_or_default();
        let (first, last) = (start.next_multiple_of(HUGE), constants.end / HUGE * HUGE);
        if first < last && large.iter().any(|large| name.starts_with(large)) {
            replace(first..last, first..last)?;
        }
    }
    // The program itself is linked so that nothing else is on the huge pages of its code.
    let program = std::env::current_exe()?;
    for run in lines.windows(3) {
        let [before, code, after] = run else { continue };
        let pages = code.start / HUGE * HUGE..code.end.next_multiple_of(HUGE);
        let alone = before.end <= pages.start && pages.end <= after.start;
        if alone && code.rights == "r-xp" && program.as_os_str() == code.path {
            replace(code.start..code.end, pages)?;
        }
    }
    Ok(())
}

/// A line of proc(5)'s `maps`.
struct Mapping<'a> {
    start: usize,
    end: usize,
    rights: &'a str,
    /// Device and inode of its file, `00:00` and `0` when it has none.
    file: (&'a str, &'a str),
    path: &'a str,
}

impl<'a> Mapping<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let ((start, end), rights) = (fields.next()?.split_once('-')?, fields.next()?);
        let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
        let file = (fields.nth(1)?, fields.next()?);
        Some(Self { start, end, rights, file, path: fields.next().unwrap_or_default() })
    }

    /// Whether it is private, writable memory without a file.
    fn is_private(&self) -> bool {
        self.rights.starts_with("rw") && self.rights.ends_with('p') && self.file == ("00:00", "0")
    }
}

/// Puts a copy of read-only memory, in huge pages, in its place. Nothing else may lie on these pages.
fn replace(code: Range<usize>, pages: Range<usize>) -> io::Result<()> {
    let len = pages.len();
    let (read, write, execute) = (libc::PROT_READ, libc::PROT_WRITE, libc::PROT_EXEC);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping anywhere, one huge page longer than needed, for its alignment.
    let room = unsafe { libc::mmap(std::ptr::null_mut(), len + HUGE, read | write, flags, -1, 0) };
    if room == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let copy = (room as usize).next_multiple_of(HUGE) as *mut libc::c_void;
    // SAFETY: advice on memory that is ours; it may fail where there are no huge pages, and is then only slower.
    unsafe { libc::madvise(copy, len, libc::MADV_HUGEPAGE) };
    let place = copy.wrapping_byte_add(code.start - pages.start);
    // SAFETY: the code is readable by the maps of this process, which has one thread; its place among the pages is ours, and
    // elsewhere.
    unsafe { std::ptr::copy_nonoverlapping(code.start as *const u8, place.cast(), code.len()) };
    // SAFETY: the memory is ours, and nothing refers to it.
    let done = unsafe { libc::mprotect(copy, len, read | execute) };
    let moved = match done {
        // SAFETY: what lies at the target is replaced by the same bytes in one step, readable and executable as before, and
        // nothing is writable in either: also code that runs right now runs on.
        0 => unsafe {
            libc::mremap(
                copy,
                len,
                len,
                libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED,
                pages.start as *mut libc::c_void,
            )
        },
        _ => libc::MAP_FAILED,
    };
    let error = io::Error::last_os_error();
    // SAFETY: what is left of the room is ours, and nothing refers to it.
    unsafe { libc::munmap(room, len + HUGE) };
    if moved == libc::MAP_FAILED { Err(error) } else { Ok(()) }
}

/// Puts private memory that is in use into huge pages where it can.
///
/// A fork copies the page tables of private memory: 35 µs for each MiB of 4 KiB pages, and 0.5 µs for each MiB of huge
/// ones, measured. A huge page that a child writes to is copied in small pieces all the same. A mapping of which less than
/// half is in use stays as it is, because a huge page is always whole. So does everything on a kernel that cannot do it
/// or has no huge page free.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn collapse() -> io::Result<()> {
    for (start, end) in dense(&std::fs::read_to_string("/proc/self/smaps")?) {
        let (start, end) = (start.next_multiple_of(HUGE), end / HUGE * HUGE);
        if start < end {
            // SAFETY: madvise(2) with this advice changes how the kernel keeps the pages, not what is in them, and fails
            // on a range that is not mapped.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, MADV_COLLAPSE) };
        }
    }
    Ok(())
}

/// The ranges of private, writable memory without a file of which at least half is in use, from proc(5)'s `smaps`.
fn dense(smaps: &str) -> Vec<(usize, usize)> {
    let (mut found, mut current) = (Vec::new(), None);
    for line in smaps.lines() {
        if let Some(resident) = line.strip_prefix("Rss:") {
            let kb = resident.trim().strip_suffix(" kB").and_then(|kb| kb.trim().parse::<usize>().ok());
            if let (Some((start, end)), Some(kb)) = (current.take(), kb)
                && kb * 1024 * 2 >= end - start
            {
                found.push((start, end));
            }
        } else if line.as_bytes().first().is_some_and(|first| !first.is_ascii_uppercase()) {
            current =
                Mapping::parse(line).filter(Mapping::is_private).map(|mapping| (mapping.start, mapping.end));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dense_private_memory_without_a_file_is_meant() {
        let smaps = "1000-3000 rw-p 00000000 00:00 0    [heap]\nSize: 8 kB\nRss:                   4 kB\nPss: 4 kB\n\
                     4000-8000 rw-p 00000000 00:00 0\nRss: 4 kB\n\
                     8000-9000 r--p 00000000 00:00 0\nRss: 4 kB\n\
                     9000-a000 rw-s 00000000 00:00 0\nRss: 4 kB\n\
                     a000-b000 rw-p 00000000 08:01 77 /lib/x.so\nRss: 4 kB\n";
        assert_eq!(dense(smaps), [(0x1000, 0x3000)]);
    }

    #[test]
    fn what_was_in_memory_is_there_afterwards() {
        let bytes: Vec<u8> = (0..8 << 20).map(|index: u32| (index % 251) as u8).collect();
        collapse().unwrap();
        assert!(bytes.iter().zip(0_u32..).all(|(byte, index)| u32::from(*byte) == index % 251));
    }
}
