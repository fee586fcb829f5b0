//! `hero_runner services stop`.

use api::method::ServiceStopMethod;

use super::each;
use crate::Context;

pub(super) async fn run(context: &Context, names: &[String]) -> anyhow::Result<u8> {
    each::<ServiceStopMethod>(context, "stop", names).await
}
