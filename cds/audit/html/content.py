"""What the report says beside its patients: what was audited, what was found, what was not seen.

A number that is null in the summary was suppressed: it is shown as that, and never as 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from cds.audit.timeline import SEVEREST
from cds.rulebook.model import Evidence, Rule, Rulebook

Number = int | None
_STATES = ("supplied", "empty", "absent", "forbidden", "failed", "truncated", "unresolved")
_SEEN = ("supplied", "empty")


class Part(msgspec.Struct, frozen=True):
    """A part of a bar: its style, where it begins and how long it is in per cent, its number."""

    style: str
    x: float
    width: float
    count: Number


class Row(msgspec.Struct, frozen=True):
    """A row of a chart and of the table that it is: ``key`` names what it is about."""

    key: str
    name: str
    parts: tuple[Part, ...]
    note: str = ""


class Reason(msgspec.Struct, frozen=True):
    """Why a rule could not be decided, and for how many."""

    text: str
    count: Number


class Ruled(msgspec.Struct, frozen=True):
    """A rule of the pack as judged: its row of the summary, and where its evidence stands."""

    rule: Rule | None
    id: str
    version: str
    counts: Mapping[str, Any]
    reasons: tuple[Reason, ...]
    sources: tuple[tuple[Evidence, str], ...]
    by: tuple[tuple[str, list[Row]], ...]

    @property
    def title(self) -> str:
        return self.rule.title if self.rule is not None else self.id

    @property
    def found(self) -> bool:
        """Whether there is, or may be, a finding of it."""
        return bool(self.counts["fired"] != 0)


def ruled(summary: Mapping[str, Any], rulebook: Rulebook) -> list[Ruled]:
    """The rules that were judged, those with most findings of the severest kind first."""
    found = [_ruled(row, rulebook) for row in summary["rules"]]
    return sorted(found, key=_weight)


def _ruled(row: Mapping[str, Any], rulebook: Rulebook) -> Ruled:
    rule = rulebook.rule(row["rule"])
    evidence = rule.evidence if rule is not None else ()
    return Ruled(
        rule=rule,
        id=row["rule"],
        version=row["version"],
        counts=row,
        reasons=tuple(Reason(text, count) for text, count in row["reasons"].items()),
        sources=tuple((entry, rulebook.sources[entry.source].cite) for entry in evidence),
        by=tuple((name, _by_value(values)) for name, values in (row.get("by") or {}).items()),
    )


def _weight(item: Ruled) -> tuple[int, ...]:
    levels = [by_level(item.counts, level) for level in SEVEREST]
    return *(-(count if count is not None else 1) for count in levels), -(item.counts["fired"] or 0)


def _by_value(values: Mapping[str, Mapping[str, Number]]) -> list[Row]:
    """A rule's verdicts for each value of a stratum, on one scale."""
    most = max((_known(counts.values()) for counts in values.values()), default=0)
    return [Row(value, value, parts(counts, most)) for value, counts in values.items()]


def by_level(row: Mapping[str, Any], level: str) -> Number:
    """How many findings of a rule have a level, as cards, lines or silent; None: suppressed."""
    return added(said.get(level, 0) for said in row["findings"].values())


def added(counts: Iterable[Number]) -> Number:
    """The sum; None as soon as one of them is suppressed."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


# -- charts --------------------------------------------------------------------------------------


def findings_chart(rules: Iterable[Ruled]) -> list[Row]:
    """Findings by rule, coloured by level, on one scale."""
    found = [item for item in rules if item.found]
    counts = {
        item.id: {level: by_level(item.counts, level) for level in SEVEREST} for item in found
    }
    most = max((_known(row.values()) for row in counts.values()), default=0)
    return [Row(item.id, item.title, parts(counts[item.id], most)) for item in found]


def decided_chart(rules: Iterable[Ruled], judged: Number) -> list[Row]:
    """How many each rule fired for, did not, could not be decided for: all that were judged.

    Rules that fired for none of them, and were decided for all, are left out.
    """
    told = [item for item in rules if item.counts["fired"] != 0 or item.counts["unknown"] != 0]
    ordered = sorted(told, key=lambda item: (-(item.counts["unknown"] or 0), item.id))
    return [
        Row(
            item.id,
            item.title,
            parts(
                {style: item.counts[style] for style in ("fired", "not_fired", "unknown")}, judged
            ),
            _partly(item.counts["fired_and_unknown"]),
        )
        for item in ordered
    ]


def _partly(count: Number) -> str:
    if count == 0:
        return ""
    told = "some (suppressed)" if count is None else f"{count:,}"
    return f"fired for one thing and undecided for another: {told}"


def coverage_chart(summary: Mapping[str, Any]) -> list[Row]:
    """For each resource type for how many it was supplied, empty, absent, …"""
    found = []
    for kind, states in summary["coverage"].items():
        counts = {state: states[state] for state in _STATES if state in states}
        counts |= {state: count for state, count in states.items() if state not in counts}
        found.append(Row(kind, kind, parts(counts, _known(counts.values()))))
    return found


def strata_charts(summary: Mapping[str, Any]) -> list[tuple[str, list[Row]]]:
    """Those who were judged by each stratum that the summary has."""
    found = []
    for name, values in (summary.get("strata") or {}).items():
        most = max((count or 0 for count in values.values()), default=0)
        rows = [Row(value, value, parts({"judged": n}, most)) for value, n in values.items()]
        found.append((name, rows))
    return found


def states(summary: Mapping[str, Any]) -> list[str]:
    """The states of coverage that some type has, in their order."""
    found = {state for states in summary["coverage"].values() for state in states}
    return sorted(found, key=lambda item: _STATES.index(item) if item in _STATES else 99)


def parts(counts: Mapping[str, Number], most: Number) -> tuple[Part, ...]:
    """The parts of a bar in which ``most`` is its whole length; suppressed ones have no length."""
    found, at = [], 0.0
    for style, count in counts.items():
        width = 100 * (count or 0) / most if most else 0.0
        found.append(Part(style, round(at, 3), round(width, 3), count))
        at += width
    return tuple(found)


def _known(counts: Iterable[Number]) -> int:
    return sum(count or 0 for count in counts)


# -- what was not judged, what was not seen --------------------------------------------------------


def unjudged(summary: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Rules of the pack that judged nobody: off at this site, and those of other hooks."""
    off = set(summary["off"])
    return summary["off"], [name for name in summary["not_judged"] if name not in off]


def problem_rows(summary: Mapping[str, Any]) -> list[tuple[str, str, Number]]:
    """Problems by kind and severity."""
    return [
        (kind, severity, count)
        for kind, severities in summary["problems"].items()
        for severity, count in severities.items()
    ]


def unseen_types(summary: Mapping[str, Any]) -> list[tuple[str, Number]]:
    """Resource types that were not answered for somebody, with for how many, most first."""
    found = [
        (kind, added(count for state, count in states.items() if state not in _SEEN))
        for kind, states in summary["coverage"].items()
    ]
    unseen = [(kind, count) for kind, count in found if count != 0]
    return sorted(unseen, key=lambda item: (-(item[1] or 0), item[0]))


def undecided(rules: Iterable[Ruled]) -> list[Ruled]:
    """Rules that could not be decided for somebody, those with most first."""
    found = [item for item in rules if item.counts["unknown"] != 0 or item.reasons]
    return sorted(found, key=lambda item: (-(item.counts["unknown"] or 0), item.id))


def say(count: Number) -> str:
    """A number with thousands set apart, or that it was suppressed."""
    return "suppressed" if count is None else f"{count:,}"
