//! Floor 2: small machines that know bytes and time but no protocol.

pub mod dedup;
pub mod digest;
pub mod peer_table;
pub mod time;
//! Floor 2: small machines that any protocol can use: buckets, buffers, reassembly.

pub mod jitter_buffer;
pub mod reassembly;
pub mod token_bucket;
