//! A whole message as text, section by section, as dig prints it.

use super::message::{EDNS_DO, Edns, Message, Question, Record, Section};
use super::present::Columns;
use super::rdtype::RdType;
use super::value;
use std::fmt::{self, Display, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

impl Display for Question<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Columns::default();
        line.cell(0, format_args!("{}", self.name))?;
        line.cell(32, format_args!("{}", self.class))?;
        line.cell(40, format_args!("{}", self.rdtype))?;
        out.write_str(&line.text)
    }
}

impl Display for Message {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.header();
        let [qd, an, ns, ar] = header.counts;
        writeln!(
            out,
            ";; ->>HEADER<<- opcode: {}, status: {}, id: {}",
            header.opcode,
            self.rcode(),
            header.id
        )?;
        writeln!(
            out,
            ";; flags:{}; QUERY: {qd}, ANSWER: {an}, AUTHORITY: {ns}, ADDITIONAL: {ar}",
            header.flags
        )?;
        if let Some(edns) = self.edns() {
            writeln!(out, "\n;; OPT PSEUDOSECTION:\n{edns}")?;
        } else {
            writeln!(out)?;
        }
        if qd > 0 {
            writeln!(out, ";; QUESTION SECTION:")?;
            self.questions().try_for_each(|question| writeln!(out, ";{question}"))?;
        }
        write_section("ANSWER", self.section(Section::Answer), out)?;
        write_section("AUTHORITY", self.section(Section::Authority), out)?;
        write_section("ADDITIONAL", self.section(Section::Additional), out)
    }
}

fn write_section<'m>(
    title: &str,
    records: impl Iterator<Item = Record<'m>>,
    out: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    // OPT has its own section in front.
    let mut records = records.filter(|record| record.rdtype != RdType::OPT).peekable();
    if records.peek().is_some() {
        writeln!(out, "\n;; {title} SECTION:")?;
    }
    records.try_for_each(|record| writeln!(out, "{record}"))
}

impl Display for Edns<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dnssec_ok = if self.flags & EDNS_DO != 0 { " do" } else { "" };
        write!(
            out,
            "; EDNS: version: {}, flags:{dnssec_ok}; udp: {}",
            self.version, self.udp_size
        )?;
        value::pairs(self.options).try_for_each(|(code, data)| {
            out.write_char('\n')?;
            write_option(code, data, out)
        })
    }
}

fn write_option(code: u16, data: &[u8], out: &mut fmt::Formatter<'_>) -> fmt::Result {
    match code {
        3 => write!(out, "; NSID:{}", Octets(data)),
        8 if data.len() >= 4 => write_subnet(data, out),
        // RFC 7873 §4
        10 => write!(out, "; COOKIE: {}", super::present::hex(data).to_lowercase()),
        15 if data.len() >= 2 => {
            let info = u16::from_be_bytes([data[0], data[1]]);
            write!(out, "; EDE: {info}")?;
            if let Some(words) = extended_error(info) {
                write!(out, " ({words})")?;
            }
            match &data[2..] {
                [] => Ok(()),
                text => write!(out, ": ({})", String::from_utf8_lossy(text).escape_debug()),
            }
        }
        _ => write!(out, "; OPT={code}:{}", Octets(data)),
    }
}

/// RFC 7871 §6: family, source and scope prefix length, address cut to the source prefix.
fn write_subnet(data: &[u8], out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (source, scope, cut) = (data[2], data[3], &data[4..]);
    match (data[0], data[1], cut.len()) {
        (0, 1, ..=4) => {
            let mut octets = [0; 4];
            octets[..cut.len()].copy_from_slice(cut);
            write!(out, "; CLIENT-SUBNET: {}/{source}/{scope}", Ipv4Addr::from(octets))
        }
        (0, 2, ..=16) => {
            let mut octets = [0; 16];
            octets[..cut.len()].copy_from_slice(cut);
            write!(out, "; CLIENT-SUBNET: {}/{source}/{scope}", Ipv6Addr::from(octets))
        }
        _ => write!(out, "; CLIENT-SUBNET:{}", Octets(data)),
    }
}

/// `" 61 62 (\"ab\")"`.
struct Octets<'a>(&'a [u8]);

impl Display for Octets<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(out, " {octet:02x}"))?;
        if self.0.is_empty() {
            return Ok(());
        }
        out.write_str(" (\"")?;
        for octet in self.0 {
            out.write_char(if octet.is_ascii_graphic() { char::from(*octet) } else { '.' })?;
        }
        out.write_str("\")")
    }
}

/// What an extended error number means. RFC 8914 §4 and the IANA registry.
pub fn extended_error(info: u16) -> Option<&'static str> {
    const WORDS: [&str; 30] = [
        "Other",
        "Unsupported DNSKEY Algorithm",
        "Unsupported DS Digest Type",
        "Stale Answer",
        "Forged Answer",
        "DNSSEC Indeterminate",
        "DNSSEC Bogus",
        "Signature Expired",
        "Signature Not Yet Valid",
        "DNSKEY Missing",
        "RRSIGs Missing",
        "No Zone Key Bit Set",
        "NSEC Missing",
        "Cached Error",
        "Not Ready",
        "Blocked",
        "Censored",
        "Filtered",
        "Prohibited",
        "Stale NXDOMAIN Answer",
        "Not Authoritative",
        "Not Supported",
        "No Reachable Authority",
        "Network Error",
        "Invalid Data",
        "Signature Expired before Valid",
        "Too Early",
        "Unsupported NSEC3 Iterations Value",
        "Unable to conform to policy",
        "Synthesized",
    ];
    WORDS.get(usize::from(info)).copied()
}

/// `SERVFAIL; Blocked (text)`: the code and the extended errors of a message, for error texts.
pub fn explain(message: &Message) -> String {
    let mut text = message.rcode().to_string();
    let Some(edns) = message.edns() else { return text };
    for (_, data) in value::pairs(edns.options).filter(|(c, d)| *c == 15 && d.len() >= 2) {
        let info = u16::from_be_bytes([data[0], data[1]]);
        let _ = match extended_error(info) {
            Some(words) => write!(text, "; {words}"),
            None => write!(text, "; extended error {info}"),
        };
        if data.len() > 2 {
            let _ = write!(text, " ({})", String::from_utf8_lossy(&data[2..]).escape_debug());
        }
    }
    text
}
