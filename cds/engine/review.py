"""Judges a chart by a rulebook: the reference evaluator.

``review`` is a function of its arguments alone: no clock, no network, no files, no chance.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from datetime import datetime
from functools import cache, lru_cache, partial

from cds.chart.model import Chart, MedicationRecord
from cds.engine.agenda import Agenda, agenda
from cds.engine.binding import Scope
from cds.engine.combination import combinations, not_judged
from cds.engine.finding import Finding, Review, Verdict
from cds.engine.frame import Clock, Hook
from cds.engine.meaning import Meanings
from cds.engine.outcome import finding_of
from cds.engine.sheet import Sheet
from cds.engine.trace import Step
from cds.rulebook.model import HEIRS, Rule, Rulebook
from cds.rulebook.syntax import Exists
from cds.values.problem import Place, Problem, Severity
from cds.values.truth import Truth, all_of

Judge = Callable[[tuple[Agenda, ...], Sheet, Container[str]], tuple[Verdict, ...]]
"""Who gives each rule's verdict on a sheet; the keys are of findings that were shown before."""

Stop = Callable[[], bool]
"""Asked before each rule: whether the time for judging is over."""

NOT_IN_TIME = "not checked in time"


class Evaluator:
    """A rulebook compiled once, ready to judge any number of charts."""

    def __init__(self, rulebook: Rulebook) -> None:
        self.rulebook = rulebook
        self.meanings = Meanings(rulebook)
        self._by_hook: dict[str, tuple[Agenda, ...]] = {}

    def become(self, rulebook: Rulebook) -> None:
        """Judges by this rulebook from now on; see ``Meanings.become``."""
        if rulebook.rules is not self.rulebook.rules:
            self._by_hook.clear()
        self.rulebook = rulebook
        self.meanings.become(rulebook)

    def agendas(self, hook: str) -> tuple[Agenda, ...]:
        """The rules that speak on a hook, each with its questions in order."""
        found = self._by_hook.get(hook)
        if found is None:
            rules = [rule for rule in self.rulebook.rules if speaks_on(rule, hook)]
            found = tuple(agenda(rule, self.meanings.look) for rule in rules)
            self._by_hook[hook] = found
        return found

    def review(
        self,
        chart: Chart,
        hook: Hook,
        as_of: datetime,
        shown: Container[str] = frozenset(),
        judge: Judge | None = None,
        stop: Stop | None = None,
    ) -> Review:
        """The verdict of every rule of the hook on the chart, as it was known at ``as_of``.

        ``as_of`` is an aware instant in the site's zone; ``shown`` holds what a rule with a memory
        must not repeat (``Finding.memory``). A deceased patient is not judged; the problem says so.
        ``judge`` is who decides, if not this evaluator. Once ``stop`` says so, the rules that are
        left are unknown, and a problem says that they were not checked in time.
        """
        clock = Clock(as_of)
        problems = _deceased(chart, clock)
        if problems:
            return Review(chart, hook, clock, (), (), problems)
        sheet = Sheet(chart, self.rulebook, hook, clock, self.meanings)
        if stop is not None:
            judge = partial(self._judge_until, stop)
        verdicts = (judge or self.judge_all)(self.agendas(hook.name), sheet, shown)
        late = sum(verdict.missing == (NOT_IN_TIME,) for verdict in verdicts) if stop else 0
        if late:
            # Where no rule was checked nothing of the chart was worked out, nor is it now.
            unseen = late == len(verdicts)
            unclassified = () if unseen else tuple(sorted(self._unclassified(sheet)))
            about = False if unseen else self._about_drafts(sheet)
            problems = (_not_in_time(late, len(verdicts)),)
            return Review(chart, hook, clock, verdicts, unclassified, problems, about, shown)
        unclassified = tuple(sorted(self._unclassified(sheet)))
        return Review(
            chart, hook, clock, verdicts, unclassified, (), self._about_drafts(sheet), shown
        )

    # -- one rule ---------------------------------------------------------------------------------

    def judge_all(
        self, agendas: tuple[Agenda, ...], sheet: Sheet, shown: Container[str]
    ) -> tuple[Verdict, ...]:
        """The verdict of each rule of the agendas on a sheet; see ``Judge``."""
        return tuple(self._judge(each, sheet, shown) for each in agendas)

    def _judge_until(
        self, stop: Stop, agendas: tuple[Agenda, ...], sheet: Sheet, shown: Container[str]
    ) -> tuple[Verdict, ...]:
        return tuple(
            _not_checked(each.rule) if stop() else self._judge(each, sheet, shown)
            for each in agendas
        )

    def _judge(self, agenda: Agenda, sheet: Sheet, shown: Container[str]) -> Verdict:
        opening = agenda.opening
        if opening is not None and self.meanings.is_closed(opening, sheet):
            # Of most patients most rules end here.
            explain = partial(self._explain_closed, agenda, sheet)
            return Verdict(agenda.rule, Truth.NO, (), (), False, explain)
        base = Scope(sheet, None, agenda.clauses)
        gate = self._gated(agenda, base)
        if gate is not Truth.NO and all(base.sets.get(name) for name in agenda.rule.per):
            scopes = combinations(agenda.rule, base)
            judged = ((scope, self._truth(agenda, base, scope)) for scope in scopes)
            return self.verdict(agenda, base, shown, judged)
        if gate is not Truth.NO:
            gate = min(gate, self._truth(agenda, base, base))
        return self.without_subject(agenda, base, gate)

    def verdict(
        self,
        agenda: Agenda,
        base: Scope,
        shown: Container[str],
        judged: Iterable[tuple[Scope, Truth]],
    ) -> Verdict:
        """What follows of a rule from how sure it is of each combination of what it is about.

        ``base`` has facts for all of it; combinations that are a no may be left out.
        """
        rule = agenda.rule
        findings: list[Finding] = []
        missing: dict[str, None] = {}
        strongest, undecided = Truth.NO, False
        for scope, truth in judged:
            strongest = max(strongest, truth)
            if truth is Truth.UNKNOWN:
                undecided = True
                missing |= dict.fromkeys(self._why(agenda, base, scope))
            if truth is Truth.YES:
                finding = finding_of(
                    self.meanings, rule, scope, self._trace(agenda, base, scope, truth)
                )
                if _is_selected(finding, base.sheet.hook) and not (
                    rule.remember and finding.memory in shown
                ):
                    findings.append(finding)
        for reason in not_judged(rule, base):
            strongest, undecided = max(strongest, Truth.UNKNOWN), True
            missing.setdefault(reason)
        explain = partial(self._explain, agenda, base)
        return Verdict(rule, strongest, tuple(findings), tuple(missing), undecided, explain)

    def without_subject(self, agenda: Agenda, base: Scope, gate: Truth) -> Verdict:
        """Something is missing that the rule is about: no, or unknown where nobody answered.

        It stays no where one of its tests is no whatever was not seen.
        """
        explain = partial(self._explain_gates, agenda, base)
        missing = self._why_no_subject(agenda, base) if gate is Truth.UNKNOWN else ()
        return Verdict(agenda.rule, gate, (), missing, gate is Truth.UNKNOWN, explain)

    def _gated(self, agenda: Agenda, base: Scope) -> Truth:
        """Whether everything is there without which the rule cannot hold; stops at a no."""
        found = Truth.YES
        for name in agenda.gates:
            self._bind(agenda, name, base)
            truth = base.exists(name)
            if truth is Truth.NO:
                return truth
            if truth is Truth.UNKNOWN:
                found = truth
        return found

    def _bind(self, agenda: Agenda, name: str, base: Scope) -> None:
        """Binds a clause, after those that its own conditions speak of; once."""
        if name in base.sets:
            return
        for other in agenda.dependencies[name]:
            self._bind(agenda, other, base)
        self.meanings.bind(agenda.clauses[name], base)

    def _truth(self, agenda: Agenda, base: Scope, scope: Scope) -> Truth:
        """Whether every test holds. A binding that is but possible counts where a test asks."""
        found, test = Truth.YES, self.meanings.expression.test
        for question in agenda.questions:
            if question.needs:
                self._prepare(agenda, question.needs, base, scope)
            if question.lets and not scope.lets:
                self._compute(agenda.rule, scope)
            truth = test(question.sentence.test)(scope)
            if truth is Truth.NO:
                return truth
            if truth is Truth.UNKNOWN:
                found = truth
        return found

    def _prepare(self, agenda: Agenda, names: tuple[str, ...], base: Scope, scope: Scope) -> None:
        for name in names:
            if name not in scope.sets:
                self._bind(agenda, name, base)
                scope.sets[name] = base.sets[name]

    def _compute(self, rule: Rule, scope: Scope) -> None:
        for let in rule.lets:
            scope.lets[let.name] = self.meanings.expression.value(let.value, scope)

    # -- why --------------------------------------------------------------------------------------

    def _why(self, agenda: Agenda, base: Scope, scope: Scope) -> tuple[str, ...]:
        """Why a rule is unknown; where nobody can say, the clauses that are open."""
        self._prepare(agenda, agenda.others, base, scope)
        if not scope.lets:
            self._compute(agenda.rule, scope)
        reasons = self.meanings.explanation.reasons
        found = [reason for item in agenda.rule.when for reason in reasons(item.test, scope)]
        return tuple(found) or self._trace(agenda, base, scope, Truth.UNKNOWN).why_unknown()

    def _why_no_subject(self, agenda: Agenda, base: Scope) -> tuple[str, ...]:
        """Why it is unknown whether there is what a rule is about."""
        reasons = self.meanings.explanation.reasons
        names = dict.fromkeys((*agenda.rule.per, *agenda.gates))
        found = [reason for name in names for reason in reasons(_exists(name), base)]
        return tuple(dict.fromkeys(found)) or self._explain_gates(agenda, base)[0].why_unknown()

    def _explain_closed(self, agenda: Agenda, sheet: Sheet) -> tuple[Step, ...]:
        """The trace of a rule for which nothing was bound."""
        base = Scope(sheet, None, agenda.clauses)
        self._gated(agenda, base)
        return self._explain_gates(agenda, base)

    def _explain_gates(self, agenda: Agenda, base: Scope) -> tuple[Step, ...]:
        """The trace of a rule that something is missing for: what it is about, what it asks for."""
        for name in agenda.gates:
            self._bind(agenda, name, base)
        names = dict.fromkeys((*agenda.rule.per, *agenda.gates))
        steps = [self.meanings.explain(_exists(name), base) for name in names]
        if all(step.truth is not Truth.NO for step in steps):
            self._truth(agenda, base, base)
            tests = [self.meanings.explain(item.test, base, item.text) for item in agenda.rule.when]
            steps += [step for step in tests if step.truth is Truth.NO]
        truth = all_of(step.truth for step in steps)
        return (Step(agenda.rule.title, truth, tuple(steps)),)

    def _explain(self, agenda: Agenda, base: Scope) -> tuple[Step, ...]:
        """A trace for each thing that the rule is about, one for all of which it is not."""
        traces: list[Step] = []
        for scope in combinations(agenda.rule, base):
            truth = self._truth(agenda, base, scope)
            if truth is not Truth.NO or not traces:
                traces.append(self._trace(agenda, base, scope, truth))
        traces += [
            Step(agenda.rule.title, Truth.UNKNOWN, missing=(reason,))
            for reason in not_judged(agenda.rule, base)
        ]
        return tuple(traces)

    def _trace(self, agenda: Agenda, base: Scope, scope: Scope, truth: Truth) -> Step:
        rule = agenda.rule
        self._prepare(agenda, agenda.others, base, scope)
        if not scope.lets:
            self._compute(rule, scope)
        steps = tuple(self.meanings.explain(item.test, scope, item.text) for item in rule.when)
        return Step(rule.title, truth, steps)

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
    """Whether a rule judges on a hook, or on one that took the place of an older hook."""
    if hook in rule.off_on:
        return False
    return any(
        name in rule.hooks and name not in rule.off_on for name in (hook, *HEIRS.get(hook, ()))
    )


@cache
def _exists(name: str) -> Exists:
    return Exists(name)


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


def _not_checked(rule: Rule) -> Verdict:
    missing = (NOT_IN_TIME,)
    step = Step(rule.title, Truth.UNKNOWN, missing=missing)
    return Verdict(rule, Truth.UNKNOWN, (), missing, True, lambda: (step,))


def _not_in_time(late: int, rules: int) -> Problem:
    what = f"{late} of {rules} rules were not checked in time"
    return Problem(Place(), what, "", "deadline", Severity.WARNING)


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
    shown: Container[str] = frozenset(),
    stop: Stop | None = None,
) -> Review:
    """The review of one chart; see ``Evaluator.review``."""
    return evaluator(rulebook).review(chart, hook, as_of, shown, stop=stop)
