//! Does what its arguments say, one after the other, and says what came of it: reads standard input in several ways, draws
//! random bytes, opens files, sleeps.

use std::fs::File;
use std::io::Read;
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[link(wasm_import_module = "wasi_snapshot_preview1")]
#[allow(unsafe_code, reason = "no library has these without buffers or generators between")]
unsafe extern "C" {
    /// Fills `length` bytes at `buffer`; the answer is an errno.
    fn random_get(buffer: *mut u8, length: usize) -> u16;
    /// Waits for one of `count` subscriptions; the answer is an errno.
    fn poll_oneoff(subscriptions: *const u8, events: *mut u8, count: usize, happened: *mut usize) -> u16;
}

static READY: AtomicU32 = AtomicU32::new(0);

/// An initialiser: counts its calls.
#[allow(unsafe_code, reason = "it is exported under its name")]
#[unsafe(export_name = "ready")]
pub extern "C" fn ready() {
    println!("initialised");
    READY.fetch_add(1, Ordering::Relaxed);
}

fn random() -> String {
    let mut bytes = [0_u8; 32];
    // SAFETY: the buffer is ours and as long as we say.
    #[allow(unsafe_code, reason = "calls the import above")]
    let errno = unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) };
    assert_eq!(errno, 0);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Waits for standard input, but no longer than `ms`. Says what happened, which descriptor events had how many bytes and
/// which flags.
fn poll(ms: u64) -> String {
    let mut subscriptions = [0_u8; 96];
    subscriptions[..8].copy_from_slice(&7_u64.to_le_bytes());
    subscriptions[8] = 1;
    subscriptions[48..56].copy_from_slice(&9_u64.to_le_bytes());
    subscriptions[64] = 1;
    subscriptions[72..80].copy_from_slice(&(ms * 1_000_000).to_le_bytes());
    let (mut events, mut happened) = ([0_u8; 64], 0);
    // SAFETY: both lists have room for two entries, as their sizes in the specification are.
    #[allow(unsafe_code, reason = "calls the import above")]
    let errno = unsafe { poll_oneoff(subscriptions.as_ptr(), events.as_mut_ptr(), 2, &raw mut happened) };
    let mut text = format!("poll {errno} {happened}:");
    for event in events.chunks_exact(32).take(happened) {
        text += &format!(" user {} type {} bytes {} flags {}", event[0], event[10], event[16], event[24]);
    }
    text
}

fn main() {
    let mut file: Option<File> = None;
    let mut words = std::env::args().skip(1);
    let mut grown: Vec<Vec<u8>> = Vec::new();
    while let Some(word) = words.next() {
        let mut next = || words.next().unwrap_or_default();
        match word.as_str() {
            "say" => println!("{}", next()),
            "warn" => eprintln!("{}", next()),
            "random" => println!("random {}", random()),
            "ready" => println!("ready {}", READY.load(Ordering::Relaxed)),
            "env" => println!("env {:?}", std::env::var(next()).ok()),
            "byte" => {
                // Without the library's buffer: one byte is asked for, not what there is.
                #[allow(unsafe_code, reason = "a file of standard input without a buffer")]
                // SAFETY: the descriptor is open, and the file is never dropped.
                let mut stdin = ManuallyDrop::new(unsafe { File::from_raw_fd(0) });
                let mut byte = [0];
                match stdin.read(&mut byte) {
                    Ok(0) => println!("end"),
                    Ok(_) => println!("byte {}", char::from(byte[0])),
                    Err(error) => println!("error {error}"),
                }
            }
            "all" => {
                let mut text = String::new();
                let got = std::io::stdin().read_to_string(&mut text);
                println!("all {got:?} {text:?}");
            }
            "poll" => println!("{}", poll(next().parse().unwrap_or(0))),
            "sleep" => std::thread::sleep(Duration::from_millis(next().parse().unwrap_or(0))),
            "open" => file = File::open(next()).map_err(|error| println!("error {error}")).ok(),
            "three" => {
                let mut bytes = [0; 3];
                let got = file.as_mut().map(|file| file.read(&mut bytes));
                println!("three {got:?} {}", String::from_utf8_lossy(&bytes));
            }
            "list" => {
                let names = std::fs::read_dir(next()).map(|entries| {
                    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
                    names.sort();
                    names
                });
                println!("list {names:?}");
            }
            "grow" => {
                let mut more = vec![1; next().parse::<usize>().unwrap_or(0) << 20];
                more[0] = grown.len() as u8;
                grown.push(more);
            }
            "spin" => loop {
                std::hint::black_box(&mut grown);
            },
            "exit" => std::process::exit(next().parse().unwrap_or(0)),
            other => println!("what is {other}?"),
        }
    }
}
