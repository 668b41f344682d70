//! `udpcore.apps`: the game's world and a player's view of it.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::apps::game_server::World;
use crate::apps::game_view::GameView;
use crate::python::apps_net::{at, lock, refused};
use crate::wire::game::{GameMessage, PlayerId, Position};

/// A player's name: an int or a str.
#[derive(FromPyObject, IntoPyObject)]
pub(crate) enum PyPlayerId {
    Number(i64),
    Text(String),
}

impl From<PyPlayerId> for PlayerId {
    fn from(id: PyPlayerId) -> Self {
        match id {
            PyPlayerId::Number(number) => Self::Number(number),
            PyPlayerId::Text(text) => Self::Text(text),
        }
    }
}

impl From<PlayerId> for PyPlayerId {
    fn from(id: PlayerId) -> Self {
        match id {
            PlayerId::Number(number) => Self::Number(number),
            PlayerId::Text(text) => Self::Text(text),
        }
    }
}

type Peer = (String, u16);
type Place = (PyPlayerId, f64, f64);
/// Name, x, y, address and when it was heard of last.
type PlayerTuple = (PyPlayerId, f64, f64, Peer, f64);

#[pyfunction]
pub(crate) fn game_position(
    player_id: PyPlayerId,
    x: f64,
    y: f64,
    timestamp: f64,
) -> PyResult<Vec<u8>> {
    let player_id = player_id.into();
    let position = GameMessage::Position(Position { player_id, x, y, timestamp: Some(timestamp) });
    let datagram = position.compose().map_err(refused)?;
    GameMessage::parse(&datagram).map_err(refused)?;
    Ok(datagram)
}

#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct AppGameWorld(Mutex<World<Peer>>);

#[pymethods]
impl AppGameWorld {
    #[new]
    fn new(lifetime: f64, now: f64) -> PyResult<Self> {
        Ok(Self(Mutex::new(World::new(at(lifetime)?, at(now)?).map_err(refused)?)))
    }

    fn handle(&self, now: f64, peer: Peer, datagram: &[u8]) -> PyResult<bool> {
        Ok(lock(&self.0).handle(at(now)?, &peer, datagram))
    }

    fn broadcast(&self, now: f64) -> PyResult<Vec<(Vec<u8>, Peer)>> {
        Ok(lock(&self.0).broadcast(at(now)?))
    }

    fn expire(&self, now: f64) -> PyResult<Vec<PyPlayerId>> {
        Ok(lock(&self.0).expire(at(now)?).into_iter().map(Into::into).collect())
    }

    fn players(&self) -> Vec<PlayerTuple> {
        let world = lock(&self.0);
        let tuple = |(id, player): (&PlayerId, &crate::apps::game_server::Player<_>)| {
            let peer: &Peer = &player.peer;
            (id.clone().into(), player.x, player.y, peer.clone(), player.heard.as_secs_f64())
        };
        world.players().map(tuple).collect()
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = lock(&self.0).stats();
        let out = PyDict::new(py);
        out.set_item("applied", stats.applied)?;
        out.set_item("stale", stats.stale)?;
        out.set_item("spoofed", stats.spoofed)?;
        out.set_item("flooded", stats.flooded)?;
        out.set_item("refused", stats.refused)?;
        out.set_item("malformed", stats.malformed)?;
        out.set_item("expired", stats.expired)?;
        Ok(out)
    }
}

#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct AppGameView(Mutex<GameView>);

#[pymethods]
impl AppGameView {
    #[new]
    fn new(me: PyPlayerId, lifetime: f64) -> PyResult<Self> {
        Ok(Self(Mutex::new(GameView::new(me.into(), at(lifetime)?))))
    }

    fn handle(&self, now: f64, datagram: &[u8]) -> PyResult<bool> {
        Ok(lock(&self.0).handle(at(now)?, datagram))
    }

    fn latest(&self, now: f64) -> PyResult<Vec<Place>> {
        let places = lock(&self.0).latest(at(now)?);
        Ok(places.into_iter().map(|(id, x, y)| (id.into(), x, y)).collect())
    }

    fn positions(&self, now: f64, moment: f64) -> PyResult<Vec<Place>> {
        let places = lock(&self.0).positions(at(now)?, at(moment)?);
        Ok(places.into_iter().map(|(id, x, y)| (id.into(), x, y)).collect())
    }

    fn ignored(&self) -> (u64, u64) {
        lock(&self.0).ignored()
    }
}
