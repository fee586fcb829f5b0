//! Packages of tests: made in memory, uploaded by hand.

use std::io::Write;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::door::Door;
use crate::http::{Reply, Request};
use crate::patience::patience;
use crate::places;
use crate::server::Server;
use crate::services::spec;

/// A tar with these files.
///
/// # Panics
/// When a name does not fit.
#[must_use]
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        archive.append(&header, *content).expect("memory takes it");
    }
    archive.into_inner().expect("memory takes it")
}

/// Compressed by gzip.
///
/// # Panics
/// Never: memory takes it.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(bytes).expect("memory takes it");
    gzip.finish().expect("memory takes it")
}

/// A zip with these files.
///
/// # Panics
/// When a name is there twice.
#[must_use]
pub fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, content) in files {
        archive.start_file(*name, options).expect("memory takes it");
        archive.write_all(content).expect("memory takes it");
    }
    archive.finish().expect("memory takes it").into_inner()
}

/// The manifest of a service of this name, under a prefix of the same name: `service` are keys of its `service.json`, `rest`
/// are keys of the manifest. JSON is YAML too.
///
/// # Panics
/// When the rest is no object.
#[must_use]
pub fn manifest(name: &str, service: Value, rest: Value) -> String {
    let mut manifest = json!({ "name": name, "entrypoint": "app.wasm", "service": spec(name, service) });
    for (key, value) in rest.as_object().expect("a manifest is an object") {
        manifest[key] = value.clone();
    }
    manifest.to_string()
}

/// The bytes of a guest.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn guest(name: &str) -> Vec<u8> {
    std::fs::read(places::guest(name)).expect("a guest can be read")
}

/// A package of a guest, as a tar.gz.
#[must_use]
pub fn package(name: &str, guest_name: &str, service: Value, rest: Value) -> Vec<u8> {
    let manifest = manifest(name, service, rest);
    gzip(&tar(&[("app.qyv", manifest.as_bytes()), ("app.wasm", &guest(guest_name))]))
}

/// The SHA-256 in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Uploads a package somewhere.
///
/// # Panics
/// When there is no reply.
#[must_use]
pub fn upload(door: &Door, path: &str, headers: &[(&str, &str)], package: &[u8]) -> Reply {
    let deadline = patience() * 2;
    let reply = Request { method: "POST", path, headers, body: package }.send_to(door, deadline);
    reply.unwrap_or_else(|error| panic!("POST {path} has no reply from {door:?}: {error}"))
}

impl Server {
    /// Uploads a package on the server's own socket.
    ///
    /// # Panics
    /// When there is no reply.
    #[must_use]
    pub fn upload_package(&self, package: &[u8]) -> Reply {
        upload(&Door::Unix(self.socket()), "/upload", &[("content-type", "application/gzip")], package)
    }

    /// Uploads a package that is to become a version that serves.
    ///
    /// # Panics
    /// When it does not.
    pub fn deploy(&self, package: &[u8]) -> Value {
        let reply = self.upload_package(package);
        let status = reply.status;
        let body = reply.json();
        assert_eq!(status, 201, "{body:#}");
        body
    }

    /// Uploads a package that is to be refused with this status; the stable name of the error, and its message.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn refused_package(&self, status: u16, package: &[u8]) -> (String, String) {
        let reply = self.upload_package(package);
        let got = reply.status;
        let body = reply.json();
        assert_eq!(got, status, "{body:#}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&body["data"]["code_name"]), text(&body["message"]))
    }

    /// The numbers of a service's versions that are kept, newest first, and the one that serves.
    ///
    /// # Panics
    /// When there is no such service.
    #[must_use]
    pub fn versions(&self, name: &str) -> (Vec<u64>, Option<u64>) {
        let list = self.call("service_versions", json!({ "name": name }))["versions"].take();
        let list: Vec<Value> = serde_json::from_value(list).unwrap_or_default();
        let current = list.iter().find(|one| one["current"] == true).and_then(|one| one["version"].as_u64());
        (list.iter().filter_map(|one| one["version"].as_u64()).collect(), current)
    }

    /// What lies in the folder of versions, hidden files too, in order.
    #[must_use]
    pub fn version_files(&self, below: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.state_dir().join("versions").join(below));
        let entries = entries.into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}
