//! `hero_runner services check`.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::declaration::{self, Fault};
use crate::{Context, text};

pub(super) fn run(context: &Context, files: &[PathBuf]) -> anyhow::Result<u8> {
    let found: Vec<(&Path, Option<Fault>)> =
        files.iter().map(|file| (file.as_path(), declaration::read(file).err())).collect();
    if context.console.json {
        let told: Vec<_> = found.iter().map(|(file, fault)| as_json(file, fault.as_ref())).collect();
        context.console.json(&told)?;
    } else {
        for (file, fault) in &found {
            let told = match fault {
                None => "ok".to_owned(),
                Some(fault) => fault.to_string(),
            };
            let line = text::plain(&format!("{}: {told}", file.display()));
            match fault {
                None => context.console.say(&line)?,
                Some(_) => context.console.print(&format!("{line}\n"))?,
            }
        }
    }
    Ok(u8::from(found.iter().any(|(_, fault)| fault.is_some())))
}

fn as_json(file: &Path, fault: Option<&Fault>) -> serde_json::Value {
    let (key, reason) = (fault.and_then(|fault| fault.key.as_ref()), fault.map(|fault| &fault.reason));
    json!({ "file": file, "ok": fault.is_none(), "key": key, "reason": reason })
}
