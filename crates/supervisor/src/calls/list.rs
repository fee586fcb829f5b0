//! `session_list` and `session_get`

use std::collections::BTreeMap;
use std::sync::Arc;

use api::SessionInfo;
use api::error::{Error, ErrorCode};
use api::session::{SessionList, SessionPage};
use store::history::read::Filter;

use crate::pool::SessionNo;
use crate::session::lock;
use crate::{Result, Supervisor};

/// Sessions of a page, by default and at most.
const PAGE: (u32, u32) = (100, 1000);

fn passes(filter: &Filter, info: &SessionInfo) -> bool {
    let label = |wanted: &String| match wanted.split_once('=') {
        Some((name, value)) => info.labels.get(name).is_some_and(|found| found == value),
        None => info.labels.contains_key(wanted),
    };
    filter.state.is_none_or(|state| info.state == state)
        && filter.module.as_ref().is_none_or(|module| *module == info.module || *module == info.digest)
        && filter.label.as_ref().is_none_or(label)
}

impl Supervisor {
    /// Lists sessions, newest first.
    ///
    /// # Errors
    /// When the cursor is none of ours, or the history cannot be read.
    pub async fn session_list(&self, request: SessionList) -> Result<SessionPage> {
        let limit = request.limit.unwrap_or(PAGE.0).clamp(1, PAGE.1);
        let before: Option<SessionNo> = match &request.cursor {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                Error::new(
                    ErrorCode::InvalidParams,
                    format!("cursor: {text:?} is not from a page of this list"),
                )
            })?),
        };
        let filter = Filter { state: request.state, module: request.module, label: request.label };
        // Memory is newer than the history: what is in both counts as memory has it.
        let live: Vec<_> = {
            let core = lock(&self.shared.core);
            let range = ..before.unwrap_or(SessionNo::MAX);
            core.sessions.range(range).rev().map(|(no, found)| (*no, Arc::clone(found))).collect()
        };
        let mut found: BTreeMap<SessionNo, SessionInfo> = BTreeMap::new();
        let mut known = std::collections::HashSet::new();
        for (no, session) in live {
            known.insert(no);
            if found.len() <= limit as usize {
                let info = session.info();
                if passes(&filter, &info) {
                    found.insert(no, info);
                }
            }
        }
        let shared = Arc::clone(&self.shared);
        // What is in memory may come back from the history as well, perhaps in an older state. The history is asked
        // always: of two sessions, the one that began later may have left memory earlier.
        let wanted = limit + 1 + u32::try_from(known.len()).unwrap_or(PAGE.1);
        let past = crate::read::blocking(move || shared.history.list(&filter, before, wanted)).await?;
        for record in past {
            if !known.contains(&record.no) {
                found.insert(record.no, record.info);
            }
        }
        let mut rows = found.into_iter().rev();
        let page: Vec<(SessionNo, SessionInfo)> = rows.by_ref().take(limit as usize).collect();
        let next = rows.next().and(page.last()).map(|(no, _)| no.to_string());
        // A value may be large; session_get has it.
        let sessions = page.into_iter().map(|(_, info)| SessionInfo { value: None, ..info }).collect();
        Ok(SessionPage { sessions, next })
    }

    /// Shows one session.
    ///
    /// # Errors
    /// When there is no such session.
    pub async fn session_get(&self, session_id: &str) -> Result<SessionInfo> {
        Ok(self.shared.find(session_id).await?.info())
    }
}
