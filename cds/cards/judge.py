"""The one path: bytes of an input to answers, one per patient. All doors come through here."""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import date, datetime
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from cds.cards.answer import Answer, answer
from cds.chart.fields import Json
from cds.chart.intake import Call
from cds.chart.model import Chart
from cds.chart.reader import Charts, Reader
from cds.engine.drafting import drafting, orders_of
from cds.engine.frame import Hook
from cds.engine.needs import interest
from cds.engine.review import Stop
from cds.rulebook.model import Rulebook
from cds.second.comparison import Disagreement
from cds.second.opinion import Engine, Opinion, judged_by
from cds.values.problem import Problem

Every = Literal["", "order"]
EVERY: tuple[Every, ...] = ("order",)
"""What an audit can judge one by one, at its own moment."""


class Setting(msgspec.Struct, frozen=True):
    """What is judged by, and when: everything but the record itself.

    ``shown`` is what rules with a memory must not repeat (``Finding.memory``); ``stop`` is asked
    between rules whether the time is over. With ``every`` set to "order" a record is read for the
    moments of its orders up to ``as_of``.
    """

    rulebook: Rulebook
    as_of: datetime
    zone: ZoneInfo
    hook: str = ""
    patient: str = ""
    engine: Engine = "reference"
    shown: Container[str] = frozenset()
    stop: Stop | None = None
    every: Every = ""


class Judged(msgspec.Struct, frozen=True):
    """One patient of one input: the answer, and the problems of the record.

    ``order`` is ``Type/id`` of the order whose own moment it was judged for, "" otherwise.
    """

    input: str
    patient: str
    answer: Answer
    problems: tuple[Problem, ...]
    disagreements: tuple[Disagreement, ...] = ()
    order: str = ""


def read_input(data: bytes, name: str, setting: Setting) -> Charts:
    """The charts of an input, read with the pack's words in the site's zone."""
    if setting.every:
        return _read_for_orders(data, name, setting)
    return reader_of(setting).read(data, name)


def _read_for_orders(data: bytes, name: str, setting: Setting) -> Charts:
    """The charts of an input, with all that was recent at the time of its earliest order.

    Most records hold no order to be judged: for them, what is recent today is enough.
    """
    if drafting(setting.rulebook, setting.hook).needs_all:
        return reader_of(setting).read(data, name)
    today = setting.as_of.astimezone(setting.zone).date()
    found = _reader_on(setting.rulebook, setting.zone, setting.hook, today).read(data, name)
    days = [
        order.moment.date()
        for chart in found.charts
        for order in orders_of(chart, setting.rulebook, setting.hook, setting.as_of).orders
    ]
    first = min(days, default=today)
    if first == today:
        return found
    # By the year, so that few readers serve all records.
    first = first.replace(month=1, day=1)
    return _reader_on(setting.rulebook, setting.zone, setting.hook, first).read(data, name)


def read_request(request: Json, name: str, setting: Setting) -> Charts:
    """The chart of a CDS Hooks request that is decoded already (fractions as Decimal)."""
    return reader_of(setting).read_request(request, name)


def reader_of(setting: Setting) -> Reader:
    """The reader of everything that is judged by the setting; the same one each time."""
    # Of any order's moment nothing is too old.
    today = date.min if setting.every else setting.as_of.astimezone(setting.zone).date()
    return _reader_on(setting.rulebook, setting.zone, setting.hook, today)


@lru_cache(maxsize=64)
def _reader_on(rulebook: Rulebook, zone: ZoneInfo, hook: str, today: date) -> Reader:
    understood = {kind: item.understood for kind, item in rulebook.definitions.items()}
    return Reader(rulebook.terminology, zone, understood, interest(rulebook, hook, today))


def judge(charts: Charts, name: str, setting: Setting) -> Iterator[Judged]:
    """The answers, in the order of the charts; problems of the input go with its first patient."""
    problems = charts.problems
    for chart in charts.charts:
        if setting.patient and chart.patient.id != setting.patient.removeprefix("Patient/"):
            continue
        opinion = judge_chart(chart, charts.call, setting)
        found = answer(opinion.review, setting.rulebook)
        differences = [item.problem for item in opinion.disagreements]
        told = {*problems, *chart.problems, *opinion.review.problems, *differences}
        yield Judged(name, chart.patient.id, found, tuple(sorted(told)), opinion.disagreements)
        problems = ()


def judge_chart(chart: Chart, call: Call | None, setting: Setting) -> Opinion:
    """The review of one chart, by the engine of the setting."""
    hook = hook_of(chart, call, setting)
    as_of = setting.as_of.astimezone(setting.zone)
    shown, stop = setting.shown, setting.stop
    return judged_by(setting.engine, chart, setting.rulebook, hook, as_of, shown, stop)


def hook_of(chart: Chart, call: Call | None, setting: Setting) -> Hook:
    """The hook that a chart is judged for, with what its call selects."""
    return Hook(setting.hook or _hook(chart, call), call.selections if call is not None else None)


def _hook(chart: Chart, call: Call | None) -> str:
    """The request's hook; else order-sign where something is drafted, else patient-view."""
    if call is not None:
        return call.hook
    drafted = any(record.drafted for course in chart.courses for record in course.records) or any(
        record.drafted for operation in chart.operations for record in operation.records
    )
    return "order-sign" if drafted else "patient-view"
