//! `hero_runner services rollback`.

use anyhow::Context as _;
use api::method::ServiceRollbackMethod;
use api::service::ServiceRollback;

use super::line;
use crate::Context;

pub(super) async fn run(context: &Context, name: String, version: Option<u64>) -> anyhow::Result<u8> {
    let request = ServiceRollback { name: name.clone(), version };
    let detail = context.client.call::<ServiceRollbackMethod>(request).await;
    let detail = detail.with_context(|| format!("cannot roll back service {name}"))?;
    if context.console.json {
        context.console.json(&detail)?;
    } else {
        let version =
            detail.service.version.map(|version| format!(", version {version}")).unwrap_or_default();
        context.console.say(&format!("{}{version}", line(&detail.service)))?;
    }
    Ok(0)
}
