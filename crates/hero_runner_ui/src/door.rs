//! The two doors: the socket, whose mode is the permission, and a port of this machine for browsers.
//!
//! A port can be reached by every user and by every page that a browser shows, so what comes through it has to prove more:
//! the connection that it is of the same user ([`peer`]), the request that it was meant for this place and comes from one of
//! its own pages ([`origin`]), and whatever changes something a token ([`token`]).

pub mod guard;
pub mod listen;
pub mod origin;
pub mod place;
pub mod port;
pub mod token;

mod peer;
mod reading;

use axum::http::HeaderName;

/// What a browser shows before it may change something.
pub(crate) const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-hero-token");

/// Through which one a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// `ui.sock`.
    Unix,
    /// The port for browsers.
    Tcp,
}

impl Door {
    /// Its name for scripts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unix => "unix",
            Self::Tcp => "tcp",
        }
    }
}
