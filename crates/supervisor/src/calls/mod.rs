//! The calls of the API, one file for each verb.

mod handle;
mod list;
mod logs;
mod modules;
mod plan;
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
pub(crate) use modules::ByPath;
pub use modules::ModuleUpload;
pub(crate) use specification::specification;
pub(crate) use start::{code, file};
pub use wiring::Wiring;
