"""The tutorials' own scripts, on the standard library only: plain peers to test against.

They do what the tutorials show and nothing more: no duplicates are recognised, nothing wraps,
and ACKs are handled only while ``receive()`` is called.
"""

from __future__ import annotations

import socket
import struct
import time


class SequenceSender:
    """``[seq u32][utf-8 text]``, counting from 0."""

    def __init__(self, dest_addr: tuple[str, int]) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.dest_addr = dest_addr
        self.sequence = 0

    def send_message(self, message: str) -> None:
        packet = struct.pack("!I", self.sequence) + message.encode("utf-8")
        self.sock.sendto(packet, self.dest_addr)
        self.sequence += 1


class SequenceReceiver:
    """Compares each number with the one expected."""

    def __init__(self, port: int) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", port))
        self.sock.settimeout(10)
        self.expected_seq = 0
        self.lost = 0

    def receive_message(self) -> str:
        data, _ = self.sock.recvfrom(65535)
        seq = struct.unpack("!I", data[:4])[0]
        if seq > self.expected_seq:
            self.lost += seq - self.expected_seq
        self.expected_seq = seq + 1
        return data[4:].decode("utf-8")


class AckPeer:
    """``[type u8][seq u32][data]``: DATA is acknowledged, what is not acknowledged is repeated."""

    DATA = 1
    ACK = 2

    def __init__(self, local_port: int) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", local_port))
        self.sock.settimeout(0.02)
        self.next_seq = 0
        self.pending_acks: dict[int, list] = {}
        self.given_up: list[int] = []

    def send_reliable(self, data: bytes, dest_addr, max_retries: int = 3, timeout: float = 1.0):
        seq = self.next_seq
        self.next_seq += 1
        packet = struct.pack("!BI", self.DATA, seq) + data
        self.sock.sendto(packet, dest_addr)
        self.pending_acks[seq] = [packet, dest_addr, time.monotonic(), 0, max_retries, timeout]
        return seq

    def receive(self):
        self._retransmit()
        try:
            packet, addr = self.sock.recvfrom(65535)
        except TimeoutError:
            return None, None
        msg_type, seq = struct.unpack("!BI", packet[:5])
        if msg_type == self.DATA:
            self.sock.sendto(struct.pack("!BI", self.ACK, seq), addr)
            return packet[5:], addr
        if msg_type == self.ACK:
            self.pending_acks.pop(seq, None)
        return None, None

    def _retransmit(self) -> None:
        now = time.monotonic()
        for seq, entry in list(self.pending_acks.items()):
            packet, dest_addr, sent_at, retries, max_retries, timeout = entry
            if now - sent_at < timeout:
                continue
            if retries >= max_retries:
                self.given_up.append(seq)
                del self.pending_acks[seq]
                continue
            self.sock.sendto(packet, dest_addr)
            entry[2], entry[3] = now, retries + 1
