"""A service in processes of its own, over a pack that a test may change while it runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.records import CONTRAST, ROOT, Json, bundle, person

SIGN = "contrast-order-sign"
RULE = "contrast/allergy.yaml"
CALL = {
    "hook": "order-sign",
    "hookInstance": "7b2f0e62-6c0e-4f0a-8a53-0e8f0c1f3a77",
    "context": {"userId": "Practitioner/u1", "patientId": "p1", "draftOrders": bundle()},
    "prefetch": {"patient": person()},
}
_PATIENCE = 60.0


class Service:
    """`cds serve` with a copy of the second pack, and what it writes to standard error."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        config: str = "",
        program: str = "",
        stuck: bool = False,
    ) -> None:
        self.pack, self.config = folder / "pack", folder / "site.yaml"
        self.store = folder / "store.sqlite"
        shutil.copytree(CONTRAST, self.pack)
        self.base_config = f"timezone: UTC\nservice:\n  store: sqlite:///{self.store}\n{config}"
        self.config.write_text(self.base_config)
        self._err = folder / "err"
        start = ["-c", program] if program else ["-m", "cds"]
        with self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, *start, "serve", "--port", "0", "--rules", str(self.pack),
                 "--config", str(self.config), *options],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE if stuck else err, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        assert self.process.stdout is not None
        self.services = self.process.stdout.readline().strip()
        self.url = self.services.removesuffix("/cds-services")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def log(self) -> str:
        return self._err.read_text()

    def events(self, **wanted: object) -> list[Json]:
        """The lines of log so far that have these values."""
        lines = [line for line in self.log().splitlines(keepends=True) if line.startswith("{")]
        found = [json.loads(line) for line in lines if line.endswith("\n")]
        return [event for event in found if wanted.items() <= event.items()]

    def until(self, done: Callable[[], Any]) -> Any:
        """What ``done`` gives as soon as it is true; fails with the log if that never comes."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            found = done()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(self.log())

    def health(self) -> Json:
        found: Json = httpx.get(f"{self.url}/health", timeout=30).json()
        return found

    def metrics(self) -> dict[str, float]:
        text = httpx.get(f"{self.url}/metrics", timeout=30).text
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def digest(self) -> str:
        """The rulebook by which the next call is answered."""
        answer = httpx.post(f"{self.services}/{SIGN}", json=CALL, timeout=30)
        assert answer.status_code == 200, answer.text
        found: str = answer.json()["extension"]["org.cds-rules-engine.review"]["rulebook"]
        return found

    def workers(self) -> list[int]:
        """The processes that serve, as the log tells."""
        ready = [event["process"] for event in self.events(state="ready")]
        gone = {
            event["process"] for state in ("died", "ended") for event in self.events(state=state)
        }
        return [pid for pid in ready if pid not in gone]

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.pack / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def reload(self) -> Json:
        """Asks for a reload; what came of it, once that is settled."""
        outcomes = ("done", "failed", "unchanged")
        before = len([event for event in self.events(event="reload") if event["state"] in outcomes])
        self.process.send_signal(signal.SIGHUP)
        found: list[Json] = self.until(
            lambda: [event for event in self.events(event="reload") if event["state"] in outcomes][
                before:
            ]
        )
        return found[0]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(_PATIENCE)


@contextmanager
def service(
    folder: Path, *options: str, config: str = "", program: str = "", stuck: bool = False
) -> Iterator[Service]:
    """A running service; killed, with its workers, if the test did not end it.

    ``program`` is run in place of `cds`; ``stuck`` has its log go where nobody reads it.
    """
    found = Service(folder, *options, config=config, program=program, stuck=stuck)
    try:
        assert found.url, found.log()
        yield found
    finally:
        found.process.kill()
        found.process.communicate()
