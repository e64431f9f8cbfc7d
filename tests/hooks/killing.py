"""Feedback under fire: concurrent clients write it over HTTP while the service is killed again and again.

A client sends a batch until it is answered with 200, and never again after that (but for some that
it sends twice on purpose, as a client does that lost the answer). So whatever was acknowledged and
then lost is missing at the end, and whatever was stored twice is there twice.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

from tests.records import ROOT

_FIRST = datetime(2026, 6, 10, 14, tzinfo=UTC)
_SIZES = (1, 1, 1, 2, 5, 10, 20)
"""Entries in a call: most calls carry one, some a batch."""
_REPEATED = 10
"""One in so many batches is sent again although it was acknowledged."""
_LIMIT_SECONDS = 900

Entry = tuple[str, str, str]
"""Card, outcome and moment as the store has them."""


@dataclass(frozen=True)
class Plan:
    """How much is written by how many, and how often the service is killed in between."""

    total: int
    writers: int
    kills: int
    rules: Path | None = None
    path: str = "/cds-services/ldn-order-sign/feedback"

    def entries(self, writer: int) -> list[Entry]:
        """What one writer has to say; each writer's cards are its own."""
        share = range(writer, self.total, self.writers)
        return [
            (
                f"{number:08x}-0000-4000-8000-{writer:012x}",
                ("accepted", "overridden")[number % 3 == 0],
                _moment(number),
            )
            for number in share
        ]

    def batches(self, writer: int) -> Iterator[list[Entry]]:
        entries, at = self.entries(writer), 0
        for size in cycle(_SIZES):
            if at >= len(entries):
                return
            yield entries[at : at + size]
            at += size


def _moment(number: int) -> str:
    text = (_FIRST + timedelta(milliseconds=number)).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


@dataclass
class Told:
    """What the clients saw."""

    acknowledged: int = 0
    calls: int = 0
    cut: int = 0
    """Calls that ended without an answer."""
    refused: int = 0
    """Calls answered with 503."""
    repeated: int = 0
    wrong: list[str] = field(default_factory=list)
    kills: int = 0
    seconds: float = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, number: int = 1) -> None:
        with self._lock:
            setattr(self, name, getattr(self, name) + number)


class Service:
    """The service as a process; it always listens on the port that it was first given."""

    def __init__(self, url: str, plan: Plan) -> None:
        self._config = tempfile.NamedTemporaryFile("w", suffix=".yaml")  # noqa: SIM115
        self._config.write(f"timezone: UTC\nservice:\n  store: {json.dumps(url)}\n")
        self._config.flush()
        self._rules = ("--rules", str(plan.rules)) if plan.rules else ()
        self.port = 0
        self.start()

    def start(self) -> None:
        command = (sys.executable, "-m", "cds", "serve", "--port", str(self.port))
        self.process = subprocess.Popen(
            [*command, "--config", self._config.name, *self._rules],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        address = self.process.stdout.readline().strip()
        self.port = int(address.rpartition(":")[2].partition("/")[0])

    def kill(self) -> None:
        """Ends every process of the service at once, the one that watches and those that answer."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def close(self) -> None:
        self.kill()
        self._config.close()


class Writer(threading.Thread):
    """One client, with a connection of its own."""

    def __init__(self, plan: Plan, number: int, service: Service, told: Told) -> None:
        super().__init__(daemon=True)
        self._batches = plan.batches(number)
        self._path, self._service, self._told = plan.path, service, told
        self._until = time.monotonic() + _LIMIT_SECONDS
        self._line: http.client.HTTPConnection | None = None

    def run(self) -> None:
        try:
            self._work()
        finally:
            if self._line is not None:
                self._line.close()

    def _work(self) -> None:
        for number, batch in enumerate(self._batches):
            if not self._sent(batch):
                self._told.wrong.append("a writer gave up")
                return
            self._told.add("acknowledged", len(batch))
            if number % _REPEATED == 0:
                self._told.add("repeated")
                self._sent(batch)

    def _sent(self, batch: list[Entry]) -> bool:
        """Sends a batch until it is acknowledged."""
        names = ("card", "outcome", "outcomeTimestamp")
        entries = [dict(zip(names, entry, strict=True)) for entry in batch]
        body = json.dumps({"feedback": entries}).encode()
        while time.monotonic() < self._until:
            status = self._call(body)
            if status == 200:
                return True
            if status is None:
                self._told.add("cut")
            elif status == 503:
                self._told.add("refused")
            else:
                self._told.wrong.append(f"status {status}")
                return False
            time.sleep(0.02)
        return False

    def _call(self, body: bytes) -> int | None:
        """The status; None where the line was cut."""
        self._told.add("calls")
        try:
            if self._line is None:
                self._line = http.client.HTTPConnection("127.0.0.1", self._service.port, timeout=30)
            self._line.request("POST", self._path, body, {"content-type": "application/json"})
            answer = self._line.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            if self._line is not None:
                self._line.close()
            self._line = None
            return None
        return answer.status


def under_fire(url: str, plan: Plan, before: Callable[[int], None] | None = None) -> Told:
    """Writes everything, kills the service ``plan.kills`` times on the way; what the clients saw.

    ``before`` is called before each kill, with its number, while the clients write.
    """
    told = Told()
    service = Service(url, plan)
    begun = time.monotonic()
    writers = [Writer(plan, number, service, told) for number in range(plan.writers)]
    try:
        for writer in writers:
            writer.start()
        for kill in range(plan.kills):
            mark = plan.total * (kill + 1) // (plan.kills + 1)
            while told.acknowledged < mark and any(writer.is_alive() for writer in writers):
                time.sleep(0.002)
            if before is not None:
                before(kill)
            service.kill()
            told.kills += 1
            service.start()
        for writer in writers:
            writer.join()
        told.seconds = time.monotonic() - begun
    finally:
        service.close()
    return told


def missing_and_doubled(plan: Plan, rows: list[tuple[object, ...]]) -> tuple[int, int]:
    """Of what the clients said: how much is not stored, and how much more than once (or at all)."""
    said = Counter(entry for writer in range(plan.writers) for entry in plan.entries(writer))
    stored = Counter(rows)
    return (said - stored).total(), (stored - said).total()  # type: ignore[operator]
