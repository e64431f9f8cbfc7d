"""A network as it goes to the child: rulesets of the library's own shape, divided by its limits."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cds.second.formula import Bound, Row
from cds.second.network import Production

# Far below where the library aborts (about 600 rules, or a few hundred joins, in one ruleset).
MOST_PATTERNS = 60

ARGUMENTS = "abcd"


class Rule(msgspec.Struct, frozen=True, array_like=True):
    """One rule of a ruleset: its conditions, the table of what follows, and where its facts are.

    ``arguments`` pairs a pattern with the property that holds the fact.
    """

    conditions: list[dict[str, object]]
    count: int
    table: int
    arguments: list[tuple[str, str]]


class Wiring(msgspec.Struct, frozen=True, array_like=True):
    """Everything that the child needs: rulesets, which of them hear of a table, what to tell."""

    rulesets: list[dict[str, Rule]]
    routes: dict[int, list[int]]
    outputs: list[int]


class Job(msgspec.Struct, frozen=True, array_like=True):
    """The rows of one patient, in the order in which they are added; ``traced`` tells every row."""

    rows: list[tuple[int, tuple[int, ...], tuple[int, ...]]]
    traced: bool = False


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """The rows that the network concluded; or what went wrong."""

    rows: list[tuple[int, tuple[int, ...]]] = []
    error: str = ""


def wire(productions: Iterable[Production], outputs: Iterable[int]) -> Wiring:
    """The rulesets of a network; each holds what it can, no rule is divided."""
    rulesets: list[dict[str, Rule]] = [{}]
    routes: dict[int, list[int]] = {}
    room = MOST_PATTERNS
    for production in productions:
        if production.size > room:
            rulesets.append({})
            room = MOST_PATTERNS
        room -= production.size
        here = len(rulesets) - 1
        rulesets[here][f"r{len(rulesets[here])}"] = _rule(production)
        for row in (*production.present, *production.absent):
            heard = routes.setdefault(row.table, [])
            if here not in heard:
                heard.append(here)
    return Wiring(rulesets, routes, sorted(outputs))


def _rule(production: Production) -> Rule:
    places: dict[str, tuple[str, str]] = {}
    conditions: list[dict[str, object]] = []
    for number, row in enumerate(production.present):
        conditions.append({f"m{number}": _pattern(row, places)})
        for name, argument in zip(row.names, ARGUMENTS, strict=False):
            places.setdefault(name, (f"m{number}", argument))
    for number, row in enumerate(production.absent, len(conditions)):
        conditions.append({f"m{number}$not": _pattern(row, places)})
    arguments = [places[name] for name in production.names]
    return Rule(conditions, production.number, production.table, arguments)


def _pattern(row: Row, places: dict[str, tuple[str, str]]) -> dict[str, object]:
    """A row's conditions; the facts of names that stand before are the same facts.

    The order matters: in a joined pattern the library asks what stands behind an ``$or`` only of
    the last alternative. So the joins come first, and alternatives last.
    """
    joins: list[dict[str, object]] = []
    for name, argument in zip(row.names, ARGUMENTS, strict=False):
        if name in places:
            pattern, where = places[name]
            joins.append({argument: {pattern: where}})
    single = [_limit(limits[0]) for limits in row.limits if len(limits) == 1]
    several: list[dict[str, object]] = [
        {"$or": [_limit(limit) for limit in limits]} for limits in row.limits if limits[1:]
    ]
    found: list[dict[str, object]] = [{"n": row.table}, *joins, *single, *several]
    return found[0] if len(found) == 1 else {"$and": found}


def _limit(limit: Bound) -> dict[str, object]:
    word = "$gte" if limit.at_least else "$lte"
    return {word: {f"p{limit.column}": limit.value}}
