"""Calls: plain RTP and plain PCM peers, the bad link, restarts, and how concealment sounds."""

from __future__ import annotations

import array
import itertools
import math
import os
import random
import struct
import subprocess
import sys
import time
import wave
from types import SimpleNamespace

import numpy
import pesq
import pytest

from udpcore import _core
from udpcore.apps import VoIPClient

FRAME = 320


def loudness(samples: bytes) -> float:
    values = array.array("h", samples)
    return math.sqrt(sum(value * value for value in values) / max(len(values), 1))


@pytest.fixture
def recorded():
    frames: list[bytes] = []
    return frames


def test_two_ends_hear_each_other(recorded, wait_until):
    with VoIPClient("127.0.0.1", 9, 0, source="tone", sink="none") as far:
        near = VoIPClient("127.0.0.1", far.local_port, 0, source="silence", sink=recorded.append)
        far.peer = ("127.0.0.1", near.local_port)
        with near:
            far.start()
            near.start()
            wait_until(lambda: near.quality()["played"] > 40)
        quality = near.quality()
    assert loudness(recorded[-1]) > 4000
    assert quality["lost"] == 0
    assert quality["mos"] > 4.0
    assert quality["mos_scale"] == "G.107"


def test_what_is_sent_is_rtp(plain):
    with VoIPClient(*plain.getsockname(), 0, source="tone", sink="none") as client:
        client.start()
        began = time.monotonic()
        packets = [plain.recv(2048) for _ in range(26)]
        seconds = time.monotonic() - began
    headers = [struct.unpack("!BBHII", packet[:12]) for packet in packets]
    assert {header[0] for header in headers} == {0x80}
    assert [header[1] for header in headers[:2]] == [0x80 | 96, 96]
    assert [b[2] - a[2] for a, b in itertools.pairwise(headers)] == [1] * 25
    assert [b[3] - a[3] for a, b in itertools.pairwise(headers)] == [FRAME] * 25
    assert len({header[4] for header in headers}) == 1
    assert {len(packet) for packet in packets} == {12 + FRAME}
    assert 0.4 < seconds < 0.8


def test_a_plain_peer_of_the_tutorial_with_bare_samples(plain, recorded, wait_until):
    tone = array.array("h", [int(9000 * math.sin(n / 10)) for n in range(1024)]).tobytes()
    with VoIPClient(
        *plain.getsockname(), 0, wire="pcm", source="silence", sink=recorded.append
    ) as client:
        client.start()
        address = ("127.0.0.1", client.local_port)
        assert plain.recv(4096) == bytes(2048)
        for _ in range(20):
            plain.sendto(tone, address)
            plain.recv(4096)
        wait_until(lambda: any(frame == tone for frame in recorded))


def test_through_the_bad_link_the_tone_does_not_break(recorded, bad_link, wait_until):
    with (
        VoIPClient("127.0.0.1", 9, 0, source="silence", sink=recorded.append) as near,
        bad_link(("127.0.0.1", near.local_port)) as proxy,
        VoIPClient(*proxy.address, 0, source="tone", sink="none") as far,
    ):
        far.start()
        near.start()
        wait_until(lambda: near.quality()["received"] > 250)
        quality = near.quality()
    assert 10 <= quality["lost"] + quality["late"] <= 60
    assert quality["duplicate"] > 0
    assert quality["concealed"] > 0
    assert 1.0 < quality["mos"] < 4.3
    began = next(n for n, frame in enumerate(recorded) if loudness(frame) > 4000)
    # What the user hears: no silent frame, whatever the network lost.
    heard = recorded[began + 5 : began + 200]
    assert sum(loudness(frame) < 1000 for frame in heard) <= 2


def test_opus_through_the_bad_link(recorded, bad_link, wait_until):
    with (
        VoIPClient("127.0.0.1", 9, 0, codec="opus", source="silence", sink=recorded.append) as near,
        bad_link(("127.0.0.1", near.local_port)) as proxy,
        VoIPClient(*proxy.address, 0, codec="opus", source="tone", sink="none") as far,
    ):
        far.start()
        near.start()
        wait_until(lambda: near.quality()["played"] > 60)
        quality = near.quality()
    # The wideband scale: R to 129, and less than a clean call of this codec (R 110.9, MOS 4.23).
    assert quality["mos_scale"] == "G.107.1"
    assert 0 < quality["rating"] < 110.9
    assert 1.0 < quality["mos"] < 4.24
    assert {len(frame) for frame in recorded} == {2 * FRAME}
    assert max(map(loudness, recorded)) > 3000


def test_the_other_end_may_start_again(recorded, wait_until):
    with VoIPClient("127.0.0.1", 9, 0, source="silence", sink=recorded.append) as near:
        near.start()
        for call in range(2):
            with VoIPClient("127.0.0.1", near.local_port, 0, source="tone", sink="none") as far:
                far.start()
                wait_until(lambda call=call: near.quality()["restarts"] == call)
                wait_until(lambda: near.quality()["received"] > 20)
                played = near.quality()["played"]
                wait_until(lambda played=played: near.quality()["played"] > played + 20)
                assert loudness(recorded[-1]) > 4000


def test_this_end_may_start_again(wait_until):
    """The far end talks on; whoever comes into the call hears it, whatever the numbers are."""
    with VoIPClient("127.0.0.1", 9, 0, source="tone", sink="none") as far:
        far.start()
        for _ in range(2):
            heard: list[bytes] = []
            with VoIPClient("127.0.0.1", 9, 0, source="silence", sink=heard.append) as near:
                far.peer = ("127.0.0.1", near.local_port)
                near.start()
                wait_until(lambda: near.quality()["played"] > 20)
                assert near.quality()["lost"] == 0
                assert loudness(heard[-1]) > 4000


def test_silence_is_not_sent(plain):
    with VoIPClient(
        *plain.getsockname(), 0, source="silence", sink="none", suppress_silence=True
    ) as client:
        client.start()
        time.sleep(0.3)
        assert client.stats["sent"] == 0


def test_wav_files_in_and_out(tmp_path, wait_until):
    spoken, heard = tmp_path / "in.wav", tmp_path / "out.wav"
    with wave.open(str(spoken), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        samples = array.array("h", [int(9000 * math.sin(n / 8)) for n in range(16_000)])
        file.writeframes(samples.tobytes())
    with (
        VoIPClient("127.0.0.1", 9, 0, source="silence", sink=heard) as near,
        VoIPClient("127.0.0.1", near.local_port, 0, source=spoken, sink="none") as far,
    ):
        near.start()
        far.start()
        wait_until(lambda: near.quality()["played"] >= 50)
    with wave.open(str(heard), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        assert loudness(file.readframes(16_000)) > 3000
    wrong = tmp_path / "wrong.wav"
    with wave.open(str(wrong), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
    with pytest.raises(ValueError, match="16000"):
        VoIPClient("127.0.0.1", 9, 0, source=wrong, sink="none")


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="wire 'x'"):
        VoIPClient("127.0.0.1", 9, 0, wire="x")
    with pytest.raises(ValueError, match="give ulaw, alaw, linear or opus"):
        VoIPClient("127.0.0.1", 9, 0, codec="mp3", source="tone", sink="none")


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> bytes:
    """Eight seconds of a synthetic voice, 16 kHz."""
    path = tmp_path_factory.mktemp("speech") / "speech.raw"
    text = (
        "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. "
        "It is easy to tell the depth of a well. These days a chicken leg is a rare dish."
    )
    words = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"flite=text='{text}':voice=slt"]
    subprocess.run(
        [*words, "-ar", "16000", "-ac", "1", "-f", "s16le", os.fspath(path)],
        check=True,
        timeout=60,
    )
    return path.read_bytes()


def through(speech: bytes, lost: set[int], conceal: bool) -> numpy.ndarray:
    """The speech as the receiver plays it when these frames are lost; in virtual time."""
    sender = _core.AppVoiceSender("ulaw", 16_000, FRAME, False, 1)
    receiver = _core.AppVoiceReceiver("ulaw", 16_000, FRAME, 0.4, conceal)
    heard = b""
    for number, at in enumerate(range(0, len(speech) - 2 * FRAME, 2 * FRAME)):
        datagram = sender.send(speech[at : at + 2 * FRAME])
        if number not in lost:
            receiver.handle(number * 0.02, datagram)
        heard += receiver.pull(number * 0.02 + 0.01)[0]
    return numpy.frombuffer(heard, numpy.int16)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_concealment_beats_silence_by_a_third_of_a_pesq_point(seed, speech):
    frames = len(speech) // (2 * FRAME)
    rng = random.Random(seed)
    lost = {number for number in range(5, frames) if rng.random() < 0.1}
    reference = numpy.frombuffer(speech, numpy.int16)
    scores = [
        pesq.pesq(16_000, reference, through(speech, lost, conceal), "wb")
        for conceal in (True, False)
    ]
    assert scores[0] - scores[1] >= 0.3, f"concealed {scores[0]:.2f}, silent {scores[1]:.2f}"


def decibels(samples: bytes) -> float:
    return 20 * math.log10(max(loudness(samples), 1e-3))


def test_the_echo_of_the_speaker_is_taken_out_of_the_microphone(speech):
    """What the far end would hear of itself: an echo 60 ms later at half the loudness."""
    frames = [speech[at : at + 2 * FRAME] for at in range(0, len(speech) - 2 * FRAME, 2 * FRAME)]
    echoes = [bytes(2 * FRAME)] * 3 + frames
    halved = (array.array("h", [value // 2 for value in array.array("h", one)]) for one in echoes)
    microphone = [one.tobytes() for one in halved]
    heard = iter(microphone)
    with VoIPClient(
        "127.0.0.1", 9, 0, source=lambda: next(heard), sink=lambda frame: None, cancel_echo=True
    ) as client:
        sent = []
        for frame in frames:
            client._play(frame)
            sent.append(client._next_frame())
    # The second half, when the canceller has learnt the way from speaker to microphone.
    half = len(sent) // 2
    echo, left = (decibels(b"".join(one[half : len(sent)])) for one in (microphone, sent))
    assert echo - left > 20, f"echo {echo:.1f} dB, left {left:.1f} dB"


def test_who_speaks_is_still_heard_while_the_echo_is_taken_out(speech):
    frames = [speech[at : at + 2 * FRAME] for at in range(0, len(speech) - 2 * FRAME, 2 * FRAME)]
    heard = iter(frames)
    with VoIPClient(
        "127.0.0.1", 9, 0, source=lambda: next(heard), sink=lambda frame: None, cancel_echo=True
    ) as client:
        sent = b"".join(client._next_frame() for _ in frames)
    assert abs(decibels(sent) - decibels(b"".join(frames))) < 3


class FakeStream:
    """A stream of sounddevice, as far as a call uses it."""

    def __init__(self, *arguments, **options) -> None:
        self.arguments, self.options, self.written, self.open = arguments, options, [], True

    def start(self) -> None:
        pass

    def read(self, samples: int) -> tuple[bytes, bool]:
        time.sleep(samples / 16_000)
        return b"\x10\x20" * samples, False

    def write(self, frame: bytes) -> None:
        self.written.append(frame)

    def close(self) -> None:
        self.open = False


def test_microphone_and_speaker_are_used_when_there_are_some(monkeypatch, plain, wait_until):
    streams = []

    def stream(*arguments, **options) -> FakeStream:
        streams.append(FakeStream(*arguments, **options))
        return streams[-1]

    sounddevice = SimpleNamespace(
        RawInputStream=stream, RawOutputStream=stream, query_devices=lambda: ["a sound card"]
    )
    monkeypatch.setitem(sys.modules, "sounddevice", sounddevice)
    with VoIPClient(*plain.getsockname(), 0, codec="linear") as client:
        client.start()
        packet = plain.recv(2048)
        wait_until(lambda: streams[1].written)
    assert packet[12:] == b"\x20\x10" * FRAME
    assert [one.options["channels"] for one in streams] == [1, 1]
    assert not any(one.open for one in streams)
