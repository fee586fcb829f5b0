//! The zygote: a process with one thread and a warm engine that forks workers when it is told to, and reaps
//! them. It compiles nothing, parses no JSON, opens no path that a user named, and runs no guest. A template is a zygote inside
//! a guest that has run up to where its sessions begin.

mod child;
mod link;
mod zygote;

pub use child::{CONTROL, FRAMES, HOST, MODULE, STDIN};
pub use link::{Link, LinkError};
pub use zygote::{Identity, Role, Zygote};
