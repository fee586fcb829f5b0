//! The file that tells where the door for browsers is: its URL with the token, for this user only.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The file; dropping it removes it.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
}

impl Place {
    /// The file beside this socket.
    #[must_use]
    pub fn beside(socket: &Path) -> Self {
        Self { path: api::paths::ui_url_beside(socket) }
    }

    /// Writes the URL.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn tell(&self, url: &str) -> Result<()> {
        let what = || format!("cannot write {}", self.path.display());
        // Born under another name, so that nobody reads half of it, and with its mode.
        let born = self.path.with_extension("url~");
        let _ = std::fs::remove_file(&born);
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&born).with_context(what)?;
        writeln!(file, "{url}").and_then(|()| std::fs::rename(&born, &self.path)).with_context(what)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // At the end of the process there is nobody left to tell.
        let _ = std::fs::remove_file(&self.path);
    }
}
