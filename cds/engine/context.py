"""Properties that no fact gives alone: they need the chart, the moment or the pack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial

from cds.engine.arithmetic import reckoned
from cds.engine.course import because, began, profile_reader, route, start
from cds.engine.fact import Fact
from cds.engine.operation import ahead, ordered, topics
from cds.engine.properties import birthdays
from cds.engine.record import Reader, words
from cds.engine.sheet import Sheet
from cds.engine.value import Count, Missing, Value
from cds.engine.wording import says
from cds.values.truth import Truth

_ONE = Decimal(1)
_PROFILE_VALUES = ("look-back", "first-recent-day", "washout", "usual-route")


def contextual_readers(sheet: Sheet, kind: str) -> dict[str, Reader]:
    """The readers of a kind of fact that need the sheet, bound to it."""
    return {name: partial(read, sheet) for name, read in _READERS.get(kind, {}).items()}


def _unseen(sheet: Sheet, fact: Fact) -> Value:
    truth, reasons = sheet.unseen(fact.name)
    if truth is Truth.UNKNOWN:
        return Missing("; ".join(reasons))
    return words("yes" if truth is Truth.YES else "no")


def _because(sheet: Sheet, fact: Fact) -> Value:
    return words(*sheet.unseen(fact.name)[1])


def _age(sheet: Sheet, _: Fact) -> Value:
    born = sheet.chart.patient.born
    if born is None:
        return Missing("the date of birth is not recorded")
    years = birthdays(born.days, sheet.clock.today)
    return Count(years.low, years.high)


def _free_from(sheet: Sheet, fact: Fact) -> Value:
    """The first day after the look-back of the latest exposure; missing while its end is."""
    after = reckoned(fact.value("end"), "+", profile_reader("look-back")(sheet, fact))
    return reckoned(after, "+", Count(_ONE, _ONE))


_READERS: Mapping[str, Mapping[str, Callable[[Sheet, Fact], Value]]] = {
    "medication": {
        "because": because,
        "began": began,
        "free-from": _free_from,
        "start": start,
        "route": route,
        "says": says,
        **{name: profile_reader(name) for name in _PROFILE_VALUES},
    },
    "condition": {"says": says},
    "procedure": {"ahead": ahead, "topics": topics, "ordered": ordered, "says": says},
    "source": {"unseen": _unseen, "because": _because},
    "patient": {"age": _age},
}
