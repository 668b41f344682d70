//! TLS for DNS connections: rustls with ring, certificates always checked.
//!
//! RFC 7858 (DNS over TLS), RFC 8310 §8.1 (the name in the certificate), RFC 8446. The anchors
//! are those of the machine, or those in a PEM file.

use crate::dns::http::HttpError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use socket2::Socket;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Why there can be no TLS.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TlsError {
    /// The name cannot be in a certificate.
    #[error("{0:?} is no host name or address that a certificate could be for")]
    Name(String),
    /// The file has no certificates.
    #[error("no certificates in {0}: {1}")]
    Anchors(String, String),
    /// The machine has no certificates.
    #[error("this machine has no root certificates: install ca-certificates or give cafile")]
    NoAnchors,
    /// rustls says no.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// What every connection to one server shares: anchors, name, session tickets.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// TLS to the server whose certificate must be for `name`; `alpn` as registered, or nothing.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new(name: &str, cafile: Option<&Path>, alpn: Option<&str>) -> Result<Self, TlsError> {
        let roots = match cafile {
            Some(path) => Arc::new(roots_in(path)?),
            None => system_roots()?,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|word| word.as_bytes().to_vec()).collect();
        let server = ServerName::try_from(name.to_owned());
        let name = server.map_err(|_| TlsError::Name(name.to_owned()))?;
        Ok(Self { config: Arc::new(config), name })
    }

    pub(super) fn connect(&self) -> Result<ClientConnection, TlsError> {
        Ok(ClientConnection::new(self.config.clone(), self.name.clone())?)
    }
}

fn roots_in(path: &Path) -> Result<RootCertStore, TlsError> {
    let fault = |why: String| TlsError::Anchors(path.display().to_string(), why);
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(path).map_err(|error| fault(error.to_string()))?;
    for certificate in found {
        let certificate = certificate.map_err(|error| fault(error.to_string()))?;
        roots.add(certificate).map_err(|error| fault(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(fault("not one PEM certificate".to_owned()));
    }
    Ok(roots)
}

/// The anchors of the machine, read once; `SSL_CERT_FILE` and `SSL_CERT_DIR` are obeyed.
fn system_roots() -> Result<Arc<RootCertStore>, TlsError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        // Machines have certificates that are too old to be read: the others count.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    if roots.is_empty() { Err(TlsError::NoAnchors) } else { Ok(roots.clone()) }
}

/// Takes what the socket has through `session` into `out`; 0 octets is the end of the stream.
pub(super) fn read(
    session: &mut ClientConnection,
    mut socket: &Socket,
    out: &mut [u8],
) -> io::Result<usize> {
    loop {
        match session.reader().read(out) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
        let len = session.read_tls(&mut socket)?;
        if let Err(error) = session.process_new_packets() {
            // The alert tells the server why; whether it arrives does not matter.
            let _ = session.write_tls(&mut socket);
            return Err(io::Error::new(io::ErrorKind::InvalidData, explained(error)));
        }
        if len == 0 {
            return Ok(0);
        }
        if session.wants_write() {
            let _ = write(session, socket, &mut Vec::new())?;
        }
    }
}

/// RFC 7301 §3.2: a server that speaks none of the protocols we offered says so by an alert.
fn explained(error: rustls::Error) -> Box<dyn std::error::Error + Send + Sync> {
    use rustls::{AlertDescription::NoApplicationProtocol, Error::AlertReceived};
    match error {
        AlertReceived(NoApplicationProtocol) => HttpError::Http2.into(),
        other => other.into(),
    }
}

/// Gives `unsent` to `session`, and to the socket what that makes of it; whether all is out.
pub(super) fn write(
    session: &mut ClientConnection,
    mut socket: &Socket,
    unsent: &mut Vec<u8>,
) -> io::Result<bool> {
    if !session.is_handshaking() && !unsent.is_empty() {
        session.writer().write_all(unsent)?;
        unsent.clear();
    }
    while session.wants_write() {
        match session.write_tls(&mut socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            result => drop(result?),
        }
    }
    Ok(true)
}
