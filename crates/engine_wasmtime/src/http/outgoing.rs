//! The requests that a guest sends, as far as its permissions go.

use std::future::Future;
use std::net::{IpAddr, ToSocketAddrs};

use engine::policy::{literal, same};
use engine::{Connect, Destination};
use hyper::Request;
use hyper::http::HeaderName;
use hyper::http::uri::Scheme;
use wasmtime_wasi_http::{DEFAULT_FORBIDDEN_HEADERS, Error, RequestOptions, WasiBody, WasiHttpHooks};

/// A response that is on its way, and what brings the rest of it.
type Sent = Result<(hyper::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

/// The requests that a guest sends: HTTP and HTTPS, to where it may connect.
pub struct Outgoing {
    connect: Connect,
    refused: Box<dyn FnMut(&str) + Send>,
}

impl Outgoing {
    /// Requests go where `connect` says; `refused` is told in one line what was not allowed.
    pub fn new(connect: Connect, refused: impl FnMut(&str) + Send + 'static) -> Self {
        Self { connect, refused: Box::new(refused) }
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").field("connect", &self.connect).finish_non_exhaustive()
    }
}

impl WasiHttpHooks for Outgoing {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        DEFAULT_FORBIDDEN_HEADERS.contains(name)
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let uri = request.uri();
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let standard = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(standard);
        if !allows(&self.connect, host, port) {
            (self.refused)(&format!("permission {host}:{port}: may not connect"));
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        Box::new(async move {
            use http_body_util::BodyExt;
            let (response, rest) = wasmtime_wasi_http::default_send_request(request, options).await?;
            let rest: Box<dyn Future<Output = _> + Send> = Box::new(rest);
            Ok((response.map(BodyExt::boxed_unsync), rest))
        })
    }
}

/// Whether a guest may send requests to this host and port. A name counts as it is written; an address counts by what is
/// listed, a name in the list by what it stands for.
fn allows(connect: &Connect, host: &str, port: u16) -> bool {
    let list = match connect {
        Connect::Nothing => return false,
        Connect::Anything => return true,
        Connect::Listed(list) => list,
    };
    let ip = host.parse::<IpAddr>().map(|ip| ip.to_canonical()).ok();
    list.iter().any(|Destination { host: listed, port: its }| {
        let stands_for = |ip: IpAddr| match literal(listed) {
            Some(ips) => ips.contains(&ip),
            // Its own name server may have told the guest.
            None => (listed.as_str(), port)
                .to_socket_addrs()
                .is_ok_and(|mut found| found.any(|address| address.ip().to_canonical() == ip)),
        };
        (*its == 0 || *its == port) && (same(listed, host) || ip.is_some_and(stands_for))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(list: &[(&str, u16)]) -> Connect {
        let list = list.iter().map(|(host, port)| Destination { host: (*host).to_owned(), port: *port });
        Connect::Listed(list.collect())
    }

    #[test]
    fn nothing_and_anything_are_what_they_say() {
        assert!(!allows(&Connect::Nothing, "127.0.0.1", 80));
        assert!(!allows(&listed(&[]), "127.0.0.1", 80));
        assert!(allows(&Connect::Anything, "example.org", 80));
    }

    #[test]
    fn a_name_is_allowed_as_it_is_listed_and_with_its_port() {
        let list = listed(&[("Example.invalid", 443), ("other.invalid", 0)]);
        assert!(allows(&list, "example.INVALID.", 443));
        assert!(!allows(&list, "example.invalid", 80));
        assert!(!allows(&list, "sub.example.invalid", 443));
        assert!(allows(&list, "other.invalid", 1));
        // What does not resolve stands for no address.
        assert!(!allows(&list, "192.0.2.1", 443));
    }

    #[test]
    fn an_address_is_allowed_by_what_is_listed() {
        let list = listed(&[("localhost", 80), ("192.0.2.1", 0), ("2001:db8::1", 443)]);
        assert!(allows(&list, "127.0.0.1", 80));
        assert!(allows(&list, "::1", 80));
        assert!(!allows(&list, "127.0.0.2", 80));
        assert!(!allows(&list, "127.0.0.1", 81));
        assert!(allows(&list, "::ffff:192.0.2.1", 8080));
        assert!(allows(&list, "2001:db8::1", 443));
        assert!(!allows(&list, "2001:db8::2", 443));
    }
}
