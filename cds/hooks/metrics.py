"""What ``GET /metrics`` says, for Prometheus: services, states, rules and numbers, no patient.

To add a counter, make it once where the application is made and count with it wherever you are:

    fetches = metrics.counter("cds_fetches", "FHIR requests, by outcome.", "outcome")
    fetches.labels("timeout").inc()

Labels take a small number of values that we choose (an outcome, a rule, a service, a status); what
a caller sent is never one. With several worker processes each writes its numbers into a file that
all can read (``share``), and a scrape adds them up, whichever worker answers it: counters,
histograms, and gauges made by ``metrics.gauge``. A collector of one's own would be seen in one
process alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from cds.engine.review import NOT_IN_TIME
from cds.hooks.keeper import OUTCOMES as KEPT
from cds.hooks.opinion import OUTCOMES as OPINIONS

if TYPE_CHECKING:
    from cds.hooks.desk import Reply

CONTENT_TYPE = CONTENT_TYPE_LATEST
# From a call that only says what is missing to one that a clinician would have stopped waiting for.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
# Why a rule could not be decided, by how the sentence ends; all other sentences are of the record.
_REASONS = {
    NOT_IN_TIME: "not-in-time",
    "was not supplied": "not-supplied",
    "was refused": "refused",
    "could not be retrieved": "not-retrieved",
    "came only in part": "in-part",
    "names a drug that could not be found": "unresolved",
}
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_RETIRED = "0"

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """Counts of one process since it started, or with ``share`` of all processes of a service."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._calls = self.counter(
            "cds_calls", "Calls answered, by service and HTTP status.", "service", "status"
        )
        self._seconds = Histogram(
            "cds_call_seconds",
            "How long calls took, by service.",
            ("service",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._fetches = self.counter(
            "cds_fetches",
            "Queries to FHIR servers for what calls did not bring, by outcome.",
            "outcome",
        )
        self._fetch_seconds = Histogram(
            "cds_fetch_seconds",
            "How long such a query took, pages included.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._late = self.counter(
            "cds_late_calls", "Calls whose time was over before everything was checked."
        )
        self._cards = self.counter(
            "cds_cards", "Cards answered, by rule and indicator.", "rule", "indicator"
        )
        self._unknowns = self.counter(
            "cds_unknowns",
            "Rules that could not be decided, by what kind of thing was missing.",
            "rule",
            "reason",
        )
        self._inside = self.gauge("cds_requests_in_flight", "Requests being answered.", "livesum")
        self._memory = self.gauge("cds_resident_bytes", "Memory of each process.", "liveall")
        self._refused = self.counter(
            "cds_refused", "Calls that were turned away at the door, by reason.", "reason"
        )
        self._alone = self.counter(
            "cds_tokens_alone",
            "Tokens that were let in while the store could not say whether others had seen them.",
        )
        self.lost_lines = self.gauge(
            "cds_log_lines_dropped", "Lines of log that nobody took.", "livesum"
        )

    def counter(self, name: str, what: str, *labels: str) -> Counter:
        """A counter; its name without the ending ``_total``, which Prometheus adds."""
        return Counter(name, what, labels, registry=self._registry)

    def gauge(self, name: str, what: str, mode: Literal["livesum", "liveall"]) -> Gauge:
        """A number that goes up and down: its sum over the living processes, or each by ``pid``."""
        return Gauge(name, what, multiprocess_mode=mode, registry=self._registry)

    def call(self, service: str, status: int, seconds: float) -> None:
        """Counts one call that was answered."""
        self._calls.labels(service, str(status)).inc()
        self._seconds.labels(service).observe(seconds)

    def judged(self, reply: Reply) -> None:
        """Counts what an answer said."""
        for rule, indicator in reply.cards:
            self._cards.labels(rule, indicator).inc()
        for rule, missing in reply.unknown:
            for reason in {_reason(each) for each in missing}:
                self._unknowns.labels(rule, reason).inc()

    def refresh(self, inside: int) -> None:
        """Writes down how many requests are being answered, and how large this process is."""
        self._inside.set(inside)
        self._memory.set(_resident_bytes())

    def fetch(self, outcome: str, seconds: float) -> None:
        """Counts one query to a FHIR server."""
        self._fetches.labels(outcome).inc()
        self._fetch_seconds.observe(seconds)

    def late(self) -> None:
        """Counts one call that was answered before everything was checked."""
        self._late.inc()

    def refused(self, reason: str) -> None:
        """Counts one call that was turned away before anybody read it."""
        self._refused.labels(reason).inc()

    def token_alone(self) -> None:
        """Counts one token that the store could not be asked about."""
        self._alone.inc()

    def render(self) -> bytes:
        """The page; of all processes where they share."""
        folder = os.environ.get(_FOLDER)
        if not folder:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
        with _locked(Path(folder), alone=False):
            return generate_latest(registry)


class OpinionMetrics:
    """How the engines agree."""

    def __init__(self, metrics: Metrics) -> None:
        what = "Answers that the second engine judged again, by outcome."
        self._outcomes = metrics.counter("cds_second_opinions", what, "outcome")
        for name in OPINIONS:
            self._outcomes.labels(name)
        what = "Answers about which the engines disagree, by rule."
        self._rules = metrics.counter("cds_second_opinion_disagreements", what, "rule")
        what = "Child processes started for the second engine."
        self._starts = metrics.counter("cds_second_engine_starts", what)

    def outcome(self, name: str) -> None:
        self._outcomes.labels(name).inc()

    def disagreement(self, rules: list[str]) -> None:
        for rule in rules:
            self._rules.labels(rule).inc()

    def starts(self, number: int) -> None:
        """Counts children that were started since this was last said."""
        self._starts.inc(number)


class StoreMetrics:
    """What became of cards that were to be remembered, and of feedback."""

    def __init__(self, metrics: Metrics) -> None:
        what = "Cards to be remembered, by what became of them."
        self._cards = metrics.counter("cds_store_cards", what, "outcome")
        for name in KEPT:
            self._cards.labels(name)
        what = "Feedback calls to the store, by what became of them."
        self._feedback = metrics.counter("cds_store_feedback", what, "outcome")

    def cards(self, outcome: str, number: int) -> None:
        self._cards.labels(outcome).inc(number)

    def feedback(self, outcome: str) -> None:
        self._feedback.labels(outcome).inc()


class ParentMetrics:
    """What only the process that looks after the workers can count."""

    def __init__(self, metrics: Metrics) -> None:
        what = "Times that new rules or settings were read, by what came of it."
        self.reloads = metrics.counter("cds_reloads", what, "outcome")
        what = "Workers that ended without being told to."
        self.deaths = metrics.counter("cds_worker_deaths", what)
        what = "Whether the last reload is in force (1), or older rules are since it failed (0)."
        self.current = metrics.gauge("cds_reload_in_force", what, "livesum")


# -- several processes ----------------------------------------------------------------------------


def share(folder: Path) -> None:
    """Has every metric made from now on, here and in what is forked, kept in files there."""
    os.environ[_FOLDER] = str(folder)
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]


def bury(pid: int, folder: Path) -> None:
    """Adds the numbers of a process that ended to those of all that did, and removes its files.

    So there are as many files as processes, however often these are replaced.
    """
    with _locked(folder, alone=True):
        mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
        for kind in ("counter", "histogram"):
            file = folder / f"{kind}_{pid}.db"
            if not file.exists():
                continue
            grave = MmapedDict(str(folder / f"{kind}_{_RETIRED}.db"))  # type: ignore[no-untyped-call]
            for key, value, _, _ in MmapedDict.read_all_values_from_file(str(file)):  # type: ignore[no-untyped-call]
                sofar = grave.read_value(key)[0]  # type: ignore[no-untyped-call]
                grave.write_value(key, sofar + value, 0.0)  # type: ignore[no-untyped-call]
            grave.close()  # type: ignore[no-untyped-call]
            file.unlink()


@contextmanager
def _locked(folder: Path, *, alone: bool) -> Iterator[None]:
    import fcntl  # not on every system, and neither are processes that share

    with (folder / "lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


def _resident_bytes() -> int:
    """Memory of this process that is not on disk; 0 on a system that does not say it."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def _reason(missing: str) -> str:
    return next((name for end, name in _REASONS.items() if missing.endswith(end)), "record")
