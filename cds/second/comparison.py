"""Where two engines disagree about one patient, with what is needed to find out why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from cds.engine.fact import Fact
from cds.engine.finding import Review, Verdict
from cds.engine.trace import Step
from cds.engine.value import render
from cds.values.problem import Place, Problem


class Side(msgspec.Struct, frozen=True):
    """One engine's verdict on a rule: what is compared, and its trace."""

    truth: str
    undecided: bool
    findings: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    trace: tuple[Step, ...]

    @staticmethod
    def of(verdict: Verdict) -> Side:
        findings = tuple((found.key, found.indicator) for found in verdict.findings)
        truth = verdict.truth.label
        return Side(truth, verdict.undecided, findings, verdict.missing, verdict.traces)

    @property
    def told(self) -> str:
        """The verdict in a phrase, without a word of the record."""
        partly = ", undecided in part" if self.undecided and self.truth != "unknown" else ""
        return f"{self.truth}{partly}, {len(self.findings)} findings"

    def as_json(self) -> dict[str, Any]:
        return {
            "truth": self.truth,
            "undecided": self.undecided,
            "findings": [{"key": key, "indicator": level} for key, level in self.findings],
            "missing": list(self.missing),
            "trace": [step.as_json() for step in self.trace],
        }


class Disagreement(msgspec.Struct, frozen=True):
    """One rule of which the engines say different things of one patient.

    ``network`` are the rows that the Rete network worked out, in words; ``facts`` every fact that
    it was given, with its properties. ``as_json`` holds a patient's data: it is for a file of the
    site's own, ``problem`` is for everything else.
    """

    rule: str
    version: str
    patient: str
    hook: str
    as_of: str
    rulebook: str
    reference: Side
    durable: Side
    facts: tuple[Fact, ...]
    network: tuple[str, ...]

    @property
    def problem(self) -> Problem:
        what = (
            f"{self.rule}: the engines disagree: reference says {self.reference.told}; "
            f"durable says {self.durable.told}"
        )
        where = Place(resource=f"Patient/{self.patient}")
        return Problem(where, what, "the same verdict; please report it", "disagreement")

    def as_json(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "version": self.version,
            "rulebook": self.rulebook,
            "patient": self.patient,
            "hook": self.hook,
            "asOf": self.as_of,
            "reference": self.reference.as_json(),
            "durable": {**self.durable.as_json(), "network": list(self.network)},
            "facts": [_told(fact) for fact in self.facts],
        }


def differing(reference: Review, durable: Review) -> Iterator[tuple[Verdict, Verdict]]:
    """The verdicts that differ, in the order of the rules.

    Compared are the truth, whether something is undecided, the findings with their facts and
    indicators in their order, and what is said to be missing.
    """
    for ours, theirs in zip(reference.verdicts, durable.verdicts, strict=True):
        if _compared(ours) != _compared(theirs):
            yield ours, theirs


def _compared(verdict: Verdict) -> tuple[object, ...]:
    findings: Sequence[tuple[str, str]] = [
        (found.key, found.indicator) for found in verdict.findings
    ]
    return verdict.rule.id, verdict.truth, verdict.undecided, findings, verdict.missing


def _told(fact: Fact) -> dict[str, Any]:
    return {
        "key": fact.key,
        "kind": fact.kind,
        "name": fact.name,
        "resources": [str(source) for source in fact.sources],
        "properties": {name: render(fact.value(name)) for name in sorted(fact.readers)},
        "words": {word: truth.label for word, truth in sorted(fact.terms.items())},
    }
