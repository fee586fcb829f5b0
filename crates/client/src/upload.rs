//! Modules, streamed to `POST /modules`.

use std::path::Path;

use api::module::ModuleDetail;
use futures_util::TryStreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::header;
use percent_encoding::utf8_percent_encode;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use crate::call::{SEGMENT, finish, request, resource};
use crate::{Client, Error, Result};

/// Large enough that the cost of a system call does not show.
const CHUNK: usize = 128 << 10;

impl Client {
    /// Uploads a module, without holding it in memory: under a name, or by its content alone.
    ///
    /// `sha256` are the 64 hexadecimal digits of its digest, when they are known; the server then refuses
    /// bytes that differ. `length` is its size in bytes, when that is known.
    ///
    /// # Errors
    /// As for [`Client::call`]; a reader that fails ends as [`Error::Io`], and nothing is registered.
    pub async fn upload<R>(
        &self,
        name: Option<&str>,
        sha256: Option<&str>,
        length: Option<u64>,
        reader: R,
    ) -> Result<ModuleDetail>
    where
        R: AsyncRead + Send + 'static,
    {
        let path = name.map_or_else(
            || "/modules".to_owned(),
            |name| format!("/modules/{}", utf8_percent_encode(name, SEGMENT)),
        );
        let mut builder =
            request(hyper::Method::POST, &path).header(header::CONTENT_TYPE, "application/wasm");
        if let Some(sha256) = sha256 {
            builder = builder.header("x-sha256", sha256);
        }
        if let Some(length) = length {
            builder = builder.header(header::CONTENT_LENGTH, length);
        }
        let chunks = ReaderStream::with_capacity(reader, CHUNK).map_ok(Frame::data);
        let request = finish(builder, StreamBody::new(chunks).boxed_unsync())?;
        // A connection of its own: after a refusal half-way through it is of no use for anything else.
        let (_sender, response) = self.pool.open(request).await?;
        let (status, body) = self.pool.read(response).await?;
        resource(&format!("POST {path}"), status, &body)
    }

    /// Uploads a file.
    ///
    /// # Errors
    /// As for [`Client::upload`].
    pub async fn upload_file(
        &self,
        name: Option<&str>,
        sha256: Option<&str>,
        path: &Path,
    ) -> Result<ModuleDetail> {
        let fail = |source| Error::io(format!("cannot read {}", path.display()), source);
        let file = tokio::fs::File::open(path).await.map_err(fail)?;
        let length = file.metadata().await.map_err(fail)?.len();
        self.upload(name, sha256, Some(length), file).await
    }
}
