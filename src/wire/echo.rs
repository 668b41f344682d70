//! The echo's texts: `ECHO: ` before the text that came, and numbered probes for round trips.
//!
//! A probe begins `#` and ten digits and a space. It is text, so that an echo server that decodes
//! what it gets returns it whole, and it is recognised behind either prefix.

/// What `UDPEchoServer` puts before the text.
pub const ECHO_PREFIX: &[u8] = b"ECHO: ";
/// What `udp_server` puts before the text.
pub const ECHO_PREFIX_PLAIN: &[u8] = b"Echo: ";

/// Compose the answer to `datagram`; `None` when it is not text (RFC 3629).
pub fn answer(datagram: &[u8], prefix: &[u8]) -> Option<Vec<u8>> {
    std::str::from_utf8(datagram).ok().map(|text| [prefix, text.as_bytes()].concat())
}

/// Compose probe number `number` with `payload` behind it.
pub fn compose_probe(number: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("#{number:010} ").into_bytes();
    out.extend(payload);
    out
}

/// The number of the probe that `datagram` echoes, with or without a prefix.
pub fn parse_probe(datagram: &[u8]) -> Option<u32> {
    let probe = datagram
        .strip_prefix(ECHO_PREFIX)
        .or_else(|| datagram.strip_prefix(ECHO_PREFIX_PLAIN))
        .unwrap_or(datagram);
    let digits = probe.strip_prefix(b"#")?.first_chunk::<10>()?;
    if probe.get(11) != Some(&b' ') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_text_only() {
        assert_eq!(answer("salut é".as_bytes(), ECHO_PREFIX), Some("ECHO: salut é".into()));
        assert_eq!(answer(b"", ECHO_PREFIX_PLAIN), Some(b"Echo: ".to_vec()));
        assert_eq!(answer(b"\xFF\xFE", ECHO_PREFIX), None);
    }

    #[test]
    fn a_probe_is_found_behind_any_prefix() {
        let probe = compose_probe(42, b"xx");
        assert_eq!(probe, b"#0000000042 xx");
        for prefix in [&b""[..], ECHO_PREFIX, ECHO_PREFIX_PLAIN] {
            assert_eq!(parse_probe(&[prefix, &probe].concat()), Some(42));
        }
        for other in [&b""[..], b"#42 x", b"#00000000421 x", b"#+000000042 ", b"#9999999999 "] {
            assert_eq!(parse_probe(other), None, "{other:?}");
        }
    }
}
