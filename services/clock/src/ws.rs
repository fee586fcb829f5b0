//! As much of WebSocket (RFC 6455) as it takes to send messages back.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use web::{Body, Request, Response, StatusCode};

/// Longer frames end the connection.
const LONGEST: u64 = 1 << 20;

/// The last of a message, or all of it.
const FINAL: u8 = 0x80;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// Says yes to the upgrade that `request` asks for, and serves the connection.
pub fn accept(request: Request<Body>) -> Response<Body> {
    let asks = request
        .headers()
        .get(UPGRADE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let (true, Some(key)) = (asks, request.headers().get(SEC_WEBSOCKET_KEY)) else {
        let mut response = web::text(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket\n");
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        return response;
    };
    let mut hash = Sha1::new_with_prefix(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let Ok(accept) = HeaderValue::from_str(&STANDARD.encode(hash.finalize())) else {
        return web::text(StatusCode::INTERNAL_SERVER_ERROR, "no base64\n");
    };
    tokio::spawn(async move {
        let served = match hyper::upgrade::on(request).await {
            Ok(connection) => echo(connection).await,
            Err(error) => Err(io::Error::other(error)),
        };
        if let Err(error) = served {
            eprintln!("websocket: {error}");
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// Sends each frame back until the other side says that it closes.
async fn echo(mut connection: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    loop {
        let [first, second] = {
            let mut head = [0; 2];
            connection.read_exact(&mut head).await?;
            head
        };
        let length = match second & 0x7f {
            126 => connection.read_u16().await?.into(),
            127 => connection.read_u64().await?,
            short => short.into(),
        };
        if length > LONGEST || second & 0x80 == 0 {
            return Err(io::Error::other("a frame that is too long or not masked"));
        }
        let mut mask = [0; 4];
        connection.read_exact(&mut mask).await?;
        let mut payload = vec![0; length as usize];
        connection.read_exact(&mut payload).await?;
        for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        let answer = match first & 0xf {
            PING => FINAL | PONG,
            PONG => continue,
            _ => first,
        };
        send(&mut connection, answer, &payload).await?;
        if first & 0xf == CLOSE {
            return connection.shutdown().await;
        }
    }
}

async fn send(connection: &mut (impl AsyncWrite + Unpin), first: u8, payload: &[u8]) -> io::Result<()> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(length as u8),
        length @ 126..=0xffff => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    connection.write_all(&frame).await?;
    connection.flush().await
}
