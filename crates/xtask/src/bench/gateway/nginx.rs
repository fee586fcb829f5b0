//! nginx as a proxy to the same service.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;

use super::child::{Daemon, free_address, listens};
use super::debian::Program;
use super::site::{PREFIX, Site};

/// A running nginx.
#[derive(Debug)]
pub(crate) struct Nginx {
    daemon: Daemon,
    /// Here it passes requests on to the service's TCP port.
    pub(crate) to_port: SocketAddr,
    /// Here to the Unix socket by which the gateway reaches the service.
    pub(crate) to_socket: SocketAddr,
}

impl Nginx {
    /// Starts one with so many workers, everything of it in this folder.
    pub(crate) fn start(program: &Program, dir: &Path, workers: &str, site: &Site) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let (to_port, to_socket) = (free_address()?, free_address()?);
        let port = site.straight.to_string();
        let socket = format!("unix:{}", site.socket.display());
        let servers = server("port", &port, to_port) + &server("socket", &socket, to_socket);
        fs::write(dir.join("nginx.conf"), configuration(workers, &servers)?)?;
        let mut command = program.command();
        command.arg("-p").arg(dir).args(["-c", "nginx.conf", "-e", "stderr"]);
        let serves = |_: &str| (listens(to_port) && listens(to_socket)).then_some(());
        let (daemon, ()) = Daemon::start(&mut command, &dir.join("said"), serves)?;
        Ok(Self { daemon, to_port, to_socket })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.daemon.pid()
    }
}

/// What all servers of one nginx have in common: nothing is logged, and connections stay open. All paths are below its
/// folder, because those that were built in belong to the system.
pub(crate) fn configuration(workers: &str, servers: &str) -> Result<String> {
    // Its workers are this user's, as all the rest is: root's would be somebody else's, who may not use our sockets.
    let user = if fs::metadata("/proc/self")?.uid() == 0 { "user root;" } else { "" };
    Ok(format!(
        "daemon off; pid pid; {user}
worker_processes {workers}; worker_rlimit_nofile 8192;
events {{ worker_connections 8000; }}
http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path body; proxy_temp_path proxy;
  fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
{servers}}}
"
    ))
}

/// One that takes the prefix off and adds the fields that the gateway adds.
fn server(name: &str, upstream: &str, listen: SocketAddr) -> String {
    format!(
        "  upstream {name} {{ server {upstream}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen {listen} backlog=4096;
    location /{PREFIX}/ {{
      proxy_pass http://{name}/;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Prefix /{PREFIX};
      proxy_set_header Forwarded 'for=$remote_addr;host=\"$http_host\";proto=$scheme';
    }}
  }}
"
    )
}
