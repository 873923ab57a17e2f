//! What a token says of who sends a request.

use std::collections::BTreeMap;

use http::Extensions;

/// The claims of a request's JWT, as whatever has verified it found them: it puts them into the
/// request's extensions.
///
/// Rules of a gateway match them by `@request.auth.claims.NAME` or `@request.auth.claims[NAME]`,
/// further names leading into nested claims. As under Istio, a claim is a text or a list of texts,
/// of which one that matches is enough. The library verifies nothing: without this in the extensions a request
/// has no claims.
///
/// Source: Istio's JWT claim based routing.
///
/// ```
/// # #[cfg(feature = "yaml")]
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_mesh::context::Claims;
/// use tower_mesh::mesh::Mesh;
///
/// let rules = "
/// apiVersion: networking.istio.io/v1
/// kind: Gateway
/// metadata: {name: edge}
/// spec:
///   servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
/// ---
/// apiVersion: networking.istio.io/v1
/// kind: VirtualService
/// metadata: {name: shop}
/// spec:
///   hosts: [shop.example.com]
///   gateways: [edge]
///   http:
///   - match: [{headers: {'@request.auth.claims.groups': {exact: testers}}}]
///     directResponse: {status: 200}
///   - directResponse: {status: 403}
/// ";
/// let (mesh, _) = Mesh::builder().gateway("default/edge").yaml(rules).build()?;
/// let mut request = http::Request::get("http://shop.example.com/").body(())?;
/// let claims = Claims::new().claim(&["sub"], &["jason"]).claim(&["groups"], &["all", "testers"]);
/// request.extensions_mut().insert(claims);
/// assert_eq!(mesh.explain(&request.into_parts().0).status, Some(http::StatusCode::OK));
/// # Ok(())
/// # }
/// # #[cfg(feature = "yaml")]
/// # example().unwrap();
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Claims(BTreeMap<Vec<String>, Vec<String>>);

impl Claims {
    /// No claims.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with this claim, a text or several; names after the first lead into nested claims.
    #[must_use]
    pub fn claim(mut self, path: &[&str], values: &[&str]) -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|it| (*it).to_owned()).collect();
        self.0.insert(owned(path), owned(values));
        self
    }

    /// The texts of the claim that a request has there.
    pub(crate) fn of<'r>(extensions: Option<&'r Extensions>, path: &[String]) -> &'r [String] {
        let claims = extensions.and_then(Extensions::get::<Self>);
        let values = claims.and_then(|it| it.0.get(path));
        values.map(Vec::as_slice).unwrap_or_default()
    }
}
