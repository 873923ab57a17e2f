//! A response as a client reads it: head at once, body when asked for.

use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};

use super::ResponseBody;
use crate::body::{BodyError, BoxError};

/// The most bytes [`ClientResponse::bytes`] and [`ClientResponse::text`] read: 16 MiB.
const LIMIT: usize = 16 << 20;

/// The response to a request of a [`RequestBuilder`](super::RequestBuilder).
///
/// It is an [`http::Response`], so status, headers and extensions are read as there; which rule
/// the request fell under stands in its body's [`info`](ResponseBody::info). The request counts as
/// under way until the body has been read or this is dropped.
#[derive(Debug)]
pub struct ClientResponse<B>(Response<ResponseBody<B>>);

impl<B> ClientResponse<B> {
    pub(super) const fn new(response: Response<ResponseBody<B>>) -> Self {
        Self(response)
    }

    /// The response as any other, such as to stream its body.
    #[must_use]
    pub fn into_inner(self) -> Response<ResponseBody<B>> {
        self.0
    }
}

impl<B> ClientResponse<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    /// The whole body, up to 16 MiB.
    ///
    /// ```
    /// # use tower_mesh::mesh::MeshClient;
    /// # use tower_mesh::transport::Transport;
    /// # async fn example<T>(client: MeshClient<T>) -> Result<(), Box<dyn std::error::Error>>
    /// # where
    /// #     T: Transport + Clone,
    /// #     T::ResponseBody: http_body::Body<Data = bytes::Bytes>,
    /// #     <T::ResponseBody as http_body::Body>::Error: Into<tower_mesh::body::BoxError>,
    /// # {
    /// let response = client.get("http://reviews/reviews/1").send().await?;
    /// let review: serde_json::Value = serde_json::from_slice(&response.bytes().await?)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the response breaks off, comes later than the route's timeout, or is longer.
    pub async fn bytes(self) -> Result<Bytes, BodyError> {
        self.bytes_up_to(LIMIT).await
    }

    /// The whole body, up to this many bytes.
    ///
    /// # Errors
    ///
    /// When the response breaks off, comes later than the route's timeout, or is longer.
    pub async fn bytes_up_to(self, limit: usize) -> Result<Bytes, BodyError> {
        let body = Limited::new(self.0.into_body(), limit);
        let whole = body.collect().await.map_err(BodyError::new)?;
        Ok(whole.to_bytes())
    }

    /// The value that the whole body, up to 16 MiB of it, says in JSON.
    ///
    /// ```
    /// # #[cfg(all(feature = "yaml", feature = "client"))]
    /// # async fn example(mesh: tower_mesh::mesh::Mesh) -> Result<(), Box<dyn std::error::Error>> {
    /// let client = mesh.client();
    /// let rating = serde_json::json!({"stars": 5});
    /// let response = client.post("http://ratings/").json(&rating).send().await?;
    /// let stored: serde_json::Value = response.json().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the response breaks off, comes later than the route's timeout, or is longer; when it is
    /// not JSON, or not of such a value.
    #[cfg(feature = "json")]
    pub async fn json<V: serde::de::DeserializeOwned>(self) -> Result<V, BodyError> {
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(BodyError::new)
    }

    /// The whole body as text, up to 16 MiB; what is not UTF-8 is replaced by `U+FFFD`.
    ///
    /// # Errors
    ///
    /// When the response breaks off, comes later than the route's timeout, or is longer.
    pub async fn text(self) -> Result<String, BodyError> {
        let bytes = self.bytes().await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl<B> Deref for ClientResponse<B> {
    type Target = Response<ResponseBody<B>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<B> DerefMut for ClientResponse<B> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<B> From<ClientResponse<B>> for Response<ResponseBody<B>> {
    fn from(response: ClientResponse<B>) -> Self {
        response.0
    }
}
