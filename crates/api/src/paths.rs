//! Where sockets and state are: the hero conventions.

use std::path::{Path, PathBuf};

/// The environment as these functions see it: a lookup, so that tests need not change the process's own.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's own environment.
#[must_use]
pub fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn home(env: Lookup<'_>) -> PathBuf {
    PathBuf::from(env("HOME").unwrap_or_else(|| "/".to_owned()))
}

/// The folder with a folder of sockets for every service: `HERO_SOCKET_DIR`, else `~/hero/var/sockets`.
#[must_use]
pub fn socket_root(env: Lookup<'_>) -> PathBuf {
    env("HERO_SOCKET_DIR").map_or_else(|| home(env).join("hero/var/sockets"), PathBuf::from)
}

/// The folder of this service's sockets.
#[must_use]
pub fn socket_dir(env: Lookup<'_>) -> PathBuf {
    socket_root(env).join(crate::SERVICE)
}

const UI_SOCKET: &str = "ui.sock";

/// The socket of the server.
#[must_use]
pub fn rpc_socket(env: Lookup<'_>) -> PathBuf {
    socket_dir(env).join("rpc.sock")
}

/// The socket of the user interface.
#[must_use]
pub fn ui_socket(env: Lookup<'_>) -> PathBuf {
    socket_dir(env).join(UI_SOCKET)
}

/// The socket of the user interface that belongs to the server on this socket: it lies beside it.
#[must_use]
pub fn ui_socket_beside(rpc_socket: &Path) -> PathBuf {
    rpc_socket.with_file_name(UI_SOCKET)
}

/// The file beside the user interface's socket that tells its URL for browsers, with the token.
#[must_use]
pub fn ui_url_beside(socket: &Path) -> PathBuf {
    socket.with_file_name("ui.url")
}

/// The folder of the server's state: `HERO_RUNNER_STATE_DIR`, else `~/hero/var/hero_runner`.
#[must_use]
pub fn state_dir(env: Lookup<'_>) -> PathBuf {
    env("HERO_RUNNER_STATE_DIR").map_or_else(|| home(env).join("hero/var/hero_runner"), PathBuf::from)
}

/// The folder of the installed binaries: `HERO_BIN_DIR`, else `~/hero/bin`.
#[must_use]
pub fn bin_dir(env: Lookup<'_>) -> PathBuf {
    env("HERO_BIN_DIR").map_or_else(|| home(env).join("hero/bin"), PathBuf::from)
}

/// The longest path that a Unix socket address holds, in bytes (`sun_path` without its NUL, see unix(7)).
pub const SOCKET_PATH_MAX: usize = 107;

/// Whether a path fits into a Unix socket address.
#[must_use]
pub fn fits_socket_address(path: &Path) -> bool {
    path.as_os_str().len() <= SOCKET_PATH_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_lie_under_home() {
        let env = |name: &str| (name == "HOME").then(|| "/h".to_owned());
        assert_eq!(rpc_socket(&env), Path::new("/h/hero/var/sockets/hero_runner/rpc.sock"));
        assert_eq!(state_dir(&env), Path::new("/h/hero/var/hero_runner"));
        assert_eq!(bin_dir(&env), Path::new("/h/hero/bin"));
    }

    #[test]
    fn the_environment_moves_them() {
        let env = |name: &str| (name == "HERO_SOCKET_DIR").then(|| "/s".to_owned());
        assert_eq!(rpc_socket(&env), Path::new("/s/hero_runner/rpc.sock"));
    }

    #[test]
    fn the_user_interface_lies_beside_its_server() {
        let env = |name: &str| (name == "HOME").then(|| "/h".to_owned());
        assert_eq!(ui_socket(&env), ui_socket_beside(&rpc_socket(&env)));
        assert_eq!(ui_socket_beside(Path::new("/x/other.sock")), Path::new("/x/ui.sock"));
    }
}
