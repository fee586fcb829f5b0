//! The parts of the server: everything around the supervisor that talks to the world.
//!
//! A request comes in through [`accept`], is routed by [`routes`], and is answered by [`rpc`] (JSON-RPC in its
//! [`envelope`]), [`sse`] (live logs), [`upload`] or [`metrics`]. [`core`] is what these need of the supervisor, so
//! that they can be tested without an engine. [`admin`] shows and changes what the server is, and [`inspect`] what a module is. [`entrance`] is the gateway. [`settings`], [`lock`], [`socket`], [`systemd`], [`signals`] and [`serve`]
//! are the life of the process; [`forward`] sends log lines on to the system.

pub mod accept;
pub mod admin;
pub mod body;
pub mod core;
pub mod entrance;
pub mod envelope;
pub mod escape;
pub mod forward;
pub mod inspect;
pub mod lock;
pub mod log_output;
pub mod methods;
pub mod metrics;
pub mod packages;
pub mod refusal;
pub mod routes;
pub mod rpc;
pub mod serve;
pub mod settings;
pub mod signals;
pub mod socket;
pub mod sse;
pub mod start;
pub mod systemd;
#[cfg(feature = "otlp")]
pub mod telemetry;
pub mod upload;
