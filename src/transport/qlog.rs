//! Trace events as qlog: JSON text sequences (RFC 7464) in the manner of
//! draft-ietf-quic-qlog-main-schema and -quic-events, version 0.3, which qvis and other tools read.
//!
//! Names and fields are those of QUIC where the meaning is the same; what our transport has and
//! QUIC has not is left out or under `udpcore:`.

use super::time::{Micros, Time};
use super::trace::TraceEvent;
use super::{DropReason, State};
use serde_json::{Map, Value, json};

/// RFC 7464 §2.2: what every text of the sequence begins with.
const RECORD_SEPARATOR: u8 = 0x1e;

/// Appends the first record of a file.
pub fn header(out: &mut Vec<u8>, id: u64, is_client: bool) {
    let side = if is_client { "client" } else { "server" };
    let id = format!("{id:016x}");
    record(
        out,
        &json!({
            "qlog_version": "0.3",
            "qlog_format": "JSON-SEQ",
            "title": format!("udpcore {id} {side}"),
            "trace": {
                "vantage_point": { "type": side },
                "common_fields": {
                    "ODCID": id,
                    "protocol_type": ["UDPCORE"],
                    "time_format": "relative",
                    "reference_time": 0,
                },
            },
        }),
    );
}

/// Appends an event; times are in milliseconds since the endpoint began.
pub fn event(out: &mut Vec<u8>, at: Time, event: &TraceEvent) {
    let (name, data) = describe(event);
    record(out, &json!({ "time": at.0 as f64 / 1000.0, "name": name, "data": data }));
}

fn record(out: &mut Vec<u8>, value: &Value) {
    out.push(RECORD_SEPARATOR);
    out.extend_from_slice(value.to_string().as_bytes());
    out.push(b'\n');
}

fn ms(time: Micros) -> f64 {
    time.0 as f64 / 1000.0
}

fn describe(event: &TraceEvent) -> (&'static str, Value) {
    let header = |number: u64| json!({ "packet_type": "1RTT", "packet_number": number });
    match *event {
        TraceEvent::State { from, event, to } => (
            "connectivity:connection_state_updated",
            json!({ "old": word(from), "new": word(to), "trigger": format!("{event:?}") }),
        ),
        TraceEvent::Sent { number, size, in_flight, cwnd, ack_eliciting, is_probe } => (
            "transport:packet_sent",
            json!({
                "header": header(number),
                "raw": { "length": size },
                "bytes_in_flight": in_flight,
                "congestion_window": cwnd,
                "ack_eliciting": ack_eliciting,
                "trigger": if is_probe { "pto_probe" } else { "cc_bandwidth_probe" },
            }),
        ),
        TraceEvent::Received { number, size } => (
            "transport:packet_received",
            json!({ "header": header(number), "raw": { "length": size } }),
        ),
        TraceEvent::Lost { number } => {
            ("recovery:packet_lost", json!({ "header": header(number) }))
        }
        TraceEvent::Dropped(reason) => {
            ("transport:packet_dropped", json!({ "trigger": drop_word(reason) }))
        }
        TraceEvent::Metrics { latest_rtt, srtt, cwnd, in_flight, ssthresh, pacing_rate_bps } => {
            let mut data = Map::new();
            data.insert("latest_rtt".into(), ms(latest_rtt).into());
            data.insert("smoothed_rtt".into(), ms(srtt).into());
            data.insert("congestion_window".into(), cwnd.into());
            data.insert("bytes_in_flight".into(), in_flight.into());
            if let Some(ssthresh) = ssthresh {
                data.insert("ssthresh".into(), ssthresh.into());
            }
            if let Some(rate) = pacing_rate_bps {
                data.insert("pacing_rate".into(), rate.into());
            }
            ("recovery:metrics_updated", Value::Object(data))
        }
        TraceEvent::Phase { from, to } => {
            let mut data = Map::new();
            if let Some(from) = from {
                data.insert("old".into(), from.name().into());
            }
            data.insert("new".into(), to.name().into());
            ("recovery:congestion_state_updated", Value::Object(data))
        }
        TraceEvent::Mtu(mtu) => ("connectivity:mtu_updated", json!({ "new": mtu })),
        TraceEvent::Migrated => ("connectivity:path_updated", json!({})),
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Connecting | State::Accepting => "attempted",
        State::Established => "handshake_confirmed",
        State::Flushing | State::Closing => "closing",
        State::Draining => "draining",
        State::Closed => "closed",
    }
}

fn drop_word(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Unauthentic => "decryption_failure",
        DropReason::Duplicate => "duplicate",
        DropReason::NoKeys => "key_unavailable",
        DropReason::UnknownConnection => "unknown_connection_id",
        DropReason::Unexpected => "unexpected_packet",
        _ => "invalid",
    }
}

#[cfg(test)]
mod tests {
    use super::super::Phase;
    use super::*;

    #[test]
    fn every_record_is_one_separated_line_of_json() {
        let mut out = Vec::new();
        header(&mut out, 0xab, true);
        let lost = TraceEvent::Lost { number: 7 };
        event(&mut out, Time(1500), &lost);
        event(&mut out, Time(1501), &TraceEvent::Dropped(DropReason::Duplicate));
        let (from, to) = (Some(Phase::Startup), Phase::Drain);
        event(&mut out, Time(1502), &TraceEvent::Phase { from, to });
        let text = String::from_utf8(out).expect("text");
        let records: Vec<Value> = text
            .split_terminator('\n')
            .map(|line| {
                let line = line.strip_prefix('\u{1e}').expect("a separator");
                serde_json::from_str(line).expect("JSON")
            })
            .collect();
        assert_eq!(records[0]["trace"]["common_fields"]["ODCID"], "00000000000000ab");
        assert_eq!(records[1]["time"], 1.5);
        assert_eq!(records[1]["data"]["header"]["packet_number"], 7);
        assert_eq!(records[2]["data"]["trigger"], "duplicate");
        assert_eq!(records[3]["name"], "recovery:congestion_state_updated");
        assert_eq!(records[3]["data"], json!({ "old": "startup", "new": "drain" }));
    }
}
