//! HTTP from outside: 100,000 seeded mutations of requests to a control, no panic, no lie.

use netem::control::http::{Request, parse_request};
use netem::control::json::{parse_object, quoted};
use netem::control::{metrics, respond};

mod support;
use support::fuzz::corpus_and_mutations;
use support::told::Told;

/// A request is read the same whole and in pieces, and answered with HTTP.
fn check_http(network: &Told, bytes: &[u8]) {
    let parsed = parse_request(bytes);
    if parsed == Ok(None) {
        return;
    }
    let length = bytes.len();
    for end in [length / 3, length / 2, length.saturating_sub(1)] {
        let part = parse_request(&bytes[..end]);
        let is_early = part == Ok(None) || part.is_err() || part == parsed;
        assert!(is_early, "a part reads {part:?}, the whole {parsed:?}");
    }
    let Ok(Some(request)) = parsed else { return };
    let response = respond(network, &Default::default(), false, &request);
    assert!((200..500).contains(&response.status));
    let text = String::from_utf8(response.to_bytes(request.method == "HEAD")).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(&format!("HTTP/1.1 {} ", response.status)));
    assert!(head.contains(&format!("Content-Length: {}", response.body.len())));
    assert!(body.is_empty() || body == response.body);
    assert!(!head.contains("Access-Control-Allow"));
    if let Some(message) = response.body.strip_prefix("{\"error\": ") {
        assert!(parse_object(&response.body).is_ok(), "{message}");
    }
}

#[test]
fn requests() {
    let network = Told::default();
    corpus_and_mutations("netem_http", |bytes| check_http(&network, bytes));
}

/// Objects that are read are written so that they read the same.
#[test]
fn objects() {
    corpus_and_mutations("netem_http", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let body = text.split("\r\n\r\n").nth(1).unwrap_or(&text);
        if let Ok(members) = parse_object(body) {
            let written = members.iter().map(|(n, v)| format!("{}: {}", quoted(n), quoted(v)));
            let again = format!("{{{}}}", written.collect::<Vec<_>>().join(","));
            assert_eq!(parse_object(&again), Ok(members));
        }
    });
}

fn ask(network: &Told, method: &str, path: &str, body: &str) -> (u16, String) {
    let request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        host: Some("localhost:8474".to_owned()),
        content_type: Some("application/json".to_owned()),
        body: body.into(),
    };
    let response = respond(network, &Default::default(), false, &request);
    (response.status, response.body)
}

#[test]
fn settings_are_changed_together_or_not_at_all() {
    let network = Told::default();
    let patch = |path: &str, body: &str| ask(&network, "PATCH", path, body);
    let (status, body) = patch("/links/both", r#"{"delay": "20ms", "jitter": "5ms"}"#);
    let delay = "{\"up\": {\"delay\": \"20ms 5ms\"}, \"down\": {\"delay\": \"20ms 5ms\"}}\n";
    assert_eq!((status, body.as_str()), (200, delay));
    let (status, _) = patch("/links/up", r#"{"loss": "gemodel 1% 20%", "limit": 50}"#);
    assert_eq!(status, 200);
    for (body, message) in [
        (r#"{"loss": "2%", "lsos": "1%"}"#, r#"unknown key \"lsos\" (did you mean \"loss\"?)"#),
        (r#"{"loss": "2%", "mtu": "many"}"#, r#"mtu: \"many\" is not a number"#),
        (r#"{"loss": "2%", "queue": "codel"}"#, "queue: it waits in front of a limited rate"),
        (r#"{"profile": "wfii"}"#, r#"unknown profile \"wfii\" (did you mean \"wifi\"?)"#),
        (r#"{"tc": "slot 1ms"}"#, "tc: slot: slots are not emulated"),
        (r#"{"loss": ["2%"]}"#, "byte 9: expected a string, a number, true or false"),
        ("", "byte 0: expected {"),
    ] {
        let (status, said) = patch("/links/up", body);
        assert_eq!(status, 400, "{body}");
        assert!(said.contains(message), "{body}: {said}");
    }
    let unchanged = "{\"up\": {\"loss\": \"gemodel 1% 20% 100% 0%\", \"delay\": \"20ms 5ms\", \
                     \"limit\": \"50\"}}\n";
    assert_eq!(ask(&network, "GET", "/links/up", ""), (200, unchanged.to_owned()));
    assert_eq!(patch("/links/down", r#"{"tc": "loss 1%"}"#).0, 200);
    assert_eq!(ask(&network, "POST", "/reset", "{}").1, "{\"up\": {}, \"down\": {}}\n");
    assert_eq!(
        ask(&network, "POST", "/rebind", r#"{"flow": 3}"#),
        (200, "{\"moved\": 0}\n".into())
    );
    assert_eq!(ask(&network, "POST", "/rebind", r#"{"flow": "x"}"#).0, 400);
}

#[test]
fn what_is_not_there_or_not_for_everybody_is_refused() {
    let network = Told::default();
    assert_eq!(ask(&network, "GET", "/nothing", "").0, 404);
    assert_eq!(ask(&network, "GET", "/links/sideways", "").0, 404);
    assert_eq!(ask(&network, "DELETE", "/links/up", "").0, 405);
    assert_eq!(ask(&network, "POST", "/metrics", "").0, 405);
    assert_eq!(ask(&network, "GET", "/rebind", "").0, 405);
    let request = |host: Option<&str>, kind: Option<&str>| Request {
        method: "PATCH".to_owned(),
        path: "/links/up".to_owned(),
        host: host.map(str::to_owned),
        content_type: kind.map(str::to_owned),
        body: b"{}".to_vec(),
    };
    let status = |host, kind, is_public| {
        respond(&network, &Default::default(), is_public, &request(host, kind)).status
    };
    let json = Some("application/json");
    for host in ["localhost", "localhost:80", "127.0.0.1:8474", "[::1]:8474", "127.9.9.9"] {
        assert_eq!(status(Some(host), json, false), 200, "{host}");
    }
    for host in ["example.org", "localhost.example.org", "192.0.2.1", "[2001:db8::1]", ""] {
        assert_eq!(status(Some(host), json, false), 403, "{host}");
        assert_eq!(status(Some(host), json, true), 200, "{host}");
    }
    assert_eq!(status(None, json, false), 403);
    assert_eq!(status(Some("localhost"), Some("text/plain"), false), 415);
    assert_eq!(status(Some("localhost"), None, false), 415);
}

#[test]
fn the_metrics_are_prometheus_text() {
    let text = metrics(&Told::default());
    let title = r#"netem_info{title="a \"network\" \\ of\nnothing",seed="7"} 1"#;
    assert!(text.lines().any(|line| line == title), "{text}");
    for line in text.lines() {
        let is_comment = line.starts_with("# HELP netem_") || line.starts_with("# TYPE netem_");
        let value = line.rsplit_once(' ').map(|(_, value)| value.parse::<f64>());
        assert!(is_comment || matches!(value, Some(Ok(_))), "{line}");
    }
    let buckets = text.matches("netem_delay_seconds_bucket{direction=\"up\",le=").count();
    assert_eq!(buckets, netem::DelayHistogram::CLASSES);
    assert!(text.contains("netem_packets_dropped_total{direction=\"down\",reason=\"codel\"} 0\n"));
}
