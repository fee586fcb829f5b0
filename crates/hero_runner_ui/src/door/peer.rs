//! Which user is at the other end of a connection over loopback, as the kernel's tables say.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The tables of TCP sockets of this network namespace. A socket of IPv6 may have been connected to an address of IPv4.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// The user of the socket that is bound to `peer` and connected to `own`; none if there is no such socket any more.
pub(super) fn user(peer: SocketAddr, own: SocketAddr) -> Option<u32> {
    TABLES.iter().find_map(|table| find(&std::fs::read_to_string(table).ok()?, peer, own))
}

fn find(table: &str, peer: SocketAddr, own: SocketAddr) -> Option<u32> {
    table.lines().skip(1).find_map(|line| {
        // sl local remote state queues timer retransmits uid timeout inode …
        let mut fields = line.split_ascii_whitespace().skip(1);
        let local = address(fields.next()?)?;
        let remote = address(fields.next()?)?;
        if (local, remote) != (plain(peer), plain(own)) {
            return None;
        }
        let uid = fields.nth(4)?.parse().ok()?;
        let inode: u64 = fields.nth(1)?.parse().ok()?;
        // One that no process holds any more is shown as root's.
        (inode != 0).then_some(uid)
    })
}

/// An address as the kernel prints it: words of 32 bits in the byte order of the machine, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |place: usize| {
        u32::from_str_radix(words.get(place * 8..place * 8 + 8)?, 16).ok().map(u32::to_ne_bytes)
    };
    let ip: IpAddr = match words.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (place, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(place)?);
            }
            IpAddr::from(bytes)
        }
        _ => return None,
    };
    Some(plain(SocketAddr::new(ip, port)))
}

fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_kernel_tells_whose_connection_it_is() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap();
        let client = TcpStream::connect(own).unwrap();
        let (accepted, peer) = listener.accept().unwrap();
        assert_eq!(user(peer, own), Some(rustix::process::geteuid().as_raw()));
        // What has been closed is nobody's, and not root's.
        drop(client);
        assert_eq!(user(peer, own), None);
        drop(accepted);
    }

    #[test]
    fn rows_are_read_as_the_kernel_writes_them() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
        let row = |uid: u32, inode: u32| {
            let (local, remote) = ("127.0.0.1:40000", "127.0.0.1:14001");
            let hex = |text: &str| {
                let SocketAddr::V4(address) = text.parse().unwrap() else { panic!("{text}") };
                format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
            };
            format!(
                "   0: {} {} 01 00000000:00000000 00:00000000 00000000  {uid}        0 {inode} 1 0 20 4 30 10 -1\n",
                hex(local),
                hex(remote)
            )
        };
        let (peer, own) = ("127.0.0.1:40000".parse().unwrap(), "127.0.0.1:14001".parse().unwrap());
        assert_eq!(find(&format!("{head}{}", row(1234, 99)), peer, own), Some(1234));
        assert_eq!(find(&format!("{head}{}", row(0, 0)), peer, own), None);
        assert_eq!(find(&format!("{head}{}", row(1234, 99)), own, peer), None);
        let mapped = "0000000000000000FFFF00000100007F:1F90";
        if cfg!(target_endian = "little") {
            assert_eq!(address(mapped), Some("127.0.0.1:8080".parse().unwrap()));
        }
    }
}
