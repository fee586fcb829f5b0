//! Errors on the wire: one shape, `{code, message, data}`, in JSON-RPC replies and as bodies of other HTTP replies.

use api::{ErrorCode, ErrorData, error::Error};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Serialize;

/// The error object of JSON-RPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The number: one of the application's table or of JSON-RPC's own.
    pub code: i32,
    /// What went wrong and where.
    pub message: String,
    /// Name, retry and hint.
    pub data: ErrorData,
}

impl Refusal {
    fn own(code: i32, name: &str, hint: &str, message: String) -> Self {
        let data = ErrorData { code_name: name.to_owned(), retryable: false, hint: hint.to_owned() };
        Self { code, message, data }
    }

    /// -32700: the body is not JSON.
    #[must_use]
    pub fn parse_error(why: impl std::fmt::Display) -> Self {
        let hint = "send one JSON object or an array of them, in UTF-8";
        Self::own(-32700, "parse_error", hint, format!("parse error: {why}"))
    }

    /// -32600: JSON, but not a request.
    #[must_use]
    pub fn invalid_request(why: impl std::fmt::Display) -> Self {
        let hint = r#"send {"jsonrpc":"2.0","method":…,"params":{…},"id":…}"#;
        Self::own(-32600, "invalid_request", hint, format!("invalid request: {why}"))
    }

    /// -32601: nobody knows this method.
    #[must_use]
    pub fn method_not_found(method: &str) -> Self {
        // What comes back is bounded, whatever was sent.
        let shown: String = method.chars().take(64).collect();
        let hint = "rpc.discover lists the methods";
        Self::own(-32601, "method_not_found", hint, format!("no method is called `{shown}`"))
    }

    /// -32602: the parameters do not fit the method.
    #[must_use]
    pub fn invalid_params(method: &str, why: impl std::fmt::Display) -> Self {
        Error::new(ErrorCode::InvalidParams, format!("invalid parameters of {method}: {why}")).into()
    }

    /// A request that HTTP itself does not carry further: path, method, media type, time.
    #[must_use]
    pub fn http(name: &str, hint: &str, message: impl Into<String>) -> Self {
        Self::own(-32600, name, hint, message.into())
    }

    /// The reply with this status and the error as its body.
    #[must_use]
    pub fn reply(&self, status: StatusCode) -> Response {
        let body = serde_json::to_vec(self).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { code: error.code.code(), message: error.message, data: error.code.into() }
    }
}

/// The HTTP status for an application error outside of JSON-RPC.
#[must_use]
pub fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::SessionNotFound
        | ErrorCode::ModuleNotFound
        | ErrorCode::TemplateNotFound
        | ErrorCode::ServiceNotFound
        | ErrorCode::ScheduleNotFound
        | ErrorCode::VersionNotFound => StatusCode::NOT_FOUND,
        ErrorCode::InvalidParams | ErrorCode::NameInvalid | ErrorCode::PathNotAllowed => {
            StatusCode::BAD_REQUEST
        }
        ErrorCode::PermissionDenied => StatusCode::FORBIDDEN,
        ErrorCode::InvalidState | ErrorCode::ModuleInUse => StatusCode::CONFLICT,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::ModuleInvalid
        | ErrorCode::ModuleImportMissing
        | ErrorCode::ModuleUnsupported
        | ErrorCode::DigestMismatch
        | ErrorCode::ServiceInvalid
        | ErrorCode::ServiceFailed
        | ErrorCode::WasmNotFound
        | ErrorCode::ModuleLoad
        | ErrorCode::ManifestInvalid
        | ErrorCode::DeployError => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::QueueFull => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::ResourceExhausted | ErrorCode::Draining | ErrorCode::Unavailable => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The reply to an application error outside of JSON-RPC.
#[must_use]
pub fn reply(error: Error) -> Response {
    let status = status(error.code);
    Refusal::from(error).reply(status)
}
