//! Control over HTTP: what a running network does, read and changed from outside.
//!
//! ```text
//! GET  /              a page with moving plots       GET   /metrics   for Prometheus
//! GET  /stats         the counters as JSON           GET   /log       the decision log
//! GET  /links/up      what one direction does        PATCH /links/up  {"loss": "10%"}
//! POST /rebind        {"flow": 0}, or {} for all     POST  /reset     as at the start
//! ```
//!
//! Listens on loopback only unless told otherwise. A page of another origin can neither read (no
//! CORS) nor change anything (a change needs `application/json`, for which a browser asks first),
//! and a name that somebody else points at this machine is refused (`Host` must be local).
//!
//! Rules of this folder: everything but `server` is as pure as the pipeline; bytes from outside
//! never panic; every limit is a named constant.

pub mod http;
pub mod json;
mod metrics;
mod routes;
mod server;

pub use metrics::metrics;
#[cfg(feature = "cli")]
pub(crate) use routes::link_stats;
pub use routes::respond;
pub use server::{Control, ControlError};
