"""How long one call may take, and who answers it when the time is over."""

from __future__ import annotations

from threading import Lock
from time import perf_counter

_MOST_RESERVED = 0.1
_RESERVED_SHARE = 0.25


class Deadline:
    """The end of one call's budget, in seconds of ``perf_counter``.

    Fetching ends earlier than judging (``left_to_fetch``), so that what came can be judged. A call
    that a thread works on is answered once: by the thread, or, when that takes too long, by whoever
    waits for it; ``claim`` says whose turn it is.
    """

    __slots__ = ("_claimed", "reserved", "until")

    def __init__(self, seconds: float) -> None:
        self.until = perf_counter() + seconds
        self.reserved = min(_MOST_RESERVED, seconds * _RESERVED_SHARE)
        self._claimed = Lock()

    def passed(self) -> bool:
        """Whether the time is over."""
        return perf_counter() > self.until

    def left(self) -> float:
        """Seconds until then, 0 once it is over."""
        return max(0.0, self.until - perf_counter())

    def left_to_fetch(self) -> float:
        """Seconds until nothing more is fetched."""
        return max(0.0, self.until - self.reserved - perf_counter())

    def claim(self) -> bool:
        """True for the first who asks: that one answers, and what it did counts."""
        return self._claimed.acquire(blocking=False)
