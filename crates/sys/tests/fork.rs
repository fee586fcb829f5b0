//! Forking needs a process with one thread, so this file is a program of its own without a test harness.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use sys::fork::{Fork, exit_now, fork_single_threaded};

fn a_child_is_reaped_with_its_status() {
    match fork_single_threaded().expect("fork") {
        Fork::Child => exit_now(7),
        Fork::Parent { pid, pidfd } => {
            let reaped = loop {
                if let Some(reaped) = sys::rusage::reap_any().expect("wait") {
                    break reaped;
                }
                let mut poll = [nix::poll::PollFd::new(pidfd.as_fd(), nix::poll::PollFlags::POLLIN)];
                nix::poll::poll(&mut poll, 10_000_u16).expect("poll");
            };
            assert_eq!((reaped.pid, reaped.exited, reaped.signaled), (pid.as_raw(), Some(7), None));
        }
    }
    assert_eq!(sys::rusage::reap_any().expect("no child is no error"), None);
}

fn a_signal_goes_through_the_pidfd() {
    match fork_single_threaded().expect("fork") {
        Fork::Child => loop {
            std::thread::park();
        },
        Fork::Parent { pidfd, .. } => {
            sys::pidfd::send_signal(&pidfd, libc_sigkill()).expect("kill");
            let mut poll = [nix::poll::PollFd::new(pidfd.as_fd(), nix::poll::PollFlags::POLLIN)];
            nix::poll::poll(&mut poll, 10_000_u16).expect("poll");
            let reaped = sys::rusage::reap_any().expect("wait").expect("it ended");
            assert_eq!(reaped.signaled, Some(libc_sigkill()));
            assert!(sys::pidfd::send_signal(&pidfd, libc_sigkill()).is_err(), "it is gone");
        }
    }
}

fn libc_sigkill() -> i32 {
    nix::sys::signal::Signal::SIGKILL as i32
}

fn only_listed_descriptors_survive() {
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    let (ours, theirs): (UnixStream, OwnedFd) = (ours, theirs.into());
    let _stray = std::fs::File::open("/dev/null").expect("open");
    match fork_single_threaded().expect("fork") {
        Fork::Child => {
            let result = sys::child::keep_only(vec![theirs], &[5], &[]);
            // The listing itself holds one more descriptor for a moment: the folder's.
            let open: Vec<String> = std::fs::read_dir("/proc/self/fd")
                .map(|dir| {
                    dir.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
                })
                .unwrap_or_default();
            let mut open: Vec<i32> = open.iter().filter_map(|name| name.parse().ok()).collect();
            open.sort_unstable();
            let told = format!("{} {open:?}", result.is_ok());
            if let Some(fd) = sys::stdio::numbered(5) {
                let _ = sys::stdio::write_vectored(fd, &[std::io::IoSlice::new(told.as_bytes())]);
            }
            exit_now(0);
        }
        Fork::Parent { pidfd, .. } => {
            drop(theirs);
            let mut told = String::new();
            (&ours).read_to_string(&mut told).expect("read");
            // 0 is free, so the folder's descriptor took it.
            assert_eq!(told, "true [0, 5]");
            let mut poll = [nix::poll::PollFd::new(pidfd.as_fd(), nix::poll::PollFlags::POLLIN)];
            nix::poll::poll(&mut poll, 10_000_u16).expect("poll");
            sys::rusage::reap_any().expect("wait");
        }
    }
}

fn descriptors_travel_with_a_message() {
    let (a, b) = UnixStream::pair().expect("socketpair");
    let (left, right) = UnixStream::pair().expect("socketpair");
    assert_eq!(sys::fdpass::send(&a, b"x", &[right.as_fd()]).expect("send"), 1);
    drop(right);
    let (mut buffer, mut fds) = ([0; 8], Vec::new());
    let received = sys::fdpass::receive(&b, &mut buffer, &mut fds).expect("receive");
    assert_eq!(received, sys::fdpass::Received { bytes: 1, cut: false });
    let right = UnixStream::from(fds.pop().expect("one descriptor"));
    (&left).write_all(b"hello").expect("write");
    let mut told = [0; 5];
    (&right).read_exact(&mut told).expect("read");
    assert_eq!(&told, b"hello");
}

fn a_process_with_two_threads_does_not_fork() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _ = wait.recv();
    });
    let error = fork_single_threaded().expect_err("two threads");
    assert!(error.to_string().contains("2 threads"), "{error}");
    drop(go);
    thread.join().expect("join");
}

/// What of a list of checks does not hold in a confined child, as the bits of its status.
fn a_confined_process_reaches_what_it_was_given() {
    let dir = std::env::temp_dir().join(format!("confine-{}", std::process::id()));
    let (read, write) = (dir.join("read"), dir.join("write"));
    for folder in [&read, &write] {
        std::fs::create_dir_all(folder).expect("a folder");
        std::fs::write(folder.join("file"), "text").expect("a file");
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("another port");
    let [port, other] = [&listener, &other].map(|socket| socket.local_addr().expect("an address").port());
    let own = std::fs::File::open("/proc/self/exe").expect("this program");
    match fork_single_threaded().expect("fork") {
        Fork::Child => {
            let open = |path: &std::path::Path| std::fs::File::open(path).expect("a folder");
            let (readable, writable) = (open(&read), open(&write));
            let folders = [(readable.as_fd(), true), (writable.as_fd(), false)];
            sys::child::no_new_privileges().expect("a process can give up what it does not have");
            let reach =
                sys::confine::Reach { folders: &folders, files: &[own.as_fd()], ports: Some(&[port]) };
            let connect = |port| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
            let holds = match sys::confine::confine(reach) {
                // A kernel without it: nothing to see.
                Ok(false) => [true; 9],
                Err(_) => [false; 9],
                Ok(true) => [
                    std::fs::read(read.join("file")).is_ok(),
                    std::fs::write(read.join("file"), "").is_err(),
                    std::fs::remove_file(read.join("file")).is_err(),
                    std::fs::write(write.join("other"), "").is_ok(),
                    std::fs::rename(write.join("other"), write.join("third")).is_ok(),
                    std::fs::File::open("/etc/passwd").is_err(),
                    std::fs::File::open("/proc/self/exe").is_ok(),
                    connect(port),
                    !connect(other),
                ],
            };
            let failed = holds.iter().position(|held| !held).map_or(0, |at| at as i32 + 1);
            exit_now(failed)
        }
        Fork::Parent { pid, .. } => {
            let status = nix::sys::wait::waitpid(pid, None).expect("wait");
            assert_eq!(
                status,
                nix::sys::wait::WaitStatus::Exited(pid, 0),
                "the number of the check that failed"
            );
        }
    }
    std::fs::remove_dir_all(&dir).expect("the folder goes");
}

fn main() {
    let tests: [(&str, fn()); 6] = [
        ("a_child_is_reaped_with_its_status", a_child_is_reaped_with_its_status),
        ("a_signal_goes_through_the_pidfd", a_signal_goes_through_the_pidfd),
        ("only_listed_descriptors_survive", only_listed_descriptors_survive),
        ("a_confined_process_reaches_what_it_was_given", a_confined_process_reaches_what_it_was_given),
        ("descriptors_travel_with_a_message", descriptors_travel_with_a_message),
        ("a_process_with_two_threads_does_not_fork", a_process_with_two_threads_does_not_fork),
    ];
    // The protocol that cargo-nextest speaks with a test binary: it lists, then runs one by exact name.
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--list") {
        if !arguments.iter().any(|argument| argument == "--ignored") {
            tests.iter().for_each(|(name, _)| println!("{name}: test"));
        }
        return;
    }
    let wanted = arguments.iter().skip(1).find(|argument| !argument.starts_with('-'));
    let mut passed = 0;
    for (name, test) in tests {
        if wanted.is_none_or(|wanted| wanted == name) {
            test();
            passed += 1;
        }
    }
    println!("test result: ok. {passed} passed; 0 failed");
}
