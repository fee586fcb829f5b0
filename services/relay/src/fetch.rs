//! One call: resolve, connect, shake hands, ask, and pass the answer on as it comes.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::Uri;
use hyper::client::conn::Builder;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use web::{Body, Request, Response};

use crate::tls;

/// The longest that each step may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A call that came to nothing.
pub struct Failure {
    /// `url`, `resolve`, `permission`, `connect`, `certificate` or `protocol`.
    pub step: &'static str,
    what: String,
    why: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.step, self.what, self.why)
    }
}

/// A `Failure` at `step`, as a closure for errors.
fn at<E: fmt::Display>(step: &'static str, what: impl Into<String>) -> impl FnOnce(E) -> Failure {
    let what = what.into();
    move |why| Failure { step, what, why: why.to_string() }
}

/// Sends method, content type and body of `request` to `url`.
pub async fn fetch(url: Uri, request: Request<Body>) -> Result<Response<Body>, Failure> {
    let fail = |why: &str| at("url", url.to_string())(why);
    let (secure, default_port) = match url.scheme_str() {
        Some("http") => (false, 80),
        Some("https") => (true, 443),
        _ => return Err(fail("neither http nor https")),
    };
    let authority = url.authority().ok_or_else(|| fail("no host"))?;
    let (host, port) = (authority.host(), authority.port_u16().unwrap_or(default_port));
    let stream = connect(host, port).await?;

    let (parts, body) = request.into_parts();
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let mut outgoing = Request::new(body);
    *outgoing.method_mut() = parts.method;
    *outgoing.uri_mut() = path.parse().map_err(at("url", path))?;
    let named = HeaderValue::from_str(authority.as_str()).map_err(at("url", authority.as_str()))?;
    outgoing.headers_mut().insert(HOST, named);
    if let Some(content_type) = parts.headers.get(CONTENT_TYPE) {
        outgoing.headers_mut().insert(CONTENT_TYPE, content_type.clone());
    }

    let asking = async {
        if secure {
            let stream = tls::connect(stream, host).await.map_err(|error| match error {
                tls::Error::Certificate(why) => at("certificate", host)(why),
                tls::Error::Protocol(why) => at("protocol", host)(why),
            })?;
            ask(stream, outgoing).await.map_err(at("protocol", host))
        } else {
            ask(stream, outgoing).await.map_err(at("protocol", host))
        }
    };
    let (head, body) = in_time(asking, || at("protocol", host)("no answer in time")).await?.into_parts();
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    if let Some(content_type) = head.headers.get(CONTENT_TYPE) {
        response.headers_mut().insert(CONTENT_TYPE, content_type.clone());
    }
    Ok(response)
}

/// A connection to the first address of `host` that takes one.
async fn connect(host: &str, port: u16) -> Result<TcpStream, Failure> {
    let addresses = resolve(host, port).map_err(|error| network("resolve", host, &error))?;
    let mut last = at("resolve", host)("no address");
    for address in addresses {
        let named = address.to_string();
        let opening = async { open(address).await.map_err(|error| network("connect", &named, &error)) };
        match in_time(opening, || at("connect", &named)("timed out")).await {
            Ok(stream) => return Ok(stream),
            Err(failure) => last = failure,
        }
    }
    Err(last)
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // On WASI tokio takes a refused connection for one that is open: using it tells.
    stream.try_write(&[])?;
    Ok(stream)
}

/// The host looks names up. It does not come back before it knows, so meanwhile nothing else goes on.
fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse() {
        Ok(ip) => Ok(vec![SocketAddr::new(ip, port)]),
        // The port as a number: a service's name would be looked up as well, in a file.
        Err(_) => wasmedge_wasi_socket::nslookup_with_host(host, &port.to_string()),
    }
}

async fn ask<S>(stream: S, request: Request<Body>) -> hyper::Result<Response<Body>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = Builder::new().http1_writev(false).handshake(stream).await?;
    // It ends when the answer's body was read, or nobody reads it any more.
    tokio::spawn(async {
        if let Err(error) = connection.await {
            eprintln!("relay: {error}");
        }
    });
    sender.send_request(request).await
}

async fn in_time<T>(
    step: impl Future<Output = Result<T, Failure>>,
    late: impl FnOnce() -> Failure,
) -> Result<T, Failure> {
    timeout(PATIENCE, step).await.unwrap_or_else(|_| Err(late()))
}

/// What went wrong in the network; what was not permitted is a step of its own.
fn network(step: &'static str, what: &str, error: &io::Error) -> Failure {
    let what = what.to_owned();
    // Of WASI, and those that WasmEdge adds for names.
    let why = match error.raw_os_error() {
        Some(2 | 63 | 76) => {
            return Failure { step: "permission", what, why: format!("may not {step}") };
        }
        Some(14) => "connection refused".to_owned(),
        Some(23 | 40) => "no way there".to_owned(),
        Some(73) => "timed out".to_owned(),
        Some(78) => "name servers do not answer".to_owned(),
        Some(83 | 84) => "no such host".to_owned(),
        _ => error.to_string(),
    };
    Failure { step, what, why }
}
