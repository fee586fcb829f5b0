#![allow(missing_docs, missing_debug_implementations)]
//! PLACEHOLDER until the gateway itself lands here: only its contract.
use std::{io, net::SocketAddr, path::{Path, PathBuf}, sync::Arc, time::Duration, future::Future};
use bytes::Bytes; use futures_util::{Stream, future::BoxFuture}; use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, combinators::BoxBody};
#[derive(Debug, Clone)] pub struct Settings { pub tcp: Option<SocketAddr>, pub unix: Option<PathBuf>, pub max_connections: usize, pub head_timeout: Duration, pub body_timeout: Duration, pub idle_timeout: Duration, pub response_timeout: Duration, pub max_head_bytes: usize, pub max_body_bytes: u64, pub panel: Option<PathBuf>, pub hosts: Vec<String> }
#[derive(Debug, Clone, Default)] pub struct Routes;
impl Routes { pub fn set(&self, _: &str, _: Arc<dyn Target>) {} pub fn remove(&self, _: &str) {} }
pub trait Target: Send + Sync + 'static { fn name(&self) -> &str; fn admit(&self) -> Admission; }
pub enum Admission { Now(Result<Backend, Refusal>), Later(BoxFuture<'static, Result<Backend, Refusal>>) }
pub enum Backend { Http { address: Address, lease: Lease }, Handler(Arc<dyn Respond>) }
#[derive(Clone, PartialEq, Eq, Hash, Debug)] pub enum Address { Unix(Arc<Path>), Tcp(SocketAddr) }
pub type Lease = Box<dyn Send + Sync>;
#[derive(Debug)] pub struct Refusal { pub status: StatusCode, pub reason: String, pub retry_after: Option<Duration> }
pub trait Respond: Send + Sync + 'static { fn respond(&self, call: Call) -> BoxFuture<'static, Result<Response<Body>, Refusal>>; }
#[derive(Debug)] pub struct Call { pub request: Request<Body>, pub prefix: String, pub rest: String, pub peer: Option<SocketAddr>, pub https: bool }
pub type Body = BoxBody<Bytes, io::Error>;
/// A body of what a stream brings.
pub fn body(stream: impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static) -> Body { http_body_util::StreamBody::new(futures_util::StreamExt::map(stream, |part| part.map(hyper::body::Frame::data))).boxed() }
#[derive(Debug)] pub struct Gateway;
impl Gateway { pub async fn bind(_: Settings, _: Routes) -> io::Result<Self> { Ok(Self) } pub fn tcp_address(&self) -> Option<SocketAddr> { None } pub async fn serve(self, stop: impl Future<Output = ()>) { stop.await } }
