"""How often one client may call: a bucket of calls each, refilled steadily."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network, ip_address
from math import ceil
from time import monotonic

from cds.hooks.settings import Rate

MOST_CLIENTS = 10_000
"""So many clients are told apart; beyond, the one that called longest ago starts afresh."""
_LONGEST_NAME = 64
_CLOSE = 1e-6  # what is lost in adding fractions
_NETWORK_BITS = 64


class Throttle:
    """The buckets of one process. ``ticks`` are seconds that only grow."""

    def __init__(self, rate: Rate, ticks: Callable[[], float] = monotonic) -> None:
        self._rate, self._ticks = rate, ticks
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, client: str) -> int:
        """Counts a call of the client; 0 if it may, else in how many seconds it may come again."""
        now, most = self._ticks(), self._rate.calls
        calls, at = self._buckets.pop(client, (float(most), now))
        per_second = most / self._rate.seconds
        calls = min(most, calls + (now - at) * per_second)
        allowed = calls >= 1 - _CLOSE
        self._buckets[client] = (calls - 1 if allowed else calls, now)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return 0 if allowed else max(1, ceil((1 - calls) / per_second - _CLOSE))


def client_name(host: str) -> str:
    """What stands for an address: itself, or of IPv6 the network, since a client has all of it."""
    try:
        address = ip_address(host)
    except ValueError:
        return host[:_LONGEST_NAME]
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Network((int(address), _NETWORK_BITS), strict=False).network_address)
    return str(address)
