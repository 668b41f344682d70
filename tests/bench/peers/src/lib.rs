//! What the two programs share: a certificate for quinn, and the link's other end in virtual time.

#[path = "../../../support/transport/mod.rs"]
pub mod support;

pub mod quinn_pipe;

use quinn_proto::congestion::{BbrConfig, CubicConfig};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use udpcore::transport::Congestion;

/// The name the certificate is for.
pub const NAME: &str = "localhost";

/// TLS for both ends of one quinn connection: (client, server).
pub fn tls() -> (Arc<quinn_proto::crypto::rustls::QuicClientConfig>, quinn_proto::ServerConfig) {
    let cert = rcgen::generate_simple_self_signed(vec![NAME.into()]).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(cert.key_pair.serialize_der());
    let chain = vec![CertificateDer::from(cert.cert)];
    let mut roots = rustls::RootCertStore::empty();
    roots.add(chain[0].clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key.into())
        .expect("a certificate");
    let client = quinn_proto::crypto::rustls::QuicClientConfig::try_from(client).expect("suites");
    let server = quinn_proto::crypto::rustls::QuicServerConfig::try_from(server).expect("suites");
    (Arc::new(client), quinn_proto::ServerConfig::with_crypto(Arc::new(server)))
}

/// Windows as large as udpcore's, so that only the congestion controller limits: quinn's CUBIC, or
/// for our BBR its own, which is of the first version and which it calls experimental.
pub fn windows(congestion: Congestion) -> Arc<quinn_proto::TransportConfig> {
    let mut config = quinn_proto::TransportConfig::default();
    let window = quinn_proto::VarInt::from_u32(32 << 20);
    config.stream_receive_window(window).receive_window(window).send_window(32 << 20);
    match congestion {
        Congestion::Bbr => config.congestion_controller_factory(Arc::new(BbrConfig::default())),
        _ => config.congestion_controller_factory(Arc::new(CubicConfig::default())),
    };
    Arc::new(config)
}
