//! Says in words what is missing, instead of embedding half of a dashboard: the files of others come by a script of their
//! own, which plain `cargo build` does not call.

use std::path::Path;
use std::process::ExitCode;

const HINT: &str = "run ./build.sh, or scripts/download-assets.sh alone, and build again";

fn main() -> ExitCode {
    match check(Path::new("assets"), Path::new("../../scripts/assets/icons.txt")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            println!("cargo::error={what}: {HINT}");
            ExitCode::FAILURE
        }
    }
}

/// The vendor files are there, and the sprite has every icon of the list.
fn check(assets: &Path, list: &Path) -> Result<(), String> {
    let (stamp, sprite) = (assets.join("vendor/stamp"), assets.join("icons.svg"));
    for file in [&stamp, &sprite, list] {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    if !stamp.is_file() {
        return Err("the dashboard's style sheets and scripts of others are missing".to_owned());
    }
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read ({error})", path.display()))
    };
    let drawn = read(&sprite)?;
    let missing = |name: &&str| !drawn.contains(&format!("id=\"{name}\""));
    match read(list)?.lines().find(missing) {
        Some(name) => Err(format!("the icon {name} is not in icons.svg")),
        None => Ok(()),
    }
}
