//! `udpcore.apps`: video frames, streams and voice.

use std::sync::Mutex;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::apps::stream::StreamReceiver;
use crate::apps::video::VideoAssembler;
use crate::apps::voice::{Codec, Heard, VoiceFormat, VoiceReceiver, VoiceSender};
use crate::flow::reassembly::ReassemblyLimits;
use crate::python::apps_net::{at, lock, refused};
use crate::wire::multicast_video::{RepairChunk, StreamChunk};
use crate::wire::video;

/// Cut a frame into datagrams of at most `datagram_bytes`.
#[pyfunction]
pub(crate) fn video_fragment(
    frame: u32,
    data: &[u8],
    datagram_bytes: usize,
) -> PyResult<Vec<Vec<u8>>> {
    video::fragment(frame, data, datagram_bytes).map_err(refused)
}

#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct AppVideoAssembler(Mutex<VideoAssembler<(String, u16)>>);

#[pymethods]
impl AppVideoAssembler {
    #[new]
    fn new(wait: f64) -> PyResult<Self> {
        let limits = ReassemblyLimits { wait_max: at(wait)?, ..ReassemblyLimits::default() };
        Ok(Self(Mutex::new(VideoAssembler::new(limits))))
    }

    fn handle(
        &self,
        now: f64,
        peer: (String, u16),
        datagram: &[u8],
    ) -> PyResult<Option<(u32, Vec<u8>)>> {
        Ok(lock(&self.0).handle(at(now)?, &peer, datagram))
    }

    fn expire(&self, now: f64) -> PyResult<()> {
        lock(&self.0).expire(at(now)?);
        Ok(())
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = lock(&self.0).stats();
        let out = PyDict::new(py);
        out.set_item("frames", stats.frames)?;
        out.set_item("incomplete", stats.incomplete())?;
        out.set_item("outdated", stats.outdated)?;
        out.set_item("malformed", stats.malformed)?;
        out.set_item("duplicate", stats.fragments.duplicate)?;
        out.set_item("late", stats.fragments.late)?;
        out.set_item("conflicting", stats.fragments.conflicting)?;
        Ok(out)
    }
}

#[pyfunction]
pub(crate) fn stream_compose(sequence: u32, data: &[u8]) -> Vec<u8> {
    StreamChunk { sequence, data }.compose()
}

#[pyfunction]
pub(crate) fn stream_parse(datagram: &[u8]) -> Option<(u32, Vec<u8>)> {
    StreamChunk::parse(datagram).ok().map(|chunk| (chunk.sequence, chunk.data.to_vec()))
}

#[pyfunction]
pub(crate) fn repair_compose(first: u32, k: u16, index: u16, data: &[u8]) -> Vec<u8> {
    RepairChunk { first, k, index, data }.compose()
}

#[pyfunction]
pub(crate) fn repair_parse(datagram: &[u8]) -> Option<(u32, u16, u16, Vec<u8>)> {
    let chunk = RepairChunk::parse(datagram).ok()?;
    Some((chunk.first, chunk.k, chunk.index, chunk.data.to_vec()))
}

#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct AppStreamReceiver(Mutex<StreamReceiver>);

#[pymethods]
impl AppStreamReceiver {
    #[new]
    fn new(window: u64) -> Self {
        Self(Mutex::new(StreamReceiver::new(window)))
    }

    #[pyo3(signature = (sequence, data, repaired=false))]
    fn insert(&self, sequence: u32, data: &[u8], repaired: bool) -> Vec<u8> {
        lock(&self.0).insert(sequence, data, repaired)
    }

    fn is_missing(&self, sequence: u32) -> bool {
        lock(&self.0).is_missing(sequence)
    }

    #[pyo3(signature = (end=None))]
    fn finish(&self, end: Option<u32>) -> Vec<u8> {
        lock(&self.0).finish(end)
    }

    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stream = lock(&self.0);
        let report = stream.report();
        let out = PyDict::new(py);
        out.set_item("received", report.received)?;
        out.set_item("lost", report.lost)?;
        out.set_item("repaired", report.repaired)?;
        out.set_item("duplicate_or_late", report.duplicate_or_late)?;
        out.set_item("reordered", report.reordered)?;
        out.set_item("gaps", report.gaps.clone())?;
        out.set_item("first", report.first)?;
        Ok(out)
    }
}

fn format(codec: &str, rate_hz: u32, frame_samples: u32) -> PyResult<VoiceFormat> {
    let codec = match codec {
        "ulaw" => Codec::Ulaw,
        "alaw" => Codec::Alaw,
        "linear" => Codec::Linear,
        "opus" => Codec::Outside,
        other => {
            return Err(refused(format!("codec {other:?}: give ulaw, alaw, linear or opus")));
        }
    };
    Ok(VoiceFormat { codec, rate_hz, frame_samples })
}

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_ne_bytes([pair[0], pair[1]])).collect()
}

fn sample_bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect()
}

#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct AppVoiceSender(Mutex<VoiceSender>);

#[pymethods]
impl AppVoiceSender {
    #[new]
    fn new(
        codec: &str,
        rate_hz: u32,
        frame_samples: u32,
        suppress_silence: bool,
        random: u64,
    ) -> PyResult<Self> {
        let format = format(codec, rate_hz, frame_samples)?;
        Ok(Self(Mutex::new(VoiceSender::new(format, suppress_silence, random))))
    }

    /// The datagram for a frame of native 16-bit samples; `coded` is what Opus made of them.
    #[pyo3(signature = (frame, coded=None))]
    fn send(&self, frame: &[u8], coded: Option<&[u8]>) -> Option<Vec<u8>> {
        let mut sender = lock(&self.0);
        let frame = samples(frame);
        match coded {
            Some(coded) => sender.send_coded(&frame, coded),
            None => sender.send(&frame),
        }
    }
}

#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct AppVoiceReceiver(Mutex<VoiceReceiver>);

#[pymethods]
impl AppVoiceReceiver {
    #[new]
    #[pyo3(signature = (codec, rate_hz, frame_samples, delay_max, conceal=true, bare=false))]
    fn new(
        codec: &str,
        rate_hz: u32,
        frame_samples: u32,
        delay_max: f64,
        conceal: bool,
        bare: bool,
    ) -> PyResult<Self> {
        let format = format(codec, rate_hz, frame_samples)?;
        let receiver = VoiceReceiver::new(format, at(delay_max)?, conceal);
        Ok(Self(Mutex::new(if bare { receiver.bare() } else { receiver })))
    }

    fn handle(&self, now: f64, datagram: &[u8]) -> PyResult<bool> {
        Ok(lock(&self.0).handle(at(now)?, datagram))
    }

    /// The next frame of native samples, and whether it is a payload to be decoded first.
    fn pull(&self, now: f64) -> PyResult<(Vec<u8>, bool)> {
        Ok(match lock(&self.0).pull(at(now)?) {
            Heard::Samples(samples) => (sample_bytes(&samples), false),
            Heard::Payload(payload) => (payload, true),
        })
    }

    fn decoded(&self, frame: &[u8]) -> Vec<u8> {
        sample_bytes(&lock(&self.0).decoded(&samples(frame)))
    }

    fn quality<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let quality = lock(&self.0).quality();
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let out = PyDict::new(py);
        out.set_item("received", quality.received)?;
        out.set_item("expected", quality.expected)?;
        out.set_item("lost", quality.lost)?;
        out.set_item("late", quality.late)?;
        out.set_item("duplicate", quality.duplicate)?;
        out.set_item("concealed", quality.concealed)?;
        out.set_item("played", quality.played)?;
        out.set_item("jitter_ms", ms(quality.jitter))?;
        out.set_item("buffer_ms", ms(quality.buffer_delay))?;
        out.set_item("restarts", quality.restarts)?;
        out.set_item("ignored", quality.ignored)?;
        out.set_item("rating", quality.rating)?;
        out.set_item("mos", quality.mos)?;
        out.set_item("mos_scale", quality.scale)?;
        Ok(out)
    }
}
