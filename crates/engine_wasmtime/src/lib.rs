//! Wasmtime as an engine: components with WASI preview 2 and `wasi:http`, and core modules with preview 1.
//!
//! Everything is compiled before, in a process of its own. A module is loaded and linked before the fork; after it, in a
//! process that serves one session, it is instantiated and called on a runtime with no thread but this one. Standard
//! streams lead to the worker's [`Stdio`], and randomness is the kernel's.

mod component;
mod config;
mod core_module;
mod exec;
mod exports;
pub mod http;
mod limits;
mod load;
mod net;
mod sockets;
mod state;
mod stdio;
mod streams;
mod tick;
mod trap;
mod value;

use std::fmt;
use std::path::Path;
use std::time::Instant;

use engine::{Code, Ending, Engine, Error, Nowhere, Run, Stdio};
use tokio::runtime::{Builder, Runtime};

use component::Standing;
use load::{Linkers, Loaded};
use net::Net;
use state::Session;

/// The engine. It keeps at most the one module that was prepared: a worker runs one session and leaves.
#[derive(Default)]
pub struct Wasmtime {
    linkers: Option<Linkers>,
    prepared: Option<(Loaded, Option<Standing>)>,
    /// The module of [`Engine::warm`].
    rehearsal: Option<Loaded>,
    /// Made after the fork: what it waits with belongs to one process.
    runtime: Option<Runtime>,
}

impl Drop for Wasmtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A name that is still being looked up, by a thread, is of no interest any more.
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Wasmtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wasmtime").field("prepared", &self.prepared.is_some()).finish_non_exhaustive()
    }
}

/// A component that touches what all components touch: a memory, and functions with values in it.
const WARMING: &str = r#"(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
    (func (export "run") (result i32)
      (i32.store (i32.const 8) (i32.const 64))
      (i32.const 0)))
  (core instance $i (instantiate $m))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $cli (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $cli)))"#;

impl Wasmtime {
    fn load(&mut self, code: Code<'_>) -> Result<Loaded, String> {
        let engine = config::engine()?;
        load::load(engine, self.linkers(engine)?, code)
    }

    fn linkers(&mut self, engine: &wasmtime::Engine) -> Result<&Linkers, String> {
        if self.linkers.is_none() {
            let text = |error: wasmtime::Error| format!("{error:#}");
            let component = state::linker(engine).map_err(text)?;
            let core = core_module::linker(engine).map_err(text)?;
            self.linkers = Some(Linkers { component, core });
        }
        self.linkers.as_ref().ok_or_else(String::new)
    }

    fn execute(
        &mut self,
        loaded: &Loaded,
        standing: Option<Standing>,
        run: &Run<'_>,
        stdio: &mut dyn Stdio,
    ) -> Ending {
        let runtime = match self.runtime.take().map_or_else(runtime, Ok) {
            Ok(runtime) => runtime,
            Err(why) => return Ending::LoadFailed(why),
        };
        // A guest that cannot be interrupted is a nuisance, not a danger: the supervisor kills it.
        let _ = tick::start();
        let net = Net::new(run.network);
        let deadline = run.deadline.map(|time| Instant::now() + time);
        let whole = async {
            match loaded {
                Loaded::Component { pre, .. } => {
                    component::run(Session { pre, run, net: &net, deadline }, standing).await
                }
                Loaded::Core(pre) => core_module::run(pre, run, &net, deadline).await,
            }
        };
        // A guest that waits is not interrupted by the epoch.
        let ending = stdio::scope(stdio, || {
            runtime.block_on(async {
                let Some(deadline) = deadline else { return whole.await };
                tokio::time::timeout_at(deadline.into(), whole).await.unwrap_or_else(|_| interrupted())
            })
        });
        // For the session, where this was its rehearsal; else the process leaves with it.
        self.runtime = Some(runtime);
        ending
    }
}

fn interrupted() -> Ending {
    trap::ending(&wasmtime::Trap::Interrupt.into())
}

/// A runtime of this thread alone.
fn runtime() -> Result<Runtime, String> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build();
    runtime.map_err(|error| format!("the runtime cannot be made: {error}"))
}

impl Engine for Wasmtime {
    fn version(&self) -> String {
        concat!("wasmtime ", env!("WASMTIME_VERSION")).to_owned()
    }

    fn growth_refused(&self) -> &'static [&'static str] {
        // The guest's memory; the engine's own, at the limit of the process.
        &[limits::REFUSED, "memory allocation of "]
    }

    fn warm(&mut self) -> Result<(), Error> {
        let engine = config::engine().map_err(Error)?;
        let bytes = wat::parse_str(WARMING).map_err(|error| Error(error.to_string()))?;
        let component = load::own(engine, &bytes).map_err(Error)?;
        let linkers = self.linkers(engine).map_err(Error)?;
        let pre = linkers.component.instantiate_pre(&component);
        let pre = pre.map_err(|error| Error(format!("{error:#}")))?;
        self.rehearsal = Some(Loaded::Component { pre, still: true });
        Ok(())
    }

    fn rehearse(&mut self) {
        let Some(rehearsal) = self.rehearsal.take() else { return };
        let args = ["rehearsal".to_owned()];
        let run = Run { args: &args, max_pages: 1, ..Run::default() };
        let _ = self.execute(&rehearsal, None, &run, &mut Nowhere);
        self.rehearsal = Some(rehearsal);
    }

    fn forks_within_runs(&self) -> bool {
        // What the runtime waits with would be two processes' at once.
        false
    }

    fn keeps_files(&self) -> bool {
        // Code and memory are mapped from the artifact in each instance.
        true
    }

    fn run(&mut self, code: Code<'_>, run: &Run<'_>, stdio: &mut dyn Stdio) -> Ending {
        match self.load(code) {
            Ok(loaded) => self.execute(&loaded, None, run, stdio),
            Err(why) => Ending::LoadFailed(why),
        }
    }

    fn prepare(&mut self, code: Code<'_>, run: &Run<'_>, _: &mut dyn Stdio) -> Result<(), Error> {
        if run.init.is_some() {
            return Err(Error("this engine runs nothing of a module before its session".to_owned()));
        }
        let loaded = self.load(code).map_err(Error)?;
        let standing = match &loaded {
            Loaded::Component { pre, still: true } => {
                component::stand(Session { pre, run, net: &Net::new(None), deadline: None })
            }
            Loaded::Component { .. } | Loaded::Core(_) => None,
        };
        self.prepared = Some((loaded, standing));
        Ok(())
    }

    fn is_prepared(&self) -> bool {
        self.prepared.is_some()
    }

    fn run_prepared(&mut self, run: &Run<'_>, stdio: &mut dyn Stdio) -> Option<Ending> {
        let (loaded, standing) = self.prepared.take()?;
        Some(self.execute(&loaded, standing, run, stdio))
    }

    fn compile(&self, module: &Path, artifact: &Path) -> Result<(), Error> {
        config::engine().and_then(|engine| load::compile(engine, module, artifact)).map_err(Error)
    }
}
