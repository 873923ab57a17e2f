//! Requests in the words of those who know reqwest: `client.get(url).send().await?.text()`.

use std::error::Error;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};

use super::client_response::ClientResponse;
use super::{MeshClient, MeshError};
use crate::body::{Body, BoxError};
use crate::context::ResponseFlags;
use crate::reply::LocalReply;
use crate::transport::Transport;

/// A request of a [`MeshClient`] in the making; [`send`](Self::send) sends it.
///
/// What is wrong with its parts (a URL that is none, a header that cannot be one) is told when it
/// is sent, as a [`MeshError`] of the kind [`InvalidRequest`](super::ErrorKind::InvalidRequest).
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder<'c, T> {
    client: &'c MeshClient<T>,
    request: http::request::Builder,
    body: Body,
}

impl<T: Transport + Clone> MeshClient<T> {
    /// A `GET` request.
    ///
    /// ```
    /// # #[cfg(all(feature = "yaml", feature = "client"))]
    /// # async fn example(mesh: tower_mesh::mesh::Mesh) -> Result<(), Box<dyn std::error::Error>> {
    /// let client = mesh.client();
    /// let response = client.get("http://reviews/reviews/1").header("end-user", "jason").send().await?;
    /// println!("{} {}", response.status(), response.text().await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn get<U>(&self, url: U) -> RequestBuilder<'_, T>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        self.request(Method::GET, url)
    }

    /// A `POST` request.
    pub fn post<U>(&self, url: U) -> RequestBuilder<'_, T>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        self.request(Method::POST, url)
    }

    /// A `PUT` request.
    pub fn put<U>(&self, url: U) -> RequestBuilder<'_, T>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        self.request(Method::PUT, url)
    }

    /// A `PATCH` request.
    pub fn patch<U>(&self, url: U) -> RequestBuilder<'_, T>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        self.request(Method::PATCH, url)
    }

    /// A `DELETE` request.
    pub fn delete<U>(&self, url: U) -> RequestBuilder<'_, T>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        self.request(Method::DELETE, url)
    }

    /// A `HEAD` request.
    pub fn head<U>(&self, url: U) -> RequestBuilder<'_, T>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        self.request(Method::HEAD, url)
    }

    /// A request with this method.
    pub fn request<U>(&self, method: Method, url: U) -> RequestBuilder<'_, T>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        RequestBuilder {
            client: self,
            request: Request::builder().method(method).uri(url),
            body: Body::empty(),
        }
    }
}

impl<T: Transport + Clone> RequestBuilder<'_, T> {
    /// The same with one more line of a header.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        self.request = self.request.header(name, value);
        self
    }

    /// The same with this body: text, bytes, or a [`Body`] that streams.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// The same with something of the caller's own beside it, for a transport of the caller's own.
    pub fn extension<E: Clone + Send + Sync + 'static>(mut self, extension: E) -> Self {
        self.request = self.request.extension(extension);
        self
    }

    /// Sends it. Dropping the future cancels the request.
    ///
    /// # Errors
    ///
    /// When no response could be had; [`MeshError::kind`] says why. A response is one whatever its
    /// status.
    pub async fn send(self) -> Result<ClientResponse<T::ResponseBody>, MeshError> {
        let request = self.request.body(self.body).map_err(invalid)?;
        let response: Response<_> = self.client.send(request).await?;
        Ok(ClientResponse::new(response))
    }
}

/// The parts do not make a request.
fn invalid(error: http::Error) -> MeshError {
    let text = error.to_string();
    let reply = LocalReply::new(StatusCode::BAD_REQUEST, ResponseFlags::default());
    let error: BoxError = error.into();
    let cause: Arc<dyn Error + Send + Sync> = Arc::from(error);
    MeshError::new(reply.body(text), Some(cause))
}
