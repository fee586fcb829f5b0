//! Names for what goes wrong.

use wasip2::io::streams::StreamError;
use wasip2::sockets::network::ErrorCode;

use crate::bindings::exports::hero::scenario::sockets::{Fault, Kind};

/// The stable name of WASI's error.
pub(crate) fn kind(code: ErrorCode) -> Kind {
    let name = match code {
        ErrorCode::AccessDenied => "access_denied",
        ErrorCode::ConnectionRefused => "connection_refused",
        ErrorCode::ConnectionReset => "connection_reset",
        ErrorCode::ConnectionAborted => "connection_aborted",
        ErrorCode::RemoteUnreachable => "host_unreachable",
        ErrorCode::Timeout => "connect_timeout",
        ErrorCode::AddressInUse => "ports_exhausted",
        ErrorCode::AddressNotBindable => "address_not_here",
        ErrorCode::NewSocketLimit => "too_many_sockets",
        ErrorCode::NameUnresolvable => "name_unresolvable",
        ErrorCode::TemporaryResolverFailure | ErrorCode::PermanentResolverFailure => "resolver_failure",
        ErrorCode::InvalidArgument => "invalid_address",
        ErrorCode::NotSupported => "not_supported",
        ErrorCode::OutOfMemory => "out_of_memory",
        _ => "network_error",
    };
    name.to_owned()
}

/// A connection that could not be made.
pub(crate) fn unconnected(code: ErrorCode) -> Fault {
    Fault { kind: kind(code), connected: false }
}

/// A connection that broke. WASI has the reason as text only.
pub(crate) fn broken(error: StreamError) -> Fault {
    let kind = match error {
        StreamError::Closed => "connection_closed",
        StreamError::LastOperationFailed(error) => {
            let text = error.to_debug_string().to_ascii_lowercase();
            match () {
                () if text.contains("reset") || text.contains("broken") => "connection_reset",
                () if text.contains("timeout") || text.contains("timed") => "connection_lost",
                () if text.contains("unreachable") => "host_unreachable",
                () => "network_error",
            }
        }
    };
    Fault { kind: kind.to_owned(), connected: true }
}
