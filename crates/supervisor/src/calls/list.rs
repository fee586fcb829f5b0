//! `session_list` and `session_get`

use std::collections::BTreeMap;
use std::sync::Arc;

use api::SessionInfo;
use api::error::{Error, ErrorCode};
use api::session::{SessionList, SessionPage};
use store::history::read::Filter;

use crate::core::Shared;
use crate::pool::SessionNo;
use crate::proc::{cpu_us, max_rss_kb};
use crate::read::blocking;
use crate::session::lock;
use crate::{Result, Supervisor};

/// Sessions of a page, by default and at most.
const PAGE: (u32, u32) = (100, 1000);

/// The longest text that is searched for, in characters.
const MAX_SEARCH: usize = 256;

/// Whether a session is one of those that are looked for; the history has the same rules in SQL.
pub(super) fn passes(filter: &Filter, info: &SessionInfo) -> bool {
    let label = |wanted: &String| match wanted.split_once('=') {
        Some((name, value)) => info.labels.get(name).is_some_and(|found| found == value),
        None => info.labels.contains_key(wanted),
    };
    filter.state.is_none_or(|state| info.state == state)
        && filter.module.as_ref().is_none_or(|module| *module == info.module || *module == info.digest)
        && filter.label.as_ref().is_none_or(label)
        && filter.search.as_ref().is_none_or(|text| has(info, text))
}

/// Whether a session has this text where it is searched for.
fn has(info: &SessionInfo, text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let mut places = [&info.session_id, &info.module]
        .into_iter()
        .chain(&info.template)
        .chain(&info.args)
        .chain(info.labels.values());
    places.any(|place| place.to_ascii_lowercase().contains(&text))
}

impl Supervisor {
    /// Lists sessions, newest first.
    ///
    /// # Errors
    /// When the cursor is none of ours, the text too long, or the history cannot be read.
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
        if request.search.as_ref().is_some_and(|text| text.chars().count() > MAX_SEARCH) {
            let message = format!("search: the text is longer than {MAX_SEARCH} characters");
            return Err(Error::new(ErrorCode::InvalidParams, message));
        }
        let filter = Filter {
            state: request.state,
            module: request.module,
            label: request.label,
            search: request.search.filter(|text| !text.is_empty()),
        };
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
        let past = blocking(move || shared.history.list(&filter, before, wanted)).await?;
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
        let sessions = if request.usage { self.shared.with_usage(sessions).await? } else { sessions };
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

impl Shared {
    /// Asks the kernel what those that run have used so far.
    async fn with_usage(&self, mut sessions: Vec<SessionInfo>) -> Result<Vec<SessionInfo>> {
        let pids: Vec<Option<u32>> = sessions.iter().map(|info| info.child_pid).collect();
        let read = |pid: Option<u32>| pid.map(|pid| (cpu_us(pid), max_rss_kb(pid)));
        let usage = blocking(move || Ok(pids.into_iter().map(read).collect::<Vec<_>>())).await?;
        let core = lock(&self.core);
        for (info, usage) in sessions.iter_mut().zip(usage) {
            let session = core.ids.get(&info.session_id).and_then(|no| core.sessions.get(no));
            let pid = session.and_then(|session| lock(&session.info).child_pid);
            // Whose process is gone by now may have been read after another one got its number.
            if let Some((cpu, rss)) = usage.filter(|_| pid == info.child_pid) {
                (info.cpu_ms, info.max_rss_kb) = (cpu.map(|us| us / 1000), rss);
            }
        }
        Ok(sessions)
    }
}
