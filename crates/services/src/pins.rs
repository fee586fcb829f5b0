//! The modules of versions: registered under names of their own, so that they stay as long as a version needs them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use api::error::{Error, ErrorCode};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::upload::blocking;
use crate::versions::failed;
use crate::{Inner, Result};

/// What the name of a version's module begins with; digits of its digest follow, as many as there is room for.
const PREFIX: &str = "deployed-";
const DIGITS: usize = 64 - PREFIX.len();
/// How much of a file is read at a time.
const CHUNK: usize = 1 << 20;

fn name_of(digest: &str) -> String {
    let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
    format!("{PREFIX}{}", &digits[..DIGITS.min(digits.len())])
}

/// Registers files as modules, each checked and compiled like any other one; their digests with the files' names.
///
/// # Errors
/// `module_load` with the file's name for what no engine here loads, or was compiled elsewhere.
pub(crate) async fn pin_all(
    inner: &Inner,
    files: &BTreeMap<String, PathBuf>,
) -> Result<BTreeMap<String, String>> {
    let mut modules = BTreeMap::new();
    for (file, path) in files {
        let digest = pin(inner, path).await.map_err(|error| match error.code {
            ErrorCode::ModuleInvalid | ErrorCode::ModuleUnsupported | ErrorCode::ModuleImportMissing => {
                Error::new(ErrorCode::ModuleLoad, format!("{file}: {}", error.message))
            }
            code => Error::new(code, format!("{file}: {}", error.message)),
        })?;
        modules.insert(digest, file.clone());
    }
    Ok(modules)
}

async fn pin(inner: &Inner, path: &Path) -> Result<String> {
    let place = path.to_owned();
    let digest = blocking(move || {
        let mut file = File::open(&place).map_err(|error| failed(&place, &error))?;
        let mut hasher = Sha256::new();
        std::io::copy(&mut file, &mut hasher).map_err(|error| failed(&place, &error))?;
        Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    })
    .await?;
    let name = name_of(&digest);
    let known = inner.supervisor.module_get(&name).await;
    if known.is_ok_and(|detail| detail.info.digest == format!("sha256:{digest}")) {
        return Ok(format!("sha256:{digest}"));
    }
    let place = path.to_owned();
    let mut file = File::open(path).map_err(|error| failed(path, &error))?;
    let mut upload = inner.supervisor.module_upload(Some(&name), Some(digest)).await?;
    loop {
        let place = place.clone();
        let (back, piece) = blocking(move || {
            let mut piece = Vec::with_capacity(CHUNK);
            let read = Read::by_ref(&mut file).take(CHUNK as u64).read_to_end(&mut piece);
            read.map_err(|error| failed(&place, &error))?;
            Ok((file, piece))
        })
        .await?;
        file = back;
        if piece.is_empty() {
            break;
        }
        upload.write(Bytes::from(piece)).await?;
    }
    Ok(upload.finish().await?.info.digest)
}

/// Registers the modules of a version again, should they be gone.
pub(crate) async fn pin_version(inner: &Inner, name: &str, version: u64) -> Result<()> {
    let records = inner.versions.list(name).into_iter();
    let Some(record) = records.into_iter().find(|record| record.version.version == version) else {
        return Ok(());
    };
    let path = |file: &String| (file.clone(), inner.versions.file(name, version, file));
    pin_all(inner, &record.modules.values().map(path).collect()).await.map(drop)
}

/// Lets go of the modules that no version needs any more; what still runs is let go of another time.
pub(crate) async fn unpin(inner: &Inner) {
    let versions = inner.versions.clone();
    let needed = blocking(move || {
        let digests = versions.all().into_iter().flat_map(|record| record.modules.into_keys());
        Ok(digests.map(|digest| name_of(&digest)).collect::<BTreeSet<String>>())
    });
    let (Ok(needed), Ok(list)) = (needed.await, inner.supervisor.module_list().await) else { return };
    let own = |name: &str, digest: &str| name.starts_with(PREFIX) && name == name_of(digest);
    for module in list.modules.iter().filter(|module| own(&module.name, &module.digest)) {
        if !needed.contains(&module.name)
            && let Err(error) = inner.supervisor.module_remove(&module.name).await
        {
            tracing::debug!(module = module.name, %error, "a module of an old version stays for now");
        }
    }
}
