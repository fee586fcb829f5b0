//! The gateway's own answers: JSON, or a small page for browsers.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use crate::body::Body;
use crate::guard::Fault;
use crate::target::Refusal;

/// Why a request was not served, for who sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// A name for programs; these do not change.
    pub(crate) code: &'static str,
    pub(crate) service: Option<String>,
    pub(crate) message: String,
    pub(crate) hint: String,
    pub(crate) retry_after: Option<Duration>,
    /// Whether the connection cannot be used again.
    pub(crate) close: bool,
}

/// Boxed, because it is large and rare.
pub(crate) type Refused = Box<Answer>;

impl Answer {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Refused {
        let (message, hint) = (message.into(), hint.into());
        Box::new(Self { status, code, service: None, message, hint, retry_after: None, close: false })
    }

    pub(crate) fn of(mut self: Box<Self>, service: &str) -> Refused {
        self.service = Some(service.to_owned());
        self
    }

    pub(crate) fn and_close(mut self: Box<Self>) -> Refused {
        self.close = true;
        self
    }

    /// 400 for what no server should read.
    pub(crate) fn bad_request(why: &str) -> Refused {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", why, "send a request as in RFC 9112").and_close()
    }

    /// The answer to what the guard found.
    pub(crate) fn fault(fault: Option<Fault>) -> Refused {
        match fault {
            Some(Fault::HeadTooLarge) => {
                let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                let message = "the head of the request has too many bytes or fields";
                Self::new(status, "head_too_large", message, "send fewer or shorter header fields")
                    .and_close()
            }
            Some(Fault::HeadTimeout) => {
                Self::timeout("the head of the request did not come to its end in time")
            }
            Some(Fault::Malformed(why)) => Self::bad_request(why),
            None => Self::bad_request("the request cannot be read"),
        }
    }

    pub(crate) fn timeout(message: &str) -> Refused {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message, "send the request again, faster")
            .and_close()
    }

    pub(crate) fn body_too_large(max: u64) -> Refused {
        let message = format!("the body of the request has more than {max} bytes");
        let hint = "send less at a time; the owner of the gateway can allow more";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message, hint).and_close()
    }

    /// What a service's owner says.
    pub(crate) fn refusal(refusal: Refusal, service: &str) -> Refused {
        let code = match refusal.status.as_u16() {
            403 => "refused",
            404 => "no_such_service",
            429 => "too_many_requests",
            502 => "service_failed",
            503 => "service_unavailable",
            504 => "service_timeout",
            400..=499 => "request_refused",
            _ => "service_error",
        };
        let hint = if refusal.retry_after.is_some() {
            "try again later"
        } else {
            "look at the service's state and log"
        };
        let mut answer = Self::new(refusal.status, code, refusal.reason, hint).of(service);
        answer.retry_after = refusal.retry_after;
        answer
    }

    /// The response, as the client prefers it.
    pub(crate) fn respond(&self, html: bool) -> Response<Body> {
        let (kind, text) =
            if html { ("text/html; charset=utf-8", self.html()) } else { ("application/json", self.json()) };
        let mut response = Response::new(Body::full(Bytes::from(text)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    pub(crate) fn json(&self) -> String {
        let Self { code, service, message, hint, .. } = self;
        serde_json::json!({"error": {"code": code, "service": service, "message": message, "hint": hint}})
            .to_string()
    }

    fn html(&self) -> String {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0} {title}</title>\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}}\
             code{{opacity:.6}}</style></head>\n<body><h1>{title}</h1><p>",
            self.status.as_u16(),
        );
        escape(&mut page, &self.message);
        page.push_str("</p><p>");
        escape(&mut page, &self.hint);
        let _ = write!(page, "</p><p><code>{} {}", self.status.as_u16(), self.code);
        if let Some(service) = &self.service {
            page.push_str(" · ");
            escape(&mut page, service);
        }
        page.push_str("</code></p></body></html>\n");
        page
    }
}

fn escape(page: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            other => page.push(other),
        }
    }
}

/// Whether a client likes `text/html` better than JSON, which `*/*` alone does not say.
pub(crate) fn prefers_html(headers: &HeaderMap) -> bool {
    let (mut html, mut json) = (0.0_f32, 0.0_f32);
    for range in
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|all| all.split(','))
    {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality =
            parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        match kind.as_str() {
            "text/html" | "text/*" => html = html.max(quality),
            "application/json" | "application/*" => json = json.max(quality),
            _ => {}
        }
    }
    html > json
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefers(accept: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).expect("a header"));
        prefers_html(&headers)
    }

    #[test]
    fn browsers_get_a_page_and_programs_json() {
        assert!(prefers("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(prefers("Text/HTML;q=0.5, application/json;q=0.4"));
        for accept in
            ["*/*", "", "application/json", "application/json, text/html", "text/html;q=0", "text/html;q=x"]
        {
            assert!(!prefers(accept), "{accept}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }

    #[test]
    fn a_page_says_what_json_says_and_nothing_of_it_is_markup() {
        let answer = Answer::new(StatusCode::NOT_FOUND, "code_name", "<script>&'\"", "do <b>").of("a<b");
        let page = answer.html();
        assert!(page.contains("&lt;script&gt;&amp;&#39;&quot;") && page.contains("do &lt;b&gt;"));
        assert!(
            page.contains("404 code_name · a&lt;b") && !page.contains("<script>") && !page.contains("a<b")
        );
        let json: serde_json::Value = serde_json::from_str(&answer.json()).unwrap();
        assert_eq!(json["error"]["service"], "a<b");
        assert_eq!(json["error"]["message"], "<script>&'\"");
    }
}
