"""The moment and the call that everything is judged for."""

from __future__ import annotations

from datetime import datetime

import msgspec

from cds.values.moment import DayRange


class Clock(msgspec.Struct, frozen=True):
    """The moment of judging, in the site's zone. Always passed in, never read from a clock."""

    now: datetime

    @property
    def today(self) -> DayRange:
        return DayRange.of(self.now.date())


class Hook(msgspec.Struct, frozen=True):
    """The hook's name and, for order-select, which drafts are selected (None: all)."""

    name: str
    selections: tuple[str, ...] | None = None
