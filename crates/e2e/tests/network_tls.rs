//! HTTPS from inside of a guest: whom it trusts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::services::spec;
use e2e::{Server, Setup, Value, json, patience};

/// Of nobody whom anybody trusts, for localhost and 127.0.0.1, with no end in sight.
const CERTIFICATE: &str = "MIIBmTCCAT6gAwIBAgIUA6syj0lrIL2Xc58lC01BES8CjoowCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTE0Mj\
    cyNloYDzIxMjYxMDI4MTQyNzI2WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARA9AKhwDgwg4I5tshw\
    VZxxTBxlKG1/66UNoJMUXv2woJnwPPEU9gZ4jbpuzy1aGaFJmM/FG4azWIWFDrNhUACro2wwajAdBgNVHQ4EFgQUcFFXAIzma5PTJ55kTwBJje\
    yd8DcwHwYDVR0jBBgwFoAUcFFXAIzma5PTJ55kTwBJjeyd8DcwGgYDVR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMAwGA1UdEwEB/wQCMAAwCgYI\
    KoZIzj0EAwIDSQAwRgIhAJZTlWyfJJcDtroaKP70o6URwCQTYaEEk+sThKZFERSlAiEAlRdDSuvXECxvoooml/qDAjA2aTZk9fYHsReRJ0WkY+\
    Q=";

/// A server's side of a TLS 1.2 handshake, up to where the client decides whether it trusts the certificate.
fn flight() -> Vec<u8> {
    let long = |length: usize| (length as u32).to_be_bytes()[1..].to_vec();
    let short = |length: usize| (length as u16).to_be_bytes();
    let message = |kind: u8, body: &[u8]| [&[kind][..], &long(body.len()), body].concat();
    let certificate = STANDARD.decode(CERTIFICATE).expect("the certificate is base64");
    // Version, 32 random bytes, no session, ECDHE_ECDSA with AES-128-GCM, no compression.
    let hello = [&[3, 3][..], &[7; 32], &[0, 0xc0, 0x2b, 0]].concat();
    let chain = [long(certificate.len()), certificate].concat();
    // x25519, a key, and a signature that is none: who trusts the certificate would look at it next.
    let exchange = [&[3, 0, 0x1d, 32][..], &[9; 32], &[4, 3, 0, 8], &[0; 8]].concat();
    let messages = [
        message(2, &hello),
        message(11, &[long(chain.len()), chain].concat()),
        message(12, &exchange),
        message(14, &[]),
    ]
    .concat();
    [&[22, 3, 3][..], &short(messages.len()), &messages].concat()
}

/// Reads a record: its kind and what is in it.
fn record(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    stream.read_exact(&mut body)?;
    Ok((head[0], body))
}

/// A server with the service `relay`, which may connect anywhere on this machine, with this more in its declaration.
fn relay(more: Value, prepare: impl FnOnce(&Path)) -> Server {
    let server = Setup::with_services(&[("hello", spec("hello", json!({ "module": "hello" })))]).start();
    let own = server.services_dir().join("relay");
    std::fs::create_dir(&own).expect("the service's folder can be made");
    prepare(&own);
    server.put_guest("relay", "relay");
    let mut rest = json!({ "permissions": { "net": ["127.0.0.1:*", "localhost:*"] } });
    for (key, value) in more.as_object().into_iter().flatten() {
        rest[key] = value.clone();
    }
    server.declare("relay", spec("relay", rest));
    let _ = server.call("service_reload", json!({ "name": "relay" }));
    server.until_service("relay", "ready");
    server
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_asked() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = relay(json!({}), |_| {});
    let seen = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(patience())).unwrap();
        let hello = record(&mut stream).unwrap();
        stream.write_all(&flight()).unwrap();
        (hello, record(&mut stream))
    });
    let reply = server.straight("relay", &format!("/call?url=https://127.0.0.1:{port}/secret"));
    assert_eq!(reply.status, 502);
    let error = reply.json();
    assert_eq!(error["step"], "certificate", "{error:#}");
    let (hello, answer) = seen.join().unwrap();
    assert_eq!((hello.0, hello.1[0]), (22, 1), "a client's hello");
    // An alert that ends the connection, because of the certificate, and not a byte of the request.
    let (kind, alert) = answer.unwrap();
    assert_eq!((kind, alert[0]), (21, 2));
    assert!((42..=48).contains(&alert[1]), "alert {}", alert[1]);
}

/// OpenSSL's test server with a certificate of its own for localhost, which it puts into the folder.
struct Tls(Child, u16);

impl Tls {
    /// `None` where there is no OpenSSL.
    fn start(folder: &Path) -> Option<Self> {
        let (key, certificate) = (folder.join("key.pem"), folder.join("certificate.pem"));
        let mut request = Command::new("openssl");
        request.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ]);
        request.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
        request.args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"]);
        request.arg(&key).arg("-out").arg(&certificate).stdout(Stdio::null()).stderr(Stdio::null());
        request.status().ok().filter(std::process::ExitStatus::success)?;
        let mut serve = Command::new("openssl");
        serve
            .args(["s_server", "-www", "-accept", "127.0.0.1:0", "-key"])
            .arg(&key)
            .arg("-cert")
            .arg(&certificate);
        let mut child =
            serve.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let lines = BufReader::new(child.stdout.take()?).lines().map_while(Result::ok);
        let port = { lines }.find_map(|line| line.strip_prefix("ACCEPT 127.0.0.1:")?.parse().ok());
        Some(Self(child, port?))
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_certificate_that_it_was_told_to_trust_is_trusted_for_its_own_name_only() {
    let mut tls = None;
    let more = json!({ "dirs": [{ "host": "tls", "guest": "/tls" }], "env": { "SSL_CERT_FILE": "/tls/certificate.pem" } });
    let server = relay(more, |own| {
        std::fs::create_dir(own.join("tls")).expect("a folder can be made");
        tls = Tls::start(&own.join("tls"));
        if tls.is_none() {
            std::fs::write(own.join("tls/certificate.pem"), "").expect("a file can be written");
        }
    });
    let Some(Tls(_, port)) = &tls else {
        eprintln!("there is no openssl on this machine: nothing was tested");
        return;
    };
    let reply = server.straight("relay", &format!("/call?url=https://localhost:{port}/"));
    let status = reply.status;
    let text = reply.text();
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("s_server"), "{text}");
    let reply = server.straight("relay", &format!("/call?url=https://127.0.0.1:{port}/"));
    assert_eq!(reply.status, 502);
    let error = reply.json();
    assert_eq!(error["step"], "certificate", "it is another's name: {error:#}");
}
