"""Several processes answer as one: one of them dies, the others go on and it is replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.hooks.process import CALL, SIGN, Service, service
from tests.hooks.test_serve import started
from tests.records import ROOT

CLIENTS = 6


class Load:
    """Clients that call until they are told to stop, each over a connection of its own."""

    def __init__(self, of: Service) -> None:
        self.outcomes: Counter[str] = Counter()
        self._url, self._stop = f"{of.services}/{SIGN}", threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _call(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._stop.wait(0.01):
                try:
                    answer = client.post(self._url, json=CALL)
                    self.outcomes[str(answer.status_code)] += 1
                except httpx.TransportError:
                    self.outcomes["lost"] += 1

    def end(self) -> Counter[str]:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self.outcomes


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_worker_killed_under_load_costs_its_own_calls_and_is_replaced(tmp_path: Path) -> None:
    with service(tmp_path, config="  workers: 2\n") as running:
        victim, other = running.workers()
        load = Load(running)
        running.until(lambda: sum(load.outcomes.values()) > 50)
        os.kill(victim, signal.SIGKILL)
        fresh = running.until(
            lambda: [pid for pid in running.workers() if pid not in (victim, other)]
        )
        seen = sum(load.outcomes.values())
        running.until(lambda: sum(load.outcomes.values()) > seen + 50)
        outcomes = load.end()
        assert set(outcomes) <= {"200", "lost"}
        assert outcomes["lost"] <= CLIENTS
        assert sorted(running.workers()) == sorted([other, *fresh])
        (event,) = running.events(state="died")
        assert (event["process"], event["code"], event["level"]) == (victim, -9, "warning")
        assert running.health()["workers"] == {"wanted": 2, "serving": 2, "deaths": 1}
        # What the dead one counted is still counted; a call may be counted and its answer lost.
        told = running.metrics()
        counted = told[f'cds_calls_total{{service="{SIGN}",status="200"}}']
        assert outcomes["200"] <= counted <= outcomes["200"] + outcomes["lost"]
        assert told["cds_worker_deaths_total"] == 1
        # Whoever answers a scrape speaks for all.
        name = f'cds_calls_total{{service="{SIGN}",status="200"}}'
        assert [running.metrics()[name] for _ in range(6)] == [counted] * 6
        sizes = {name for name in told if name.startswith("cds_resident_bytes")}
        pids = [running.process.pid, *running.workers()]
        assert sizes == {f'cds_resident_bytes{{pid="{pid}"}}' for pid in pids}
        names = [event["request"] for event in running.events(event="call")]
        assert len(set(names)) == len(names) > 100
        assert running.stop() == 0


# A worker that stops giving signs of life, as one that is caught in an endless loop.
IMPATIENT = """
import cds.hooks.crew as crew
crew.SILENT_SECONDS = 2.5
from cds.cli import main
main()
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="asks /proc which processes live")
def test_a_worker_that_hangs_is_replaced_and_none_outlives_the_parent(tmp_path: Path) -> None:
    with service(tmp_path, config="  workers: 1\n", program=IMPATIENT) as running:
        (worker,) = running.workers()
        os.kill(worker, signal.SIGSTOP)
        running.until(lambda: running.events(state="killed", process=worker))
        running.until(lambda: running.workers() not in ([], [worker]))
        assert httpx.post(f"{running.services}/{SIGN}", json=CALL, timeout=30).status_code == 200
        (fresh,) = running.workers()
        assert is_alive(fresh)
        running.process.kill()
        running.process.wait(60)
        running.until(lambda: not is_alive(fresh))


UNABLE = """
import cds.hooks.worker as worker
def failing(*_):
    raise MemoryError
worker.create_app = failing
from cds.cli import main
main()
"""


def test_a_service_whose_workers_cannot_start_says_so_and_ends(tmp_path: Path) -> None:
    failed = Service(tmp_path, program=UNABLE)
    failed.process.communicate(timeout=60)
    assert failed.process.returncode == 2
    assert failed.services == ""
    assert "a worker ended before it could answer; the log says more" in failed.log()
    assert failed.events(event="worker", level="error", error="MemoryError")


@pytest.mark.parametrize("number", ["0", "65", "many"])
def test_a_number_of_workers_that_is_none(number: str) -> None:
    done = started("--port", "0", "--workers", number)
    assert done.returncode == 2
    assert "--workers" in done.stderr


def test_files_of_dead_processes_are_added_up_and_removed(tmp_path: Path) -> None:
    code = f"""
import os, pathlib
from cds.hooks import metrics
folder = pathlib.Path({str(tmp_path)!r})
metrics.share(folder)
parent = metrics.Metrics()
for _ in range(5):
    pid = os.fork()
    if not pid:
        mine = metrics.Metrics()
        mine.call("a", 200, 0.003)
        mine.refresh(4)
        os._exit(0)
    os.waitpid(pid, 0)
    metrics.bury(pid, folder)
print(parent.render().decode())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert 'cds_calls_total{service="a",status="200"} 5.0' in lines
    assert 'cds_call_seconds_bucket{le="0.005",service="a"} 5.0' in lines
    assert 'cds_call_seconds_bucket{le="0.0025",service="a"} 0.0' in lines
    assert "cds_requests_in_flight 0.0" in lines
    files = sorted(path.name.rpartition("_")[0] for path in tmp_path.glob("*.db"))
    assert len([name for name in files if name == "counter"]) <= 2
