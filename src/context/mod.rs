//! What a response can tell about how it came to be, in Envoy's words.

mod flags;

pub use flags::ResponseFlags;
