//! The receiver of `send_with_fec`: one transfer at a time from each sender, many senders at once.
//!
//! A transfer is complete when any `k` of its chunks are there and the CRC of the whole is right.
//! A plain tutorial sender sends no repair chunks and so no CRC: when all its source chunks are
//! there and nothing more comes for [`QUIET`], their concatenation is the data.
//!
//! The format does not name the transfer a chunk belongs to. What cannot belong to the one under
//! way (another `k`, another summary, another content under the same number) begins a new one, so
//! a gap of any size heals by itself. Chunks of a completed transfer that arrive late start
//! nothing. Chunks of it that arrive *again* are in doubt: the same data sent once more, or copies
//! made by the network; they count while the CRC is right, and are dropped when it is not.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::fec::reed_solomon::ReedSolomon;
use crate::fec::transfer_send::pad;
use crate::wire::crc32::crc32;
use crate::wire::error::WireError;
use crate::wire::fec::{FecChunk, FecDatagram, Summary};

/// How long all source chunks wait for a repair chunk to confirm them.
pub const QUIET: Duration = Duration::from_millis(50);

/// Senders followed at once; then the one heard longest ago is forgotten.
pub const SENDERS_MAX: usize = 256;

/// Bytes of chunks kept at once, of all senders; then the sender that holds most is forgotten.
pub const BYTES_MAX: usize = 256 << 20;

/// What the receiver has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransferStats {
    /// Datagrams that arrived.
    pub datagrams: u64,
    /// Transfers completed.
    pub completed: u64,
    /// Source chunks that were repaired.
    pub repaired: u64,
    /// Transfers given up because another one began, or their sender was forgotten.
    pub abandoned: u64,
    /// Transfers whose CRC was wrong.
    pub corrupt: u64,
    /// Copies of chunks that were there already.
    pub duplicates: u64,
    /// Datagrams that do not follow the format.
    pub malformed: u64,
}

/// The machine.
#[derive(Debug, Default)]
pub struct TransferReceiver {
    senders: BTreeMap<SocketAddr, Sender>,
    bytes: usize,
    stats: TransferStats,
}

#[derive(Debug)]
struct Sender {
    heard: Duration,
    current: Option<Transfer>,
    /// The transfer completed last: only digests of its chunks are left.
    finished: Option<Finished>,
}

#[derive(Debug)]
struct Transfer {
    k: u16,
    summary: Option<Summary>,
    /// Source chunks and repair symbols by number.
    chunks: BTreeMap<u16, Vec<u8>>,
    /// Those that may be copies from the transfer before.
    doubt: BTreeSet<u16>,
    bytes: usize,
    /// When the chunk that came last came.
    heard: Duration,
}

#[derive(Debug)]
struct Finished {
    k: u16,
    summary: Option<Summary>,
    /// CRC-32 of each chunk, and whether it has arrived before.
    chunks: BTreeMap<u16, (u32, bool)>,
}

impl TransferReceiver {
    /// A receiver that has heard nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was counted so far.
    pub fn stats(&self) -> TransferStats {
        self.stats
    }

    /// Bytes of chunks kept at the moment.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A datagram arrived at `now` (any clock that does not go back): the data, if it completes a
    /// transfer.
    ///
    /// # Errors
    /// [`WireError`] when it does not follow the format; counted too.
    pub fn handle_datagram(
        &mut self,
        now: Duration,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Result<Option<Vec<u8>>, WireError> {
        self.stats.datagrams += 1;
        let datagram = FecDatagram::parse(datagram).inspect_err(|_| self.stats.malformed += 1)?;
        self.make_room(&from);
        let sender = self.senders.entry(from).or_insert_with(|| Sender {
            heard: now,
            current: None,
            finished: None,
        });
        sender.heard = now;
        let before = sender.current.as_ref().map_or(0, |transfer| transfer.bytes);
        let data = sender.take(now, &datagram, &mut self.stats);
        let after = sender.current.as_ref().map_or(0, |transfer| transfer.bytes);
        self.bytes = self.bytes + after - before;
        Ok(data)
    }

    /// The data of a plain sender that has gone quiet, if there is one at `now`.
    pub fn handle_timeout(&mut self, now: Duration) -> Option<(SocketAddr, Vec<u8>)> {
        let (&from, sender) = self.senders.iter_mut().find(|(_, sender)| {
            sender.current.as_ref().and_then(Transfer::quiet_at).is_some_and(|at| at <= now)
        })?;
        let transfer = sender.current.take()?;
        self.bytes -= transfer.bytes;
        self.stats.completed += 1;
        let data = transfer.chunks.values().flatten().copied().collect();
        sender.finished = Some(Finished::plain(&transfer));
        Some((from, data))
    }

    /// When [`Self::handle_timeout`] has something to give.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.senders.values().filter_map(|sender| sender.current.as_ref()?.quiet_at()).min()
    }

    fn make_room(&mut self, newcomer: &SocketAddr) {
        if self.senders.len() >= SENDERS_MAX && !self.senders.contains_key(newcomer) {
            let silent = self.senders.iter().min_by_key(|(_, sender)| sender.heard);
            if let Some((&silent, _)) = silent {
                self.forget(&silent);
            }
        }
        if self.bytes >= BYTES_MAX {
            let held = |sender: &Sender| sender.current.as_ref().map_or(0, |t| t.bytes);
            let greedy = self.senders.iter().max_by_key(|(_, sender)| held(sender));
            if let Some((&greedy, _)) = greedy {
                self.forget(&greedy);
            }
        }
    }

    fn forget(&mut self, sender: &SocketAddr) {
        if let Some(transfer) = self.senders.remove(sender).and_then(|sender| sender.current) {
            self.bytes -= transfer.bytes;
            self.stats.abandoned += 1;
        }
    }
}

impl Sender {
    fn take(
        &mut self,
        now: Duration,
        datagram: &FecDatagram<'_>,
        stats: &mut TransferStats,
    ) -> Option<Vec<u8>> {
        let echo = self.finished.as_mut().map_or(Echo::No, |finished| finished.recognise(datagram));
        let current = self.current.get_or_insert_with(|| Transfer::new(datagram.k));
        if current.is_stray(datagram, echo) {
            stats.duplicates += 1;
        } else {
            // The first chunk that is not of the old transfer proves that this is another one.
            let news = echo == Echo::No && current.is_all_doubt();
            if news || !current.fits(datagram) {
                stats.abandoned += u64::from(!current.is_all_doubt());
                *current = std::mem::replace(current, Transfer::new(0)).restart(datagram.k);
            }
            stats.duplicates += u64::from(!current.add(now, datagram, echo != Echo::No));
        }
        if current.chunks.is_empty() {
            self.current = None;
            return None;
        }
        let outcome = current.complete()?;
        let Some(data) = outcome else {
            // Without the chunks in doubt it may still become whole.
            if !current.drop_doubt() {
                stats.corrupt += 1;
                self.current = None;
            }
            return None;
        };
        stats.completed += 1;
        stats.repaired += current.missing() as u64;
        self.finished = Some(Finished::coded(current, &data));
        self.current = None;
        Some(data)
    }
}

/// What a datagram is to the transfer completed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Echo {
    /// None of its chunks.
    No,
    /// One of its chunks, arriving for the first time.
    Late,
    /// One of its chunks, arriving again.
    Again,
}

impl Transfer {
    fn new(k: u16) -> Self {
        Self {
            k,
            summary: None,
            chunks: BTreeMap::new(),
            doubt: BTreeSet::new(),
            bytes: 0,
            heard: Duration::ZERO,
        }
    }

    /// Whether the datagram is a straggler that must not disturb this transfer.
    fn is_stray(&self, datagram: &FecDatagram<'_>, echo: Echo) -> bool {
        let is_repair = matches!(datagram.chunk, FecChunk::Repair(..));
        match echo {
            Echo::No => false,
            _ if self.chunks.is_empty() => echo == Echo::Late,
            // A repair chunk names its data: it is of the old one, and this transfer is not.
            _ if is_repair && !self.is_all_doubt() => true,
            _ => !self.fits(datagram),
        }
    }

    /// Whether the datagram can belong to this transfer.
    fn fits(&self, datagram: &FecDatagram<'_>) -> bool {
        let (body, summary) = parts(datagram);
        let same_summary = match (self.summary, summary) {
            (Some(known), Some(new)) => known == new,
            _ => true,
        };
        let same_chunk = self.chunks.get(&datagram.index).is_none_or(|known| known == body);
        let same_chunk = same_chunk || self.doubt.contains(&datagram.index);
        self.k == datagram.k && same_summary && same_chunk
    }

    fn is_all_doubt(&self) -> bool {
        self.doubt.len() == self.chunks.len()
    }

    /// A new transfer of `k` chunks in place of this one, with its source chunks in doubt.
    fn restart(mut self, k: u16) -> Self {
        let is_source_in_doubt = |index: &u16| *index < k && self.doubt.contains(index);
        if self.k != k {
            return Self::new(k);
        }
        self.chunks.retain(|index, _| is_source_in_doubt(index));
        self.doubt.retain(|index| *index < k);
        self.bytes = self.chunks.values().map(Vec::len).sum();
        self.summary = None;
        self
    }

    /// Takes the chunk; false for one that is there already.
    fn add(&mut self, now: Duration, datagram: &FecDatagram<'_>, in_doubt: bool) -> bool {
        let (body, summary) = parts(datagram);
        self.summary = self.summary.or(summary);
        self.heard = now;
        let index = datagram.index;
        match self.chunks.get(&index) {
            Some(known) if known == body => return false,
            Some(known) => self.bytes -= known.len(),
            None => {}
        }
        self.doubt.remove(&index);
        if in_doubt {
            self.doubt.insert(index);
        }
        self.bytes += body.len();
        self.chunks.insert(index, body.to_vec());
        true
    }

    /// Forgets the chunks in doubt; false if there were none, or nothing else.
    fn drop_doubt(&mut self) -> bool {
        if self.doubt.is_empty() || self.is_all_doubt() {
            return false;
        }
        for index in std::mem::take(&mut self.doubt) {
            self.chunks.remove(&index);
        }
        self.bytes = self.chunks.values().map(Vec::len).sum();
        true
    }

    /// How many source chunks are not there.
    fn missing(&self) -> usize {
        usize::from(self.k) - self.chunks.range(..self.k).count()
    }

    /// When all source chunks of a sender without repair chunks have waited long enough.
    fn quiet_at(&self) -> Option<Duration> {
        let whole = self.summary.is_none() && self.chunks.len() == usize::from(self.k);
        whole.then(|| self.heard + QUIET)
    }

    /// With enough chunks and a summary: the data, or `None` inside if the CRC is wrong.
    fn complete(&self) -> Option<Option<Vec<u8>>> {
        let summary = self.summary.filter(|_| self.chunks.len() >= usize::from(self.k))?;
        let data = self.sources(summary).map(|sources| sources.concat());
        Some(
            data.filter(|data| {
                data.len() == summary.length as usize && crc32(data) == summary.crc32
            }),
        )
    }

    /// All source chunks, each with its own length; `None` if chunks contradict each other.
    fn sources(&self, summary: Summary) -> Option<Vec<Vec<u8>>> {
        let k = usize::from(self.k);
        let (there, repairs): (Vec<_>, Vec<_>) =
            self.chunks.iter().partition(|(index, _)| **index < self.k);
        let Some((_, symbol)) = repairs.first() else {
            return Some(there.into_iter().map(|(_, chunk)| chunk.clone()).collect());
        };
        let symbol_len = symbol.len();
        let code = ReedSolomon::new(k, usize::from(summary.m)).ok()?;
        let mut sources: Vec<Option<Vec<u8>>> = vec![None; k];
        for (&index, chunk) in there {
            if chunk.len() > symbol_len {
                return None;
            }
            sources[usize::from(index)] = Some(pad(chunk, symbol_len));
        }
        let views: Vec<Option<&[u8]>> = sources.iter().map(Option::as_deref).collect();
        let repairs: Vec<(usize, &[u8])> = repairs
            .into_iter()
            .map(|(&index, symbol)| (usize::from(index) - k, symbol.as_slice()))
            .collect();
        for (index, chunk) in code.reconstruct(&views, &repairs).ok()? {
            sources[index] = Some(chunk);
        }
        let lengths = chunk_lengths(k, symbol_len, summary.length as usize, &self.chunks)?;
        let cut = |(mut chunk, len): (Vec<u8>, usize)| {
            chunk.truncate(len);
            chunk
        };
        let sources: Option<Vec<Vec<u8>>> = sources.into_iter().collect();
        Some(sources?.into_iter().zip(lengths).map(cut).collect())
    }
}

/// The lengths of the source chunks: all but the last are equal, and together they are `total`.
/// A symbol may be one byte longer than a chunk, where the code wants an even length.
fn chunk_lengths(
    k: usize,
    symbol_len: usize,
    total: usize,
    chunks: &BTreeMap<u16, Vec<u8>>,
) -> Option<Vec<usize>> {
    let fits = |size: usize| {
        let last = total.checked_sub(size * (k - 1))?;
        let lengths = move |index: usize| if index + 1 == k { last } else { size };
        let right = last <= size
            && chunks
                .iter()
                .filter(|(index, _)| usize::from(**index) < k)
                .all(|(index, chunk)| chunk.len() == lengths(usize::from(*index)));
        right.then(|| (0..k).map(lengths).collect())
    };
    fits(symbol_len).or_else(|| fits(symbol_len.checked_sub(1)?))
}

impl Finished {
    fn plain(transfer: &Transfer) -> Self {
        let chunks = transfer.chunks.iter();
        let chunks = chunks.map(|(&index, chunk)| (index, (crc32(chunk), true))).collect();
        Self { k: transfer.k, summary: None, chunks }
    }

    /// Source chunks that were repaired may still arrive: their digests are known, too.
    fn coded(transfer: &Transfer, data: &[u8]) -> Self {
        let mut finished = Self { summary: transfer.summary, ..Self::plain(transfer) };
        let size = transfer.chunks.first_key_value().map_or(0, |(_, chunk)| chunk.len());
        if size > 0 {
            for (index, chunk) in data.chunks(size).enumerate().take(usize::from(transfer.k)) {
                finished.chunks.entry(index as u16).or_insert((crc32(chunk), false));
            }
        }
        finished
    }

    /// What the datagram is to this transfer; from now on it has arrived.
    fn recognise(&mut self, datagram: &FecDatagram<'_>) -> Echo {
        let (body, summary) = parts(datagram);
        if datagram.k != self.k || (summary.is_some() && summary != self.summary) {
            return Echo::No;
        }
        let crc = crc32(body);
        // A repair chunk that names this transfer belongs to it, seen before or not.
        let unseen = summary.map(|_| (crc, false));
        let entry = match self.chunks.entry(datagram.index) {
            Entry::Occupied(entry) => Some(entry.into_mut()),
            Entry::Vacant(place) => unseen.map(|unseen| place.insert(unseen)),
        };
        match entry {
            Some((known, arrived)) if *known == crc => {
                if std::mem::replace(arrived, true) {
                    Echo::Again
                } else {
                    Echo::Late
                }
            }
            _ => Echo::No,
        }
    }
}

/// The bytes of a chunk, and its summary if it is a repair chunk.
fn parts<'a>(datagram: &FecDatagram<'a>) -> (&'a [u8], Option<Summary>) {
    match datagram.chunk {
        FecChunk::Source(chunk) => (chunk, None),
        FecChunk::Repair(summary, symbol) => (symbol, Some(summary)),
    }
}

#[cfg(test)]
mod tests;
