//! Messages on a TCP stream: two octets of length in front of each. RFC 1035 §4.2.2, RFC 7766.

/// Cuts a stream of bytes into messages.
///
/// ```
/// use udpcore::dns::frame::Deframer;
/// let mut stream = Deframer::default();
/// stream.push(&[0, 3, 1, 2]);
/// assert_eq!(stream.pop(), None);
/// stream.push(&[3, 0]);
/// assert_eq!(stream.pop(), Some(vec![1, 2, 3]));
/// ```
#[derive(Debug, Default)]
pub struct Deframer {
    held: Vec<u8>,
    /// Octets at the front that were already given out.
    used: usize,
}

impl Deframer {
    /// Takes the next bytes of the stream. At most one message and what was pushed is held, as
    /// long as [`Deframer::pop`] is called until `None` after each push.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next whole message.
    pub fn pop(&mut self) -> Option<Vec<u8>> {
        let rest = &self.held[self.used..];
        let len = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
        let Some(message) = rest.get(2..2 + len) else {
            self.held.drain(..self.used);
            self.used = 0;
            return None;
        };
        let message = message.to_vec();
        self.used += 2 + len;
        if self.used == self.held.len() {
            self.held.clear();
            self.used = 0;
        }
        Some(message)
    }

    /// Whether the stream stands between two messages.
    pub fn is_clean(&self) -> bool {
        self.used == self.held.len()
    }
}

/// `message` behind its length. Messages are at most 65,535 octets by construction.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + message.len());
    out.extend_from_slice(&(message.len() as u16).to_be_bytes());
    out.extend_from_slice(message);
    out
}
