//! What can go wrong between a caller and the server.

use std::io;
use std::path::PathBuf;

use api::{ErrorCode, ErrorData};

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call failed. `Display` says what and where, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing listens on the socket.
    #[error("no server listens on {} ({source}); {}", path.display(), START_HINT)]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// What the system said: the socket is missing, or refuses connections.
        source: io::Error,
    },
    /// The connection, or a file that was to be sent, failed.
    #[error("{what}: {source}{}", io_hint(source).map(|hint| format!("; {hint}")).unwrap_or_default())]
    Io {
        /// What was tried, and where.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The answer is not one of hero_runner's.
    #[error("{0}; {PROTOCOL_HINT}")]
    Protocol(String),
    /// The server refused the call.
    #[error("{message}{}", data.as_ref().map(|data| format!("; {}", data.hint)).unwrap_or_default())]
    Rpc {
        /// The number of [`ErrorCode`], or one of JSON-RPC's own.
        code: i32,
        /// What the server says went wrong.
        message: String,
        /// The error's name, whether a retry can help, and what to do.
        data: Option<ErrorData>,
    },
}

const START_HINT: &str = "start it with `hero_runner --start`";
const PROTOCOL_HINT: &str = "check that the socket is hero_runner's and that both have the same version";

fn io_hint(source: &io::Error) -> Option<&'static str> {
    match source.kind() {
        io::ErrorKind::PermissionDenied => Some("only the user who started the server can connect to it"),
        io::ErrorKind::InvalidInput => Some("a socket's path has at most 107 bytes: set HERO_SOCKET_DIR"),
        _ => None,
    }
}

impl Error {
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }

    /// The row of hero_runner's own table, where the error is one of it.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Rpc { code, .. } => ErrorCode::from_code(*code),
            _ => None,
        }
    }

    /// Whether the same call can succeed later without a change, as the server says.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Rpc { data: Some(data), .. } if data.retryable)
    }

    /// What to do about it, apart from the rest of the message.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::NotRunning { .. } => Some(START_HINT),
            Self::Io { source, .. } => io_hint(source),
            Self::Protocol(_) => Some(PROTOCOL_HINT),
            Self::Rpc { data, .. } => data.as_ref().map(|data| data.hint.as_str()),
        }
    }

    /// The message without the hint, for callers that print the hint on a line of its own.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::NotRunning { path, source } => {
                format!("no server listens on {} ({source})", path.display())
            }
            Self::Io { what, source } => format!("{what}: {source}"),
            Self::Protocol(what) => what.clone(),
            Self::Rpc { message, .. } => message.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_its_summary_and_its_hint() {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let errors = [
            Error::NotRunning { path: "/s".into(), source: missing },
            Error::io("cannot connect to /s", denied),
            Error::Protocol("the reply is not JSON".into()),
            Error::Rpc {
                code: ErrorCode::QueueFull.code(),
                message: "8 sessions run".into(),
                data: Some(ErrorCode::QueueFull.into()),
            },
        ];
        for error in errors {
            assert_eq!(error.to_string(), format!("{}; {}", error.summary(), error.hint().unwrap()));
        }
    }

    #[test]
    fn a_refusal_keeps_its_code() {
        let code = ErrorCode::Draining;
        let error = Error::Rpc { code: code.code(), message: "m".into(), data: Some(code.into()) };
        assert_eq!(error.code(), Some(code));
        assert!(error.retryable());
        assert_eq!(Error::Protocol(String::new()).code(), None);
    }
}
