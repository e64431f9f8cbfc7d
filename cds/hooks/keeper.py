"""Keeps what the service remembers, beside the calls: an answer never waits for the store.

Cards that were answered go through a short queue to one thread, which writes them. While the store
cannot be used, cards still flow; they are counted as not kept, and it is tried again.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from queue import Empty, Full, Queue
from time import monotonic
from typing import TYPE_CHECKING

from cds.cards.judge import Judged
from cds.engine.review import speaks_on
from cds.rulebook.model import Rulebook
from cds.store.report import RuleFeedback, feedback_by_rule
from cds.store.store import AnsweredCard, Feedback, Store, StoreError, moment_text

if TYPE_CHECKING:
    from cds.hooks.journal import Log
    from cds.hooks.metrics import StoreMetrics

MAX_WAITING = 1_000
"""So many answers wait to be written."""
_AT_ONCE = 200
_AGAIN_SECONDS = 5
# So long an answer waits to be told what was asked lately; a store that is asked takes a tenth.
_ASKING_SECONDS = 0.05
_NOTHING: frozenset[str] = frozenset()

OUTCOMES = ("kept", "failed", "dropped")


@dataclass(frozen=True, slots=True)
class Shown(Container[str]):
    """What was asked about one patient lately, as ``review`` looks for it.

    ``asked`` are digests with the moment of the last time; ``since`` says for each rule from when
    on that counts.
    """

    digest: Callable[[str], str]
    asked: Mapping[str, str]
    since: Mapping[str, str]

    def __contains__(self, memory: object) -> bool:
        if not isinstance(memory, str) or not memory:
            return False
        rule = memory.partition("|")[0]
        at = self.asked.get(self.digest(memory))
        return at is not None and at > self.since.get(rule, "")


class Keeper:
    """One store with the thread that writes to it. Its counts may be read at any time."""

    def __init__(
        self, url: str, rulebook: Rulebook, log: Log, metrics: StoreMetrics | None = None
    ) -> None:
        self.outcomes: Counter[str] = Counter()
        self._url, self._log, self._metrics = url, log, metrics
        self._store: Store | None = None
        self._failed_at: float | None = None
        self._silent_until = 0.0
        self._askers = ThreadPoolExecutor(1, thread_name_prefix="asker")
        self._lock = threading.Lock()
        self._remembering = _remembering(rulebook)
        self._queue: Queue[tuple[list[AnsweredCard], datetime]] = Queue(MAX_WAITING)
        self._closed = False
        self._open_quietly()
        self._thread = threading.Thread(target=self._work, name="keeper", daemon=True)
        self._thread.start()

    # -- what the doors ask -----------------------------------------------------------------------

    def shown(self, patient: str, hook: str, at: datetime) -> Container[str]:
        """What the hook's rules with a memory asked about the patient lately; nothing if the store
        cannot be asked, so that a card comes once too often rather than never.

        A store that hangs is waited for once, and then left alone for some seconds.
        """
        days = self._remembering.get(hook)
        if days is None or monotonic() < self._silent_until:
            return _NOTHING
        asking = self._askers.submit(self._asked, patient, at, max(days.values()))
        try:
            store, asked = asking.result(_ASKING_SECONDS)
        except (StoreError, TimeoutError) as error:
            self._silent_until = monotonic() + _AGAIN_SECONDS
            self._note_failure(error)
            return _NOTHING
        if not asked:
            return _NOTHING
        since = {rule: moment_text(at - length) for rule, length in days.items()}
        return Shown(lambda memory: store.digest(patient, memory), asked, since)

    def _asked(
        self, patient: str, at: datetime, within: timedelta
    ) -> tuple[Store, Mapping[str, str]]:
        store = self._opened()
        return store, store.asked(patient, at, within)

    def keep(self, judged: Judged, at: datetime) -> None:
        """Has the cards of an answer written; never waits."""
        answered = [
            AnsweredCard(
                card=card.uuid or "",
                rule=drawn.finding.rule.id,
                rule_version=drawn.finding.rule.version,
                indicator=card.indicator,
                hook=judged.answer.review.hook.name,
                patient=judged.patient,
                about=drawn.finding.memory,
            )
            for card, drawn in zip(judged.answer.cards, judged.answer.drawn, strict=True)
        ]
        if not answered:
            return
        try:
            self._queue.put_nowait((answered, at))
        except Full:
            self._count("dropped", len(answered))

    def add_feedback(self, entries: Sequence[Feedback]) -> int:
        """Stores feedback, all of it or nothing; how many entries are new. Raises StoreError."""
        try:
            added = self._opened().add_feedback(entries)
        except StoreError as error:
            self._note_failure(error)
            self._count_feedback("failed")
            raise
        self._count_feedback("stored")
        return added

    def report(self, since: datetime) -> Mapping[str, RuleFeedback]:
        """Feedback by rule since then. Raises StoreError."""
        try:
            return feedback_by_rule(self._opened(), since)
        except StoreError as error:
            self._note_failure(error)
            raise

    def status(self) -> str:
        """ "ok", or why the store cannot be used."""
        try:
            self._opened().ping()
        except StoreError as error:
            return str(error)
        return "ok"

    def wait(self) -> None:
        """Returns when everything that was offered is written, or could not be."""
        self._queue.join()

    def close(self) -> None:
        """Writes what still waits, then lets go of the store."""
        self._closed = True
        self._thread.join(timeout=_AGAIN_SECONDS)
        self._askers.shutdown(wait=False, cancel_futures=True)
        if self._store is not None:
            self._store.close()

    # -- the store itself -------------------------------------------------------------------------

    def _opened(self) -> Store:
        """The store; raises StoreError. One that could not be opened is tried again in a while."""
        with self._lock:
            if self._store is None:
                if self._failed_at is not None and monotonic() - self._failed_at < _AGAIN_SECONDS:
                    raise StoreError("the store could not be opened")
                self._failed_at = monotonic()
                self._store = Store(self._url)
            return self._store

    def _open_quietly(self) -> None:
        try:
            self._opened()
        except StoreError as error:
            self._note_failure(error)

    def _note_failure(self, error: StoreError | TimeoutError) -> None:
        late = "the store did not answer in time"
        self._log({"event": "store", "error": str(error) or late})

    def _count(self, outcome: str, cards: int) -> None:
        self.outcomes[outcome] += cards
        if self._metrics is not None:
            self._metrics.cards(outcome, cards)

    def _count_feedback(self, outcome: str) -> None:
        if self._metrics is not None:
            self._metrics.feedback(outcome)

    def _work(self) -> None:
        while not (self._closed and self._queue.empty()):
            try:
                first = self._queue.get(timeout=0.2)
            except Empty:
                continue
            taken = [first]
            while len(taken) < _AT_ONCE:
                try:
                    taken.append(self._queue.get_nowait())
                except Empty:
                    break
            self._write(taken)
            for _ in taken:
                self._queue.task_done()

    def _write(self, taken: Sequence[tuple[list[AnsweredCard], datetime]]) -> None:
        cards = [card for answered, _ in taken for card in answered]
        try:
            self._opened().add_cards(cards, max(at for _, at in taken))
        except StoreError as error:
            self._count("failed", len(cards))
            self._note_failure(error)
        except Exception as error:  # noqa: BLE001 - the thread outlives whatever it meets
            self._count("failed", len(cards))
            self._log({"event": "store", "error": type(error).__name__})
        else:
            self._count("kept", len(cards))


def _remembering(rulebook: Rulebook) -> dict[str, dict[str, timedelta]]:
    """By hook the rules with a memory ("30 days by …"), and how long it is."""
    found: dict[str, dict[str, timedelta]] = {}
    for rule in rulebook.rules:
        if rule.remember:
            for hook in filter(partial(speaks_on, rule), rule.hooks):
                length = timedelta(days=int(rule.remember.split(maxsplit=1)[0]))
                found.setdefault(hook, {})[rule.id] = length
    return found
