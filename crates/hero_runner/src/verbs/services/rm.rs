//! `hero_runner services rm`.

use api::method::ServiceRemoveMethod;
use api::service::ServiceRef;
use futures_util::future::join_all;
use serde_json::json;

use crate::{Context, failure};

pub(super) async fn run(context: &Context, names: &[String]) -> anyhow::Result<u8> {
    // All at once: each may take the time that its requests and its end take.
    let calls = names.iter().map(|name| async move {
        (name, context.client.call::<ServiceRemoveMethod>(ServiceRef { name: name.clone() }).await)
    });
    let mut removed = Vec::new();
    let mut code = 0;
    for (name, result) in join_all(calls).await {
        match result {
            Ok(_) => removed.push(name),
            Err(error) => {
                let error = anyhow::Error::new(error).context(format!("cannot remove service {name}"));
                code = failure::report(&context.console, &error, 1);
            }
        }
    }
    if context.console.json {
        context.console.json(&json!({ "removed": removed }))?;
    } else {
        for name in removed {
            context.console.say(name)?;
        }
    }
    Ok(code)
}
