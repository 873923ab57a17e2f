//! Asking the mesh what it would do with a request.

use http::Request;
use http::request::Parts;

use super::{Forward, Mesh, codec, hop, prepare};
use crate::context::Claims;
use crate::plan::{Asked, Explanation, explain, no_route, refused};
use crate::reply::{LocalReply, is_grpc};
use crate::rt::Rng;

impl Mesh {
    /// What a [`client`](Self::client) would do with a request, and why.
    ///
    /// The answer is made by the code that routes traffic, under the rules in
    /// force now; nothing is sent, no dice are rolled and no counter moves. The
    /// port of the request's URI decides which rules it meets, else its scheme's
    /// own. What only time can tell (which endpoint, whether it answers) is not
    /// part of it.
    ///
    /// ```
    /// # #[cfg(feature = "yaml")]
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_mesh::mesh::{Action, Mesh};
    ///
    /// let (mesh, _) = Mesh::builder().yaml("
    /// apiVersion: networking.istio.io/v1
    /// kind: VirtualService
    /// metadata: {name: shop}
    /// spec:
    ///   hosts: [shop.example.com]
    ///   http:
    ///   - match: [{uri: {prefix: /old}}]
    ///     redirect: {uri: /new}
    ///   - route: [{destination: {host: shop.example.com}}]
    /// ").build()?;
    /// let (request, ()) = http::Request::get("http://shop.example.com/").body(())?.into_parts();
    /// let explanation = mesh.explain(&request);
    /// assert_eq!(explanation.action, Action::Forward);
    /// assert_eq!(explanation.route, Some(1));
    /// assert_eq!(
    ///     explanation.rejected[0].because,
    ///     "uri: prefix \"/old\" does not match \"/\"",
    /// );
    /// # Ok(())
    /// # }
    /// # #[cfg(feature = "yaml")]
    /// # example().unwrap();
    /// ```
    #[must_use]
    pub fn explain(&self, request: &Parts) -> Explanation {
        let request = request_of(request);
        let port = super::client::port_of(&request);
        ask(self, false, port, request)
    }

    /// The same for a request addressed to this port, whatever its URI says.
    #[must_use]
    pub fn explain_at(&self, port: u16, request: &Parts) -> Explanation {
        ask(self, false, port, request_of(request))
    }
}

impl<T> Forward<T> {
    /// What this proxy would do with a request, and why; see [`Mesh::explain`].
    #[must_use]
    pub fn explain(&self, request: &Parts) -> Explanation {
        let (mesh, port) = self.addressed();
        ask(mesh, true, port, request_of(request))
    }
}

/// The request without what no rule looks at.
fn request_of(parts: &Parts) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.version_mut() = parts.version;
    *request.headers_mut() = parts.headers.clone();
    if let Some(claims) = parts.extensions.get::<Claims>() {
        request.extensions_mut().insert(claims.clone());
    }
    request
}

/// What becomes of a request at the proxy border or at the client's.
fn ask(mesh: &Mesh, proxy: bool, port: u16, mut request: Request<()>) -> Explanation {
    let summary = format!("{} {}", request.method(), request.uri());
    let (authority, scheme) = match receive(mesh, proxy, &mut request) {
        Ok(received) => received,
        Err(reply) => return refused(summary, port, is_grpc(request.headers()), reply),
    };
    let asked = Asked {
        request: &request,
        authority: &authority,
        scheme: &scheme,
        port,
    };
    explain(&mesh.plan(), &mesh.shared.options.source, asked)
}

/// Does what is done to every request before it is routed; gives its authority and its scheme.
fn receive(
    mesh: &Mesh,
    proxy: bool,
    request: &mut Request<()>,
) -> Result<(String, String), LocalReply> {
    if proxy {
        hop::read_host(request);
        codec::check(request)?;
        if !prepare::has_authority(request) {
            return Err(prepare::no_host(false));
        }
    }
    prepare::normalize(request, mesh.shared.path_normalization, proxy)?;
    let scheme = if proxy {
        hop::receive(request.headers_mut(), &Rng::seeded(0), false);
        hop::scheme(request).ok_or_else(no_route)?
    } else {
        request.uri().scheme_str().unwrap_or("http")
    };
    let scheme = scheme.to_owned();
    let named = prepare::authority(request).ok_or_else(|| prepare::no_host(!proxy))?;
    Ok((named.authority.to_owned(), scheme))
}
