//! Scripts, styles and icons: embedded into the program, under one hash, so that browsers keep them for ever.

use std::borrow::Cow;
use std::path::{Component, Path as FilePath, PathBuf};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};

use crate::app::Shared;

#[derive(RustEmbed)]
#[folder = "assets"]
struct Embedded;

/// What the bundle's hash is in addresses where the files come from a folder.
const LOOSE: &str = "dev";

/// Where the files come from.
#[derive(Debug, Clone)]
pub struct Assets {
    prefix: String,
    /// Instead of what is embedded.
    folder: Option<PathBuf>,
}

impl Default for Assets {
    fn default() -> Self {
        Self::embedded()
    }
}

impl Assets {
    /// Those that are part of the program.
    #[must_use]
    pub fn embedded() -> Self {
        let mut names: Vec<Cow<'static, str>> = Embedded::iter().collect();
        names.sort_unstable();
        let mut bundle = Sha256::new();
        for name in names {
            if let Some(file) = Embedded::get(&name) {
                bundle.update(name.as_bytes());
                bundle.update(file.metadata.sha256_hash());
            }
        }
        Self { prefix: format!("/assets/{}", hex(&bundle.finalize())), folder: None }
    }

    /// Those of a folder as they are at the moment of the request, for who works on them.
    #[must_use]
    pub fn of_folder(folder: PathBuf) -> Self {
        Self { prefix: format!("/assets/{LOOSE}"), folder: Some(folder) }
    }

    /// What stands before a file's name in its address: `/assets/HASH`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    fn get(&self, name: &str) -> Option<(Cow<'static, [u8]>, String)> {
        let Some(folder) = &self.folder else {
            let file = Embedded::get(name)?;
            return Some((file.data, hex(&file.metadata.sha256_hash())));
        };
        let inside = FilePath::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        let bytes = std::fs::read(folder.join(name)).ok().filter(|_| inside)?;
        let tag = hex(&Sha256::digest(&bytes));
        Some((bytes.into(), tag))
    }
}

/// The first 64 bits: another content has another one.
fn hex(digest: &[u8]) -> String {
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// `GET /assets/{hash}/{*name}`.
pub(crate) async fn show(
    State(app): State<Shared>,
    Path((bundle, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let assets = &app.assets;
    let Some((bytes, tag)) = assets.get(&name) else { return StatusCode::NOT_FOUND.into_response() };
    // A page of an earlier program may still ask for its own bundle: it gets what there is, for this once.
    let current = assets.prefix.ends_with(&format!("/{bundle}")) && assets.folder.is_none();
    let keep = if current { "public, max-age=31536000, immutable" } else { "no-cache" };
    let caching = [(header::ETAG, format!("\"{tag}\"")), (header::CACHE_CONTROL, keep.to_owned())];
    if headers.get_all(header::IF_NONE_MATCH).iter().any(|value| names(value.as_bytes(), &tag)) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(header::CONTENT_TYPE, media_type(&name))], bytes).into_response()
}

/// Whether a list of `If-None-Match` names this tag; it may have been made weak on the way, by compressing.
pub(crate) fn names(list: &[u8], tag: &str) -> bool {
    let is_it = |one: &[u8]| {
        let one = one.strip_prefix(b"W/").unwrap_or(one);
        one == b"*" || one.strip_prefix(b"\"").and_then(|one| one.strip_suffix(b"\"")) == Some(tag.as_bytes())
    };
    list.split(|byte| *byte == b',').any(|one| is_it(one.trim_ascii()))
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        Some("woff2") => "font/woff2",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list() {
        assert!(names(b"\"other\", W/\"abc\"", "abc") && names(b"*", "abc") && names(b"\"abc\"", "abc"));
        assert!(!names(b"\"other\"", "abc") && !names(b"", "abc") && !names(b"abc", "abc"));
    }

    #[test]
    fn nothing_outside_of_the_folder_is_served() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("in")).unwrap();
        std::fs::write(dir.path().join("secret.js"), "x").unwrap();
        std::fs::write(dir.path().join("in/app.js"), "y").unwrap();
        let assets = Assets::of_folder(dir.path().join("in"));
        assert_eq!(assets.get("app.js").unwrap().0.as_ref(), b"y");
        assert!(assets.get("../secret.js").is_none());
        assert!(assets.get(dir.path().join("secret.js").to_str().unwrap()).is_none());
        assert!(Assets::embedded().get("../Cargo.toml").is_none());
    }
}
