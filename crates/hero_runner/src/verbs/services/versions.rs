//! `hero_runner services versions`.

use api::method::ServiceVersionsMethod;
use api::service::ServiceRef;

use crate::table::Table;
use crate::{Context, text};

pub(super) async fn run(context: &Context, name: String) -> anyhow::Result<u8> {
    let versions = context.client.call::<ServiceVersionsMethod>(ServiceRef { name }).await?;
    if context.console.json {
        context.console.json(&versions)?;
        return Ok(0);
    }
    let mut table = Table::new(&["VERSION", "CURRENT", "LABEL", "DEPLOYED", "SIZE", "SHA256"]);
    let now = text::now_ms();
    for version in versions.versions {
        table.row([
            version.version.to_string(),
            if version.current { "yes" } else { "-" }.to_owned(),
            version.label.unwrap_or_else(|| "-".to_owned()),
            text::ago(version.deployed_at, now),
            text::bytes(version.size),
            version.sha256.chars().take(12).collect(),
        ]);
    }
    context.console.print(&table.render(&context.console))?;
    Ok(0)
}
