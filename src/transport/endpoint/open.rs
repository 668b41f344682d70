//! Opening connections: ours to others, and strangers' to us.

use super::{Endpoint, Handle};
use crate::transport::config::Config;
use crate::transport::connection::{Connection, Handshake, Hello, INIT_LEN};
use crate::transport::cookie;
use crate::transport::crypto::{CryptoError, NoiseSession, PlainSession, Session, Suite};
use crate::transport::stats::DropReason;
use crate::transport::time::Time;
use crate::wire::transport::{ConnectionId, LongKind, LongPacket, Params, VERSION};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::net::SocketAddr;
use std::sync::Arc;

impl Endpoint {
    /// Opens a connection to `remote`.
    ///
    /// The handshake goes out with the next [`poll_transmit`](Self::poll_transmit).
    pub fn connect(&mut self, now: Time, remote: SocketAddr) -> Handle {
        let config = Arc::clone(&self.config);
        let local = self.draw_id();
        let suite = config.security.client_suite();
        let handshake = self.client_handshake(suite, local, &config);
        let hello = Hello {
            is_client: true,
            rng: self.draw_rng(),
            reset_key: Arc::clone(&self.reset_key),
            remote,
            is_validated: true,
            local,
            remote_id: ConnectionId(self.rng.next_u64()),
            handshake,
            datagram_len: 0,
            peer: None,
        };
        let handle = self.table.insert(Connection::new(now, config, hello), None);
        self.touch(handle);
        handle
    }

    fn client_handshake(
        &mut self,
        suite: Suite,
        local: ConnectionId,
        config: &Config,
    ) -> Handshake {
        let mut message = vec![suite as u8];
        let mut params = Vec::new();
        config.params().compose(&mut params);
        let session = self.session(suite, local, true).and_then(|mut session| {
            session.write(&params, &mut message)?;
            Ok(session)
        });
        // Keys of the right length cannot fail; a session that did gets no answer.
        Handshake::new(session.unwrap_or_else(|_| Box::new(PlainSession)), message)
    }

    fn session(
        &mut self,
        suite: Suite,
        client: ConnectionId,
        is_client: bool,
    ) -> Result<Box<dyn Session>, CryptoError> {
        if suite == Suite::Plaintext {
            return Ok(Box::new(PlainSession));
        }
        // What both ends must agree on: another version or suite than was meant does not open.
        let mut prologue = b"udpcore".to_vec();
        prologue.extend_from_slice(&VERSION.to_be_bytes());
        prologue.extend_from_slice(&client.0.to_be_bytes());
        prologue.push(suite as u8);
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let keys = self.config.security.keys();
        Ok(Box::new(NoiseSession::new(suite, keys, is_client, &prologue, seed)?))
    }

    fn draw_id(&mut self) -> ConnectionId {
        loop {
            let id = ConnectionId(self.rng.next_u64());
            if self.table.is_free(id) {
                return id;
            }
        }
    }

    fn draw_rng(&mut self) -> ChaCha12Rng {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        ChaCha12Rng::from_seed(seed)
    }

    /// A long packet for no connection: an INIT, or nothing we want.
    pub(super) fn handle_stranger(&mut self, now: Time, from: SocketAddr, datagram: &[u8]) {
        let packet = match LongPacket::parse(datagram) {
            Ok(packet) if packet.header.kind == LongKind::Init => packet,
            Ok(_) => return self.drop_datagram(DropReason::UnknownConnection),
            Err(_) => return self.drop_datagram(DropReason::Malformed),
        };
        let client = packet.header.scid;
        if let Some(handle) = self.table.initial(from, client) {
            if let Some(connection) = self.table.get_mut(handle) {
                connection.handle_init_again(now, from, datagram.len());
                self.touch(handle);
            }
            return;
        }
        if let Err(reason) = self.accept(now, from, &packet, datagram.len()) {
            self.drop_datagram(reason);
        }
    }

    fn accept(
        &mut self,
        now: Time,
        from: SocketAddr,
        packet: &LongPacket<'_>,
        len: usize,
    ) -> Result<(), DropReason> {
        if !self.listens {
            return Err(DropReason::NotListening);
        }
        // RFC 9000 §14.1.
        if len < INIT_LEN {
            return Err(DropReason::ShortInit);
        }
        let client = packet.header.scid;
        let is_validated = !packet.token.is_empty();
        if is_validated && !cookie::check(&self.cookie_key, now, from, client, packet.token) {
            return Err(DropReason::BadToken);
        }
        let (half_open, limit) = (self.half_open.len(), self.limits.half_open_max);
        if !is_validated && self.flood.is_on(now, half_open, limit) {
            self.send_retry(now, from, packet.header);
            return Ok(());
        }
        if self.table.len() >= self.limits.connections_max {
            return Err(DropReason::TooManyConnections);
        }
        let (session, params) = self.read_init(client, packet.payload)?;
        let hello = self.server_hello(from, client, session, is_validated, len, params)?;
        let connection = Connection::new(now, Arc::clone(&self.config), hello);
        let handle = self.table.insert(connection, Some((from, client)));
        self.half_open.insert(handle);
        self.touch(handle);
        Ok(())
    }

    fn read_init(
        &mut self,
        client: ConnectionId,
        payload: &[u8],
    ) -> Result<(Box<dyn Session>, Params), DropReason> {
        let bad = DropReason::BadHandshake;
        let (suite, message) = payload.split_first().ok_or(bad)?;
        let suite = Suite::from_byte(*suite).ok_or(bad)?;
        if !self.config.security.server_takes(suite) {
            return Err(bad);
        }
        let mut session = self.session(suite, client, false).map_err(|_| bad)?;
        // With a secret, a stranger ends here, after no more than a hash and a cipher.
        let payload = session.read(message).map_err(|_| bad)?;
        let params = Params::parse(&payload).map_err(|_| bad)?;
        Ok((session, params))
    }

    fn server_hello(
        &mut self,
        remote: SocketAddr,
        client: ConnectionId,
        mut session: Box<dyn Session>,
        is_validated: bool,
        datagram_len: usize,
        peer: Params,
    ) -> Result<Hello, DropReason> {
        let mut params = Vec::new();
        self.config.params().compose(&mut params);
        let mut message = Vec::new();
        session.write(&params, &mut message).map_err(|_| DropReason::BadHandshake)?;
        Ok(Hello {
            is_client: false,
            rng: self.draw_rng(),
            reset_key: Arc::clone(&self.reset_key),
            remote,
            is_validated,
            local: self.draw_id(),
            remote_id: client,
            handshake: Handshake::new(session, message),
            datagram_len,
            peer: Some(peer),
        })
    }
}
