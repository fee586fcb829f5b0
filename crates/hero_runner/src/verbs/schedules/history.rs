//! `hero_runner schedules history`.

use api::method::ScheduleListMethod;
use api::schedule::{ScheduleQuery, ScheduleRun};

use super::result;
use crate::failure::advise;
use crate::table::Table;
use crate::{Context, text};

/// The most that the server keeps.
const CALLS: u32 = 50;
/// How much of a body is shown, in characters.
const SHOWN: usize = 60;

pub(super) async fn run(context: &Context, id: String) -> anyhow::Result<u8> {
    let service = id.split('/').next().map(str::to_owned);
    let request = ScheduleQuery { service, history: Some(CALLS) };
    let mut list = context.client.call::<ScheduleListMethod>(request).await?;
    if !list.schedules.iter().any(|schedule| schedule.id == id) {
        return Err(advise(format!("no schedule has the id {id}"), "`hero_runner schedules` shows them"));
    }
    let calls = list.history.remove(&id).unwrap_or_default();
    if context.console.json {
        context.console.json(&calls)?;
    } else {
        context.console.print(&table(&calls).render(&context.console))?;
    }
    Ok(0)
}

fn table(calls: &[ScheduleRun]) -> Table {
    let mut table = Table::new(&["AT", "RESULT", "WHY", "ANSWER"]);
    for call in calls {
        let line = call.body_head.lines().next().unwrap_or_default();
        table.row([
            text::timestamp(call.at),
            result(call),
            if call.manual { "by hand" } else { "by the clock" }.to_owned(),
            call.error.clone().unwrap_or_else(|| line.chars().take(SHOWN).collect()),
        ]);
    }
    table
}
