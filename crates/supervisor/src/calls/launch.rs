//! A module made ready to be handed to a worker.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::ModuleKind;
use api::error::{Error, ErrorCode};
use api::session::{EngineKind, RunMode, SessionStart};
use api::template::{TemplateCreate, Warm};
use bytes::Bytes;
use frames::Sockets;
use store::modules::Resolved;

use super::specification::{invalid, specification};
use super::{Plan, Wiring};
use crate::Result;
use crate::core::{Core, Shared, StemId, base};
use crate::driver::want;
use crate::engines::code;
use crate::session::{Waiting, open};
use crate::templates::Key;

/// How much later than the supervisor an engine ends a session by itself, in milliseconds.
const DEADLINE_SLACK_MS: u64 = 500;

/// A module made ready to be handed to a worker: what a session runs, at first or after that.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// As the request named it.
    pub(crate) named: String,
    /// Its content, which stays as long as this.
    pub(crate) module: Resolved,
    pub(crate) mode: RunMode,
    pub(crate) waiting: Waiting,
    /// The declared template that it goes on from, if that has a process that fits.
    pub(crate) template: Option<(String, Key)>,
    /// The automatic template that it may go on from.
    automatic: Option<Key>,
}

/// What a request says, for each module that it may run.
pub(super) struct Order<'a> {
    pub(super) id: &'a str,
    pub(super) wiring: &'a Wiring,
    /// Standard output is a descriptor of its own, the first of those that are given.
    pub(super) raw_stdout: bool,
    pub(super) given: Vec<Arc<OwnedFd>>,
    pub(super) stdin: &'a Bytes,
    pub(super) timeout_ms: Option<u64>,
}

impl Shared {
    /// Makes the module of a request ready: found, fit for its engine, compiled where it has to be.
    pub(super) async fn launch(
        self: &Arc<Self>,
        request: &SessionStart,
        plan: Option<&Plan>,
        order: &Order<'_>,
    ) -> Result<Launch> {
        let named = request.module.clone().unwrap_or_default();
        let template = plan.and_then(|plan| plan.template.as_ref());
        let module = match template {
            Some(_) => self.modules.resolve(&named)?,
            None => self.find_module(&named).await?,
        };
        let engine = self.engine(request.engine, &module, &named)?;
        if request.invoke.is_some() && module.kind == ModuleKind::Core {
            return Err(invalid(format!(
                "invoke calls functions of components, and {named} is a core module"
            )));
        }
        module.complete(&named)?;
        let module = match engine {
            EngineKind::Wasmedge => module,
            EngineKind::Wasmtime => self.compiled(module, engine, &named).await?,
        };
        let (path, mode) = code(&module, engine)?;
        let file = self.file(path)?;
        let wiring = order.wiring;
        let mut spec = specification(request, order.id, self.config.memory_limit_mb, mode)?;
        spec.yield_after_ms = if wiring.is_lasting() { 0 } else { self.config.yield_after_ms };
        spec.raw_stdout = order.raw_stdout;
        spec.network = wiring.network(&request.permissions);
        spec.serve = wiring.serve();
        if engine == EngineKind::Wasmtime {
            // The supervisor's clock comes first; this one is for a guest that nobody watches any more.
            spec.deadline_ms = order.timeout_ms.map_or(0, |limit| limit.saturating_add(DEADLINE_SLACK_MS));
        }
        let sockets = spec.sockets();
        if let Some((_, template)) = template
            && let Warm::Export(name) = &template.warm
        {
            spec.init = Some(name.clone());
        }
        // The functions for sockets are in a template of their own, whatever was declared; and it has one engine.
        let fits = plan.is_some_and(|plan| plan.fits) && engine == module.engine();
        let declared = match template {
            Some((name, template)) if fits && sockets == Sockets::None => {
                Some((name.clone(), self.declared_key(template, &module, engine, &spec)?))
            }
            _ => None,
        };
        let automatic = (declared.is_none()
            && mode == RunMode::Compiled
            && (template.is_none() || sockets != Sockets::None))
            .then(|| Key::instantiated(Arc::clone(&module.digest), engine, spec.max_pages, sockets));
        let waiting = Waiting {
            spec,
            engine,
            module: file,
            given: order.given.clone(),
            stdin: order.stdin.clone(),
            stdin_open: request.stdin_open,
            timeout: order.timeout_ms.map(Duration::from_millis),
            resident: wiring.resident,
            attempts: 0,
            began: Instant::now(),
        };
        Ok(Launch { named, module, mode, waiting, template: declared, automatic })
    }

    fn declared_key(
        &self,
        template: &TemplateCreate,
        module: &Resolved,
        engine: EngineKind,
        spec: &frames::SessionSpec,
    ) -> Result<Key> {
        match template.warm {
            // Its initialiser ran with arguments of its own.
            Warm::Export(_) => self.key(template, module),
            Warm::Instantiate | Warm::Stdin => {
                Ok(Key::declared(template, Arc::clone(&module.digest), engine, spec))
            }
        }
    }

    /// The stem that a worker for this is taken from; what is not there yet is made.
    pub(crate) fn stem(self: &Arc<Self>, core: &mut Core, launch: &Launch) -> StemId {
        let waiting = &launch.waiting;
        let base = base(waiting.engine, waiting.spec.sockets());
        want(self, core, base);
        match (&launch.template, &launch.automatic) {
            (Some((name, key)), _) => self.declared_stem(core, name, key.clone(), &waiting.module),
            (None, Some(key)) => self.automatic_stem(core, key.clone(), &launch.named, &waiting.module),
            (None, None) => base,
        }
    }

    /// Finds the module that a request names: a registered name, a digest, or a path in an allowed folder.
    async fn find_module(self: &Arc<Self>, named: &str) -> Result<Resolved> {
        if !named.contains('/') {
            return self.modules.resolve(named);
        }
        let path = PathBuf::from(named);
        let (shared, named) = (Arc::clone(self), named.to_owned());
        crate::read::blocking(move || {
            let refused = |why: &str| Error::new(ErrorCode::PathNotAllowed, format!("{named}: {why}"));
            if !path.is_absolute() {
                return Err(refused("a module's path has to be absolute"));
            }
            // Links are followed first, so that a link inside an allowed folder cannot lead out of it.
            let real = path.canonicalize().map_err(|error| refused(&error.to_string()))?;
            let allowed = |dir: &PathBuf| dir.canonicalize().is_ok_and(|dir| real.starts_with(dir));
            if !shared.config.module_dirs.iter().any(allowed) {
                return Err(refused("not in a folder of the setting module_dirs"));
            }
            shared.by_path.resolve(&shared, &real)
        })
        .await
    }

    fn file(&self, path: &Path) -> Result<Arc<OwnedFd>> {
        file(&mut crate::session::lock(&self.core), path)
    }
}

/// The module's file, opened once for all its sessions: whoever reads it, reads from its beginning by path or map.
pub(crate) fn file(core: &mut Core, path: &Path) -> Result<Arc<OwnedFd>> {
    if let Some(file) = core.files.get(path) {
        return Ok(Arc::clone(file));
    }
    let file = open(path).map_err(|error| {
        let code = match error.raw_os_error() {
            // EMFILE, ENFILE, ENOMEM
            Some(24 | 23 | 12) => ErrorCode::ResourceExhausted,
            _ => ErrorCode::Internal,
        };
        Error::new(code, format!("cannot open {}: {error}", path.display()))
    })?;
    let file = Arc::new(file);
    if core.files.len() >= MAX_FILES {
        core.files.clear();
    }
    core.files.insert(path.to_owned(), Arc::clone(&file));
    Ok(file)
}

/// How many modules' files are held open.
const MAX_FILES: usize = 128;
