//! One direction of a call: frames of samples to RTP datagrams, and back at an even pace.
//!
//! The sender codes, numbers and leaves out silence; the receiver counts, buffers, conceals and
//! reports. A codec that is not ours (Opus) is coded outside: its payloads pass through. The
//! tutorial's bare samples (`wire="pcm"`) have no numbers: they play in the order they come.

use crate::apps::emodel;
use crate::apps::plc::Concealer;
use crate::apps::rtp_session::{Arrival, RtpReceiver};
use crate::apps::vad::VoiceActivity;
use crate::flow::jitter_buffer::{JitterBuffer, Playout};
use crate::wire::{g711, rtp::RtpPacket};
use std::collections::VecDeque;
use std::time::Duration;

/// How samples become payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// G.711 µ-law.
    Ulaw,
    /// G.711 A-law.
    Alaw,
    /// RFC 3551 L16: linear, big-endian.
    Linear,
    /// Coded and decoded outside.
    Outside,
}

impl Codec {
    /// RFC 3551 fixes the numbers at 8 kHz; at other rates dynamic ones are used.
    pub fn payload_type(self, rate_hz: u32) -> u8 {
        match (self, rate_hz) {
            (Self::Ulaw, 8000) => 0,
            (Self::Alaw, 8000) => 8,
            (Self::Ulaw, _) => 96,
            (Self::Alaw, _) => 97,
            (Self::Linear, _) => 98,
            (Self::Outside, _) => 111,
        }
    }

    /// Code samples; nothing for a codec outside.
    pub fn code(self, samples: &[i16]) -> Vec<u8> {
        match self {
            Self::Ulaw => samples.iter().map(|s| g711::compress_ulaw(*s)).collect(),
            Self::Alaw => samples.iter().map(|s| g711::compress_alaw(*s)).collect(),
            Self::Linear => samples.iter().flat_map(|s| s.to_be_bytes()).collect(),
            Self::Outside => Vec::new(),
        }
    }

    /// Decode a payload; nothing for a codec outside.
    pub fn decode(self, payload: &[u8]) -> Vec<i16> {
        match self {
            Self::Ulaw => payload.iter().map(|b| g711::expand_ulaw(*b)).collect(),
            Self::Alaw => payload.iter().map(|b| g711::expand_alaw(*b)).collect(),
            Self::Linear => {
                payload.chunks_exact(2).map(|b| i16::from_be_bytes([b[0], b[1]])).collect()
            }
            Self::Outside => Vec::new(),
        }
    }
}

/// What both ends of a call agree on.
#[derive(Debug, Clone, Copy)]
pub struct VoiceFormat {
    /// The codec.
    pub codec: Codec,
    /// Samples a second.
    pub rate_hz: u32,
    /// Samples a frame; 20 ms are usual.
    pub frame_samples: u32,
}

/// Makes datagrams of frames.
#[derive(Debug)]
pub struct VoiceSender {
    format: VoiceFormat,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    activity: Option<VoiceActivity>,
    was_silent: bool,
}

impl VoiceSender {
    /// `random` gives the source and where the numbers begin (RFC 3550 §5.1 wants them random).
    pub fn new(format: VoiceFormat, suppress_silence: bool, random: u64) -> Self {
        Self {
            format,
            ssrc: random as u32,
            sequence: (random >> 32) as u16 & 0x7FFF,
            timestamp: (random >> 48) as u32,
            activity: suppress_silence.then(|| VoiceActivity::new(HANGOVER_FRAMES)),
            was_silent: true,
        }
    }

    /// The datagram for a frame, `None` while nobody speaks.
    pub fn send(&mut self, samples: &[i16]) -> Option<Vec<u8>> {
        let payload = self.format.codec.code(samples);
        self.send_coded(samples, &payload)
    }

    /// The same for a payload coded outside; the samples are still listened to.
    pub fn send_coded(&mut self, samples: &[i16], payload: &[u8]) -> Option<Vec<u8>> {
        let speaks = self.activity.as_mut().is_none_or(|activity| activity.is_speech(samples));
        let timestamp = self.timestamp;
        self.timestamp = self.timestamp.wrapping_add(self.format.frame_samples);
        if !speaks {
            self.was_silent = true;
            return None;
        }
        let packet = RtpPacket {
            // RFC 3551 §4.1: the marker is set on the first packet after silence.
            marker: std::mem::take(&mut self.was_silent),
            payload_type: self.format.codec.payload_type(self.format.rate_hz),
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
            csrc: Vec::new(),
            extension: None,
            payload,
        };
        self.sequence = self.sequence.wrapping_add(1);
        Some(packet.compose())
    }
}

/// What the receiver hands out for one frame of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Play these.
    Samples(Vec<i16>),
    /// Decode this outside and hand the samples to [`VoiceReceiver::decoded`].
    Payload(Vec<u8>),
}

/// How a call is going.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Quality {
    /// RTP packets that came.
    pub received: u64,
    /// RTP packets that should have come.
    pub expected: u64,
    /// Packets the network lost.
    pub lost: u64,
    /// Frames that came after their time.
    pub late: u64,
    /// Frames that came twice.
    pub duplicate: u64,
    /// Frames that were concealed because missing.
    pub concealed: u64,
    /// Frames played.
    pub played: u64,
    /// RFC 3550's jitter.
    pub jitter: Duration,
    /// What the jitter buffer waits at the moment.
    pub buffer_delay: Duration,
    /// Times the other side began anew.
    pub restarts: u64,
    /// Datagrams that are no RTP, of another payload type or another source.
    pub ignored: u64,
    /// The E-model's rating, 0 to 93.2 (G.107) or 129 (G.107.1); the network's delay is not known
    /// and not in it.
    pub rating: f64,
    /// The mean opinion score it means, 1 to 4.5, on that scale.
    pub mos: f64,
    /// ITU-T's recommendation that defines the scale: G.107 for G.711, G.107.1 for Opus.
    pub scale: &'static str,
}

/// Makes an even stream of frames of what the network brings.
#[derive(Debug)]
pub struct VoiceReceiver {
    format: VoiceFormat,
    session: RtpReceiver,
    buffer: JitterBuffer,
    concealer: Concealer,
    conceal: bool,
    bare: Option<VecDeque<Vec<i16>>>,
    bare_started: bool,
    bare_received: u64,
    ignored: u64,
}

impl VoiceReceiver {
    /// `conceal=false` plays silence for what is missing, for comparison.
    pub fn new(format: VoiceFormat, delay_max: Duration, conceal: bool) -> Self {
        Self {
            format,
            session: RtpReceiver::new(format.rate_hz),
            buffer: JitterBuffer::new(format.rate_hz, format.frame_samples, delay_max),
            concealer: Concealer::new(format.rate_hz),
            conceal,
            bare: None,
            bare_started: false,
            bare_received: 0,
            ignored: 0,
        }
    }

    /// Receive bare samples (native order, as a sound card gives them) instead of RTP.
    pub fn bare(mut self) -> Self {
        self.bare = Some(VecDeque::new());
        self
    }

    /// Take a datagram; false when it was none of ours.
    pub fn handle(&mut self, now: Duration, datagram: &[u8]) -> bool {
        if self.bare.is_some() {
            return self.handle_bare(datagram);
        }
        let wanted = self.format.codec.payload_type(self.format.rate_hz);
        let packet = RtpPacket::parse(datagram).ok().filter(|p| p.payload_type == wanted);
        let Some(packet) = packet.filter(|packet| packet.payload.len() <= PAYLOAD_BYTES_MAX) else {
            self.ignored += 1;
            return false;
        };
        match self.session.receive(now, &packet) {
            Arrival::Foreign => return false,
            Arrival::NewSource if self.session.stats().sources > 1 => self.buffer.restart(),
            _ => {}
        }
        self.buffer.push(now, packet.sequence, packet.timestamp, packet.payload);
        true
    }

    /// The next frame; to be called once a frame.
    pub fn pull(&mut self, now: Duration) -> Heard {
        if let Some(queue) = &mut self.bare {
            // Two datagrams ahead before the first is played, and again after running dry.
            self.bare_started = !queue.is_empty() && (self.bare_started || queue.len() > 1);
            let next = if self.bare_started { queue.pop_front() } else { None };
            return Heard::Samples(match next {
                Some(samples) => self.concealer.good(&samples),
                None => self.missing(),
            });
        }
        match self.buffer.pull(now) {
            Playout::Frame(payload) if self.format.codec == Codec::Outside => {
                Heard::Payload(payload)
            }
            Playout::Frame(payload) => {
                let samples = self.format.codec.decode(&payload);
                Heard::Samples(self.decoded(&samples))
            }
            Playout::Lost | Playout::Stretch => Heard::Samples(self.missing()),
            Playout::Silence => {
                // Silence fades in as a concealed frame would; after 60 ms it is nothing.
                Heard::Samples(self.missing())
            }
        }
    }

    /// Blend samples decoded outside into what was played before.
    pub fn decoded(&mut self, samples: &[i16]) -> Vec<i16> {
        let mut whole = samples.to_vec();
        whole.resize(self.format.frame_samples as usize, 0);
        if self.conceal { self.concealer.good(&whole) } else { whole }
    }

    /// How the call is going.
    pub fn quality(&self) -> Quality {
        let (rtp, frames) = (self.session.stats(), self.buffer.stats());
        let missed = (rtp.lost + frames.late) as f64;
        let share = missed / (rtp.expected.max(1) as f64);
        // The samples of the other codecs are G.711's or better.
        let codec = match (self.format.codec, self.conceal) {
            (Codec::Outside, true) => emodel::OPUS_CONCEALED,
            (Codec::Outside, false) => emodel::OPUS_SILENCE,
            (_, true) => emodel::G711_CONCEALED,
            (_, false) => emodel::G711_SILENCE,
        };
        let delay_ms = self.buffer.target_delay().as_secs_f64() * 1000.0;
        let rating = emodel::rating(delay_ms, share.min(1.0), 1.0, codec);
        Quality {
            received: rtp.received + self.bare_received,
            expected: rtp.expected.max(self.bare_received),
            lost: rtp.lost,
            late: frames.late,
            duplicate: frames.duplicate,
            concealed: frames.lost,
            played: frames.played,
            jitter: rtp.jitter,
            buffer_delay: self.buffer.target_delay(),
            restarts: rtp.sources.saturating_sub(1),
            ignored: self.ignored + rtp.foreign,
            rating,
            mos: emodel::opinion_score(rating, codec.scale),
            scale: codec.scale.recommendation(),
        }
    }

    fn missing(&mut self) -> Vec<i16> {
        let count = self.format.frame_samples as usize;
        if self.conceal { self.concealer.conceal(count) } else { vec![0; count] }
    }

    fn handle_bare(&mut self, datagram: &[u8]) -> bool {
        let Some(queue) = &mut self.bare else { return false };
        if datagram.is_empty()
            || !datagram.len().is_multiple_of(2)
            || datagram.len() > PAYLOAD_BYTES_MAX
        {
            self.ignored += 1;
            return false;
        }
        self.bare_received += 1;
        if queue.len() == BARE_QUEUE_MAX {
            queue.pop_front();
        }
        let samples = datagram.chunks_exact(2).map(|b| i16::from_ne_bytes([b[0], b[1]]));
        queue.push_back(samples.collect());
        true
    }
}

/// Frames that are still sent after the last loud one: 300 ms.
const HANGOVER_FRAMES: u32 = 15;
/// A frame larger than any Ethernet jumbo frame is none.
const PAYLOAD_BYTES_MAX: usize = 9000;
const BARE_QUEUE_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: VoiceFormat =
        VoiceFormat { codec: Codec::Ulaw, rate_hz: 16_000, frame_samples: 320 };

    fn voice(start: usize, count: usize) -> Vec<i16> {
        let angle = |n: usize| n as f64 * std::f64::consts::TAU * 150.0 / 16_000.0;
        (start..start + count).map(|n| (8000.0 * angle(n).sin()) as i16).collect()
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// A call of `frames` frames over a network that loses those for which `lost` says so.
    fn call(frames: u64, lost: impl Fn(u64) -> bool, conceal: bool) -> (Vec<i16>, Quality) {
        let mut sender = VoiceSender::new(FORMAT, false, 0x1234_5678_9ABC_DEF0);
        let mut receiver = VoiceReceiver::new(FORMAT, ms(400), conceal);
        let mut heard = Vec::new();
        for n in 0..frames {
            let datagram = sender.send(&voice(n as usize * 320, 320)).unwrap();
            if !lost(n) {
                assert!(receiver.handle(ms(n * 20), &datagram));
            }
            match receiver.pull(ms(n * 20 + 10)) {
                Heard::Samples(samples) => heard.extend(samples),
                Heard::Payload(_) => panic!("a codec of ours"),
            }
        }
        (heard, receiver.quality())
    }

    #[test]
    fn a_clean_call_sounds_as_it_was_spoken() {
        let (heard, quality) = call(100, |_| false, true);
        assert_eq!((quality.lost, quality.late, quality.concealed), (0, 0, 0));
        assert!(quality.mos > 4.3, "{quality:?}");
        let loud = heard[16_000..].iter().map(|s| s.abs()).max().unwrap();
        assert!((7700..8300).contains(&loud));
    }

    #[test]
    fn concealment_keeps_the_voice_where_silence_breaks_it() {
        let quiet_samples = |heard: &[i16]| {
            let frames = heard[6400..].chunks(80);
            frames.filter(|part| part.iter().all(|s| s.abs() < 100)).count()
        };
        let (concealed, quality) = call(200, |n| n % 10 == 5, true);
        let (silent, silent_quality) = call(200, |n| n % 10 == 5, false);
        assert_eq!(quality.lost, 20);
        assert!(quality.mos > silent_quality.mos + 0.8);
        assert_eq!(quiet_samples(&concealed), 0);
        assert!(quiet_samples(&silent) >= 60);
    }

    #[test]
    fn silence_is_not_sent_and_the_marker_says_when_speech_begins() {
        let mut sender = VoiceSender::new(FORMAT, true, 7);
        assert_eq!(sender.send(&[0; 320]), None);
        let first = sender.send(&voice(0, 320)).unwrap();
        let second = sender.send(&voice(320, 320)).unwrap();
        let (first, second) =
            (RtpPacket::parse(&first).unwrap(), RtpPacket::parse(&second).unwrap());
        assert!(first.marker && !second.marker);
        assert_eq!(second.timestamp, first.timestamp + 320);
        assert_eq!((first.timestamp, first.payload_type), (320, 96));
    }

    #[test]
    fn the_other_side_may_begin_anew() {
        let mut receiver = VoiceReceiver::new(FORMAT, ms(400), true);
        for (start, random) in [(0, 1), (50, 0xFFFF_0000_0000_0002)] {
            let mut sender = VoiceSender::new(FORMAT, false, random);
            for n in start..start + 50 {
                receiver.handle(ms(n * 20), &sender.send(&voice(0, 320)).unwrap());
                receiver.pull(ms(n * 20 + 10));
            }
        }
        let quality = receiver.quality();
        assert_eq!((quality.restarts, quality.ignored), (1, 1));
        assert!(quality.played > 90, "{quality:?}");
    }

    #[test]
    fn bare_samples_play_in_the_order_they_come() {
        let mut receiver = VoiceReceiver::new(FORMAT, ms(400), true).bare();
        let datagram = |n: i16| n.to_ne_bytes().repeat(1024);
        assert!(!receiver.handle(ms(0), b"odd"));
        assert!(receiver.handle(ms(0), &datagram(5)));
        assert_eq!(receiver.pull(ms(0)), Heard::Samples(vec![0; 320]));
        receiver.handle(ms(0), &datagram(6));
        let Heard::Samples(samples) = receiver.pull(ms(0)) else { panic!("samples") };
        assert_eq!((samples.len(), samples[1023]), (1024, 5));
    }

    #[test]
    fn linear_and_alaw_come_back() {
        for codec in [Codec::Linear, Codec::Alaw, Codec::Ulaw] {
            let back = codec.decode(&codec.code(&[0, 1000, -1000, 32_000]));
            assert!((back[1] - 1000).abs() < 40 && (back[3] - 32_000).abs() < 1100, "{back:?}");
        }
        assert_eq!(Codec::Ulaw.payload_type(8000), 0);
        assert!(Codec::Outside.code(&[1]).is_empty());
    }
}
