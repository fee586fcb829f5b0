//! Compiling modules: one process at a time for each engine, with limits. WasmEdge's wait in the background, out of
//! everybody's way; for Wasmtime's somebody may wait, so they never stand behind the others.

mod process;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use api::error::{Error, ErrorCode};
use api::module::ArtifactState;
use api::session::EngineKind;
use store::modules::Resolved;
use tokio::sync::{mpsc, watch};

use crate::Result;
use crate::core::Shared;
use crate::read::blocking;
use crate::session::lock;

/// What was asked for: a content, and for which engine.
type Wanted = (Arc<str>, EngineKind);

/// What came of it since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// It is on its way.
    Queued,
    /// It has ended: there is an artifact, or the engine does not take the module. It would not end otherwise again.
    Tried,
}

/// What is to be compiled.
#[derive(Debug)]
pub(crate) struct CompileQueue {
    /// In the order of the engines. None for one that compiles nothing.
    lanes: [Option<mpsc::UnboundedSender<Arc<str>>>; 2],
    asked: Mutex<HashMap<Wanted, Asked>>,
    /// Changes with every end.
    ended: watch::Sender<()>,
}

/// The other end of a queue, for one engine.
pub(crate) type Lane = (EngineKind, mpsc::UnboundedReceiver<Arc<str>>);

impl CompileQueue {
    /// A queue and its ends, for these engines.
    pub(crate) fn new(wasmedge: bool, wasmtime: bool) -> (Self, Vec<Lane>) {
        let mut ends = Vec::new();
        let lanes =
            [(EngineKind::Wasmedge, wasmedge), (EngineKind::Wasmtime, wasmtime)].map(|(engine, on)| {
                let (send, receive) = mpsc::unbounded_channel();
                on.then(|| {
                    ends.push((engine, receive));
                    send
                })
            });
        (Self { lanes, asked: Mutex::default(), ended: watch::Sender::new(()) }, ends)
    }

    /// Asks for a module to be compiled for an engine, unless it was asked for before.
    pub(crate) fn want(&self, digest: &str, engine: EngineKind) {
        let Some(lane) = &self.lanes[engine as usize] else { return };
        let digest: Arc<str> = Arc::from(digest);
        let mut asked = lock(&self.asked);
        asked.entry((Arc::clone(&digest), engine)).or_insert_with(|| {
            // The other end lives as long as the supervisor.
            let _ = lane.send(digest);
            Asked::Queued
        });
    }

    /// Whether a module waits to be compiled, or is at it.
    pub(crate) fn is_queued(&self, digest: &str) -> bool {
        let asked = lock(&self.asked);
        asked.iter().any(|((of, _), asked)| **of == *digest && *asked == Asked::Queued)
    }

    fn asked(&self, wanted: &Wanted) -> Option<Asked> {
        lock(&self.asked).get(wanted).copied()
    }

    fn forget(&self, wanted: &Wanted) {
        lock(&self.asked).remove(wanted);
    }
}

impl Shared {
    /// The module with its artifact for an engine that runs nothing else: waits until it is compiled.
    ///
    /// # Errors
    /// `module_load` with the reason when it cannot be compiled, or not in time; `module_not_found` when it was removed.
    pub(crate) async fn compiled(
        self: &Arc<Self>,
        module: Resolved,
        engine: EngineKind,
        named: &str,
    ) -> Result<Resolved> {
        if module.artifact(engine).is_some() {
            return Ok(module);
        }
        let failed =
            |why: String| Error::new(ErrorCode::ModuleLoad, format!("{named} cannot be compiled: {why}"));
        let wanted: Wanted = (Arc::clone(&module.digest), engine);
        let mut ended = self.compile.ended.subscribe();
        let mut waited = false;
        let compiled = async {
            loop {
                let state = self.modules.artifact_state(&module.digest, engine)?;
                match (state, self.compile.asked(&wanted)) {
                    (ArtifactState::Compiled { .. }, _) => return self.modules.resolve(&module.digest),
                    (_, Some(Asked::Queued)) => {
                        waited = true;
                        // Its sender is this supervisor's.
                        let _ = ended.changed().await;
                    }
                    (ArtifactState::Failed { why }, Some(Asked::Tried)) => return Err(failed(why)),
                    (ArtifactState::Failed { why }, _) if waited => return Err(failed(why)),
                    (_, _) if waited => return Err(failed("its artifact cannot be kept".to_owned())),
                    _ => {
                        // Never tried since the start, or it was removed and has come again since.
                        self.compile.forget(&wanted);
                        self.compile.want(&module.digest, engine);
                    }
                }
            }
        };
        match tokio::time::timeout(self.config.compile_timeout, compiled).await {
            Ok(result) => result,
            Err(_) => {
                Err(failed(format!("it was not compiled within {} s", self.config.compile_timeout.as_secs())))
            }
        }
    }

    /// Asks for what has to be compiled before its first session, unless nothing is compiled before it is needed.
    pub(crate) fn prepare_components(self: &Arc<Self>) {
        if !self.config.compile {
            return;
        }
        for module in self.modules.list() {
            if module.kind == api::ModuleKind::Component && module.artifact == ArtifactState::Interpreted {
                self.compile.want(&module.digest, EngineKind::Wasmtime);
            }
        }
    }
}

/// Compiles what a queue brings, until the supervisor is gone.
pub(crate) async fn run(shared: Weak<Shared>, (engine, mut queue): Lane) {
    while let Some(digest) = queue.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        let wanted = (Arc::clone(&digest), engine);
        match compile(&shared, &digest, engine).await {
            Ok(()) => _ = lock(&shared.compile.asked).insert(wanted, Asked::Tried),
            // What stopped it has nothing to do with the module.
            Err(Passing) => shared.compile.forget(&wanted),
        }
        shared.compile.ended.send_replace(());
    }
}

/// It failed, and may not the next time.
struct Passing;

async fn compile(shared: &Arc<Shared>, digest: &str, engine: EngineKind) -> Result<(), Passing> {
    let modules = &shared.modules;
    let Ok(module) = modules.resolve(digest) else { return Ok(()) };
    if module.artifact(engine).is_some() || (module.engine(), engine) == WRONG {
        return Ok(());
    }
    if modules.set_artifact(digest, engine, ArtifactState::Compiling).is_err() {
        return Ok(());
    }
    let began = Instant::now();
    let result = match modules.artifact_temp_path(digest) {
        Ok(temporary) => match process::run(shared, engine, &module.path, &temporary).await {
            Ok(()) => {
                let (shared, digest) = (Arc::clone(shared), digest.to_owned());
                let took = began.elapsed().as_millis() as u64;
                let commit = move || shared.modules.commit_artifact(&digest, engine, &temporary, took);
                let committed = blocking(commit).await;
                committed.map(|_| ()).map_err(|error| process::Failure { why: error.message, passing: true })
            }
            Err(failure) => {
                // What is there is not whole; the next start would remove it too.
                let _ = std::fs::remove_file(&temporary);
                Err(failure)
            }
        },
        Err(error) => Err(process::Failure { why: error.message, passing: true }),
    };
    match result {
        Ok(()) => {
            tracing::info!(digest, ?engine, ms = began.elapsed().as_millis() as u64, "compiled");
            shared.refresh_all();
            Ok(())
        }
        Err(process::Failure { why, passing }) => {
            tracing::warn!(digest, ?engine, why, "not compiled");
            let _ = modules.set_artifact(digest, engine, ArtifactState::Failed { why });
            // The background does not try again; who waits for a component does.
            if passing && engine == EngineKind::Wasmtime { Err(Passing) } else { Ok(()) }
        }
    }
}

/// A component for the engine that only knows core modules.
const WRONG: (EngineKind, EngineKind) = (EngineKind::Wasmtime, EngineKind::Wasmedge);
