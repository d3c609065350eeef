//! The photo shop: people look at photos, search them, upload their own and order prints.
//!
//! One program as a solo developer writes it: axum, SQLite in `shop.db`, pages made with maud, uploads in `uploads/`.
//! It knows nothing of fissure; two copies of it may run in one folder.

mod database;
mod files;
mod home;
mod orders;
mod page;
mod photos;
mod refusal;
mod search;
mod seed;
mod session;
mod shop;
mod thumbnail;

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

pub use files::FILES;
use shop::Shop;
pub use thumbnail::shrink;

/// The largest photo that may be uploaded.
const UPLOAD_BYTES_MAX: usize = 10 << 20;

/// How long requests may take to finish after SIGTERM.
const GOODBYE: Duration = Duration::from_secs(3);

/// Why the shop could not open, or had to close.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    #[error("the shop cannot use shop.db: {0}; is the folder writable?")]
    Database(#[from] rusqlite::Error),
    #[error("the shop cannot write its sample photos: {0}")]
    Picture(#[from] image::ImageError),
    #[error("the shop cannot listen on 127.0.0.1:{port}: {source}; is another program using the port?")]
    Port { port: u16, source: std::io::Error },
    #[error("the shop cannot run: {0}")]
    System(#[from] std::io::Error),
}

/// Opens the shop in `folder` and serves it on 127.0.0.1:`port` until SIGTERM or Ctrl-C.
pub fn main(folder: &Path, port: u16) -> Result<(), ShopError> {
    let shop = Shop::open(folder)?;
    // What `#[tokio::main]` does: a worker per CPU that this process may use.
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    let served = runtime.block_on(serve(shop, port, workers));
    runtime.shutdown_timeout(Duration::from_millis(100));
    served
}

async fn serve(shop: Shop, port: u16, workers: usize) -> Result<(), ShopError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|source| ShopError::Port { port, source })?;
    writeln!(
        std::io::stderr(),
        "photo-shop: open on http://{} with {workers} workers",
        listener.local_addr()?
    )?;

    let (close, closing) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(listener, router(shop)).with_graceful_shutdown(async {
        let _ = closing.await;
    });
    let server = tokio::spawn(server.into_future());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    let _ = close.send(());
    // A client that never reads its answer must not keep the shop open.
    match tokio::time::timeout(GOODBYE, server).await {
        Ok(Ok(ended)) => Ok(ended?),
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}

fn router(shop: Shop) -> Router {
    Router::new()
        .route("/", get(home::home))
        .route("/login", get(session::login_page).post(session::login))
        .route("/photos", post(photos::upload).layer(DefaultBodyLimit::max(UPLOAD_BYTES_MAX)))
        .route("/photos/{id}", get(photos::photo))
        .route("/photos/{id}/thumb", get(photos::thumb))
        .route("/search", get(search::search))
        .route("/orders", post(orders::order))
        .route("/orders/{id}", get(orders::receipt))
        .route("/health", get(async || "open"))
        .with_state(Arc::new(shop))
}
