//! Floor 2: small machines that know bytes and time but no protocol.

pub mod dedup;
pub mod digest;
pub mod peer_table;
pub mod time;
