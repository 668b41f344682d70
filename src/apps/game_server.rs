//! The game server's world: who is where, who hears of whom, who is ignored and why.
//!
//! A player's name belongs to the address that used it first, until it expires; a position is
//! applied only when its time is later than the last one's; a flood is cut off by a bucket a
//! player and one for newcomers. `P` is the peer's address, whatever the driver uses.

use crate::flow::token_bucket::TokenBucket;
use crate::wire::game::{self, GameMessage, PlayerId};
use std::collections::BTreeMap;
use std::time::Duration;

/// Counts of what happened to the datagrams of players.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorldStats {
    /// Positions that were applied.
    pub applied: u64,
    /// Positions older than the one that is known.
    pub stale: u64,
    /// Positions under the name of a player at another address.
    pub spoofed: u64,
    /// Positions beyond the rate.
    pub flooded: u64,
    /// Newcomers beyond the limit or beyond their rate.
    pub refused: u64,
    /// Datagrams that are no position.
    pub malformed: u64,
    /// Players who were not heard of for their lifetime.
    pub expired: u64,
}

/// One player, as the server knows it.
#[derive(Debug, Clone)]
pub struct Player<P> {
    /// Where it sends from.
    pub peer: P,
    /// Where it is.
    pub x: f64,
    /// Where it is.
    pub y: f64,
    /// Its own clock when it was there.
    pub timestamp: Option<f64>,
    /// When the server heard of it last.
    pub heard: Duration,
    bucket: TokenBucket,
}

/// All players.
#[derive(Debug)]
pub struct World<P> {
    lifetime: Duration,
    players: BTreeMap<PlayerId, Player<P>>,
    newcomers: TokenBucket,
    tick: u64,
    stats: WorldStats,
}

impl<P: Clone + PartialEq> World<P> {
    /// Make an empty world at `now`; players go when not heard of for `lifetime`.
    pub fn new(lifetime: Duration, now: Duration) -> Result<Self, WorldError> {
        let newcomers = TokenBucket::new(NEWCOMERS_PER_S, PLAYERS_MAX as u64, now)?;
        Ok(Self {
            lifetime,
            players: BTreeMap::new(),
            newcomers,
            tick: 0,
            stats: WorldStats::default(),
        })
    }

    /// Take one datagram; true when it moved a player.
    pub fn handle(&mut self, now: Duration, peer: &P, datagram: &[u8]) -> bool {
        let Ok(GameMessage::Position(position)) = GameMessage::parse(datagram) else {
            self.stats.malformed += 1;
            return false;
        };
        self.expire_one(now, &position.player_id);
        let Some(player) = self.players.get_mut(&position.player_id) else {
            return self.join(now, peer, position);
        };
        if player.peer != *peer {
            self.stats.spoofed += 1;
            return false;
        }
        if player.bucket.take(now, 1).is_err() {
            self.stats.flooded += 1;
            return false;
        }
        // The player is there, whatever became of the order of its datagrams.
        player.heard = now;
        if let (Some(new), Some(known)) = (position.timestamp, player.timestamp)
            && new <= known
        {
            self.stats.stale += 1;
            return false;
        }
        (player.x, player.y) = (position.x, position.y);
        player.timestamp = position.timestamp.or(player.timestamp);
        self.stats.applied += 1;
        true
    }

    /// Drop who is gone, and return who that was.
    pub fn expire(&mut self, now: Duration) -> Vec<PlayerId> {
        let lifetime = self.lifetime;
        let gone = |player: &Player<P>| now.saturating_sub(player.heard) > lifetime;
        let all = self.players.iter();
        let ids: Vec<PlayerId> = all.filter(|(_, p)| gone(p)).map(|(id, _)| id.clone()).collect();
        self.players.retain(|_, player| !gone(player));
        self.stats.expired += ids.len() as u64;
        ids
    }

    /// The datagrams of one broadcast: all players while they fit, else the nearest to each.
    pub fn broadcast(&mut self, now: Duration) -> Vec<(Vec<u8>, P)> {
        self.expire(now);
        self.tick += 1;
        let composed =
            |(id, player): (&PlayerId, &Player<P>)| game::compose_player(id, player.x, player.y);
        let texts: Vec<String> = self.players.iter().map(composed).collect();
        let all: Vec<&str> = texts.iter().map(String::as_str).collect();
        let whole = game::compose_states(&all, self.tick, false, DATAGRAM_BYTES_MAX);
        if let [datagram] = &whole[..] {
            return self.players.values().map(|p| (datagram.clone(), p.peer.clone())).collect();
        }
        let places: Vec<(f64, f64)> = self.players.values().map(|p| (p.x, p.y)).collect();
        let mut out = Vec::with_capacity(self.players.len() * 3);
        let mut order: Vec<(f64, u32)> = Vec::with_capacity(places.len());
        for (index, player) in self.players.values().enumerate() {
            let near = nearest(&places, index, &mut order);
            let near: Vec<&str> = near.map(|at| all[at]).collect();
            for datagram in game::compose_states(&near, self.tick, true, DATAGRAM_BYTES_MAX) {
                out.push((datagram, player.peer.clone()));
            }
        }
        out
    }

    /// Everybody, by name.
    pub fn players(&self) -> impl Iterator<Item = (&PlayerId, &Player<P>)> {
        self.players.iter()
    }

    /// What happened so far.
    pub fn stats(&self) -> WorldStats {
        self.stats
    }

    fn join(&mut self, now: Duration, peer: &P, position: game::Position) -> bool {
        let bucket = TokenBucket::new(POSITIONS_PER_S, POSITIONS_BURST, now);
        let full = self.players.len() >= PLAYERS_MAX;
        let (false, Ok(()), Ok(bucket)) = (full, self.newcomers.take(now, 1), bucket) else {
            self.stats.refused += 1;
            return false;
        };
        let player = Player {
            peer: peer.clone(),
            x: position.x,
            y: position.y,
            timestamp: position.timestamp,
            heard: now,
            bucket,
        };
        self.players.insert(position.player_id, player);
        self.stats.applied += 1;
        true
    }

    /// A name whose owner is gone is free at once, not only at the next broadcast.
    fn expire_one(&mut self, now: Duration, id: &PlayerId) {
        let lifetime = self.lifetime;
        let gone = |player: &Player<P>| now.saturating_sub(player.heard) > lifetime;
        if self.players.get(id).is_some_and(gone) {
            self.players.remove(id);
            self.stats.expired += 1;
        }
    }
}

/// Why a world cannot be made.
pub type WorldError = crate::flow::token_bucket::TokenBucketError;

/// The indices of the [`NEAREST_MAX`] places nearest to place `index`, itself included.
fn nearest<'a>(
    places: &[(f64, f64)],
    index: usize,
    order: &'a mut Vec<(f64, u32)>,
) -> impl Iterator<Item = usize> + use<'a> {
    let (x, y) = places[index];
    order.clear();
    order.extend(
        places.iter().zip(0u32..).map(|((px, py), at)| ((px - x).powi(2) + (py - y).powi(2), at)),
    );
    if order.len() > NEAREST_MAX {
        order.select_nth_unstable_by(NEAREST_MAX - 1, |a, b| {
            a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
        });
        order.truncate(NEAREST_MAX);
    }
    order.iter().map(|(_, at)| *at as usize)
}

/// Fits every path that carries IPv6's minimum with room to spare.
pub const DATAGRAM_BYTES_MAX: usize = 1200;
/// Players one player hears of when not all fit.
pub const NEAREST_MAX: usize = 64;
/// Players on one server.
pub const PLAYERS_MAX: usize = 2000;
/// Positions one player may send: six times what a screen shows.
pub const POSITIONS_PER_S: u64 = 120;
const POSITIONS_BURST: u64 = 120;
const NEWCOMERS_PER_S: u64 = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::game::GameState;

    fn s(n: f64) -> Duration {
        Duration::from_secs_f64(n)
    }

    fn world() -> World<u16> {
        World::new(s(5.0), s(0.0)).unwrap()
    }

    fn position(id: u32, x: f64, timestamp: f64) -> Vec<u8> {
        let fields = format!(r#""player_id": {id}, "x": {x}, "y": 0, "timestamp": {timestamp}"#);
        format!(r#"{{"type": "position", {fields}}}"#).into_bytes()
    }

    fn state(datagram: &[u8]) -> GameState {
        match GameMessage::parse(datagram).unwrap() {
            GameMessage::GameState(state) => state,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn never_backwards() {
        let mut world = world();
        assert!(world.handle(s(0.0), &1, &position(1, 1.0, 10.0)));
        assert!(!world.handle(s(0.1), &1, &position(1, 9.0, 9.9)));
        assert!(!world.handle(s(0.1), &1, &position(1, 9.0, 10.0)));
        assert!(world.handle(s(0.2), &1, &position(1, 2.0, 10.1)));
        assert_eq!(world.players().next().unwrap().1.x, 2.0);
        assert_eq!((world.stats().applied, world.stats().stale), (2, 2));
    }

    #[test]
    fn the_silent_expire_and_their_names_are_free() {
        let mut world = world();
        world.handle(s(0.0), &1, &position(1, 1.0, 10.0));
        assert!(!world.handle(s(4.9), &2, &position(1, 5.0, 99.0)));
        assert_eq!(world.stats().spoofed, 1);
        assert!(world.handle(s(5.1), &2, &position(1, 5.0, 3.0)));
        assert_eq!(world.stats().expired, 1);
        assert_eq!(world.expire(s(11.0)), [PlayerId::Number(1)]);
        assert!(world.broadcast(s(11.0)).is_empty());
    }

    #[test]
    fn floods_and_crowds_are_cut_off() {
        let mut world = world();
        let moved = |world: &mut World<u16>, n: u32| {
            world.handle(s(0.0), &1, &position(1, 0.0, f64::from(n)))
        };
        assert_eq!((0..500).filter(|n| moved(&mut world, *n)).count(), 121);
        assert_eq!(world.stats().flooded, 500 - 121);
        for id in 10..10_000 {
            world.handle(s(1.0), &2, &position(id, 0.0, 0.0));
        }
        assert!(world.players().count() <= PLAYERS_MAX);
        assert!(world.stats().refused > 0);
        assert!(!world.handle(s(1.0), &2, b"garbage"));
        assert_eq!(world.stats().malformed, 1);
    }

    #[test]
    fn the_plain_form_while_all_fit_and_the_nearest_when_not() {
        let mut world = world();
        for id in 0..20 {
            world.handle(s(0.0), &(id as u16), &position(id, f64::from(id), 0.0));
        }
        let datagrams = world.broadcast(s(0.0));
        assert_eq!(datagrams.len(), 20);
        let plain = state(&datagrams[0].0);
        assert_eq!((plain.players.len(), plain.parts, plain.tick), (20, None, Some(1)));
        for id in 20..1000 {
            world.handle(s(0.0), &(id as u16), &position(id, f64::from(id), 0.0));
        }
        let datagrams = world.broadcast(s(0.0));
        assert!(datagrams.iter().all(|(datagram, _)| datagram.len() <= DATAGRAM_BYTES_MAX));
        let mut seen: Vec<f64> = Vec::new();
        for (datagram, _) in datagrams.iter().filter(|(_, peer)| *peer == 500) {
            seen.extend(state(datagram).players.iter().map(|player| player.x));
        }
        seen.sort_by(f64::total_cmp);
        assert_eq!(seen.len(), NEAREST_MAX);
        assert!(seen[0] >= 500.0 - 32.0 && seen[63] <= 500.0 + 32.0);
    }

    #[test]
    fn a_client_without_a_clock_is_applied_as_it_comes() {
        let mut world = world();
        for x in [1, 2] {
            let datagram = format!(r#"{{"type":"position","player_id":"a","x":{x},"y":0}}"#);
            assert!(world.handle(s(0.0), &1, datagram.as_bytes()));
        }
        assert_eq!(world.players().next().unwrap().1.x, 2.0);
    }
}
