//! A certificate of the door's own, for this machine's names only, signed by itself.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, rustls};

use crate::tls;

const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("the certificate {path} cannot be read or written: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("no certificate can be made ({0})")]
    Made(#[from] rcgen::Error),
    #[error("{path} holds no certificate with its key ({reason}): delete the folder, and a new one is made")]
    Broken { path: PathBuf, reason: String },
}

/// With its key.
#[derive(Clone)]
pub struct Certificate {
    acceptor: TlsAcceptor,
    file: PathBuf,
}

impl Certificate {
    /// The certificate in `folder`, made there the first time: a browser that was told to trust it goes on to.
    pub fn in_folder(folder: &Path) -> Result<Self, CertificateError> {
        let (file, key) = (folder.join(CERTIFICATE), folder.join(KEY));
        if !(file.exists() && key.exists()) {
            make(folder, &file, &key)?;
        }
        let broken = |reason: String| CertificateError::Broken { path: folder.to_owned(), reason };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&file)
            .and_then(Iterator::collect)
            .map_err(|e| broken(e.to_string()))?;
        let key = PrivateKeyDer::from_pem_file(&key).map_err(|e| broken(e.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|e: rustls::Error| broken(e.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), file })
    }

    /// For clients that want to trust it.
    pub fn file(&self) -> &Path {
        &self.file
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}

fn make(folder: &Path, file: &Path, key: &Path) -> Result<(), CertificateError> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names)?;
    std::fs::create_dir_all(folder)
        .map_err(|source| CertificateError::File { path: folder.to_owned(), source })?;
    let write = |path: &Path, text: String| {
        let options = || OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path);
        options()
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|source| CertificateError::File { path: path.to_owned(), source })
    };
    write(key, made.signing_key.serialize_pem())?;
    write(file, made.cert.pem())
}
