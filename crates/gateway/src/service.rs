//! One request: from what hyper read to what it writes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::{Authority, PathAndQuery, Uri};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::{Body as _, Incoming};

use crate::answer::{Answer, Refused, prefers_html};
use crate::body::Body;
use crate::client::{Busy, Client};
use crate::fields;
use crate::guard::{REFUSED_METHOD, is_upgrade};
use crate::proxy::{self, Plan};
use crate::routes::Route;
use crate::target::{Address, Admission, Backend, Call};
use crate::upload::{Fault, Upload};
use crate::{panel, path};

/// Answers one request. Whatever goes wrong becomes an answer.
pub(crate) async fn serve(
    client: Arc<Client>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let begun = Instant::now();
    let mut busy = Some(client.begin());
    let http_1 = request.version() != Version::HTTP_2;
    // Behind such a request the guard has let go of the connection.
    let wild = http_1 && request.headers().get_all(UPGRADE).iter().any(|value| is_upgrade(value.as_bytes()));
    let html = request.headers().contains_key(http::header::ACCEPT) && prefers_html(request.headers());
    let mut response = match route(&client, request, &mut busy).await {
        Ok(response) => response,
        Err(answer) => answer.respond(html),
    };
    if wild && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    } else if !http_1 {
        response.headers_mut().remove(CONNECTION);
    }
    if let Some(busy) = busy {
        response.body_mut().keep(busy);
    }
    client.core.counters.count(response.status(), begun.elapsed());
    Ok(response)
}

/// Finds out who answers.
async fn route(
    client: &Arc<Client>,
    mut request: Request<Incoming>,
    busy: &mut Option<Busy>,
) -> Result<Response<Body>, Refused> {
    normalise(client, &mut request)?;
    let path = request.uri().path();
    if let Some(why) = path::fault(path) {
        return Err(Answer::new(StatusCode::BAD_REQUEST, "bad_path", why, "send the path as it is meant"));
    }
    let settings = &client.core.settings;
    let upgrade =
        (request.version() == Version::HTTP_11).then(|| fields::upgrade(request.headers())).flatten();
    if let Some(socket) = settings.panel.as_ref().filter(|_| panel::owns(path)) {
        let hosts = client.peer.is_some().then_some(settings.hosts.as_slice());
        panel::check(request.method(), request.headers(), upgrade.is_some(), hosts)?;
        let target = panel_target(request.uri());
        let plan = Plan { prefix: None, target, upgrade };
        let address = Address::Unix(socket.as_path().into());
        let request = prepare(client, request, &plan, settings.max_body_bytes)?;
        return proxy::forward(client, request, plan, address, Box::new(()), busy).await.map_err(|failure| {
            if failure.is_unreachable() {
                panel::not_running(socket)
            } else {
                failure.answer(client, "hero_runner_ui")
            }
        });
    }
    let Some(route) = client.core.routes.route(path) else {
        return Err(nothing_there(client, path));
    };
    let name = route.target.name();
    let admission = match route.target.admit() {
        Admission::Now(result) => result,
        Admission::Later(wait) => wait.await,
    };
    let backend = admission.map_err(|refusal| Answer::refusal(refusal, name))?;
    let target = rest(request.uri(), &route.prefix);
    let plan = Plan { prefix: route.forwarded.as_ref(), target, upgrade };
    let max = route.target.max_body_bytes().unwrap_or(settings.max_body_bytes);
    match backend {
        Backend::Http { address, lease } => {
            let upgrade = plan.upgrade.filter(|_| !matches!(address, Address::Dial(_)));
            let plan = Plan { upgrade, ..plan };
            let request = prepare(client, request, &plan, max)?;
            let forwarded = proxy::forward(client, request, plan, address, lease, busy).await;
            forwarded.map_err(|failure| failure.answer(client, name))
        }
        Backend::Handler(handler) => {
            let plan = Plan { upgrade: None, ..plan };
            let uri = request.uri().clone();
            let mut request = prepare(client, request, &plan, max)?;
            // A handler sees the request as it came, and the rest beside it.
            *request.uri_mut() = uri;
            let upload = request.body().clone();
            let call = call(client, &route, request.map(Body::upload));
            let answered = handler.respond(call).await;
            match upload.fault() {
                Some(Fault::TooLarge) => Err(Answer::body_too_large(max)),
                Some(fault) => Err(upload_fault(client, fault)),
                None => {
                    let mut response = answered.map_err(|refusal| Answer::refusal(refusal, name))?;
                    fields::strip(response.headers_mut(), |_| false);
                    proxy::close_if_unread(&mut response, &upload);
                    Ok(response)
                }
            }
        }
    }
}

fn call(client: &Client, route: &Route, request: Request<Body>) -> Call {
    let prefix = route.prefix.to_string();
    let rest = match request.uri().path().get(prefix.len() + 1..) {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ => "/".to_owned(),
    };
    Call { request, prefix, rest, peer: client.peer, https: false }
}

/// The answer to a path without a prefix.
fn nothing_there(client: &Client, path: &str) -> Refused {
    if path::is_disguised(path) {
        let why =
            "the path has an encoded slash, a backslash or a control character where a prefix should be";
        return Answer::new(StatusCode::BAD_REQUEST, "bad_path", why, "send the path as it is meant");
    }
    let names = client.core.routes.names();
    let list: Vec<String> = names.into_iter().take(100).map(|(prefix, _)| format!("/{prefix}")).collect();
    let shown: String = path.chars().take(100).collect();
    let hint = if list.is_empty() {
        "there are no services".to_owned()
    } else {
        format!("there are: {}", list.join(", "))
    };
    Answer::new(StatusCode::NOT_FOUND, "no_such_service", format!("no service has the path {shown}"), hint)
}

/// Refuses what the guard refused, and makes `Host` what the request was sent to, however it came.
fn normalise(client: &Client, request: &mut Request<Incoming>) -> Result<(), Refused> {
    if request.method().as_str() == REFUSED_METHOD {
        return Err(Answer::fault(client.take_fault()));
    }
    if *request.method() == Method::CONNECT {
        let message = "CONNECT is not served: this is no proxy to other servers";
        let answer = Answer::new(StatusCode::METHOD_NOT_ALLOWED, "method_refused", message, "ask for a path");
        return Err(answer.and_close());
    }
    let (uri, headers) = (request.uri(), request.headers());
    let named = match (uri.authority(), headers.get(HOST)) {
        (None, Some(host)) if request.version() == Version::HTTP_2 => {
            // The guard has not seen it.
            let host = Authority::try_from(host.as_bytes())
                .map_err(|_| Answer::bad_request("the Host field is no name"))?;
            Some(host)
        }
        (None, _) => None,
        (Some(authority), host) => {
            if host.is_some_and(|host| !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())) {
                return Err(Answer::bad_request(
                    "the request's target and its Host field name different hosts",
                ));
            }
            Some(authority.clone())
        }
    };
    if headers.get_all(HOST).iter().nth(1).is_some() {
        return Err(Answer::bad_request("there is more than one Host field"));
    }
    if let Some(authority) = named {
        if authority.as_str().contains('@') {
            return Err(Answer::bad_request("the request's host has a user in it"));
        }
        let host = HeaderValue::from_str(authority.as_str());
        let host = host.map_err(|_| Answer::bad_request("the request's host is no name"))?;
        request.headers_mut().insert(HOST, host);
    }
    if request.version() == Version::HTTP_2 {
        join_cookies(request.headers_mut());
    }
    Ok(())
}

/// HTTP/2 may split `Cookie`, and HTTP/1.1 may not (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(COOKIE, cookie);
    }
}

/// Makes a client's request the one that is passed on: target, fields, and a body that is watched.
fn prepare(
    client: &Client,
    request: Request<Incoming>,
    plan: &Plan<'_>,
    max: u64,
) -> Result<Request<Upload>, Refused> {
    if request.body().size_hint().lower() > max {
        return Err(Answer::body_too_large(max));
    }
    let mut request = request.map(|body| Upload::new(body, client, max));
    let Some(Ok(target)) = plan.target.clone().map(PathAndQuery::from_maybe_shared) else {
        return Err(Answer::bad_request("the request's target is no path"));
    };
    *request.uri_mut() = Uri::from(target);
    *request.version_mut() = Version::HTTP_11;
    let size = request.body().size_hint().exact();
    let empty = request.body().is_empty();
    let headers = request.headers_mut();
    fields::forward(headers, client, plan.prefix);
    if let Some(protocol) = &plan.upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol.clone());
    }
    // The length is what hyper counts by, and nothing else.
    match size {
        Some(_) if empty && !headers.contains_key(CONTENT_LENGTH) => {}
        Some(size) => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
        }
        None => {
            headers.remove(CONTENT_LENGTH);
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
    let waits =
        headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if empty || !waits {
        headers.remove(EXPECT);
    }
    Ok(request)
}

/// The answer to a request whose body failed.
pub(crate) fn upload_fault(client: &Client, fault: Fault) -> Refused {
    match fault {
        Fault::TooLarge => Answer::body_too_large(client.core.settings.max_body_bytes),
        Fault::TooSlow => Answer::timeout("the body of the request did not come in time"),
        Fault::Lost => Answer::fault(client.take_fault()),
    }
}

/// Path and query of the panel, as the UI has it.
fn panel_target(uri: &Uri) -> Option<Bytes> {
    uri.path_and_query().map(|target| panel::place(target.as_str()).into())
}

/// What the service sees of path and query: the prefix taken off, the rest byte for byte.
fn rest(uri: &Uri, prefix: &str) -> Option<Bytes> {
    let rest = uri.path_and_query()?.as_str().get(prefix.len() + 1..)?;
    Some(if rest.starts_with('/') {
        Bytes::copy_from_slice(rest.as_bytes())
    } else {
        format!("/{rest}").into()
    })
}
