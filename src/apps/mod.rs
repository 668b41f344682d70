//! Floor 3: the bytes-and-clocks half of the tutorials' applications, as sans-IO machines.
//!
//! The loops that feed them (bind, receive, print) are Python a learner can read; here is what
//! has states, limits or arithmetic.

pub mod discovery;
pub mod emodel;
pub mod game_server;
pub mod game_view;
pub mod plc;
pub mod rtp_session;
pub mod rtt;
pub mod statsd;
pub mod statsd_text;
pub mod stream;
pub mod vad;
pub mod video;
pub mod voice;
