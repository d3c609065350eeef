//! TLS as a client.
//!
//! On loopback every certificate is taken: a development certificate is signed by nobody, nobody can stand in between,
//! and which process answers is known otherwise. Beyond this machine a certificate must hold, by the authorities
//! that the machine trusts. No session is resumed: every connection makes the whole handshake, as a new visitor's does.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use fissure_facts::HttpVersion;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsConnector, rustls};

/// Shakes hands over `tcp` as a client of `host` (a name or an address, without a port). An error is a sentence.
pub async fn shake_hands(
    tcp: TcpStream,
    host: &str,
    offers: &[HttpVersion],
) -> Result<TlsStream<TcpStream>, String> {
    let peer = tcp.peer_addr().map_err(|e| lost(&e))?;
    let config = if peer.ip().to_canonical().is_loopback() { lenient()? } else { strict()? };
    agree(config, tcp, host, offers).await
}

async fn agree(
    config: Arc<ClientConfig>,
    tcp: TcpStream,
    host: &str,
    offers: &[HttpVersion],
) -> Result<TlsStream<TcpStream>, String> {
    let name = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) => ServerName::from(ip),
        Err(_) => ServerName::try_from(host.to_owned())
            .map_err(|_| format!("`{host}` cannot be the name of a server that speaks TLS"))?,
    };
    TlsConnector::from(config)
        .with_alpn(offers.iter().map(|version| protocol_id(*version).to_vec()).collect())
        .connect(name, tcp)
        .await
        .map_err(|e| failed(&e, host, offers))
}

/// The version that the server chose; one that knows nothing of the choice speaks HTTP/1.1.
pub fn chosen(stream: &TlsStream<TcpStream>) -> HttpVersion {
    let is_two = stream.get_ref().1.alpn_protocol() == Some(protocol_id(HttpVersion::Two));
    if is_two { HttpVersion::Two } else { HttpVersion::One }
}

fn protocol_id(version: HttpVersion) -> &'static [u8] {
    match version {
        HttpVersion::One => b"http/1.1",
        HttpVersion::Two => b"h2",
    }
}

fn lenient() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            config(|builder| builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone)))
        })
        .clone()
}

fn strict() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let found = rustls_native_certs::load_native_certs();
            let mut roots = RootCertStore::empty();
            if roots.add_parsable_certificates(found.certs).0 == 0 {
                return Err(
                    "this machine trusts no certificate authority: install `ca-certificates`, or name a file in SSL_CERT_FILE"
                        .to_owned(),
                );
            }
            config(|builder| builder.with_root_certificates(roots))
        })
        .clone()
}

type Unsure = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;
type Sure = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn config(whom_to_trust: impl FnOnce(Unsure) -> Sure) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS is not to be had on this machine ({e})"))?;
    let mut config = whom_to_trust(builder).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(ring::default_provider())))
}

/// Takes every certificate unread, also one that is out of date or of another name.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

fn lost(error: &io::Error) -> String {
    format!("the connection was lost during the handshake of TLS ({error})")
}

/// What went wrong, whose fault it is, and what to try.
fn failed(error: &io::Error, host: &str, offers: &[HttpVersion]) -> String {
    let Some(reason) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                "the server closed the connection during the handshake of TLS: does this port speak TLS (https)?"
                    .to_owned()
            }
            _ => lost(error),
        };
    };
    match reason {
        Error::InvalidMessage(_) => format!(
            "the server's answer is not TLS ({reason}): this port speaks something else, perhaps plain http"
        ),
        Error::InvalidCertificate(why) => format!(
            "the certificate of `{host}` does not hold ({why}): it is the server's to repair; an authority of your own is trusted when SSL_CERT_FILE names its certificate"
        ),
        Error::NoApplicationProtocol | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            let offered: Vec<String> = offers.iter().map(ToString::to_string).collect();
            format!(
                "the server does not speak {} over TLS: offer it another version of HTTP",
                offered.join(" or ")
            )
        }
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server asks for a certificate of the client, which fissure does not send".to_owned()
        }
        Error::AlertReceived(AlertDescription::ProtocolVersion) | Error::PeerIncompatible(_) => format!(
            "the server does not speak TLS 1.2 or 1.3 with a cipher of today ({reason}): it is the server's to repair"
        ),
        Error::AlertReceived(alert) => {
            format!("the server broke off the handshake of TLS ({alert:?}): its log says why")
        }
        _ => format!("the handshake of TLS failed ({reason})"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;

    use super::*;

    /// What a client of `host` says that trusts the authority of the server's certificate, or not.
    async fn said(trusted: bool, host: &str) -> Option<String> {
        let made = rcgen::generate_simple_self_signed(["own.test".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        if trusted {
            roots.add(made.cert.der().clone()).unwrap();
        }
        let client = config(|builder| builder.with_root_certificates(roots)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (_, agreed) = tokio::join!(
            TlsAcceptor::from(Arc::new(server)).accept(stream),
            agree(client, tcp, host, &[HttpVersion::One])
        );
        agreed.err()
    }

    #[tokio::test]
    async fn beyond_loopback_a_certificate_must_hold_and_what_is_wrong_is_said() {
        assert_eq!(said(true, "own.test").await, None);
        let unknown = said(false, "own.test").await.unwrap();
        assert!(unknown.contains("does not hold") && unknown.contains("SSL_CERT_FILE"), "{unknown}");
        let other = said(true, "other.test").await.unwrap();
        assert!(other.contains("certificate of `other.test`") && other.contains("own.test"), "{other}");
    }
}
