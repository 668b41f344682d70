//! Many questions over one connection, answered in any order: sans-IO.
//!
//! RFC 7766 §6.2.1.1 (pipelining), §7 (answers out of order, matched by id and question),
//! RFC 7830 and RFC 8467 (padding, so that lengths tell little of what is encrypted).
//!
//! Rules of this file: at most `window` questions are open; what is unanswered when a connection
//! ends is asked again over the next one ([`Pipeline::reopen`]).

use super::header::Flags;
use super::message::{self, Message};
use super::query::Query;
use super::reader::ParseError;
use rand::CryptoRng;
use std::collections::{BTreeMap, VecDeque};

/// Most questions open on one connection.
pub const WINDOW_MAX: usize = 128;
/// Encrypted queries are padded to multiples of this. RFC 8467 §4.1.
const PAD_BLOCK: usize = 128;
/// The EDNS option. RFC 7830 §3.
const PADDING: u16 = 12;

/// Why a message on the connection is no answer to any question of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The bytes are no message.
    #[error(transparent)]
    Malformed(#[from] ParseError),
    /// It answers something else.
    #[error("the server answered a question that was not asked")]
    Unasked,
}

/// The questions of one connection after the other.
#[derive(Debug)]
pub struct Pipeline {
    queries: Vec<Query>,
    waiting: VecDeque<usize>,
    open: BTreeMap<u16, usize>,
    answers: Vec<Option<Message>>,
    window: usize,
    zero_id: bool,
}

impl Pipeline {
    /// Questions to ask, at most `window` at a time. With `padded` their lengths are blurred;
    /// with `zero_id` every id is 0 (RFC 8484 §4.1) and the window is 1.
    pub fn new(mut queries: Vec<Query>, window: usize, padded: bool, zero_id: bool) -> Self {
        if padded {
            queries.iter_mut().for_each(pad);
        }
        let window = if zero_id { 1 } else { window.clamp(1, WINDOW_MAX) };
        Self {
            waiting: (0..queries.len()).collect(),
            open: BTreeMap::new(),
            answers: vec![None; queries.len()],
            queries,
            window,
            zero_id,
        }
    }

    /// The next query to write, if there is one and room for it.
    pub fn poll_query(&mut self, random: &mut impl CryptoRng) -> Option<Vec<u8>> {
        if self.open.len() >= self.window {
            return None;
        }
        let index = self.waiting.pop_front()?;
        let mut id = 0;
        if !self.zero_id {
            id = random.next_u32() as u16;
            // The window is much smaller than the space of ids: this ends soon.
            while self.open.contains_key(&id) {
                id = id.wrapping_add(1);
            }
        }
        self.open.insert(id, index);
        Some(self.queries[index].compose(id))
    }

    /// A whole message arrived.
    ///
    /// # Errors
    /// [`Mismatch`]: the connection should be given up.
    pub fn handle_message(&mut self, wire: Vec<u8>) -> Result<(), Mismatch> {
        let message = Message::parse(wire)?;
        let header = message.header();
        let index = *self.open.get(&header.id).ok_or(Mismatch::Unasked)?;
        let query = &self.queries[index];
        let mut questions = message.questions();
        let fits = |question: message::Question<'_>| {
            (question.rdtype, question.class) == (query.rdtype, query.class)
                && question.name.eq_ignore_case(&query.name.as_ref())
        };
        // Old servers send back the bare header when they cannot read the rest.
        let asked = questions.next().map_or(message.rcode().0 != 0, fits);
        if !header.flags.has(Flags::QR) || questions.next().is_some() || !asked {
            return Err(Mismatch::Unasked);
        }
        drop(questions);
        self.open.remove(&header.id);
        self.answers[index] = Some(message);
        Ok(())
    }

    /// The connection ended: what was open will be asked again.
    pub fn reopen(&mut self) {
        let mut again: Vec<usize> = std::mem::take(&mut self.open).into_values().collect();
        again.sort_unstable();
        again.into_iter().rev().for_each(|index| self.waiting.push_front(index));
    }

    /// From now on one question at a time; whether that is less than before. Some servers close
    /// the connection behind the first answers, and reset it when more questions are there.
    pub fn narrow(&mut self) -> bool {
        std::mem::replace(&mut self.window, 1) > 1
    }

    /// How many questions are answered.
    pub fn answered(&self) -> usize {
        self.queries.len() - self.open.len() - self.waiting.len()
    }

    /// Whether all of them are.
    pub fn is_done(&self) -> bool {
        self.open.is_empty() && self.waiting.is_empty()
    }

    /// The answers, in the order of the questions.
    pub fn into_answers(self) -> Vec<Option<Message>> {
        self.answers
    }
}

fn pad(query: &mut Query) {
    if query.edns.is_none() {
        return;
    }
    const OPTION_HEADER_LEN: usize = 4;
    let len = query.compose(0).len() + OPTION_HEADER_LEN;
    query.options.push((PADDING, vec![0; len.next_multiple_of(PAD_BLOCK) - len]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::RdType;
    use rand::{SeedableRng, rngs::StdRng};

    fn questions(count: usize) -> Vec<Query> {
        let name = |i| format!("n{i}.test").parse().unwrap();
        (0..count).map(|i| Query::new(name(i), RdType::A)).collect()
    }

    fn answer(mut query: Vec<u8>) -> Vec<u8> {
        query[2] |= 0x80;
        query
    }

    #[test]
    fn answers_come_in_any_order() {
        let mut random = StdRng::seed_from_u64(1);
        let mut pipeline = Pipeline::new(questions(5), 3, false, false);
        let mut sent: Vec<_> = std::iter::from_fn(|| pipeline.poll_query(&mut random)).collect();
        assert_eq!(sent.len(), 3);
        sent.reverse();
        for wire in sent {
            pipeline.handle_message(answer(wire)).unwrap();
        }
        assert_eq!(pipeline.answered(), 3);
        let lost = pipeline.poll_query(&mut random).unwrap();
        pipeline.reopen();
        assert_eq!(pipeline.handle_message(answer(lost)), Err(Mismatch::Unasked));
        while let Some(wire) = pipeline.poll_query(&mut random) {
            pipeline.handle_message(answer(wire)).unwrap();
        }
        assert!(pipeline.is_done());
        let names = pipeline
            .into_answers()
            .into_iter()
            .map(|message| message.unwrap().questions().next().unwrap().name.to_string());
        assert!(names.eq((0..5).map(|i| format!("n{i}.test."))));
    }

    #[test]
    fn encrypted_queries_have_a_few_lengths_only() {
        let mut random = StdRng::seed_from_u64(1);
        let mut pipeline = Pipeline::new(questions(3), 9, true, true);
        let wire = pipeline.poll_query(&mut random).unwrap();
        assert_eq!((wire.len() % PAD_BLOCK, &wire[..2]), (0, &[0, 0][..]));
        assert_eq!(pipeline.poll_query(&mut random), None);
        let other = questions(2).pop().unwrap().compose(0);
        assert_eq!(pipeline.handle_message(answer(other)), Err(Mismatch::Unasked));
        assert!(matches!(pipeline.handle_message(vec![0; 3]), Err(Mismatch::Malformed(_))));
    }
}
