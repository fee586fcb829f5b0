//! `hero_runner schedules resume`.

use api::method::ScheduleResumeMethod;

use super::change;
use crate::Context;

pub(super) async fn run(context: &Context, id: String) -> anyhow::Result<u8> {
    change::<ScheduleResumeMethod>(context, id).await
}
