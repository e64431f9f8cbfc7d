"""Lines of a card for what was measured or asked, and for the patient."""

from __future__ import annotations

from cds.cards.markdown import cap, escape
from cds.engine.fact import Fact
from cds.engine.value import Missing, Moment, Words, render

_LONG = 120
_FINAL = frozenset({"final", "amended", "corrected"})


def result_line(fact: Fact, doubt: str) -> str:
    """``Name: 5 mg (upper limit 4 mg), of 1 Jun 2026 (Observation/1)``; what is missing is said."""
    date = fact.value("date")
    when = f"of {render(date)}" if isinstance(date, Moment) else "no date recorded"
    parts = [_value(fact), when]
    status = fact.records[0].status
    if status not in _FINAL:
        parts.append(status)
    told = f"{cap(fact.name, _LONG)}: {', '.join(cap(part, _LONG) for part in parts)}"
    return f"{escape(told)}{doubt} ({_sources(fact)})"


def _value(fact: Fact) -> str:
    """The value with its limit, or the answer, or why there is neither."""
    value, answer = fact.value("value"), fact.value("answer-text")
    said = isinstance(answer, Words) and bool(answer.words)
    if not said and isinstance(value, Missing):
        interpretation = fact.value("interpretation")
        absent = Words(frozenset({"absent"}))
        return value.reason if interpretation == absent else render(interpretation)
    shown = render(answer) if said else render(value)
    limit = fact.value("high")
    return shown if isinstance(limit, Missing) else f"{shown} (upper limit {render(limit)})"


def person_line(fact: Fact) -> str:
    """``Born 5 Jun 2010, 16 years old (Patient/1)``."""
    born, age = fact.value("born"), fact.value("age")
    if isinstance(born, Missing):
        return f"{escape(born.reason)} ({_sources(fact)})"
    return f"Born {render(born)}, {render(age)} years old ({_sources(fact)})"


def _sources(fact: Fact) -> str:
    return escape(", ".join(str(source) for source in fact.sources))
