//! A request that an upstream answers.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;

use crate::answer::{Answer, Refused};
use crate::body::Body;
use crate::client::{Busy, Client};
use crate::target::{Address, Lease};
use crate::upload::Upload;
use crate::upstream::{self, Download, Failure, Reply};
use crate::{fields, service, tunnel};

/// How a request is passed on.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// For `X-Forwarded-Prefix`.
    pub(crate) prefix: Option<&'a HeaderValue>,
    /// Path and query as the upstream sees them.
    pub(crate) target: Option<Bytes>,
    /// The other protocol that the client asks for.
    pub(crate) upgrade: Option<HeaderValue>,
}

/// Sends a request to an upstream and returns the response; the connection may become a tunnel.
pub(crate) async fn forward(
    client: &Arc<Client>,
    mut request: Request<Upload>,
    plan: Plan<'_>,
    address: Address,
    lease: Lease,
    busy: &mut Option<Busy>,
) -> Result<Response<Body>, Failure> {
    let core = &client.core;
    let client_side = request.extensions_mut().remove::<OnUpgrade>();
    let upload = request.body().clone();
    if request.headers().contains_key(EXPECT) {
        upload.close_gate();
        let upload = upload.clone();
        hyper::ext::on_informational(&mut request, move |response| {
            if response.status() == StatusCode::CONTINUE {
                upload.open_gate();
            }
        });
    }
    let timeout = match &address {
        Address::Dial(dialer) => dialer.timeout(),
        Address::Unix(_) | Address::Tcp(_) => core.settings.response_timeout,
    };
    let reply = upstream::exchange(&core.pool, &core.counters, timeout, &address, request).await?;
    if reply.response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let (Some(_), Some(client_side)) = (plan.upgrade, client_side) else { return Err(Failure::Nonsense) };
        return Ok(switch(client, client_side, reply, lease, busy));
    }
    let mut response = Download::new(reply).map(|body| Body::download(body, lease));
    fields::one_length(&mut response);
    fields::strip(response.headers_mut(), |_| false);
    close_if_unread(&mut response, &upload);
    Ok(response)
}

/// Says that nothing can follow on this connection, if nobody will read the rest of the request.
pub(crate) fn close_if_unread(response: &mut Response<Body>, upload: &Upload) {
    if !upload.is_complete() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

fn switch(
    client: &Arc<Client>,
    client_side: OnUpgrade,
    reply: Reply,
    lease: Lease,
    busy: &mut Option<Busy>,
) -> Response<Body> {
    let (mut head, _) = reply.response.into_parts();
    let protocol = head.headers.get(UPGRADE).cloned();
    fields::strip(&mut head.headers, |_| false);
    head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = protocol {
        head.headers.insert(UPGRADE, protocol);
    }
    // The upstream's side of hyper's own way to upgrade; ours is to take the stream.
    head.extensions.remove::<OnUpgrade>();
    tunnel::begin(client.clone(), client_side, reply.link.into_stream(), lease, busy.take());
    Response::from_parts(head, Body::empty())
}

impl Failure {
    /// Whether nobody listens there.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Connect(_))
    }

    /// What the client is told.
    pub(crate) fn answer(self, client: &Client, service: &str) -> Refused {
        let log = "look at the service's state and log";
        let (status, code, message) = match self {
            Self::Connect(error) => {
                let message = format!("{service} does not take connections: {error}");
                (StatusCode::BAD_GATEWAY, "service_unreachable", message)
            }
            Self::Lost(error) => {
                tracing::debug!(%error, service, "an upstream was lost");
                let message = format!("{service} closed the connection without an answer that can be read");
                (StatusCode::BAD_GATEWAY, "service_failed", message)
            }
            Self::Nonsense => {
                let message = format!("{service} switched to a protocol that nobody asked for");
                (StatusCode::BAD_GATEWAY, "service_failed", message)
            }
            Self::Timeout => {
                let message = format!("{service} did not answer in time");
                (StatusCode::GATEWAY_TIMEOUT, "service_timeout", message)
            }
            Self::Refused(refusal) => return Answer::refusal(refusal, service),
            Self::Upload(fault) => return service::upload_fault(client, fault),
        };
        Answer::new(status, code, message, log).of(service)
    }
}
