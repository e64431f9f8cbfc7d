"""In which order a rule's questions are asked, so that the cheapest no comes first.

Nothing of it changes an answer: a rule holds when all of its tests do, so one that is no decides,
and what no test has asked for needs not be looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from cds.engine.meaning import Look
from cds.rulebook import syntax
from cds.rulebook.model import FactClause, Rule, Sentence


class Question(msgspec.Struct, frozen=True):
    """One test of a rule, the clauses it needs bound, and whether it needs computed values."""

    sentence: Sentence
    needs: tuple[str, ...]
    lets: bool


class Agenda(msgspec.Struct, frozen=True):
    """A rule's clauses by name; ``gates`` are those without which it cannot hold.

    The gates are what the rule is about (``per``) and what it asks for by name alone; those that
    the sheet can look up by value set come first. ``opening`` is the first of them.
    """

    rule: Rule
    clauses: Mapping[str, FactClause]
    gates: tuple[str, ...]
    questions: tuple[Question, ...]
    others: tuple[str, ...]
    dependencies: Mapping[str, tuple[str, ...]]
    opening: FactClause | None


def agenda(rule: Rule, look: Callable[[FactClause], Look]) -> Agenda:
    """The agenda of a rule; ``look`` is `Meanings.look`."""
    clauses = {clause.name: clause for clause in rule.facts}
    lets = {let.name for let in rule.lets}
    asked = [item.test.name for item in rule.when if isinstance(item.test, syntax.Exists)]
    gates = [name for name in dict.fromkeys((*rule.per, *asked)) if name in clauses]
    gates.sort(key=lambda name: not look(clauses[name]).listed)
    computed = _mentioned([let.value for let in rule.lets], clauses)
    questions = []
    for item in rule.when:
        needs = _mentioned([item.test], clauses)
        with_lets = any(path.name in lets for path in syntax.paths(item.test))
        names = dict.fromkeys((*needs, *computed)) if with_lets else needs
        questions.append(
            Question(item, tuple(name for name in names if name not in rule.per), with_lets)
        )
    return Agenda(
        rule,
        clauses,
        tuple(gates),
        tuple(questions),
        tuple(name for name in clauses if name not in rule.per),
        {name: _dependencies(clause, clauses) for name, clause in clauses.items()},
        clauses[gates[0]] if gates else None,
    )


def _mentioned(
    nodes: list[syntax.Test | syntax.Value], clauses: Mapping[str, FactClause]
) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for node in nodes:
        for path in syntax.paths(node):
            found.setdefault(path.name)
        for name, _ in syntax.names(node):
            found.setdefault(name)
    return tuple(name for name in found if name in clauses)


def _dependencies(clause: FactClause, clauses: Mapping[str, FactClause]) -> tuple[str, ...]:
    """The clauses, of those that stand before it, that a clause's own conditions speak of."""
    before = list(clauses)[: list(clauses).index(clause.name)]
    mentioned = _mentioned([item.test for item in clause.where], clauses)
    return tuple(name for name in mentioned if name in before)
