"""What the tests of the second engine share: where it can run, and how two engines are compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import pytest

from cds.chart.model import Chart
from cds.engine.frame import Hook
from cds.rulebook.model import Rulebook
from cds.second.engine import DurableEngine
from cds.second.opinion import Opinion, compared
from cds.second.supervisor import Limits, unavailable
from tests.records import AS_OF, rulebook

needs_durable = pytest.mark.skipif(bool(unavailable()), reason=unavailable())

HOOKS = (
    "order-sign", "order-select", "patient-view", "audit", "appointment-book", "encounter-discharge",
)  # fmt: skip


@contextmanager
def engine(of: Rulebook | None = None, limits: Limits | None = None) -> Iterator[DurableEngine]:
    """A second engine that is ended with the test."""
    found = DurableEngine(of or rulebook(), limits)
    try:
        yield found
    finally:
        found.close()


@lru_cache(maxsize=1)
def shipped() -> DurableEngine:
    """One for the whole run; the process that it owns ends with this one's pipe."""
    return DurableEngine(rulebook())


def opinion(chart: Chart, by: DurableEngine, hook: str = "audit") -> Opinion:
    return compared(chart, by, Hook(hook), AS_OF)


def wrong(found: Opinion) -> list[str]:
    """What is not as it should be: disagreements, and that there was no answer."""
    problems = [problem.what for problem in found.review.problems if problem.kind == "engine"]
    return problems + [item.problem.what for item in found.disagreements]


def differences(charts: Iterable[tuple[Chart, str]], by: DurableEngine) -> Iterator[str]:
    for chart, hook in charts:
        yield from wrong(opinion(chart, by, hook))
