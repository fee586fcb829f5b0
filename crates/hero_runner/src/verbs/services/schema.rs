//! `hero_runner services schema`.

use crate::Context;
use crate::verbs::schema;

pub(super) fn run(context: &Context) -> anyhow::Result<u8> {
    context.console.json(&schema::service())?;
    Ok(0)
}
