//! Floor 5: the Python bindings, thin: convert, release the GIL, convert, map the error.
//!
//! Rules of this floor: no protocol logic, no `if` about a wire format; one file per Python
//! class family; this module is the table of contents of `udpcore._core`.

mod apps_game;
mod apps_media;
mod apps_metrics;
mod apps_net;
mod argument;
mod bytes_like;
mod dns;
mod dns_ask;
mod dns_batch;
mod dns_dnssec;
mod dns_record;
mod dns_server;
mod dns_stream;
mod dns_value;
mod fec;
mod fec_sliding;
mod netem;
mod netem_config;
mod netem_faults;
mod netem_predicate;
mod netem_stream;
mod netem_virtual;
mod new_bytes;
mod packet;
mod peer_address;
mod reliable;
#[cfg(target_os = "linux")]
mod socket;
mod trace_run;
mod transport;
mod transport_options;
mod transport_trace;
mod wait;

use pyo3::prelude::*;

#[pymodule]
mod _core {
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_export]
    use super::dns::{PyMessage, dns_build_query, dns_parse};

    #[pymodule_export]
    use super::dns_ask::{DnsExchange, dns_exchange, dns_explain, dns_normalise, dns_read_answer};

    #[pymodule_export]
    use super::dns_batch::DnsBatch;

    #[pymodule_export]
    use super::dns_dnssec::{dns_validate, dns_validate_over};

    #[pymodule_export]
    use super::dns_record::{PyQuestion, PyRecord};

    #[pymodule_export]
    use super::dns_server::PyDnsServer;

    #[pymodule_export]
    use super::dns_stream::DnsConnection;

    #[pymodule_export]
    use super::fec::{FecDecoder, FecEncoder, FecReceiver, fec_datagrams};

    #[pymodule_export]
    use super::fec_sliding::{FecSlidingDecoder, FecSlidingEncoder};

    #[pymodule_export]
    use super::netem::{NetemRelay, netem_main};

    #[pymodule_export]
    use super::netem_faults::{netem_log_faults, netem_log_seed, netem_profiles, netem_shrink};

    #[pymodule_export]
    use super::netem_predicate::NetemPacket;

    #[pymodule_export]
    use super::netem_stream::NetemStream;

    #[pymodule_export]
    use super::netem_virtual::{NetemLink, NetemSimulator};

    #[pymodule_export]
    use super::transport::{
        TransportConnection, TransportEndpoint, TransportNotifier, transport_keys,
    };

    #[pymodule_export]
    use super::transport_trace::transport_trace_hash;

    #[pymodule_export]
    use super::reliable::{AckEndpoint, SequenceDetector, compose_sequence};

    #[cfg(target_os = "linux")]
    #[pymodule_export]
    use super::socket::{
        Socket, close, cmsg_len, cmsg_space, dup, getaddrinfo, getdefaulttimeout, gethostbyname,
        getnameinfo, setdefaulttimeout, socketpair,
    };

    #[cfg(target_os = "linux")]
    #[pymodule_export]
    use super::socket::{
        Datagram, DatagramBatch, DatagramError, mmsg_coalesces, mmsg_errors, mmsg_getsockopt,
        mmsg_receive, mmsg_recv, mmsg_recv_into, mmsg_send, mmsg_set_coalescing, mmsg_setsockopt,
    };

    #[pymodule_export]
    use super::apps_game::{AppGameView, AppGameWorld, game_position};

    #[pymodule_export]
    use super::apps_media::{
        AppStreamReceiver, AppVideoAssembler, AppVoiceReceiver, AppVoiceSender, repair_compose,
        repair_parse, stream_compose, stream_parse, video_fragment,
    };

    #[pymodule_export]
    use super::apps_metrics::AppMetrics;

    #[pymodule_export]
    use super::apps_net::{
        AppDirectory, AppRtt, AppTokenBucket, dhcp_discover_compose, dhcp_parse, discovery_compose,
        echo_answer, echo_probe, echo_probe_number,
    };

    #[pymodule_export]
    use super::packet::{capture_read, packet_compose, packet_dissect, packet_hexdump};
}
