//! What is to be run: something that the server has, or a file that it is given.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use api::ErrorCode;
use api::method::ModuleGetMethod;
use api::module::{ModuleDetail, ModuleRef};
use client::{Client, Error};
use sha2::{Digest, Sha256};

use crate::failure::advise;

/// What can be named instead of something that is not there.
pub(super) const RUNNABLE: &str = "name a .wasm file, a script, or a module of `hero_runner modules`";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Module {
    /// The server knows it by this name or digest.
    Known(String),
    /// A file of the caller's.
    File(PathBuf),
}

impl Module {
    /// A path is what has a slash or ends in `.wasm`; anything else names a module, whatever lies in this folder.
    pub(crate) fn find(text: &str) -> anyhow::Result<Self> {
        let path = Path::new(text);
        let looks_like_file = text.contains('/') || path.extension().is_some_and(|end| end == "wasm");
        if text.starts_with("sha256:") || !looks_like_file {
            return Ok(Self::Known(text.to_owned()));
        }
        if path.is_file() {
            return Ok(Self::File(path.to_owned()));
        }
        Err(advise(format!("{text}: there is no such file"), RUNNABLE))
    }

    /// Registers a file under a name.
    pub(crate) async fn register(client: &Client, name: &str, file: &Path) -> anyhow::Result<ModuleDetail> {
        let sha256 = sha256(file).await?;
        let stored = client.upload_file(Some(name), Some(&sha256), file).await;
        stored.with_context(|| format!("cannot register {} as {name}", file.display()))
    }

    /// Sees to it that the server has it, and returns what the server calls it. A file is uploaded unless the
    /// server knows its content, or always when `upload` says so.
    pub(crate) async fn prepare(&self, client: &Client, upload: bool) -> anyhow::Result<String> {
        let path = match self {
            Self::Known(name) => return Ok(name.clone()),
            Self::File(path) => path,
        };
        let sha256 = sha256(path).await?;
        let digest = format!("sha256:{sha256}");
        if upload || !is_known(client, &digest).await? {
            let what = || format!("cannot upload {}", path.display());
            client.upload_file(None, Some(&sha256), path).await.with_context(what)?;
        }
        Ok(digest)
    }
}

async fn is_known(client: &Client, digest: &str) -> Result<bool, Error> {
    match client.call::<ModuleGetMethod>(ModuleRef { name: digest.to_owned() }).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(ErrorCode::ModuleNotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The SHA-256 of a file, as hexadecimal digits.
pub(crate) async fn sha256(path: &Path) -> anyhow::Result<String> {
    let what = || format!("cannot read {}", path.display());
    let file = std::fs::File::open(path).with_context(what)?;
    // Large files take a while, and signals have to be noticed meanwhile.
    tokio::task::spawn_blocking(move || digest(file)).await?.with_context(what)
}

fn digest(mut file: std::fs::File) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            count => hash.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_digests_and_files_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.wasm");
        std::fs::write(&file, b"x").unwrap();
        let text = file.to_str().unwrap();
        assert_eq!(Module::find(text).unwrap(), Module::File(file.clone()));
        assert_eq!(Module::find("hello").unwrap(), Module::Known("hello".into()));
        assert_eq!(Module::find("sha256:ab/x").unwrap(), Module::Known("sha256:ab/x".into()));
        assert!(Module::find("missing.wasm").is_err() && Module::find("./hello").is_err());
    }

    #[tokio::test]
    async fn the_digest_is_the_files() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"abc").unwrap();
        let digest = sha256(file.path()).await.unwrap();
        assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
