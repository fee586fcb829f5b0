//! One TCP connection.

use std::net::{IpAddr, SocketAddr};

use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, Network,
};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

use crate::bindings::exports::hero::scenario::sockets::{Fault, Progress};
use crate::fault::{broken, kind, unconnected};

/// How much is received in one step: at first, and at most. The host makes a buffer of that size each time.
const CHUNK: u64 = 4 * 1024;
const LARGEST_CHUNK: u64 = 64 * 1024;

thread_local! {
    /// The right to use the network, as the host gives it.
    static NETWORK: Network = instance_network();
}

/// A connection. The fields are dropped from top to bottom, and WASI wants children to go before their parents.
pub(crate) struct Socket {
    /// Ready when it is connected, and later when something has come.
    readable: Pollable,
    streams: Option<Streams>,
    tcp: TcpSocket,
    /// What is still to be sent.
    unsent: Vec<u8>,
    /// How much is received in one step.
    chunk: u64,
    pub(crate) token: u32,
    /// Whether somebody waits for it.
    pub(crate) wanted: bool,
    /// The round in which it was told to be ready.
    pub(crate) round: u64,
}

struct Streams {
    /// Ready when the system takes more; there is one while something is unsent.
    writable: Option<Pollable>,
    input: InputStream,
    output: OutputStream,
}

impl Socket {
    /// Starts to connect.
    pub(crate) fn connect(token: u32, address: &str, source: Option<&str>) -> Result<Self, String> {
        let address: SocketAddr = address.parse().map_err(|_| kind(ErrorCode::InvalidArgument))?;
        let tcp = match source {
            Some(source) => bound(source, address.is_ipv6())?,
            None => create_tcp_socket(family(address.is_ipv6())).map_err(kind)?,
        };
        NETWORK.with(|network| tcp.start_connect(network, wasi(address))).map_err(kind)?;
        let readable = tcp.subscribe();
        Ok(Self {
            readable,
            streams: None,
            tcp,
            unsent: Vec::new(),
            chunk: CHUNK,
            token,
            wanted: true,
            round: u64::MAX,
        })
    }

    /// What `wait` waits for.
    pub(crate) fn pollables(&self) -> impl Iterator<Item = &Pollable> {
        let writable = self.streams.as_ref().and_then(|streams| streams.writable.as_ref());
        std::iter::once(&self.readable).chain(writable)
    }

    /// Sends as much as the system takes, and keeps the rest.
    pub(crate) fn send(&mut self, bytes: Vec<u8>) -> Result<(), Fault> {
        self.wanted = true;
        if self.unsent.is_empty() {
            self.unsent = bytes;
        } else {
            self.unsent.extend_from_slice(&bytes);
        }
        self.flush().map_err(broken)
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        let Some(streams) = &mut self.streams else { return Ok(()) };
        let mut sent = 0;
        while sent < self.unsent.len() {
            let room = room(&streams.output)?;
            if room == 0 {
                break;
            }
            let end = self.unsent.len().min(sent.saturating_add(room));
            streams.output.write(&self.unsent[sent..end])?;
            sent = end;
        }
        if sent == self.unsent.len() {
            self.unsent = Vec::new();
            streams.writable = None;
        } else {
            self.unsent.drain(..sent);
            if streams.writable.is_none() {
                streams.writable = Some(streams.output.subscribe());
            }
        }
        Ok(())
    }

    /// Goes on as far as it can without waiting.
    pub(crate) fn step(&mut self) -> Result<Progress, Fault> {
        self.wanted = false;
        if self.streams.is_none() {
            match self.tcp.finish_connect() {
                Ok((input, output)) => {
                    self.readable = input.subscribe();
                    self.streams = Some(Streams { writable: None, input, output });
                }
                Err(ErrorCode::WouldBlock) => {
                    self.wanted = true;
                    return Ok(Progress::Pending);
                }
                Err(code) => return Err(unconnected(code)),
            }
        }
        if !self.unsent.is_empty() {
            self.flush().map_err(broken)?;
        }
        let Some(streams) = &self.streams else { return Ok(Progress::Pending) };
        match streams.input.read(self.chunk) {
            Ok(bytes) if bytes.is_empty() => {
                self.wanted = true;
                Ok(Progress::Pending)
            }
            Ok(bytes) => {
                if bytes.len() as u64 == self.chunk {
                    self.chunk = LARGEST_CHUNK.min(self.chunk * 4);
                }
                Ok(Progress::Bytes(bytes))
            }
            Err(StreamError::Closed) => Ok(Progress::End),
            Err(error) => Err(broken(error)),
        }
    }
}

/// How much the system takes.
fn room(output: &OutputStream) -> Result<usize, StreamError> {
    let mut room = output.check_write()?;
    if room == 0 {
        // A host on tokio says so, too, when we have done much without a pause. Then all connections would wait for
        // each other, and nothing would go on: have the pause.
        monotonic_clock::subscribe_duration(0).block();
        room = output.check_write()?;
    }
    Ok(usize::try_from(room).unwrap_or(usize::MAX))
}

/// Whether connections can come from this address.
pub(crate) fn check_source(address: &str) -> Result<(), String> {
    let v6 = address.contains(':');
    bound(address, v6).map(drop)
}

/// A socket whose connection will come from this address.
fn bound(source: &str, v6: bool) -> Result<TcpSocket, String> {
    let source: IpAddr = source.parse().map_err(|_| kind(ErrorCode::InvalidArgument))?;
    if source.is_ipv6() != v6 {
        return Err("address_family".to_owned());
    }
    let tcp = create_tcp_socket(family(v6)).map_err(kind)?;
    NETWORK.with(|network| tcp.start_bind(network, wasi(SocketAddr::new(source, 0)))).map_err(kind)?;
    loop {
        match tcp.finish_bind() {
            Ok(()) => return Ok(tcp),
            Err(ErrorCode::WouldBlock) => tcp.subscribe().block(),
            Err(code) => return Err(kind(code)),
        }
    }
}

fn family(v6: bool) -> IpAddressFamily {
    if v6 { IpAddressFamily::Ipv6 } else { IpAddressFamily::Ipv4 }
}

fn wasi(address: SocketAddr) -> IpSocketAddress {
    match address {
        SocketAddr::V4(v4) => {
            let [a, b, c, d] = v4.ip().octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress { port: v4.port(), address: (a, b, c, d) })
        }
        SocketAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h] = v6.ip().segments();
            IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: v6.port(),
                flow_info: v6.flowinfo(),
                address: (a, b, c, d, e, f, g, h),
                scope_id: v6.scope_id(),
            })
        }
    }
}
