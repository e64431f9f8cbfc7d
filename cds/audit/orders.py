"""A patient's orders, each judged as a draft at its own moment (``--every order``).

The chart is read once and cut for each order (``cds.chart.history``); what a cut says goes the one
path of every other record (``cds.cards.judge``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from cds.cards.judge import Judged, Setting, judge
from cds.chart.history import NO_DATE, History, Order
from cds.chart.model import Chart
from cds.chart.reader import Charts
from cds.engine.drafting import NAMELESS, Orders, orders_of
from cds.values.problem import Place, Problem, Severity

_ACCEPTED = {NO_DATE: "a date to the day", NAMELESS: "a code that the pack knows, or a name"}


class Pad(msgspec.Struct):
    """What of one patient is judged by itself; nothing is judged before it is asked for."""

    chart: Chart
    name: str
    setting: Setting
    found: Orders

    @staticmethod
    def of(chart: Chart, name: str, setting: Setting) -> Pad:
        """The orders of a chart of the input ``name``."""
        found = orders_of(chart, setting.rulebook, setting.hook, setting.as_of)
        return Pad(chart, name, setting, found)

    @property
    def not_judged(self) -> Counter[str]:
        """How many orders are not judged, by reason."""
        return Counter(reason for _, reason in self.found.not_judged)

    @property
    def problems(self) -> list[Problem]:
        """A problem for each order that would be judged, were it not for what it does not say."""
        return [
            Problem(
                Place(self.name, resource=str(record.source)),
                f"this order is {reason}: not judged"
                if reason == NO_DATE
                else f"{reason}: not judged",
                _ACCEPTED[reason],
                "order",
                Severity.WARNING,
            )
            for record, reason in self.found.not_judged
            if reason in _ACCEPTED
        ]

    def each(self) -> Iterator[tuple[Order, Judged | Exception]]:
        """Each order with what was judged of it; one that cannot be judged does not stop the next.

        A problem that several of them have is told with the first.
        """
        history = History(self.chart)
        told: set[Problem] = set()
        for order in self.found.orders:
            try:
                item = self._judged(history, order)
            except Exception as error:  # noqa: BLE001 - one bad order never stops the rest
                yield order, error
                continue
            fresh = tuple(problem for problem in item.problems if problem not in told)
            told.update(fresh)
            yield order, replace(item, problems=fresh)

    def _judged(self, history: History, order: Order) -> Judged:
        charts = Charts((history.at(order),), None, ())
        (item,) = judge(charts, self.name, replace(self.setting, as_of=order.moment, every=""))
        return replace(item, order=order.name)
