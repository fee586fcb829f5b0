//! Lists that come page by page.

use api::method::SessionListMethod;
use api::session::{SessionInfo, SessionList};

/// The most that the server puts on a page.
const PAGE_MAX: u32 = 1000;

/// More sessions of one service than come between two looks.
pub(crate) const MANY: usize = 100;

/// The newest sessions of a service, newest first, at most `limit` of them: the server labels them with its name.
pub(crate) async fn sessions_of(
    client: &client::Client,
    service: &str,
    limit: usize,
) -> client::Result<Vec<SessionInfo>> {
    let filter = SessionList { label: Some(format!("service={service}")), ..SessionList::default() };
    Ok(sessions(client, &filter, limit).await?.0)
}

/// Sessions, newest first, at most `limit` of them; and whether there are more.
pub(crate) async fn sessions(
    client: &client::Client,
    filter: &SessionList,
    limit: usize,
) -> client::Result<(Vec<SessionInfo>, bool)> {
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let wanted = u32::try_from(limit - all.len()).unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
        let request = SessionList { limit: Some(wanted), cursor, ..filter.clone() };
        let mut page = client.call::<SessionListMethod>(request).await?;
        all.append(&mut page.sessions);
        cursor = page.next;
        if cursor.is_none() || all.len() >= limit {
            return Ok((all, cursor.is_some()));
        }
    }
}
