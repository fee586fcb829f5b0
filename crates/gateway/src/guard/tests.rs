use std::sync::Arc;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::client::Core;
use crate::settings::Settings;

fn client() -> Arc<Client> {
    let core = Core {
        settings: Settings { max_head_bytes: 300, ..Settings::default() },
        routes: Default::default(),
        pool: Arc::default(),
        counters: Arc::default(),
        stop: CancellationToken::new(),
        cut: CancellationToken::new(),
    };
    let place = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("room for one");
    Client::new(Arc::new(core), None, place)
}

/// What hyper reads of these pieces, with a buffer of `size` bytes; and whether it came to an orderly end.
fn read(pieces: &[&[u8]], size: usize) -> (Vec<u8>, bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let (mut near, far) = duplex(1 << 20);
        let mut guard = Guard::new(far, client());
        let (mut all, mut buffer) = (Vec::new(), vec![0; size]);
        let mut pieces = pieces.iter();
        loop {
            let read = std::pin::pin!(guard.read(&mut buffer));
            // Pending: it needs more than it has.
            match futures_util::future::FutureExt::now_or_never(read) {
                Some(Ok(0)) => return (all, true),
                Some(Ok(count)) => all.extend_from_slice(&buffer[..count]),
                Some(Err(_)) => return (all, false),
                None => match pieces.next() {
                    Some(piece) => near.write_all(piece).await.expect("room"),
                    None => return (all, true),
                },
            }
        }
    })
}

/// The bytes in pieces of these lengths, over and over.
fn cut<'a>(bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let (mut pieces, mut rest) = (Vec::new(), bytes);
    for length in lengths.iter().cycle() {
        let (piece, more) = rest.split_at((*length).min(rest.len()));
        pieces.push(piece);
        rest = more;
        if rest.is_empty() {
            break;
        }
    }
    pieces
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let body = proptest::collection::vec(any::<u8>(), 0..200);
    (body, any::<bool>(), 1..50_usize, any::<bool>()).prop_map(|(body, chunked, chunk, line)| {
        let mut bytes = if line { b"\r\n".to_vec() } else { Vec::new() };
        if !chunked {
            bytes.extend(
                format!("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()).bytes(),
            );
            bytes.extend(body);
            return bytes;
        }
        bytes.extend(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        for chunk in body.chunks(chunk) {
            bytes.extend(format!("{:X};x=y\r\n", chunk.len()).bytes());
            bytes.extend(chunk.iter().chain(b"\r\n"));
        }
        bytes.extend(b"0\r\nX-Sum: 1\r\n\r\n");
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn requests_pass_as_they_are_in_whatever_pieces(
        requests in proptest::collection::vec(request(), 1..6),
        lengths in proptest::collection::vec(1_usize..120, 1..10),
        size in 1_usize..300,
        fault in any::<bool>(),
    ) {
        let mut all = requests.concat();
        let mut expected = all.clone();
        if fault {
            all.extend(b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
            expected.extend(REFUSED);
        }
        let (read, orderly) = read(&cut(&all, &lengths), size);
        prop_assert!(orderly);
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn broken_chunks_are_an_error_and_nothing_behind_them_passes(
        lengths in proptest::collection::vec(1_usize..20, 1..10),
        size in 1_usize..50,
    ) {
        let well = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
        let all = [&well[..], b"x\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        let (read, orderly) = read(&cut(&all, &lengths), size);
        prop_assert!(!orderly);
        prop_assert!(well.starts_with(&read));
    }
}

#[test]
fn behind_an_upgrade_everything_passes() {
    let all = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n\n\n\0\rGET";
    assert_eq!(read(&[all], 64), (all.to_vec(), true));
    assert_eq!(read(&cut(all, &[3]), 64), (all.to_vec(), true));
}
