"""The second engine: judges a chart by the rules that the Rete network was made of.

Rules, chart, words and values are those of the first engine; which facts bind, how they join, what
silence and counts mean and how truths combine is worked out by durable-rules. Findings are written
by the first engine's code from what the network concluded.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import datetime
from functools import partial

from cds.chart.model import Chart
from cds.engine.agenda import Agenda, agenda
from cds.engine.binding import Scope
from cds.engine.combination import most_bindings, not_judged, one_of
from cds.engine.fact import Bound, Fact
from cds.engine.finding import Review, Verdict
from cds.engine.frame import Hook
from cds.engine.review import Evaluator
from cds.engine.sheet import Sheet
from cds.rulebook.model import Rulebook
from cds.second.delivery import Delivery, Matches, OversizeError, Row
from cds.second.network import InexpressibleError
from cds.second.plan import ClausePlan, Plan, Planner, RulePlan
from cds.second.problem import EngineError
from cds.second.supervisor import ChildError, Limits, Supervisor, unavailable
from cds.second.wiring import Job, wire
from cds.values.problem import Place, Problem
from cds.values.truth import Truth


class DurableEngine:
    """A rulebook on durable-rules. Raises EngineError that names each rule it cannot judge."""

    def __init__(self, rulebook: Rulebook, limits: Limits | None = None) -> None:
        reason = unavailable()
        if reason:
            raise EngineError([Problem(Place(), reason, "--engine reference", "engine")])
        self.evaluator = Evaluator(rulebook)
        self.plan = make_plan(self.evaluator)
        self.supervisor = Supervisor(wire(self.plan.productions, self.plan.outputs), limits)

    def review(
        self, chart: Chart, hook: Hook, as_of: datetime, shown: Container[str] = frozenset()
    ) -> Review:
        """The review, as ``cds.engine.review`` gives it.

        Where the child gave no answer it has no verdicts, and a problem that names the patient.
        """
        return self.traced(chart, hook, as_of, shown, None)

    def traced(
        self,
        chart: Chart,
        hook: Hook,
        as_of: datetime,
        shown: Container[str],
        trace: Trace | None,
    ) -> Review:
        """The review; what the network worked out on the way is added to ``trace``."""
        judge = partial(self._judge, trace)
        try:
            return self.evaluator.review(chart, hook, as_of, shown, judge)
        except (ChildError, OversizeError) as error:
            empty = self.evaluator.review(chart, hook, as_of, shown, lambda *_: ())
            where = Place(resource=f"Patient/{chart.patient.id}")
            what = f"the durable engine could not judge this patient: {error}"
            problem = Problem(where, what, "--engine reference", "engine")
            return Review(
                chart, hook, empty.clock, (), empty.unclassified, (problem,), empty.about_drafts
            )

    def close(self) -> None:
        self.supervisor.close()

    def _judge(
        self,
        trace: Trace | None,
        agendas: tuple[Agenda, ...],
        sheet: Sheet,
        shown: Container[str],
    ) -> tuple[Verdict, ...]:
        patient = _Patient(self, Delivery(sheet, self.evaluator.meanings), trace)
        return patient.verdicts(agendas, shown)


class Trace:
    """What the network worked out of one patient: its rows, and the facts that it was given."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rows: dict[tuple[int, tuple[str, ...]], None] = {}
        self.facts: tuple[Fact, ...] = ()

    def add(self, rows: list[tuple[int, tuple[int, ...]]], facts: list[Fact]) -> None:
        self.facts = tuple(facts)
        for table, about in rows:
            self._rows.setdefault((table, tuple(facts[fact].key for fact in about)))

    def told(self, rule: str) -> tuple[str, ...]:
        """A line for each row that is a rule's: what it stands for, and of which facts."""
        meaning = {
            table: what for table, (owner, what) in self._plan.meaning.items() if owner == rule
        }
        for name, clause in self._plan.rules[rule].clauses.items():
            meaning |= {
                clause.lower: f"surely bound to {name}",
                clause.upper: f"possibly bound to {name}",
            }
        return tuple(
            f"{meaning[table]}{': ' if about else ''}{', '.join(about)}"
            for table, about in self._rows
            if table in meaning
        )


class _Patient:
    """One sheet on its way through the network, a round for each thing that waits for another."""

    def __init__(self, engine: DurableEngine, delivery: Delivery, trace: Trace | None) -> None:
        self._engine, self._delivery, self._trace = engine, delivery, trace
        self._bound: dict[int, tuple[Bound, ...]] = {}
        self._bases: dict[str, Scope] = {}

    def verdicts(self, agendas: tuple[Agenda, ...], shown: Container[str]) -> tuple[Verdict, ...]:
        plans = [self._engine.plan.rules[each.rule.id] for each in agendas]
        for plan in plans:
            self._bases[plan.rule.id] = Scope(self._delivery.sheet, None, plan.agenda.clauses)
        self._bind(plans, gates=True)
        alive = [plan for plan in plans if not self._is_shut(plan)]
        self._bind(alive, gates=False)
        rows: list[Row] = []
        for plan in alive:
            rows += self._rows(plan)
        matches = self._ask(rows)
        return tuple(self._verdict(plan, plan in alive, matches, shown) for plan in plans)

    def _ask(self, rows: list[Row]) -> Matches:
        """What the network concludes from the rows; of no rows nothing follows."""
        if not rows:
            return {}
        reply = self._engine.supervisor.judge(Job(rows, traced=self._trace is not None))
        found: dict[int, set[tuple[int, ...]]] = {}
        for table, facts in reply.rows:
            found.setdefault(table, set()).add(facts)
        if self._trace is not None:
            self._trace.add(reply.rows, self._delivery.facts)
        return {table: frozenset(facts) for table, facts in found.items()}

    # -- what binds -------------------------------------------------------------------------------

    def _bind(self, plans: list[RulePlan], *, gates: bool) -> None:
        """Binds the clauses of the rules; those whose conditions name others after these."""
        open_clauses = [
            (plan, name)
            for plan in plans
            for name in (_gates(plan) if gates else plan.clauses)
            if name not in self._bases[plan.rule.id].sets
        ]
        while open_clauses:
            ready = [item for item in open_clauses if self._is_ready(*item)]
            wanted = {id(plan.clauses[name]): (plan, name) for plan, name in ready}
            fresh = [
                (plan.clauses[name], self._bases[plan.rule.id])
                for key, (plan, name) in wanted.items()
                if key not in self._bound
            ]
            self._ask_clauses(fresh)
            for plan, name in ready:
                self._set(plan, name)
            open_clauses = [item for item in open_clauses if item not in ready]

    def _is_ready(self, plan: RulePlan, name: str) -> bool:
        sets = self._bases[plan.rule.id].sets
        return all(other in sets for other in plan.agenda.dependencies[name])

    def _ask_clauses(self, clauses: list[tuple[ClausePlan, Scope]]) -> None:
        rows: list[Row] = []
        for plan, base in clauses:
            rows += self._delivery.clause(plan, base)
        matches = self._ask(rows)
        for plan, _ in clauses:
            self._bound[id(plan)] = self._delivery.bound(plan, matches)

    def _set(self, plan: RulePlan, name: str) -> None:
        base, clause = self._bases[plan.rule.id], plan.agenda.clauses[name]
        base.sets[name] = self._bound[id(plan.clauses[name])]
        meanings, sheet = self._engine.evaluator.meanings, self._delivery.sheet
        reasons = meanings.looked_at(clause, sheet)[1] + meanings.unanswered(clause, sheet)
        if reasons:
            base.unanswered[name] = reasons

    def _is_shut(self, plan: RulePlan) -> bool:
        """Whether nothing binds, and nothing could, to something that the rule needs."""
        base = self._bases[plan.rule.id]
        return any(
            not base.sets[name] and name not in base.unanswered for name in plan.agenda.gates
        )

    # -- what holds -------------------------------------------------------------------------------

    def _rows(self, plan: RulePlan) -> list[Row]:
        base = self._bases[plan.rule.id]
        if not _has_subject(plan, base):
            return self._delivery.lacking(plan, base)
        rows = self._delivery.each(plan, base)
        if not_judged(plan.rule, base):
            rows += self._delivery.lacking(plan, base)
        return rows

    def _verdict(
        self, plan: RulePlan, alive: bool, matches: Matches, shown: Container[str]
    ) -> Verdict:
        base, evaluator = self._bases[plan.rule.id], self._engine.evaluator
        if not alive:
            return evaluator.without_subject(plan.agenda, base, Truth.NO)
        if not _has_subject(plan, base):
            truth = Truth.UNKNOWN if plan.possible in matches else Truth.NO
            return evaluator.without_subject(plan.agenda, base, truth)
        if not_judged(plan.rule, base) and plan.gated not in matches:
            return evaluator.without_subject(plan.agenda, base, Truth.NO)
        return evaluator.verdict(plan.agenda, base, shown, self._judged(plan, matches))

    def _judged(self, plan: RulePlan, matches: Matches) -> Iterator[tuple[Scope, Truth]]:
        """The combinations that the network found, in the order of the sheet's facts."""
        rule, base = plan.rule, self._bases[plan.rule.id]
        lower, upper = matches.get(plan.lower, _NONE), matches.get(plan.upper, _NONE)
        stands = [
            {self._delivery.id(bound.fact): place for place, bound in enumerate(base.sets[name])}
            for name in rule.per
        ]
        found = sorted(
            (tuple(places[fact] for places, fact in zip(stands, facts, strict=True)), facts)
            for facts in lower | upper
        )
        others = {name: bounds for name, bounds in base.sets.items() if name not in rule.per}
        for places, facts in found:
            rank = 0
            for place, all_places in zip(places, stands, strict=True):
                rank = rank * len(all_places) + place
            if rank >= most_bindings(rule, base):
                return
            combination = tuple(
                base.sets[name][place] for name, place in zip(rule.per, places, strict=True)
            )
            truth = Truth.YES if facts in lower else Truth.UNKNOWN
            yield one_of(rule, base, combination, others), truth


_NONE: frozenset[tuple[int, ...]] = frozenset()


def _gates(plan: RulePlan) -> tuple[str, ...]:
    """The clauses without which a rule cannot hold, after those that their conditions name."""
    found: dict[str, None] = {}

    def add(name: str) -> None:
        for other in plan.agenda.dependencies[name]:
            add(other)
        found.setdefault(name)

    for name in plan.agenda.gates:
        add(name)
    return tuple(found)


def _has_subject(plan: RulePlan, base: Scope) -> bool:
    return all(base.sets[name] for name in plan.rule.per)


def make_plan(evaluator: Evaluator) -> Plan:
    """The network of a rulebook. Raises EngineError that names each rule it cannot say, and why."""
    planner, problems = Planner(), []
    for rule in evaluator.rulebook.rules:
        try:
            planner.add(agenda(rule, evaluator.meanings.look))
        except InexpressibleError as error:
            what = f"{rule.id}: the durable engine cannot judge this rule: {error}"
            problems.append(Problem(rule.place, what, "--engine reference", "engine"))
    if problems:
        raise EngineError(problems)
    return planner.plan()
