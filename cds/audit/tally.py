"""What an audit counts: made chunk by chunk, added up in the order of the inputs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from cds.audit.line import Said
from cds.audit.strata import Breakdown, Counts, Strata, breakdown, by_rule, stratum_of, total
from cds.cards.judge import Setting
from cds.chart.model import Chart
from cds.engine.finding import Finding, Review
from cds.engine.needs import coverage_read
from cds.engine.review import speaks_on
from cds.rulebook.model import INDICATORS, Rulebook
from cds.values.problem import Problem
from cds.values.truth import Truth

_SOURCE = re.compile(r"\b([A-Z][A-Za-z]+)/[A-Za-z0-9.:_-]+")
_MOST_REASONS = 100
_OTHER = "other reasons"


@lru_cache(maxsize=8192)
def _general(reason: str) -> str:
    """The reason without the id of a resource, so that it can be counted over patients."""
    return _SOURCE.sub(r"\1", reason)


class Tally(msgspec.Struct):
    """Counts of patients, rules, coverage and problems.

    For each judged patient and rule of the hook exactly one of ``fired``, ``not_fired`` and
    ``unknown`` is counted, in the patient's stratum; a rule that fired for one thing and is unknown
    for another is *fired*, and in ``partly`` as well. ``reasons`` counts patients by what was
    missing.

    With ``--every order`` all of this is counted for each judged order instead, and the patients
    with any such order in ``people`` and ``people_deceased``. What is counted once for a record
    is the same: ``ignored``, ``problems``, medications that could not be classified.
    """

    inputs: int = 0
    unreadable: int = 0
    judged: int = 0
    deceased: int = 0
    strata: Strata = msgspec.field(default_factory=dict)
    partly: Counter[str] = msgspec.field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    findings: Counter[tuple[str, str, str]] = msgspec.field(default_factory=Counter)
    coverage: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    ignored: Counter[str] = msgspec.field(default_factory=Counter)
    problems: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    unclassified: int = 0
    unclassified_patients: int = 0
    people: int = 0
    people_deceased: int = 0
    orders_not_judged: Counter[str] = msgspec.field(default_factory=Counter)

    def add_review(self, review: Review, rulebook: Rulebook) -> None:
        """Counts one patient, or one order."""
        if review.problems and not review.verdicts:
            # Not judged: deceased, or an engine failed, which its problem tells.
            self.deceased += any(problem.kind == "patient" for problem in review.problems)
            return
        self.judged += 1
        fired: list[str] = []
        not_fired: list[str] = []
        unknown: list[str] = []
        for verdict in review.verdicts:
            name = verdict.rule.id
            if verdict.truth is Truth.YES or verdict.findings:
                fired.append(name)
                if verdict.undecided:
                    self.partly[name] += 1
            elif verdict.truth is Truth.UNKNOWN:
                unknown.append(name)
            else:
                not_fired.append(name)
            if verdict.undecided:
                for reason in {_general(text) for text in verdict.missing}:
                    self.reasons[name, reason] += 1
        stratum = stratum_of(review.chart.patient, review.clock.now.date())
        self.strata.setdefault(stratum, Counts()).add(fired, not_fired, unknown)
        for kind, state in coverage_read(review, rulebook).items():
            self.coverage[kind, state.value] += 1

    def add_record(self, chart: Chart, unclassified: set[str]) -> None:
        """Counts what of a patient's record was not read, or is of no known class."""
        self.ignored.update(chart.ignored)
        self.unclassified += len(unclassified)
        self.unclassified_patients += bool(unclassified)

    def add_orders(self, not_judged: Counter[str], before: tuple[int, int]) -> None:
        """Counts a patient whose orders were judged, with what was judged and deceased before."""
        self.people += self.judged > before[0]
        self.people_deceased += self.deceased > before[1]
        self.orders_not_judged.update(not_judged)

    def add_finding(self, finding: Finding, said: Said) -> None:
        speaks = "line" if said == "line" else "card" if said is True else "silent"
        self.findings[finding.rule.id, finding.indicator, speaks] += 1

    def add_problem(self, problem: Problem) -> None:
        self.problems[problem.kind, problem.severity.value] += 1

    def merge(self, other: Tally) -> None:
        """Adds the counts of a later chunk."""
        for name in self.__struct_fields__:
            ours, theirs = getattr(self, name), getattr(other, name)
            if isinstance(ours, Counter):
                ours.update(theirs)
            elif isinstance(ours, dict):
                for stratum, counts in theirs.items():
                    ours.setdefault(stratum, Counts()).merge(counts)
            else:
                setattr(self, name, ours + theirs)

    # -- summary.json -----------------------------------------------------------------------------

    def summary(self, setting: Setting, inputs: Mapping[str, int]) -> dict[str, Any]:
        """The content of ``summary.json``; the order of keys is stable."""
        rulebook = setting.rulebook
        on = [rule for rule in rulebook.rules if speaks_on(rule, setting.hook)]
        silent = [rule.id for rule in rulebook.rules if not speaks_on(rule, setting.hook)]
        whole, parts = total(self.strata), breakdown(self.strata)
        return {
            "pack": f"{rulebook.pack.id} {rulebook.pack.version}",
            "rulebook": rulebook.digest,
            "hook": setting.hook,
            "every": setting.every or None,
            "asOf": setting.as_of.astimezone(setting.zone).isoformat(),
            "timezone": setting.zone.key,
            "suppressed": None,
            "inputs": {**inputs, "unreadable": self.unreadable},
            "patients": self._patients(by_order=bool(setting.every)),
            "orders": self._orders() if setting.every else None,
            "strata": {
                name: {value: counts.judged for value, counts in values.items()}
                for name, values in parts.items()
            },
            "findings": self.findings.total(),
            "cards": {level: self._said(level, "card") for level in reversed(INDICATORS)},
            "lines": sum(self._said(level, "line") for level in INDICATORS),
            "rules": [self._rule(rule.id, rule.version, whole, parts) for rule in on],
            "not_judged": sorted((*silent, *rulebook.off)),
            "off": sorted(rulebook.off),
            "unclassified": {
                "patients": self.unclassified_patients,
                "medications": self.unclassified,
            },
            "coverage": _nested(self.coverage),
            "ignored": dict(sorted(self.ignored.items())),
            "problems": _nested(self.problems),
        }

    def _patients(self, *, by_order: bool) -> dict[str, int]:
        counts = (self.people, self.people_deceased) if by_order else (self.judged, self.deceased)
        return dict(zip(("judged", "deceased_not_judged"), counts, strict=True))

    def _orders(self) -> dict[str, Any]:
        """What the rules' counts are of, and the orders that were left out."""
        return {
            "judged": self.judged,
            "deceased_not_judged": self.deceased,
            "not_judged": dict(sorted(self.orders_not_judged.items())),
        }

    def _said(self, level: str, how: str) -> int:
        return sum(
            count for (_, at, said), count in self.findings.items() if (at, said) == (level, how)
        )

    def _rule(self, name: str, version: str, whole: Counts, parts: Breakdown) -> dict[str, Any]:
        findings = {
            said: {
                level: self.findings[name, level, said]
                for level in reversed(INDICATORS)
                if self.findings[name, level, said]
            }
            for said in ("card", "line", "silent")
        }
        return {
            "rule": name,
            "version": version,
            **whole.of(name),
            "fired_and_unknown": self.partly[name],
            "findings": {said: counts for said, counts in findings.items() if counts},
            "reasons": self._reasons(name),
            "by": by_rule(parts, name),
        }

    def _reasons(self, name: str) -> dict[str, int]:
        """What was missing, the most frequent first; a long tail is one entry."""
        found = [(reason, n) for (rule, reason), n in self.reasons.items() if rule == name]
        found.sort(key=lambda item: (-item[1], item[0]))
        rest = sum(count for _, count in found[_MOST_REASONS:])
        return {**dict(found[:_MOST_REASONS]), **({_OTHER: rest} if rest else {})}


def _nested(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (outer, inner), count in sorted(counts.items()):
        found.setdefault(outer, {})[inner] = count
    return found
