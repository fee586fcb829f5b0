//! Addresses, as guests write and read them.
//!
//! A record says where an address lies and how long it is: 4 bytes are IPv4, 16 are IPv6, 128 begin with the family as
//! 16 bits (1 is IPv4, 2 is IPv6) and hold the address behind it. Ports go beside it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::sys::socket::{SockaddrStorage, getpeername, getsockname};

use super::table::{Family, Socket, State};
use super::{Call, Guest};
use crate::errno::Errno;

/// The place that a record names.
fn place(guest: Guest<'_>, record: u32) -> Result<&mut [u8], Errno> {
    guest.bytes(word(guest, record)?, word(guest, record.wrapping_add(4))?).ok_or(Errno::FAULT)
}

/// Reads a number of 32 bits.
pub(super) fn word(guest: Guest<'_>, at: u32) -> Result<u32, Errno> {
    let bytes = guest.bytes(at, 4).ok_or(Errno::FAULT)?;
    Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// Writes a number of 32 bits.
pub(super) fn number(guest: Guest<'_>, at: u32, number: u32) -> Result<(), Errno> {
    guest.bytes(at, 4).ok_or(Errno::FAULT)?.copy_from_slice(&number.to_le_bytes());
    Ok(())
}

/// Writes a number of 16 bits.
pub(super) fn half(guest: Guest<'_>, at: u32, number: u16) -> Result<(), Errno> {
    guest.bytes(at, 2).ok_or(Errno::FAULT)?.copy_from_slice(&number.to_le_bytes());
    Ok(())
}

/// Reads the address of a record.
pub(super) fn read(guest: Guest<'_>, record: u32, port: u32) -> Result<SocketAddr, Errno> {
    let bytes = place(guest, record)?;
    let ip = match bytes.len() {
        4 => v4(bytes),
        16 => v6(bytes),
        128 => match bytes[0] {
            1 => v4(&bytes[2..]),
            2 => v6(&bytes[2..]),
            _ => return Err(Errno::AFNOSUPPORT),
        },
        _ => return Err(Errno::INVAL),
    };
    Ok(SocketAddr::new(ip, u16::try_from(port).map_err(|_| Errno::INVAL)?))
}

fn v4(bytes: &[u8]) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(std::array::from_fn::<u8, 4, _>(|index| bytes[index])))
}

fn v6(bytes: &[u8]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|index| bytes[index])))
}

/// Writes an address to where a record says.
pub(super) fn write(guest: Guest<'_>, record: u32, ip: IpAddr) -> Result<(), Errno> {
    let bytes = place(guest, record)?;
    let (family, octets) = match &ip {
        IpAddr::V4(ip) => (1, &ip.octets()[..]),
        IpAddr::V6(ip) => (2, &ip.octets()[..]),
    };
    let bytes = match bytes.len() {
        128 => {
            bytes[..2].copy_from_slice(&[family, 0]);
            &mut bytes[2..]
        }
        4 | 16 => bytes,
        _ => return Err(Errno::INVAL),
    };
    bytes.get_mut(..octets.len()).ok_or(Errno::INVAL)?.copy_from_slice(octets);
    Ok(())
}

/// An address of the kernel's. Unix sockets stand beside TCP sockets of this machine, and a guest has no other name for
/// who connects to them.
pub(super) fn of(address: &SockaddrStorage) -> SocketAddr {
    if let Some(v4) = address.as_sockaddr_in() {
        (v4.ip(), v4.port()).into()
    } else if let Some(v6) = address.as_sockaddr_in6() {
        (v6.ip().to_canonical(), v6.port()).into()
    } else {
        (Ipv4Addr::LOCALHOST, 0).into()
    }
}

/// Who is at the other end.
pub(super) fn peer(fd: BorrowedFd<'_>) -> Result<SocketAddr, Errno> {
    Ok(of(&getpeername::<SockaddrStorage>(fd.as_raw_fd())?))
}

/// The address of a socket's own end.
fn local(socket: &Socket, call: &Call<'_>) -> Result<SocketAddr, Errno> {
    Ok(match &socket.state {
        State::Unconnected if socket.family == Family::V4 => (Ipv4Addr::UNSPECIFIED, 0).into(),
        State::Unconnected => (Ipv6Addr::UNSPECIFIED, 0).into(),
        State::Listening { granted, address } => (*address, call.sockets.granted[*granted].port).into(),
        State::Kernel { fd, port } => {
            let mut address = of(&getsockname::<SockaddrStorage>(fd.as_raw_fd())?);
            address.set_port(port.unwrap_or(address.port()));
            address
        }
    })
}

fn local_of(call: &Call<'_>, fd: u32) -> Result<SocketAddr, Errno> {
    local(call.sockets.table.get(fd).ok_or(Errno::BADF)?, call)
}

fn peer_of(call: &Call<'_>, fd: u32) -> Result<SocketAddr, Errno> {
    let socket = call.sockets.table.get(fd).ok_or(Errno::BADF)?;
    match peer(socket.connected()?) {
        // Who was accepted may have gone by now. Reading tells; a loop of accepting asks this first, and takes an error here
        // for one of its own (hyper's waits a second then).
        Err(Errno::NOTCONN) if matches!(socket.state, State::Kernel { port: Some(_), .. }) => {
            Ok((Ipv4Addr::UNSPECIFIED, 0).into())
        }
        result => result,
    }
}

/// The first version tells the family by its number in the address's name, 4 or 6.
fn first_version(
    guest: Guest<'_>,
    address: SocketAddr,
    [record, family, port]: [u32; 3],
) -> Result<(), Errno> {
    write(guest, record, address.ip())?;
    number(guest, family, if address.is_ipv4() { 4 } else { 6 })?;
    number(guest, port, address.port().into())
}

fn second_version(guest: Guest<'_>, address: SocketAddr, [record, port]: [u32; 2]) -> Result<(), Errno> {
    write(guest, record, address.ip())?;
    number(guest, port, address.port().into())
}

/// `sock_getlocaladdr(fd, address, family, port) -> errno`
pub(crate) fn sock_getlocaladdr(call: Call<'_>, [fd, record, family, port]: [u32; 4]) -> Result<(), Errno> {
    first_version(call.guest, local_of(&call, fd)?, [record, family, port])
}

/// `sock_getlocaladdr_v2(fd, address, port) -> errno`
pub(crate) fn sock_getlocaladdr_v2(call: Call<'_>, [fd, record, port]: [u32; 3]) -> Result<(), Errno> {
    second_version(call.guest, local_of(&call, fd)?, [record, port])
}

/// `sock_getpeeraddr(fd, address, family, port) -> errno`
pub(crate) fn sock_getpeeraddr(call: Call<'_>, [fd, record, family, port]: [u32; 4]) -> Result<(), Errno> {
    first_version(call.guest, peer_of(&call, fd)?, [record, family, port])
}

/// `sock_getpeeraddr_v2(fd, address, port) -> errno`
pub(crate) fn sock_getpeeraddr_v2(call: Call<'_>, [fd, record, port]: [u32; 3]) -> Result<(), Errno> {
    second_version(call.guest, peer_of(&call, fd)?, [record, port])
}
