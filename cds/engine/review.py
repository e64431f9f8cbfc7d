"""Judges a chart by a rulebook: the reference evaluator.

``review`` is a function of its arguments alone: no clock, no network, no files, no chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from itertools import product
from math import prod

from cds.chart.model import Chart, MedicationRecord
from cds.engine.binding import Bound, Scope
from cds.engine.finding import Finding, Review, Verdict
from cds.engine.frame import Clock, Hook
from cds.engine.meaning import Meanings
from cds.engine.sheet import Sheet
from cds.engine.trace import Step
from cds.engine.value import Words
from cds.rulebook.model import Level, Rule, Rulebook, SuggestionTemplate
from cds.rulebook.syntax import Exists
from cds.values.problem import Place, Problem, Severity
from cds.values.truth import Truth, all_of

# More combinations of facts than this are counted as unknown, not judged one by one.
_MAX_BINDINGS = 500


class Evaluator:
    """A rulebook compiled once, ready to judge any number of charts."""

    def __init__(self, rulebook: Rulebook) -> None:
        self.rulebook = rulebook
        self.meanings = Meanings(rulebook)

    def review(
        self, chart: Chart, hook: Hook, as_of: datetime, shown: frozenset[str] = frozenset()
    ) -> Review:
        """The verdict of every rule of the hook on the chart, as it was known at ``as_of``.

        ``as_of`` is an aware instant in the site's zone; ``shown`` are keys of findings that a rule
        with a memory must not repeat. A deceased patient is not judged; the problem says so.
        """
        clock = Clock(as_of)
        problems = _deceased(chart, clock)
        if problems:
            return Review(chart, hook, clock, (), (), problems)
        sheet = Sheet(chart, self.rulebook, hook, clock, self.meanings)
        verdicts = tuple(
            self._judge(rule, sheet, shown)
            for rule in self.rulebook.rules
            if speaks_on(rule, hook.name)
        )
        unclassified = tuple(sorted(self._unclassified(sheet)))
        return Review(chart, hook, clock, verdicts, unclassified, (), self._about_drafts(sheet))

    # -- one rule ---------------------------------------------------------------------------------

    def _judge(self, rule: Rule, sheet: Sheet, shown: frozenset[str]) -> Verdict:
        base = Scope(sheet)
        for clause in rule.facts:
            self.meanings.bind(clause, base)
        single = [name for name in rule.per if base.sets[name]]
        if len(single) < len(rule.per):
            return self._without_subject(rule, base)
        findings: list[Finding] = []
        traces: list[Step] = []
        truths: list[Truth] = []
        for scope in _bindings(rule, base):
            self._compute(rule, scope)
            truth = self._truth(rule, scope)
            truths.append(truth)
            if truth is Truth.NO and traces:
                continue
            trace = self._trace(rule, scope, truth)
            traces.append(trace)
            if truth is Truth.YES:
                finding = self._finding(rule, scope, trace)
                if _is_selected(finding, sheet.hook) and not (
                    rule.remember and finding.key in shown
                ):
                    findings.append(finding)
        combinations = prod(len(base.sets[name]) for name in rule.per)
        if combinations > _MAX_BINDINGS:
            truths.append(Truth.UNKNOWN)
            reason = (
                f"{combinations - _MAX_BINDINGS} of {combinations} combinations were not judged"
            )
            traces.append(Step(rule.title, Truth.UNKNOWN, missing=(reason,)))
        strongest = max(truths, default=Truth.NO)
        unknown = [trace for trace in traces if trace.truth is Truth.UNKNOWN]
        missing = tuple(dict.fromkeys(reason for trace in unknown for reason in trace.reasons()))
        return Verdict(rule, strongest, tuple(findings), missing, tuple(traces))

    def _without_subject(self, rule: Rule, base: Scope) -> Verdict:
        """Nothing of what the rule is about was found: no, or unknown where nobody answered."""
        truth = all_of(base.exists(name) for name in rule.per)
        explain = self.meanings.expression.explain
        steps = tuple(explain(Exists(name), base) for name in rule.per)
        trace = Step(rule.title, truth, steps)
        return Verdict(rule, truth, (), trace.reasons() if truth is Truth.UNKNOWN else (), (trace,))

    def _compute(self, rule: Rule, scope: Scope) -> None:
        for let in rule.lets:
            scope.lets[let.name] = self.meanings.expression.value(let.value, scope)

    def _truth(self, rule: Rule, scope: Scope) -> Truth:
        """Whether every test holds. A binding that is but possible counts where a test asks."""
        return all_of(self.meanings.expression.truth(item.test, scope) for item in rule.when)

    def _trace(self, rule: Rule, scope: Scope, truth: Truth) -> Step:
        explain = self.meanings.expression.explain
        steps = tuple(explain(item.test, scope, item.text) for item in rule.when)
        return Step(rule.title, truth, steps)

    def _finding(self, rule: Rule, scope: Scope, trace: Step) -> Finding:
        level, passed_over = self._level(rule, scope)
        bound = {clause.name: _certain_first(scope.bounds(clause.name)) for clause in rule.facts}
        order = self.rulebook.precedence.problems[rule.problem]
        subject = scope.single[order.by].fact.key if order.by else scope.sheet.chart.patient.id
        return Finding(
            rule=rule,
            indicator=level.indicator,
            bound=bound,
            lets=dict(scope.lets),
            wordings=self._wordings(rule, scope),
            offers=self._offers(rule, scope),
            subject=subject,
            missing=self._missing(trace, bound, scope),
            passed_over=passed_over,
            trace=trace,
        )

    def _missing(
        self, trace: Step, bound: Mapping[str, tuple[Bound, ...]], scope: Scope
    ) -> tuple[str, ...]:
        """What a fired rule could not see: unknown parts, and why its facts are uncertain."""
        found = list(trace.reasons())
        for name, bounds in bound.items():
            for item in bounds:
                if name in scope.single:
                    continue
                because = item.fact.value("because")
                if isinstance(because, Words):
                    named = item.fact.kind not in ("source", "statement")
                    found += [
                        f"{item.fact.name}: {word}" if named else word
                        for word in sorted(because.words)
                    ]
        return tuple(dict.fromkeys(found))

    def _level(self, rule: Rule, scope: Scope) -> tuple[Level, tuple[str, ...]]:
        """The first level that is yes; one that is unknown is passed over, and named."""
        passed: list[str] = []
        for level in rule.card.levels:
            truth = self.meanings.expression.truth(level.sentence.test, scope)
            if truth is Truth.YES:
                return level, tuple(passed)
            if truth is Truth.UNKNOWN:
                passed.append(f"{level.indicator} was passed over: {level.sentence.text}")
        return rule.card.levels[-1], tuple(passed)

    def _wordings(self, rule: Rule, scope: Scope) -> dict[str, str]:
        holds = self.meanings.expression.truth
        return {
            name: next(words for words, item in choices if holds(item.test, scope) is Truth.YES)
            for name, choices in rule.card.wordings.items()
        }

    def _offers(self, rule: Rule, scope: Scope) -> tuple[SuggestionTemplate, ...]:
        """The suggestions whose condition is certain."""
        holds = self.meanings.expression.truth
        return tuple(
            offer
            for offer in rule.card.suggestions
            if offer.condition is None or holds(offer.condition.test, scope) is Truth.YES
        )

    # -- the whole chart --------------------------------------------------------------------------

    def _unclassified(self, sheet: Sheet) -> Iterator[str]:
        """Medications of which nothing says what they are, unless they are certainly past."""
        scope = Scope(sheet)
        for fact in sheet.facts("medication"):
            records = [record for record in fact.records if isinstance(record, MedicationRecord)]
            if all(record.classification.readable for record in records):
                continue
            past = all(
                self.meanings.is_word(scope, fact, word) is Truth.NO
                for word in ("current", "possible", "drafted")
                if word in sheet.definition("medication").terms
            )
            if not past:
                yield ", ".join(str(record.source) for record in records)

    def _about_drafts(self, sheet: Sheet) -> bool:
        """Whether the call drafts what the pack's footer is for."""
        concept = self.rulebook.pack.footer_for
        return any(
            fact.in_concept(concept) is not Truth.NO and bool(fact.drafts)
            for fact in sheet.facts("medication")
        )


def speaks_on(rule: Rule, hook: str) -> bool:
    """Whether a rule judges on a hook."""
    return hook in rule.hooks and hook not in rule.off_on


def _bindings(rule: Rule, base: Scope) -> Iterator[Scope]:
    """One scope for each combination of the facts that make one finding each."""
    choices = [base.sets[name] for name in rule.per]
    for number, combination in enumerate(product(*choices)):
        if number >= _MAX_BINDINGS:
            return
        scope = base.inner(dict(zip(rule.per, combination, strict=True)))
        scope.sets = {name: found for name, found in base.sets.items() if name not in rule.per}
        scope.lets = {}
        yield scope


def _is_selected(finding: Finding, hook: Hook) -> bool:
    """order-select speaks of drafts only when one that makes the finding is selected."""
    if hook.selections is None or hook.name != "order-select":
        return True
    drafts = {
        str(source)
        for bounds in finding.bound.values()
        for item in bounds
        for source in item.fact.drafts
    }
    return not drafts or not drafts.isdisjoint(hook.selections)


def _certain_first(bounds: tuple[Bound, ...]) -> tuple[Bound, ...]:
    return tuple(sorted(bounds, key=lambda bound: (-bound.truth, bound.fact.name, bound.fact.key)))


def _deceased(chart: Chart, clock: Clock) -> tuple[Problem, ...]:
    died = chart.patient.deceased
    if died is False or (died is not True and died.first > clock.now):
        return ()
    place = Place(resource=f"Patient/{chart.patient.id}")
    return (
        Problem(
            place,
            "the patient is recorded as deceased: not judged",
            "",
            "patient",
            Severity.WARNING,
        ),
    )


@lru_cache(maxsize=8)
def evaluator(rulebook: Rulebook) -> Evaluator:
    """The compiled evaluator of a rulebook (by identity of the rulebook)."""
    return Evaluator(rulebook)


def review(
    chart: Chart,
    rulebook: Rulebook,
    hook: Hook,
    as_of: datetime,
    shown: frozenset[str] = frozenset(),
) -> Review:
    """The review of one chart; see ``Evaluator.review``."""
    return evaluator(rulebook).review(chart, hook, as_of, shown)
