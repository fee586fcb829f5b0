//! TLS: rustls between the bytes of a connection and those of HTTP.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{CertificateError, ClientConfig, ClientConnection, Error, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

/// How much is decrypted at once.
const PIECE: usize = 16 * 1024;

thread_local! {
    /// The settings by their own certificate authority.
    static CONFIGS: RefCell<Vec<(Option<String>, Arc<ClientConfig>)>> = RefCell::default();
}

/// Who a server must prove to be.
pub(crate) struct Trust {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Trust {
    /// Trusts Mozilla's certificate authorities, and these.
    pub(crate) fn new(host: &str, ca: Option<&str>) -> Result<Self, String> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| format!("the host {host} cannot be in a certificate: {error}"))?;
        let known = CONFIGS.with_borrow(|configs| {
            configs.iter().find(|(other, _)| other.as_deref() == ca).map(|(_, config)| Arc::clone(config))
        });
        if let Some(config) = known {
            return Ok(Self { config, name });
        }
        let config = Arc::new(config(ca)?);
        CONFIGS.with_borrow_mut(|configs| configs.push((ca.map(str::to_owned), Arc::clone(&config))));
        Ok(Self { config, name })
    }
}

fn config(ca: Option<&str>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(pem) = ca {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| format!("ca: {error}"))?;
            roots.add(certificate).map_err(|error| format!("ca: {error}"))?;
        }
        if roots.len() == before {
            return Err(
                "ca: there is no certificate in it; it begins with -----BEGIN CERTIFICATE-----".to_owned()
            );
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls_rustcrypto::provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Users are strangers to each other: none goes on with what another one agreed on.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// One side of a secure connection, without the connection.
pub(crate) struct Tls {
    session: ClientConnection,
}

impl Tls {
    pub(crate) fn new(trust: &Trust) -> Result<Self, &'static str> {
        let mut session = ClientConnection::new(Arc::clone(&trust.config), trust.name.clone())
            .map_err(|error| kind(&error))?;
        // A request is one piece that is there already.
        session.set_buffer_limit(None);
        Ok(Self { session })
    }

    /// Takes what is to be said; it is part of `outgoing` when the handshake is done.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        self.session.writer().write_all(bytes).map_err(|_| "tls_error")
    }

    /// What has to be sent.
    pub(crate) fn outgoing(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Writing to memory does not fail.
        while self.session.wants_write() && self.session.write_tls(&mut bytes).is_ok() {}
        bytes
    }

    /// Takes what has come, and hands over what it means.
    pub(crate) fn hear(
        &mut self,
        mut bytes: &[u8],
        mut heard: impl FnMut(&[u8]) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        let mut piece = [0; PIECE];
        while !bytes.is_empty() {
            let read = self.session.read_tls(&mut bytes).map_err(|_| "tls_error")?;
            self.session.process_new_packets().map_err(|error| kind(&error))?;
            loop {
                match self.session.reader().read(&mut piece) {
                    Ok(0) => break,
                    Ok(length) => heard(&piece[..length])?,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => return Err("connection_closed"),
                }
            }
            if read == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// The stable name of a failure.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer => "tls_unknown_issuer",
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "tls_certificate_expired",
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "tls_wrong_name"
            }
            _ => "tls_bad_certificate",
        },
        Error::AlertReceived(_) => "tls_refused",
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => "tls_not_spoken",
        Error::PeerIncompatible(_) => "tls_incompatible",
        _ => "tls_error",
    }
}
