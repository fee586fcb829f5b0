//! `hero_runner services start`.

use api::method::ServiceStartMethod;

use super::each;
use crate::Context;

pub(super) async fn run(context: &Context, names: &[String]) -> anyhow::Result<u8> {
    each::<ServiceStartMethod>(context, "start", names).await
}
