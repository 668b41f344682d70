//! What a player sees of the others: states put in order, and smooth positions between them.
//!
//! Draw a little in the past and positions can be interpolated between two known ones; where
//! nothing newer is known they are predicted from the last speed, for a moment only.

use crate::wire::game::{GameMessage, PlayerId};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The others, as one player sees them.
#[derive(Debug)]
pub struct GameView {
    me: PlayerId,
    lifetime: Duration,
    others: BTreeMap<PlayerId, Track>,
    tick: Option<u64>,
    stale: u64,
    malformed: u64,
}

#[derive(Debug, Default)]
struct Track {
    /// When each was heard, and where the player was.
    places: VecDeque<(Duration, f64, f64)>,
    tick: Option<u64>,
}

impl GameView {
    /// Make an empty view for player `me`; others go when not heard of for `lifetime`.
    pub fn new(me: PlayerId, lifetime: Duration) -> Self {
        let others = BTreeMap::new();
        Self { me, lifetime, others, tick: None, stale: 0, malformed: 0 }
    }

    /// Take one datagram; true when it told something new.
    pub fn handle(&mut self, now: Duration, datagram: &[u8]) -> bool {
        let Ok(GameMessage::GameState(state)) = GameMessage::parse(datagram) else {
            self.malformed += 1;
            return false;
        };
        let restarted = |tick: u64, known: u64| tick + TICKS_BACK_MAX < known;
        if let (Some(tick), Some(known)) = (state.tick, self.tick) {
            if restarted(tick, known) {
                self.others.clear();
                self.tick = None;
            } else if tick < known {
                self.stale += 1;
                return false;
            }
        }
        self.tick = state.tick.or(self.tick);
        // A whole state is all there is; a part leaves the others as they are.
        if state.parts.is_none() {
            let told = |id: &PlayerId| state.players.iter().any(|player| player.id == *id);
            self.others.retain(|id, _| told(id));
        }
        for player in state.players.into_iter().filter(|player| player.id != self.me) {
            if self.others.len() >= OTHERS_MAX && !self.others.contains_key(&player.id) {
                continue;
            }
            let track = self.others.entry(player.id).or_default();
            if state.tick.is_some() && track.tick == state.tick {
                continue;
            }
            track.tick = state.tick;
            if track.places.len() == PLACES_MAX {
                track.places.pop_front();
            }
            track.places.push_back((now, player.x, player.y));
        }
        true
    }

    /// Where everybody was when last heard of.
    pub fn latest(&mut self, now: Duration) -> Vec<(PlayerId, f64, f64)> {
        self.expire(now);
        let last = |track: &Track| track.places.back().copied();
        let others = self.others.iter().filter_map(|(id, track)| Some((id, last(track)?)));
        others.map(|(id, (_, x, y))| (id.clone(), x, y)).collect()
    }

    /// Where everybody is to be drawn for the moment `at`: interpolated or predicted.
    pub fn positions(&mut self, now: Duration, at: Duration) -> Vec<(PlayerId, f64, f64)> {
        self.expire(now);
        let place = |track: &Track| place_at(&track.places, at);
        let others = self.others.iter().filter_map(|(id, track)| Some((id, place(track)?)));
        others.map(|(id, (x, y))| (id.clone(), x, y)).collect()
    }

    /// States that came after a newer one, and datagrams that are no state.
    pub fn ignored(&self) -> (u64, u64) {
        (self.stale, self.malformed)
    }

    fn expire(&mut self, now: Duration) {
        let lifetime = self.lifetime;
        self.others.retain(|_, track| {
            track.places.back().is_some_and(|(at, ..)| now.saturating_sub(*at) <= lifetime)
        });
    }
}

/// Interpolates between the places around `at`; beyond the last one follows its speed.
fn place_at(places: &VecDeque<(Duration, f64, f64)>, at: Duration) -> Option<(f64, f64)> {
    let after = places.iter().position(|(time, ..)| *time >= at);
    let (from, to) = match after {
        Some(0) => return places.front().map(|(_, x, y)| (*x, *y)),
        Some(next) => (places.get(next - 1)?, places.get(next)?),
        None if places.len() < 2 => return places.back().map(|(_, x, y)| (*x, *y)),
        None => (places.get(places.len() - 2)?, places.back()?),
    };
    let span = (to.0 - from.0).as_secs_f64();
    if span <= 0.0 {
        return Some((to.1, to.2));
    }
    let until = at.min(to.0 + PREDICTION_MAX);
    let share = until.saturating_sub(from.0).as_secs_f64() / span;
    Some((from.1 + (to.1 - from.1) * share, from.2 + (to.2 - from.2) * share))
}

/// Prediction follows the last speed this long; then the player stands.
pub const PREDICTION_MAX: Duration = Duration::from_millis(250);
const OTHERS_MAX: usize = 4096;
const PLACES_MAX: usize = 8;
/// A tick this far back is a server that began anew, not a late datagram.
const TICKS_BACK_MAX: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn view() -> GameView {
        GameView::new(PlayerId::Number(0), ms(5000))
    }

    fn state(tick: u64, extra: &str, players: &[(i64, f64)]) -> Vec<u8> {
        let players: Vec<String> =
            players.iter().map(|(id, x)| format!(r#"{{"id":{id},"x":{x},"y":0}}"#)).collect();
        let players = players.join(",");
        format!(r#"{{"type":"game_state","tick":{tick},{extra}"players":[{players}]}}"#).into()
    }

    fn xs(positions: Vec<(PlayerId, f64, f64)>) -> Vec<f64> {
        positions.into_iter().map(|(_, x, _)| x).collect()
    }

    #[test]
    fn sees_the_others_and_never_backwards() {
        let mut view = view();
        assert!(view.handle(ms(0), &state(1, "", &[(0, 9.0), (1, 1.0), (2, 2.0)])));
        assert_eq!(xs(view.latest(ms(0))), [1.0, 2.0]);
        assert!(view.handle(ms(50), &state(3, "", &[(1, 3.0)])));
        assert!(!view.handle(ms(60), &state(2, "", &[(1, 2.0), (2, 2.0)])));
        assert_eq!(xs(view.latest(ms(60))), [3.0]);
        assert!(!view.handle(ms(60), b"garbage"));
        assert_eq!(view.ignored(), (1, 1));
    }

    #[test]
    fn parts_add_up_and_the_silent_go() {
        let mut view = view();
        view.handle(ms(0), &state(1, r#""parts":2,"#, &[(1, 1.0)]));
        view.handle(ms(0), &state(1, r#""parts":2,"#, &[(2, 2.0)]));
        assert_eq!(xs(view.latest(ms(0))), [1.0, 2.0]);
        view.handle(ms(3000), &state(2, r#""parts":2,"#, &[(1, 5.0)]));
        assert_eq!(xs(view.latest(ms(5001))), [5.0]);
    }

    #[test]
    fn interpolates_and_predicts_for_a_moment() {
        let mut view = view();
        view.handle(ms(0), &state(1, "", &[(1, 0.0)]));
        view.handle(ms(100), &state(2, "", &[(1, 10.0)]));
        let x = |view: &mut GameView, at| xs(view.positions(ms(100), ms(at)))[0];
        assert_eq!(x(&mut view, 50), 5.0);
        assert_eq!(x(&mut view, 100), 10.0);
        assert_eq!(x(&mut view, 200), 20.0);
        assert!((x(&mut view, 350) - 35.0).abs() < 1e-9);
        assert!((x(&mut view, 9000) - 35.0).abs() < 1e-9);
        assert_eq!(x(&mut view, 0), 0.0);
    }

    #[test]
    fn a_server_that_begins_anew_is_believed() {
        let mut view = view();
        view.handle(ms(0), &state(5000, "", &[(1, 1.0)]));
        assert!(view.handle(ms(1), &state(1, "", &[(2, 2.0)])));
        assert_eq!(xs(view.latest(ms(1))), [2.0]);
    }

    #[test]
    fn a_plain_server_has_no_ticks() {
        let mut view = view();
        for x in [1, 2] {
            let plain =
                format!(r#"{{"type": "game_state", "players": [{{"id": 1, "x": {x}, "y": 0}}]}}"#);
            assert!(view.handle(ms(x), plain.as_bytes()));
        }
        assert_eq!(xs(view.latest(ms(2))), [2.0]);
    }
}
