"""The moment and the call that everything is judged for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cds.values.moment import DayRange


@dataclass(frozen=True, slots=True)
class Clock:
    """The moment of judging, in the site's zone. Always passed in, never read from a clock."""

    now: datetime

    @property
    def today(self) -> DayRange:
        return DayRange.of(self.now.date())


@dataclass(frozen=True, slots=True)
class Hook:
    """The hook's name and, for order-select, which drafts are selected (None: all)."""

    name: str
    selections: tuple[str, ...] | None = None
