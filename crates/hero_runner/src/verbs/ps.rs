//! `hero_runner ps`.

use api::SessionState;
use api::session::{SessionInfo, SessionList};
use clap::ValueEnum;

use crate::table::Table;
use crate::{Context, pages, text};

/// How many sessions are shown unless told otherwise.
const ROWS: usize = 100;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Pending,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl From<State> for SessionState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Running => Self::Running,
            State::Succeeded => Self::Succeeded,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
        }
    }
}

/// List sessions.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also those that ended
    #[arg(short, long)]
    all: bool,
    /// Only those in this state
    #[arg(long, conflicts_with = "all")]
    state: Option<State>,
    /// Only those with this label
    #[arg(long, value_name = "NAME[=VALUE]")]
    label: Option<String>,
    /// At most this many, the newest [default: 100]
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<usize>,
}

pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<u8> {
    let states: Vec<Option<SessionState>> = match (args.all, args.state) {
        (true, _) => vec![None],
        (false, Some(state)) => vec![Some(state.into())],
        // What waits for a worker has not ended either.
        (false, None) => vec![Some(SessionState::Running), Some(SessionState::Pending)],
    };
    let limit = args.limit.unwrap_or(ROWS);
    let mut sessions = Vec::new();
    let mut more = false;
    for state in states {
        let filter = SessionList { state, label: args.label.clone(), ..SessionList::default() };
        let (mut page, rest) = pages::sessions(&context.client, &filter, limit).await?;
        sessions.append(&mut page);
        more |= rest;
    }
    sessions.sort_by_key(|session| std::cmp::Reverse(session.created_at));
    more |= sessions.len() > limit;
    sessions.truncate(limit);
    if context.console.json {
        context.console.json(&sessions)?;
    } else {
        context.console.print(&table(&sessions, text::now_ms()).render(&context.console))?;
    }
    // Who chose the number knows that there may be more.
    if more && args.limit.is_none() {
        context.console.note(&format!("there are more than these {}; `-n COUNT` shows them", sessions.len()));
    }
    Ok(0)
}

fn table(sessions: &[SessionInfo], now_ms: u64) -> Table {
    let mut table =
        Table::new(&["ID", "MODULE", "TEMPLATE", "START", "STATE", "AGE", "DURATION", "CPU", "MEM"]);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for session in sessions {
        table.row([
            session.session_id.clone(),
            text::module(&session.module),
            or_dash(session.template.as_deref().map(text::module)),
            or_dash(session.start.map(|start| text::start(start).to_owned())),
            text::state(session),
            text::ago(session.created_at, now_ms),
            or_dash(session.duration_ms.map(|duration| text::span(duration.micros))),
            or_dash(session.cpu_ms.map(|cpu| text::span(cpu.saturating_mul(1000)))),
            or_dash(session.max_rss_kb.map(text::kib)),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Console;
    use serde_json::json;

    fn session(more: &serde_json::Value) -> SessionInfo {
        let mut value = json!({
            "session_id": "ses-7f3a", "module": "hello", "digest": "sha256:00", "state": "running", "ready": false,
            "outcome": null, "child_pid": 1, "args": [], "labels": {}, "created_at": 0, "started_at": 1,
            "ended_at": null, "duration_ms": 1500.0, "cpu_ms": null, "max_rss_kb": null, "start": null, "mode": null,
            "limits": {}, "log_next_seq": 0, "log_dropped": 0,
        });
        for (name, field) in more.as_object().unwrap() {
            value[name] = field.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_row_tells_where_a_session_stands_or_how_it_ended() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let sessions = [
            session(&json!({})),
            session(&json!({ "ready": true, "module": digest, "start": "parked" })),
            session(&json!({
                "state": "failed", "outcome": { "kind": "exited", "code": 7 }, "cpu_ms": 12, "max_rss_kb": 2048,
                "created_at": 57_000, "module": "cpython", "template": "python", "start": "warm",
            })),
            session(
                &json!({ "state": "failed", "outcome": { "kind": "trapped", "trap": "unreachable", "message": "" } }),
            ),
            session(
                &json!({ "state": "failed", "outcome": { "kind": "memory_limit" }, "duration_ms": null }),
            ),
        ];
        let console = Console { json: false, quiet: false, color: false };
        let expected = "\
ID        MODULE                TEMPLATE  START   STATE             AGE     DURATION  CPU      MEM
ses-7f3a  hello                 -         -       running           1m ago  1.5 s     -        -
ses-7f3a  sha256:abababababab…  -         parked  ready             1m ago  1.5 s     -        -
ses-7f3a  cpython               python    warm    exit 7            3s ago  1.5 s     12.0 ms  2.0 MiB
ses-7f3a  hello                 -         -       trap unreachable  1m ago  1.5 s     -        -
ses-7f3a  hello                 -         -       memory limit      1m ago  -         -        -
";
        assert_eq!(table(&sessions, 60_000).render(&console), expected);
    }
}
