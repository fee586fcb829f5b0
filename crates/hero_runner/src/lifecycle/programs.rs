//! Where our other programs are.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use api::paths::{self, Lookup};

use crate::failure::advise;

/// The server.
pub(crate) const SERVER: &str = "hero_runner_server";
/// The pages for a browser.
pub(crate) const UI: &str = "hero_runner_ui";
/// The process that holds the engine.
pub(crate) const ZYGOTE: &str = "hero_runner_zygote";

/// Finds a program: beside this one, else in the folder of installed binaries, else on the PATH.
pub(crate) fn find(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().ok();
    let folders = folders(own.as_deref().and_then(Path::parent), &paths::process_env);
    let found = folders.iter().map(|folder| folder.join(name)).find(|path| is_program(path));
    found.ok_or_else(|| {
        let bin = paths::bin_dir(&paths::process_env);
        advise(
            format!("{name} is neither beside this program, nor in {}, nor on the PATH", bin.display()),
            "build and install it with ./build.sh, or set HERO_BIN_DIR",
        )
    })
}

/// A program of ours, when it lies beside the server's.
pub(crate) fn beside_server(name: &str) -> Option<PathBuf> {
    let program = find(SERVER).ok()?.with_file_name(name);
    is_program(&program).then_some(program)
}

fn folders(own: Option<&Path>, env: Lookup<'_>) -> Vec<PathBuf> {
    let path = env("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = own.map(Path::to_owned).into_iter().collect();
    folders.push(paths::bin_dir(env));
    // A relative entry would make it depend on where we are called.
    folders.extend(std::env::split_paths(&path).filter(|folder| folder.is_absolute()));
    folders
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beside_us_comes_first_and_the_path_last() {
        let env = |name: &str| match name {
            "HERO_BIN_DIR" => Some("/hero".to_owned()),
            "PATH" => Some("/usr/bin::relative:/bin".to_owned()),
            _ => None,
        };
        let expected = ["/own", "/hero", "/usr/bin", "/bin"].map(PathBuf::from);
        assert_eq!(folders(Some(Path::new("/own")), &env), expected);
    }
}
