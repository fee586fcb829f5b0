//! Names of hosts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use engine::policy::literal;

use super::{Call, address};
use crate::errno::Errno;
use crate::host::Guest;

/// WasmEdge's `addrinfo`: its size in bytes, and where its fields are. A result has a place for an address, and names the
/// next result.
const INFO: u32 = 28;
const FAMILY: usize = 2;
const TYPE: usize = 3;
const PROTOCOL: usize = 4;
const LENGTH: usize = 8;
const ADDRESS: usize = 12;
const NAME_LENGTH: usize = 20;
const NEXT: usize = 24;
/// `aiflags.ai_passive`
const PASSIVE: u8 = 1;

/// The size in bytes of its `sockaddr`: family, length of the data, where that is.
const SOCKADDR: u32 = 12;

/// `sock_getaddrinfo(node, its length, service, its length, hints, results, most results, count) -> errno`
///
/// IPv6 addresses are left out where the guest has no room for them, as the crate `wasmedge_wasi_socket` has not.
pub(crate) fn sock_getaddrinfo(
    call: Call<'_>,
    [node, node_len, service, service_len, hints, results, most, count]: [u32; 8],
) -> Result<(), Errno> {
    let Call { guest, stdio, sockets } = call;
    let node = text(guest, node, node_len)?;
    let service = text(guest, service, service_len)?;
    let hints = guest.bytes(hints, INFO).ok_or(Errno::FAULT)?;
    let (passive, family) = (hints[0] & PASSIVE != 0, hints[FAMILY]);
    // Streams, unless datagrams are asked for; the numbers of types and protocols are not the same.
    let (kind, protocol) = if hints[TYPE] == 1 { (1, 2) } else { (2, 1) };
    if most == 0 {
        return Err(Errno::AIMEMORY);
    }
    if node.is_empty() && service.is_empty() {
        return Err(Errno::AINONAME);
    }
    let port = port(service)?;
    let ips = if node.is_empty() {
        vec![IpAddr::V4(if passive { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST })]
    } else if let Some(ips) = literal(node) {
        ips
    } else if sockets.policy.may_resolve(node) {
        sockets.policy.resolve(node).map_err(|_| Errno::AINONAME)?
    } else {
        sockets.refuse(stdio, &format!("look up {node}"));
        return Err(Errno::ACCES);
    };
    let wanted = |ip: &IpAddr| family == 0 || (family == 1) == ip.is_ipv4();
    let mut place = address::word(guest, results)?;
    let mut written = 0;
    for ip in ips.into_iter().filter(wanted) {
        if written == most {
            break;
        }
        let info = guest.bytes(place, INFO).ok_or(Errno::FAULT)?;
        let Some(length) = write(guest, info, SocketAddr::new(ip, port))? else { continue };
        info[FAMILY] = if ip.is_ipv4() { 1 } else { 2 };
        info[TYPE] = kind;
        info[PROTOCOL] = protocol;
        info[LENGTH..LENGTH + 4].copy_from_slice(&length.to_le_bytes());
        info[NAME_LENGTH..NAME_LENGTH + 4].fill(0);
        place = u32::from_le_bytes(std::array::from_fn(|index| info[NEXT + index]));
        written += 1;
    }
    address::number(guest, count, written)
}

/// Writes an address to the place that a result has for it; the length of such an address in C, or `None` when there is
/// no room.
fn write(guest: Guest<'_>, info: &[u8], to: SocketAddr) -> Result<Option<u32>, Errno> {
    let record = u32::from_le_bytes(std::array::from_fn(|index| info[ADDRESS + index]));
    let room = address::word(guest, record.wrapping_add(4))?;
    let data = address::word(guest, record.wrapping_add(8))?;
    // What C has in its records behind the family, with the port in the order of the network: IPv4 is padded, IPv6 has a
    // flow before and a scope behind the address.
    let mut bytes = [0; 26];
    bytes[..2].copy_from_slice(&to.port().to_be_bytes());
    let (family, len) = match to.ip() {
        IpAddr::V4(ip) => {
            bytes[2..6].copy_from_slice(&ip.octets());
            (1, 14)
        }
        IpAddr::V6(ip) => {
            bytes[6..22].copy_from_slice(&ip.octets());
            (2, 26)
        }
    };
    if room < len {
        return Ok(None);
    }
    guest.bytes(data, len).ok_or(Errno::FAULT)?.copy_from_slice(&bytes[..len as usize]);
    let head = guest.bytes(record, SOCKADDR).ok_or(Errno::FAULT)?;
    head[0] = family;
    head[4..8].copy_from_slice(&len.to_le_bytes());
    Ok(Some(len + 2))
}

/// A text of the guest's, up to the NUL if it has one.
fn text(guest: Guest<'_>, at: u32, len: u32) -> Result<&str, Errno> {
    let bytes = guest.bytes(at, len).ok_or(Errno::FAULT)?;
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    std::str::from_utf8(&bytes[..end]).map_err(|_| Errno::INVAL)
}

/// The port of a service: its number, or one of the two names that guests use.
fn port(service: &str) -> Result<u16, Errno> {
    match service {
        "" => Ok(0),
        "http" => Ok(80),
        "https" => Ok(443),
        number => number.parse().map_err(|_| Errno::AISERVICE),
    }
}
