//! `hero_runner services reload`.

use api::method::ServiceReloadMethod;
use api::service::ServiceReload;

use super::list;
use crate::Context;

pub(super) async fn run(context: &Context, name: Option<String>) -> anyhow::Result<u8> {
    let list = context.client.call::<ServiceReloadMethod>(ServiceReload { name }).await?;
    list::print(context, &list)?;
    // A file that was not taken is not what was asked for.
    Ok(u8::from(!list.problems.is_empty()))
}
