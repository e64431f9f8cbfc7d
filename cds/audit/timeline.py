"""What the report's picture of a patient needs: drugs as spans of days, the rest as marks, windows.

``patients.ndjson`` has a line for each judged patient with a finding, or for each judged order with
one, in the order of ``findings.ndjson``:

========= ======================================================================================
rank      how many of its findings speak as cards: ``[critical, warning, info]``
findings  how many lines of ``findings.ndjson`` are its own
bytes     how many bytes these have
patient   id
order     the order that was judged, "" where the patient was
input     the input as it was given
asOf      the instant judged for
sex       FHIR's administrative gender, "" where it is not recorded
age       completed years, lowest and highest that they can be; null where nothing is known
details   for each finding its card's text in Markdown, less sources and what was checked; "" for
          one that is no card
lanes     what its findings are bound to, each once: ``[kind, name, resources, spans, marks]``
more      how many of those there was no room for
windows   ``[kind, first, last, label, rules]``
unshown   how many of those there was no room for
========= ======================================================================================

A span is ``[label, start, start, end, end, because]`` with the first and last day that each end can
be, null where it is open; a mark ``[first, last, words]``. Days count from the day judged for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any

from cds.audit.line import Said
from cds.audit.window import windows
from cds.cards.judge import Judged
from cds.cards.markdown import cap
from cds.cards.wire import encode
from cds.engine.fact import Bound, Fact
from cds.engine.finding import Finding, Review
from cds.engine.properties import birthdays
from cds.engine.reading import Reading
from cds.engine.value import Missing, Moment, Words, render
from cds.rulebook.model import INDICATORS, Rulebook
from cds.values.moment import DayRange
from cds.values.truth import Truth

SEVEREST: tuple[str, ...] = tuple(reversed(INDICATORS))
_MOST_LANES, _MOST_SPANS, _MOST_WINDOWS, _LONGEST = 12, 24, 6, 120
_KINDS = ("medication", "dose-step", "procedure", "result", "condition", "allergy", "statement")
_LEFT_OUT = ("**Sources**", "**Checked:**")

Days = list[int | None]


def patient_line(
    judged: Judged, told: Sequence[tuple[Finding, Said]], lines: Sequence[bytes], rulebook: Rulebook
) -> bytes:
    """The line of a patient with at least one finding, with its line end.

    ``lines`` are those of its findings.
    """
    review = judged.answer.review
    cards = [finding for finding, said in told if said is True]
    line: dict[str, Any] = {
        "rank": [sum(card.indicator == level for card in cards) for level in SEVEREST],
        "findings": len(told),
        "bytes": sum(map(len, lines)),
        "patient": judged.patient,
        "order": judged.order,
        "input": judged.input,
        "asOf": review.clock.now.isoformat(),
        "sex": review.chart.patient.sex,
        "age": _age(review),
        "details": _details(judged, told),
        **_picture(told, review, rulebook),
    }
    return encode(line) + b"\n"


def _picture(
    told: Sequence[tuple[Finding, Said]], review: Review, rulebook: Rulebook
) -> dict[str, Any]:
    """Lanes and windows; none, and said so, where they cannot be worked out."""
    found = sorted((finding for finding, _ in told), key=_severity)
    try:
        facts = _facts(found)
        lanes = [_lane(bound, review) for bound in facts[:_MOST_LANES]]
        windows_found = _windows(found, review, rulebook, _drawn(lanes))
        return {
            "lanes": lanes,
            "more": max(0, len(facts) - _MOST_LANES),
            "windows": windows_found[:_MOST_WINDOWS],
            "unshown": max(0, len(windows_found) - _MOST_WINDOWS),
        }
    except Exception:  # noqa: BLE001 - a finding is never lost for the want of its picture
        return {"lanes": [], "more": -1, "windows": [], "unshown": 0}


def _severity(finding: Finding) -> int:
    return SEVEREST.index(finding.indicator)


def _age(review: Review) -> list[int] | None:
    born = review.chart.patient.born
    if born is None:
        return None
    years = birthdays(born.days, review.clock.today)
    return [max(0, int(years.low)), max(0, int(years.high))]


# -- what a card says ----------------------------------------------------------------------------


def _details(judged: Judged, told: Sequence[tuple[Finding, Said]]) -> list[str]:
    pairs = zip(judged.answer.drawn, judged.answer.cards, strict=True)
    texts = {id(drawn.finding): card.detail for drawn, card in pairs}
    return [_own(texts.get(id(finding)) or "") for finding, _ in told]


def _own(detail: str) -> str:
    """The text less what the report has once for all findings: sources, what was checked."""
    kept: list[str] = []
    skipping = False
    for block in detail.split("\n\n"):
        # The list below its title goes with it.
        skipping = block.startswith(_LEFT_OUT) or (skipping and block.startswith("- "))
        if not skipping:
            kept.append(block)
    return "\n\n".join(kept)


# -- lanes ---------------------------------------------------------------------------------------


def _facts(findings: Iterable[Finding]) -> list[Bound]:
    """What the findings are bound to, each fact once, drugs first."""
    found: dict[str, Bound] = {}
    for finding in findings:
        for bounds in finding.bound.values():
            for bound in bounds:
                if bound.fact.kind in _KINDS:
                    found.setdefault(bound.fact.key, bound)
    return sorted(found.values(), key=lambda bound: _KINDS.index(bound.fact.kind))


def _lane(bound: Bound, review: Review) -> list[Any]:
    fact = bound.fact
    today = review.clock.today.earliest
    sources = [str(source) for source in fact.sources]
    spans = sorted(_spans(fact, today), key=_by_day) if fact.kind == "medication" else []
    marks = [] if spans else [[*_days(days, today), words] for days, words in _marks(fact)]
    name = cap(fact.name, _LONGEST) + (" (not certain)" if bound.truth is Truth.UNKNOWN else "")
    return [fact.kind, name, sources[:8], _joined(spans)[:_MOST_SPANS], marks]


def _spans(fact: Fact, today: date) -> Iterator[list[Any]]:
    exposure = fact.exposure
    for reading in exposure.readings if exposure is not None else ():
        if reading.row is not None and reading.row.counts_as == "draft":
            yield _drafted(fact, reading, today)
        for label, spans in reading.spans.items():
            for span in spans:
                # Nobody recorded that it ended: so it is drawn, whatever it is taken to last.
                name = "assumed" if span.assumed and label == "exposure" else label
                ends = (*_days(span.start, today), *_days(span.end, today))
                yield [name, *ends, cap(span.because, _LONGEST) if span.because else ""]


def _drafted(fact: Fact, reading: Reading, today: date) -> list[Any]:
    start = fact.value("start")
    days = start.days if isinstance(start, Moment) else reading.interval.start
    begins = _days(days, today) if days is not None else [0, 0]
    return ["draft", *begins, *_days(reading.interval.end, today), ""]


def _by_day(span: Sequence[Any]) -> tuple[str, float, str]:
    first = span[1]
    return span[0], float("-inf") if first is None else first, str(span)


def _joined(spans: list[list[Any]]) -> list[list[Any]]:
    """Spans of one label that follow on each other as one, where both ends are certain."""
    found: list[list[Any]] = []
    for span in spans:
        last = found[-1] if found else None
        if (
            last is not None
            and last[0] == span[0]
            and last[5] == span[5]
            and None not in (*last[3:5], *span[1:5])
            and last[3] == last[4]
            and span[1] == span[2]
            and span[1] <= last[4] + 1
            and span[3] == span[4]
        ):
            found[-1] = [*last[:3], max(last[3], span[3]), max(last[4], span[4]), last[5]]
        else:
            found.append(span)
    return found


def _marks(fact: Fact) -> Iterator[tuple[DayRange, str]]:
    """The days that a fact other than a drug has, each with what it is."""
    match fact.kind:
        case "procedure":
            plan = fact.plan
            if plan is not None and plan.start is not None:
                yield plan.start.days, plan.evidence
            elif plan is not None and plan.performed is not None:
                yield plan.performed.days, "done"
        case "result":
            at = fact.value("date")
            if isinstance(at, Moment):
                yield at.days, cap(_result(fact), _LONGEST)
        case "dose-step":
            at = fact.value("start")
            if isinstance(at, Moment):
                yield at.days, "change of dose"
        case _:
            yield from _recorded(fact)


def _result(fact: Fact) -> str:
    """The value of a result, or its answer, in words; "result" where it has neither."""
    answer, value = fact.value("answer-text"), fact.value("value")
    if isinstance(answer, Words) and answer.words:
        return render(answer)
    return "result" if isinstance(value, Missing) else render(value)


def _recorded(fact: Fact) -> Iterator[tuple[DayRange, str]]:
    for record in fact.records[:1]:
        for name in ("onset", "abated"):
            if name in record.dates:
                yield record.dates[name].days, name
        if record.recorded is not None:
            yield record.recorded.days, "recorded"


def _days(days: DayRange | None, today: date) -> Days:
    """First and last day, counted from today; None for one that is open."""
    if days is None:
        return [None, None]
    first, last = days.earliest, days.latest
    return [
        None if first == date.min else (first - today).days,
        None if last == date.max else (last - today).days,
    ]


# -- windows -------------------------------------------------------------------------------------


def _windows(
    findings: Iterable[Finding], review: Review, rulebook: Rulebook, drawn: frozenset[int]
) -> list[list[Any]]:
    """The windows of the findings, severest first; one that several have, once with their rules.

    Of one rule's windows of the same days the first says enough, and so does what is ``drawn``
    already on a day that a rule works out.
    """
    today = review.clock.today.earliest
    found: dict[tuple[str, int, int, str], list[str]] = {}
    told: set[tuple[str, int, int]] = set()
    for finding in findings:
        rule = finding.rule.id
        for window in windows(finding, review, rulebook):
            days = (window.start.earliest - today).days, (window.end.latest - today).days
            if (rule, *days) in told or (window.kind == "day" and days[0] in drawn):
                continue
            told.add((rule, *days))
            rules = found.setdefault((window.kind, *days, cap(window.label, 200)), [])
            rules += [rule] if rule not in rules else []
    return [[*key, rules] for key, rules in found.items()]


def _drawn(lanes: Iterable[list[Any]]) -> frozenset[int]:
    """The days on which a lane begins, ends or has a mark, and the day judged for."""
    days = {0}
    for *_, spans, marks in lanes:
        days.update(day for span in spans for day in span[1:5] if day is not None)
        days.update(day for mark in marks for day in mark[:2] if day is not None)
    return frozenset(days)
