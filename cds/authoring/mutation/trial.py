"""Scenarios as they went, and whether one of them fails when the rulebook is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cds.authoring.expectation import failures
from cds.authoring.mutation.book import Book
from cds.authoring.mutation.mutant import Mutant
from cds.authoring.scenario import Runner, Scenario
from cds.authoring.shorthand import ShorthandError
from cds.cards.answer import answer
from cds.cards.judge import Setting, hook_of, read_input
from cds.chart.model import Chart
from cds.engine.agenda import Agenda, agenda
from cds.engine.finding import Review, Verdict
from cds.engine.frame import Hook
from cds.engine.observation import Log, ObservedEvaluator, ObservedTerminology, Part
from cds.engine.review import Evaluator, speaks_on
from cds.engine.sheet import Sheet
from cds.engine.variation import answers_alike
from cds.rulebook.model import Rulebook
from cds.rulebook.pack import RulebookError
from cds.rulebook.site import Site, is_on
from cds.second.opinion import Engine, judged_by
from cds.values.problem import Problem

# The keys of a definition that decide what of a record is read at all.
_READS = frozenset({"understood"})


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario that passes, as it was judged: what came of it, and what it made use of."""

    scenario: Scenario
    setting: Setting
    site: Site
    document: bytes
    chart: Chart
    hook: Hook
    as_of: datetime
    problems: tuple[Problem, ...]
    review: Review
    parts: frozenset[Part]
    findings: frozenset[str]


@dataclass(frozen=True, slots=True)
class Failure:
    """A scenario that fails as the pack is: it can show nothing of any mutant."""

    scenario: Scenario
    reasons: tuple[str, ...]


class Bench:
    """Judges scenarios by a pack held as documents, and by mutants of it."""

    def __init__(self, book: Book, runner: Runner) -> None:
        self.book, self.runner = book, runner
        self.log = Log()
        self._rulebooks: dict[Site, Rulebook] = {}
        self._watched: dict[Site, ObservedEvaluator] = {}
        terminology = book.rulebook(Site()).terminology
        self._terminology = ObservedTerminology(terminology, self.log)

    def case(self, scenario: Scenario) -> Case | Failure:
        """The scenario judged by the pack as it is; whatever goes wrong is a failure."""
        try:
            document = self.runner.document(scenario)
            site = self.runner.site_of(scenario)
            setting = self.runner.setting(scenario, self._rulebook(site))
        except (ShorthandError, ValueError) as error:
            return Failure(scenario, (str(error),))
        except RulebookError as error:
            return Failure(scenario, tuple(problem.render() for problem in error.problems))
        self.log.taken()
        charts = read_input(document, scenario.name, setting)
        if len(charts.charts) != 1:
            return Failure(scenario, (f"{len(charts.charts)} patients were judged, not one",))
        chart = charts.charts[0]
        hook = hook_of(chart, charts.call, setting)
        as_of = setting.as_of.astimezone(setting.zone)
        review = self._evaluator(site).watched(chart, hook, as_of)
        problems = (*charts.problems, *chart.problems)
        reasons = judged(scenario, review, setting.rulebook, problems)
        if reasons:
            return Failure(scenario, reasons)
        rules: set[Part] = {("rule", verdict.rule.id) for verdict in review.verdicts}
        parts = self.log.taken() | rules
        findings = frozenset(finding.rule.id for finding in review.findings)
        return Case(
            scenario, setting, site, document, chart, hook, as_of, problems, review, parts, findings
        )

    def _rulebook(self, site: Site) -> Rulebook:
        if site not in self._rulebooks:
            rulebook = self.book.rulebook(site)
            self._rulebooks[site] = replace(rulebook, terminology=self._terminology)
        return self._rulebooks[site]

    def _evaluator(self, site: Site) -> ObservedEvaluator:
        if site not in self._watched:
            self._watched[site] = ObservedEvaluator(self._rulebook(site), self.log)
        return self._watched[site]


def judged(
    scenario: Scenario, review: Review, rulebook: Rulebook, problems: tuple[Problem, ...]
) -> tuple[str, ...]:
    """What a review makes fail of a scenario; nothing when it passes."""
    told = tuple(sorted({*problems, *review.problems}))
    return tuple(failures(scenario.expects, answer(review, rulebook), told))


# -- mutants -------------------------------------------------------------------------------------


class Trial:
    """Tries mutants on cases; keeps what it can use again from one mutant to the next."""

    def __init__(self, book: Book, cases: Sequence[Case], engine: Engine = "reference") -> None:
        self._book, self._cases, self._engine = book, cases, engine
        self._evaluators: dict[Site, Evaluator] = {}
        self._sheets: dict[int, Sheet] = {}
        self._judged: set[int] = set()
        self._kills: Counter[int] = Counter()

    def killer(self, mutant: Mutant) -> Case | None:
        """A scenario that fails on the mutant; None where every one passes: it survives."""
        fails = self._fails(mutant)
        for number in self._tried(mutant):
            try:
                failed = fails(number)
            except Exception:  # noqa: BLE001 - a rulebook that cannot be used passes nothing
                failed = True
            if failed:
                self._kills[number] += 1
                return self._cases[number]
        return None

    def _tried(self, mutant: Mutant) -> list[int]:
        """The cases that can notice it, those first that are likeliest to."""
        cases = self._cases
        touched = [number for number in range(len(cases)) if _can_notice(cases[number], mutant)]
        touched.sort(
            key=lambda number: (cases[number].scenario.rule != mutant.rule, -self._kills[number])
        )
        return touched

    def _fails(self, mutant: Mutant) -> Callable[[int], bool]:
        """Whether the case of a number fails on the mutant."""
        if self._engine != "reference":
            return self._by_engine(mutant)
        if mutant.rule:
            return self._by_rule(mutant)
        name = mutant.place.file
        if name == self._book.precedence.name:
            return self._by_order(mutant)
        again = name in self._book.valuesets or mutant.edit.steps[0] in _READS
        return self._by_pack(mutant, again=again)

    # -- a rule: the same facts, one verdict anew -------------------------------------------------

    def _by_rule(self, mutant: Mutant) -> Callable[[int], bool]:
        rule = self._book.changed_rule(mutant)
        agendas: dict[Site, Agenda] = {}

        def fails(number: int) -> bool:
            case = self._cases[number]
            evaluator = self._evaluator(case.site)
            if case.site not in agendas:
                agendas[case.site] = agenda(rule, evaluator.meanings.is_listed)
            found: tuple[Verdict, ...] = ()
            if speaks_on(rule, case.hook.name) and is_on(rule, case.site):
                sheet = self._sheet(number, evaluator)
                found = evaluator.judge_all((agendas[case.site],), sheet, frozenset())
            before = tuple(item for item in case.review.verdicts if item.rule.id == rule.id)
            if list(map(_told, found)) == list(map(_told, before)):
                return False
            others = [item for item in case.review.verdicts if item.rule.id != rule.id]
            verdicts = sorted((*others, *found), key=lambda item: item.rule.id)
            review = replace(case.review, verdicts=tuple(verdicts))
            return _is_failure(case, review, case.setting.rulebook)

        return fails

    def _evaluator(self, site: Site) -> Evaluator:
        if site not in self._evaluators:
            self._evaluators[site] = Evaluator(self._book.rulebook(site))
        return self._evaluators[site]

    def _sheet(self, number: int, evaluator: Evaluator) -> Sheet:
        if number not in self._sheets:
            case = self._cases[number]
            self._sheets[number] = Sheet(
                case.chart, evaluator.rulebook, case.hook, case.review.clock, evaluator.meanings
            )
        return self._sheets[number]

    # -- the order of findings: the same verdicts -------------------------------------------------

    def _by_order(self, mutant: Mutant) -> Callable[[int], bool]:
        precedence = self._book.variant(mutant, Site()).precedence

        def fails(number: int) -> bool:
            case = self._cases[number]
            rulebook = replace(case.setting.rulebook, precedence=precedence)
            return _is_failure(case, case.review, rulebook)

        return fails

    # -- definitions: all anew, the record read again only where it would be read otherwise -------

    def _by_pack(self, mutant: Mutant, *, again: bool) -> Callable[[int], bool]:
        evaluators: dict[Site, Evaluator] = {}

        def fails(number: int) -> bool:
            case = self._cases[number]
            if case.site not in evaluators:
                evaluators[case.site] = Evaluator(self._book.variant(mutant, case.site))
            evaluator = evaluators[case.site]
            if not again and self._answers_alike(number, mutant, evaluator):
                return False
            read = _read_again(case, evaluator.rulebook) if again else case
            review = evaluator.review(read.chart, read.hook, read.as_of)
            return _is_failure(read, review, evaluator.rulebook)

        return fails

    def _answers_alike(self, number: int, mutant: Mutant, changed: Evaluator) -> bool:
        """Whether the changed definition gives every answer that the case asked it for."""
        case = self._cases[number]
        parts = mutant.parts & case.parts
        if not parts:
            return False
        sheet = self._judged_sheet(number)
        return all(answers_alike(part, sheet, changed.rulebook, changed.meanings) for part in parts)

    def _judged_sheet(self, number: int) -> Sheet:
        """The case's sheet, with every answer that its rules asked for."""
        case = self._cases[number]
        evaluator = self._evaluator(case.site)
        sheet = self._sheet(number, evaluator)
        if number not in self._judged:
            self._judged.add(number)
            if not case.review.problems:
                evaluator.judge_all(evaluator.agendas(case.hook.name), sheet, frozenset())
        return sheet

    # -- another engine: everything anew ----------------------------------------------------------

    def _by_engine(self, mutant: Mutant) -> Callable[[int], bool]:
        rulebooks: dict[Site, Rulebook] = {}

        def fails(number: int) -> bool:
            case = self._cases[number]
            if case.site not in rulebooks:
                rulebooks[case.site] = self._book.variant(mutant, case.site)
            read = _read_again(case, rulebooks[case.site])
            found = judged_by(self._engine, read.chart, rulebooks[case.site], read.hook, read.as_of)
            failed = _is_failure(read, found.review, rulebooks[case.site])
            return failed or bool(found.disagreements)

        return fails


def _can_notice(case: Case, mutant: Mutant) -> bool:
    if mutant.rule and mutant.edit.steps[0] == "card":
        return mutant.rule in case.findings
    if mutant.rule:
        # A patient who is not judged at all (the review says why) is not judged by any rule.
        return not case.review.problems
    if mutant.findings:
        return case.findings.issuperset(mutant.findings)
    if not mutant.parts:
        return True
    return not mutant.parts.isdisjoint(case.parts)


def _told(verdict: Verdict) -> object:
    """What of a verdict can be told from outside."""
    findings = [
        (
            item.indicator,
            item.subject,
            item.key,
            dict(item.lets),
            dict(item.wordings),
            [(offer.action, offer.target, offer.label, dict(offer.set)) for offer in item.offers],
            item.missing,
            item.passed_over,
            [
                (name, [(one.fact.key, one.truth) for one in all_of])
                for name, all_of in item.bound.items()
            ],
        )
        for item in verdict.findings
    ]
    return verdict.undecided, findings


def _is_failure(case: Case, review: Review, rulebook: Rulebook) -> bool:
    return bool(judged(case.scenario, review, rulebook, case.problems))


def _read_again(case: Case, rulebook: Rulebook) -> Case:
    """The case with its record read by another rulebook."""
    setting = replace(case.setting, rulebook=rulebook)
    charts = read_input(case.document, case.scenario.name, setting)
    chart = charts.charts[0]
    return replace(
        case,
        chart=chart,
        hook=hook_of(chart, charts.call, setting),
        problems=(*charts.problems, *chart.problems),
    )
