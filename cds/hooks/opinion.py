"""A second opinion on what was answered, beside the calls: it never keeps a caller waiting.

One thread takes reviews from a short queue and has the second engine judge the same chart. What
does not fit into the queue is dropped and counted; what differs is logged by rule ids alone.
"""

from __future__ import annotations

import threading
from collections import Counter
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING

from cds.engine.finding import Review
from cds.second.comparison import differing

if TYPE_CHECKING:
    from cds.hooks.journal import Log
    from cds.hooks.metrics import OpinionMetrics
    from cds.second.engine import DurableEngine

MAX_WAITING = 64
"""So many reviews wait; each holds its chart."""

OUTCOMES = ("agreed", "disagreed", "failed", "dropped")


class SecondOpinion:
    """Compares answers with the second engine's. Its counts may be read at any time."""

    def __init__(
        self,
        engine: DurableEngine,
        log: Log,
        waiting: int = MAX_WAITING,
        metrics: OpinionMetrics | None = None,
    ) -> None:
        self.outcomes: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        self._engine, self._log, self._metrics = engine, log, metrics
        self._starts = 0
        self._queue: Queue[Review] = Queue(waiting)
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="second-opinion", daemon=True)
        self._thread.start()

    def offer(self, review: Review) -> None:
        """Takes a review to be judged again, if there is room; never waits."""
        try:
            self._queue.put_nowait(review)
        except Full:
            self._count("dropped")

    @property
    def children(self) -> int:
        """How many child processes were started so far."""
        return self._engine.supervisor.started

    def wait(self) -> None:
        """Returns when everything that was taken is judged."""
        self._queue.join()

    def close(self) -> None:
        """Ends the thread after what it is at, and the child; what still waits is given up."""
        self._closed = True
        self._engine.supervisor.interrupt()
        self._thread.join()
        self._engine.close()

    def _work(self) -> None:
        while not self._closed:
            try:
                review = self._queue.get(timeout=0.5)
            except Empty:
                continue
            try:
                self._judge(review)
            except Exception as error:  # noqa: BLE001 - a second opinion never ends the service
                self._count("failed")
                self._log({"event": "second-opinion", "error": type(error).__name__})
            finally:
                self._count_starts()
                self._queue.task_done()

    def _count(self, outcome: str) -> None:
        self.outcomes[outcome] += 1
        if self._metrics is not None:
            self._metrics.outcome(outcome)

    def _count_starts(self) -> None:
        fresh = self.children - self._starts
        self._starts += fresh
        if self._metrics is not None:
            self._metrics.starts(fresh)

    def _judge(self, review: Review) -> None:
        other = self._engine.review(review.chart, review.hook, review.clock.now, review.shown)
        if any(problem.kind == "engine" for problem in other.problems):
            self._count("failed")
            self._log({"event": "second-opinion", "error": "no answer"})
            return
        rules = [ours.rule.id for ours, _ in differing(review, other)]
        self._count("disagreed" if rules else "agreed")
        if rules:
            self.rules.update(rules)
            if self._metrics is not None:
                self._metrics.disagreement(rules)
            self._log({"event": "second-opinion", "hook": review.hook.name, "disagree": rules})
