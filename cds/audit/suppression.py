"""A summary without small counts, and without whatever would give them away.

Counts of 1 to ``least - 1`` become null, and others with them, so that none follows by subtraction
from what is still told. Zero is told: that something happened to nobody says nothing of a person.
A null does not say whether it stands for a small count or keeps one company.

What a reader could reckon with, and what is done about it (``least`` is N):

- verdicts of a rule add up to the patients judged: of those three at least two are null, and the
  nulls together are so many that each of them alone could be N (``_hidden``);
- a rule of which a verdict is null has no breakdown; else the rows of its breakdown that hold a
  small count are null as a whole, and so many others with them that in each column the nulls add up
  to N or to nothing. By the sharp bounds of a table with known sums (Fréchet), no cell of such a
  block has one possible value only;
- a small stratum is null for every rule, and another with it;
- findings and reasons are at least as many as the patients they are about: what is told of them
  never reaches that number where something of them is null;
- totals of cards, lines and findings are null unless at least two null parts of rules share them;
- of fewer than N + 6 patients nothing is told but that.

The counts of files are told; that of records is not where the deceased among them are null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from cds.audit.strata import VERDICTS, judged

_ROOM = 6
"""With so many patients more than N any of up to seven nulls of one row could be N."""
Summary = dict[str, Any]
Cell = tuple[str, str]
Counted = dict[str, int]


def suppressed(summary: Mapping[str, Any], least: int) -> Summary:
    """The summary with null for what must not be told; ``least`` is the smallest count told.

    Raises ValueError where ``least`` is below 2: there is nothing to suppress.
    """
    if least < 2:
        raise ValueError(f"{least} suppresses nothing: 2 or more is accepted")
    told: Summary = {
        **{name: _without_small(value, least) for name, value in summary.items()},
        **{name: summary[name] for name in ("pack", "rulebook", "hook", "asOf", "timezone")},
        "inputs": dict(summary["inputs"]),
        "suppressed": {"below": least, "note": note(least)},
    }
    if 0 < (judged(summary) or 0) < least + _ROOM:
        return _nothing_told(told)
    _hide_patients(told, summary, least)
    strata = {name: _hidden(counts, least) for name, counts in summary["strata"].items()}
    told["strata"] = {
        name: {} if hidden and len(hidden) == len(counts) else _but(counts, hidden)
        for (name, counts), hidden in zip(summary["strata"].items(), strata.values(), strict=True)
    }
    small = {name: hidden if told["strata"][name] else None for name, hidden in strata.items()}
    rules = [_Rule(rule, least) for rule in summary["rules"]]
    told["rules"] = [rule.told(small) for rule in rules]
    told.update(_totals(summary, rules, least))
    told["coverage"] = {
        kind: _but(states, _hidden(states, least)) for kind, states in summary["coverage"].items()
    }
    return told


def note(least: int) -> str:
    """What a reader of the files is told."""
    return f"suppressed: counts of 1 to {least - 1}, and others that would give them away"


# -- one row of counts -----------------------------------------------------------------------------


def _is_small(count: int, least: int) -> bool:
    return 0 < count < least


def _enough(counts: Iterable[int], least: int) -> bool:
    """Whether nulls of a known sum say nothing of each: several, of which any could be N."""
    found = list(counts)
    return len(found) >= 2 and sum(found) - len(found) >= least - 1


def _hidden(counts: Mapping[str, int], least: int) -> set[str]:
    """Which counts of a known sum are null: the small ones, and the next above them as needed."""
    hidden = {name for name, count in counts.items() if _is_small(count, least)}
    others = _ascending({name: counts[name] for name in counts if name not in hidden})
    while hidden and others and not _enough((counts[name] for name in hidden), least):
        hidden.add(others.pop(0))
    return hidden


def _covered(counts: Mapping[Any, int], hidden: set[Any], least: int) -> set[Any]:
    """The nulls of counts that together are ``least`` or more, with as many as that needs.

    What is told, and one for each null, reach ``least``: so that the sum says nothing of a null.
    """
    hidden = set(hidden)
    others = _ascending({name: counts[name] for name in counts if name not in hidden})
    while hidden and others and not _is_free(counts, hidden, least):
        hidden.add(others.pop(0))
    return hidden


def _is_free(counts: Mapping[Any, int], hidden: set[Any], least: int) -> bool:
    return sum(n for name, n in counts.items() if name not in hidden) + len(hidden) >= least


def _ascending(counts: Mapping[Any, int]) -> list[Any]:
    """The names of counts above zero, the smallest first."""
    return sorted((name for name in counts if counts[name]), key=lambda name: (counts[name], name))


def _but(counts: Mapping[str, int], hidden: set[str]) -> dict[str, int | None]:
    return {name: None if name in hidden else count for name, count in counts.items()}


def _without_small(value: Any, least: int) -> Any:
    """Any value without small counts; for what nothing else is known to follow from."""
    if isinstance(value, Mapping):
        return {name: _without_small(item, least) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_small(item, least) for item in value]
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return None if is_count and _is_small(value, least) else value


def _nulls(value: Any) -> Any:
    """The same shape with null for every number."""
    if isinstance(value, Mapping):
        return {name: _nulls(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_nulls(item) for item in value]
    return None if isinstance(value, int) and not isinstance(value, bool) else value


def _nothing_told(told: Summary) -> Summary:
    """A summary of so few that every number says something of somebody."""
    rules = [_bare(rule) for rule in told["rules"]]
    kept = {name: told[name] for name in ("inputs", "suppressed")}
    inputs = {**told["inputs"], "records": None}
    return {**_nulls(told), **kept, "inputs": inputs, "strata": {}, "rules": rules, "coverage": {}}


def _bare(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule of which no number is told."""
    return {**_nulls(rule), "reasons": {}, "findings": {}, "by": {}}


# -- patients --------------------------------------------------------------------------------------


def _hide_patients(told: Summary, summary: Mapping[str, Any], least: int) -> None:
    """What goes with the number of the deceased, and of medications that nothing names."""
    deceased = summary["patients"]["deceased_not_judged"]
    told["patients"]["judged"] = summary["patients"]["judged"]
    if _is_small(deceased, least):
        # Where each record is one patient's, the three add up.
        told["inputs"]["records"] = None
    if any(count is None for count in told["unclassified"].values()):
        told["unclassified"] = _nulls(told["unclassified"])
        if "unclassified" in told["problems"]:
            told["problems"]["unclassified"] = _nulls(told["problems"]["unclassified"])


# -- a rule ----------------------------------------------------------------------------------------


class _Rule:
    """One rule of the summary, and what of it is null."""

    def __init__(self, rule: Mapping[str, Any], least: int) -> None:
        self._rule = rule
        self._least = least
        self._verdicts = {name: rule[name] for name in VERDICTS}
        self._few = 0 < sum(self._verdicts.values()) < least + _ROOM
        self._hidden = set(VERDICTS) if self._few else _hidden(self._verdicts, least)
        self.findings: dict[Cell, int] = {
            (said, level): count
            for said, levels in rule["findings"].items()
            for level, count in levels.items()
        }
        small = {cell for cell, count in self.findings.items() if _is_small(count, least)}
        self._hides_fired = "fired" in self._hidden
        self.nulls = (
            set(self.findings)
            if self._hides_fired
            else _covered(self.findings, small, rule["fired"])
        )

    @property
    def is_free(self) -> bool:
        """Whether nothing that is told bounds the null findings of this rule from below."""
        return self._hides_fired or _is_free(self.findings, self.nulls, self._rule["fired"])

    def told(self, small: Mapping[str, set[str] | None]) -> dict[str, Any]:
        """The rule as it is told; ``small``: the null strata by dimension, None: it is left out."""
        if self._few:
            return _bare(self._rule)
        partly = self._rule["fired_and_unknown"]
        hides_partly = bool(partly) and (self._hides_fired or _is_small(partly, self._least))
        return {
            **self._rule,
            **_but(self._verdicts, self._hidden),
            "fired_and_unknown": None if hides_partly else partly,
            "findings": {
                said: {
                    level: None if (said, level) in self.nulls else count
                    for level, count in levels.items()
                }
                for said, levels in self._rule["findings"].items()
            },
            "reasons": self._reasons(everything="unknown" in self._hidden or hides_partly),
            "by": {name: self._table(rows, small[name]) for name, rows in self._rule["by"].items()},
        }

    def _reasons(self, *, everything: bool) -> dict[str, int | None]:
        """The reasons, those that are told first; the order of the others says nothing."""
        counts: Counted = self._rule["reasons"]
        small = {name for name, count in counts.items() if _is_small(count, self._least)}
        undecided = self._rule["unknown"] + self._rule["fired_and_unknown"]
        hidden = set(counts) if everything else _covered(counts, small, undecided)
        told: dict[str, int | None] = {name: counts[name] for name in counts if name not in hidden}
        return {**told, **dict.fromkeys(sorted(hidden))}

    def _table(
        self, rows: Mapping[str, Counted], small: set[str] | None
    ) -> dict[str, dict[str, int | None]]:
        """A breakdown: rows of verdicts. No rows where the dimension is not told at all."""
        if small is None:
            return {}
        # All of them where a total is small: the block never adds up to enough.
        hidden = self._rows(rows, small)
        columns = {name: sum(rows[row][name] for row in hidden) for name in VERDICTS}
        if self._hidden and len(rows) == 1:
            # One row of its own says what the rule says.
            columns = {name: int(name in self._hidden) for name in VERDICTS}
        return {
            row: {
                name: None if row in hidden and columns[name] else count
                for name, count in counts.items()
            }
            for row, counts in rows.items()
        }

    def _rows(self, rows: Mapping[str, Counted], small: set[str]) -> set[str]:
        """Which rows are null: with small counts or of small strata, and others as needed."""
        least = self._least
        hidden = small | {
            row
            for row, counts in rows.items()
            if any(_is_small(count, least) for count in counts.values())
        }
        others = _ascending({row: sum(rows[row].values()) for row in rows if row not in hidden})
        while hidden and others and not _is_block(rows, hidden, least):
            hidden.add(others.pop(0))
        return hidden


def _is_block(rows: Mapping[str, Counted], hidden: set[str], least: int) -> bool:
    """Whether null rows say nothing of each other: two or more, no column with a small sum."""
    sums = (sum(rows[row][name] for row in hidden) for name in VERDICTS)
    return len(hidden) >= 2 and not any(_is_small(total, least) for total in sums)


# -- totals over the rules -------------------------------------------------------------------------


class _Part(msgspec.Struct, frozen=True):
    """A null count of a rule's findings; ``free``: nothing bounds it from below."""

    cell: Cell
    count: int
    free: bool


def _totals(summary: Mapping[str, Any], rules: list[_Rule], least: int) -> dict[str, Any]:
    """The numbers of findings, cards and lines over all rules; null where a null would follow."""
    parts = [
        _Part(cell, rule.findings[cell], rule.is_free) for rule in rules for cell in rule.nulls
    ]

    def is_told(total: int, among: list[_Part]) -> bool:
        free = [part.count for part in among if part.free]
        return not _is_small(total, least) and (not among or _enough(free, least))

    groups = {
        level: [part for part in parts if part.cell == ("card", level)]
        for level in summary["cards"]
    }
    lines = [part for part in parts if part.cell[0] == "line"]
    told = {level: is_told(summary["cards"][level], group) for level, group in groups.items()}
    lines_told = is_told(summary["lines"], lines)
    rest = [part for part in parts if part.cell[0] == "silent"]
    rest += [part for level, group in groups.items() if not told[level] for part in group]
    rest += [] if lines_told else lines
    return {
        "findings": summary["findings"] if is_told(summary["findings"], rest) else None,
        "cards": {
            level: count if told[level] else None for level, count in summary["cards"].items()
        },
        "lines": summary["lines"] if lines_told else None,
    }
