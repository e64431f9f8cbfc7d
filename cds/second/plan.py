"""A rulebook as a Rete network: what each clause binds, and what each rule concludes.

Nothing is written twice: both engines judge the same rule tree. What a test on values says of its
facts is judged before and comes as a column of truths; how truths, names and silence combine is the
network's.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cds.engine.agenda import Agenda
from cds.rulebook import syntax
from cds.rulebook.model import FactClause, Rule
from cds.second.formula import Formula, Row, all_of, any_of
from cds.second.network import Builder, InexpressibleError, Production, Tables
from cds.second.planes import Planes, Sheets, Word, limited
from cds.second.spoken import Speaker


class ClausePlan(msgspec.Struct, frozen=True):
    """How one clause binds. ``sheets`` are the rows about a candidate, ``others`` the tables of the
    names that its own conditions speak of; ``lower`` and ``upper`` those of what it (surely) binds.
    """

    clause: FactClause
    sheets: Sheets
    others: Mapping[str, int]
    go: tuple[int, ...]
    lower: int
    upper: int


class Part(msgspec.Struct, frozen=True):
    """One way to judge a rule: for each of the things that it is about, or while one is lacking."""

    sheets: Sheets
    bound: Mapping[str, int]
    go: tuple[int, ...]


class RulePlan(msgspec.Struct, frozen=True):
    """A rule's clauses and conclusions.

    ``each`` is judged for what the rule is about: ``lower`` and ``upper`` get a row for each
    combination. ``lacking`` is judged while there is none of something: ``possible`` gets a row
    where the rule may yet hold, ``gated`` where nothing is lacking for sure.
    """

    agenda: Agenda
    clauses: Mapping[str, ClausePlan]
    each: Part
    lower: int
    upper: int
    lacking: Part
    possible: int
    gated: int

    @property
    def rule(self) -> Rule:
        return self.agenda.rule


class Plan(msgspec.Struct, frozen=True):
    """A whole rulebook; ``meaning`` says of the network's own rows what they stand for."""

    rules: Mapping[str, RulePlan]
    productions: tuple[Production, ...]
    outputs: frozenset[int]
    meaning: Mapping[int, tuple[str, str]]


class Planner(msgspec.Struct):
    """Collects the plans of a rulebook's rules."""

    tables: Tables = msgspec.field(default_factory=Tables)
    rules: dict[str, RulePlan] = msgspec.field(default_factory=dict)
    clauses: dict[object, ClausePlan] = msgspec.field(default_factory=dict)
    productions: list[Production] = msgspec.field(default_factory=list)
    outputs: set[int] = msgspec.field(default_factory=set)
    meaning: dict[int, tuple[str, str]] = msgspec.field(default_factory=dict)

    def plan(self) -> Plan:
        return Plan(self.rules, tuple(self.productions), frozenset(self.outputs), self.meaning)

    def add(self, agenda: Agenda) -> None:
        """Plans a rule. Raises InexpressibleError for one that cannot be, with the clause."""
        rule = agenda.rule
        clauses = {name: self._clause(agenda, name) for name in agenda.clauses}
        each, lacking = Builder(self.tables), Builder(self.tables)
        bound = {name: self.tables.new() for name in agenda.clauses}
        rows = {name: Row(table, (name,)) for name, table in bound.items()}
        each.ranges = lacking.ranges = rows
        lets = {let.name: let.value for let in rule.lets}
        single = {name: rows[name] for name in rule.per}
        sets = {name: row for name, row in rows.items() if name not in single}
        subject = Planes(Sheets(self.tables), single, sets, lets)
        nobody = Planes(Sheets(self.tables), {}, rows, lets)
        gates = [nobody.formula(syntax.Exists(name), upper=True) for name in agenda.gates]
        self.rules[rule.id] = RulePlan(
            agenda,
            clauses,
            lower=each.conclude(rule.per, _when(rule, subject, upper=False)),
            upper=each.conclude(rule.per, _when(rule, subject, upper=True)),
            possible=lacking.conclude((), all_of((*gates, _when(rule, nobody, upper=True)))),
            gated=lacking.conclude((), all_of(gates)),
            each=Part(subject.sheets, bound, each.go),
            lacking=Part(nobody.sheets, bound, lacking.go),
        )
        found = self.rules[rule.id]
        self.outputs |= {found.lower, found.upper, found.possible, found.gated}
        named = {table: name for name, table in bound.items()}
        self._collect(rule, each, subject.sheets, named)
        self._collect(rule, lacking, nobody.sheets, named)
        self.meaning |= {
            found.lower: (rule.id, "surely holds"),
            found.upper: (rule.id, "possibly holds"),
            found.possible: (rule.id, "may yet hold"),
        }

    def _collect(
        self, rule: Rule, builder: Builder, sheets: Sheets, names: Mapping[int, str]
    ) -> None:
        self.productions += builder.productions
        speaker = Speaker(sheets.columns, names)
        self.meaning |= {
            table: (rule.id, speaker.say(what)) for table, what in builder.meaning.items()
        }

    # -- clauses ----------------------------------------------------------------------------------

    def _clause(self, agenda: Agenda, name: str) -> ClausePlan:
        """The plan of a clause; one for all rules that ask for the same without more conditions."""
        clause = agenda.clauses[name]
        key: object = (clause.kind, clause.concepts, clause.excluded, clause.terms, clause.also)
        if clause.where:
            key = (agenda.rule.id, name)
        found = self.clauses.get(key)
        if found is None:
            found = self.clauses[key] = self._planned(agenda, clause)
        return found

    def _planned(self, agenda: Agenda, clause: FactClause) -> ClausePlan:
        name, sheets, builder = clause.name, Sheets(self.tables), Builder(self.tables)
        others = {other: self.tables.new() for other in agenda.dependencies[name]}
        sets = {other: Row(table, (other,)) for other, table in others.items()}
        _check_conditions(clause, agenda)
        builder.ranges = {**sets, name: Row(sheets.table((name,)), (name,))}
        planes = Planes(sheets, {name: None}, sets, {})
        lower, upper = (
            builder.conclude((name,), _binding(clause, planes, upper=upper))
            for upper in (False, True)
        )
        self.outputs |= {lower, upper}
        self._collect(
            agenda.rule, builder, sheets, {table: other for other, table in others.items()}
        )
        return ClausePlan(clause, sheets, others, builder.go, lower, upper)


def _when(rule: Rule, planes: Planes, *, upper: bool) -> Formula:
    found = []
    for item in rule.when:
        try:
            found.append(planes.formula(item.test, upper=upper))
        except InexpressibleError as error:
            raise InexpressibleError(f"when: {item.text}: {error}") from error
    return all_of(found)


def _binding(clause: FactClause, planes: Planes, *, upper: bool) -> Formula:
    """Of a concept, of none that is excluded, in one state, in all others, under all conditions."""

    def word(text: str, *, concept: bool, positive: bool = True) -> Row:
        table, column = planes.sheets.place(Word(text, concept), (clause.name,))
        return limited(Row(table, (clause.name,)), upper, positive, column)

    found: list[Formula] = []
    if clause.concepts and clause.kind != "patient":
        found.append(any_of(word(text, concept=True) for text in clause.concepts))
        found += [word(text, concept=True, positive=False) for text in clause.excluded]
    if clause.terms:
        found.append(any_of(word(text, concept=False) for text in clause.terms))
    found += [word(text, concept=False) for text in clause.also]
    found += [planes.formula(item.test, upper=upper) for item in clause.where]
    return all_of(found)


def _check_conditions(clause: FactClause, agenda: Agenda) -> None:
    """What a clause's own conditions speak of must be bound before it, in either engine."""
    known = {clause.name, *agenda.dependencies[clause.name]}
    for item in clause.where:
        spoken = {path.name for path in syntax.paths(item.test)}
        spoken |= {name for name, _ in syntax.names(item.test)}
        later = sorted(name for name in spoken if name in agenda.clauses and name not in known)
        if later:
            where = f"facts: {clause.name}: where: {item.text}"
            raise InexpressibleError(f"{where}: '{later[0]}' stands after '{clause.name}'")
