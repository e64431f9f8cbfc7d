"""A patient as the report shows it: words for every date, a place in the picture for each thing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import msgspec
from markdown_it import MarkdownIt

from cds.audit.html.chosen import Found, Line
from cds.engine.value import render_days
from cds.values.moment import DayRange

_PAD = 0.06
_WHOLE, _LEAST = 200, 21
_TICKS = (1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 91, 120, 182, 270, 365, 730)
_MOST_TICKS = 4

Step = tuple[str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[Any, ...]]
"""A clause of a trace: truth, words, resources, values, what is missing, clauses below it."""


class Bar(msgspec.Struct, frozen=True, array_like=True):
    """A part of a lane in per cent of the picture's width.

    ``style`` is how it is drawn: a label of a span or "between" for the days that an end can be.
    ``open``: "", or which of its ends go on (``<``, ``>`` or both).
    """

    style: str
    x: float
    width: float
    open: str = ""


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """A day in per cent; ``style`` as a bar has one."""

    style: str
    x: float


class Lane(msgspec.Struct, frozen=True):
    """One line of the picture: what it is, its dates in words, what is drawn."""

    kind: str
    name: str
    words: str
    sources: tuple[str, ...]
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]


class Shown(msgspec.Struct, frozen=True):
    """A window of the picture; ``kind`` as ``cds.audit.window`` has it."""

    kind: str
    name: str
    words: str
    rules: tuple[str, ...]
    x: float
    width: float
    open: str


class Finding(msgspec.Struct, frozen=True):
    """A finding: what its card says, and why. ``said``: card, line or silent."""

    rule: str
    level: str
    said: str
    summary: str
    blocks: tuple[tuple[str, tuple[str, ...]], ...]
    trace: Step
    missing: tuple[str, ...]


class Person(msgspec.Struct, frozen=True):
    """A patient, or an order of one, with everything that is shown.

    ``more``: lanes left out, -1: no picture; ``unshown``: windows left out.
    """

    id: str
    input: str
    as_of: str
    sex: str
    age: str
    today: float
    ticks: tuple[tuple[float, str], ...]
    windows: tuple[Shown, ...]
    lanes: tuple[Lane, ...]
    more: int
    findings: tuple[Finding, ...]
    order: str
    unshown: int


_SEVEREST = {"critical": 0, "warning": 1, "info": 2}
_SAID = {True: "card", "line": "line", False: "silent"}


def person(line: Line, found: Sequence[Found]) -> Person:
    """The patient, or order, of a line with its findings, severest first, cards before lines."""
    moment = datetime.fromisoformat(line.asOf)
    axis = _Axis(line, moment.date())
    pairs = zip(found, line.details, strict=True)
    findings = [_finding(item, detail) for item, detail in pairs]
    findings.sort(key=lambda item: (item.said != "card", _SEVEREST[item.level], item.said))
    return Person(
        id=line.patient,
        input=line.input,
        as_of=f"{axis.day(0)} {moment:%H:%M}",
        sex=line.sex,
        age=_age(line.age),
        today=axis.x(0),
        ticks=axis.ticks(),
        windows=tuple(axis.window(*item) for item in line.windows),
        lanes=tuple(axis.lane(*item) for item in line.lanes),
        more=line.more,
        findings=tuple(findings),
        order=line.order,
        unshown=line.unshown,
    )


def _age(age: tuple[int, int] | None) -> str:
    if age is None:
        return ""
    low, high = age
    return str(low) if low == high else f"{low} to {high}"


# -- findings ------------------------------------------------------------------------------------


def _finding(found: Found, detail: str) -> Finding:
    return Finding(
        rule=found.rule,
        level=found.indicator,
        said=_SAID[found.card],
        summary=found.summary,
        blocks=tuple(_blocks(detail)),
        trace=_step(found.trace),
        missing=found.missing,
    )


def _step(trace: dict[str, Any]) -> Step:
    return (
        trace["truth"],
        trace["clause"],
        tuple(trace.get("resources", ())),
        tuple(trace.get("values", ())),
        tuple(trace.get("missing", ())),
        tuple(_step(clause) for clause in trace.get("clauses", ())),
    )


def _blocks(detail: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The Markdown of a card as plain text: headings ``h``, paragraphs ``p``, lists ``l``."""
    for block in filter(None, detail.split("\n\n")):
        if block.startswith("**") and block.endswith("**"):
            yield "h", (_plain(block),)
        elif block.startswith("- "):
            yield "l", tuple(_plain(item) for item in block.removeprefix("- ").split("\n- "))
        else:
            yield "p", (_plain(block),)


_MARKDOWN = MarkdownIt("commonmark")
_MARKED = re.compile(r"[\\`*_\[\]~&<>!\N{WORD JOINER}]")


@lru_cache(maxsize=8192)
def _plain(text: str) -> str:
    """What a reader sees of a line of Markdown."""
    if not _MARKED.search(text):
        return text
    parts = (child for token in _MARKDOWN.parseInline(text) for child in token.children or ())
    words = (" " if part.type.endswith("break") else part.content for part in parts)
    return "".join(words).replace("\N{WORD JOINER}", "")


# -- the picture ---------------------------------------------------------------------------------

_SPANS = {
    "exposure": "taken",
    "assumed": "taken, no end recorded",
    "possibility": "possibly taken",
    "hint": "hinted at",
    "draft": "being ordered",
}
_VAGUE = ("possibility", "hint")
_MARKS = {"planned": "planned", "possible": "possibly planned", "done": "done"}


class _Axis:
    """Days of one picture as places in it."""

    def __init__(self, line: Line, today: date) -> None:
        self.today = today
        self.low, self.high = _domain(line)

    def x(self, day: int) -> float:
        """The middle of a day, in per cent."""
        return round(100 * (day + 0.5 - self.low) / (self.high - self.low), 2)

    def day(self, first: int, last: int | None = None) -> str:
        """``13 Jun 2026``; a month, a year or two days where it is not known to the day."""
        end = self._date(first if last is None else last)
        return render_days(DayRange(self._date(first), end))

    def _date(self, day: int) -> date:
        ordinal = self.today.toordinal() + day
        return date.fromordinal(min(max(ordinal, 1), date.max.toordinal()))

    def ticks(self) -> tuple[tuple[float, str], ...]:
        """A few days along the axis, the day judged for among their steps."""
        length = self.high - self.low
        step = next((step for step in _TICKS if length / step <= _MOST_TICKS), _TICKS[-1])
        first = -(-(self.low + 1) // step) * step
        days = range(int(first), int(self.high), step)
        return tuple((self.x(day), self.day(day)) for day in days)

    def _bar(self, style: str, first: int | None, last: int | None) -> Bar | None:
        """From the first to the last day, both included; None where that is outside."""
        low = self.low if first is None else max(self.low, first)
        high = self.high if last is None else min(self.high, last + 1)
        if high <= low:
            return None
        goes_on = ("<" if first is None or first < self.low else "") + (
            ">" if last is None or last + 1 > self.high else ""
        )
        scale = 100 / (self.high - self.low)
        return Bar(
            style, round((low - self.low) * scale, 2), round((high - low) * scale, 2), goes_on
        )

    def window(self, kind: str, first: int, last: int, label: str, rules: tuple[str, ...]) -> Shown:
        found = self._bar(kind, first, last) or Bar(kind, 0, 0)
        words = self.day(first) if first == last else f"{self.day(first)} to {self.day(last)}"
        return Shown(kind, label, words, rules, found.x, found.width, found.open)

    def lane(
        self,
        kind: str,
        name: str,
        sources: tuple[str, ...],
        spans: Sequence[Sequence[Any]],
        marks: Sequence[Sequence[Any]],
    ) -> Lane:
        bars = [bar for span in spans for bar in self._bars(span)]
        ticks = [mark for item in marks for mark in self._marks(kind, item)]
        bars += [bar for first, last, _ in marks if (bar := self._unsure(first, last))]
        words = [self._span_words(span) for span in spans]
        words += [
            f"{_MARKS.get(said, said)} {self._when(first, last)}" for first, last, said in marks
        ]
        shown = words[:4] + ([f"and {len(words) - 4} more"] if len(words) > 4 else [])
        return Lane(
            kind, name, "; ".join(shown) or "no date recorded", sources, tuple(bars), tuple(ticks)
        )

    def _bars(self, span: Sequence[Any]) -> Iterator[Bar]:
        """The certain middle of a span, then the days that its ends can be."""
        style, first, begun, ending, last, _ = span
        if None not in (begun, ending) and begun > ending:
            begun, ending = first, last
        parts = [(style, begun, ending)]
        parts += (
            [("between", first, begun - 1)] if None not in (first, begun) and first < begun else []
        )
        parts += (
            [("between", ending + 1, last)] if None not in (ending, last) and ending < last else []
        )
        yield from filter(None, (self._bar(*part) for part in parts))

    def _unsure(self, first: int | None, last: int | None) -> Bar | None:
        return self._bar("between", first, last) if first != last else None

    def _marks(self, kind: str, mark: Sequence[Any]) -> Iterator[Mark]:
        first, last, said = mark
        if first is None or last is None:
            return
        day = (first + last) // 2
        style = said if kind == "procedure" else kind
        if self.low <= day < self.high:
            yield Mark(style, self.x(day))
        elif day < self.low:
            yield Mark("earlier", 0)
        else:
            yield Mark("later", 100)

    def _span_words(self, span: Sequence[Any]) -> str:
        style, first, begun, ending, last, because = span
        start = "" if first is None or begun is None else self.day(first, begun)
        end = "" if ending is None or last is None or style == "assumed" else self.day(ending, last)
        when = start if start == end else f"{start or 'before'} to {end or 'no end recorded'}"
        when = f"from {start}" if start and not end else when
        reason = f" ({because})" if because else ""
        return f"{_SPANS[style]} {when or 'at a time that is not recorded'}{reason}"

    def _when(self, first: int | None, last: int | None) -> str:
        return "an unknown day" if first is None or last is None else self.day(first, last)


def _domain(line: Line) -> tuple[float, float]:
    """The first and last day of the picture: those that rules measure, and what lies near them.

    What lies farther off is told in words, and drawn as going beyond the edge.
    """
    days = [0]
    for _, first, last, _, _ in line.windows:
        days += (first, last) if last - first <= _WHOLE else ()
    for kind, *_, marks in line.lanes:
        days += (day for mark in marks for day in mark[:2] if kind == "procedure" and _is_near(day))
    low, high = min(days), max(days)
    reach = max(_LEAST, high - low)
    for *_, spans, marks in line.lanes:
        sure = [span[1:5] for span in spans if span[0] not in _VAGUE] or [s[1:3] for s in spans]
        told = (*sure, *(mark[:2] for mark in marks))
        days += (day for item in told for day in item if day is not None)
    near = [day for day in days if low - reach <= day <= high + reach]
    low, high = min(near), max(near) + 1
    short = max(0, _LEAST - (high - low)) / 2
    pad = max(2, (high - low) * _PAD) + short
    return low - pad, high + pad


def _is_near(day: int | None) -> bool:
    return day is not None and abs(day) <= _WHOLE
