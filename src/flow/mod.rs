//! Floor 2: small machines that know bytes and time but no protocol.

pub mod dedup;
pub mod digest;
pub mod jitter_buffer;
pub mod peer_table;
pub mod reassembly;
pub mod time;
pub mod token_bucket;
