"""The combinations of facts that a rule is asked of, one finding each; and how many, at most."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product
from math import prod

from cds.engine.binding import Scope
from cds.engine.fact import Bound
from cds.rulebook.model import Rule

# More combinations of facts than this are counted as unknown, not judged one by one: fewer where
# each of them would be judged among very many facts.
_MAX_BINDINGS = 500
_MIN_BINDINGS = 20
_MAX_LOOKS = 100_000


def combinations(rule: Rule, base: Scope) -> Iterator[Scope]:
    """One scope for each combination of the facts that make one finding each."""
    choices = [base.sets[name] for name in rule.per]
    others = {name: found for name, found in base.sets.items() if name not in rule.per}
    if all(len(found) == 1 for found in choices):
        yield one_of(rule, base, tuple(found[0] for found in choices), others)
        return
    for combination in islice(product(*choices), most_bindings(rule, base)):
        yield one_of(rule, base, combination, others)


def one_of(
    rule: Rule,
    base: Scope,
    combination: tuple[Bound, ...],
    others: dict[str, tuple[Bound, ...]],
) -> Scope:
    """The scope of one combination; ``others`` are the sets of what the rule is not about."""
    scope = base.inner(dict(zip(rule.per, combination, strict=True)))
    scope.sets, scope.lets = others, {}
    return scope


def not_judged(rule: Rule, base: Scope) -> tuple[str, ...]:
    """What is to be said of the combinations beyond the most that are judged."""
    number = prod([len(base.sets[name]) for name in rule.per])
    if number <= _MIN_BINDINGS:
        return ()
    most = most_bindings(rule, base)
    if number <= most:
        return ()
    return (f"{number - most} of {number} combinations were not judged",)


def most_bindings(rule: Rule, base: Scope) -> int:
    """So many combinations are judged: a bound on the work, not on what a real record holds."""
    facts = sum(len(base.sets[name]) for name in rule.per) or 1
    return min(_MAX_BINDINGS, max(_MIN_BINDINGS, _MAX_LOOKS // facts))
