//! How a layer finds its policy: its own when used alone, the matched route's inside a mesh.
//!
//! Every layer is generic over a [`Select`]. Used alone it holds its policy in
//! an [`Own`]; in a mesh the same layer reads the policy of the route the
//! request was matched to, which travels with the request's body. What a test
//! of a layer proves therefore holds in the mesh.

use std::ops::Deref;
use std::sync::Arc;

use http::Request;

/// Finds the policy `P` for a request with the body `B`.
///
/// A layer needs its policy twice: borrowed when the request comes, and held
/// until the response is there. Nothing is found where the route has no such
/// policy; the layer then passes the request through.
pub trait Select<P, B> {
    /// A policy kept for the time of a response.
    type Held: Deref<Target = P>;

    /// The policy, borrowed.
    fn get<'a>(&'a self, request: &'a Request<B>) -> Option<&'a P>;

    /// The policy, to keep.
    fn hold(&self, request: &Request<B>) -> Option<Self::Held>;
}

/// The policy a layer brings along when it is used alone; clones share it.
#[derive(Debug, Default)]
pub struct Own<P>(Arc<P>);

impl<P> Own<P> {
    /// A policy for every request.
    pub fn new(policy: P) -> Self {
        Self(Arc::new(policy))
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &P {
        &self.0
    }
}

impl<P> Clone for Own<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P, B> Select<P, B> for Own<P> {
    type Held = Arc<P>;

    fn get<'a>(&'a self, _: &'a Request<B>) -> Option<&'a P> {
        Some(&self.0)
    }

    fn hold(&self, _: &Request<B>) -> Option<Arc<P>> {
        Some(self.0.clone())
    }
}
