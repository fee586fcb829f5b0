//! A program's own Unix socket: a folder that nobody else can change, a lock that says who runs, and a file that only this
//! user can connect to and that goes with its program.

mod lock;
mod socket;

pub use lock::{Error, Lock};
pub use socket::{SocketFile, bind, check_folder};
