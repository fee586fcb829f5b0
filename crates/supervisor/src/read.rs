//! Reading a session's log: from memory while it is there, else from the history.

use std::sync::Arc;

use api::error::{Error, ErrorCode};

use crate::Result;
use crate::core::Shared;
use crate::lines::from_block;
use crate::logs::Batch;
use crate::pool::SessionNo;
use crate::session::{Session, lock};

/// How much is read from the history at a time, in bytes.
const CHUNK: usize = 1 << 20;

/// What every session's id begins with.
pub(crate) const ID_PREFIX: &str = "ses-";

/// A session wherever it is.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    /// It runs, or ended a short while ago.
    Live(Arc<Session>),
    /// It is in the history.
    Past(Box<store::history::Record>),
}

impl Found {
    pub(crate) fn no(&self) -> SessionNo {
        match self {
            Self::Live(session) => session.no,
            Self::Past(record) => record.no,
        }
    }

    pub(crate) fn info(&self) -> api::SessionInfo {
        match self {
            Self::Live(session) => session.info(),
            Self::Past(record) => record.info.clone(),
        }
    }

    /// The sequence number of the line that comes next, and whether none will come any more.
    pub(crate) fn next_seq(&self) -> (u64, bool) {
        match self {
            Self::Live(session) => {
                // The state first: a session that has ended prints nothing afterwards.
                let ended = session.state().is_final();
                (lock(&session.log).next_seq, ended)
            }
            Self::Past(record) => (record.info.log_next_seq, true),
        }
    }
}

/// Lines from a place of a log on.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// Batches in order; the first may begin before the place.
    pub(crate) batches: Vec<Arc<Batch>>,
    /// Lines from the place on that are no longer there.
    pub(crate) missed: u64,
}

impl Shared {
    /// Finds a session by its id or the beginning of it.
    pub(crate) async fn find(self: &Arc<Self>, id: &str) -> Result<Found> {
        let unknown = || Error::new(ErrorCode::SessionNotFound, format!("no session {id}"));
        let several = || {
            let message = format!("several sessions begin with {id}: give more of the id");
            Error::new(ErrorCode::SessionNotFound, message)
        };
        // What every id begins with is the beginning of none.
        if id.len() <= ID_PREFIX.len() {
            return Err(unknown());
        }
        let mut live = None;
        {
            let core = lock(&self.core);
            if let Some(session) = core.ids.get(id).and_then(|no| core.sessions.get(no)) {
                return Ok(Found::Live(Arc::clone(session)));
            }
            for (known, no) in &core.ids {
                if known.starts_with(id) && live.replace(*no).is_some() {
                    return Err(several());
                }
            }
        }
        let (shared, wanted) = (Arc::clone(self), id.to_owned());
        let past = blocking(move || shared.history.get(&wanted)).await;
        match (live, past) {
            // The history's own word for several.
            (_, Err(error)) if error.code == ErrorCode::InvalidState => Err(several()),
            (Some(live), Ok(Some(record))) if record.no != live => Err(several()),
            (Some(live), past) => {
                let session = lock(&self.core).sessions.get(&live).cloned();
                match (session, past?) {
                    (Some(session), _) => Ok(Found::Live(session)),
                    (None, Some(record)) => Ok(Found::Past(Box::new(record))),
                    (None, None) => Err(unknown()),
                }
            }
            (None, past) => past?.map(|record| Found::Past(Box::new(record))).ok_or_else(unknown),
        }
    }

    /// Lines of a session from `seq` on: at least one if there is one.
    pub(crate) async fn read_log(self: &Arc<Self>, found: &Found, seq: u64) -> Result<Chunk> {
        let (next, _) = found.next_seq();
        if seq >= next {
            return Ok(Chunk::default());
        }
        if let Found::Live(session) = found
            && let Some(batches) = lock(&session.log).ring.from(seq)
        {
            return Ok(Chunk { batches, missed: 0 });
        }
        let mut blocks = self.read_blocks(found.no(), seq).await?;
        if blocks.first().is_none_or(|block| block.first_seq > seq) {
            // Perhaps it is only on its way.
            self.flush_history().await;
            blocks = self.read_blocks(found.no(), seq).await?;
        }
        let mut batches: Vec<Arc<Batch>> =
            blocks.into_iter().map(|block| Arc::new(from_block(block))).collect();
        if batches.is_empty()
            && let Found::Live(session) = found
        {
            // The history keeps none of it (its disk is full): what memory has is all there is.
            let log = lock(&session.log);
            batches = log.ring.first_seq().and_then(|first| log.ring.from(first)).unwrap_or_default();
        }
        let first = batches.first().map_or(next, |batch| batch.first_seq);
        Ok(Chunk { batches, missed: first.saturating_sub(seq) })
    }

    async fn read_blocks(self: &Arc<Self>, no: SessionNo, seq: u64) -> Result<Vec<store::history::Block>> {
        let shared = Arc::clone(self);
        blocking(move || shared.history.blocks(no, seq, CHUNK)).await
    }
}

/// Runs what touches the disk on a thread that may wait.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::new(ErrorCode::Internal, format!("a thread of the server failed: {error}")))?
}
