"""What ``GET /metrics`` says, for Prometheus: services, states, rules and numbers, no patient."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from cds.hooks.opinion import OUTCOMES, SecondOpinion

CONTENT_TYPE = CONTENT_TYPE_LATEST
# From a call that only says what is missing to one that a clinician would have stopped waiting for.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """Counts of one service since it started; ``opinion`` tells how the engines agree."""

    def __init__(self, opinion: SecondOpinion | None = None) -> None:
        self._registry = CollectorRegistry()
        self._calls = Counter(
            "cds_calls",
            "Calls answered, by service and HTTP status.",
            ("service", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "cds_call_seconds",
            "How long calls took, by service.",
            ("service",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._fetches = Counter(
            "cds_fetches",
            "Queries to FHIR servers for what calls did not bring, by outcome.",
            ("outcome",),
            registry=self._registry,
        )
        self._fetch_seconds = Histogram(
            "cds_fetch_seconds",
            "How long such a query took, pages included.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._late = Counter(
            "cds_late_calls",
            "Calls whose time was over before everything was checked.",
            registry=self._registry,
        )
        if opinion is not None:
            self._registry.register(_Agreement(opinion))

    def call(self, service: str, status: int, seconds: float) -> None:
        """Counts one call that was answered."""
        self._calls.labels(service, str(status)).inc()
        self._seconds.labels(service).observe(seconds)

    def fetch(self, outcome: str, seconds: float) -> None:
        """Counts one query to a FHIR server."""
        self._fetches.labels(outcome).inc()
        self._fetch_seconds.observe(seconds)

    def late(self) -> None:
        """Counts one call that was answered before everything was checked."""
        self._late.inc()

    def render(self) -> bytes:
        """The page."""
        return generate_latest(self._registry)


class _Agreement(Collector):
    """What the second opinion has counted so far, read when somebody asks."""

    def __init__(self, opinion: SecondOpinion) -> None:
        self._opinion = opinion

    def collect(self) -> Iterator[CounterMetricFamily]:
        opinion = self._opinion
        outcomes = CounterMetricFamily(
            "cds_second_opinions",
            "Answers that the second engine judged again, by outcome.",
            labels=("outcome",),
        )
        for name in OUTCOMES:
            outcomes.add_metric((name,), opinion.outcomes[name])
        rules = CounterMetricFamily(
            "cds_second_opinion_disagreements",
            "Answers about which the engines disagree, by rule.",
            labels=("rule",),
        )
        for name, count in sorted(dict(opinion.rules).items()):
            rules.add_metric((name,), count)
        starts = "Child processes started for the second engine."
        yield outcomes
        yield rules
        yield CounterMetricFamily("cds_second_engine_starts", starts, value=opinion.children)
