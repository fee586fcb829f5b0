//! What is to be run: a module, a template, or a script.

use std::path::Path;

use ::package::Package;
use api::ErrorCode;
use api::session::SessionStart;
use client::Client;

use super::module::{Module, RUNNABLE};
use super::package;
use super::script::{self, Content, Script};
use crate::failure::advise;
use crate::text;
use crate::verbs::runtime;

/// A script of this many bytes may be too large for the server.
const LARGE: usize = 1 << 20;

#[derive(Debug)]
pub(super) enum Program {
    Module(Module),
    Template(String),
    Script(Script),
    Package(Box<Package>),
    /// All of it stands in the request.
    Asked,
}

impl Program {
    /// Finds out what a word names, and reads it when it is a script.
    pub(super) async fn find(client: &Client, word: &str, runtime: Option<&str>) -> anyhow::Result<Self> {
        let path = Path::new(word);
        let (name, content) = if word == script::STDIN {
            (word, tokio::task::spawn_blocking(script::read_stdin).await??)
        } else if runtime.is_none() && !is_path(word) {
            return Ok(Self::Module(Module::Known(word.to_owned())));
        } else if runtime.is_none() && Package::is_one(path) {
            let word = word.to_owned();
            return Ok(Self::Package(tokio::task::spawn_blocking(move || package::open(&word)).await??));
        } else if runtime.is_none() && (has_extension(path, "wasm") || !path.exists()) {
            return Ok(Self::Module(Module::find(word)?));
        } else if !path.exists() {
            return Err(advise(format!("{word}: there is no such file"), "name a script"));
        } else if path.is_dir() {
            return Err(advise(format!("{word} is a folder"), "name a .wasm file or a script"));
        } else {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or(word);
            let path = path.to_owned();
            // A pipe may keep us waiting, and signals have to be noticed meanwhile.
            (name, tokio::task::spawn_blocking(move || script::read_file(&path)).await??)
        };
        match content {
            Content::Script(source) => {
                let runtimes = runtime::all(client).await?;
                Ok(Self::Script(Script::of(&runtimes, runtime, name, source)?))
            }
            Content::Module if path.is_file() && runtime.is_none() => {
                Ok(Self::Module(Module::File(path.to_owned())))
            }
            Content::Module if path.is_file() => {
                Err(advise(format!("{word} is a WebAssembly module, no script"), "run it without --runtime"))
            }
            Content::Module => Err(advise(
                format!("{word} is a WebAssembly module that comes through a pipe"),
                "write it into a file first",
            )),
        }
    }

    /// Whether our standard input can be the program's.
    pub(super) fn reads_input(&self) -> bool {
        match self {
            Self::Module(_) | Self::Template(_) => true,
            Self::Script(script) => script.reads_input,
            // The request says so.
            Self::Asked => false,
            Self::Package(package) => package::reads_input(package),
        }
    }

    /// Whether it is a file that the server may have lost since it was asked for it.
    pub(super) fn is_uploaded(&self) -> bool {
        matches!(self, Self::Module(Module::File(_)) | Self::Package(_))
    }

    /// The request with the program in it; see [`Module::prepare`].
    pub(super) async fn put_into(
        &self,
        request: SessionStart,
        client: &Client,
        upload: bool,
    ) -> anyhow::Result<SessionStart> {
        Ok(match self {
            Self::Module(module) => {
                SessionStart { module: Some(module.prepare(client, upload).await?), ..request }
            }
            Self::Package(package) => package::put_into(package, request, client, upload).await?,
            Self::Template(name) => SessionStart { template: Some(name.clone()), ..request },
            Self::Asked => request,
            Self::Script(script) => SessionStart {
                script: Some(script.source.clone()),
                script_name: Some(script.name.clone()),
                runtime: Some(script.runtime.clone()),
                ..request
            },
        })
    }

    /// What to add to a refusal of the server.
    pub(super) fn explain(&self, error: client::Error) -> anyhow::Error {
        match self {
            // The server hangs up on a request that it does not want to read.
            Self::Script(script)
                if script.source.len() > LARGE && !matches!(error, client::Error::Rpc { .. }) =>
            {
                let size = text::bytes(script.source.len() as u64);
                advise(
                    format!("cannot run {}, a script of {size}: {}", script.name, error.summary()),
                    "the server takes requests up to its setting body_max_bytes, 8 MiB by default",
                )
            }
            Self::Script(script) => anyhow::Error::new(error).context(format!("cannot run {}", script.name)),
            Self::Module(Module::Known(name)) if error.code() == Some(ErrorCode::ModuleNotFound) => {
                let path = Path::new(name);
                if path.exists() {
                    let what = if path.is_dir() { "package" } else { "file" };
                    let hint = format!("`hero_runner run ./{name}` runs the {what} of this name");
                    advise(error.summary(), hint)
                } else if path.extension().is_some() {
                    advise(format!("{}, and no such file", error.summary()), RUNNABLE)
                } else {
                    error.into()
                }
            }
            Self::Module(_) | Self::Template(_) | Self::Package(_) | Self::Asked => error.into(),
        }
    }
}

/// Whether a word names a file: it has a slash, ends in `.wasm`, or is that of a file with another extension that is there.
/// Any other word names a module, whatever lies in this folder.
fn is_path(word: &str) -> bool {
    let path = Path::new(word);
    let other = || path.extension().is_some() && path.is_file();
    !word.starts_with("sha256:")
        && (matches!(word, "." | "..") || word.contains('/') || has_extension(path, "wasm") || other())
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|own| own == extension)
}
