//! Requests in the words of those who know reqwest: `client.get(url).send().await?.text()`.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri};

use super::client_response::ClientResponse;
use super::{MeshClient, MeshError, StreamInfo};
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
pub struct RequestBuilder<T> {
    client: MeshClient<T>,
    request: http::request::Builder,
    /// Pairs for the query, as they stand in a URL.
    query: String,
    body: Body,
    /// Whether the body is JSON, which its header says unless another says otherwise.
    is_json: bool,
    /// Why there can be no such request.
    fault: Option<BoxError>,
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
    pub fn get<U>(&self, url: U) -> RequestBuilder<T>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        self.request(Method::GET, url)
    }

    /// A `POST` request.
    pub fn post<U>(&self, url: U) -> RequestBuilder<T>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        self.request(Method::POST, url)
    }

    /// A `PUT` request.
    pub fn put<U>(&self, url: U) -> RequestBuilder<T>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        self.request(Method::PUT, url)
    }

    /// A `PATCH` request.
    pub fn patch<U>(&self, url: U) -> RequestBuilder<T>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        self.request(Method::PATCH, url)
    }

    /// A `DELETE` request.
    pub fn delete<U>(&self, url: U) -> RequestBuilder<T>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        self.request(Method::DELETE, url)
    }

    /// A `HEAD` request.
    pub fn head<U>(&self, url: U) -> RequestBuilder<T>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        self.request(Method::HEAD, url)
    }

    /// A request with this method.
    pub fn request<U>(&self, method: Method, url: U) -> RequestBuilder<T>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        RequestBuilder {
            client: self.clone(),
            request: Request::builder().method(method).uri(url),
            query: String::new(),
            body: Body::empty(),
            is_json: false,
            fault: None,
        }
    }
}

impl<T: Transport + Clone> RequestBuilder<T> {
    /// The same with one more line of a header.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        self.request = self.request.header(name, value);
        self
    }

    /// The same with this body: text, bytes, or a [`Body`]. For a body of another kind, such as
    /// axum's, see [`stream`](Self::stream).
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.is_json = false;
        self.body = body.into();
        self
    }

    /// The same with a body of any kind, sent as it comes: axum's, reqwest's, hyper's `Incoming`.
    ///
    /// ```
    /// # #[cfg(all(feature = "yaml", feature = "client"))]
    /// # async fn example(mesh: tower_mesh::mesh::Mesh) -> Result<(), Box<dyn std::error::Error>> {
    /// # let request = axum::extract::Request::new(axum::body::Body::empty());
    /// let client = mesh.client();
    /// let response = client.put("http://store/a").stream(request.into_body()).send().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream<B>(self, body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        self.body(Body::new(body))
    }

    /// The same with more parameters at the end of the URL's query; names and values are escaped.
    ///
    /// ```
    /// # #[cfg(all(feature = "yaml", feature = "client"))]
    /// # async fn example(mesh: tower_mesh::mesh::Mesh) -> Result<(), Box<dyn std::error::Error>> {
    /// let client = mesh.client();
    /// let books = client.get("http://books/search").query([("title", "war & peace")]).send().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn query<N, V>(mut self, pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        for (name, value) in pairs {
            if !self.query.is_empty() {
                self.query.push('&');
            }
            escape(name.as_ref(), &mut self.query);
            self.query.push('=');
            escape(value.as_ref(), &mut self.query);
        }
        self
    }

    /// The same with this value as JSON in its body, and `content-type: application/json` unless the
    /// request says another, before or after.
    #[cfg(feature = "json")]
    pub fn json<V: serde::Serialize + ?Sized>(mut self, value: &V) -> Self {
        match serde_json::to_vec(value) {
            Ok(text) => {
                self.is_json = true;
                self.body = Body::from(text);
            }
            Err(error) => self.fault = Some(error.into()),
        }
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
        if let Some(fault) = self.fault {
            return Err(invalid(fault));
        }
        let request = self.request.body(self.body);
        let mut request = request.map_err(|error| invalid(error.into()))?;
        if !self.query.is_empty() {
            let uri = with_query(request.uri(), &self.query);
            *request.uri_mut() = uri.map_err(|error| invalid(error.into()))?;
        }
        if self.is_json {
            let kind = HeaderValue::from_static("application/json");
            request.headers_mut().entry(CONTENT_TYPE).or_insert(kind);
        }
        let response: Response<_> = self.client.send(request).await?;
        Ok(ClientResponse::new(response))
    }
}

/// The URL with these parameters after those it has.
fn with_query(uri: &Uri, query: &str) -> Result<Uri, http::Error> {
    let mut parts = uri.clone().into_parts();
    let target = parts
        .path_and_query
        .as_ref()
        .map_or("/", PathAndQuery::as_str);
    let between = if target.contains('?') { '&' } else { '?' };
    parts.path_and_query = Some(format!("{target}{between}{query}").try_into()?);
    Ok(Uri::from_parts(parts)?)
}

/// Writes text as it may stand in a query, whatever it holds.
fn escape(text: &str, query: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                query.push(char::from(byte));
            }
            // Writing to a String cannot fail.
            _ => drop(write!(query, "%{byte:02X}")),
        }
    }
}

/// The parts do not make a request.
fn invalid(error: BoxError) -> MeshError {
    let text = error.to_string();
    let reply = LocalReply::new(StatusCode::BAD_REQUEST, ResponseFlags::default());
    let cause: Arc<dyn Error + Send + Sync> = Arc::from(error);
    MeshError::new(reply.body(text), Some(cause), &StreamInfo::default())
}
