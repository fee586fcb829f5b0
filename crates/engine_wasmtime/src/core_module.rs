//! Runs of core modules with WASI preview 1.

use std::fmt;
use std::time::Instant;

use engine::exec::Calls;
use engine::{Ending, Entry, Run};
use wasmtime::{Engine, Instance, InstancePre, Linker, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};

use crate::limits::Limits;
use crate::net::Net;
use crate::{exec, state, stdio, trap};

/// What belongs to one instance of a core module.
pub(crate) struct Core {
    wasi: WasiP1Ctx,
    limits: Limits,
    pub(crate) exec: Calls,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// What a core module may import.
///
/// # Errors
/// When the engine does not take a function.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Core>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |core: &mut Core| &mut core.wasi)?;
    exec::add_to_core(&mut linker)?;
    Ok(linker)
}

/// Runs a core module from its instantiation to its end.
pub(crate) async fn run(
    pre: &InstancePre<Core>,
    run: &Run<'_>,
    net: &Net,
    deadline: Option<Instant>,
) -> Ending {
    match program(pre, run, net, deadline).await {
        Ok(()) => Ending::Exited(0),
        Err(ending) => ending,
    }
}

async fn program(
    pre: &InstancePre<Core>,
    run: &Run<'_>,
    net: &Net,
    deadline: Option<Instant>,
) -> Result<(), Ending> {
    match run.entry {
        Entry::Program => {}
        Entry::Invoke { .. } => {
            return Err(load_failed("it is a core module: only a component's functions have types"));
        }
        Entry::Serve { .. } => {
            return Err(load_failed("it is a core module: only a component can answer HTTP requests"));
        }
    }
    let wasi = state::wasi(run, net).map_err(Ending::LoadFailed)?.build_p1();
    let core = Core { wasi, limits: Limits::new(run.max_pages), exec: Calls::default() };
    let mut store = Store::new(pre.module().engine(), core);
    store.limiter(|core| &mut core.limits);
    state::interruptible(&mut store, deadline);
    let instance = pre.instantiate_async(&mut store).await.map_err(|error| trap::of_instantiation(&error))?;
    stdio::loaded();
    for name in [run.init, run.ready_export].into_iter().flatten() {
        call(&mut store, &instance, name).await?;
    }
    if run.ready_export.is_some() {
        stdio::ready();
    }
    let ended = call(&mut store, &instance, "_start").await;
    // The process ends with the session.
    std::mem::forget(store);
    ended
}

async fn call(store: &mut Store<Core>, instance: &Instance, name: &str) -> Result<(), Ending> {
    let function = instance.get_typed_func::<(), ()>(&mut *store, name).map_err(|_| {
        load_failed(&format!("it exports no function {name:?} without parameters and results"))
    })?;
    function.call_async(store, ()).await.map_err(|error| trap::ending(&error))
}

fn load_failed(why: &str) -> Ending {
    Ending::LoadFailed(why.to_owned())
}
