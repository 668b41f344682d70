//! What an answer says about its question: the records at the end of the CNAME chain, or why none.
//!
//! RFC 1034 §3.6.2 and §4.3.2, RFC 2308 §2 (NXDOMAIN, NODATA, how long to remember them).
//! Only what is in the message counts; a chain that leaves it is told apart as `Elsewhere`.

use super::header::{Flags, Rcode};
use super::message::{Message, Record, Section};
use super::name::Name;
use super::rdtype::RdType;
use super::value::Value;

/// Longest CNAME chain that is followed.
pub const CHAIN_LEN_MAX: usize = 16;

/// The verdict on an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There are records.
    Found,
    /// The name exists, but not with this type.
    NoData,
    /// There is no such name.
    NoName,
    /// The chain leads to a name about which this message says nothing.
    Elsewhere,
    /// The server names other servers instead of answering: it does not resolve for us.
    Referral,
    /// The chain comes back to a name it has passed.
    Loop,
    /// The chain has more than [`CHAIN_LEN_MAX`] links.
    ChainTooLong,
    /// Another response code than NOERROR and NXDOMAIN.
    Failed(Rcode),
}

/// An answer that was read.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What it says.
    pub verdict: Verdict,
    /// The name at the end of the chain.
    pub canonical: Name,
    /// Indices of the records found, for [`Message::record`].
    pub records: Vec<usize>,
    /// The smallest TTL on the way, or the negative TTL; seconds.
    pub ttl: Option<u32>,
}

/// Reads what `message` says about `name` and `rdtype`.
pub fn read(message: &Message, name: &Name, rdtype: RdType) -> Answer {
    let mut answer =
        Answer { verdict: Verdict::Found, canonical: name.clone(), records: vec![], ttl: None };
    let rcode = message.rcode();
    if rcode != Rcode::NOERROR && rcode != Rcode::NXDOMAIN {
        answer.verdict = Verdict::Failed(rcode);
        return answer;
    }
    let mut passed = Vec::new();
    loop {
        answer.records = matching(message, &answer.canonical, rdtype);
        if !answer.records.is_empty() {
            break;
        }
        let Some((target, ttl)) = alias(message, &answer.canonical) else {
            answer.verdict = negative(message, rcode, !passed.is_empty());
            break;
        };
        passed.push(std::mem::replace(&mut answer.canonical, target));
        answer.ttl = Some(answer.ttl.map_or(ttl, |least| least.min(ttl)));
        if passed.contains(&answer.canonical) {
            answer.verdict = Verdict::Loop;
            return answer;
        }
        if passed.len() > CHAIN_LEN_MAX {
            answer.verdict = Verdict::ChainTooLong;
            return answer;
        }
    }
    let least = answer.records.iter().map(|index| message.record(*index).ttl).min();
    let negative_ttl = || soa(message).and_then(|record| negative_ttl(&record));
    let own = if answer.verdict == Verdict::Found { least } else { negative_ttl() };
    answer.ttl = [answer.ttl, own].into_iter().flatten().min();
    answer
}

/// Records of the answer section with this owner and type; ANY takes every type.
fn matching(message: &Message, name: &Name, rdtype: RdType) -> Vec<usize> {
    message
        .range(Section::Answer)
        .filter(|index| {
            let record = message.record(*index);
            (record.rdtype == rdtype || rdtype == RdType::ANY)
                && record.name.eq_ignore_case(&name.as_ref())
        })
        .collect()
}

fn alias(message: &Message, name: &Name) -> Option<(Name, u32)> {
    message
        .section(Section::Answer)
        .find(|r| r.rdtype == RdType::CNAME && r.name.eq_ignore_case(&name.as_ref()))
        .and_then(|record| Some((record.target()?, record.ttl)))
}

fn negative(message: &Message, rcode: Rcode, aliased: bool) -> Verdict {
    if rcode == Rcode::NXDOMAIN {
        // RFC 2308 §2.1: about the name at the end of the chain.
        return Verdict::NoName;
    }
    // RFC 2308 §2.2: NODATA comes with an SOA; after an alias its absence means that the server
    // has nothing to say about the target.
    if soa(message).is_some() {
        return Verdict::NoData;
    }
    let mut authorities = message.section(Section::Authority);
    // RFC 2308 §2.2.1: without SOA, from no authority, with NS records: a referral.
    let referral = !message.header().flags.has(Flags::AA)
        && authorities.any(|record| record.rdtype == RdType::NS);
    match (aliased, referral) {
        (true, _) => Verdict::Elsewhere,
        (false, true) => Verdict::Referral,
        (false, false) => Verdict::NoData,
    }
}

fn soa(message: &Message) -> Option<Record<'_>> {
    message.section(Section::Authority).find(|record| record.rdtype == RdType::SOA)
}

/// RFC 2308 §5: the smaller of the TTL of the SOA and its last field.
fn negative_ttl(soa: &Record<'_>) -> Option<u32> {
    match soa.values()?.last()? {
        (_, Value::Int(minimum)) => Some(minimum.min(soa.ttl)),
        _ => None,
    }
}
