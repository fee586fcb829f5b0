//! The calls of the API, one file for each verb.

mod drain;
mod handle;
mod launch;
mod list;
mod logs;
mod modules;
mod plan;
mod request;
mod result;
mod specification;
mod start;
mod stats;
mod stdin;
mod stop;
mod subscribe;
mod templates;
mod wiring;

pub use handle::SessionHandle;
pub(crate) use launch::{Launch, file};
pub(crate) use modules::ByPath;
pub use modules::ModuleUpload;
use plan::Plan;
pub(crate) use specification::specification;
pub use wiring::{Serving, Wiring};
