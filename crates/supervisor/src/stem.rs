//! What workers are forked from: the zygotes and the templates, each with its own pool.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use api::session::EngineKind;
use frames::Sockets;
use tokio::sync::Notify;

use crate::pool::{Pool, Slot as SlotNo};
use crate::slot::Slot;
use crate::templates::Made;
use crate::zygote::ZygoteSender;

/// Names a stem.
pub(crate) type StemId = u64;

/// The stem of the zygote itself, whose workers can run any core module.
pub(crate) const ROOT: StemId = 0;

/// The stem of a second zygote, whose workers can open connections.
pub(crate) const OUTGOING: StemId = StemId::MAX;

/// The stem of Wasmtime's zygote, whose workers can run any component.
pub(crate) const WASMTIME: StemId = StemId::MAX - 1;

/// The stem of Wasmtime's second zygote, whose workers can open connections.
pub(crate) const WASMTIME_OUTGOING: StemId = StemId::MAX - 2;

/// The zygotes, each with its engine and whether its workers can open connections. All but the first are started when they
/// are wanted. All other stems are templates.
const ZYGOTES: [(StemId, EngineKind, bool); 4] = [
    (ROOT, EngineKind::Wasmedge, false),
    (OUTGOING, EngineKind::Wasmedge, true),
    (WASMTIME, EngineKind::Wasmtime, false),
    (WASMTIME_OUTGOING, EngineKind::Wasmtime, true),
];

/// The zygote of an engine whose workers can have such sockets.
pub(crate) fn base(engine: EngineKind, sockets: Sockets) -> StemId {
    let wanted = sockets == Sockets::Outgoing;
    let found = ZYGOTES.iter().find(|(_, of, outgoing)| *of == engine && *outgoing == wanted);
    found.map_or(ROOT, |(id, ..)| *id)
}

/// The engine of a zygote and whether its workers can open connections; `None` for a template.
pub(crate) fn zygote(id: StemId) -> Option<(EngineKind, bool)> {
    ZYGOTES.iter().find(|(zygote, ..)| *zygote == id).map(|(_, engine, outgoing)| (*engine, *outgoing))
}

/// Something to fork from, with its own pool: the zygote, or a template.
#[derive(Debug)]
pub(crate) struct Stem {
    pub(crate) pool: Pool,
    pub(crate) slots: HashMap<SlotNo, Slot>,
    pub(crate) zygote: Option<(ZygoteSender, u32)>,
    /// For a template: what it holds, and what kills it.
    pub(crate) made: Option<Made>,
    pub(crate) pidfd: Option<OwnedFd>,
    /// Since when the zygote owes an answer.
    pub(crate) owed_since: Option<Instant>,
    /// When a session last asked for it.
    pub(crate) last_used: Instant,
    /// Wakes the driver: a timer of the pool changed.
    pub(crate) ticks: Arc<Notify>,
}

impl Stem {
    pub(crate) fn new(pool: Pool) -> Self {
        Self {
            pool,
            slots: HashMap::new(),
            zygote: None,
            made: None,
            pidfd: None,
            owed_since: None,
            last_used: Instant::now(),
            ticks: Arc::default(),
        }
    }
}
