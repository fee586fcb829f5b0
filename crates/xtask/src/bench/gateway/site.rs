//! A server with two services: `hello`, which listens, and `cgi_echo`, a handler.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::bench::places;
use crate::bench::processes::Cpu;
use crate::bench::server::{Server, Setup};

/// Where the gateway serves `hello`.
pub(crate) const PREFIX: &str = "hello";

/// Where it serves the handler.
pub(crate) const HANDLER: &str = "/cgi/";

/// The server, and where its services are.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) server: Server,
    /// The gateway.
    pub(crate) gateway: SocketAddr,
    /// The service's own port.
    pub(crate) straight: SocketAddr,
    /// The Unix socket by which the gateway reaches the service.
    pub(crate) socket: PathBuf,
    /// The service's process.
    pub(crate) service: u32,
}

impl Site {
    /// Starts it, and waits until both services run what was compiled of them.
    pub(crate) fn start(dir: &Path) -> Result<Self> {
        let services = dir.join("services");
        declare(&services, "hello", &json!({ "prefix": PREFIX, "port": "auto", "memory_limit_mb": 64 }))?;
        declare(&services, "cgi_echo", &json!({ "prefix": HANDLER.trim_matches('/'), "kind": "handler" }))?;
        // What a session takes without the gateway.
        guest(&services, "greet")?;
        let setup = Setup { services: Some(&services), ..Setup::default() };
        let server = setup.set("gateway_listen", "127.0.0.1:0").set("services", "true").start()?;
        let (straight, session) = server.until("hello runs compiled", 120, |server| {
            let service = server.call("service_get", &json!({ "name": "hello" }))?["service"].take();
            let (instances, address) = (service["instances"].as_array(), service["address"].as_str());
            let (Some([instance]), Some(address)) = (instances.map(Vec::as_slice), address) else {
                return Ok(None);
            };
            let session = server.call("session_get", &json!({ "session_id": instance["session_id"] }))?;
            let ready =
                service["state"] == "ready" && instance["ready"] == true && session["mode"] == "compiled";
            Ok(if ready { Some((parse(address)?, session)) } else { None })
        })?;
        server.compiled("greet")?;
        let service = session["child_pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        let listed = server.call("service_list", &json!({}))?;
        let gateway = parse(listed["gateway"].as_str().context("the gateway does not listen")?)?;
        // Of an instance that was replaced it goes with its last request.
        let folder = server.state().join("run");
        let socket = server.until("hello has one socket", 30, |_| {
            let mut sockets: Vec<_> = fs::read_dir(&folder)?.flatten().map(|entry| entry.path()).collect();
            Ok(if sockets.len() == 1 { sockets.pop() } else { None })
        })?;
        let site =
            Self { server, gateway, straight, socket, service: service.context("hello has no process")? };
        site.warm()?;
        Ok(site)
    }

    /// Asks the handler until its sessions come from a template of its compiled module.
    fn warm(&self) -> Result<()> {
        self.server.compiled("cgi_echo")?;
        self.server.until("the handler's sessions are warm", 60, |_| {
            ask(self.gateway, HANDLER, "hello from a handler\n")?;
            let last = self.sessions(1)?;
            Ok(last.first().is_some_and(|session| session["start"] == "warm").then_some(()))
        })
    }

    /// The handler's last sessions.
    fn sessions(&self, limit: usize) -> Result<Vec<Value>> {
        let asked = json!({ "label": "service=cgi_echo", "limit": limit });
        let page = self.server.call("session_list", &asked)?;
        Ok(page["sessions"].as_array().cloned().unwrap_or_default())
    }

    /// How the processes of the handler's last sessions came to be, in percent.
    pub(crate) fn starts(&self) -> Result<[(&'static str, f64); 3]> {
        let last = self.sessions(1000)?;
        Ok(["warm", "parked", "cold"].map(|start| {
            let count = last.iter().filter(|session| session["start"] == start).count();
            (start, count as f64 / last.len() as f64 * 100.0)
        }))
    }

    /// The gateway's processor time: it is a thread of the server.
    pub(crate) fn gateway_cpu(&self) -> Cpu {
        Cpu::Threads(self.server.pid(), "gateway")
    }
}

/// Writes a service's declaration.
pub(crate) fn describe(services: &Path, name: &str, spec: &Value) -> Result<()> {
    let folder = services.join(name).join("config");
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join("service.json"), spec.to_string())?)
}

fn declare(services: &Path, name: &str, spec: &Value) -> Result<()> {
    describe(services, name, spec)?;
    guest(services, name)
}

/// Copies a guest of ours into a folder.
pub(crate) fn guest(services: &Path, name: &str) -> Result<()> {
    let module = format!("{name}.wasm");
    let from = places::guests().join(&module);
    fs::copy(&from, services.join(&module))
        .with_context(|| format!("{}: run build.sh first", from.display()))?;
    Ok(())
}

pub(crate) fn parse(url: &str) -> Result<SocketAddr> {
    let address = url.strip_prefix("http://").with_context(|| format!("{url} is no address"))?;
    Ok(address.parse()?)
}

/// One request, whose answer has to be this text.
pub(crate) fn ask(address: SocketAddr, path: &str, text: &str) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let right = answer.starts_with("HTTP/1.1 200 ") && answer.contains(text);
    ensure!(right, "http://{address}{path} answered {answer:?}");
    Ok(())
}
