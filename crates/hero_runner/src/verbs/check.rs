//! `hero_runner check`.

use std::path::PathBuf;

use package::check::check;

use crate::cli::Format;
use crate::{Context, text};

/// Check a package: its manifest, and the modules that it names. No server is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A folder, or the manifest in it
    #[arg(value_name = "FOLDER|FILE.qyv", required_unless_present = "schema")]
    path: Option<PathBuf>,
    /// How the result is printed, like --output
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Print the JSON Schema of manifests instead
    #[arg(long, conflicts_with_all = ["path", "format"])]
    schema: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> anyhow::Result<u8> {
    let console = &context.console;
    let Some(path) = &args.path else {
        console.json(&super::schema::manifest())?;
        return Ok(0);
    };
    let checked = check(path);
    if args.format.map_or(console.json, |format| format == Format::Json) {
        console.json(&checked)?;
    } else if checked.ok {
        console.say("ok")?;
    } else {
        for fault in &checked.faults {
            console.print(&format!("{}\n", text::plain(&fault.to_string())))?;
        }
    }
    if args.format.unwrap_or_default() == Format::Text {
        checked.notes.iter().for_each(|note| console.note(&text::plain(note)));
    }
    Ok(u8::from(!checked.ok))
}
