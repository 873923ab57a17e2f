//! An origin for requests that name none, as those of tonic's clients.

use std::task::{Context, Poll};

use http::Request;
use http::uri::{PathAndQuery, Uri};
use tower_service::Service;

use super::MeshClient;

/// Sends requests that name no host to one. See [`MeshClient::with_origin`].
#[derive(Clone, Debug)]
pub struct WithOrigin<S> {
    inner: S,
    origin: Uri,
}

impl<T> MeshClient<T> {
    /// A client for whoever says paths alone: requests whose URI names no host are for this one.
    ///
    /// Clients that tonic generates are such, so they take this one in the place of a channel,
    /// also where an interceptor stands in between:
    ///
    /// ```
    /// # #[cfg(feature = "client")]
    /// # fn example(mesh: tower_mesh::mesh::Mesh) {
    /// use http::Uri;
    /// use tonic::service::interceptor::InterceptedService;
    /// use tonic::{Request, Status};
    ///
    /// fn token(mut request: Request<()>) -> Result<Request<()>, Status> {
    ///     request.metadata_mut().insert("authorization", "Bearer 1".parse().unwrap());
    ///     Ok(request)
    /// }
    ///
    /// let channel = mesh.client().with_origin(Uri::from_static("http://greeter"));
    /// // GreeterClient::with_interceptor(channel, token) is made of the same.
    /// let greeter = tonic::client::Grpc::new(InterceptedService::new(channel, token));
    /// # }
    /// ```
    ///
    /// The origin's port, or else its scheme's own, decides which rules the requests meet. Its
    /// path, if it has one, comes before theirs; a URI that names a host stays as it is. An origin
    /// that names no host itself changes nothing, and the requests are refused as
    /// [`InvalidRequest`](super::ErrorKind::InvalidRequest).
    #[must_use]
    pub fn with_origin(self, origin: Uri) -> WithOrigin<Self> {
        WithOrigin {
            inner: self,
            origin,
        }
    }
}

/// The URI with what it lacks of this origin; nothing where the two make none.
fn at(origin: &Uri, uri: Uri) -> Option<Uri> {
    let mut parts = uri.into_parts();
    parts.scheme = origin.scheme().cloned();
    parts.authority = origin.authority().cloned();
    let prefix = origin.path().trim_end_matches('/');
    if !prefix.is_empty() {
        let target = parts.path_and_query.as_ref();
        let target = target.map_or("/", PathAndQuery::as_str);
        parts.path_and_query = Some(format!("{prefix}{target}").try_into().ok()?);
    }
    Uri::from_parts(parts).ok()
}

impl<S, B> Service<Request<B>> for WithOrigin<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let is_named = request.uri().authority().is_some();
        if !is_named
            && self.origin.authority().is_some()
            && let Some(uri) = at(&self.origin, request.uri().clone())
        {
            *request.uri_mut() = uri;
        }
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::at;

    #[test]
    fn an_origin_gives_what_is_missing() {
        #[track_caller]
        fn check(origin: &'static str, uri: &'static str, want: &str) {
            let uri = at(&Uri::from_static(origin), Uri::from_static(uri));
            assert_eq!(uri.expect("a URI").to_string(), want);
        }
        check("http://a.com", "/b?c", "http://a.com/b?c");
        check("https://a.com:8443/", "/b", "https://a.com:8443/b");
        check("http://a.com/x/", "/b?c", "http://a.com/x/b?c");
    }
}
