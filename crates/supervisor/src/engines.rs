//! Which engine runs what, and where its program is.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use api::ModuleKind;
use api::error::{Error, ErrorCode};
use api::session::{EngineKind, RunMode};
use store::modules::Resolved;

use crate::Result;
use crate::core::Shared;

/// Names what Wasmtime's artifacts depend on: the program that makes and loads them, by its size and time. Asking it for its
/// version would be a process more at each start.
pub(crate) fn tag(program: Option<&Path>) -> String {
    match program.and_then(|program| std::fs::metadata(program).ok()) {
        Some(facts) => {
            format!("wasmtime-{:x}-{:x}.{:x}", facts.size(), facts.mtime(), facts.mtime_nsec())
        }
        None => "wasmtime-none".to_owned(),
    }
}

impl Shared {
    /// The program of an engine: its zygote, and its compile process.
    ///
    /// # Errors
    /// `module_unsupported` when the server was built without it; `unavailable` when its file is not there.
    pub(crate) fn program(&self, engine: EngineKind) -> Result<&Path> {
        if engine == EngineKind::Wasmedge {
            return Ok(&self.config.zygote);
        }
        let Some(program) = self.config.zygote_wasmtime.as_deref() else {
            let message = "this server was built without Wasmtime, which runs components";
            return Err(Error::new(ErrorCode::ModuleUnsupported, message));
        };
        if !program.exists() {
            let message =
                format!("{}, which runs components, is not there: run build.sh again", program.display());
            return Err(Error::new(ErrorCode::Unavailable, message));
        }
        Ok(program)
    }

    /// The engine that runs a module: the one that is asked for, if it can, or the one that its header says.
    ///
    /// # Errors
    /// `module_unsupported` when it cannot, or is not there.
    pub(crate) fn engine(
        &self,
        asked: Option<EngineKind>,
        module: &Resolved,
        named: &str,
    ) -> Result<EngineKind> {
        let engine = asked.unwrap_or_else(|| module.engine());
        if module.kind == ModuleKind::Component && engine == EngineKind::Wasmedge {
            let message = format!("{named} is a component, and WasmEdge runs core modules; leave engine out");
            return Err(Error::new(ErrorCode::ModuleUnsupported, message));
        }
        self.program(engine)?;
        Ok(engine)
    }
}

/// What of a module an engine runs, and how.
///
/// # Errors
/// `module_load` when the engine needs an artifact and there is none.
pub(crate) fn code(module: &Resolved, engine: EngineKind) -> Result<(&Path, RunMode)> {
    match (module.artifact(engine), engine) {
        (Some(artifact), _) => Ok((artifact, RunMode::Compiled)),
        (None, EngineKind::Wasmedge) => Ok((&module.path, RunMode::Interpreted)),
        (None, EngineKind::Wasmtime) => {
            Err(Error::new(ErrorCode::ModuleLoad, format!("{} is not compiled yet", module.digest)))
        }
    }
}

/// How a module will run now; see [`code`].
pub(crate) fn mode(module: &Resolved, engine: EngineKind) -> RunMode {
    match (module.artifact(engine), engine) {
        (None, EngineKind::Wasmedge) => RunMode::Interpreted,
        _ => RunMode::Compiled,
    }
}
