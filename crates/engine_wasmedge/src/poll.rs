//! `poll_oneoff`: waiting for clocks and descriptors. It is ours because waiting for standard input is a use of standard
//! input, which only the worker knows.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use engine::Stdio;
use nix::errno::Errno as Kernel;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use crate::host::Guest;
use crate::wasi::Errno;

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
    /// Until the descriptor can be read or written.
    Fd(BorrowedFd<'static>, PollFlags),
    /// Nothing: it has happened, or cannot happen.
    Now(Errno),
}

struct Subscription {
    user: [u8; 8],
    tag: u8,
    wanted: Wanted,
}

/// `poll_oneoff(in, out, count, events) -> errno`
pub(crate) fn poll_oneoff(
    guest: Guest<'_>,
    stdio: &mut dyn Stdio,
    [list, out, count, events]: [u32; 4],
) -> Errno {
    if count == 0 || count > MAX_SUBSCRIPTIONS {
        return Errno::INVAL;
    }
    let Some(bytes) = guest.bytes(list, count * SUBSCRIPTION as u32) else { return Errno::FAULT };
    // Copied before anything is written: the two lists may overlap.
    let subscriptions: Vec<Subscription> =
        bytes.chunks_exact(SUBSCRIPTION).map(|bytes| subscription(guest, bytes)).collect();
    let stdin = |wanted: &Subscription| {
        use std::os::fd::AsRawFd;
        matches!(&wanted.wanted, Wanted::Fd(fd, _) if fd.as_raw_fd() == 0)
    };
    if subscriptions.iter().any(stdin)
        && let Err(error) = stdio.stdin_wanted()
    {
        return Errno::of(&error);
    }
    let ready = match wait(&subscriptions) {
        Ok(ready) => ready,
        Err(error) => return Errno::of(&error.into()),
    };
    let Some(place) = guest.bytes(out, count * EVENT as u32) else { return Errno::FAULT };
    let mut happened = 0;
    let now = Instant::now();
    for (subscription, found) in subscriptions.iter().zip(ready) {
        let event = match &subscription.wanted {
            Wanted::Time(at) if *at <= now => event(subscription, Errno::SUCCESS, 0, 0),
            Wanted::Now(errno) => event(subscription, *errno, 1, 0),
            Wanted::Fd(fd, _) if !found.is_empty() => {
                let errno = if found.contains(PollFlags::POLLNVAL) { Errno::BADF } else { Errno::SUCCESS };
                let bytes = if subscription.tag == FD_READ { sys::stdio::available(*fd) } else { 1 };
                // What is still there to be read comes before the end.
                let ended = found.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) && bytes == 0;
                event(subscription, errno, bytes, if ended { HANGUP } else { 0 })
            }
            _ => continue,
        };
        place[happened * EVENT..(happened + 1) * EVENT].copy_from_slice(&event);
        happened += 1;
    }
    let Some(events) = guest.bytes(events, 4) else { return Errno::FAULT };
    events.copy_from_slice(&(happened as u32).to_le_bytes());
    Errno::SUCCESS
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes[at + index])
}

fn subscription(guest: Guest<'_>, bytes: &[u8]) -> Subscription {
    use std::os::fd::AsRawFd;
    let (tag, word) = (bytes[8], u32::from_le_bytes(array(bytes, 16)));
    let wanted = match tag {
        CLOCK => clock(word, u64::from_le_bytes(array(bytes, 24)), u16::from_le_bytes(array(bytes, 40))),
        FD_READ | FD_WRITE => match guest.native(word as i32).and_then(sys::stdio::numbered) {
            None => Wanted::Now(Errno::BADF),
            // What the guest writes there goes through the worker, which takes it at any time.
            Some(fd) if tag == FD_WRITE && matches!(fd.as_raw_fd(), 1 | 2) => Wanted::Now(Errno::SUCCESS),
            Some(fd) => Wanted::Fd(fd, if tag == FD_READ { PollFlags::POLLIN } else { PollFlags::POLLOUT }),
        },
        _ => Wanted::Now(Errno::INVAL),
    };
    Subscription { user: array(bytes, 0), tag, wanted }
}

/// The moment that a clock subscription names.
fn clock(id: u32, timeout: u64, flags: u16) -> Wanted {
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
    Wanted::Time(Instant::now() + rest.min(far))
}

/// Waits until one of them has happened; what the kernel says of each descriptor, in the order of the list.
fn wait(subscriptions: &[Subscription]) -> Result<Vec<PollFlags>, Kernel> {
    let mut fds = Vec::new();
    let mut until: Option<Instant> = None;
    for subscription in subscriptions {
        match &subscription.wanted {
            Wanted::Time(at) => until = Some(until.map_or(*at, |before| before.min(*at))),
            Wanted::Fd(fd, flags) => fds.push(PollFd::new(*fd, *flags)),
            Wanted::Now(_) => until = Some(Instant::now()),
        }
    }
    loop {
        let rest = until.map(|at| TimeSpec::from_duration(at.saturating_duration_since(Instant::now())));
        match ppoll(&mut fds, rest, None) {
            Err(Kernel::EINTR) => {}
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    let mut found = fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
    let of = |subscription: &Subscription| match subscription.wanted {
        Wanted::Fd(..) => found.next().unwrap_or(PollFlags::empty()),
        _ => PollFlags::empty(),
    };
    Ok(subscriptions.iter().map(of).collect())
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
