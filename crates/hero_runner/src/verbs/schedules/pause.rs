//! `hero_runner schedules pause`.

use api::method::SchedulePauseMethod;

use super::change;
use crate::Context;

pub(super) async fn run(context: &Context, id: String) -> anyhow::Result<u8> {
    change::<SchedulePauseMethod>(context, id).await
}
