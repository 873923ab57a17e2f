//! `trafficPolicy.loadBalancer`: which endpoint of a destination a request goes to.
//!
//! The default, `LEAST_REQUEST`, draws two endpoints at random, with
//! replacement, and takes the one with fewer requests under way; of two equals
//! the first. A pick reads counters and writes none; the request is counted when
//! it begins and until its response body ends.
//!
//! Source: Istio's `LoadBalancerSettings`, Envoy's least request balancer.

mod least_request;

pub use least_request::least_request;
