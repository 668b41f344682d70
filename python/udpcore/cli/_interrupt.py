"""Ctrl-C ends a wait, whatever the wait is in, and however early the key was pressed.

A signal that comes just before the main thread goes to sleep in the kernel, or that the kernel
gives to another thread, wakes nobody up: it is noted, and the sleep goes on. So a thread of ours
hears of every signal through a pipe (`signal.set_wakeup_fd`) and, until the handler has run,
nudges the main thread with a signal that means nothing but ends its sleep.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType

#: How long the main thread may take before it is nudged, again and again.
NUDGE_SECONDS = 0.02
#: Two presses may become one call of the handler: then nobody comes for the second.
NUDGES_MAX = 250
#: Says that urgent data came to a socket, which nobody here asked to be told.
NUDGE = signal.SIGURG


@contextlib.contextmanager
def prompt_interrupts() -> Iterator[None]:
    """Within the block Ctrl-C raises :class:`KeyboardInterrupt` at once in the main thread.

    Nothing is changed for who ignores the signal or handles it otherwise, or in another thread.
    """
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield
        return
    watch = _Watch()
    watch.begin()
    try:
        yield
    except Exception:
        # What the interruption cut through may fail in its turn, as argparse does.
        if watch.pressed:
            raise KeyboardInterrupt from None
        raise
    finally:
        try:
            watch.end()
        except KeyboardInterrupt:
            # Pressed in the moment before the handler knew that the block is over.
            watch.end()
            raise
        if watch.is_late:
            raise KeyboardInterrupt


class _Watch:
    """The handler of the signal, and the thread that sees to it that the handler runs."""

    def __init__(self) -> None:
        self.pressed = False
        #: Pressed while the signal was given back: whoever does that raises afterwards.
        self.is_late = False
        self._is_over = False
        self._handled = threading.Event()
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._main = threading.main_thread().ident or 0
        self._thread = threading.Thread(target=self._run, name="Ctrl-C", daemon=True)

    def begin(self) -> None:
        """Take the signal over."""
        self._fd_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._nudge_before = signal.signal(NUDGE, lambda number, frame: None)
        self._thread.start()
        signal.signal(signal.SIGINT, self._handle)

    def end(self) -> None:
        """Give it back; may be called again if it was cut short."""
        self._is_over = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.set_wakeup_fd(self._fd_before)
        self._handled.set()
        self._writer.close()
        self._thread.join()
        self._reader.close()
        signal.signal(NUDGE, self._nudge_before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.pressed = True
        self._handled.set()
        if self._is_over:
            self.is_late = True
            return
        signal.default_int_handler(number, frame)

    def _run(self) -> None:
        while numbers := self._reader.recv(64):
            if signal.SIGINT not in numbers:
                continue
            for _ in range(NUDGES_MAX):
                if self._handled.wait(NUDGE_SECONDS):
                    break
                signal.pthread_kill(self._main, NUDGE)
            self._handled.clear()
