//! `hero_runner deploy`.

mod progress;
mod source;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use client::deploy::{Archive, Failure, Outcome, Target, deploy};
use serde_json::json;

use crate::failure::advise;
use crate::{Context, text};
use progress::Shown;

/// The first wait before another try, and the longest.
const WAIT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// Deploy a package as a new version of its service.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The package: its folder, its manifest (.qyv), or a ready-made .tar, .tar.gz or .zip
    manifest: PathBuf,
    /// Where: a server's socket, or the gateway of one, http://host:port; several with commas between, or by several --to,
    /// one after the other until one fails [default: the server of --socket]
    #[arg(long, value_name = "TARGET", value_delimiter = ',')]
    to: Vec<Target>,
    /// The name of the service, if it is not to be that of the manifest
    #[arg(long)]
    name: Option<String>,
    /// The gateway's token
    #[arg(long, env = "HERO_RUNNER_TOKEN", hide_env_values = true, conflicts_with = "token_file")]
    token: Option<String>,
    /// A file with the gateway's token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How often it is tried again when a target cannot be reached or is busy
    #[arg(long, value_name = "N", default_value_t = 5)]
    retries: u32,
    /// The largest package, in MiB as it is sent; the server has a limit of its own
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    max_package_mb: u32,
    /// The same as --output json
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(context: &Context, mut args: Args) -> anyhow::Result<u8> {
    let mut console = context.console;
    console.json |= args.json;
    let shown = Shown::new(&console);
    let packed = source::pack(&args.manifest, args.max_package_mb, args.name.take())?;
    shown.line(&format!("packed {}, sha256 {}", text::bytes(packed.size), &packed.sha256[..12]));
    let archive = Archive {
        path: packed.path.clone(),
        sha256: packed.sha256.clone(),
        media_type: packed.media_type.to_owned(),
        name: packed.name.clone(),
        token: token(&args)?,
    };
    if args.to.is_empty() {
        args.to.push(Target::Unix(context.client.socket().to_owned()));
    }
    let mut done = Vec::new();
    for target in &args.to {
        let outcome = one(&shown, target, &archive, args.retries).await;
        let outcome = outcome.with_context(|| {
            let rest = args.to.len() - done.len() - 1;
            let rest = if rest > 0 { format!(" (and not to the {rest} after it)") } else { String::new() };
            format!("cannot deploy {} to {target}{rest}", args.manifest.display())
        })?;
        if !console.json {
            console.say(&line(target, &outcome, args.to.len()))?;
        }
        done.push((target, outcome));
    }
    match done.as_slice() {
        _ if !console.json => {}
        [(_, outcome)] => console.json(&outcome.deployed)?,
        several => {
            let list: Vec<_> = several
                .iter()
                .map(
                    |(target, outcome)| json!({ "target": target.to_string(), "deployed": outcome.deployed }),
                )
                .collect();
            console.json(&list)?;
        }
    }
    Ok(0)
}

/// Tries until it works, until it makes no sense to, or until it was tried often enough.
async fn one(shown: &Shown, target: &Target, archive: &Archive, retries: u32) -> anyhow::Result<Outcome> {
    let mut wait = WAIT.0;
    let mut tried = 0;
    loop {
        let Failure { error, transient } = match deploy(target, archive, |step| shown.step(&step)).await {
            Ok(outcome) => return Ok(outcome),
            Err(failure) => failure,
        };
        shown.end();
        if !transient || tried >= retries {
            return Err(error.into());
        }
        tried += 1;
        shown.note(&format!(
            "{target}: {}; again in {} ms ({tried} of {retries})",
            error.summary(),
            wait.as_millis()
        ));
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(WAIT.1);
    }
}

fn token(args: &Args) -> anyhow::Result<Option<String>> {
    let text = match &args.token_file {
        None => args.token.clone(),
        Some(file) => {
            let text = std::fs::read_to_string(file);
            Some(text.with_context(|| format!("cannot read the token in {}", file.display()))?)
        }
    };
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    match text {
        Some(text) if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(advise("the token has characters that no token has", "a token is one word of visible ASCII"))
        }
        text => Ok(text),
    }
}

fn line(target: &Target, outcome: &Outcome, targets: usize) -> String {
    let (service, version) = (&outcome.deployed.service, &outcome.deployed.version);
    let what = if outcome.unchanged { "already deployed" } else { "deployed" };
    let url = service.url.as_ref().map(|url| format!(" {url}")).unwrap_or_default();
    let at = if targets > 1 { format!("{target}: ") } else { String::new() };
    text::plain(&format!("{at}{} {what}, version {}{url}", service.name, version.version))
}
