//! The impairments: one impairment, one file, with its formula and source.
//!
//! A packet meets them in this order, whatever the order they are configured in:
//!
//! ```text
//! loss -> duplicate -> queue limit -> delay (+ jitter) -> reorder
//! ```
//!
//! So a lost packet is never duplicated (tc-netem draws the duplicate first, and a packet that is
//! both duplicated and lost leaves exactly one copy there), a copy cannot be lost by the loss
//! model, and a dropped packet does not count as one that overtook.
//!
//! Rules of this folder: an impairment decides from its configuration, the flow's model state and
//! the packet's own [`Draws`](crate::random::Draws); it reads no clock and allocates nothing.

mod delay;
mod duplicate;
mod loss;
mod reorder;

pub use delay::Delay;
pub use duplicate::Duplicate;
pub use loss::Loss;
pub use reorder::{DISTANCE_DEFAULT, DISTANCE_MAX, FLUSH_DEFAULT, Reorder};

/// What a draw is for. The numbers are part of the generator's counter layout: they never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Impairment {
    /// Which packets are lost.
    Loss = 1,
    /// Which packets get a second copy.
    Duplicate = 2,
    /// How long packets are delayed.
    Delay = 3,
    /// Which packets are held back.
    Reorder = 4,
}
