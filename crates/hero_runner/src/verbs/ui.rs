//! `hero_runner ui`.

use serde_json::json;

use crate::Context;
use crate::failure::advise;
use crate::lifecycle::{Probe, ui};

pub(crate) async fn run(context: &Context) -> anyhow::Result<u8> {
    let client = ui::client(context);
    let why = match ui::look(&client).await {
        Probe::Answers(_) => None,
        Probe::Missing | Probe::Stale => Some("it does not run".to_owned()),
        Probe::Silent(why) => Some(why),
    };
    if let Some(why) = why {
        let socket = client.socket().display();
        return Err(advise(
            format!("the dashboard does not answer on {socket}: {why}"),
            "start it with `hero_runner --start`",
        ));
    }
    let Some(url) = ui::url(&client) else {
        let [why, hint] = ui::CLOSED;
        return Err(advise(why, hint));
    };
    if context.console.json {
        context.console.json(&json!({ "url": url, "address": ui::address(&url) }))?;
    } else {
        context.console.print(&format!("{url}\n"))?;
    }
    Ok(0)
}
