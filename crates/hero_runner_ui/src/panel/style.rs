//! The style sheet, which is part of the program.

use std::sync::LazyLock;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

const TEXT: &str = include_str!("style.css");

/// The beginning of the text's digest: another text has another one.
static ETAG: LazyLock<String> = LazyLock::new(|| {
    let digest = Sha256::digest(TEXT);
    let start: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{start}\"")
});

/// `GET /panel/-/style.css`.
pub(crate) async fn show(headers: HeaderMap) -> Response {
    // Asked for with every refresh of the panel, which is cheap; kept without asking it could outlive the next version.
    let caching = [(header::ETAG, ETAG.as_str()), (header::CACHE_CONTROL, "no-cache")];
    if headers.get_all(header::IF_NONE_MATCH).iter().any(|value| has_it(value.as_bytes())) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(header::CONTENT_TYPE, "text/css; charset=utf-8")], TEXT).into_response()
}

/// Whether a list of `If-None-Match` names this text; a tag may have been made weak on the way, by compressing.
fn has_it(list: &[u8]) -> bool {
    let tag = |one: &[u8]| one.strip_prefix(b"W/").unwrap_or(one) == ETAG.as_bytes() || one == b"*";
    list.split(|byte| *byte == b',').any(|one| tag(one.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list() {
        let list = format!("\"other\", W/{}", *ETAG);
        assert!(has_it(list.as_bytes()) && has_it(b"*") && has_it(ETAG.as_bytes()));
        assert!(!has_it(b"\"other\"") && !has_it(b""));
    }
}
