//! What a store holds of a session, and what a component may import.

use std::fmt;
use std::time::Instant;

use engine::Run;
use wasmtime::component::{InstancePre, Linker, ResourceTable};
use wasmtime::{Engine, Store, Trap, UpdateDeadline};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::http::Outgoing;
use crate::limits::Limits;
use crate::net::Net;
use crate::streams::{Random, Reader, Writer};
use crate::{exec, sockets};

/// What belongs to one instance of a component.
pub(crate) struct Host {
    pub(crate) wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) http: WasiHttpCtx,
    pub(crate) hooks: Outgoing,
    pub(crate) limits: Limits,
    pub(crate) net: Net,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("limits", &self.limits).field("net", &self.net).finish_non_exhaustive()
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

/// What a component may import: WASI preview 2 with its HTTP.
///
/// # Errors
/// When the engine does not take an interface.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    sockets::add(&mut linker)?;
    exec::add(&mut linker)?;
    Ok(linker)
}

/// A component that is ready to be instantiated, and what a session says.
#[derive(Clone, Copy)]
pub(crate) struct Session<'a> {
    pub(crate) pre: &'a InstancePre<Host>,
    pub(crate) run: &'a Run<'a>,
    /// What of the network it may use, with what it has looked up.
    pub(crate) net: &'a Net,
    /// When the session is over.
    pub(crate) deadline: Option<Instant>,
}

impl fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("run", self.run).finish_non_exhaustive()
    }
}

impl Session<'_> {
    /// A store for one instance, which shares nothing with that of another.
    ///
    /// # Errors
    /// Which folder cannot be used.
    pub(crate) fn store(&self) -> Result<Store<Host>, String> {
        let host = self.host(Limits::new(self.run.max_pages))?;
        let mut store = Store::new(self.pre.engine(), host);
        store.limiter(|host| &mut host.limits);
        interruptible(&mut store, self.deadline);
        Ok(store)
    }

    /// Makes a store that was made ahead this session's: what its instance has of memory stays, the rest is new.
    ///
    /// # Errors
    /// Which folder cannot be used.
    pub(crate) fn take_over(&self, store: &mut Store<Host>) -> Result<(), String> {
        let limits = std::mem::replace(&mut store.data_mut().limits, Limits::new(0));
        *store.data_mut() = self.host(limits)?;
        interruptible(store, self.deadline);
        Ok(())
    }

    fn host(&self, limits: Limits) -> Result<Host, String> {
        Ok(Host {
            wasi: wasi(self.run, self.net)?.build(),
            table: ResourceTable::new(),
            http: WasiHttpCtx::new(),
            hooks: outgoing(self.run, self.net),
            limits,
            net: self.net.clone(),
        })
    }
}

/// The requests that the guest may send.
fn outgoing(run: &Run<'_>, net: &Net) -> Outgoing {
    let connect = run.network.map(|network| network.connect.clone()).unwrap_or_default();
    let net = net.clone();
    Outgoing::new(connect, move |what| net.say(format!("hero_runner: {what}\n")))
}

/// What WASI gives the guest of a run.
///
/// # Errors
/// Which folder cannot be used.
pub(crate) fn wasi(run: &Run<'_>, net: &Net) -> Result<WasiCtxBuilder, String> {
    let mut wasi = WasiCtxBuilder::new();
    // There is one thread, which has nothing else to do.
    wasi.allow_blocking_current_thread(true)
        .args(run.args)
        .stdin(Reader::default())
        .stdout(Writer(engine::Output::Stdout))
        .stderr(Writer(engine::Output::Stderr))
        .secure_random(Random)
        .insecure_random(Random)
        .insecure_random_seed(Random::seed());
    for variable in run.env {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        wasi.env(name, value);
    }
    for dir in run.dirs {
        let rights = if dir.read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
        wasi.preopened_dir(dir.host, dir.guest, rights)
            .map_err(|error| format!("cannot open the folder {}: {error:#}", dir.guest))?;
    }
    net.apply(&mut wasi);
    Ok(wasi)
}

/// While the guest of a store computes, everything else in this process gets its turn, and when the time is over the guest
/// ends.
pub(crate) fn interruptible<T: 'static>(store: &mut Store<T>, deadline: Option<Instant>) {
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| match deadline {
        Some(deadline) if Instant::now() >= deadline => Err(Trap::Interrupt.into()),
        _ => Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))),
    });
}
