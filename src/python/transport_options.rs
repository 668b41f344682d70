//! Keyword options of endpoints and messages, as Python writes them, to those of the transport.

use std::time::Duration;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::transport::{
    Config, Congestion, Fec, Micros, Mode, PublicKey, SecretKey, Security, SendOptions,
};

/// Every option of [`parse_options`].
const OPTIONS: [&str; 15] = [
    "ack_delay_max",
    "channel_window",
    "channels_max",
    "congestion",
    "datagram_len_max",
    "ecn",
    "handshake_timeout",
    "idle_timeout",
    "keep_alive",
    "key",
    "linger",
    "message_len_max",
    "peer_key",
    "receive_window",
    "send_buffer",
];

/// Who may connect: `secret`, `plaintext` and, among the options, `key` and `peer_key`.
pub(super) fn parse_security(
    secret: Option<Vec<u8>>,
    plaintext: bool,
    options: &Bound<'_, PyDict>,
) -> PyResult<Security> {
    let key = |name: &str| -> PyResult<Option<[u8; 32]>> {
        let Some(value) = options.get_item(name)?.filter(|value| !value.is_none()) else {
            return Ok(None);
        };
        let bytes: Vec<u8> = value.extract()?;
        let len = bytes.len();
        let wrong = |_| PyValueError::new_err(format!("{name} must have 32 bytes, not {len}"));
        <[u8; 32]>::try_from(bytes).map(Some).map_err(wrong)
    };
    let (own, pinned) = (key("key")?, key("peer_key")?);
    let security = match (secret, plaintext) {
        (secret, true) if secret.is_some() || own.is_some() || pinned.is_some() => {
            return Err(PyValueError::new_err(
                "a secret or a key and plaintext exclude each other",
            ));
        }
        (_, true) => Security::plaintext(),
        (Some(secret), false) => Security::secret(&secret),
        (None, false) => Security::anonymous(),
    };
    let security = own.map(SecretKey).into_iter().fold(security, Security::with_own_key);
    Ok(pinned.map(PublicKey).into_iter().fold(security, Security::with_pinned_server))
}

/// The mode of a channel.
pub(super) fn parse_mode(mode: &str) -> PyResult<Mode> {
    match mode {
        "ordered" => Ok(Mode::Ordered),
        "unordered" => Ok(Mode::Unordered),
        "sequenced" => Ok(Mode::Sequenced),
        "unreliable" => Ok(Mode::Unreliable),
        _ => Err(PyValueError::new_err(format!(
            "mode must be 'ordered', 'unordered', 'sequenced' or 'unreliable', not {mode:?}"
        ))),
    }
}

/// What `fec=` says: None, "auto" or the share of repair symbols.
fn parse_fec(fec: &Bound<'_, PyAny>) -> PyResult<Fec> {
    let wrong = || {
        let given = fec.repr().map_or_else(|_| "?".into(), |text| text.to_string());
        PyValueError::new_err(format!(
            "fec must be None, 'auto' or a share from 0 to 3, not {given}"
        ))
    };
    if fec.is_none() {
        return Ok(Fec::Off);
    }
    if let Ok(word) = fec.extract::<String>() {
        return if word == "auto" { Ok(Fec::Auto) } else { Err(wrong()) };
    }
    let share: f64 = fec.extract().map_err(|_| wrong())?;
    if (0.0..=3.0).contains(&share) {
        Ok(Fec::Permille((share * 1000.0).ceil() as u16))
    } else {
        Err(wrong())
    }
}

/// How a message is to be sent.
pub(super) fn parse_message(
    channel: u32,
    deadline: Option<f64>,
    priority: u8,
    fec: &Bound<'_, PyAny>,
) -> PyResult<SendOptions> {
    let (deadline, fec) = (parse_deadline(deadline)?, parse_fec(fec)?);
    Ok(SendOptions { channel, deadline, priority, fec })
}

/// A deadline from now on.
fn parse_deadline(deadline: Option<f64>) -> PyResult<Option<Micros>> {
    deadline.map(|seconds| parse_seconds("deadline", seconds)).transpose()
}

fn parse_seconds(name: &str, seconds: f64) -> PyResult<Micros> {
    let time = Duration::try_from_secs_f64(seconds).map_err(|_| {
        PyValueError::new_err(format!("{name} must be seconds from 0 on, not {seconds}"))
    })?;
    Ok(Micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)))
}

/// The keyword options; `key` and `peer_key` are [`parse_security`]'s.
pub(super) fn parse_options(options: &Bound<'_, PyDict>) -> PyResult<Config> {
    let mut config = Config::default();
    for (name, value) in options.iter() {
        let name: String = name.extract()?;
        match name.as_str() {
            "congestion" => {
                config.congestion = match value.extract::<String>()?.as_str() {
                    "cubic" => Congestion::Cubic,
                    "new_reno" => Congestion::NewReno,
                    "bbr" => Congestion::Bbr,
                    other => {
                        return Err(PyValueError::new_err(format!(
                            "congestion must be 'cubic', 'bbr' or 'new_reno', not {other:?}"
                        )));
                    }
                }
            }
            "idle_timeout" => config.idle_timeout = parse_seconds(&name, value.extract()?)?,
            "keep_alive" => config.keep_alive = parse_seconds(&name, value.extract()?)?,
            "handshake_timeout" => {
                config.handshake_timeout = parse_seconds(&name, value.extract()?)?;
            }
            "ack_delay_max" => config.ack_delay_max = parse_seconds(&name, value.extract()?)?,
            "channels_max" => config.channels_max = value.extract()?,
            "ecn" => config.ecn = value.extract()?,
            "key" | "peer_key" => {}
            "linger" => config.linger = parse_seconds(&name, value.extract()?)?,
            "message_len_max" => config.message_len_max = value.extract()?,
            "receive_window" => config.receive_window = value.extract()?,
            "channel_window" => config.channel_window = value.extract()?,
            "send_buffer" => config.send_buffer = value.extract()?,
            "datagram_len_max" => config.datagram_len_max = value.extract()?,
            _ => {
                let known = OPTIONS.join(", ");
                let text = format!("unknown option {name:?}: the options are {known}");
                return Err(PyTypeError::new_err(text));
            }
        }
    }
    Ok(config)
}
