//! `hero_runner templates`.

mod create;
mod list;
pub(super) mod shape;
mod show;
pub(super) mod warm;

use api::method::TemplateRemoveMethod;
use api::template::{TemplateRef, TemplateState};
use clap::Subcommand;
use serde_json::json;

use crate::{Context, failure};

/// List, show, create and remove templates.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the templates, those that the server made by itself included
    List,
    /// Show everything about one template
    Show {
        /// Its name
        name: String,
    },
    /// Keep a module warm under a name, so that its sessions start by a fork
    Create(create::Args),
    /// Remove templates; their sessions run on to their end
    Rm {
        /// Their names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<u8> {
    match args.verb.unwrap_or(Verb::List) {
        Verb::List => list::run(context).await,
        Verb::Show { name } => show::run(context, name).await,
        Verb::Create(args) => create::run(context, args).await,
        Verb::Rm { names } => remove(context, &names, "template").await,
    }
}

/// Removes what can be removed, and tells of the rest.
pub(super) async fn remove(context: &Context, names: &[String], what: &str) -> anyhow::Result<u8> {
    let mut removed = Vec::new();
    let mut code = 0;
    for name in names {
        match context.client.call::<TemplateRemoveMethod>(TemplateRef { name: name.clone() }).await {
            Ok(_) => removed.push(name),
            Err(error) => {
                let error = anyhow::Error::new(error).context(format!("cannot remove {what} {name}"));
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

/// Where a template stands, in a word.
pub(super) fn state(state: TemplateState) -> &'static str {
    match state {
        TemplateState::Warming => "warming",
        TemplateState::Warm => "warm",
        TemplateState::Idle => "idle",
        TemplateState::Failed => "failed",
    }
}
