//! Who runs: a lock on the state folder and one on the folder of sockets.

use std::path::Path;

pub use listen::Error;

use crate::settings::Settings;

/// The locks of a running server. Dropping them lets another server run.
#[derive(Debug)]
pub struct Lock {
    _state: listen::Lock,
    /// None where one folder serves for both.
    _socket: Option<listen::Lock>,
}

impl Lock {
    /// Takes both locks, or none.
    pub fn take(settings: &Settings) -> Result<Self, Error> {
        let take = |dir: &Path| listen::Lock::take(&dir.join("lock"), "hero_runner_server");
        let socket_dir = settings.socket.parent().unwrap_or(Path::new("/"));
        let state = take(&settings.state_dir)?;
        let same = same_folder(socket_dir, &settings.state_dir);
        let socket = if same { None } else { Some(take(socket_dir)?) };
        Ok(Self { _state: state, _socket: socket })
    }
}

fn same_folder(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
