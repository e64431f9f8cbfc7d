"""Feedback as the page draws it: bars by rule, reason and week, each with the numbers beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from cds.store.report import LEAST_DECISIONS, REVIEW_ABOVE, RuleFeedback

WEEKS = 26
"""So many weeks back are shown."""
_MOST_REASONS = 8
# So many rules are seen at once; the others are folded.
_FIRST = 10
NO_REASON = "no reason given"


@dataclass(frozen=True, slots=True)
class Bar:
    """What was accepted and overridden; widths are parts of 100."""

    label: str
    accepted: int
    overridden: int
    accepted_width: float
    overridden_width: float


@dataclass(frozen=True, slots=True)
class RuleBar:
    """One rule: its bar by share of what was decided, and whether it should be looked at."""

    bar: Bar
    answered: int
    rate: str
    flagged: bool
    reasons: str


@dataclass(frozen=True, slots=True)
class Charts:
    """Everything that is drawn. ``limit`` and ``least`` say when a rule is flagged, ``first`` how
    many rules are seen without unfolding, ``highest`` is the number of the fullest week.
    """

    rules: tuple[RuleBar, ...]
    reasons: tuple[Bar, ...]
    weeks: tuple[Bar, ...]
    flagged: tuple[str, ...]
    limit: str = f"{REVIEW_ABOVE:.0%}".replace("%", " %")
    highest: int = 0
    least: int = LEAST_DECISIONS
    first: int = _FIRST


def charts(found: Mapping[str, RuleFeedback], today: date) -> Charts:
    """The charts of a report; rules to be looked at come first, then those overridden most."""
    ordered = sorted(
        found.values(), key=lambda entry: (not entry.needs_review, -entry.overridden, entry.rule)
    )
    weeks = _weeks(found.values(), today)
    return Charts(
        rules=tuple(map(_rule, ordered)),
        reasons=_reasons(found.values()),
        weeks=weeks,
        highest=max((bar.accepted + bar.overridden for bar in weeks), default=0),
        flagged=tuple(entry.rule for entry in ordered if entry.needs_review),
    )


def _rule(entry: RuleFeedback) -> RuleBar:
    rate = entry.override_rate
    return RuleBar(
        bar=_bar(entry.rule, entry.accepted, entry.overridden, entry.decided),
        answered=entry.answered,
        rate="–" if rate is None else f"{rate:.0%}".replace("%", " %"),
        flagged=entry.needs_review,
        reasons=", ".join(
            f"{reason or NO_REASON} {number}" for reason, number in entry.reasons.most_common(3)
        ),
    )


def _bar(label: str, accepted: int, overridden: int, whole: int) -> Bar:
    whole = max(whole, 1)
    return Bar(label, accepted, overridden, 100 * accepted / whole, 100 * overridden / whole)


def _reasons(entries: Iterable[RuleFeedback]) -> tuple[Bar, ...]:
    """The commonest reasons of all rules together; rarer ones are a number without a bar."""
    total: Counter[str] = Counter()
    for entry in entries:
        total.update(entry.reasons)
    ranked = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    shown, rest = ranked[:_MOST_REASONS], ranked[_MOST_REASONS:]
    most = max((number for _, number in shown), default=1)
    bars = [_bar(reason or NO_REASON, 0, number, most) for reason, number in shown]
    if rest:
        label, number = f"{len(rest)} other reasons", sum(number for _, number in rest)
        bars.append(Bar(label, 0, number, 0, 0))
    return tuple(bars)


def _weeks(entries: Iterable[RuleFeedback], today: date) -> tuple[Bar, ...]:
    """Every week from the first with feedback to today's, those without any too."""
    total: dict[str, Counter[str]] = {}
    for entry in entries:
        for week, counts in entry.weeks.items():
            total.setdefault(week, Counter()).update(counts)
    if not total:
        return ()
    back = [_week(today - timedelta(weeks=number)) for number in range(WEEKS, -1, -1)]
    first = min(total)
    shown = sorted({*total, *(week for week in back if week > first)})[-WEEKS:]
    found = [(week, total.get(week, Counter())) for week in shown]
    most = max(counts.total() for _, counts in found)
    return tuple(
        _bar(week, counts["accepted"], counts["overridden"], most) for week, counts in found
    )


def _week(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}"
