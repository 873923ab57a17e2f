//! Istio traffic management as tower layers, inside your own process.
pub mod api;
pub mod diagnostic;
pub mod duration;
