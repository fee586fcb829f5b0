//! The gateway over real sockets: raw clients, raw and hyper upstreams.

mod bodies;
mod dialing;
mod failures;
mod forwarding;
mod framing;
mod handlers;
mod http2;
mod life;
mod limits;
mod panel;
mod paths;
mod pooling;
mod setup;
mod smuggling;
mod streams;
mod timeouts;
mod tunnels;
mod wire;
