"""The parent of the processes that answer: starts them, replaces them, exchanges the edition.

It answers nothing itself and has one thread, so that it can fork at any time: it reads a rulebook
once, and its workers share that memory. They share one listening socket, whose queue outlives each
of them: whoever connects while one ends is accepted by another. A reload is

1. a process that validates what lies there now (``cds.hooks.validation``), beside everything else;
2. if that found no error: reading it here, and as many new workers as there are;
3. once all of these accept calls, the old ones retire: they finish what they took;
4. once none of these accepts a call any more, the reload is told to be done: whoever connects from
   then on is answered by the new rules.

If anything fails before the third step, the new workers end and nothing has changed.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from cds.hooks import metrics
from cds.hooks.board import Board
from cds.hooks.crew import Crew, Running, Worker, ended
from cds.hooks.doorstep import Unservable
from cds.hooks.edition import (
    Edition,
    Source,
    UnloadableError,
    Watch,
    compile_edition,
    forget_editions,
)
from cds.hooks.journal import Journal
from cds.hooks.validation import MOST_TOLD, Validation, Verdict

WATCH_SECONDS = 2.0
_WELL_SECONDS = 10.0
# How long a place stays empty after so many workers in a row that died early.
_BACKOFF = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
_TICK_SECONDS = 0.5


class Supervisor:
    """Looks after ``settings.workers`` processes that answer by the edition in force."""

    def __init__(self, source: Source, edition: Edition, running: Running) -> None:
        self._source, self._edition, self._running = source, edition, running
        self._next: Edition | None = None
        self._retires = False
        self._wanted = edition.settings.workers
        self._board = Board(4 * self._wanted + 4)
        self._crew = Crew(running, self._board, Journal(running.clock))
        self._began = monotonic()
        self._watch = Watch(source.watched) if running.watch else None
        self._looked = 0.0
        self._asked = False
        self._validation: Validation | None = None
        self._reload: dict[str, object] = {"outcome": "none"}
        self._deaths = self._early = self._stops = 0
        self._due = 0.0

    def run(self, started: Callable[[], None]) -> int:
        """Runs the service until it is told to stop; the code to exit with.

        ``started`` is called once calls are answered. Raises Unservable if that does not come.
        """
        with TemporaryDirectory(prefix="cds-metrics-") as folder:
            self._folder = Path(folder)
            metrics.share(self._folder)
            self._metrics = metrics.Metrics()
            self._counts = metrics.ParentMetrics(self._metrics)
            self._counts.current.set(1)
            _settle(self._edition)
            crew = self._crew
            with crew.listening():
                try:
                    crew.serving += [crew.fork(self._edition) for _ in range(self._wanted)]
                    self._await_first()
                    if not self._stops:
                        started()
                    while self._stops < 2 and (crew.all() or not self._stops):
                        self._step()
                finally:
                    self._kill_all()
        crew.say(state="stopped")
        return 128 + signal.SIGTERM if self._stops > 1 else 0

    def _await_first(self) -> None:
        """Returns when every worker serves, or when told to stop; raises Unservable."""
        while not self._stops and not all(worker.serves for worker in self._crew.serving):
            self._listen()
            if self._deaths:
                raise Unservable("a worker ended before it could answer; the log says more")
        self._post()

    def _step(self) -> None:
        self._listen()
        self._metrics.refresh(0)
        if self._stops:
            return
        self._follow_coming()
        self._follow_retiring()
        self._replace_missing()
        self._look()
        if self._asked and not self._crew.coming and not self._retires:
            self._asked = False
            self._begin_validation()
        self._post()

    def _listen(self) -> None:
        """Waits a moment, and takes note of signals and of processes that ended."""
        self._crew.wait(_TICK_SECONDS)
        heard, self._crew.heard = self._crew.heard, []
        for number in heard:
            self._asked = self._asked or number == signal.SIGHUP
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stops += 1
        if self._stops and (self._crew.serving or self._crew.coming):
            self._stop()
        self._crew.kill_late()
        for worker, code in self._crew.ended():
            self._bury(worker, code)
        self._follow_validation()

    def _stop(self) -> None:
        self._crew.say(state="stopping")
        settings = self._edition.settings
        self._running.listener.close()  # or whoever connects now would wait for nobody
        self._crew.stop((settings.notice_ms + settings.grace_ms) / 1000)
        if self._validation is not None:
            self._validation.kill()

    def _kill_all(self) -> None:
        if self._validation is not None:
            self._validation.kill()
        self._crew.kill_all()

    # -- workers ----------------------------------------------------------------------------------

    def _bury(self, worker: Worker, code: int) -> None:
        crew = self._crew
        with suppress(OSError):
            metrics.bury(worker.pid, self._folder)
        if worker in crew.leaving:
            crew.leaving.remove(worker)
            crew.say(state="ended", process=worker.pid, code=code)
            return
        lived = monotonic() - worker.began
        self._deaths += 1
        self._counts.deaths.inc()
        crew.say("warning", state="died", process=worker.pid, code=code, seconds=int(lived))
        if worker in crew.coming:
            crew.coming.remove(worker)
            self._give_up(f"a worker with the new rules ended with code {code} before it served")
            return
        crew.serving.remove(worker)
        self._early = 0 if lived > _WELL_SECONDS else self._early + 1
        self._due = monotonic() + _BACKOFF[min(self._early, len(_BACKOFF) - 1)]

    def _replace_missing(self) -> None:
        crew = self._crew
        if not crew.coming and monotonic() >= self._due:
            while len(crew.serving) < self._wanted:
                crew.serving.append(crew.fork(self._edition))

    # -- reload -----------------------------------------------------------------------------------

    def _look(self) -> None:
        """Asks for a reload once what is watched has changed, and then been left alone."""
        if self._watch is not None and monotonic() - self._looked >= WATCH_SECONDS:
            self._looked = monotonic()
            self._asked = self._asked or self._watch.has_settled()

    def _begin_validation(self) -> None:
        """Validates what lies there now; one that is under way is about what lay there before."""
        if self._validation is not None:
            self._validation.kill()
            os.waitpid(self._validation.pid, 0)
        self._crew.say(event="reload", state="validating")
        self._validation = Validation.begin(self._source, self._edition, self._crew.alone)

    def _follow_validation(self) -> None:
        validation = self._validation
        if validation is None:
            return
        if validation.is_late:
            validation.kill()
        code = ended(validation.pid)
        if code is None:
            return
        self._validation = None
        verdict = validation.verdict(code)
        if self._stops:
            return
        if verdict.same:
            self._note("unchanged")
        elif verdict.errors:
            self._note("failed", verdict.errors, verdict.total)
        else:
            self._exchange(verdict)

    def _exchange(self, verdict: Verdict) -> None:
        """Starts workers for the edition that was validated, if it is still what lies there."""
        try:
            forget_editions()
            edition = self._source.read()
        except UnloadableError as error:
            self._note("failed", error.errors, len(error.errors))
            return
        if repr(edition.key) != verdict.key:
            self._asked = True  # written again meanwhile
            return
        _settle(edition)
        self._next = edition
        for _ in range(self._wanted):
            self._crew.coming.append(self._crew.fork(edition))

    def _follow_coming(self) -> None:
        """Puts the next edition in force once all of its workers serve."""
        coming = self._crew.coming
        if self._next is None or not all(worker.serves for worker in coming):
            return
        self._crew.exchange(self._edition.settings.grace_ms / 1000)
        self._edition, self._next = self._next, None
        self._early = 0
        self._retires = True

    def _follow_retiring(self) -> None:
        """Tells that the exchange is done once nobody accepts calls by the edition before."""
        if self._retires and not any(worker.accepts for worker in self._crew.leaving):
            self._retires = False
            self._note("done")

    def _give_up(self, error: str) -> None:
        self._crew.dismiss_coming()
        self._next = None
        self._note("failed", (error,), 1)

    def _note(self, outcome: str, errors: Sequence[str] = (), total: int = 0) -> None:
        """Tells what came of a reload: in the log, in the numbers, on the board."""
        now = self._running.clock().isoformat(timespec="seconds")
        told: dict[str, object] = {
            "outcome": outcome,
            "at": now,
            "rulebook": self._edition.rulebook.digest,
        }
        if errors:
            since = self._reload.get("since", now)
            told |= {"since": since, "total": total, "errors": list(errors[:MOST_TOLD])}
        self._reload = told
        self._counts.reloads.labels(outcome).inc()
        self._counts.current.set(0 if errors else 1)
        say = self._crew.say
        level = "warning" if errors else "info"
        say(level, event="reload", state=outcome, rulebook=told["rulebook"], errors=total)
        for error in errors[:MOST_TOLD]:
            say("warning", event="reload", state="refused", error=error)
        self._post()

    def _post(self) -> None:
        """Puts up the notice from which every worker answers /health."""
        serving = sum(worker.serves for worker in self._crew.serving)
        workers = {"wanted": self._wanted, "serving": serving, "deaths": self._deaths}
        self._board.post({"began": self._began, "reload": self._reload, "workers": workers})


def _settle(edition: Edition) -> None:
    """Does before a fork what every process would do after it; the collector leaves it alone."""
    compile_edition(edition)
    gc.collect()
    gc.freeze()


def can_supervise() -> bool:
    """Whether processes can be forked here; else one process serves, and reloads nothing."""
    return hasattr(os, "fork") and sys.platform != "win32"
