//! Game datagrams: JSON positions from players, JSON states from the server (RFC 8259).
//!
//! `{"type": "position", "player_id", "x", "y", "timestamp"}` and
//! `{"type": "game_state", "players": [{"id", "x", "y"}]}`. Our server adds `tick` to a state, and
//! `part`/`parts` when it tells a player only of the nearest; a plain client ignores them.

use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Why a datagram is not part of the game.
#[derive(Debug, thiserror::Error)]
pub enum GameError {
    /// Not JSON, or not a message of the game.
    #[error("game: {0}")]
    Json(#[from] serde_json::Error),
    /// A coordinate or a time that is not finite.
    #[error("game: {0} is not a finite number")]
    NotFinite(&'static str),
    /// A name longer than any player's.
    #[error("game: player_id of {0} bytes, at most {PLAYER_ID_BYTES_MAX} allowed")]
    LongName(usize),
}

/// A player's name: tutorials use numbers and texts alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PlayerId {
    /// A number.
    Number(i64),
    /// A text of at most [`PLAYER_ID_BYTES_MAX`] bytes.
    Text(String),
}

/// Where a player says it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Who.
    pub player_id: PlayerId,
    /// Where, in the game's own unit.
    pub x: f64,
    /// Where, in the game's own unit.
    pub y: f64,
    /// When, in seconds of the player's own clock; only compared with the same player's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<f64>,
}

/// One player in a state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlayerState {
    /// Who.
    pub id: PlayerId,
    /// Where.
    pub x: f64,
    /// Where.
    pub y: f64,
}

/// A state, or a part of one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GameState {
    /// The players this datagram tells of.
    pub players: Vec<PlayerState>,
    /// Counts the server's broadcasts; a plain server has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tick: Option<u64>,
    /// Set when the players beside these are simply too far away to be told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<u16>,
}

/// One datagram of the game.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum GameMessage {
    /// From a player.
    Position(Position),
    /// From the server.
    GameState(GameState),
}

impl GameMessage {
    /// Parse a datagram.
    pub fn parse(datagram: &[u8]) -> Result<Self, GameError> {
        let message = serde_json::from_slice(datagram)?;
        match &message {
            Self::Position(position) => {
                check_id(&position.player_id)?;
                check_finite(position.x, "x")?;
                check_finite(position.y, "y")?;
                check_finite(position.timestamp.unwrap_or(0.0), "timestamp")?;
            }
            Self::GameState(state) => {
                for player in &state.players {
                    check_id(&player.id)?;
                    check_finite(player.x, "x")?;
                    check_finite(player.y, "y")?;
                }
            }
        }
        Ok(message)
    }

    /// Compose the datagram.
    pub fn compose(&self) -> Result<Vec<u8>, GameError> {
        Ok(serde_json::to_vec(self)?)
    }
}

/// One player as it stands in a state; made once a tick and copied into many datagrams.
pub fn compose_player(id: &PlayerId, x: f64, y: f64) -> String {
    let mut text = String::with_capacity(48);
    let id = serde_json::to_string(id).unwrap_or_else(|_| "null".into());
    // Writing to a String cannot fail; three decimals are finer than any screen.
    let _ = write!(text, r#"{{"id":{id},"x":{},"y":{}}}"#, Rounded(x), Rounded(y));
    text
}

/// Put players made by [`compose_player`] into datagrams of at most `datagram_bytes`.
///
/// While all fit, the one datagram has the plain form; otherwise every part says how many there
/// are and is a state of its own.
pub fn compose_states(
    players: &[&str],
    tick: u64,
    partial: bool,
    datagram_bytes: usize,
) -> Vec<Vec<u8>> {
    let room = datagram_bytes.saturating_sub(STATE_ENVELOPE_BYTES_MAX);
    let mut groups: Vec<(usize, Vec<&str>)> = vec![(0, Vec::new())];
    for player in players {
        let full = groups
            .last()
            .is_some_and(|(bytes, group)| !group.is_empty() && bytes + player.len() + 1 > room);
        if full {
            groups.push((0, Vec::new()));
        }
        if let Some((bytes, group)) = groups.last_mut() {
            *bytes += player.len() + 1;
            group.push(player);
        }
    }
    let parts = groups.len();
    let told = groups.iter().enumerate().map(|(part, (_, group))| {
        let mut out = format!(r#"{{"type":"game_state","tick":{tick},"#);
        if partial || parts > 1 {
            let _ = write!(out, r#""part":{part},"parts":{parts},"#);
        }
        let _ = write!(out, r#""players":[{}]}}"#, group.join(","));
        out.into_bytes()
    });
    told.collect()
}

/// Three decimals, without the zeros at the end.
struct Rounded(f64);

impl std::fmt::Display for Rounded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rounded = (self.0 * 1000.0).round() / 1000.0;
        // A number too large for three decimals has none anyway.
        let number = if rounded.is_finite() { rounded } else { self.0 };
        // serde writes every finite number in the shortest form that JSON reads back.
        f.write_str(&serde_json::to_string(&number).unwrap_or_else(|_| "0".into()))
    }
}

fn check_id(id: &PlayerId) -> Result<(), GameError> {
    match id {
        PlayerId::Text(text) if text.len() > PLAYER_ID_BYTES_MAX => {
            Err(GameError::LongName(text.len()))
        }
        _ => Ok(()),
    }
}

fn check_finite(number: f64, name: &'static str) -> Result<(), GameError> {
    if number.is_finite() { Ok(()) } else { Err(GameError::NotFinite(name)) }
}

/// The longest name of a player.
pub const PLAYER_ID_BYTES_MAX: usize = 64;
/// Everything of a state but its players, with the largest numbers.
const STATE_ENVELOPE_BYTES_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tutorials_position() {
        let datagram = br#"{"type": "position", "player_id": "p1", "x": 1.5, "y": -2,
            "timestamp": 1700000000.25, "hp": 3}"#;
        let GameMessage::Position(position) = GameMessage::parse(datagram).unwrap() else {
            panic!("a position");
        };
        assert_eq!(position.player_id, PlayerId::Text("p1".into()));
        assert_eq!(
            (position.x, position.y, position.timestamp),
            (1.5, -2.0, Some(1_700_000_000.25))
        );
    }

    #[test]
    fn states_fit_and_can_be_read_back() {
        let players: Vec<String> =
            (0..200).map(|n| compose_player(&PlayerId::Number(n), n as f64 / 3.0, 1e9)).collect();
        let players: Vec<&str> = players.iter().map(String::as_str).collect();
        let datagrams = compose_states(&players, u64::MAX, true, 1200);
        let mut seen = 0;
        for datagram in &datagrams {
            assert!(datagram.len() <= 1200, "{}", datagram.len());
            let GameMessage::GameState(state) = GameMessage::parse(datagram).unwrap() else {
                panic!("a state");
            };
            assert_eq!(state.parts, Some(datagrams.len() as u16));
            assert_eq!(state.tick, Some(u64::MAX));
            seen += state.players.len();
        }
        assert_eq!(seen, 200);
    }

    #[test]
    fn the_plain_form_while_all_fit() {
        let player = compose_player(&PlayerId::Text("é\"".into()), 0.12345, 3.0);
        assert_eq!(player, r#"{"id":"é\"","x":0.123,"y":3.0}"#);
        let datagrams = compose_states(&[&player], 7, false, 1200);
        let text = String::from_utf8(datagrams.concat()).unwrap();
        assert_eq!(text, format!(r#"{{"type":"game_state","tick":7,"players":[{player}]}}"#));
        assert_eq!(compose_states(&[], 7, false, 1200).len(), 1);
    }

    #[test]
    fn garbage_is_refused() {
        let long = format!(r#"{{"type":"position","player_id":"{}","x":0,"y":0}}"#, "a".repeat(65));
        for garbage in [
            &b"{}"[..],
            br#"{"type":"position","player_id":"a","x":1e999,"y":0}"#,
            br#"{"type":"position","player_id":null,"x":1,"y":0}"#,
            br#"{"type":"position","player_id":"a","x":NaN,"y":0}"#,
            long.as_bytes(),
            &[b'['; 100_000],
        ] {
            assert!(GameMessage::parse(garbage).is_err());
        }
    }
}
