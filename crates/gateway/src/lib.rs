//! The HTTP entry point of hero_runner: a reverse proxy from prefixes of paths to services.
//!
//! The gateway knows [`Target`]s, each under a prefix in [`Routes`], and no supervisor, engine or store. A request is
//! admitted by its target, which says where it goes: to a server on a socket, or to a function of this process.
//!
//! Everything runs on the runtime that calls [`Gateway::serve`], best one of a single thread. A client's connection is
//! one task: hyper reads the request, the service inside of it sends it on and drives the upstream's connection itself,
//! and hyper writes the response, piece by piece as both sides can take it.
//!
//! Known limits: of the interim responses of an upstream (1xx) only `100 Continue` reaches a client, because hyper
//! sends no other; trailers over HTTP/1.1 have to be announced by `Trailer`, and the client has to say `TE: trailers`;
//! other protocols can be upgraded to from HTTP/1.1, not by HTTP/2's extended CONNECT (RFC 8441).

mod answer;
mod body;
mod client;
mod connection;
mod counters;
mod dial;
mod fields;
mod gateway;
mod guard;
mod listen;
mod panel;
mod path;
mod proxy;
mod routes;
mod service;
mod settings;
mod socket;
mod target;
mod timer;
mod tunnel;
mod upload;
mod upstream;

pub use body::{Body, Error};
pub use counters::Counters;
pub use dial::{Dial, Dialed, Dialer, Line};
pub use gateway::Gateway;
pub use routes::Routes;
pub use settings::Settings;
pub use target::{Address, Admission, Backend, BoxFuture, Call, Lease, Refusal, Respond, Target};
