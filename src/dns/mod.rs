//! Floor 3: DNS messages and the stub resolver as sans-IO machines.
//!
//! ```text
//! name, reader        bytes -> names and numbers, each fault with its byte offset
//! rdtype, schema      the tables: every record type is one line of fields
//! value               one field of record data: read in place, nothing copied
//! message             a checked message: the wire bytes and where each record lies
//! compose, query      values -> bytes: with compression; the query template
//! present, dump       bytes -> the text dig prints
//! answer              what an answer says about a question: chain, NODATA, NXDOMAIN
//! cookie              what only the real server can send back
//! frame, rtt, ask     TCP frames, waits, what a question is made of and how it can end
//! client              the resolver: who is asked what, when
//! batch               many questions at once
//! pipeline, http      many questions over one connection; messages in HTTP
//! zone, authority     the other side: a zone, and the answers it gives
//! ```
//!
//! Rules of this floor: no clock, no socket, no randomness of its own; a parser neither panics
//! nor loops on any input; whatever `Message::parse` let pass can be read without a fault.

pub mod answer;
pub mod ask;
pub mod authority;
pub mod batch;
pub mod client;
pub mod compose;
pub mod cookie;
pub mod dump;
pub mod frame;
pub mod header;
pub mod http;
pub mod message;
pub mod name;
pub mod pipeline;
pub mod present;
pub mod query;
pub mod rdtype;
pub mod reader;
pub mod rtt;
pub mod schema;
pub mod value;
pub mod zone;

pub use client::{Client, Config};
pub use message::Message;
pub use name::{Name, NameError};
pub use rdtype::RdType;
pub use reader::{Fault, ParseError};
