"""What judging a rule gives: a finding for each thing it is about, fired or unknown."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

import msgspec

from cds.chart.model import Chart
from cds.engine.fact import Bound
from cds.engine.frame import Clock, Hook
from cds.engine.trace import Step
from cds.engine.value import Value
from cds.rulebook.model import Indicator, Rule, SuggestionTemplate
from cds.values.problem import Problem
from cds.values.truth import Truth


class Finding(msgspec.Struct, frozen=True):
    """A rule that fired. ``bound`` are the facts by name; ``subject`` what the card is about."""

    rule: Rule
    indicator: Indicator
    bound: Mapping[str, tuple[Bound, ...]]
    lets: Mapping[str, Value]
    wordings: Mapping[str, str]
    offers: tuple[SuggestionTemplate, ...]
    subject: str
    missing: tuple[str, ...]
    passed_over: tuple[str, ...]
    trace: Step

    @property
    def key(self) -> str:
        facts = sorted({bound.fact.key for bounds in self.bound.values() for bound in bounds})
        return "|".join((self.rule.id, self.subject, *facts))

    @property
    def memory(self) -> str:
        """What a rule with a memory asks about, the same while the drugs are; "" without one.

        Names, not entries: a refill is no other matter.
        """
        names = (
            f"{name}={bound.fact.name.casefold()}"
            for name in self.rule.remembered_by
            for bound in self.bound.get(name, ())
        )
        return "|".join((self.rule.id, *sorted(set(names)))) if self.rule.remember else ""


class Verdict(msgspec.Struct, frozen=True, eq=False):
    """One rule on one chart: its strongest truth, findings, and what it could not decide.

    ``undecided`` says whether the answer is unknown for the rule or for one of the things it is
    about; ``missing`` what was not seen. ``traces`` are worked out when somebody asks.
    """

    rule: Rule
    truth: Truth
    findings: tuple[Finding, ...]
    missing: tuple[str, ...]
    undecided: bool
    explain: Callable[[], tuple[Step, ...]]

    @property
    def traces(self) -> tuple[Step, ...]:
        """Why: a trace for each thing that the rule is about, one for all of which it is not."""
        return self.explain()


class Review(msgspec.Struct, frozen=True):
    """Everything that judging one chart gave, for whoever writes cards, counts or explanations.

    ``shown`` is what rules with a memory were told not to repeat.
    """

    chart: Chart
    hook: Hook
    clock: Clock
    verdicts: tuple[Verdict, ...]
    unclassified: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    about_drafts: bool = False
    shown: Container[str] = frozenset()

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(finding for verdict in self.verdicts for finding in verdict.findings)

    @property
    def unknown(self) -> tuple[Verdict, ...]:
        """Rules that could not be decided for something that they are about."""
        return tuple(verdict for verdict in self.verdicts if verdict.undecided)
