//! `poll_oneoff`: waiting for clocks and descriptors. It is ours because waiting for standard input is a use of standard
//! input, which only the worker knows, and because sockets are ours.

use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use engine::Stdio;
use nix::errno::Errno as Kernel;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use crate::errno::Errno;
use crate::host::Guest;
use crate::sockets::{QUIET, Sockets, Waits};

/// Sizes in bytes, and the tags, of the specification's `subscription` and `event`.
const SUBSCRIPTION: usize = 48;
const EVENT: usize = 32;
const CLOCK: u8 = 0;
const FD_READ: u8 = 1;
const FD_WRITE: u8 = 2;
/// `subclockflags.subscription_clock_abstime`
const ABSOLUTE: u16 = 1;
/// `eventrwflags.fd_readwrite_hangup`
const HANGUP: u16 = 1;

/// The most subscriptions that one call may have.
const MAX_SUBSCRIPTIONS: u32 = 4096;

/// What one subscription waits for.
enum Wanted {
    /// Until then.
    Time(Instant),
    /// Until one of these, by their places in the list, can be read or written.
    Fds(Range<usize>),
    /// As before, and they are sockets of ours.
    Sockets(Range<usize>),
    /// Nothing: it has happened, or cannot happen.
    Now(Errno),
}

struct Subscription {
    user: [u8; 8],
    tag: u8,
    wanted: Wanted,
}

/// What a call fills. A guest that waits often keeps them.
#[derive(Default)]
pub(crate) struct Lists {
    subscriptions: Vec<Subscription>,
    fds: Vec<PollFd<'static>>,
}

/// `poll_oneoff(in, out, count, events) -> errno`
pub(crate) fn poll_oneoff(guest: Guest<'_>, stdio: &mut dyn Stdio, parameters: [u32; 4]) -> Errno {
    poll(guest, stdio, None, &mut Lists::default(), parameters).err().unwrap_or(Errno::SUCCESS)
}

/// The same for a guest that may have sockets.
pub(crate) fn poll(
    guest: Guest<'_>,
    stdio: &mut dyn Stdio,
    mut sockets: Option<&mut Sockets>,
    lists: &mut Lists,
    [list, out, count, events]: [u32; 4],
) -> Result<(), Errno> {
    if count == 0 || count > MAX_SUBSCRIPTIONS {
        return Err(Errno::INVAL);
    }
    let bytes = guest.bytes(list, count * SUBSCRIPTION as u32).ok_or(Errno::FAULT)?;
    let Lists { subscriptions, fds } = lists;
    // Since when this call waits: times that count from then do so however often the list is made.
    let began = Instant::now();
    let mut leaving = None;
    loop {
        let asked = sys::leave::asked();
        if leaving != Some(asked) {
            leaving = Some(asked);
            subscriptions.clear();
            subscriptions.reserve(count as usize);
            fds.clear();
            // Copied before anything is written: the two lists may overlap.
            for bytes in bytes.chunks_exact(SUBSCRIPTION) {
                subscriptions.push(subscription(guest, sockets.as_deref(), bytes, fds, began));
            }
            if fds.iter().any(|fd| fd.as_fd().as_raw_fd() == 0) {
                stdio.stdin_wanted().map_err(|error| Errno::of(&error))?;
            }
        }
        let times = subscriptions.iter().filter_map(|subscription| match subscription.wanted {
            Wanted::Time(at) => Some(at),
            Wanted::Now(_) => Some(began),
            Wanted::Fds(_) | Wanted::Sockets(_) => None,
        });
        let time = times.min();
        let look = asked.then(|| Instant::now() + QUIET);
        match wait_once(fds, [time, look].into_iter().flatten().min()) {
            // Asked to leave, perhaps: the list is another one then.
            Err(Kernel::EINTR) => {}
            Err(error) => return Err(error.into()),
            Ok(false) if asked && time.is_none_or(|time| Instant::now() < time) => {
                if let Some(sockets) = &mut sockets {
                    sockets.leave_if_quiet();
                }
            }
            Ok(_) => break,
        }
    }
    let place = guest.bytes(out, count * EVENT as u32).ok_or(Errno::FAULT)?;
    let mut happened = 0;
    let now = Instant::now();
    for subscription in subscriptions.iter() {
        let event = match &subscription.wanted {
            Wanted::Time(at) if *at <= now => event(subscription, Errno::SUCCESS, 0, 0),
            Wanted::Now(errno) => event(subscription, *errno, 1, 0),
            Wanted::Fds(range) | Wanted::Sockets(range) => {
                let ready = |fd: &&PollFd<'_>| fd.revents().is_some_and(|found| !found.is_empty());
                let Some(fd) = fds[range.clone()].iter().find(ready) else { continue };
                let found = fd.revents().unwrap_or(PollFlags::empty());
                let errno = if found.contains(PollFlags::POLLNVAL) { Errno::BADF } else { Errno::SUCCESS };
                let ended = found.intersects(PollFlags::POLLHUP | PollFlags::POLLERR);
                // How much there is of a socket nobody asks, and the kernel is not asked for nothing.
                let counted = ended || matches!(subscription.wanted, Wanted::Fds(_));
                let bytes = if subscription.tag == FD_READ && counted {
                    sys::stdio::available(fd.as_fd())
                } else {
                    1
                };
                // What is still there to be read comes before the end.
                event(subscription, errno, bytes, if ended && bytes == 0 { HANGUP } else { 0 })
            }
            Wanted::Time(_) => continue,
        };
        place[happened * EVENT..(happened + 1) * EVENT].copy_from_slice(&event);
        happened += 1;
    }
    guest.bytes(events, 4).ok_or(Errno::FAULT)?.copy_from_slice(&(happened as u32).to_le_bytes());
    Ok(())
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes[at + index])
}

/// Reads a subscription; its descriptors go to the end of the list.
fn subscription(
    guest: Guest<'_>,
    sockets: Option<&Sockets>,
    bytes: &[u8],
    fds: &mut Vec<PollFd<'static>>,
    began: Instant,
) -> Subscription {
    let (tag, word) = (bytes[8], u32::from_le_bytes(array(bytes, 16)));
    let wanted = match tag {
        CLOCK => {
            clock(word, u64::from_le_bytes(array(bytes, 24)), u16::from_le_bytes(array(bytes, 40)), began)
        }
        FD_READ | FD_WRITE => {
            let flags = if tag == FD_READ { PollFlags::POLLIN } else { PollFlags::POLLOUT };
            let mut listed = |new: &[BorrowedFd<'static>]| {
                let first = fds.len();
                fds.extend(new.iter().map(|fd| PollFd::new(*fd, flags)));
                first..fds.len()
            };
            match sockets.and_then(|sockets| sockets.waits_for(word)) {
                // As the kernel says of a socket without a connection: a call would not wait.
                Some(Waits::Nothing) => Wanted::Now(Errno::SUCCESS),
                Some(Waits::Accept(_)) if tag == FD_WRITE => Wanted::Sockets(listed(&[])),
                Some(Waits::Accept(list)) => Wanted::Sockets(listed(list)),
                Some(Waits::Transfer(fd)) => Wanted::Sockets(listed(&[fd])),
                None => match guest.native(word.cast_signed()).and_then(sys::stdio::numbered) {
                    None => Wanted::Now(Errno::BADF),
                    // What the guest writes there goes through the worker, which takes it at any time.
                    Some(fd) if tag == FD_WRITE && matches!(fd.as_raw_fd(), 1 | 2) => {
                        Wanted::Now(Errno::SUCCESS)
                    }
                    Some(fd) => Wanted::Fds(listed(&[fd])),
                },
            }
        }
        _ => Wanted::Now(Errno::INVAL),
    };
    Subscription { user: array(bytes, 0), tag, wanted }
}

/// The moment that a clock subscription names.
fn clock(id: u32, timeout: u64, flags: u16, began: Instant) -> Wanted {
    let clock = match id {
        0 => ClockId::CLOCK_REALTIME,
        1 => ClockId::CLOCK_MONOTONIC,
        // The clocks of the specification that count CPU time: nobody can wait for them here.
        2 | 3 => return Wanted::Now(Errno::NOTSUP),
        _ => return Wanted::Now(Errno::INVAL),
    };
    let mut rest = Duration::from_nanos(timeout);
    if flags & ABSOLUTE != 0 {
        let Ok(now) = clock_gettime(clock) else { return Wanted::Now(Errno::INVAL) };
        rest = rest.saturating_sub(now.into());
    }
    // Nobody lives to see the end of a wait that the clock cannot even name.
    let far = Duration::from_secs(100 * 365 * 86_400);
    Wanted::Time(began + rest.min(far))
}

/// Waits until one of the descriptors is ready or the time has come; whether one is ready.
///
/// # Errors
/// Those of ppoll(2).
pub(crate) fn wait(fds: &mut [PollFd<'_>], until: Option<Instant>) -> nix::Result<bool> {
    loop {
        match wait_once(fds, until) {
            // A guest whose call waits does nothing else: it has answered what it will.
            Err(Kernel::EINTR) if sys::leave::asked() => sys::leave::now(),
            Err(Kernel::EINTR) => {}
            result => return result,
        }
    }
}

/// The same, until a signal comes.
fn wait_once(fds: &mut [PollFd<'_>], until: Option<Instant>) -> nix::Result<bool> {
    let rest = until.map(|at| TimeSpec::from_duration(at.saturating_duration_since(Instant::now())));
    Ok(ppoll(fds, rest, Some(sys::leave::waiting()))? > 0)
}

fn event(subscription: &Subscription, errno: Errno, bytes: u64, flags: u16) -> [u8; EVENT] {
    let mut event = [0; EVENT];
    event[..8].copy_from_slice(&subscription.user);
    event[8..10].copy_from_slice(&errno.0.to_le_bytes());
    event[10] = subscription.tag;
    if subscription.tag != CLOCK {
        event[16..24].copy_from_slice(&bytes.to_le_bytes());
        event[24..26].copy_from_slice(&flags.to_le_bytes());
    }
    event
}
