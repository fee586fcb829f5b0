//! What the kernel holds a session to, beneath what the engine checks: its folders, its module, its ports.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use engine::{Connect, Network};
use frames::message::Dir;
use sys::confine::Reach;

/// What names are looked up with.
const RESOLVER: [&str; 5] =
    ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf"];

/// Where answers come from that are too large for a datagram.
const DNS: u16 = 53;

/// Confines this process to the folders that were opened for its session, its module where that is yet to be loaded, and the
/// ports that it may connect to.
/// A kernel without Landlock does nothing of it.
pub(crate) fn confine(
    folders: &[(File, &Dir)],
    module: Option<BorrowedFd<'_>>,
    network: Option<&Network>,
) -> Result<(), String> {
    let folders: Vec<_> = folders.iter().map(|(file, dir)| (file.as_fd(), dir.read_only)).collect();
    let connect = network.map_or(&Connect::Nothing, |network| &network.connect);
    let resolver: Vec<File> = match connect {
        Connect::Nothing => Vec::new(),
        Connect::Anything | Connect::Listed(_) => {
            RESOLVER.iter().filter_map(|path| File::open(path).ok()).collect()
        }
    };
    let files: Vec<_> = module.into_iter().chain(resolver.iter().map(AsFd::as_fd)).collect();
    let ports: Option<Vec<u16>> = match connect {
        Connect::Nothing => Some(Vec::new()),
        Connect::Anything => None,
        Connect::Listed(list) if list.iter().any(|destination| destination.port == 0) => None,
        Connect::Listed(list) => Some(list.iter().map(|destination| destination.port).chain([DNS]).collect()),
    };
    let reach = Reach { folders: &folders, files: &files, ports: ports.as_deref() };
    let confined = sys::confine::confine(reach);
    confined.map(|_| ()).map_err(|error| format!("the kernel does not confine this session: {error}"))
}
