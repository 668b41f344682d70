"""A cache for :func:`udpcore.dns.resolve`: as long as the TTLs say, never more than its size.

RFC 1035 §7.4, RFC 2181 §8 (TTL), RFC 2308 §5 (negative answers), RFC 2308 §7 (failures are not
kept here at all).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from udpcore.dns._errors import ResolveError

#: Longest time an entry is kept, whatever its TTL says; seconds. RFC 8767 §4 has 7 days.
TTL_S_MAX = 86_400
#: RFC 2308 §5: negative answers for one to three hours.
NEGATIVE_TTL_S_MAX = 10_800

Entry = list[str] | ResolveError


class Cache:
    """Answers and negative answers by name, type and server; safe to share between threads.

    The least recently used of more than `size` entries (1 or more) goes first. `clock` gives
    seconds that never go back.

    >>> cache = Cache(size=1000)
    >>> cache.stats()
    {'size': 0, 'hits': 0, 'misses': 0}
    """

    def __init__(self, size: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        if size < 1:
            raise ValueError(f"size={size}: a cache holds at least one entry")
        self._size = size
        self._clock = clock
        self._entries: OrderedDict[tuple[object, ...], tuple[float, Entry]] = OrderedDict()
        self._lock = threading.Lock()
        self._hits = self._misses = 0

    def get(self, key: tuple[object, ...]) -> Entry | None:
        """Return what is known and not too old, or ``None``."""
        with self._lock:
            found = self._entries.get(key)
            if found is not None and found[0] > self._clock():
                self._entries.move_to_end(key)
                self._hits += 1
                return found[1]
            self._entries.pop(key, None)
            self._misses += 1
            return None

    def put(self, key: tuple[object, ...], entry: Entry, ttl: int | None) -> None:
        """Keep `entry` for `ttl` seconds; nothing without a TTL or with one of 0."""
        limit = NEGATIVE_TTL_S_MAX if isinstance(entry, ResolveError) else TTL_S_MAX
        # RFC 2181 §8: a TTL with the highest bit set is 0.
        if not ttl or ttl >= 2**31:
            return
        with self._lock:
            self._entries[key] = (self._clock() + min(ttl, limit), entry)
            self._entries.move_to_end(key)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()

    def stats(self) -> dict[str, int]:
        """Return how many entries there are, how often one was found and how often not."""
        with self._lock:
            return {"size": len(self._entries), "hits": self._hits, "misses": self._misses}
