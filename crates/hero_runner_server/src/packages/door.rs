//! `POST /upload` on the gateway, for who brings a token.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::body::Body;
use axum::response::IntoResponse as _;
use gateway::{Admission, Backend, BoxFuture, Call, Respond, Routes, Target};
use http::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Response, StatusCode};
use services::Services;
use sha2::{Digest as _, Sha256};

use super::{HINT, take};
use crate::refusal::Refusal;
use crate::settings::{Secret, Settings, Value as _};

/// The gateway's own path for packages.
const PREFIX: &str = "upload";

type Digest = [u8; 32];

/// The path, while there is a token.
#[derive(Debug, Clone)]
pub struct Door {
    services: Services,
    /// Of each token; what is compared tells nothing of a token by the time that it takes.
    tokens: Arc<[Digest]>,
    max_bytes: u64,
}

impl Door {
    /// Opens the path if the settings have a token.
    ///
    /// # Errors
    /// When a file of the setting `upload_token_file` cannot be read or has no token.
    pub fn open(settings: &Settings, services: &Services, routes: &Routes) -> Result<()> {
        let mut tokens: Vec<String> = settings.upload_token.0.iter().cloned().collect();
        for path in &settings.upload_token_file {
            let place = || format!("upload_token_file {}", path.display());
            let text = std::fs::read_to_string(path).with_context(place)?;
            let Secret(token) = Secret::from_text(&text).map_err(anyhow::Error::msg).with_context(place)?;
            tokens.push(token.context("there is no token in it").with_context(place)?);
        }
        if tokens.is_empty() {
            return Ok(());
        }
        let door = Self {
            services: services.clone(),
            tokens: tokens.iter().map(digest).collect(),
            max_bytes: u64::from(settings.max_package_mb) << 20,
        };
        routes.set(PREFIX, Arc::new(door));
        Ok(())
    }

    /// 401 for who brings no token, 403 for who brings a wrong one.
    fn check(&self, headers: &HeaderMap) -> Result<(), Box<axum::response::Response>> {
        let brought = headers.get(AUTHORIZATION).map(|value| bearer(value.as_bytes()));
        let refuse = |name: &str, status, message: &str| {
            let hint = "send `authorization: Bearer TOKEN`, with the token of the setting upload_token";
            let mut reply = Refusal::http(name, hint, message).reply(status);
            reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            Err(Box::new(reply))
        };
        match brought.flatten() {
            None => refuse("token_missing", StatusCode::UNAUTHORIZED, "who deploys has to bring a token"),
            // All are looked at, to the last byte.
            Some(token) if self.tokens.iter().fold(false, |any, known| any | same(known, &digest(token))) => {
                Ok(())
            }
            Some(_) => refuse("token_wrong", StatusCode::FORBIDDEN, "the token is none that may deploy"),
        }
    }

    async fn answer(self, call: Call) -> Response<gateway::Body> {
        let Call { request, rest: path, .. } = call;
        let (head, body) = request.into_parts();
        let refused = if let Err(reply) = self.check(&head.headers) {
            Some(*reply)
        } else if path != "/" {
            let reply = Refusal::http("path_not_found", HINT, "there is only /upload");
            Some(reply.reply(StatusCode::NOT_FOUND))
        } else if head.method != Method::POST {
            let reply = Refusal::http("method_not_allowed", HINT, "/upload takes POST");
            Some(reply.reply(StatusCode::METHOD_NOT_ALLOWED))
        } else {
            None
        };
        let body = Body::new(body);
        let reply = match refused {
            None => take(&self.services, http::Request::from_parts(head, body)).await,
            Some(reply) => {
                // Who is still sending would see a broken connection instead of the reason.
                crate::body::drain(body).await;
                reply
            }
        };
        reply.into_response().map(gateway::Body::new)
    }
}

fn digest(token: impl AsRef<[u8]>) -> Digest {
    Sha256::digest(token).into()
}

fn same(one: &Digest, other: &Digest) -> bool {
    std::hint::black_box(one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other))) == 0
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii()).filter(|token| !token.is_empty())
}

impl Target for Door {
    fn name(&self) -> &str {
        PREFIX
    }

    fn admit(&self) -> Admission {
        Admission::Now(Ok(Backend::Handler(Arc::new(self.clone()))))
    }

    fn max_body_bytes(&self) -> Option<u64> {
        Some(self.max_bytes)
    }
}

impl Respond for Door {
    fn respond(&self, call: Call) -> BoxFuture<'static, Result<Response<gateway::Body>, gateway::Refusal>> {
        let door = self.clone();
        Box::pin(async move { Ok(door.answer(call).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_is_one() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Bearer ", None),
            ("Bearer", None),
            ("Basic abc", None),
            ("", None),
        ] {
            assert_eq!(bearer(value.as_bytes()), token.map(str::as_bytes), "{value}");
        }
        assert!(same(&digest("a"), &digest("a")) && !same(&digest("a"), &digest("b")));
    }
}
