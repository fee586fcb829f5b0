//! `hero_runner services restart`.

use api::method::ServiceRestartMethod;

use super::each;
use crate::Context;

pub(super) async fn run(context: &Context, names: &[String]) -> anyhow::Result<u8> {
    each::<ServiceRestartMethod>(context, "restart", names).await
}
