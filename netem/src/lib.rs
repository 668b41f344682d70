//! A seeded network emulator: same seed, same packets, same verdicts.
//!
//! ```text
//! units, packet, random        words: a time, a probability, a direction, a draw
//! impair/*                     one impairment, one file: loss, delay, rate, corruption, rules…
//! link                         one direction: the ordered pipeline, sans-IO, verdict + reason
//! log, replay, fault, shrink   what was decided: read back, repeated, reduced to what matters
//! profile, scenario, tc        networks by name, in TOML with a timeline, in tc's own words
//! sim | relay | stream | bridge    the drivers of that pipeline: virtual time, UDP, TCP, packets
//! live                         running networks: what can be seen of them and changed
//! run                          two namespaces with a bridge between, to run commands in
//! capture                      what passes, as a pcapng file with the reason of every drop
//! control                      running networks read and changed over HTTP, with a page
//! cli                          the command line around the drivers
//! ```
//!
//! Rules of this crate: it knows nothing of `udpcore`; outside the drivers nobody reads a clock,
//! opens a socket or starts a thread; every random draw is a pure function of the seed and of
//! what is drawn for ([`random`]); no float takes part in a decision; every drop has a reason.

#[cfg(all(target_os = "linux", feature = "raw"))]
pub mod bridge;
pub mod capture;
#[cfg(feature = "cli")]
pub mod cli;
pub mod control;
pub mod fault;
pub mod impair;
pub mod link;
pub mod live;
pub mod log;
pub mod packet;
pub mod profile;
pub mod random;
pub mod relay;
pub mod replay;
#[cfg(all(target_os = "linux", feature = "raw"))]
pub mod run;
pub mod scenario;
pub mod shrink;
pub mod sim;
pub mod stats;
pub mod stream;
pub mod tc;
pub mod timeline;
pub mod units;
pub mod verdict;

mod clock;
mod flows;
mod held;
mod queue;
mod setting;
mod shaper;
mod suggest;

pub use clock::fresh_seed;
pub use flows::FLOWS_MAX;
pub use link::{Link, LinkConfig, Outcome};
pub use packet::{Direction, FlowOrdinal, Packet, PacketOrdinal, PayloadMut};
pub use random::Seed;
pub use setting::{SETTINGS, SettingError};
pub use sim::{Arrival, Simulator};
pub use stats::{DelayHistogram, LinkStats};
pub use units::{BitRate, Bytes, Nanos, Probability, UnitError};
pub use verdict::{DropReason, Effects, Verdict};
