//! `hero_runner schedules run`.

use api::method::ScheduleRunNowMethod;
use api::schedule::ScheduleRef;

use super::result;
use crate::failure::advise;
use crate::{Context, text};

pub(super) async fn run(context: &Context, id: String) -> anyhow::Result<u8> {
    let run = context.client.call::<ScheduleRunNowMethod>(ScheduleRef { id: id.clone() }).await?;
    let good = run.error.is_none() && run.status.is_some_and(|status| status < 400);
    if context.console.json {
        context.console.json(&run)?;
        return Ok(u8::from(!good));
    }
    if let Some(error) = &run.error {
        let hint = format!("`hero_runner schedules history {id}` shows the calls before");
        return Err(advise(text::plain(&format!("{id}: {}: {error}", result(&run))), hint));
    }
    context.console.say(&format!("{id} {}", result(&run)))?;
    if !run.body_head.is_empty() {
        // Its lines are its own; what else could drive a terminal is made plain.
        let lines: Vec<String> = run.body_head.lines().map(text::plain).collect();
        context.console.print(&(lines.join("\n") + "\n"))?;
    }
    Ok(u8::from(!good))
}
