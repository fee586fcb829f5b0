//! What workers are forked from: the zygotes and the templates, each with its own pool.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use frames::Sockets;
use tokio::sync::Notify;

use crate::pool::{Pool, Slot as SlotNo};
use crate::slot::Slot;
use crate::templates::Made;
use crate::zygote::ZygoteSender;

/// Names a stem.
pub(crate) type StemId = u64;

/// The stem of the zygote itself, whose workers can run any module. All others are templates.
pub(crate) const ROOT: StemId = 0;

/// The stem of a second zygote, whose workers can open connections. It is started with the first session that may.
pub(crate) const OUTGOING: StemId = StemId::MAX;

/// The zygote whose workers can have such sockets.
pub(crate) fn base(sockets: Sockets) -> StemId {
    match sockets {
        Sockets::None | Sockets::Given => ROOT,
        Sockets::Outgoing => OUTGOING,
    }
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
