//! From an address to a stream of bytes: what comes before HTTP.

use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::io::AsyncWriteExt as _;
use tower_service::Service as _;

use super::connection::Way;
use super::io::Stream;
use super::proxy_protocol;
use crate::endpoint::Address;
use crate::failure::{ClassifyFailure as _, Failure, HttpError, of_connecting};

/// Opens a stream of bytes to an address, as far as HTTP begins.
pub(super) async fn dial(way: &Way, http2: bool) -> Result<Stream, HttpError> {
    let mut stream = plain(way).await?;
    if let Some(version) = way.settings().proxy_protocol {
        let header = proxy_protocol::header(version, &stream);
        let written = stream.write_all(&header).await;
        written.map_err(|error| {
            let failure = Failure::Connect(error.to_string());
            HttpError::caused_by(failure, error)
        })?;
    }
    match &way.secured {
        None => Ok(stream),
        Some(secured) => secured.handshake(stream, http2).await,
    }
}

async fn plain(way: &Way) -> Result<Stream, HttpError> {
    let settings = way.settings();
    #[cfg(unix)]
    if let Address::Unix(path) = &way.address {
        let connected = tokio::net::UnixStream::connect(&**path).await;
        let stream = connected.map_err(|error| HttpError::caused_by(error.classify(), error))?;
        return Ok(Stream::Unix(stream));
    }
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    if let Some(keepalive) = settings.tcp_keepalive {
        connector.set_keepalive(Some(keepalive.time.unwrap_or(TCP_KEEPALIVE_TIME)));
        connector.set_keepalive_interval(keepalive.interval);
        connector.set_keepalive_retries(keepalive.probes);
    }
    let uri = Uri::builder()
        .scheme("http")
        .authority(way.address.to_string())
        .path_and_query("/")
        .build();
    let uri = uri.map_err(|error| {
        let why = "the address cannot be connected to".to_owned();
        HttpError::caused_by(Failure::Connect(why), error)
    })?;
    let connected = connector.call(uri).await;
    let stream = connected.map_err(|error| HttpError::caused_by(of_connecting(&error), error))?;
    Ok(Stream::Tcp(stream.into_inner()))
}

/// What Linux waits before it probes an idle connection.
const TCP_KEEPALIVE_TIME: Duration = Duration::from_secs(7200);
