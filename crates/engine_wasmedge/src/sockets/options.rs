//! Options of sockets. The level is always that of the socket, which is 0.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno as Kernel;
use nix::sys::socket::{getsockopt, setsockopt, sockopt};

use super::table::{Kind, Socket, State};
use super::{Call, address};
use crate::errno::Errno;

/// Options by their numbers in WasmEdge's `__wasi_sock_opt_so_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    ReuseAddress,
    Type,
    Error,
    Broadcast,
    SendBuffer,
    ReceiveBuffer,
    KeepAlive,
    Linger,
    ReceiveTimeout,
    SendTimeout,
    AcceptsConnections,
}

impl Name {
    /// # Errors
    /// NOPROTOOPT for one that guests do not have: what is left out reaches past the guest's own connections, or nobody
    /// uses it.
    fn of(level: u32, name: u32) -> Result<Self, Errno> {
        Ok(match (level, name) {
            (0, 0) => Self::ReuseAddress,
            (0, 1) => Self::Type,
            (0, 2) => Self::Error,
            (0, 4) => Self::Broadcast,
            (0, 5) => Self::SendBuffer,
            (0, 6) => Self::ReceiveBuffer,
            (0, 7) => Self::KeepAlive,
            (0, 9) => Self::Linger,
            (0, 11) => Self::ReceiveTimeout,
            (0, 12) => Self::SendTimeout,
            (0, 13) => Self::AcceptsConnections,
            _ => return Err(Errno::NOPROTOOPT),
        })
    }
}

/// A time is seconds and microseconds, 64 bits each.
const TIME: usize = 16;

/// `sock_setsockopt(fd, level, name, value, size) -> errno`
pub(crate) fn sock_setsockopt(call: Call<'_>, [fd, level, name, value, size]: [u32; 5]) -> Result<(), Errno> {
    let name = Name::of(level, name)?;
    let value = call.guest.bytes(value, size).ok_or(Errno::FAULT)?;
    let socket = call.sockets.table.find(fd)?;
    match name {
        Name::ReceiveTimeout => socket.receive_timeout = time(value)?,
        Name::SendTimeout => socket.send_timeout = time(value)?,
        Name::Type | Name::Error | Name::AcceptsConnections => return Err(Errno::NOPROTOOPT),
        Name::Linger => {
            // Two numbers, on or off and seconds: remembered as the seconds, or -1.
            let &[a, b, c, d, e, f, g, h] = &*value else { return Err(Errno::INVAL) };
            let seconds = i32::from_le_bytes([e, f, g, h]).max(0);
            set_or_keep(socket, name, if [a, b, c, d] == [0; 4] { -1 } else { seconds })?;
        }
        _ => {
            let &[a, b, c, d, ..] = &*value else { return Err(Errno::INVAL) };
            set_or_keep(socket, name, i32::from_le_bytes([a, b, c, d]))?;
        }
    }
    Ok(())
}

/// `sock_getsockopt(fd, level, name, value, size) -> errno`
pub(crate) fn sock_getsockopt(call: Call<'_>, [fd, level, name, place, size]: [u32; 5]) -> Result<(), Errno> {
    let name = Name::of(level, name)?;
    let socket = call.sockets.table.find(fd)?;
    let mut bytes = [0; TIME];
    let len = match name {
        Name::ReceiveTimeout | Name::SendTimeout => {
            let time = if name == Name::SendTimeout { socket.send_timeout } else { socket.receive_timeout };
            let time = time.unwrap_or_default();
            bytes[..8].copy_from_slice(&time.as_secs().to_le_bytes());
            bytes[8..].copy_from_slice(&u64::from(time.subsec_micros()).to_le_bytes());
            TIME
        }
        Name::Linger => {
            let seconds = get(socket, name)?;
            bytes[0] = u8::from(seconds >= 0);
            bytes[4..8].copy_from_slice(&seconds.max(0).to_le_bytes());
            8
        }
        _ => {
            bytes[..4].copy_from_slice(&get(socket, name)?.to_le_bytes());
            4
        }
    };
    let room = address::word(call.guest, size)? as usize;
    if room < len {
        return Err(Errno::INVAL);
    }
    call.guest.bytes(place, len as u32).ok_or(Errno::FAULT)?.copy_from_slice(&bytes[..len]);
    address::number(call.guest, size, len as u32)
}

/// A time that the guest wrote; none is for ever.
fn time(bytes: &[u8]) -> Result<Option<Duration>, Errno> {
    let bytes: &[u8; TIME] = bytes.try_into().map_err(|_| Errno::INVAL)?;
    let number = |at: usize| i64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
    let (Ok(seconds), Ok(micros)) = (u64::try_from(number(0)), u32::try_from(number(8))) else {
        return Err(Errno::INVAL);
    };
    if micros >= 1_000_000 {
        return Err(Errno::INVAL);
    }
    let time = Duration::new(seconds, micros * 1000);
    Ok((!time.is_zero()).then_some(time))
}

/// Sets an option of the socket of the kernel, or keeps it for the one that is to come.
fn set_or_keep(socket: &mut Socket, name: Name, value: i32) -> Result<(), Errno> {
    match socket.connected() {
        Ok(fd) => Ok(set(fd, name, value)?),
        Err(_) => {
            socket.options.retain(|(kept, _)| *kept != name);
            socket.options.push((name, value));
            Ok(())
        }
    }
}

/// Sets an option of a socket of the kernel.
pub(super) fn set(fd: BorrowedFd<'_>, name: Name, value: i32) -> nix::Result<()> {
    // The kernel has limits of its own for these.
    let size = usize::try_from(value).unwrap_or(0);
    match name {
        // Means something for those that bind, and those were bound before.
        Name::ReuseAddress => Ok(()),
        Name::Broadcast => setsockopt(&fd, sockopt::Broadcast, &(value != 0)),
        Name::SendBuffer => setsockopt(&fd, sockopt::SndBuf, &size),
        Name::ReceiveBuffer => setsockopt(&fd, sockopt::RcvBuf, &size),
        Name::KeepAlive => setsockopt(&fd, sockopt::KeepAlive, &(value != 0)),
        Name::Linger => {
            let linger = nix::libc::linger { l_onoff: i32::from(value >= 0), l_linger: value.max(0) };
            setsockopt(&fd, sockopt::Linger, &linger)
        }
        Name::Type | Name::Error | Name::AcceptsConnections | Name::ReceiveTimeout | Name::SendTimeout => {
            Err(Kernel::ENOPROTOOPT)
        }
    }
}

fn get(socket: &Socket, name: Name) -> Result<i32, Errno> {
    match name {
        Name::Type => return Ok(if socket.kind == Kind::Datagram { 1 } else { 2 }),
        Name::AcceptsConnections => {
            return Ok(i32::from(matches!(socket.state, State::Listening { .. })));
        }
        _ => {}
    }
    let Ok(fd) = socket.connected() else {
        let kept = socket.options.iter().find(|(kept, _)| *kept == name);
        let unset = if name == Name::Linger { -1 } else { 0 };
        return Ok(kept.map_or(unset, |(_, value)| *value));
    };
    let size = |size: usize| i32::try_from(size).unwrap_or(i32::MAX);
    Ok(match name {
        Name::Error => match getsockopt(&fd, sockopt::SocketError)? {
            0 => 0,
            error => Errno::from(Kernel::from_raw(error)).0.into(),
        },
        Name::ReuseAddress => 1,
        Name::Broadcast => getsockopt(&fd, sockopt::Broadcast)?.into(),
        Name::SendBuffer => size(getsockopt(&fd, sockopt::SndBuf)?),
        Name::ReceiveBuffer => size(getsockopt(&fd, sockopt::RcvBuf)?),
        Name::KeepAlive => getsockopt(&fd, sockopt::KeepAlive)?.into(),
        Name::Linger => {
            let linger = getsockopt(&fd, sockopt::Linger)?;
            if linger.l_onoff == 0 { -1 } else { linger.l_linger }
        }
        Name::Type | Name::AcceptsConnections | Name::ReceiveTimeout | Name::SendTimeout => 0,
    })
}
