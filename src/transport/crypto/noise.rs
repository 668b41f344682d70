//! The handshake as Noise patterns of two messages: NN, NNpsk0, NK, NKpsk0.
//!
//! A shared secret becomes a key by HKDF, which is no password hash: somebody who records a
//! handshake can try guesses offline, so a secret should be long and random. Ephemeral keys come
//! from the injected generator, so a simulated handshake repeats byte for byte.

use super::{AeadKeys, CryptoError, Protection, Session, Suite};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use ring::hkdf::{HKDF_SHA256, Salt};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};
use std::fmt;

/// A handshake message is at most this long, in bytes.
const MESSAGE_LEN_MAX: usize = 1024;
const X25519_BASE: [u8; 32] = {
    let mut point = [0; 32];
    point[0] = 9;
    point
};

/// A server's public key, for clients that pin it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// A server's secret key.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(pub [u8; 32]);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl SecretKey {
    /// The public key that belongs to this one.
    pub fn public(&self) -> PublicKey {
        let mut public = [0; 32];
        if let Some(mut dh) = DefaultResolver.resolve_dh(&DHChoice::Curve25519) {
            dh.set(&self.0);
            let _ = dh.dh(&X25519_BASE, &mut public);
        }
        PublicKey(public)
    }
}

/// What authenticates the two ends, beyond being there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    /// From the shared secret.
    pub(crate) psk: Option<[u8; 32]>,
    /// The server's own key.
    pub(crate) own: Option<SecretKey>,
    /// The key the client expects of the server.
    pub(crate) pinned: Option<PublicKey>,
}

impl Keys {
    /// The key of a shared secret.
    pub(crate) fn psk(secret: &[u8]) -> [u8; 32] {
        let mut key = [0; 32];
        let prk = Salt::new(HKDF_SHA256, b"udpcore 1 secret").extract(secret);
        if let Ok(okm) = prk.expand(&[b"psk"], HKDF_SHA256) {
            let _ = okm.fill(&mut key);
        }
        key
    }

    /// What a client with these keys asks for.
    pub(crate) fn client_suite(&self) -> Suite {
        match (self.pinned.is_some(), self.psk.is_some()) {
            (false, false) => Suite::Anonymous,
            (false, true) => Suite::Secret,
            (true, false) => Suite::Pinned,
            (true, true) => Suite::PinnedSecret,
        }
    }

    /// Whether a server with these keys takes a client that asks for `suite`.
    pub(crate) fn server_takes(&self, suite: Suite) -> bool {
        let wants_secret = matches!(suite, Suite::Secret | Suite::PinnedSecret);
        let wants_key = matches!(suite, Suite::Pinned | Suite::PinnedSecret);
        suite != Suite::Plaintext
            && wants_secret == self.psk.is_some()
            && (!wants_key || self.own.is_some())
    }
}

/// A Noise handshake in progress.
pub(crate) struct NoiseSession {
    state: HandshakeState,
    is_client: bool,
}

impl fmt::Debug for NoiseSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoiseSession").field("is_client", &self.is_client).finish_non_exhaustive()
    }
}

impl NoiseSession {
    /// `prologue` is what both ends must agree on; `seed` makes the ephemeral key.
    pub(crate) fn new(
        suite: Suite,
        keys: &Keys,
        is_client: bool,
        prologue: &[u8],
        seed: [u8; 32],
    ) -> Result<Self, CryptoError> {
        let name = match suite {
            Suite::Plaintext => return Err(CryptoError::Handshake),
            Suite::Anonymous => "Noise_NN_25519_ChaChaPoly_BLAKE2s",
            Suite::Secret => "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s",
            Suite::Pinned => "Noise_NK_25519_ChaChaPoly_BLAKE2s",
            Suite::PinnedSecret => "Noise_NKpsk0_25519_ChaChaPoly_BLAKE2s",
        };
        Self::build(name, suite, keys, is_client, prologue, seed)
            .map(|state| Self { state, is_client })
            .map_err(|_| CryptoError::Handshake)
    }

    fn build(
        name: &str,
        suite: Suite,
        keys: &Keys,
        is_client: bool,
        prologue: &[u8],
        seed: [u8; 32],
    ) -> Result<HandshakeState, snow::Error> {
        let resolver = SeededResolver { seed };
        let mut builder = Builder::with_resolver(name.parse()?, Box::new(resolver));
        builder = builder.prologue(prologue)?;
        if let Some(psk) =
            keys.psk.as_ref().filter(|_| matches!(suite, Suite::Secret | Suite::PinnedSecret))
        {
            builder = builder.psk(0, psk)?;
        }
        let pinned = matches!(suite, Suite::Pinned | Suite::PinnedSecret);
        match (is_client, &keys.pinned, &keys.own) {
            (true, Some(public), _) if pinned => {
                builder.remote_public_key(&public.0)?.build_initiator()
            }
            (true, _, _) => builder.build_initiator(),
            (false, _, Some(own)) if pinned => builder.local_private_key(&own.0)?.build_responder(),
            (false, _, _) => builder.build_responder(),
        }
    }
}

impl Session for NoiseSession {
    fn write(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CryptoError> {
        let mut message = [0; MESSAGE_LEN_MAX];
        let len =
            self.state.write_message(payload, &mut message).map_err(|_| CryptoError::Handshake)?;
        out.extend_from_slice(&message[..len]);
        Ok(())
    }

    fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut payload = vec![0; MESSAGE_LEN_MAX];
        let len =
            self.state.read_message(message, &mut payload).map_err(|_| CryptoError::Handshake)?;
        payload.truncate(len);
        Ok(payload)
    }

    fn protection(&mut self) -> Result<Protection, CryptoError> {
        if !self.state.is_handshake_finished() {
            return Err(CryptoError::Handshake);
        }
        // The raw keys become the secrets of our own packet protection, because packets arrive
        // out of order and need header protection and key update, which Noise leaves open.
        let (up, down) = self.state.dangerously_get_raw_split();
        let (send, recv) = if self.is_client { (up, down) } else { (down, up) };
        AeadKeys::new(send, recv).map(|keys| Protection::Aead(Box::new(keys)))
    }
}

/// The default primitives, with randomness from a seed.
struct SeededResolver {
    seed: [u8; 32],
}

impl CryptoResolver for SeededResolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(SeededRandom(ChaCha12Rng::from_seed(self.seed))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

struct SeededRandom(ChaCha12Rng);

impl Random for SeededRandom {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        self.0.fill_bytes(dest);
        Ok(())
    }
}
