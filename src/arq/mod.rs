//! Floor 3: the tutorials' reliability as readable sans-IO machines.
//!
//! Every machine has four families of methods, as in quinn-proto:
//!
//! * **getters** look at the state;
//! * **`handle_*`** feed it with what happened: a datagram, the passing of time;
//! * **commands** are what the application wants: send, receive, close;
//! * **`poll_*`** say what to do next: datagrams to transmit, events, the next deadline.
//!
//! The contract: `now` never goes backwards; after any `handle_*` or command, call
//! `poll_transmit` until it is empty and read `poll_timeout` again; at that time call
//! `handle_timeout`. No machine reads a clock, opens a socket or draws a random number.

pub mod ack;
pub mod ack_receiver;
pub mod ack_sender;
pub mod event;
pub mod rtt;
pub mod send_policy;
pub mod sequence;
pub mod stats;
