//! Floor 2: forward error correction: any `k` of `k + m` chunks give back the `k` source chunks.
//!
//! ```text
//! gf256          the field: bytes with addition and multiplication
//! kernel/*       out = matrix · sources over whole chunks, per instruction set
//! reed_solomon   the codec: encode, reconstruct (GF(2^8) to 255 chunks, a library above)
//! block          chunks of unequal length; the lengths are protected too; block/recovery: what is
//!                lost, decided before it is computed
//! transfer       one transfer back from its datagrams, per sender; transfer_send makes them
//! sliding        repair across messages, without waiting for a block to fill (RFC 8681)
//! ```

pub mod block;
pub mod error;
pub mod gf256;
pub mod kernel;
pub mod reed_solomon;
pub mod sliding;
pub mod sliding_decoder;
pub mod tinymt;
pub mod transfer;
pub mod transfer_send;
