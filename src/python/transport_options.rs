//! Keyword options of endpoints and messages, as Python writes them, to those of the transport.

use std::num::NonZeroUsize;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict};

use crate::python::argument::parse;
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

const BYTES: &str = "a number of bytes";

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
        // Not shown in the error: it may be a key.
        let wrong = |_| PyTypeError::new_err(format!("{name} must be 32 bytes"));
        let bytes: Vec<u8> = value.extract().map_err(wrong)?;
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
    // True would be 100 %, which nobody who writes it means.
    let share: f64 = fec.extract().map_err(|_| wrong())?;
    if !fec.is_instance_of::<PyBool>() && (0.0..=3.0).contains(&share) {
        Ok(Fec::Permille((share * 1000.0).ceil() as u16))
    } else {
        Err(wrong())
    }
}

/// How a message is to be sent.
pub(super) fn parse_message(
    channel: &Bound<'_, PyAny>,
    deadline: &Bound<'_, PyAny>,
    priority: &Bound<'_, PyAny>,
    fec: &Bound<'_, PyAny>,
) -> PyResult<SendOptions> {
    let channel = parse_channel(channel)?;
    let deadline = match deadline.is_none() {
        true => None,
        false => Some(parse_seconds("deadline", deadline)?),
    };
    let priority = parse("priority", priority, "a number from 0 to 255")?;
    Ok(SendOptions { channel, deadline, priority, fec: parse_fec(fec)? })
}

/// The number of a channel; whether it is low enough is the connection's to say.
pub(super) fn parse_channel(channel: &Bound<'_, PyAny>) -> PyResult<u32> {
    parse("channel", channel, "a number from 0 to channels_max - 1")
}

/// How many messages are wanted.
pub(super) fn parse_count(count: &Bound<'_, PyAny>) -> PyResult<usize> {
    let what = "a number of messages from 1 on";
    parse("n", count, what).map(NonZeroUsize::get)
}

fn parse_seconds(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Micros> {
    let seconds: f64 = parse(name, value, "a number of seconds")?;
    let most = Micros::MAX.as_secs_f64();
    if !(0.0..=most).contains(&seconds) {
        let text = format!("{name} must be 0 to {most} seconds, not {seconds:?}");
        return Err(PyValueError::new_err(text));
    }
    Ok(Micros((seconds * 1e6) as u64))
}

fn parse_congestion(value: &Bound<'_, PyAny>) -> PyResult<Congestion> {
    let what = "'cubic', 'bbr' or 'new_reno'";
    match parse::<String>("congestion", value, what)?.as_str() {
        "cubic" => Ok(Congestion::Cubic),
        "new_reno" => Ok(Congestion::NewReno),
        "bbr" => Ok(Congestion::Bbr),
        other => Err(PyValueError::new_err(format!("congestion must be {what}, not {other:?}"))),
    }
}

/// The keyword options; `key` and `peer_key` are [`parse_security`]'s.
pub(super) fn parse_options(options: &Bound<'_, PyDict>) -> PyResult<Config> {
    let mut config = Config::default();
    for (name, value) in options.iter() {
        let name: String = name.extract()?;
        match name.as_str() {
            "congestion" => config.congestion = parse_congestion(&value)?,
            "idle_timeout" => config.idle_timeout = parse_seconds(&name, &value)?,
            "keep_alive" => config.keep_alive = parse_seconds(&name, &value)?,
            "handshake_timeout" => config.handshake_timeout = parse_seconds(&name, &value)?,
            "ack_delay_max" => config.ack_delay_max = parse_seconds(&name, &value)?,
            "linger" => config.linger = parse_seconds(&name, &value)?,
            "channels_max" => config.channels_max = parse(&name, &value, "1 to 65536")?,
            "ecn" => config.ecn = parse(&name, &value, "True or False")?,
            "key" | "peer_key" => {}
            "message_len_max" => config.message_len_max = parse(&name, &value, BYTES)?,
            "receive_window" => config.receive_window = parse(&name, &value, BYTES)?,
            "channel_window" => config.channel_window = parse(&name, &value, BYTES)?,
            "send_buffer" => config.send_buffer = parse(&name, &value, BYTES)?,
            "datagram_len_max" => config.datagram_len_max = parse(&name, &value, "1200 to 65507")?,
            _ => {
                let known = OPTIONS.join(", ");
                let text = format!("unknown option {name:?}: the options are {known}");
                return Err(PyTypeError::new_err(text));
            }
        }
    }
    Ok(config)
}
