"""Scenarios as they went, and whether one of them fails when the rulebook is changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from zlib import crc32

import msgspec
from msgspec.structs import replace

from cds.authoring.expectation import failures
from cds.authoring.mutation.book import Book
from cds.authoring.mutation.mutant import Mutant
from cds.authoring.scenario import Runner, Scenario
from cds.authoring.shorthand import ShorthandError
from cds.cards.answer import answer
from cds.cards.judge import Setting, hook_of, read_input
from cds.chart.model import Chart, Coverage
from cds.chart.reader import Reader
from cds.engine.agenda import Agenda, agenda
from cds.engine.finding import Review, Verdict
from cds.engine.frame import Hook
from cds.engine.needs import coverage_read, interest
from cds.engine.observation import Log, ObservedEvaluator, ObservedTerminology, Part
from cds.engine.review import Evaluator, speaks_on
from cds.engine.sheet import Sheet
from cds.engine.variation import answers_alike, shadow_of
from cds.rulebook.model import Rulebook
from cds.rulebook.pack import RulebookError
from cds.rulebook.site import Site, is_on
from cds.second.opinion import Engine, judged_by
from cds.values.problem import Problem

# The keys of a definition that decide what of a record is read at all.
_READS = frozenset({"understood"})


class Case(msgspec.Struct, frozen=True):
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
    sheet: Sheet | None
    coverage: Mapping[str, Coverage]
    parts: frozenset[Part]
    findings: frozenset[str]


class Failure(msgspec.Struct, frozen=True):
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
        review, sheet = self._evaluator(site).watched(chart, hook, as_of)
        problems = (*charts.problems, *chart.problems)
        coverage = coverage_read(review, setting.rulebook)
        reasons = judged(scenario, review, setting.rulebook, problems, coverage)
        if reasons:
            return Failure(scenario, reasons)
        findings = frozenset(finding.rule.id for finding in review.findings)
        rules: set[Part] = {("rule", verdict.rule.id) for verdict in review.verdicts}
        cards: set[Part] = {("card", rule_id) for rule_id in findings}
        parts = self.log.taken() | rules | cards
        return Case(
            scenario=scenario,
            setting=setting,
            site=site,
            document=document,
            chart=chart,
            hook=hook,
            as_of=as_of,
            problems=problems,
            review=review,
            sheet=sheet,
            coverage=coverage,
            parts=parts,
            findings=findings,
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
    scenario: Scenario,
    review: Review,
    rulebook: Rulebook,
    problems: tuple[Problem, ...],
    coverage: Mapping[str, Coverage],
) -> tuple[str, ...]:
    """What a review makes fail of a scenario; nothing when it passes."""
    told = tuple(sorted({*problems, *review.problems}))
    return tuple(failures(scenario.expects, answer(review, rulebook, coverage), told))


# -- mutants -------------------------------------------------------------------------------------


class Trial:
    """Tries mutants on cases; keeps what it can use again from one mutant to the next."""

    def __init__(self, book: Book, cases: Sequence[Case], engine: Engine = "reference") -> None:
        self._book, self._cases, self._engine = book, cases, engine
        self._evaluators: dict[Site, Evaluator] = {}
        self._changing: dict[Site, Evaluator] = {}
        self._kills: defaultdict[str, Counter[int]] = defaultdict(Counter)
        sites = Counter(case.site for case in cases)
        usual = max(sites, key=lambda site: sites[site], default=None)
        # Another site costs a rulebook of its own. Then mixed by name: neighbours are about one
        # rule, and notice the same mutants or none.
        self._cost = [(case.site != usual, crc32(case.scenario.name.encode())) for case in cases]

    def killer(self, mutant: Mutant) -> Case | None:
        """A scenario that fails on the mutant; None where every one passes: it survives."""
        fails = self._fails(mutant)
        kills = self._kills[_kind_of(mutant)]
        for number in self._tried(mutant, kills):
            try:
                failed = fails(number)
            except Exception:  # noqa: BLE001 - a rulebook that cannot be used passes nothing
                failed = True
            if failed:
                kills[number] += 1
                return self._cases[number]
        return None

    def _tried(self, mutant: Mutant, kills: Counter[int]) -> list[int]:
        """The cases that can notice it, those first that are likeliest to."""
        cases = self._cases
        touched = [number for number in range(len(cases)) if _can_notice(cases[number], mutant)]

        def rank(number: int) -> tuple[bool, int, bool, int]:
            own = cases[number].scenario.rule == mutant.rule
            return not own, -kills[number], *self._cost[number]

        return sorted(touched, key=rank)

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
                agendas[case.site] = agenda(rule, evaluator.meanings.look)
            found: tuple[Verdict, ...] = ()
            if case.sheet and speaks_on(rule, case.hook.name) and is_on(rule, case.site):
                found = evaluator.judge_all((agendas[case.site],), case.sheet, frozenset())
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
        changed: dict[Site, Evaluator] = {}

        def fails(number: int) -> bool:
            case = self._cases[number]
            if case.site not in changed:
                changed[case.site] = self._became(self._book.variant(mutant, case.site), case.site)
            evaluator = changed[case.site]
            if not again and self._answers_alike(number, mutant, evaluator):
                return False
            read = _read_again(case, evaluator.rulebook) if again else case
            review = evaluator.review(read.chart, read.hook, read.as_of)
            return _is_failure(read, review, evaluator.rulebook)

        return fails

    def _became(self, rulebook: Rulebook, site: Site) -> Evaluator:
        """The evaluator that a site keeps for rulebooks with one change."""
        if site not in self._changing:
            self._changing[site] = Evaluator(rulebook)
        self._changing[site].become(rulebook)
        return self._changing[site]

    def _answers_alike(self, number: int, mutant: Mutant, changed: Evaluator) -> bool:
        """Whether the changed definition gives every answer that the case asked it for."""
        case = self._cases[number]
        parts = mutant.parts & case.parts
        if not parts or case.sheet is None:
            return False
        return all(
            _rule_alike(case, case.sheet, part[1], changed)
            if part[0] == "rule"
            else answers_alike(part, case.sheet, changed.meanings)
            for part in parts
        )

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


def _kind_of(mutant: Mutant) -> str:
    """Mutants that one scenario is likely to notice together."""
    about = min((" ".join(part[:2]) for part in mutant.parts), default="")
    return mutant.rule or about or " ".join(map(str, (mutant.owner, *mutant.edit.steps[:1])))


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


def _rule_alike(case: Case, sheet: Sheet, rule_id: str, changed: Evaluator) -> bool:
    """Whether a rule that asks for a changed number says what it said."""
    agendas = [item for item in changed.agendas(case.hook.name) if item.rule.id == rule_id]
    with shadow_of(sheet, changed.rulebook) as shadow:
        found = changed.judge_all(tuple(agendas), shadow, frozenset())
    before = [item for item in case.review.verdicts if item.rule.id == rule_id]
    return list(map(_told, found)) == list(map(_told, before))


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
    return bool(judged(case.scenario, review, rulebook, case.problems, case.coverage))


def _read_again(case: Case, rulebook: Rulebook) -> Case:
    """The case with its record read by another rulebook, which asks for what the pack asks for."""
    setting = case.setting
    understood = {kind: item.understood for kind, item in rulebook.definitions.items()}
    today = setting.as_of.astimezone(setting.zone).date()
    asked = interest(setting.rulebook, setting.hook, today)
    reader = Reader(rulebook.terminology, setting.zone, understood, asked)
    charts = reader.read(case.document, case.scenario.name)
    return replace(
        case,
        chart=charts.charts[0],
        hook=hook_of(charts.charts[0], charts.call, setting),
        problems=(*charts.problems, *charts.charts[0].problems),
    )
