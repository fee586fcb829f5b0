//! `hero_runner schedules list`.

use api::method::ScheduleListMethod;
use api::schedule::{ScheduleInfo, ScheduleQuery};

use super::{result, state};
use crate::table::Table;
use crate::{Context, text};

pub(super) async fn run(context: &Context, service: Option<String>) -> anyhow::Result<u8> {
    let request = ScheduleQuery { service, history: None };
    let schedules = context.client.call::<ScheduleListMethod>(request).await?.schedules;
    if context.console.json {
        context.console.json(&schedules)?;
    } else {
        context.console.print(&table(&schedules, text::now_ms()).render(&context.console))?;
    }
    Ok(0)
}

fn table(schedules: &[ScheduleInfo], now_ms: u64) -> Table {
    let mut table = Table::new(&["ID", "WHEN", "STATE", "LAST", "NEXT", "RUNS", "SKIPPED"]);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for schedule in schedules {
        let last = schedule.last_run.as_ref();
        table.row([
            schedule.id.clone(),
            schedule.when.clone(),
            state(schedule).to_owned(),
            or_dash(last.map(|run| format!("{}, {}", result(run), text::ago(run.at, now_ms)))),
            or_dash(schedule.next_at.map(|at| text::until(at, now_ms))),
            schedule.runs.to_string(),
            schedule.skipped.to_string(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Console;
    use serde_json::json;

    #[test]
    fn the_list_shows_the_last_call_and_the_next() {
        let run = |status: Option<u16>, ms: u64| json!({ "at": 2000, "status": status, "duration_ms": ms, "body_head": "", "error": null });
        let schedules = json!([
            {
                "id": "hello/tick", "service": "hello", "endpoint": "/tick", "method": "GET", "when": "every 60 s",
                "paused": false, "running": false, "next_at": 17_000, "last_run": run(Some(200), 0), "runs": 41, "skipped": 3,
            },
            {
                "id": "hello/night", "service": "hello", "endpoint": "/n", "method": "GET", "when": "0 3 * * *",
                "paused": true, "running": true, "next_at": null, "last_run": run(None, 12), "runs": 0, "skipped": 0,
            },
        ]);
        let schedules: Vec<ScheduleInfo> = serde_json::from_value(schedules).unwrap();
        let console = Console { json: false, quiet: false, color: false };
        let expected = "\
ID           WHEN        STATE            LAST                       NEXT    RUNS  SKIPPED
hello/tick   every 60 s  active           200 < 1 ms, 3s ago         in 12s  41    3
hello/night  0 3 * * *   paused, running  no answer 12.0 ms, 3s ago  -       0     0
";
        assert_eq!(table(&schedules, 5000).render(&console), expected);
    }
}
