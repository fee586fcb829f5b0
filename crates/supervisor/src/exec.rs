//! Programs of the host that sessions ask for: only those of the list, each as a process of its own.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use frames::message::{Exec, Execed, PREFIX_LEN, announced, decode, encode};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::core::Shared;

/// The most that a program may print to each of its streams, in bytes. Both fit into one message.
const MAX_OUTPUT: u64 = 500 * 1024;

/// Where a program looks for others; it gets no other variable.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Takes the requests of a session for programs; returns the end that its worker asks on. What it has started ends with it.
///
/// # Errors
/// When there is no descriptor left.
pub(crate) fn broker(shared: &Arc<Shared>, session: &str) -> io::Result<Arc<OwnedFd>> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let ours = UnixStream::from_std(ours)?;
    let (shared, session) = (Arc::clone(shared), session.to_owned());
    tokio::spawn(async move {
        if let Err(error) = serve(&shared.config.exec_programs, ours, &session).await {
            tracing::warn!(session, %error, "a worker's request for a program cannot be read");
        }
    });
    Ok(Arc::new(theirs.into()))
}

async fn serve(listed: &[PathBuf], mut worker: UnixStream, session: &str) -> io::Result<()> {
    loop {
        let mut prefix = [0; PREFIX_LEN];
        match worker.read_exact(&mut prefix).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        };
        let mut request = vec![0; announced(prefix).map_err(io::Error::other)?];
        worker.read_exact(&mut request).await?;
        let request: Exec = decode(&request).map_err(io::Error::other)?;
        let execed = match find(listed, &request.program) {
            None => Execed::Unlisted,
            Some(program) => {
                tracing::info!(session, program = %program.display(), args = ?request.args, "starts a program");
                // A worker sends nothing while it waits: whatever comes here is the end of its session.
                tokio::select! {
                    execed = run(program, &request) => execed,
                    () = more(&worker) => return Ok(()),
                }
            }
        };
        worker.write_all(&encode(&execed).map_err(io::Error::other)?).await?;
    }
}

/// Waits until something comes, or the end.
async fn more(worker: &UnixStream) {
    // The runtime's word may be from before; only a read knows.
    while worker.readable().await.is_ok() {
        match worker.try_read(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => return,
        }
    }
}

/// The program of the list that is meant: by its whole path, or by the last part of it, where the first one counts.
fn find<'a>(listed: &'a [PathBuf], program: &str) -> Option<&'a Path> {
    let is_meant = |path: &&PathBuf| match program.contains('/') {
        true => path.as_os_str() == program,
        false => path.file_name().is_some_and(|name| name == program),
    };
    listed.iter().find(is_meant).map(PathBuf::as_path)
}

/// A process group that ends with this.
struct Group {
    child: Child,
}

impl Drop for Group {
    fn drop(&mut self) {
        // Not reaped yet, so the number is still its own; what it has started goes with it.
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// Runs a program to its end.
async fn run(program: &Path, request: &Exec) -> Execed {
    let failed = |why: String| Execed::Failed { why };
    let mut command = std::process::Command::new(program);
    command.args(&request.args).env_clear().env("PATH", PATH).current_dir("/");
    sys::child::bind_to_parent(&mut command);
    let child = Command::from(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut group = match child {
        Ok(child) => Group { child },
        Err(error) => return failed(format!("cannot start {}: {error}", program.display())),
    };
    let (stdin, stdout, stderr) =
        (group.child.stdin.take(), group.child.stdout.take(), group.child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return failed("its streams are not there".to_owned());
    };
    let feed = async {
        // A program need not read what it is given.
        let _ = stdin.write_all(&request.stdin).await;
        drop(stdin);
    };
    let (out, err) = match tokio::join!(feed, async { tokio::try_join!(output(stdout), output(stderr)) }) {
        ((), Ok(both)) => both,
        ((), Err(why)) => return failed(why),
    };
    match group.child.wait().await {
        Ok(status) => Execed::Finished { code: code(status), stdout: out, stderr: err },
        Err(error) => failed(format!("its end cannot be told: {error}")),
    }
}

/// Reads what a program prints to one of its streams, up to the limit.
async fn output(stream: impl AsyncRead + Unpin) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = stream.take(MAX_OUTPUT + 1).read_to_end(&mut bytes).await;
    read.map_err(|error| format!("its output cannot be read: {error}"))?;
    match bytes.len() as u64 > MAX_OUTPUT {
        true => Err(format!("it printed more than {MAX_OUTPUT} bytes and was ended")),
        false => Ok(bytes),
    }
}

/// As a shell has it.
fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(program: &str, args: &[&str], stdin: &str) -> Exec {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Exec { program: program.to_owned(), args, stdin: stdin.as_bytes().to_vec() }
    }

    #[test]
    fn a_program_is_found_by_its_path_or_its_name() {
        let listed = ["/opt/a/tool", "/opt/b/tool", "/bin/cat"].map(PathBuf::from);
        assert_eq!(find(&listed, "tool"), Some(Path::new("/opt/a/tool")));
        assert_eq!(find(&listed, "/opt/b/tool"), Some(Path::new("/opt/b/tool")));
        assert_eq!(find(&listed, "cat"), Some(Path::new("/bin/cat")));
        for unlisted in ["ca", "/cat", "b/tool", "../bin/cat", "/bin/../bin/cat", ""] {
            assert_eq!(find(&listed, unlisted), None, "{unlisted}");
        }
    }

    #[tokio::test]
    async fn a_program_gets_its_input_and_gives_its_output() {
        let script = "cat; echo problem >&2; env; exit 5";
        let execed = run(Path::new("/bin/sh"), &request("sh", &["-c", script], "input\n")).await;
        let Execed::Finished { code, stdout, stderr } = execed else { panic!("{execed:?}") };
        assert_eq!((code, stderr.as_slice()), (5, &b"problem\n"[..]));
        let stdout = String::from_utf8(stdout).unwrap();
        assert!(stdout.starts_with("input\n") && stdout.contains(PATH), "{stdout}");
        assert!(!stdout.contains("HOME="), "{stdout}");
    }

    #[tokio::test]
    async fn one_that_floods_or_is_not_there_has_failed_and_a_signal_has_its_code() {
        let run = async |args: &[&str]| run(Path::new("/bin/sh"), &request("sh", args, "")).await;
        let flood = run(&["-c", "exec cat /dev/zero"]).await;
        assert!(matches!(&flood, Execed::Failed { why } if why.contains("more than")), "{flood:?}");
        let killed = run(&["-c", "kill -9 $$"]).await;
        assert!(matches!(killed, Execed::Finished { code: 137, .. }), "{killed:?}");
        let gone = super::run(Path::new("/nothing/here"), &request("here", &[], "")).await;
        assert!(matches!(&gone, Execed::Failed { why } if why.contains("cannot start")), "{gone:?}");
    }

    #[tokio::test]
    async fn a_program_ends_with_the_session_that_wanted_it() {
        let listed = [PathBuf::from("/bin/sh")];
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let served = tokio::spawn(async move { serve(&listed, ours, "ses-test").await });
        // The program and its child both hold the pipe open; it ends when both are gone.
        let script = format!("exec 3>{0}; (sleep 1000) & echo up >&3; wait", path.display());
        let bytes = encode(&request("sh", &["-c", &script], "")).unwrap();
        theirs.write_all(&bytes).await.unwrap();
        let reader = tokio::task::spawn_blocking(move || {
            let mut pipe = std::io::BufReader::new(std::fs::File::open(&path)?);
            let mut line = String::new();
            std::io::BufRead::read_line(&mut pipe, &mut line)?;
            Ok::<_, io::Error>((line, pipe))
        });
        let (line, mut pipe) = reader.await.unwrap().unwrap();
        assert_eq!(line, "up\n");
        drop(theirs);
        served.await.unwrap().unwrap();
        let rest = tokio::task::spawn_blocking(move || {
            let mut rest = Vec::new();
            std::io::Read::read_to_end(&mut pipe, &mut rest).map(|_| rest)
        });
        assert_eq!(rest.await.unwrap().unwrap(), b"");
    }
}
