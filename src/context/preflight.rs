//! A note on responses: this one answers a CORS preflight.

/// In the extensions of a response that answers a CORS preflight in place of an upstream.
///
/// Operations on response headers pass such a response by, as the sidecar's do.
#[derive(Clone, Copy, Debug)]
pub struct Preflight;
