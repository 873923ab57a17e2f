//! Every layer by itself and the mesh as a whole, around a service that insists on tower's contract:
//! ready before call, the clone that was readied is the one called, and whatever is dropped at
//! whatever place leaves nothing behind.

#![allow(clippy::unwrap_used, reason = "a broken test may panic")]

mod abandoned;
mod counting;
mod layers;
mod mesh;
