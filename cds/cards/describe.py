"""One line for each thing that was found: what, where, when, how surely."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cds.cards.markdown import cap, escape
from cds.cards.observed import person_line, result_line
from cds.chart.model import ConditionRecord, Coverage, MedicationRecord
from cds.engine.evidence import certainty_of
from cds.engine.fact import Bound, Fact
from cds.engine.finding import Finding, Review
from cds.engine.reading import Reading
from cds.engine.value import Missing, Moment, Words, render, render_days
from cds.rulebook.model import Rulebook
from cds.values.moment import DayRange
from cds.values.truth import Truth

_LONG = 120
# A list that runs over a page is not read; the trace of the card has every resource.
_MOST_LINES = 60


def found_lines(finding: Finding, rulebook: Rulebook, today: DayRange) -> list[str]:
    """Markdown lines for the facts behind a finding, each with its resources."""
    rule = finding.rule
    names = (*rule.per, *(rule.card.lists or tuple(clause.name for clause in rule.facts)))
    seen: dict[str, None] = {}
    bounds = [bound for name in dict.fromkeys(names) for bound in finding.bound.get(name, ())]
    for number, bound in enumerate(bounds):
        if len(seen) >= _MOST_LINES:
            return [*seen, f"and {len(bounds) - number} more"]
        for line in _lines(bound, rulebook, today):
            seen.setdefault(line)
    return list(seen)


def _lines(bound: Bound, rulebook: Rulebook, today: DayRange) -> Iterable[str]:
    fact = bound.fact
    doubt = " (not certain)" if bound.truth is Truth.UNKNOWN else ""
    match fact.kind:
        case "medication":
            return _medication(bound, today)
        case "procedure":
            return [_operation(fact, rulebook.definitions["procedure"].labels)]
        case "source":
            return []
        case "condition":
            return [_condition(bound)]
        case "result":
            return [result_line(fact, doubt)]
        case "patient":
            return [person_line(fact)]
        case _:
            sources = ", ".join(str(source) for source in fact.sources)
            return (
                [f"{escape(cap(fact.name, _LONG))}{doubt} ({escape(sources)})"] if sources else []
            )


# What a diagnosis is unless its line says something else.
_USUAL = frozenset({"active", "confirmed", "absent"})


def _condition(bound: Bound) -> str:
    """``name, "as written": refuted, recorded 1 Mar 2024 (Condition/c1)``.

    What was written beside a code is told where it is not the name; a state, where it is not the
    usual one.
    """
    fact = bound.fact
    texts = [record.written for record in fact.records if isinstance(record, ConditionRecord)]
    texts = [text for text in texts if text and text.casefold() != fact.name.casefold()]
    told = (fact.value(state) for state in ("clinical", "verification"))
    parts = [word for value in told if isinstance(value, Words) for word in sorted(value.words)]
    parts = [escape(word) for word in parts if word not in _USUAL]
    recorded = fact.value("recorded")
    if isinstance(recorded, Moment):
        parts.append(f"recorded {render(recorded)}")
    if bound.truth is Truth.UNKNOWN:
        parts.append("not certain")
    sources = ", ".join(escape(str(source)) for source in fact.sources)
    written = "".join(f', "{escape(cap(text, _LONG))}"' for text in texts)
    said = f": {', '.join(parts)}" if parts else ""
    return f"{escape(cap(fact.name, _LONG))}{written}{said} ({sources})"


def _medication(bound: Bound, today: DayRange) -> list[str]:
    fact = bound.fact
    if fact.exposure is None:
        return []
    told = [reading for reading in fact.exposure.readings if reading.row is not None]
    parts = [_reading(reading, today) for reading in told]
    name = escape(cap(fact.name, _LONG))
    dose = fact.value("daily-dose")
    amount = f", {escape(render(dose))} a day" if not isinstance(dose, Missing) else ""
    return [f"{name}{amount}: " + "; ".join(part for part in parts if part)]


def _reading(reading: Reading, today: DayRange) -> str:
    """How one resource contributes: ``covers 1 Jun to 10 Jun 2026 (MedicationDispense/d1)``."""
    assert reading.row is not None
    record = reading.record
    where = f"({escape(str(record.source))})"
    status = escape(record.status)
    if reading.status != record.status:
        status = f"{escape(reading.status)} then, {status} since"
    if reading.row.counts_as == "draft":
        return f"being ordered{_certainty(record)} {where}"
    if reading.row.counts_as == "nothing":
        return f"{status}, does not count: {reading.row.because} {where}"
    if reading.row.counts_as == "denial":
        return f"recorded as not taken {where}"
    covers = _covers(reading, today)
    return f"{status}, {covers}{_certainty(record, covers)} {where}"


def _covers(reading: Reading, today: DayRange) -> str:
    spans = reading.spans.get("exposure", ())
    if spans:
        ends = [span.end for span in spans]
        start = (
            f"from {render_days(spans[0].start)}"
            if spans[0].start is not None
            else "start not recorded"
        )
        if any(end is None for end in ends) or any(span.assumed for span in spans):
            return f"{start}, no end recorded"
        end = max((end for end in ends if end is not None), key=lambda day: day.latest)
        if spans[0].start == end:
            return f"on {render_days(end)}"
        return f"covers {start.removeprefix('from ')} to {render_days(end)}"
    return f"possible only: {because}" if (because := _because(reading, today)) else "possible only"


def _because(reading: Reading, today: DayRange) -> str:
    """Why it is possible only, by the spans of today; where there is none, by all of them."""
    spans = [span for label in ("possibility", "hint") for span in reading.spans.get(label, ())]
    near = [span for span in spans if span.contains(today) is not Truth.NO] or spans
    reasons = [span.because for span in near if span.because]
    return reasons[-1] if reasons else reading.row.because if reading.row is not None else ""


_CERTAINTIES = {
    "text": ", known from free text only",
    "conflict": ", its code and its name disagree",
    "shape": ", recognised by the shape of its name only",
}


def _certainty(record: MedicationRecord, said: str = "") -> str:
    """How surely it is the drug, unless that is said already; and why, where names disagree."""
    words = _CERTAINTIES.get(certainty_of(record), "")
    words = "" if said.endswith(words.removeprefix(", ")) else words
    note = record.classification.note
    return words + (f" ({escape(cap(note, _LONG))})" if note else "")


def _operation(fact: Fact, labels: Iterable[str]) -> str:
    start = fact.value("start")
    done = fact.value("performed")
    when = escape(render(start)) if isinstance(start, Moment) else "no date recorded"
    if isinstance(done, Moment) and not isinstance(start, Moment):
        when = f"done {escape(render(done))}"
    sources = ", ".join(escape(str(source)) for source in fact.sources)
    parts = [f"{escape(cap(fact.name, _LONG))}: {when}"]
    for label in labels:
        value = fact.value(label)
        if isinstance(value, Words) and value.words:
            parts.append(f"{label} {', '.join(sorted(value.words))}")
    if fact.plan is not None:
        parts += [
            f"{entry.row.because} ({escape(str(entry.record.source))})"
            for entry in fact.plan.entries
            if entry.row is not None and entry.label == "possible" and entry.row.because
        ]
        parts += [escape(note) for note in fact.plan.notes]
    if len(fact.sources) == 1:
        parts.append("one entry only tells of it")
    return f"{'; '.join(parts)} ({sources})"


_STATES = {
    Coverage.SUPPLIED: "",
    Coverage.EMPTY: " (none found)",
    Coverage.ABSENT: " (not supplied)",
    Coverage.FORBIDDEN: " (refused)",
    Coverage.FAILED: " (could not be retrieved)",
    Coverage.TRUNCATED: " (came only in part)",
    Coverage.UNRESOLVED: " (names a drug that could not be found)",
}
_GOOD = (Coverage.SUPPLIED, Coverage.EMPTY)


def checked_line(review: Review, rulebook: Rulebook, coverage: Mapping[str, Coverage]) -> str:
    """What was looked at and what was not: one line that keeps silence from reading as safe."""
    good = [f"{kind}{_STATES[state]}" for kind, state in coverage.items() if state in _GOOD]
    bad = [f"{kind}{_STATES[state]}" for kind, state in coverage.items() if state not in _GOOD]
    line = f"**Checked:** {', '.join(good) or 'nothing'}."
    if rulebook.pack.footer_unseen:
        bad.append(rulebook.pack.footer_unseen)
    line += f" **Not checked:** {', '.join(bad) or 'nothing else known'}."
    if review.unclassified:
        names = ", ".join(escape(name) for name in review.unclassified[:5])
        more = f" and {len(review.unclassified) - 5} more" if len(review.unclassified) > 5 else ""
        line += f" **Could not be classified:** {names}{more}."
    return line
