//! Names and their addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::poll;
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{ErrorCode, IpAddress};

use crate::fault::kind;

/// The addresses of a name, or the address that it is.
pub(crate) fn resolve(name: &str, timeout: u64) -> Result<Vec<String>, String> {
    if name.parse::<IpAddr>().is_ok() {
        return Ok(vec![name.to_owned()]);
    }
    let stream = resolve_addresses(&instance_network(), name).map_err(kind)?;
    let some = stream.subscribe();
    let late = monotonic_clock::subscribe_duration(timeout);
    let mut addresses = Vec::new();
    loop {
        match stream.resolve_next_address() {
            Ok(Some(address)) => addresses.push(written(address)),
            Ok(None) if addresses.is_empty() => return Err(kind(ErrorCode::NameUnresolvable)),
            Ok(None) => return Ok(addresses),
            Err(ErrorCode::WouldBlock) if late.ready() => return Err("resolver_timeout".to_owned()),
            Err(ErrorCode::WouldBlock) => {
                poll(&[&some, &late]);
            }
            Err(code) => return Err(kind(code)),
        }
    }
}

fn written(address: IpAddress) -> String {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).to_string(),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => Ipv6Addr::new(a, b, c, d, e, f, g, h).to_string(),
    }
}
