"""Which engine judges: the first, the second, or both with what they disagree about."""

from __future__ import annotations

import atexit
import threading
from collections import OrderedDict
from collections.abc import Container
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec.structs import replace

from cds.chart.model import Chart
from cds.engine.finding import Review
from cds.engine.frame import Hook
from cds.engine.review import Stop
from cds.engine.review import review as reference_review
from cds.rulebook.model import Rulebook
from cds.second.comparison import Disagreement, Side, differing

if TYPE_CHECKING:
    from cds.second.engine import DurableEngine

Engine = Literal["reference", "durable", "both"]
ENGINES: tuple[Engine, ...] = ("reference", "durable", "both")

# So many rulebooks keep their child; another one's takes the place of that used longest ago.
_MOST_CHILDREN = 4


class Opinion(msgspec.Struct, frozen=True):
    """A review, and what the other engine says differently."""

    review: Review
    disagreements: tuple[Disagreement, ...] = ()


def judged_by(
    engine: Engine,
    chart: Chart,
    rulebook: Rulebook,
    hook: Hook,
    as_of: datetime,
    shown: Container[str] = frozenset(),
    stop: Stop | None = None,
) -> Opinion:
    """The review of a chart by an engine; by both: the first engine's, compared with the second's.

    ``shown`` is what rules with a memory must not repeat; ``stop`` ends the first engine's judging.

    Raises EngineError where the second engine cannot run at all, never for one patient.
    """
    if engine == "reference":
        return Opinion(reference_review(chart, rulebook, hook, as_of, shown, stop))
    second = durable(rulebook)
    if engine == "durable":
        return Opinion(second.review(chart, hook, as_of, shown))
    return compared(chart, second, hook, as_of, shown)


def compared(
    chart: Chart,
    second: DurableEngine,
    hook: Hook,
    as_of: datetime,
    shown: Container[str] = frozenset(),
) -> Opinion:
    """The first engine's review with what the second says differently.

    Where the second gave no answer, its problem is told with the review.
    """
    rulebook = second.evaluator.rulebook
    first = reference_review(chart, rulebook, hook, as_of, shown)
    other = second.review(chart, hook, as_of, shown)
    failed = tuple(problem for problem in other.problems if problem.kind == "engine")
    if failed:
        return Opinion(replace(first, problems=(*first.problems, *failed)))
    if next(differing(first, other), None) is None:
        return Opinion(first)
    from cds.second.engine import Trace

    # Once more, now with a trace of what the network worked out.
    trace = Trace(second.plan)
    other = second.traced(chart, hook, as_of, shown, trace)
    found = []
    if not other.problems:
        for ours, theirs in differing(first, other):
            rule = ours.rule
            found.append(
                Disagreement(
                    rule=rule.id,
                    version=rule.version,
                    patient=chart.patient.id,
                    hook=hook.name,
                    as_of=as_of.isoformat(),
                    rulebook=rulebook.digest,
                    reference=Side.of(ours),
                    durable=Side.of(theirs),
                    facts=trace.facts,
                    network=trace.told(rule.id),
                )
            )
    return Opinion(first, tuple(found))


_lock = threading.Lock()
_engines: OrderedDict[int, DurableEngine] = OrderedDict()


def durable(rulebook: Rulebook) -> DurableEngine:
    """The second engine of a rulebook (by its identity); made when first asked for.

    Raises EngineError.
    """
    from cds.second.engine import DurableEngine

    with _lock:
        found = _engines.get(id(rulebook))
        if found is None:
            found = _engines[id(rulebook)] = DurableEngine(rulebook)
            if len(_engines) > _MOST_CHILDREN:
                _engines.popitem(last=False)[1].close()
        _engines.move_to_end(id(rulebook))
    return found


@atexit.register
def close() -> None:
    """Ends every child."""
    with _lock:
        while _engines:
            _engines.popitem()[1].close()
