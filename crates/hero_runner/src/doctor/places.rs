//! Folders, sockets, the server, its gateway and its pages.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use api::paths;
use rustix::fs::{Access, access, statvfs};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::Check;
use crate::lifecycle::{self, Probe, probe, ui};
use crate::{Context, text};

/// Below this the history soon has no room.
const LITTLE_SPACE: u64 = 1 << 30;
/// A status line is shorter.
const LINE_MAX: u64 = 1024;

pub(super) async fn checks(context: &Context) -> Vec<Check> {
    let socket = context.client.socket();
    let mut checks = vec![
        socket_dir(socket.parent().unwrap_or(Path::new("/"))),
        socket_path(socket),
        state_dir(&paths::state_dir(&paths::process_env)),
        server(context).await,
    ];
    checks.extend(gateway(context).await);
    checks.push(pages(context).await);
    checks.push(journal());
    checks
}

/// The folder itself, or the nearest one above it that exists.
fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"))
}

fn is_writable(path: &Path) -> bool {
    access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

fn socket_dir(dir: &Path) -> Check {
    let shown = dir.display();
    let Ok(meta) = dir.metadata() else {
        let above = nearest(dir);
        return if is_writable(above) {
            Check::ok("socket folder", format!("{shown} will be made"))
        } else {
            let found = format!("{shown} cannot be made: {} is not writable", above.display());
            Check::fail("socket folder", found, "set HERO_SOCKET_DIR to a folder of yours")
        };
    };
    let mode = meta.mode() & 0o777;
    if !meta.is_dir() || !is_writable(dir) {
        return Check::fail(
            "socket folder",
            format!("{shown} is not a writable folder"),
            "set HERO_SOCKET_DIR",
        );
    }
    if mode & 0o077 != 0 {
        let hint = format!("whoever reaches the socket can run programs as you: `chmod 700 {shown}`");
        return Check::warn("socket folder", format!("{shown} has mode {mode:04o}"), hint);
    }
    Check::ok("socket folder", format!("{shown}, mode {mode:04o}"))
}

fn socket_path(socket: &Path) -> Check {
    let length = socket.as_os_str().len();
    let found = format!("{length} of {} bytes", paths::SOCKET_PATH_MAX);
    if paths::fits_socket_address(socket) {
        Check::ok("socket path", found)
    } else {
        Check::fail("socket path", found, "name a shorter one with --socket or HERO_SOCKET_DIR")
    }
}

fn state_dir(dir: &Path) -> Check {
    let shown = dir.display();
    let place = nearest(dir);
    if !is_writable(place) {
        let hint = "set HERO_RUNNER_STATE_DIR to a folder of yours";
        return Check::fail("state folder", format!("{shown}: {} is not writable", place.display()), hint);
    }
    let free = match statvfs(place) {
        Ok(space) => space.f_bavail.saturating_mul(space.f_frsize),
        Err(error) => {
            let found = format!("{shown}: cannot tell how much space is free: {error}");
            return Check::warn("state folder", found, "look with `df`");
        }
    };
    let found = format!("{shown}, {} free", text::bytes(free));
    if free < LITTLE_SPACE {
        Check::warn("state folder", found, "make room for modules and history, or lower history_total_bytes")
    } else {
        Check::ok("state folder", found)
    }
}

async fn server(context: &Context) -> Check {
    let hint = "`hero_runner --start` starts it";
    match probe(&context.client).await {
        Probe::Answers(health) if health.status == "ok" => {
            Check::ok("server", format!("version {} answers", health.version))
        }
        Probe::Answers(health) => {
            let found = format!("{}: {}", health.status, health.reasons.join("; "));
            Check::warn("server", found, "sessions run; its log says more about what is missing")
        }
        Probe::Missing => Check::warn("server", "does not run", hint),
        Probe::Stale => Check::warn("server", "does not run; its socket is left over", hint),
        Probe::Silent(why) => {
            Check::fail("server", format!("does not answer: {why}"), "`hero_runner --stop`, then --start")
        }
    }
}

/// Whether the gateway answers where the server says that it listens; nothing where the server says nothing.
async fn gateway(context: &Context) -> Option<Check> {
    let address = lifecycle::gateway(&context.client).await?;
    let authority = address.strip_prefix("http://").unwrap_or(&address).trim_end_matches('/');
    let answer = tokio::time::timeout(lifecycle::ANSWER, first_line(authority)).await;
    Some(match answer {
        Ok(Ok(line)) if line.starts_with("HTTP/1.") => Check::ok("gateway", format!("{address} answers")),
        Ok(Ok(_)) => {
            Check::fail("gateway", format!("{address} does not speak HTTP"), "another program has its port")
        }
        Ok(Err(error)) => {
            let hint = "the server's log says why it does not listen";
            Check::fail("gateway", format!("{address}: {error}"), hint)
        }
        Err(_) => Check::fail("gateway", format!("{address} does not answer"), "the server's log says more"),
    })
}

/// The first line of the answer to a request.
async fn first_line(authority: &str) -> std::io::Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(authority).await?).take(LINE_MAX);
    let request = format!("GET / HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes()).await?;
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    Ok(line)
}

async fn pages(context: &Context) -> Check {
    let hint = "`hero_runner --start` starts them, where hero_runner_ui is installed beside the server";
    match ui::look(&ui::client(context)).await {
        Probe::Answers(health) => Check::ok("pages", format!("version {} answers", health.version)),
        Probe::Missing => Check::warn("pages", "do not run", hint),
        Probe::Stale => Check::warn("pages", "do not run; their socket is left over", hint),
        Probe::Silent(why) => {
            Check::warn("pages", format!("do not answer: {why}"), "`hero_runner --stop`, then --start")
        }
    }
}

fn journal() -> Check {
    let socket = Path::new("/run/systemd/journal/socket");
    if socket.metadata().is_ok_and(|meta| meta.file_type().is_socket()) {
        Check::ok("journald", "forwarded lines go there")
    } else {
        Check::ok("journald", "not here: forwarded lines go to a file in the state folder")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_socket_folder_is_private_or_can_be_made() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(socket_dir(&dir.path().join("a/b")).level, Level::Ok);
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(socket_dir(dir.path()).level, Level::Ok);
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(socket_dir(dir.path()).level, Level::Warn);
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(socket_dir(&file).level, Level::Fail);
    }

    #[test]
    fn a_socket_path_has_an_end() {
        assert_eq!(socket_path(Path::new(&"x".repeat(107))).level, Level::Ok);
        assert_eq!(socket_path(Path::new(&"x".repeat(108))).level, Level::Fail);
    }

    #[tokio::test]
    async fn a_gateway_is_told_from_a_stranger_and_from_nobody() {
        use tokio::net::TcpListener;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 512];
            let count = stream.read(&mut request).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            String::from_utf8_lossy(&request[..count]).into_owned()
        };
        let (line, request) = tokio::join!(first_line(&address), serve);
        assert_eq!(line.unwrap(), "HTTP/1.1 200 OK\r\n");
        assert!(request.contains(&format!("host: {address}\r\n")), "{request}");
        drop(listener);
        assert!(first_line(&address).await.is_err());
    }

    #[test]
    fn the_state_folder_need_not_be_there_yet() {
        let dir = tempfile::tempdir().unwrap();
        assert!(state_dir(&dir.path().join("a/b")).found.contains("free"));
    }
}
