//! `hero_runner settings`.

use api::admin::Setting;
use api::method::{NoParams, ServerSettingsMethod};
use serde_json::Value;

use crate::Context;
use crate::table::Table;

pub(crate) async fn run(context: &Context) -> anyhow::Result<u8> {
    let found = context.client.call::<ServerSettingsMethod>(NoParams {}).await?;
    if context.console.json {
        context.console.json(&found)?;
        return Ok(0);
    }
    let mut table = Table::new(&["SETTING", "VALUE", "FROM"]);
    for setting in &found.settings {
        table.row([setting.key.clone(), value(&setting.value), origin(setting)]);
    }
    context.console.print(&table.render(&context.console))?;
    match found.config_file {
        Some(file) => context.console.note(&format!("the file with settings is {file}")),
        None => context.console.note("there is no file with settings"),
    }
    Ok(0)
}

fn value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(self::value).collect::<Vec<_>>().join(":"),
        other => other.to_string(),
    }
}

fn origin(setting: &Setting) -> String {
    match &setting.origin {
        Some(origin) => format!("{} {origin}", setting.source.name()),
        None => setting.source.name().to_owned(),
    }
}
