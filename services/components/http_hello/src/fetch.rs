//! A request of the guest's own.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{ErrorCode, Fields, IncomingResponse, OutgoingRequest, ResponseOutparam, Scheme};

use crate::body::{Answer, copy};

/// Asks for a URL and passes on what comes; 502 with the error's name where nothing does.
pub(crate) fn fetch(url: &str, out: ResponseOutparam) {
    match ask(url) {
        Ok(response) => {
            let body = response.consume().expect("a response has one body");
            copy(&body, Answer::begin(out, response.status(), &[("x-fetched", url)]));
        }
        Err(error) => {
            let answer = Answer::begin(out, 502, &[]);
            answer.write(format!("{error:?}\n").as_bytes());
            answer.end();
        }
    }
}

fn ask(url: &str) -> Result<IncomingResponse, ErrorCode> {
    let wrong = ErrorCode::HttpRequestUriInvalid;
    let (scheme, rest) = url.split_once("://").ok_or(wrong.clone())?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let request = OutgoingRequest::new(Fields::new());
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    request.set_scheme(Some(&scheme)).map_err(|()| wrong.clone())?;
    request.set_authority(Some(authority)).map_err(|()| wrong.clone())?;
    request.set_path_with_query(Some(if path.is_empty() { "/" } else { path })).map_err(|()| wrong)?;
    let response = outgoing_handler::handle(request, None)?;
    response.subscribe().block();
    let missing = ErrorCode::InternalError(None);
    response.get().and_then(Result::ok).ok_or(missing)?
}
