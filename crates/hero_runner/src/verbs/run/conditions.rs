//! What of a program runs, in which engine, when it counts as ready, and what happens when it fails.

use std::time::Duration;

use api::retry::RetryOn;
use api::session::{EngineKind, Ready, Retries, SessionStart};
use clap::ValueEnum;
use client::Client;

use super::module::Module;
use crate::cli::{duration, millis};

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Engine {
    Wasmedge,
    Wasmtime,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum On {
    /// What may not come again: a lost worker, a signal, exit code 75
    Transient,
    /// Any failure but that of a module that cannot be loaded
    Failure,
}

/// The flags for it.
#[derive(Debug, clap::Args)]
pub(super) struct Conditions {
    /// The engine, instead of the one that the module's header says
    #[arg(long, value_name = "ENGINE")]
    engine: Option<Engine>,
    /// Call a function of a component instead of its `run`, and print what it returns: a name, or a call in WAVE
    #[arg(long, value_name = "NAME(ARGS)")]
    invoke: Option<String>,
    /// Return once it is ready and leave it running: when it prints a line READY, unless the flags below say otherwise
    #[arg(long, conflicts_with_all = ["detach", "interactive"])]
    pub(super) wait_ready: bool,
    /// It is ready when it prints this line
    #[arg(long, value_name = "TEXT")]
    ready_line: Option<String>,
    /// It is ready when this function, which is called first, has returned
    #[arg(long, value_name = "NAME")]
    ready_export: Option<String>,
    /// It fails when it is not ready after this time [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    ready_timeout: Option<Duration>,
    /// Run it again when it fails, so often at most; its standard input is empty then
    #[arg(long, value_name = "COUNT")]
    retries: Option<u32>,
    /// After which failures
    #[arg(long, value_name = "FAILURES", default_value = "transient", requires = "retries")]
    retry_on: On,
    /// A module or a .wasm file that takes over when it cannot be loaded or still fails
    #[arg(long, value_name = "MODULE")]
    fallback: Option<String>,
}

impl Conditions {
    /// Takes `--invoke CALL` that follows the program at once, where most people write it. A program's own flag of that name
    /// can stand anywhere else among its arguments.
    pub(super) fn take_invoke(&mut self, words: &mut Vec<String>) {
        if self.invoke.is_some() {
            return;
        }
        if words.len() > 2 && words[1] == "--invoke" {
            self.invoke = words.drain(1..3).nth(1);
        } else if let Some(call) = words.get(1).and_then(|word| word.strip_prefix("--invoke=")) {
            self.invoke = Some(call.to_owned());
            words.remove(1);
        }
    }

    /// When it is ready, where a flag says anything of it.
    pub(super) fn ready(&self) -> Option<Ready> {
        let declared = self.wait_ready
            || self.ready_line.is_some()
            || self.ready_export.is_some()
            || self.ready_timeout.is_some();
        declared.then(|| Ready {
            line: self.ready_line.clone(),
            export: self.ready_export.clone(),
            timeout_ms: self.ready_timeout.map(millis),
        })
    }

    /// The request with them in it; a fallback that is a file is uploaded where the server does not have it.
    pub(super) async fn put_into(
        self,
        request: SessionStart,
        client: &Client,
    ) -> anyhow::Result<SessionStart> {
        let ready = self.ready();
        let retries = self.retries.map(|max| {
            let on = match self.retry_on {
                On::Transient => RetryOn::Transient,
                On::Failure => RetryOn::Failure,
            };
            Retries { max, on, ..Retries::default() }
        });
        let fallback = match &self.fallback {
            Some(text) => Some(Module::find(text)?.prepare(client, false).await?),
            None => None,
        };
        Ok(SessionStart {
            engine: self.engine.map(|engine| match engine {
                Engine::Wasmedge => EngineKind::Wasmedge,
                Engine::Wasmtime => EngineKind::Wasmtime,
            }),
            invoke: self.invoke,
            ready,
            retries,
            fallback,
            ..request
        })
    }
}
